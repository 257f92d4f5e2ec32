//! What this machine can do for the course: the kernel's trials, by chapter and exercise.

use crate::kernel::trial::{self, Trial, which};

/// All trials, and what they mean for the course.
#[derive(Debug, Clone)]
pub struct Report {
    /// Each trial.
    pub trials: Vec<Trial>,
}

impl Report {
    /// Tries everything.
    pub fn make() -> Self {
        Self { trials: trial::all() }
    }

    /// Those that do not work.
    pub fn failed(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|t| !t.works())
    }

    /// One or two lines: can one begin?
    pub fn short(&self) -> String {
        let failed: Vec<&str> = self.failed().map(|t| t.name).collect();
        if failed.is_empty() {
            return "This machine can do everything that the course needs.".into();
        }
        format!("This machine can do the course, except: {}. `drydock doctor` says why, and the fix.", failed.join(", "))
    }
}

/// Where something of the course can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// On this machine.
    Here,
    /// In the lab VM, and why.
    Lab(String),
    /// Not in this lab either, and why.
    Nowhere(String),
}

/// Are we inside the lab? Its agent marks every session.
pub fn in_lab() -> bool {
    std::env::var_os("DRYDOCK_LAB").is_some()
}

/// Where an exercise can be done: where all its needs are met, and in the lab if it is made for it.
pub fn spot(exercise: &crate::course::exercise::Source, report: &Report) -> Spot {
    let missing = exercise.needs.iter().find_map(|need| met(need, report).err());
    match missing {
        Some(why) if in_lab() => Spot::Nowhere(why),
        Some(why) => Spot::Lab(why),
        None if exercise.place.as_deref() == Some("lab") && !in_lab() => Spot::Lab("it could do harm to this machine".into()),
        None => Spot::Here,
    }
}

/// Is one `need` of an exercise or an attempt met here? `Err` says what is missing.
pub fn met(need: &str, report: &Report) -> Result<(), String> {
    let root = nix::unistd::geteuid().is_root();
    match need {
        // Root means that the commands can be typed: as root, or by sudo.
        "root" => if root || which("sudo").is_some() { Ok(()) } else { Err("root, or sudo".into()) },
        "skiff" => Ok(()),
        "docker" => {
            let answers = std::process::Command::new("docker").args(["info", "--format", "{{.ID}}"]).stdin(std::process::Stdio::null()).output();
            if answers.is_ok_and(|o| o.status.success()) { Ok(()) } else { Err("a docker daemon that answers".into()) }
        }
        other => match report.trials.iter().find(|t| t.name == other) {
            Some(trial) => trial.failed.as_ref().map_or(Ok(()), |f| Err(format!("{}: {}", trial.what, f.cause))),
            None => if which(other).is_some() { Ok(()) } else { Err(format!("the program {other}")) },
        },
    }
}
