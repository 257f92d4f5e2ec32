//! The lab of a test: in a room of its own, with the kernel that tests/run unpacked into target/vm,
//! and never /dev/kvm, which a build machine seldom lends in earnest.

use super::{Room, source};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The boot image that tests/run fetched; its modules lie beside it.
pub fn kernel() -> Option<PathBuf> {
    let boot = std::fs::read_dir(source().join("target/vm/boot")).ok()?.flatten();
    boot.map(|e| e.path()).find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-")))
}

/// A room with a lab in it, which ends with it.
pub struct Lab {
    pub room: Room,
    /// One after another: each takes a processor for itself, and some look at all of our processes.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Lab {
    /// Nothing runs yet.
    pub fn new() -> Self {
        Self { room: Room::new(), _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// `drydock lab ARGS…` with the fetched kernel.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.drydock(&["lab", "--accel", "tcg", "--kernel"]);
        command.arg(kernel().expect("it was required")).args(arguments);
        command
    }

    /// `drydock lab run -- WORDS…`
    pub fn run(&self, words: &[&str]) -> Command {
        let mut command = self.command(&["run", "--"]);
        command.args(words);
        command
    }

    /// Leaves it running, so that each command needs no boot of its own.
    pub fn start(&self) {
        super::stdout(&mut self.command(&["start"]));
    }

    /// What `lab status --json` says.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self.command(&["status", "--json"]).output().expect("drydock runs");
        serde_json::from_slice(&output.stdout).ok().filter(|v: &serde_json::Value| !v.is_null())
    }

    /// The process ids of its keeper and of QEMU.
    pub fn processes(&self) -> [i32; 2] {
        let status = self.status().expect("it runs");
        ["keeper", "qemu"].map(|key| i32::try_from(status[key].as_i64().expect("a number")).expect("a process id"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
