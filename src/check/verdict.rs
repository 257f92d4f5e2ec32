//! What a check answers.

use serde::{Deserialize, Serialize};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is so.
    Passed,
    /// It may be so, and cannot be seen from here. Never counts as passed.
    CannotTell,
    /// It is not so.
    NotYet,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The check's id.
    pub check: String,
    /// How this thing stands.
    pub outcome: Outcome,
    /// What was expected, as a short fact.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Where it was read.
    pub at: String,
    /// What that means.
    pub meaning: String,
    /// What to do or read next, where the author says so.
    pub next: Option<String>,
}

/// All that was looked at, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst of the evidence: not yet, then cannot tell, then passed.
    pub outcome: Outcome,
    /// One entry for each thing that was looked at.
    pub evidence: Vec<Evidence>,
}

impl Verdict {
    /// Sums up.
    pub fn of(evidence: Vec<Evidence>) -> Self {
        // Nothing looked at is nothing proven.
        let outcome = evidence.iter().map(|e| e.outcome).max().unwrap_or(Outcome::CannotTell);
        Self { outcome, evidence }
    }

    /// 0 passed, 1 not yet, 2 cannot tell here.
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            Outcome::Passed => 0,
            Outcome::NotYet => 1,
            Outcome::CannotTell => 2,
        }
    }
}
