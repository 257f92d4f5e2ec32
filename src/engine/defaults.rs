//! Docker's defaults as OCI runtime values: capabilities, masked and read-only paths, device rules.
//!
//! Mechanism: none; these are the facts of Docker's documentation, so that a container of skiff's
//! is allowed what one of Docker's is.
//! See it live: `docker inspect`, `grep Cap /proc/PID/status`.
//! Contract: pure.
//! Left out: the paths that only Windows or AppArmor know.

use crate::kernel::caps;
use crate::kernel::cgroup::device::{Kind, MKNOD, READ, Rule, WRITE};
use crate::kernel::{Explain, cgroup::Amount};
use oci_spec::runtime::{Capabilities, LinuxCapabilities, LinuxCapabilitiesBuilder};
use thiserror::Error;

/// What root in a container may do unless asked otherwise (Docker: "Runtime privilege and Linux
/// capabilities").
pub const CAPABILITIES: [&str; 14] = [
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
];

/// Paths that would tell about the host or let it be changed: covered.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
    "/sys/devices/virtual/powercap", "/sys/firmware",
];

/// Paths that may be read but not written.
pub const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The mask of [`CAPABILITIES`].
pub fn capability_mask() -> u64 {
    CAPABILITIES.iter().filter_map(|name| caps::mask(name)).fold(0, |a, b| a | b)
}

/// A capability's name that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot find a capability named `{0}`")]
pub struct UnknownCapability(pub String);

impl Explain for UnknownCapability {
    fn why(&self) -> Option<String> {
        Some("capabilities are named as in capabilities(7), with or without CAP_, in any case".into())
    }
    fn hint(&self) -> Option<String> {
        let wanted = self.0.to_ascii_uppercase();
        let wanted = wanted.strip_prefix("CAP_").unwrap_or(&wanted);
        let near = caps::NAMES.iter().min_by_key(|name| strsim::damerau_levenshtein(name, wanted))?;
        Some(format!("did you mean {near}?"))
    }
    fn exit_code(&self) -> u8 {
        125
    }
}

/// Docker's arithmetic of `--cap-add` and `--cap-drop` over `base`, as a mask.
///
/// `ALL` is taken first, whichever flag it comes with: `--cap-add ALL` starts from everything,
/// `--cap-drop ALL` from nothing. Of single names, those dropped go first and those added come
/// after, so that one which is both is kept; only beside `--cap-add ALL` does the drop win.
pub fn capabilities(base: u64, add: &[String], drop: &[String]) -> Result<u64, UnknownCapability> {
    let mask = |name: &String| caps::mask(name).ok_or_else(|| UnknownCapability(name.clone()));
    let all = |names: &[String]| names.iter().any(|name| caps::mask(name) == Some(caps::ALL));
    let single = |names: &[String]| -> Result<u64, UnknownCapability> {
        names.iter().map(mask).try_fold(0, |sum, mask| Ok(sum | mask?))
    };
    let one_by_one = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| caps::mask(name) != Some(caps::ALL)).cloned().collect()
    };
    // Every name is looked at, so that a mistyped one is never passed over.
    single(add).and(single(drop))?;
    let (added, dropped) = (single(&one_by_one(add))?, single(&one_by_one(drop))?);
    Ok(match (all(add), all(drop)) {
        (true, _) => caps::ALL & !dropped,
        (false, true) => added,
        (false, false) => base & !dropped | added,
    })
}

/// The five sets of a container's first program as Docker sets them: bounding, permitted and
/// effective are `mask`; inheritable is empty (since 20.10.14, CVE-2022-24769), and so is ambient.
pub fn capability_sets(mask: u64) -> LinuxCapabilities {
    let set: Capabilities = caps::names(mask).iter().filter_map(|name| name.strip_prefix("CAP_")?.parse().ok()).collect();
    let mut sets = LinuxCapabilitiesBuilder::default().build().unwrap_or_default();
    sets.set_bounding(Some(set.clone()));
    sets.set_permitted(Some(set.clone()));
    sets.set_effective(Some(set));
    sets.set_inheritable(None);
    sets.set_ambient(None);
    sets
}

