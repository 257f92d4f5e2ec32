//! Mounts, root and /proc of a process: /proc/PID/mountinfo and /proc/PID/root (proc(5)).

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::{MountIs, Root};
use crate::kernel::error::errno_of;
use crate::kernel::mount::open_in_root;
use crate::kernel::mountinfo::Mount;
use crate::kernel::ns::Ns;
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The /proc that the process sees shows its own pid namespace: process 1 in it is in that namespace.
/// It must be a real proc: a directory of links with the right names would be easy to make.
pub(super) fn own_proc(seen: &Seen) -> Fact {
    let at = format!("/proc/{}/root/proc/1/ns/pid", seen.pid());
    let expected = "a /proc of its own PID namespace";
    let Some(own) = seen.namespaces().get(&Ns::Pid) else {
        return Fact::unknown(expected, format!("not readable: the process belongs to user {}", seen.uid), at);
    };
    match shown_namespace(seen) {
        Ok(shown) => Fact::is(shown == *own, expected, format!("it shows pid:[{shown}], the process is in pid:[{own}]"), at),
        // Process 1 of the shown namespace is somebody else's: so it is the host's.
        Err(Errno::EACCES | Errno::EPERM) => Fact::is(false, expected, "it shows processes of other users", at),
        Err(_) => Fact::is(false, expected, "no proc file system there", at),
    }
}

/// The pid namespace of process 1 in the proc file system that the process has at /proc.
fn shown_namespace(seen: &Seen) -> Result<u64, Errno> {
    let root = File::open(format!("/proc/{}/root", seen.pid())).map_err(|e| errno_of(&e))?;
    // O_PATH without following the last link; both ends must lie in a proc file system.
    let open = |path: &str| open_in_root(&root, Path::new(path), libc::O_PATH | libc::O_DIRECTORY, 0).map_err(|e| e.errno);
    let folder = open("proc/1/ns")?;
    for fd in [&open("proc")?, &folder] {
        if fstatfs(fd)?.filesystem_type() != PROC_SUPER_MAGIC {
            return Err(Errno::ENODEV);
        }
    }
    let link = readlinkat(folder.as_fd(), "pid")?;
    let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| Errno::EBADMSG)
}

/// Its root file system.
pub(super) fn root(wanted: &Root, seen: &Seen, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let at = format!("/proc/{}/root", seen.pid());
    match wanted {
        Root::Escaped => super::root::escaped(seen),
        Root::Pivoted => super::root::pivoted(seen),
        Root::Sealed => super::root::sealed(seen),
        Root::Own | Root::Host => {
            let expected = if *wanted == Root::Own { "a root file system of its own" } else { "the host's root file system" };
            let (Ok(theirs), Ok(ours)) = (std::fs::metadata(format!("{at}/.")), std::fs::metadata("/")) else {
                return Fact::unknown(expected, "not readable", at);
            };
            let same = (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino());
            let found = if same { "the host's".to_owned() } else { format!("device {}, inode {}", theirs.dev(), theirs.ino()) };
            Fact::is(same == (*wanted == Root::Host), expected, found, at)
        }
        Root::Type(fstype) => {
            let at = format!("/proc/{}/mountinfo", seen.pid());
            match root_mount(seen) {
                Some(mount) => Fact::is(mount.fstype == *fstype, format!("a root of type {fstype}"), mount.fstype, at),
                // chroot into a directory: no mount begins there, so its table has no line for `/`.
                None if seen.process().and_then(|p| p.mounts()).is_ok() => Fact::is(false, format!("a root of type {fstype}"), "a directory, where no mount begins", at),
                None => Fact::unknown(format!("a root of type {fstype}"), "not readable", at),
            }
        }
        Root::SameLayersAs(other) => {
            let at = format!("lowerdir in /proc/{}/mountinfo", seen.pid());
            let expected = format!("the same read-only layers as `{other}`");
            let layers = |seen: &Seen| root_mount(seen).and_then(|m| m.super_option("lowerdir").map(base_names));
            match (layers(seen), chosen.get(other.as_str()).and_then(|s| layers(s))) {
                (Some(a), Some(b)) => Fact::is(a == b, expected, a, at),
                _ => Fact::is(false, expected, "no overlay root to compare", at),
            }
        }
    }
}

/// Layers by the end of their path: engines spell the same folder relative to different places.
///
/// Docker lays a layer of each container's own, with mount points such as /etc/hosts, between the
/// image and the upper directory. It is not the image's, so it does not count: overlay2 calls its
/// folder `ID-init`; a containerd snapshot does not tell, so there the topmost of several goes.
fn base_names(lowerdir: &str) -> String {
    let mut layers: Vec<&str> = lowerdir.split(':').collect();
    let of_the_engine = |path: &str| {
        let leads_to = std::fs::read_link(path).unwrap_or_default();
        leads_to.parent().unwrap_or(Path::new("")).to_string_lossy().ends_with("-init") || path.contains("/io.containerd.snapshotter")
    };
    if layers.len() > 1 && of_the_engine(layers[0]) {
        layers.remove(0);
    }
    let name = |path: &str| {
        let path = path.trim_end_matches("/diff").trim_end_matches("/fs");
        path.rsplit('/').next().unwrap_or(path).to_owned()
    };
    layers.into_iter().map(name).collect::<Vec<_>>().join(":")
}

/// The topmost mount at `/`.
fn root_mount(seen: &Seen) -> Option<Mount> {
    seen.process().and_then(|p| p.mounts()).ok()?.into_iter().rfind(|m| m.target == Path::new("/"))
}

/// A mount that it sees, or must not see.
pub(super) fn mount(wanted: &MountIs, seen: &Seen) -> Fact {
    let at = format!("/proc/{}/mountinfo", seen.pid());
    let kind = wanted.fstype.as_ref().map(|t| format!(" of type {t}")).unwrap_or_default();
    let with = if wanted.options.is_empty() { String::new() } else { format!(" ({})", wanted.options.join(",")) };
    let expected = format!("{}a mount at {}{kind}{with}", if wanted.absent { "no, not " } else { "" }, wanted.at);
    let Ok(mounts) = seen.process().and_then(|p| p.mounts()) else { return Fact::unknown(expected, "not readable", at) };
    let there: Vec<&Mount> = mounts.iter().filter(|m| m.target == Path::new(&wanted.at)).collect();
    let fits = |m: &&&Mount| {
        wanted.fstype.as_ref().is_none_or(|t| *t == m.fstype) && wanted.options.iter().all(|o| m.options.contains(o) || m.super_options.contains(o))
    };
    let so = there.iter().any(|m| fits(&m)) != wanted.absent;
    let found = there.last().map_or("none".to_owned(), |m| format!("{} ({})", m.fstype, m.options.join(",")));
    Fact::is(so, expected, found, at)
}
