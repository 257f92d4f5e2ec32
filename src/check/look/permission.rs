//! Mode and owner of a file (stat(2), inode(7)).
//!
//! Ids are as seen from here: in a user namespace of its own, a process sees others.

use super::Fact;
use crate::check::machine::Machine;
use crate::check::model::{FileIs, Mode, OwnerIs};
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

/// A file of the host; a link is followed.
pub(super) fn on_host(path: &str, look: impl Fn(&Metadata, &str) -> Fact) -> Fact {
    match std::fs::metadata(path) {
        Ok(meta) => look(&meta, path),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Fact::unknown(format!("a file {path}"), "a folder on the way to it may not be searched", path),
        Err(e) => Fact::is(false, format!("a file {path}"), e.kind().to_string(), path),
    }
}

/// A file that was opened, if only to be looked at.
pub(super) fn of_open(file: &File, wanted: &FileIs, machine: &Machine, at: String) -> Fact {
    let Ok(meta) = file.metadata() else { return Fact::unknown(format!("a file {}", wanted.path), "not readable", at) };
    let mode = wanted.mode.map(|m| mode(m, &meta, &at));
    let owner = wanted.owner.as_ref().map(|o| owner(o, &meta, machine, &at));
    Fact::all(mode.into_iter().chain(owner).collect())
}

/// Its permission bits, with set-user-ID, set-group-ID and sticky.
pub(super) fn mode(wanted: Mode, meta: &Metadata, at: &str) -> Fact {
    let found = Mode(meta.mode() & 0o7777);
    Fact::is(found == wanted, format!("mode {wanted}"), format!("mode {found}"), at)
}

/// Whose it is.
pub(super) fn owner(wanted: &OwnerIs, meta: &Metadata, machine: &Machine, at: &str) -> Fact {
    let uid = wanted.uid.as_ref().map(|uid| if uid.0 == "learner" { machine.scene.learner.to_string() } else { uid.0.clone() });
    let gid = wanted.gid.map(|gid| gid.0.to_string());
    let fact = |name: &str, wanted: &String, found: u32| Fact::is(found.to_string() == *wanted, format!("{name} {wanted}"), format!("{name} {found}"), at);
    let uid = uid.as_ref().map(|uid| fact("uid", uid, meta.uid()));
    let gid = gid.as_ref().map(|gid| fact("gid", gid, meta.gid()));
    Fact::all(uid.into_iter().chain(gid).collect())
}