/// Docker's device rules: nothing, but making any node, and using those that every program expects.
pub fn device_rules() -> Vec<Rule> {
    let all = READ | WRITE | MKNOD;
    let rule = |allow, kind, major, minor, access| Rule { allow, kind, major, minor, access };
    let node = |major, minor| rule(true, Kind::Char, Some(major), minor, all);
    vec![
        rule(false, Kind::All, None, None, all),
        rule(true, Kind::Char, None, None, MKNOD),
        rule(true, Kind::Block, None, None, MKNOD),
        node(1, Some(3)),   // null
        node(1, Some(5)),   // zero
        node(1, Some(7)),   // full
        node(1, Some(8)),   // random
        node(1, Some(9)),   // urandom
        node(5, Some(0)),   // tty
        node(5, Some(1)),   // console
        node(5, Some(2)),   // ptmx
        node(136, None),    // every pts
        node(10, Some(200)), // net/tun
    ]
}

/// What `--memory-swap` means when it is not given: as much swap again as memory, where the kernel
/// counts swap at all; without a memory limit, nothing.
pub fn memory_swap(memory: Option<Amount>, counts_swap: bool) -> Option<Amount> {
    match memory {
        Some(Amount::Of(bytes)) if counts_swap => Some(Amount::Of(bytes.saturating_mul(2))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn of(add: &[&str], drop: &[&str]) -> u64 {
        capabilities(capability_mask(), &list(add), &list(drop)).expect("known names")
    }

    fn bit(name: &str) -> u64 {
        caps::mask(name).expect("known")
    }

    /// The mask that Docker's documentation and every default container show.
    #[test]
    fn the_default_mask_is_dockers() {
        assert_eq!(capability_mask(), 0xa804_25fb);
    }

    #[test]
    fn all_is_taken_first_and_single_names_after() {
        assert_eq!(of(&["ALL"], &["net_raw"]), caps::ALL & !bit("NET_RAW"));
        assert_eq!(of(&["cap_kill"], &["ALL"]), bit("KILL"));
        assert_eq!(of(&["ALL"], &["ALL"]), caps::ALL);
        assert_eq!(of(&[], &["all"]), 0);
        assert_eq!(of(&["SYS_TIME"], &["CHOWN"]), capability_mask() & !bit("CHOWN") | bit("SYS_TIME"));
        assert_eq!(of(&["CHOWN"], &["CHOWN"]) & bit("CHOWN"), bit("CHOWN"));
    }

    #[test]
    fn a_mistyped_name_is_refused_with_the_nearest_one() {
        let error = capabilities(0, &list(&["ALL", "NET_ADMIM"]), &[]).expect_err("no such capability");
        assert_eq!(error, UnknownCapability("NET_ADMIM".into()));
        assert_eq!(error.hint().as_deref(), Some("did you mean NET_ADMIN?"));
    }

    #[test]
    fn inheritable_and_ambient_stay_empty() {
        let sets = capability_sets(capability_mask());
        assert_eq!(sets.bounding().as_ref().map(|set| set.len()), Some(14));
        assert_eq!(sets.bounding(), sets.effective());
        assert_eq!(sets.bounding(), sets.permitted());
        assert_eq!((sets.inheritable(), sets.ambient()), (&None, &None));
    }

    #[test]
    fn swap_is_as_much_again_as_memory_where_it_is_counted() {
        let memory = Some(Amount::Of(64 << 20));
        assert_eq!(memory_swap(memory, true), Some(Amount::Of(128 << 20)));
        assert_eq!(memory_swap(memory, false), None);
        assert_eq!(memory_swap(None, true), None);
    }

    fn some_names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(prop::sample::select(caps::NAMES.to_vec()).prop_map(String::from), 0..8)
    }

    proptest! {
        #[test]
        fn what_is_added_is_there_and_what_is_only_dropped_is_not(add in some_names(), drop in some_names(), base in 0u64..=caps::ALL) {
            let mask = capabilities(base, &add, &drop).expect("known names");
            let sum = |names: &[String]| names.iter().map(|n| bit(n)).fold(0, |a, b| a | b);
            let (added, dropped) = (sum(&add), sum(&drop));
            prop_assert_eq!(mask & added, added);
            prop_assert_eq!(mask & dropped & !added, 0);
            prop_assert_eq!(mask & !added & !dropped, base & !added & !dropped);
        }
    }
}
