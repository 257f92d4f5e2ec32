//! How a verdict is shown.

use crate::check::{Evidence, Outcome, Verdict};
use colored::Colorize;

/// Prints a verdict: what stands in the way first; of what is right, one line each.
pub fn show(verdict: &Verdict) {
    for evidence in verdict.evidence.iter().filter(|e| e.outcome != Outcome::Passed) {
        one(evidence);
    }
    let passed: Vec<&Evidence> = verdict.evidence.iter().filter(|e| e.outcome == Outcome::Passed).collect();
    for evidence in passed {
        println!("{} {}", "passed:".green(), evidence.expected);
        println!("  found     {}, in {}", evidence.found, evidence.at);
    }
}

fn one(evidence: &Evidence) {
    let word = match evidence.outcome {
        Outcome::NotYet => "not yet:".yellow(),
        Outcome::CannotTell => "cannot tell here:".cyan(),
        Outcome::Passed => "passed:".green(),
    };
    println!("{word} {}", evidence.meaning);
    println!("  expected  {}", evidence.expected);
    println!("  found     {}, in {}", evidence.found, evidence.at);
    println!("  next      {}", evidence.next.as_deref().unwrap_or("drydock hint"));
}
