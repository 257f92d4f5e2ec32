//! A place of its own for each exercise: learners' homes and an engine's root, all gone afterwards.

use super::{ProveError, Setting, Typist, host};
use crate::kernel::OrSys;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of one exercise's cases.
pub struct Room {
    folder: PathBuf,
    drydock: PathBuf,
    docker: Option<String>,
    course: Option<PathBuf>,
}

/// A learner in a room: a home of their own.
pub struct Learner<'r> {
    room: &'r Room,
    /// DRYDOCK_HOME.
    pub home: PathBuf,
}

impl Room {
    /// Makes a folder of that name where temporary files go. `drydock` is the program to try.
    pub fn make(name: &str, drydock: &Path, docker: Option<String>, course: Option<PathBuf>) -> Result<Self, ProveError> {
        // Short: a learner's work folder lies deep in it, and a socket's path has 107 bytes (unix(7)).
        let name = format!("drydock-prove-{}-{}", std::process::id(), name.rsplit('/').next().unwrap_or(name));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        Ok(Self { folder, drydock: drydock.to_owned(), docker, course })
    }

    /// A learner who has not begun.
    pub fn learner(&self, name: &str) -> Learner<'_> {
        Learner { room: self, home: self.folder.join(name) }
    }

    fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("SKIFF_ROOT", self.folder.join("skiff")).env("DRYDOCK_HOME", home).env("NO_COLOR", "1").env_remove("DRYDOCK_COURSE");
        // A newcomer's home: no start-up file of ours changes the prompt, or forks at each.
        command.env("HOME", home);
        // What may be inherited from a learner's shell.
        command.env_remove("DRYDOCK_SHELL").env_remove("DRYDOCK_EXERCISE").env_remove("DRYDOCK_WORK").env_remove("DOCKER_HOST");
        if let Some(bash) = ["/bin/bash", "/usr/bin/bash"].iter().find(|b| Path::new(b).is_file()) {
            command.env("SHELL", bash);
        }
        if let Some(docker) = &self.docker {
            command.env("DOCKER_HOST", docker);
        }
        if let Some(course) = &self.course {
            command.env("DRYDOCK_COURSE", course);
        }
        command.stdin(Stdio::null());
        command
    }

    fn skiff(&self, args: &[&str]) {
        let skiff = self.drydock.with_file_name("skiff");
        let _ = self.command(&skiff, &self.folder).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Room {
    /// Makes the image `base` once, for [`Room::furnish`].
    pub fn make_base(&self) {
        self.skiff(&["run", "--rm", "base", "true"]);
    }

    /// Copies the images of another room's engine: each exercise would make the same again.
    pub fn furnish(&self, from: &Room) {
        let to = self.folder.join("skiff");
        let _ = std::fs::create_dir_all(&to);
        for part in ["images", "layers"] {
            let copied = Command::new("cp").arg("-a").arg(from.folder.join("skiff").join(part)).arg(&to).stderr(Stdio::null()).status();
            if !copied.is_ok_and(|s| s.success()) {
                // Half an image is worse than none: then the engine makes it.
                let _ = std::fs::remove_dir_all(&to);
                return;
            }
        }
    }

    /// Ids of the containers that are there now.
    pub fn containers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join("skiff/containers")).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let ids = self.containers();
        for id in &ids {
            self.skiff(&["rm", "-f", id]);
        }
        if self.folder.join("skiff").exists() {
            self.skiff(&["system", "prune", "-f"]);
        }
        host::end_all();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Learner<'_> {
    /// `drydock ARGS…`: its exit code and what it printed.
    pub fn drydock(&self, args: &[&str]) -> Result<(i32, String), ProveError> {
        let mut command = self.room.command(&self.room.drydock, &self.home);
        let output = host::output(command.args(args)).or_sys_with(|| format!("run {}", self.room.drydock.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let errors = text(&output.stderr);
        let code = output.status.code().unwrap_or(255);
        Ok((code, text(&output.stdout) + &errors))
    }

    /// As [`Learner::drydock`], where anything but success is an error.
    pub fn must(&self, args: &[&str]) -> Result<String, ProveError> {
        match self.drydock(args)? {
            (0, text) => Ok(text),
            (_, output) => Err(ProveError::Command { command: format!("drydock {}", args.join(" ")), output }),
        }
    }

    /// Opens `drydock shell` on a terminal of its own.
    pub fn shell(&self, setting: Setting) -> Result<Typist, ProveError> {
        let mut command = self.room.command(&self.room.drydock, &self.home);
        Typist::start(command.arg("shell"), setting)
    }
}
