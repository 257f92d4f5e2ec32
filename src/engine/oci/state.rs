//! What is kept of a container between two calls (OCI runtime spec, runtime.md, "State").
//!
//! A folder a container, below the runtime's root: `state.json` (who it is), `config.json` as it was
//! at `create` (later edits of the bundle change nothing), and `start.sock` for as long as it waits to
//! be started. No process of ours stays, so the state is worked out at each look: from the process,
//! that socket, and the freezer.
//! See it live: `ls /run/skiff-oci/ID`.
//! Contract: a pid counts together with the time at which its process started, so that one that was
//! given to somebody else is never mistaken for it.

use super::error::Error;
use crate::engine::host::layout;
use crate::kernel::cgroup::{Cgroup, Controller};
use crate::kernel::error::errno_of;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::proc::Process;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use oci_spec::runtime::Spec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    Creating,
    /// Made, and waiting for start.
    Created,
    /// Its command runs.
    Running,
    /// Its processes stand still; not the spec's word, but everybody's.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl Status {
    /// As the spec spells it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// What `state` prints and hooks read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the spec that its config follows.
    pub oci_version: String,
    /// Its id.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Its process; 0 when that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Where its config.json came from.
    pub bundle: PathBuf,
    /// As in the config.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl State {
    /// The state of a container that is being made.
    pub fn creating(id: &str, bundle: &Path, spec: &Spec) -> Self {
        let annotations = spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { oci_version: spec.version().clone(), id: id.to_owned(), status: Status::Creating, pid: None, bundle: bundle.to_owned(), annotations }
    }
}

/// What is kept on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Its bundle, absolute.
    pub bundle: PathBuf,
    /// Its root, absolute.
    pub rootfs: PathBuf,
    /// Its process, once there is one.
    pub pid: i32,
    /// When that started, in the kernel's ticks.
    pub started: u64,
    /// When it was made.
    pub created: SystemTime,
    /// Its cgroup's name below each hierarchy's base.
    pub cgroup: String,
    /// Who made it.
    pub owner: u32,
}

/// A container's folder.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub at: PathBuf,
    /// What it holds.
    pub kept: Kept,
}

/// An id is used as the name of a folder and of a cgroup.
pub fn check_id(id: &str) -> Result<(), Error> {
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.'));
    if id.is_empty() || id == "." || id == ".." || id.len() > 1024 || !plain { Err(Error::BadId { id: id.to_owned() }) } else { Ok(()) }
}

impl Folder {
    /// Makes the folder of a container that is to be.
    pub fn make(root: &Path, kept: Kept) -> Result<Self, Error> {
        check_id(&kept.id)?;
        let mut builder = DirBuilder::new();
        builder.mode(0o711).recursive(true).create(root).or_sys_with(|| format!("make {}", root.display()))?;
        let at = root.join(&kept.id);
        // Ours alone: who could connect to the socket in it could start the container.
        match builder.mode(0o700).recursive(false).create(&at).map_err(|e| errno_of(&e)) {
            Err(Errno::EEXIST) => return Err(Error::Exists { id: kept.id }),
            other => other.or_sys_with(|| format!("make {}", at.display()))?,
        }
        let folder = Self { at, kept };
        folder.write().inspect_err(|_| folder.remove())?;
        Ok(folder)
    }

    /// The folder of a container that there is.
    pub fn find(root: &Path, id: &str) -> Result<Self, Error> {
        check_id(id)?;
        let at = root.join(id);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            _ => return Err(Error::NoContainer { id: id.to_owned() }),
        }
        let kept = document(&at.join("state.json"))?;
        Ok(Self { at, kept })
    }

    /// All of them, by id; what is damaged is left out.
    pub fn all(root: &Path) -> Vec<Self> {
        let mut ids: Vec<String> = fs::read_dir(root).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        ids.sort();
        ids.iter().filter_map(|id| Self::find(root, id).ok()).collect()
    }

    /// Its config as it was at `create`.
    pub fn spec(&self) -> Result<Spec, Error> {
        document(&self.at.join("config.json"))
    }

    /// Writes what is kept, aside first.
    pub fn write(&self) -> Result<(), SysError> {
        let text = serde_json::to_vec(&self.kept).map_err(|_| SysError::new("write state.json", Errno::EINVAL))?;
        put(&self.at.join("state.json"), &text)
    }

    /// Where it waits to be started.
    pub fn door(&self) -> PathBuf {
        self.at.join("start.sock")
    }

    /// Its process, if that still runs.
    pub fn process(&self) -> Option<Pidfd> {
        let held = Pidfd::open(self.kept.pid).ok().filter(|_| self.kept.pid > 0)?;
        // Looked at after it was opened: what is read here is that process's, or of none.
        let process = Process::open(self.kept.pid).ok()?;
        (process.start().ok()? == self.kept.started && !held.is_over()).then_some(held)
    }

    /// Where it is in its life.
    pub fn status(&self) -> Status {
        if self.kept.pid == 0 {
            return Status::Creating;
        }
        if self.process().is_none() {
            return Status::Stopped;
        }
        match (self.door().exists(), self.cgroup().ok().flatten().is_some_and(|group| group.is_frozen())) {
            (true, _) => Status::Created,
            (_, true) => Status::Paused,
            _ => Status::Running,
        }
    }

    /// What `state` prints.
    pub fn state(&self) -> Result<State, Error> {
        Ok(self.state_in(self.status(), &self.spec()?))
    }

    /// What it would print where the container is there in its life.
    pub(super) fn state_in(&self, status: Status, spec: &Spec) -> State {
        let pid = if matches!(status, Status::Stopped | Status::Creating) { 0 } else { self.kept.pid };
        State { status, pid: Some(pid), ..State::creating(&self.kept.id, &self.kept.bundle, spec) }
    }

    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Result<Option<Cgroup>, Error> {
        Ok(Cgroup::open(&layout()?, &self.kept.cgroup)?)
    }

    /// What freezes it.
    pub fn freezer(&self) -> Result<Cgroup, Error> {
        let group = self.cgroup()?.filter(|g| g.unified().is_some() || g.directory(Controller::Freezer).is_some());
        group.ok_or_else(|| super::error::refused("the freezer", "this container has no cgroup of its own that has one", "run it as root, or where a cgroup was delegated"))
    }

    /// Removes the folder.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.at);
    }
}

/// Reads a JSON document.
pub fn document<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bad = |reason: String| Error::Document { path: path.to_owned(), reason };
    let text = fs::read(path).map_err(|e| bad(format!("{:?}", errno_of(&e))))?;
    serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))
}

/// Writes a file so that nobody ever reads half of it.
pub fn put(path: &Path, text: &[u8]) -> Result<(), SysError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let aside = path.with_file_name(name);
    fs::write(&aside, text).and_then(|()| fs::rename(&aside, path)).or_sys_with(|| format!("write {}", path.display()))
}
