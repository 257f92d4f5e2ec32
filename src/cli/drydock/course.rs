//! `drydock course …`: for those who write it.

use super::Outcome;
use crate::course::{Course, lint};
use clap::Subcommand;

/// `drydock course …`.
#[derive(Debug, Subcommand)]
pub enum CourseCommand {
    /// List all that is wrong with the course's files
    Lint,
}

/// Runs it.
pub fn run(command: CourseCommand, course: &Course) -> Outcome {
    match command {
        CourseCommand::Lint => Ok(lint_all(course)),
    }
}

/// One line a finding. Exit code 1 if there is anything.
fn lint_all(course: &Course) -> u8 {
    let findings = lint::lint(course);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("nothing found");
    }
    u8::from(!findings.is_empty())
}
