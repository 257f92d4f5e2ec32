//! The overlay as a figure: a file written, changed and removed, and where each of the three directories
//! has it (the kernel's Documentation/filesystems/overlayfs.rst).
//!
//! It is made of book/recorded/overlay.txt, which book/recorded/overlay.sh printed; a test runs that again.
//! All stages stand in the page; book/theme/stages.js shows one after the other.

use super::BookError;
use super::markup::escaped;
use crate::course::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Path of the recording below the book's root.
pub const FILE: &str = "recorded/overlay.txt";

/// The directories, and what heads their columns.
const COLUMNS: [(&str, &str); 3] = [("view", "view: what is seen"), ("upper", "upper: one’s own"), ("lower", "lower: read-only")];

/// A recorded stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// What happens, in words.
    pub words: String,
    /// What was typed.
    pub typed: String,
    /// What each directory has, by its name and the file's.
    pub files: BTreeMap<(String, String), String>,
}

/// Reads a recording.
pub fn stages(text: &str) -> Result<Vec<Stage>, BookError> {
    let mut stages: Vec<Stage> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty()) {
        if let Some(words) = line.strip_prefix("# ") {
            stages.push(Stage { words: words.to_owned(), ..Stage::default() });
            continue;
        }
        let wrong = || Error::File { file: format!("book/{FILE}"), line: number + 1, problem: "expected `# words`, `$ what is typed` or `directory name: content`".into() };
        let stage = stages.last_mut().ok_or_else(wrong)?;
        if let Some(typed) = line.strip_prefix("$ ") {
            stage.typed = typed.to_owned();
            continue;
        }
        let (at, content) = line.split_once(": ").ok_or_else(wrong)?;
        let (directory, name) = at.split_once(' ').ok_or_else(wrong)?;
        stage.files.insert((directory.to_owned(), name.to_owned()), content.to_owned());
    }
    Ok(stages)
}

/// The figure.
pub fn figure(text: &str) -> Result<String, BookError> {
    let stages = stages(text)?;
    let names: BTreeSet<&String> = stages.iter().flat_map(|s| s.files.keys().map(|(_, name)| name)).collect();
    let mut page = String::from("<div class=\"stages\">\n<ol>\n");
    let mut before = stages.first().map(|s| s.files.clone()).unwrap_or_default();
    for stage in &stages {
        let _ = writeln!(page, "<li><p>{}</p>\n<pre><code class=\"language-sh\">{}</code></pre>", escaped(&stage.words), escaped(&stage.typed));
        page.push_str("<div class=\"table-wrapper\"><table><thead><tr><td></td>");
        for (_, head) in COLUMNS {
            let _ = write!(page, "<th scope=\"col\">{head}</th>");
        }
        page.push_str("</tr></thead><tbody>\n");
        for name in &names {
            let _ = write!(page, "<tr><th scope=\"row\"><code>{}</code></th>", escaped(name));
            for (directory, _) in COLUMNS {
                page.push_str(&cell(directory, name, stage, &before));
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table></div></li>\n");
        before.clone_from(&stage.files);
    }
    Ok(page + "</ol>\n</div>\n")
}

/// A file in a directory; in words, what became of it, so that it is not told by colour alone.
fn cell(directory: &str, name: &str, stage: &Stage, before: &BTreeMap<(String, String), String>) -> String {
    let key = (directory.to_owned(), name.to_owned());
    let (now, then) = (stage.files.get(&key), before.get(&key));
    let kind = match now {
        Some(text) if text.starts_with("whiteout") => "whiteout",
        Some(_) => "there",
        None => "absent",
    };
    let became = match (then, now) {
        (None, Some(_)) => " <strong>new</strong>",
        (Some(_), None) => "<strong>gone</strong>",
        (Some(a), Some(b)) if a != b => " <strong>changed</strong>",
        _ => "",
    };
    let lines = now.map(|text| text.split('/').map(escaped).collect::<Vec<_>>().join("<br>")).unwrap_or_else(|| if became.is_empty() { "–".into() } else { String::new() });
    format!("<td class=\"{kind}\">{lines}{became}</td>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_stage_by_stage_and_says_what_became_of_a_file() {
        let text = "# One.\n$ a\nlower x: 1\nview x: 1\n\n# Two.\n$ rm view/x\nlower x: 1\nupper x: whiteout, device 0,0\n";
        let page = figure(text).expect("it is a recording");
        assert!(page.contains("<td class=\"absent\"><strong>gone</strong></td><td class=\"whiteout\">whiteout, device 0,0 <strong>new</strong></td><td class=\"there\">1</td>"), "{page}");
        assert_eq!(stages("lower x: 1\n").expect_err("nothing has begun").to_string(), "book/recorded/overlay.txt:1: expected `# words`, `$ what is typed` or `directory name: content`");
    }
}
