//! What both binaries share in output: width, wrapping, headings.

use crate::learn::render;
use colored::Colorize;
use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use textwrap::core::display_width;

/// Columns to write in: the terminal's, or 80 where there is none.
pub fn width() -> usize {
    textwrap::termwidth().clamp(40, 100)
}

/// Asks for a yes; whatever else is answered is a no.
pub fn agreed(question: &str) -> bool {
    print!("{question} [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}

/// Text of somebody else's, such as an image's history or an archive's names, as a terminal may have it:
/// what would move its cursor, colour it, name its window or turn its letters round is shown by number.
/// Tabs and line breaks stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let acts = |c: char| (c.is_control() && !matches!(c, '\t' | '\n')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(acts) {
        return text.into();
    }
    text.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Prose behind a lead, wrapped, indented under its first word.
pub fn wrapped(lead: &str, text: &str) {
    println!("{}", render::wrap(text, width(), lead, &" ".repeat(display_width(lead))));
}

/// A paragraph of Markdown behind a lead.
pub fn paragraph(lead: &str, text: &str) {
    wrapped(lead, &render::inline(text));
}

/// A fact behind a lead: wrapped for a person at a terminal, one line for whatever reads a pipe.
pub fn fact(lead: &str, text: &str) {
    if std::io::stdout().is_terminal() { wrapped(lead, text) } else { println!("{lead}{text}") }
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
