//! What the book quotes of the engine, and whether its prose was read again since that changed.
//!
//! book/quotes.lock has a line for each quoted anchor with the hash of the code between its marks. When
//! the code changes, a test fails until somebody has read the page again and says so:
//! `drydock book reread`. The page shows today's code anyhow; the words around it are what may lie.

use super::BookError;
use crate::course::Error;
use crate::kernel::OrSys;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Path of the lock file below the checkout.
pub const LOCK: &str = "book/quotes.lock";

/// A piece of source that a page quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quote {
    /// The source, such as `src/engine/plan.rs`.
    pub file: String,
    /// The anchor's name.
    pub anchor: String,
    /// The page that quotes it, such as `book/src/engine.md`.
    pub page: String,
    /// SHA-256 of the code between the marks, the first 16 digits.
    pub hash: String,
}

impl std::fmt::Display for Quote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}:{} in {}", self.hash, self.file, self.anchor, self.page)
    }
}

/// All that the pages in `book/src` of a checkout quote, sorted.
pub fn quotes(checkout: &Path) -> Result<Vec<Quote>, BookError> {
    let folder = checkout.join("book/src");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).or_sys_with(|| format!("read {}", folder.display()))?.flatten() {
        let page = format!("book/src/{}", entry.file_name().to_string_lossy());
        let text = read(checkout, &page)?;
        for (number, line) in text.lines().enumerate() {
            let Some(quoted) = line.trim().strip_prefix("{{#include ").and_then(|l| l.strip_suffix("}}")) else { continue };
            let wrong = |problem: String| Error::File { file: page.clone(), line: number + 1, problem };
            let (path, anchor) = quoted.rsplit_once(':').ok_or_else(|| wrong(format!("{quoted} is quoted whole; expected FILE:ANCHOR")))?;
            let file = path.trim_start_matches("../").to_owned();
            let source = read(checkout, &file)?;
            let code = between(&source, anchor).ok_or_else(|| wrong(format!("{file} has no anchor {anchor}, or it does not end")))?;
            let hash = Sha256::digest(code.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
            found.push(Quote { file, anchor: anchor.to_owned(), page: page.clone(), hash });
        }
    }
    found.sort();
    Ok(found)
}

fn read(checkout: &Path, path: &str) -> Result<String, BookError> {
    Ok(std::fs::read_to_string(checkout.join(path)).or_sys_with(|| format!("read {path}"))?)
}

/// The code between the marks of an anchor.
fn between<'a>(source: &'a str, anchor: &str) -> Option<&'a str> {
    let (_, rest) = source.split_once(&format!("// ANCHOR: {anchor}\n"))?;
    rest.split_once(&format!("// ANCHOR_END: {anchor}\n")).map(|(code, _)| code)
}

/// Quotes whose code is not what it was when the page was last read, as lines of the lock file.
pub fn unread(checkout: &Path) -> Result<Vec<String>, BookError> {
    let lock = std::fs::read_to_string(checkout.join(LOCK)).unwrap_or_default();
    let now: Vec<String> = quotes(checkout)?.iter().map(Quote::to_string).collect();
    let gone = lock.lines().filter(|l| !now.iter().any(|n| n == l)).map(|l| format!("- {l}"));
    let new = now.iter().filter(|n| !lock.lines().any(|l| l == n.as_str())).map(|n| format!("+ {n}"));
    Ok(gone.chain(new).collect())
}

/// Says that the pages were read again: writes the lock file. Gives what was not in it.
pub fn reread(checkout: &Path) -> Result<Vec<String>, BookError> {
    let changed = unread(checkout)?;
    let text: String = quotes(checkout)?.iter().map(|q| format!("{q}\n")).collect();
    std::fs::write(checkout.join(LOCK), text).or_sys_with(|| format!("write {LOCK}"))?;
    Ok(changed)
}
