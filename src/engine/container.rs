//! What is kept on disk of a container, and what is still true of it.
//!
//! A container is a folder `containers/ID` below the skiff root: `state.json` (its record), `request.json`
//! (what was asked for), `config.json` (its OCI runtime config), `upper` (its writable layer), `log.json`, and `lock`, which
//! the process that waits for it keeps locked (flock(2)) for as long as it lives. The record says what
//! was; the lock and the kernel say what is: after kill -9 the lock is free, and that is how `prune`
//! knows. A name is a symbolic link in `names/`, because symlink(2) fails if it exists: two `skiff`
//! at once cannot take the same one.

use super::error::Error;
pub use super::record::{Record, Status};
use super::volume;
use crate::kernel::{OrSys, SysError};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A container's folder and record.
#[derive(Debug)]
pub struct Container {
    pub(super) store: PathBuf,
    /// The record as last read or written.
    pub record: Record,
    pub(super) lock: Option<File>,
}

impl Container {
    /// Makes the folder, takes the name, takes the lock. [`Error::NameTaken`] if the name is taken.
    pub fn create(store: &Path, record: Record) -> Result<Self, Error> {
        let mut made = Self { store: store.to_owned(), record, lock: None };
        // Whatever is missing, a full disk or the name: no half of a container stays.
        made.furnish().inspect_err(|_| drop(fs::remove_dir_all(made.folder())))?;
        made.say("create", []);
        Ok(made)
    }

    fn furnish(&mut self) -> Result<(), Error> {
        let folder = self.folder();
        fs::create_dir_all(self.store.join("names")).or_sys_with(|| format!("make {}", self.store.display()))?;
        for part in ["upper", "work", "rootfs"] {
            fs::create_dir_all(folder.join(part)).or_sys_with(|| format!("make {}", folder.display()))?;
        }
        mode(&folder, 0o700)?;
        // Overlay takes the mode of its root from here, and everybody inside must get in.
        mode(&folder.join("upper"), 0o755)?;
        self.lock()?;
        self.write()?;
        self.take_name(&self.record.name)
    }

    /// Takes a name. [`Error::NameTaken`] if somebody has it.
    pub(super) fn take_name(&self, name: &str) -> Result<(), Error> {
        let link = self.name_link(name);
        let take = || std::os::unix::fs::symlink(format!("../containers/{}", self.record.id), &link);
        let taken = match take() {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && self.freed(&link)? => take(),
            taken => taken,
        };
        match taken {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let owner = fs::read_link(&link).ok().and_then(|l| l.file_name().map(|n| n.to_string_lossy().into_owned()));
                Err(Error::NameTaken { name: name.to_owned(), id: owner.unwrap_or_default() })
            }
            other => Ok(other.or_sys_with(|| format!("take the name {name}"))?),
        }
    }

    /// A name that leads nowhere is what stayed of a container that was removed while it was renamed:
    /// nobody has it. A container has its folder before its name, and its name no longer than its folder.
    fn freed(&self, link: &Path) -> Result<bool, SysError> {
        let names = File::open(self.store.join("names")).or_sys("open the names")?;
        // Only one at a time looks again and removes, or it would be another's new one.
        let _turn = Flock::lock(names, FlockArg::LockExclusive).map_err(|(_, e)| SysError::new("wait for the names", e))?;
        let nowhere = link.is_symlink() && !link.exists();
        Ok(nowhere && fs::remove_file(link).is_ok())
    }

    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.store.join("containers").join(&self.record.id)
    }
    /// The id.
    pub fn id(&self) -> &str {
        &self.record.id
    }
    /// The first twelve digits of the id, as Docker shows it.
    pub fn short_id(&self) -> &str {
        &self.record.id[..12.min(self.record.id.len())]
    }
    /// The name.
    pub fn name(&self) -> &str {
        &self.record.name
    }
    /// The skiff root it lies in.
    pub fn store(&self) -> &Path {
        &self.store
    }
    pub(super) fn name_link(&self, name: &str) -> PathBuf {
        self.store.join("names").join(name)
    }

    /// The status now: what the record says, unless nobody is there any more to make it true.
    pub fn status(&self) -> Status {
        match self.record.status {
            status if status.is_live() && !self.is_attended() => Status::Dead,
            status => status,
        }
    }

    /// A person has stopped it: no policy starts it again. Until somebody starts it by hand.
    pub fn halt(&self) -> Result<(), SysError> {
        let path = self.folder().join("halted");
        File::create(&path).map(drop).or_sys_with(|| format!("make {}", path.display()))
    }

    /// Has a person stopped it? Also when it is being removed.
    pub fn is_halted(&self) -> bool {
        let folder = self.folder();
        folder.join("halted").exists() || !folder.exists()
    }

    /// Removes what lies outside its processes: the cgroup, and whatever still runs in it.
    /// Namespaces and mounts went with the last process.
    pub fn release(&self) {
        super::network::join::leave(&self.store, &self.record.endpoints, &self.record.ports, &self.record.id);
        let _ = super::steps::cgroup::undo(&self.record.id);
        volume::device::released(&self.store, &self.record.mounts, &self.record.id);
    }

    /// Removes everything: cgroup, name, folder. What a user namespace owns is removed from inside one.
    /// Of its volumes those that nobody named go with `--rm`, as Docker has it.
    pub fn remove_all(&self) {
        self.remove_with(self.record.auto_remove);
    }

    /// The same; with its anonymous volumes, or without.
    pub fn remove_with(&self, volumes_too: bool) {
        self.release();
        let link = self.name_link(&self.record.name);
        if fs::read_link(&link).is_ok_and(|to| to.ends_with(&self.record.id)) {
            let _ = fs::remove_file(&link);
        }
        // Who attends it may write a last word into the folder between its files' end and its own.
        (0..3).take_while(|_| self.folder().exists()).for_each(|_| remove_tree(&self.folder()));
        self.say("destroy", []);
        volume::attach::leave(&self.store, &self.record.mounts, &self.record.id, volumes_too);
    }
}

/// Removes a folder, also what only root of a user namespace may.
pub fn remove_tree(folder: &Path) {
    if fs::remove_dir_all(folder).is_err() && folder.exists() {
        super::userland::remove_inside_user_namespace(folder);
    }
}

/// Sets a folder's mode, whatever the umask(2). The container's own is its owner's alone: a setuid
/// file that was left in the upper directory must not be there for other users of the host.
fn mode(folder: &Path, mode: u32) -> Result<(), SysError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).or_sys_with(|| format!("protect {}", folder.display()))
}
