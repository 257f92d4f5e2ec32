//! How an error is shown: what failed, why here, what to try.

use crate::kernel::Explain;
use crate::learn::render;
use colored::Colorize;
use std::io::IsTerminal;

/// Prints `error:`, `why:` and `try:` on standard error, wrapped to the terminal.
pub fn show(error: &dyn Explain) {
    // `colored` asks whether standard output is a terminal; this is not standard output.
    let word = if std::io::stderr().is_terminal() { "error:".red().bold() } else { "error:".normal() };
    eprintln!("{word} {error}");
    let rest = [("  why: ", error.why()), ("  try: ", error.hint())];
    for (lead, text) in rest {
        if let Some(text) = text {
            eprintln!("{}", render::wrap(&text, super::out::width(), lead, "       "));
        }
    }
}
