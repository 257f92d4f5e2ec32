//! How an error is shown: what failed, why here, what to try.

use super::out::visible;
use crate::kernel::Explain;
use crate::learn::render;
use colored::Colorize;
use std::io::IsTerminal;

/// Prints `error:`, `why:` and `try:` on standard error, wrapped to the terminal.
pub fn show(error: &dyn Explain) {
    // `colored` asks whether standard output is a terminal; this is not standard output.
    let word = if std::io::stderr().is_terminal() { "error:".red().bold() } else { "error:".normal() };
    // It may quote a registry, an archive or a file: none of them speaks to the terminal.
    eprintln!("{word} {}", visible(&error.to_string()));
    let rest = [("  why: ", error.why()), ("  try: ", error.hint())];
    for (lead, text) in rest {
        if let Some(text) = text {
            eprintln!("{}", render::wrap(&visible(&text), super::out::width(), lead, "       "));
        }
    }
}
