//! What a config says of namespaces, as steps: which to enter, which to make, in which order.
//!
//! See also namespaces(7). Those that are there already come first, the user namespace among them
//! before the others, because it owns them; then a user namespace that is made; then all others,
//! which belong to it.

use super::host::Host;
use super::step::Step;
use super::steps::fork::Fork;
use super::steps::private::{Private, Propagation};
use super::steps::time_offsets::TimeOffsets;
use super::steps::unshare::Unshare;
use super::steps::userns::{UserNs, Writer};
use super::userland::user_namespace;
use crate::kernel::ns::Ns;
use crate::kernel::userns::{IdRange, is_host_root};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespace, LinuxNamespaceType, Spec};

/// The namespaces to make or enter, in our order. A new user namespace is not among them, see
/// [`user`]; one that is entered only where the config is somebody else's.
pub(super) fn of(spec: &Spec, foreign: bool) -> Vec<Unshare> {
    let step = |n: &LinuxNamespace| kind(n.typ()).map(|ns| Unshare { ns, path: n.path().clone().filter(|p| !p.as_os_str().is_empty()) });
    let mut all: Vec<Unshare> = listed(spec).iter().filter_map(step).filter(|u| u.ns != Ns::User || (foreign && u.path.is_some())).collect();
    all.sort_by_key(|u| Ns::ALL.iter().position(|ns| *ns == u.ns));
    if foreign {
        // The host's paths are wanted until the last of them is opened.
        all.sort_by_key(|u| (u.path.is_some() && u.ns == Ns::Mnt, u.ns != Ns::User));
    }
    all
}

fn listed(spec: &Spec) -> Vec<LinuxNamespace> {
    spec.linux().as_ref().and_then(|l| l.namespaces().clone()).unwrap_or_default()
}

/// The steps from the host's namespaces into the container's, to its first process.
pub(super) fn steps(spec: &Spec, own: &[Unshare], host: &Host) -> Vec<Step> {
    let mut steps = Vec::new();
    if host.rootless {
        steps.push(Step::UserNs(user_namespace(host)));
    }
    let (there, made): (Vec<Unshare>, Vec<Unshare>) = own.iter().cloned().partition(|u| u.path.is_some());
    let has = |kind| own.iter().any(|u| u.ns == kind);
    let makes_mounts = made.iter().any(|u| u.ns == Ns::Mnt);
    // What is there belongs to others, and nobody in a user namespace of ours has a right to it.
    steps.extend(there.into_iter().map(Step::Unshare));
    steps.extend(user(spec).map(Step::UserNs));
    steps.extend(made.into_iter().map(Step::Unshare));
    steps.extend(time_offsets(spec).map(Step::TimeOffsets));
    if makes_mounts {
        steps.push(Step::Private(Private { propagation: propagation(spec) }));
    }
    if has(Ns::Pid) || has(Ns::Time) {
        steps.push(Step::Fork(Fork {}));
    }
    steps
}

fn propagation(spec: &Spec) -> Propagation {
    let asked = spec.linux().as_ref().and_then(|l| l.rootfs_propagation().clone());
    match asked.as_deref() {
        Some("shared" | "rshared") => Propagation::Shared,
        Some("unbindable" | "runbindable") => Propagation::Unbindable,
        Some("slave" | "rslave") => Propagation::Slave,
        _ => Propagation::Private,
    }
}

/// The user namespace that a config asks to be made.
fn user(spec: &Spec) -> Option<UserNs> {
    let named = |n: &LinuxNamespace| n.path().as_ref().is_some_and(|p| !p.as_os_str().is_empty());
    listed(spec).iter().find(|n| n.typ() == LinuxNamespaceType::User && !named(n))?;
    let linux = spec.linux().as_ref()?;
    let map = |list: &Option<Vec<LinuxIdMapping>>| -> Vec<IdRange> {
        list.iter().flatten().map(|m| IdRange { inside: m.container_id(), outside: m.host_id(), count: m.size() }).collect()
    };
    let (uids, gids) = (map(linux.uid_mappings()), map(linux.gid_mappings()));
    let own = |map: &[IdRange], id: u32| matches!(map, [one] if one.count == 1 && one.outside == id);
    let writer = if is_host_root() || nix::unistd::geteuid().is_root() {
        Writer::Privileged
    } else if own(&uids, nix::unistd::geteuid().as_raw()) && own(&gids, nix::unistd::getegid().as_raw()) {
        Writer::Own
    } else {
        Writer::Granted
    };
    Some(UserNs { uids, gids, writer })
}

/// The clocks of a time namespace that is made.
fn time_offsets(spec: &Spec) -> Option<TimeOffsets> {
    let listed = spec.linux().as_ref()?.time_offsets().as_ref()?;
    let clocks = listed.iter().map(|(clock, offset)| (clock.clone(), (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0)))).collect();
    (!listed.is_empty()).then_some(TimeOffsets { clocks })
}

fn kind(kind: LinuxNamespaceType) -> Option<Ns> {
    Some(match kind {
        LinuxNamespaceType::Mount => Ns::Mnt,
        LinuxNamespaceType::Cgroup => Ns::Cgroup,
        LinuxNamespaceType::Uts => Ns::Uts,
        LinuxNamespaceType::Ipc => Ns::Ipc,
        LinuxNamespaceType::User => Ns::User,
        LinuxNamespaceType::Pid => Ns::Pid,
        LinuxNamespaceType::Network => Ns::Net,
        LinuxNamespaceType::Time => Ns::Time,
    })
}
