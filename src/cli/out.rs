//! What both binaries share in output: width, wrapping, headings.

use crate::learn::render;
use colored::Colorize;

/// Columns to write in: the terminal's, or 80 where there is none.
pub fn width() -> usize {
    textwrap::termwidth().clamp(40, 100)
}

/// Prose behind a lead, wrapped, indented under its first word.
pub fn wrapped(lead: &str, text: &str) {
    let indent = " ".repeat(lead.chars().count());
    println!("{}", textwrap::fill(text, textwrap::Options::new(width()).initial_indent(lead).subsequent_indent(&indent)));
}

/// A heading.
pub fn heading(text: &str) {
    println!("{}", text.bold());
    println!("{}\n", "─".repeat(text.chars().count().min(width())));
}

/// Markdown, rendered.
pub fn markdown(text: &str) {
    println!("{}", render::markdown(text, width()));
}

/// What can be done next: commands, and what each is for.
pub fn next(commands: &[(&str, &str)]) {
    let column = commands.iter().map(|(c, _)| c.len()).max().unwrap_or(0);
    for (command, purpose) in commands {
        println!("  {}  {purpose}", format!("{command:<column$}").bold());
    }
}
