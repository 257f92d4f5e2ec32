//! `drydock course …`: for those who write it.

use crate::course::{Course, lint};

/// Lists all that is wrong, one line each. Exit code 1 if there is anything.
pub fn lint(course: &Course) -> u8 {
    let findings = lint::lint(course);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("nothing found");
    }
    u8::from(!findings.is_empty())
}
