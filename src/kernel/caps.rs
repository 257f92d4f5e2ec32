//! Capability sets: read, drop, set (capabilities(7)).
//!
//! Mechanism: capget(2) and capset(2) in their third version (two words of 32 bits), prctl(2) for
//! the bounding and the ambient set, and the securebits that decide what a change of uid does.
//! See it live: `grep Cap /proc/PID/status`; the masks there are the ones of [`Sets`].
//! Contract: everything acts on the calling thread only, so call it in a process of one thread.
//! Left out: file capabilities (xattrs), and libcap's textual set language.

#![allow(unsafe_code)]

use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The five capability sets of a thread, each a bit mask (bit N is capability N).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets {
    /// What the kernel checks.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What survives exec where the file agrees.
    pub inheritable: u64,
    /// What can ever be gained.
    pub bounding: u64,
    /// What survives exec of an ordinary file for a user other than root.
    pub ambient: u64,
}

/// Every capability's name without `CAP_`, by number (linux/capability.h).
pub const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

/// CAP_SETPCAP, which dropping from the bounding set needs.
pub const SETPCAP: u8 = 8;
/// CAP_SYS_ADMIN.
pub const SYS_ADMIN: u8 = 21;
/// CAP_SYS_RESOURCE, which raising a hard limit needs.
pub const SYS_RESOURCE: u8 = 24;
/// CAP_MKNOD.
pub const MKNOD: u8 = 27;

/// The mask of every capability that has a name here.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The number behind `CAP_NET_ADMIN`, `net_admin` or `NET_ADMIN`; `None` if there is no such one.
pub fn number(name: &str) -> Option<u8> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == bare).map(|at| at as u8)
}

/// The mask behind one name, where `ALL` (or `CAP_ALL`) means every capability.
pub fn mask(name: &str) -> Option<u64> {
    let upper = name.trim().to_ascii_uppercase();
    match upper.as_str() {
        "ALL" | "CAP_ALL" => Some(ALL),
        _ => number(&upper).map(|n| 1 << n),
    }
}

/// The full names in a mask, in the kernel's order; a bit without a name is `CAP_<number>`.
pub fn names(mask: u64) -> Vec<String> {
    (0..64u8)
        .filter(|bit| mask & (1 << bit) != 0)
        .map(|bit| match NAMES.get(bit as usize) {
            Some(name) => format!("CAP_{name}"),
            None => format!("CAP_{bit}"),
        })
        .collect()
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits as two [`Data`].
const VERSION_3: u32 = 0x2008_0522;

impl Sets {
    /// The sets of the calling thread, by capget(2) and prctl(2); needs no /proc.
    pub fn of_self() -> Result<Self, SysError> {
        let mut header = Header { version: VERSION_3, pid: 0 };
        let mut data = [Data::default(); 2];
        // SAFETY: both pointers are to live values of the layout that version 3 prescribes.
        let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
        Errno::result(answer).or_sys("read the capabilities of this process")?;
        let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let mut sets = Self {
            effective: join(data[0].effective, data[1].effective),
            permitted: join(data[0].permitted, data[1].permitted),
            inheritable: join(data[0].inheritable, data[1].inheritable),
            ..Self::default()
        };
        for bit in 0..64u8 {
            match prctl(libc::PR_CAPBSET_READ, bit.into(), 0) {
                Ok(1) => sets.bounding |= 1 << bit,
                Ok(_) => {}
                Err(_) => break, // past the last capability this kernel knows
            }
            if prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET as u64, bit.into()) == Ok(1) {
                sets.ambient |= 1 << bit;
            }
        }
        Ok(sets)
    }

    /// True when the effective set holds capability `number`.
    pub fn can(&self, number: u8) -> bool {
        self.effective & (1 << number) != 0
    }
}

/// Sets the three sets that capset(2) knows. Raising needs the bit in permitted.
pub fn set(effective: u64, permitted: u64, inheritable: u64) -> Result<(), SysError> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let word = |shift: u32| Data {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [word(0), word(32)];
    // SAFETY: both pointers are to live values of the layout that version 3 prescribes.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    Errno::result(answer).or_sys("set the capabilities of this process").map(drop)
}

