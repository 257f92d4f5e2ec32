//! From a file's lines to instructions: comments go, continued lines are joined, here-documents are
//! taken along (Dockerfile reference, "Format", "Parser directives", "Here-documents").
//!
//! Each joined line remembers where its pieces stood, so that a caret can be put under any of its bytes.

use super::fault::Fault;
use super::words::{is_space, quoted};
use std::ops::RangeInclusive;

/// An instruction on one line.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The joined text, from the keyword on, without white space at its end.
    pub text: String,
    /// Numbers of the file's lines that it takes, from 1.
    pub numbers: (usize, usize),
    /// Here-documents, in the order in which the line names them.
    pub heredocs: Vec<Heredoc>,
    /// Where the pieces began: in `text`, and in the file.
    map: Vec<(usize, usize)>,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its word, without quotes.
    pub name: String,
    /// `<<-`: tabs at the beginnings of its lines were taken off.
    pub chomp: bool,
    /// Its word was bare: COPY replaces variables in it.
    pub expand: bool,
    /// What it holds, up to the line before its end.
    pub content: String,
}

/// What the first comments may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `\`, or the backquote.
    pub escape: char,
    /// Another front end.
    pub syntax: Option<String>,
}

impl Line {
    /// A piece of the joined line as bytes of the file.
    pub fn span(&self, start: usize, end: usize) -> (usize, usize) {
        (self.place(start), self.place(end.max(start + 1) - 1) + 1)
    }

    /// The keyword's place.
    pub fn keyword_span(&self) -> (usize, usize) {
        self.span(0, self.text.find(is_space).unwrap_or(self.text.len()))
    }

    /// All of it that stands on its first line.
    pub fn whole_span(&self) -> (usize, usize) {
        self.span(0, self.whole_end())
    }

    /// Where the joined text leaves its first line.
    pub fn whole_end(&self) -> usize {
        self.map.get(1).map_or(self.text.len(), |(joined, _)| *joined)
    }

    /// The file's lines that it takes.
    pub fn range(&self) -> RangeInclusive<usize> {
        self.numbers.0..=self.numbers.1
    }

    fn place(&self, at: usize) -> usize {
        let piece = self.map.iter().rev().find(|(joined, _)| *joined <= at);
        piece.map_or(0, |(joined, file)| file + (at - joined))
    }

    /// The same for an instruction inside another: ONBUILD's.
    pub fn from(&self, start: usize) -> Self {
        let mut map = vec![(0, self.place(start))];
        map.extend(self.map.iter().filter(|(joined, _)| *joined > start).map(|(joined, file)| (joined - start, *file)));
        Self { text: self.text[start..].to_owned(), numbers: self.numbers, heredocs: self.heredocs.clone(), map }
    }
}

/// The file's lines one after another: offset and text without the line's end.
struct Physical<'a> {
    lines: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Physical<'a> {
    fn of(text: &'a str) -> Self {
        let mut offset = 0;
        let mut lines = Vec::new();
        for piece in text.split('\n') {
            let mut shown = piece.strip_suffix('\r').unwrap_or(piece);
            let mut at = offset;
            if lines.is_empty() && shown.starts_with('\u{feff}') {
                shown = &shown['\u{feff}'.len_utf8()..];
                at += '\u{feff}'.len_utf8();
            }
            lines.push((at, shown));
            offset += piece.len() + 1;
        }
        Self { lines, next: 0 }
    }

    fn take(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next).copied();
        self.next += 1;
        line
    }
}

/// Cuts a file into its directives and its instructions.
pub fn read(text: &str) -> Result<(Directives, Vec<Line>), Fault> {
    let mut physical = Physical::of(text);
    let directives = directives(&physical)?;
    let mut found = Vec::new();
    while let Some((offset, line)) = physical.take() {
        let code = line.trim_start_matches(is_space);
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let mut joined = Line { numbers: (physical.next, physical.next), ..Line::default() };
        join(&mut joined, offset + (line.len() - code.len()), code, &mut physical, directives.escape);
        joined.text.truncate(joined.text.trim_end_matches(is_space).len());
        if joined.text.is_empty() {
            continue;
        }
        heredocs(&mut joined, &mut physical, directives.escape)?;
        found.push(joined);
    }
    Ok((directives, found))
}

