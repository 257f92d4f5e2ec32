//! What a lesson says to type, and what it says comes out.
//!
//! A lesson's `sh` blocks are typed in order into one shell, `sh second` into a second; an `output`
//! block is what the block before it printed when it was recorded. Numbers and identifiers differ
//! from run to run, so they are compared as such, and a line `...` stands for any lines.

use std::ops::Range;

/// One fenced block of a lesson that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its text, without the fences.
    pub text: String,
    /// The heading it stands below.
    pub section: String,
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// Where its text lies in the source.
    pub at: Range<usize>,
}

/// The kinds of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To be typed, in the first terminal.
    First,
    /// To be typed, in the second terminal.
    Second,
    /// What the block before printed.
    Output,
    /// The place of an exercise: what was typed so far is put away before it.
    Exercise,
}

/// Reads the blocks of a lesson, in order. Fences may be indented, as in a list.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut open: Option<(String, String, usize, usize)> = None;
    let mut offset = 0;
    for (number, line) in markdown.split_inclusive('\n').enumerate() {
        let begin = offset;
        offset += line.len();
        let bare = line.trim();
        match &open {
            Some((fence, _, _, _)) if bare == fence => {
                let (_, info, at, from) = open.take().unwrap_or_default();
                let kind = match info.split_whitespace().collect::<Vec<_>>()[..] {
                    ["sh"] => Kind::First,
                    ["sh", "second"] => Kind::Second,
                    ["output", ..] => Kind::Output,
                    _ => continue,
                };
                found.push(Block { kind, text: markdown[from..begin].to_owned(), section: section.clone(), line: at, at: from..begin });
            }
            Some(_) => {}
            None if bare.starts_with("```") => {
                let info = bare.trim_start_matches('`');
                let fence = bare[..bare.len() - info.len()].to_owned();
                open = Some((fence, info.trim().to_owned(), number + 1, offset));
            }
            None => {
                if let Some(title) = bare.strip_prefix("## ") {
                    section = title.to_owned();
                    if title.starts_with("Exercise:") {
                        found.push(Block { kind: Kind::Exercise, text: String::new(), section: section.clone(), line: number + 1, at: begin..begin });
                    }
                }
            }
        }
    }
    found
}

/// None where `got` is what `expected` says; otherwise what differs, for a person.
pub fn differs(expected: &str, got: &str) -> Option<String> {
    let wanted: Vec<&str> = expected.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let found: Vec<&str> = got.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let pattern: Vec<String> = wanted.iter().map(|l| shape(l)).collect();
    let shapes: Vec<String> = found.iter().map(|l| shape(l)).collect();
    if fits(&pattern, &shapes) {
        return None;
    }
    let mut text = String::new();
    let diff = similar::TextDiff::from_slices(&wanted, &found);
    for change in diff.iter_all_changes() {
        text.push_str(&format!("{} {}\n", change.tag(), change.value()));
    }
    Some(text)
}

/// `...` takes any number of lines.
fn fits(pattern: &[String], lines: &[String]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|n| fits(rest, &lines[n..])),
        Some((first, rest)) => lines.split_first().is_some_and(|(line, more)| line_fits(first, line) && fits(rest, more)),
    }
}

/// `…` within a line takes any text.
fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// A line without what changes from run to run: identifiers become `H`, numbers `N`, and a run of
/// spaces (a column's width) becomes one.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line.trim();
    while let Some(c) = rest.chars().next() {
        let word: usize = rest.chars().take_while(char::is_ascii_alphanumeric).count();
        if let Some(after) = after_uuid(rest) {
            shape.push('H');
            rest = after;
            continue;
        }
        let (text, after) = rest.split_at(word.max(c.len_utf8()));
        if word == 0 {
            if !(c.is_whitespace() && shape.ends_with(' ')) {
                shape.push(if c.is_whitespace() { ' ' } else { c });
            }
        } else if is_identifier(text) {
            shape.push('H');
        } else {
            shape.push_str(&without_numbers(text));
        }
        rest = after;
    }
    shape
}

