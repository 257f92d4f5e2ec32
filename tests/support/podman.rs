//! Podman with a store, a run folder and a mount namespace of its own, which leaves nothing.
//!
//! What it needs said here and there: no events and no cgroups of its own (it would leave
//! `libpod_parent`), limits below what this user may have (its defaults are a big host's), and
//! crun(1) refuses a host where cgroup v1 has controllers and the unified tree beside it too, so that
//! tree is taken out of its sight.

use super::{Room, host};
use std::process::Command;

/// A podman for one test.
pub struct Podman {
    room: Room,
    /// The OCI runtime that it calls.
    runtime: String,
    /// Podman takes no path of more than 50 letters for what it keeps while it runs.
    run: tempfile::TempDir,
}

impl Podman {
    /// An empty store, and crun under it.
    pub fn new() -> Self {
        Self::with_runtime("crun")
    }

    /// An empty store, and another runtime under it: a name, or a path.
    pub fn with_runtime(runtime: &str) -> Self {
        host::adopt_orphans();
        let run = tempfile::Builder::new().prefix("podman-").tempdir_in("/tmp").expect("a temporary folder");
        // Its locks would lie in /dev/shm, and stay there.
        std::fs::write(run.path().join("containers.conf"), "[engine]\nlock_type = \"file\"\n").expect("the folder is ours");
        Self { room: Room::new(), runtime: runtime.to_owned(), run }
    }

    /// `podman WORDS…`.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_by(&self.runtime, words)
    }

    fn command_by(&self, runtime: &str, words: &[&str]) -> Command {
        let at = |name: &str| self.room.path().join(name).display().to_string();
        let mut command = self.room.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.args(["umount /sys/fs/cgroup/unified 2>/dev/null; exec podman \"$@\"", "podman"]);
        command.args(["--root", &at("root"), "--tmpdir", &at("tmp"), "--storage-driver", "vfs", "--runroot"]).arg(self.run.path());
        command.args(["--runtime", runtime, "--cgroup-manager", "cgroupfs", "--events-backend", "none"]).args(words);
        command.env("TMPDIR", self.room.path()).env("CONTAINERS_CONF", self.run.path().join("containers.conf")).env("HOME", self.room.path()).env_remove("XDG_RUNTIME_DIR");
        command
    }

    /// `podman run --rm WORDS…`, with no network.
    pub fn run(&self, words: &[&str]) -> Command {
        self.run_by(&self.runtime, words)
    }

    /// The same by another runtime.
    pub fn run_by(&self, runtime: &str, words: &[&str]) -> Command {
        // Podman asks only those runtimes for no cgroup of which it knows that they can.
        let parent = self.cgroup();
        let group = if runtime == "crun" { ["--cgroups", "disabled"] } else { ["--cgroup-parent", &parent] };
        let fixed = ["run", "--rm", "--network", "none", group[0], group[1], "--ulimit", "nofile=512:512", "--ulimit", "nproc=1000:1000"];
        self.command_by(runtime, &[fixed.as_slice(), words].concat())
    }

    /// The cgroup above those of its containers and their monitors.
    fn cgroup(&self) -> String {
        format!("/drydock-{}", self.run.path().file_name().unwrap_or_default().to_string_lossy())
    }

    /// The room it lives in.
    pub fn room(&self) -> &Room {
        &self.room
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // The monitors of its containers come to the test when podman has gone.
        host::end_orphans(&self.run.path().display().to_string());
        for hierarchy in host::hierarchies() {
            host::remove_cgroup(&hierarchy.join(self.cgroup().trim_start_matches('/')));
        }
    }
}
