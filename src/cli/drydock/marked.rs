//! How a verdict is shown.

use crate::check::{Evidence, Outcome, Verdict};
use crate::cli::out;
use colored::Colorize;

/// Prints a verdict: what stands in the way first; of what is right, one line each.
pub fn show(verdict: &Verdict) {
    for evidence in verdict.evidence.iter().filter(|e| e.outcome != Outcome::Passed) {
        one(evidence);
    }
    for evidence in verdict.evidence.iter().filter(|e| e.outcome == Outcome::Passed) {
        out::fact(&format!("{} ", "passed:".green()), &evidence.expected);
        found(evidence);
    }
}

fn one(evidence: &Evidence) {
    let word = match evidence.outcome {
        Outcome::NotYet => "not yet:".yellow(),
        Outcome::CannotTell => "cannot tell here:".cyan(),
        Outcome::Passed => "passed:".green(),
    };
    out::fact(&format!("{word} "), &evidence.meaning);
    out::fact("  expected  ", &evidence.expected);
    found(evidence);
    out::fact("  next      ", evidence.next.as_deref().unwrap_or("drydock hint"));
}

fn found(evidence: &Evidence) {
    out::fact("  found     ", &format!("{}, in {}", evidence.found, evidence.at));
}
