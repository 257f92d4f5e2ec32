//! Where a process's `/` lies among others': that of its ancestors, of its mount namespace, of the host.
//!
//! chroot(2) moves one pointer of one process, pivot_root(2) the root of a whole mount namespace
//! (mount_namespaces(7)). /proc/PID/root shows the first; the second is what a process meets at `/`
//! that enters the namespace from outside (setns(2) puts it there).

use super::Fact;
use crate::check::machine::Seen;
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::ns::Ns;
use crate::kernel::proc::Process;
use crate::kernel::visit;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One of its ancestors sits in a root below its own: it has climbed out of that.
pub(super) fn escaped(seen: &Seen) -> Fact {
    let at = format!("/proc/{}/root, and that of its ancestors", seen.pid());
    let expected = "a root above that of an ancestor";
    let unknown = || Fact::unknown(expected, format!("not readable: the process belongs to user {}", seen.uid), at.clone());
    let Ok(process) = seen.process() else { return unknown() };
    let (Ok(own), Ok(mounts)) = (process.link("root"), process.ns(Ns::Mnt)) else { return unknown() };
    let mut parent = process.parent().ok();
    while let Some(pid) = parent.filter(|pid| *pid > 0) {
        let Ok(ancestor) = Process::open(pid) else { break };
        // In another mount namespace the same path may be another place.
        if ancestor.ns(Ns::Mnt).is_ok_and(|theirs| theirs == mounts)
            && let Ok(root) = ancestor.link("root")
            && root != own
            && root.starts_with(&own)
        {
            let found = format!("its root is {}, that of process {pid}, which it descends from, is {}", own.display(), root.display());
            return Fact::is(true, expected, found, at);
        }
        parent = ancestor.parent().ok();
    }
    Fact::is(false, expected, format!("its root is {}, and no ancestor's is below that", own.display()), at)
}

/// Its root is that of its mount namespace: whoever enters the namespace comes out at the same place.
pub(super) fn pivoted(seen: &Seen) -> Fact {
    let at = format!("/ of mnt:[{}]", seen.namespaces().get(&Ns::Mnt).copied().unwrap_or_default());
    let expected = "the root of its mount namespace as its own";
    let place = |path: &str| std::fs::metadata(path).ok().map(|m| format!("device {}, inode {}", m.dev(), m.ino()));
    let own = place(&format!("/proc/{}/root/.", seen.pid()));
    match (own, visit::visit(seen.pid(), Ns::Mnt, || place("/"))) {
        (Some(own), Some(theirs)) if own == theirs => Fact::is(true, expected, own, at),
        (Some(own), Some(theirs)) => Fact::is(false, expected, format!("the namespace begins at {theirs}; its own root is {own}"), at),
        _ => Fact::unknown(expected, "its mount namespace may not be entered", at),
    }
}

/// What the host has at `/` is mounted nowhere that the process could walk to.
pub(super) fn sealed(seen: &Seen) -> Fact {
    let at = format!("/proc/{}/mountinfo", seen.pid());
    let expected = "no mount of the host's root";
    let top = |mounts: Vec<Mount>| mounts.into_iter().rfind(|m| m.target == Path::new("/"));
    let host = mountinfo::of(std::process::id() as i32).ok().and_then(top);
    let (Some(host), Ok(mounts)) = (host, seen.process().and_then(|p| p.mounts())) else { return Fact::unknown(expected, "not readable", at) };
    let same = |m: &&Mount| m.device == host.device && m.root == host.root;
    match mounts.iter().find(same) {
        Some(there) => Fact::is(false, expected, format!("{} of {} at {}", there.fstype, there.source, there.target.display()), at),
        None => Fact::is(true, expected, format!("{} mounts, none of them the host's root", mounts.len()), at),
    }
}
