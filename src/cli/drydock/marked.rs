//! How a verdict is shown.

use crate::check::{Evidence, Outcome, Verdict};
use crate::cli::out;
use colored::Colorize;

/// Prints a verdict: what is right, one line each, then what stands in the way, and last how the
/// exercise stands. A pass is told by whoever keeps it.
pub fn show(verdict: &Verdict, title: &str) {
    let (right, open): (Vec<_>, Vec<_>) = verdict.evidence.iter().partition(|e| e.outcome == Outcome::Passed);
    for evidence in right {
        out::fact(&format!("{} ", "passed:".green()), &evidence.expected);
        found(evidence);
    }
    for evidence in open {
        one(evidence);
    }
    let how = match verdict.outcome {
        Outcome::Passed => return,
        Outcome::NotYet => "not yet",
        Outcome::CannotTell => "cannot be told here",
    };
    println!("\n{}", format!("{title}: {how}.").bold());
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
