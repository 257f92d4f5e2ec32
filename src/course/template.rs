//! Texts adapt to the host: tera, with the host's facts and the learner's draws.

use super::Error;
use serde::Serialize;
use std::collections::BTreeMap;

/// What texts may depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The commands typed are root's.
    pub root: bool,
    /// `sudo ` where it is needed, else nothing.
    pub sudo: String,
    /// `skiff` as root runs it; sudo keeps to a PATH of its own, so there it is named in full.
    pub sudo_skiff: &'static str,
    /// We are in the lab VM.
    pub in_lab: bool,
    /// Control groups.
    pub cgroup: CgroupFacts,
    /// The machine.
    pub host: HostFacts,
}

/// Where control groups are here, and what their files are called.
#[derive(Debug, Clone, Serialize)]
pub struct CgroupFacts {
    /// 1 or 2: which version governs memory.
    pub version: u8,
    /// Directory of the memory controller's hierarchy.
    pub memory: String,
    /// Directory of the cpu controller's hierarchy.
    pub cpu: String,
    /// Directory of the pids controller's hierarchy.
    pub pids: String,
    /// `memory.max` or `memory.limit_in_bytes`.
    pub memory_max: String,
    /// The file of the processes' limit.
    pub pids_max: String,
    /// The file of the CPU quota.
    pub cpu_max: String,
}

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct HostFacts {
    /// As `uname -r` prints it.
    pub kernel: String,
    /// Its name.
    pub hostname: String,
}

/// What is put into texts: facts, draws, the exercise's work folder.
#[derive(Debug, Clone)]
pub struct Values(tera::Context);

impl Values {
    /// Of a text that belongs to no exercise.
    pub fn of(facts: &Facts) -> Self {
        let mut context = tera::Context::new();
        context.insert("root", &facts.root);
        context.insert("sudo", &facts.sudo);
        context.insert("sudo_skiff", &facts.sudo_skiff);
        context.insert("in_lab", &facts.in_lab);
        context.insert("cgroup", &facts.cgroup);
        context.insert("host", &facts.host);
        Self(context)
    }

    /// Adds the draws and the work folder of an exercise.
    pub fn with(mut self, draws: &BTreeMap<String, serde_json::Value>, work: &str) -> Self {
        for (name, value) in draws {
            self.0.insert(name.clone(), value);
        }
        self.0.insert("work", work);
        self
    }

    /// Renders a text; `file` and `line` say where it stands, for the error.
    pub fn render(&self, text: &str, file: &str, line: usize) -> Result<String, Error> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(text.to_owned());
        }
        tera::Tera::one_off(text, &self.0, false).map_err(|e| {
            let mut problem = e.to_string();
            let mut cause = std::error::Error::source(&e);
            while let Some(inner) = cause {
                problem = inner.to_string();
                cause = inner.source();
            }
            Error::File { file: file.to_owned(), line, problem: format!("the template cannot be filled in: {}", problem.replace('\n', " ")) }
        })
    }
}
