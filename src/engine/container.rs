//! What is kept on disk of a container, and what is still true of it.
//!
//! A container is a folder `containers/ID` below the skiff root: `state.json` (this file's record),
//! `config.json` (its OCI runtime config), `upper` (its writable layer), `log.json`, and `lock`, which
//! the process that waits for it keeps locked (flock(2)) for as long as it lives. The record says what
//! was; the lock and the kernel say what is: after kill -9 the lock is free, and that is how `prune`
//! knows. A name is a symbolic link in `names/`, because symlink(2) fails if it exists: two `skiff`
//! at once cannot take the same one.

use super::error::Error;
use super::network::{Endpoint, Published};
use super::volume::{self, MountPoint};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How far a container has come (OCI runtime spec, "State").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Steps are being carried out, or it is held between two.
    Creating,
    /// Its command runs.
    Running,
    /// Its command has ended.
    Exited,
    /// Whoever waited for it was killed; nobody knows how it ended.
    Dead,
}

/// The record, as it is in state.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name that a person uses.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// Digest of that image's manifest then: the name may stand for another by now.
    #[serde(default)]
    pub image_digest: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// When it was created.
    pub created: SystemTime,
    /// Status when this was written.
    pub status: Status,
    /// Host pid of its first process; 0 when there is none.
    pub pid: i32,
    /// Exit code of its command.
    pub exit_code: i32,
    /// When the command ended.
    pub finished: Option<SystemTime>,
    /// True when the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// Removed when it ends (`--rm`).
    pub auto_remove: bool,
    /// Has a terminal of its own.
    pub tty: bool,
    /// Its places in networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// The host's ports that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Published>,
    /// Its volumes and the host's folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountPoint>,
}

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
        let name = self.name_link(&self.record.name);
        match std::os::unix::fs::symlink(format!("../containers/{}", self.record.id), &name) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let owner = fs::read_link(&name).ok().and_then(|l| l.file_name().map(|n| n.to_string_lossy().into_owned()));
                Err(Error::NameTaken { name: self.record.name.clone(), id: owner.unwrap_or_default() })
            }
            other => Ok(other.or_sys_with(|| format!("take the name {}", self.record.name))?),
        }
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
    fn name_link(&self, name: &str) -> PathBuf {
        self.store.join("names").join(name)
    }

    /// The status now: what the record says, unless nobody is there any more to make it true.
    pub fn status(&self) -> Status {
        match self.record.status {
            Status::Creating | Status::Running if !self.is_attended() => Status::Dead,
            status => status,
        }
    }

    /// Writes the record: aside, then renamed, so that a reader never sees half of it.
    pub fn write(&self) -> Result<(), SysError> {
        let path = self.folder().join("state.json");
        let aside = self.folder().join("state.json.new");
        let text = serde_json::to_vec_pretty(&self.record).map_err(|_| SysError::new("write the state", Errno::EINVAL))?;
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).or_sys_with(|| format!("write {}", path.display()))
    }

    /// Notes the pid of its first process.
    pub fn set_pid(&mut self, pid: i32) -> Result<(), SysError> {
        self.record.pid = pid;
        self.write()
    }

    /// Notes that its command runs, as a symbolic link whose target is the pid.
    ///
    /// Not in the record: renaming over a file makes ext4 write the new one to the disk first, which
    /// would be a tenth of a short run's time. A link is made in one call, and lies in the inode:
    /// no block of the disk is taken for it, and none to be given back.
    pub fn set_running(&mut self) -> Result<(), SysError> {
        self.record.status = Status::Running;
        let path = self.folder().join("running");
        std::os::unix::fs::symlink(self.record.pid.to_string(), &path).or_sys_with(|| format!("write {}", path.display()))
    }

    /// Notes how its command ended.
    pub fn set_exited(&mut self, code: i32, oom_killed: bool) -> Result<(), SysError> {
        self.record.status = Status::Exited;
        self.record.pid = 0;
        self.record.exit_code = code;
        self.record.oom_killed = oom_killed;
        self.record.finished = Some(SystemTime::now());
        self.write()
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
        remove_tree(&self.folder());
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