/// `# escape=` and its like: only before everything else, each once.
fn directives(physical: &Physical<'_>) -> Result<Directives, Fault> {
    let mut directives = Directives { escape: '\\', syntax: None };
    let mut seen: Vec<String> = Vec::new();
    for (offset, line) in &physical.lines {
        let Some((key, value)) = line.trim_start().strip_prefix('#').and_then(|l| l.split_once('=')) else { break };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        let span = (*offset, offset + line.len());
        match key.as_str() {
            "escape" | "syntax" | "check" if value.is_empty() => break,
            "escape" | "syntax" | "check" if seen.contains(&key) => {
                return Err(Fault::at(span, format!("only one {key} parser directive can be used")));
            }
            "escape" => match value {
                "\\" | "`" => directives.escape = value.chars().next().unwrap_or('\\'),
                other => return Err(Fault::at(span, format!("invalid escape token '{other}' does not match ` or \\")).expected("# escape=\\ or # escape=`")),
            },
            "syntax" => directives.syntax = Some(value.to_owned()),
            "check" => {}
            // A comment as any other; directives are over.
            _ => break,
        }
        seen.push(key);
    }
    Ok(directives)
}

/// Takes `code`, and as many more lines as the escape character at the end asks for.
fn join(joined: &mut Line, offset: usize, code: &str, physical: &mut Physical<'_>, escape: char) {
    let (mut offset, mut code) = (offset, code);
    loop {
        let (piece, goes_on) = continued(code, escape);
        joined.map.push((joined.text.len(), offset));
        joined.text.push_str(piece);
        joined.numbers.1 = physical.next;
        if !goes_on {
            return;
        }
        // Comments and empty lines in between are passed over.
        loop {
            let Some((at, line)) = physical.take() else { return };
            let bare = line.trim_matches(is_space);
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            (offset, code) = (at, line);
            break;
        }
    }
}

/// A line without its continuation mark; whether it had one. Two escapes are one that is escaped.
fn continued(line: &str, escape: char) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Reads the here-documents that a RUN, COPY or ADD names.
fn heredocs(line: &mut Line, physical: &mut Physical<'_>, escape: char) -> Result<(), Fault> {
    let mut words = quoted(&line.text, 0, escape).into_iter().peekable();
    let mut keyword = words.next().map(|w| w.text.to_ascii_uppercase());
    if keyword.as_deref() == Some("ONBUILD") {
        keyword = words.next().map(|w| w.text.to_ascii_uppercase());
    }
    if !matches!(keyword.as_deref(), Some("RUN" | "COPY" | "ADD")) || words.peek().is_some_and(|w| w.text.starts_with('[')) {
        return Ok(());
    }
    for word in words {
        let Some((chomp, name, expand)) = heredoc_word(&word.text) else { continue };
        let mut content = String::new();
        loop {
            let Some((_, text)) = physical.take() else {
                let span = line.span(word.at, word.at + word.text.len());
                return Err(Fault::at(span, format!("unterminated heredoc {name:?}")).expected(format!("a line that is {name} and nothing else")));
            };
            let text = if chomp { text.trim_start_matches('\t') } else { text };
            if text == name {
                break;
            }
            content.push_str(text);
            content.push('\n');
        }
        line.numbers.1 = physical.next.min(physical.lines.len());
        line.heredocs.push(Heredoc { name, chomp, expand, content });
    }
    Ok(())
}

/// `<<EOF`, `<<-EOF`, `3<<"EOF"`: whether tabs go, the word, and whether it was bare.
pub(super) fn heredoc_word(word: &str) -> Option<(bool, String, bool)> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |r| (true, r));
    let name: String = rest.chars().filter(|c| *c != '"' && *c != '\'').collect();
    let plain = name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    (!name.is_empty() && plain).then(|| (chomp, name.clone(), name == rest))
}
