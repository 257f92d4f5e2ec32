//! Where the learner works: on this machine, or in the lab. Either way by the commands that they would type.

use crate::lab::Place;
use crate::learn::Home;
use std::path::PathBuf;
use std::process::Command;

/// A place to work in.
#[derive(Debug, Clone)]
pub struct Seat {
    program: PathBuf,
    course: Option<PathBuf>,
    lab: Option<PathBuf>,
}

impl Seat {
    /// On this machine. `program` is drydock; `course` its folder where it is not the built-in one.
    pub fn here(program: PathBuf, course: Option<PathBuf>) -> Self {
        Self { program, course, lab: None }
    }

    /// In the lab of this learner, with the course that it carries.
    pub fn lab(program: PathBuf, home: &Home) -> Self {
        Self { program, course: None, lab: Some(home.folder.clone()) }
    }

    /// In the lab?
    pub fn is_lab(&self) -> bool {
        self.lab.is_some()
    }

    /// Can a command be run there without booting anything?
    pub fn is_up(&self) -> bool {
        self.lab.as_ref().is_none_or(|folder| Place::below(folder).connect().is_some())
    }

    /// The learner's shell; the lab's is booted for it.
    pub fn shell(&self) -> Command {
        let mut command = self.own();
        command.arg(if self.lab.is_some() { "lab" } else { "shell" });
        command
    }

    /// `drydock WORDS`, there.
    pub fn drydock(&self, words: &[&str]) -> Command {
        let mut command = self.own();
        if self.lab.is_some() {
            command.args(["lab", "run", "--", "drydock"]);
        }
        command.args(words);
        command
    }

    fn own(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(folder) = &self.course {
            command.arg("--course").arg(folder);
        }
        command
    }
}
