//! How an error is shown: what failed, why here, what to try.

use crate::kernel::Explain;

/// Prints `error:`, `why:` and `try:` on standard error.
pub fn show(error: &dyn Explain) {
    eprintln!("error: {error}");
    if let Some(why) = error.why() {
        eprintln!("  why: {why}");
    }
    if let Some(hint) = error.hint() {
        eprintln!("  try: {hint}");
    }
}
