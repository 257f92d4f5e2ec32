//! Who reads: anybody, or one learner at their own machine, whose values and paths the pages then have.

use crate::course::Facts;
use crate::learn::facts;
use std::path::PathBuf;

/// Who a book is built for.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The machine that the texts speak of.
    pub facts: Facts,
    /// Draws come from it.
    pub seed: String,
    /// The folder that has the learner's work folders in it.
    pub work: PathBuf,
    /// What `drydock compare vm-container` last measured here, as JSON.
    pub measured: Option<String>,
    /// The pages are given out by our server, and may ask it for the learner's progress.
    pub is_served: bool,
}

impl Reader {
    /// Anybody: control groups version 2, an ordinary user with sudo.
    pub fn anybody() -> Self {
        Self { facts: facts::imagined(false, false), seed: "book".into(), work: "~/.local/state/drydock/work".into(), measured: None, is_served: false }
    }

    /// Somebody who reads pages of our server.
    pub fn served(facts: Facts, seed: String, work: PathBuf) -> Self {
        Self { facts, seed, work, measured: None, is_served: true }
    }

    /// A learner in the lab: root, control groups version 2.
    pub fn in_lab(seed: String) -> Self {
        let facts = Facts { in_lab: true, ..facts::imagined(true, false) };
        Self::served(facts, seed, "/root/.local/state/drydock/work".into())
    }

    /// Whose machine and values the pages speak of, in a sentence or two.
    pub fn in_words(&self) -> &'static str {
        match (self.is_served, self.facts.in_lab) {
            (false, _) => "The book shows commands as they are on a machine with control groups version 2, for a user who needs `sudo`. Names and numbers in exercises are drawn for each learner; yours will be others.\n",
            (true, true) => "These pages are yours: commands are as you type them in the lab, and names and numbers in exercises are those that you are asked for. What you pass or answer here counts in the terminal too, and the other way round.\n",
            (true, false) => "These pages are yours: commands are as you type them on this machine, and names and numbers in exercises are those that you are asked for. What you pass or answer here counts in the terminal too, and the other way round.\n",
        }
    }

    /// An exercise's work folder.
    pub fn work(&self, id: &str) -> String {
        self.work.join(id.replace('/', "-")).display().to_string()
    }
}
