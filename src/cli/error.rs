//! How an error is shown: what failed, why here, what to try.

use crate::kernel::Explain;
use colored::Colorize;

/// Prints `error:`, `why:` and `try:` on standard error, wrapped to the terminal.
pub fn show(error: &dyn Explain) {
    eprintln!("{} {error}", "error:".red().bold());
    let rest = [("  why: ", error.why()), ("  try: ", error.hint())];
    for (lead, text) in rest {
        if let Some(text) = text {
            let options = textwrap::Options::new(super::out::width()).initial_indent(lead).subsequent_indent("       ").break_words(false);
            eprintln!("{}", textwrap::fill(&text, options));
        }
    }
}