/// Drops from the bounding set whatever is not in `keep`. Needs CAP_SETPCAP for each bit dropped;
/// nothing ever adds a bit again.
pub fn limit_bounding(keep: u64) -> Result<(), SysError> {
    for bit in (0..64u8).filter(|bit| keep & (1 << bit) == 0) {
        match prctl(libc::PR_CAPBSET_READ, bit.into(), 0) {
            Ok(0) => {}
            Ok(_) => {
                let name = NAMES.get(bit as usize).copied().unwrap_or("?");
                prctl(libc::PR_CAPBSET_DROP, bit.into(), 0)
                    .or_sys_with(|| format!("drop CAP_{name} from the bounding set"))?;
            }
            Err(_) => break,
        }
    }
    Ok(())
}

/// Makes the ambient set exactly `wanted`. A bit must be both permitted and inheritable.
pub fn set_ambient(wanted: u64) -> Result<(), SysError> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)
        .or_sys("clear the ambient capabilities")?;
    for (bit, name) in NAMES.iter().enumerate().filter(|(bit, _)| wanted & (1 << bit) != 0) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, bit as u64)
            .or_sys_with(|| format!("make CAP_{name} ambient"))?;
    }
    Ok(())
}

/// Whether the permitted set outlives a change from uid 0 to another (PR_SET_KEEPCAPS). The
/// effective set is emptied by that change all the same; exec clears the flag.
pub fn keep_across_setuid(keep: bool) -> Result<(), SysError> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0)
        .or_sys("choose whether capabilities survive the change of user")
        .map(drop)
}

/// prctl(2) with two arguments, the unused ones zero as PR_CAP_AMBIENT insists.
fn prctl(option: libc::c_int, first: u64, second: u64) -> nix::Result<libc::c_int> {
    // SAFETY: none of the options used in this file takes a pointer.
    Errno::result(unsafe { libc::prctl(option, first, second, 0u64, 0u64) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_found_however_it_is_spelled() {
        for spelling in ["CAP_NET_ADMIN", "net_admin", "NET_ADMIN", "cap_net_admin"] {
            assert_eq!(number(spelling), Some(12), "{spelling}");
        }
        assert_eq!(number("NET_ADMIM"), None);
        assert_eq!(mask("all"), Some(0x1ff_ffff_ffff));
        assert_eq!(number("CHECKPOINT_RESTORE"), Some(40));
    }

    #[test]
    fn the_masks_are_those_of_proc_status() {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name)).expect("a Cap line");
            u64::from_str_radix(line[name.len()..].trim(), 16).expect("hex")
        };
        let sets = Sets::of_self().expect("capget");
        assert_eq!(sets.effective, field("CapEff:"));
        assert_eq!(sets.permitted, field("CapPrm:"));
        assert_eq!(sets.inheritable, field("CapInh:"));
        assert_eq!(sets.bounding, field("CapBnd:"));
        assert_eq!(sets.ambient, field("CapAmb:"));
    }

    /// A thread has sets of its own, so that the other tests keep theirs.
    #[test]
    fn bounding_then_sets_leaves_exactly_what_was_asked() {
        std::thread::spawn(|| {
            let before = Sets::of_self().expect("capget");
            if !before.can(SETPCAP) {
                eprintln!("skipped: dropping from the bounding set needs CAP_SETPCAP");
                return;
            }
            let keep = before.permitted & (mask("CHOWN").expect("known") | mask("KILL").expect("known"));
            limit_bounding(keep).expect("CAP_SETPCAP");
            set(keep, keep, 0).expect("only lowers");
            let after = Sets::of_self().expect("capget");
            assert_eq!(
                after,
                Sets { effective: keep, permitted: keep, bounding: keep, inheritable: 0, ambient: 0 }
            );
            assert_eq!(limit_bounding(0).map_err(|e| e.errno), Err(Errno::EPERM));
        })
        .join()
        .expect("the thread's assertions hold");
    }

    proptest! {
        #[test]
        fn names_and_masks_are_inverse(some in 0u64..=ALL) {
            let back = names(some).iter().map(|n| mask(n).expect("its own name")).fold(0, |a, b| a | b);
            prop_assert_eq!(back, some);
        }
    }
}