/// What follows a UUID, such as a boot id, at the start of this text. A group of its own may be all
/// letters, which `is_identifier` would take for a word.
fn after_uuid(text: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let (uuid, after) = text.split_at_checked(LENGTH)?;
    let groups = uuid.split('-').map(|group| group.chars().all(|c| c.is_ascii_hexdigit()).then_some(group.len()));
    let ends = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    (ends && groups.eq([8, 4, 4, 4, 12].map(Some))).then_some(after)
}

/// Hexadecimal, long, and not a word: `8a1c2f6e`, a digest.
fn is_identifier(word: &str) -> bool {
    let hex = word.chars().all(|c| c.is_ascii_hexdigit());
    let digits = word.chars().filter(char::is_ascii_digit).count();
    hex && word.len() >= 4 && (digits > 0 || word.len() >= 12)
}

fn without_numbers(word: &str) -> String {
    let mut shape = String::new();
    for c in word.chars() {
        match c {
            '0'..='9' if shape.ends_with('N') => {}
            '0'..='9' => shape.push('N'),
            other => shape.push(other),
        }
    }
    // A long number has been taken for an identifier; a short one is one all the same.
    if shape == "N" { "H".into() } else { shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LESSON: &str = "Opening.\n\n## Step: Look\n\n```sh\nls\n```\n```output\na\n...\n```\n\n```sh second\nps\n```\n```diagram alt=\"x\"\n|sh|\n```\n## Exercise: hostname\n";

    #[test]
    fn blocks_are_found_with_their_section_and_line() {
        let found: Vec<_> = blocks(LESSON).into_iter().map(|b| (b.kind, b.text, b.section, b.line)).collect();
        let look = "Step: Look".to_owned();
        assert_eq!(found, [
            (Kind::First, "ls\n".into(), look.clone(), 5),
            (Kind::Output, "a\n...\n".into(), look.clone(), 8),
            (Kind::Second, "ps\n".into(), look, 13),
            (Kind::Exercise, String::new(), "Exercise: hostname".into(), 19),
        ]);
    }

    #[test]
    fn numbers_and_identifiers_may_differ_and_words_may_not() {
        assert_eq!(differs("uts:[4026531838]\n", "uts:[4026532177]\n"), None);
        assert_eq!(differs("8a1c2f6e-0d5b-4a64-9d5e-3b1f0c7a9e42\n", "11112222-3333-4444-5555-666677778888\n"), None);
        assert_eq!(differs("MemTotal:   24684044 kB\n", "MemTotal: 7 kB\n"), None);
        assert_eq!(differs("real\t0m0.081s\n", "real\t0m12.5s\n"), None);
        assert_eq!(differs("amber-otter\n", "amber-heron\n").expect("it differs"), "- amber-otter\n+ amber-heron\n");
        assert!(differs("a\n", "a\nb\n").is_some());
        assert!(differs("a\nb\n", "a\n").is_some());
    }

    #[test]
    fn a_uuid_is_one_identifier_whichever_digits_it_is_made_of() {
        assert_eq!(differs("boot a8cb5b1a-2d9e-49ac-9c79-cb9f5f317a35.", "boot 12345678-beef-cafe-abba-000000000000."), None);
        assert!(differs("boot a8cb5b1a-2d9e-49ac-9c79-cb9f5f317a35", "boot none").is_some());
    }

    #[test]
    fn dots_stand_for_any_lines_and_an_ellipsis_for_any_text() {
        assert_eq!(differs("...\nb\n", "a\nx\nb\n"), None);
        assert_eq!(differs("...\n", ""), None);
        assert!(differs("...\nb\n", "a\n").is_some());
        assert_eq!(differs("created … by hand\n", "created 3 hours ago by hand\n"), None);
        assert!(differs("created … by hand\n", "created by foot\n").is_some());
        assert!(differs("created … by hand\n", "created x by hand, twice\n").is_some());
    }
}
