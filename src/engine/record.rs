//! A container's record, state.json: what it is, how far it has come, and how it ended.
//!
//! It is written aside and renamed, so that a reader never sees half of it; who changes it reads it
//! again first, under the folder's lock (flock(2)), because `rename` and `update` may come while the
//! monitor notes an end. That its command runs is not in it: see [`Container::set_running`].

use super::container::Container;
use super::error::Error;
use super::health::Check;
use super::network::{Endpoint, Lookup, Published};
use super::request::Request;
use super::restart::Policy;
use super::volume::MountPoint;
use crate::image::Image;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

/// How far a container has come (OCI runtime spec, "State"; Docker's words).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, and never started.
    Created,
    /// Steps are being carried out, or it is held between two.
    Creating,
    /// Its command runs.
    Running,
    /// Its command has ended, and its policy will start it again in a moment.
    Restarting,
    /// Its command has ended.
    Exited,
    /// Whoever waited for it was killed; nobody knows how it ended.
    Dead,
}

impl Status {
    /// True while a process belongs to it, or soon will.
    pub fn is_live(self) -> bool {
        matches!(self, Status::Creating | Status::Running | Status::Restarting)
    }
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
    /// When the command was started last.
    #[serde(default)]
    pub started: Option<SystemTime>,
    /// When the command ended.
    pub finished: Option<SystemTime>,
    /// True when the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// Why it could not be started.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Removed when it ends (`--rm`).
    pub auto_remove: bool,
    /// Has a terminal of its own.
    pub tty: bool,
    /// `NAME=value`: the image's, and its own over them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What happens when its command ends.
    #[serde(default)]
    pub restart: Policy,
    /// How often that has happened since it was started by hand.
    #[serde(default)]
    pub restarts: u32,
    /// Its health check, the image's among what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Check>,
    /// The signal that stops it, a name or a number; SIGTERM where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds from that to SIGKILL; 10 where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// Its places in networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// The host's ports that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Published>,
    /// Its volumes and the host's folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountPoint>,
    /// How it finds names.
    #[serde(default, skip_serializing_if = "Lookup::is_plain")]
    pub lookup: Lookup,
    /// Its network is a tap device, without root.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tap: bool,
}

impl Record {
    /// The record of a container that is being made.
    pub fn creating(id: String, name: String, asked: &Request, image: &Image, command: Vec<String>) -> Self {
        let of_image = image.config.config().clone().unwrap_or_default();
        let mut labels: BTreeMap<String, String> = of_image.labels().clone().unwrap_or_default().into_iter().collect();
        labels.extend(asked.labels.clone());
        Self {
            id,
            name,
            image: asked.image.clone(),
            image_digest: image.digest.to_string(),
            command,
            created: SystemTime::now(),
            status: Status::Creating,
            pid: 0,
            exit_code: 0,
            started: None,
            finished: None,
            oom_killed: false,
            error: String::new(),
            auto_remove: asked.remove,
            tty: asked.tty,
            labels,
            restart: asked.restart,
            restarts: 0,
            health: None,
            stop_signal: asked.stop_signal.clone().or_else(|| of_image.stop_signal().clone()),
            stop_timeout: asked.stop_timeout,
            endpoints: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            lookup: asked.lookup.clone(),
            tap: false,
        }
    }
}

/// Reads the record in a container's folder, as it was written.
pub(super) fn read(folder: &Path) -> Result<Record, Error> {
    document(folder, "state.json")
}

/// Reads one of the documents in a container's folder; [`Error::Damaged`] where it is not what was written.
pub(super) fn document<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, Error> {
    let path = folder.join(name);
    let text = fs::read(&path).or_sys_with(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| Error::Damaged { path, reason: e.to_string() })
}

impl Container {
    /// Writes the record.
    pub fn write(&self) -> Result<(), SysError> {
        let path = self.folder().join("state.json");
        let aside = self.folder().join("state.json.new");
        let text = serde_json::to_vec_pretty(&self.record).map_err(|_| SysError::new("write the state", Errno::EINVAL))?;
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path)).or_sys_with(|| format!("write {}", path.display()))
    }

    /// Changes the record as it is on disk by now.
    pub fn change(&mut self, with: impl FnOnce(&mut Record)) -> Result<(), Error> {
        let folder = self.folder();
        let guard = File::open(&folder).or_sys_with(|| format!("open {}", folder.display()))?;
        guard.lock().or_sys_with(|| format!("lock {}", folder.display()))?;
        self.record = read(&folder)?;
        with(&mut self.record);
        self.write()?;
        self.look_whether_it_runs();
        Ok(())
    }

    /// Notes the pid of its first process.
    pub fn set_pid(&mut self, pid: i32) -> Result<(), SysError> {
        self.record.pid = pid;
        self.write()
    }

    /// Notes that its command runs, as a symbolic link whose target is the pid; its age is the command's.
    ///
    /// Not in the record: renaming over a file makes ext4 write the new one to the disk first, which
    /// would be a tenth of a short run's time. A link is made in one call, and lies in the inode:
    /// no block of the disk is taken for it, and none to be given back.
    pub fn set_running(&mut self) -> Result<(), SysError> {
        self.record.status = Status::Running;
        let path = self.folder().join("running");
        std::os::unix::fs::symlink(self.record.pid.to_string(), &path).or_sys_with(|| format!("write {}", path.display()))
    }

    /// The other way: reads that link, if there is one.
    pub(super) fn look_whether_it_runs(&mut self) {
        if self.record.status != Status::Creating {
            return;
        }
        let path = self.folder().join("running");
        let target = fs::read_link(&path).ok().and_then(|pid| pid.to_str()?.parse().ok());
        if let Some(pid) = target {
            self.record.status = Status::Running;
            self.record.pid = pid;
            self.record.started = fs::symlink_metadata(&path).and_then(|m| m.modified()).ok();
        }
    }

    /// Notes how its command ended, and that it will be started again if `again`.
    pub fn set_ended(&mut self, code: i32, oom_killed: bool, again: bool) -> Result<(), Error> {
        let link = self.folder().join("running");
        let started = fs::symlink_metadata(&link).and_then(|m| m.modified()).ok();
        self.change(|record| {
            record.status = if again { Status::Restarting } else { Status::Exited };
            record.restarts += u32::from(again);
            record.pid = 0;
            record.exit_code = code;
            record.oom_killed = oom_killed;
            record.started = started.or(record.started);
            record.finished = Some(SystemTime::now());
            // They were given back: somebody else may have them by now.
            record.endpoints.clear();
            record.ports.clear();
        })?;
        let _ = fs::remove_file(link);
        Ok(())
    }
}
