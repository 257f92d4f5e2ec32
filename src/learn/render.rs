//! Markdown for a terminal: prose wrapped, code and diagrams as they are.
//!
//! Plain lines that a screen reader can read; colour adds and never carries meaning. Emphasis is a
//! style where there is one, and otherwise plain words.

use colored::Colorize;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use textwrap::core::display_width;
use textwrap::{WordSeparator, WordSplitter};

/// Renders Markdown to lines no wider than `width`, code excepted.
pub fn markdown(text: &str, width: usize) -> String {
    let mut page = Page { width: width.clamp(20, 100), ..Page::default() };
    for event in Parser::new_ext(&without_references(text), Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.flush();
    page.out.trim_end().to_owned() + "\n"
}

/// Renders the emphasis and code inside one paragraph of Markdown, unwrapped.
pub fn inline(text: &str) -> String {
    let mut page = Page::default();
    let mut out = String::new();
    for event in Parser::new(text) {
        match event {
            // What only looks like a list or a heading stays as it was written.
            Event::Start(Tag::List(_) | Tag::Heading { .. } | Tag::BlockQuote(_) | Tag::CodeBlock(_)) | Event::Rule | Event::Html(_) => return text.to_owned(),
            Event::End(TagEnd::Paragraph) => out.push_str(&std::mem::take(&mut page.line)),
            other => page.take(other),
        }
    }
    (out + &page.line).replace(KEEP, " ")
}

/// Wraps at spaces only, `first` before the first line and `next` before the others: a path, a flag
/// or a name with a hyphen stays whole.
pub fn wrap(text: &str, width: usize, first: &str, next: &str) -> String {
    let options = textwrap::Options::new(width).initial_indent(first).subsequent_indent(next).break_words(false);
    let options = options.word_separator(WordSeparator::AsciiSpace).word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options).replace(KEEP, " ")
}

/// Lines to be typed, each with the shell's prompt before it: `>` within a here-document, whose lines
/// are text for a file and no commands.
pub fn prompted(text: &str) -> Vec<(&'static str, &str)> {
    let mut end: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push((if end.is_some() { ">" } else { "$" }, line));
        end = match end {
            Some(end) if line.trim() == end => None,
            Some(end) => Some(end),
            None => line.split_once("<<").map(|(_, word)| word.trim_matches(['\'', '"', '-'])).filter(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric)),
        };
    }
    lines
}

/// Stands for a space inside code until the lines are made: a command stays in one piece.
const KEEP: char = '\u{a0}';

/// Sources are listed by `drydock sources`; their marks would only stop a reader here.
fn without_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("[^") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = after.split_once(']').map_or("", |(_, r)| r);
    }
    out + rest
}

#[derive(Default)]
struct Page {
    out: String,
    line: String,
    width: usize,
    lists: Vec<Option<u64>>,
    /// How far the text of each open item stands in.
    indents: Vec<usize>,
    /// What stands before the next line: the mark of an item that has just begun.
    mark: Option<String>,
    code: Option<String>,
    table: Option<Vec<Vec<String>>>,
    strong: bool,
    emphasis: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                self.flush();
                let info = if let CodeBlockKind::Fenced(info) = kind { info.to_string() } else { String::new() };
                self.code = Some(info);
            }
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Text(text) if self.code.is_some() => self.line.push_str(&text),
            Event::Text(text) => self.words(&text),
            Event::Code(text) => self.inline_code(&text),
            Event::SoftBreak => self.line.push(' '),
            Event::HardBreak => self.line.push('\n'),
            Event::Start(Tag::Strong) => self.strong = true,
            Event::End(TagEnd::Strong) => self.strong = false,
            Event::Start(Tag::Emphasis) => self.emphasis = true,
            Event::End(TagEnd::Emphasis) => self.emphasis = false,
            Event::Start(Tag::List(first)) => {
                self.flush();
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            Event::Start(Tag::Item) => self.begin_item(),
            Event::End(TagEnd::Item) => {
                self.flush();
                self.indents.pop();
            }
            Event::Start(Tag::BlockQuote(_)) => self.indents.push(self.indent() + 4),
            Event::End(TagEnd::BlockQuote(_)) => drop(self.indents.pop()),
            Event::End(TagEnd::Paragraph) => {
                self.flush();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            Event::End(TagEnd::Heading(level)) => self.end_heading(level),
            Event::Start(Tag::Table(_)) => self.table = Some(Vec::new()),
            Event::Start(Tag::TableRow | Tag::TableHead) => self.table.iter_mut().for_each(|t| t.push(Vec::new())),
            Event::End(TagEnd::TableCell) => {
                let cell = std::mem::take(&mut self.line);
                self.table.iter_mut().filter_map(|t| t.last_mut()).for_each(|row| row.push(cell.clone()));
            }
            Event::End(TagEnd::Table) => self.end_table(),
            _ => {}
        }
    }

    /// Words, styled one by one: a style that ran on over a line's end would colour the margin.
    fn words(&mut self, text: &str) {
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 {
                self.line.push(' ');
            }
            let styled = match (self.strong, self.emphasis) {
                _ if word.is_empty() => continue,
                (false, false) => word.normal(),
                (true, false) => word.bold(),
                (false, true) => word.italic(),
                (true, true) => word.bold().italic(),
            };
            self.line.push_str(&styled.to_string());
        }
    }

    /// Code keeps its backticks: they are what a reader without colour sees of it.
    fn inline_code(&mut self, text: &str) {
        // In one piece, whatever its length: a command that was broken in two cannot be copied.
        let code = text.replace(' ', &KEEP.to_string());
        self.line.push_str(&format!("`{code}`").cyan().to_string());
    }

    /// How far text stands in here.
    fn indent(&self) -> usize {
        self.indents.last().copied().unwrap_or(0)
    }

    /// Wraps what has come together and writes it.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.line);
        if text.trim().is_empty() {
            return;
        }
        let next = " ".repeat(self.indent());
        for line in text.trim().lines() {
            let lead = self.mark.take().unwrap_or_else(|| next.clone());
            self.out.push_str(&wrap(line, self.width, &lead, &next));
            self.out.push('\n');
        }
    }

    fn begin_item(&mut self) {
        self.flush();
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number += 1;
                mark
            }
            _ => "- ".to_owned(),
        };
        let lead = format!("{}{mark}", " ".repeat(self.indent()));
        self.indents.push(lead.len());
        self.mark = Some(lead);
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        let title = std::mem::take(&mut self.line).replace(KEEP, " ");
        self.out.push_str(&format!("{}\n", title.bold()));
        if level <= HeadingLevel::H2 {
            self.out.push_str(&format!("{}\n", "─".repeat(display_width(&title).min(self.width))));
        }
        self.out.push('\n');
    }

    /// Commands to type are marked by `$`; their output and diagrams are indented and left alone.
    fn end_code(&mut self) {
        let text = std::mem::take(&mut self.line);
        let info = self.code.take().unwrap_or_default();
        let margin = " ".repeat(self.indent() + 2);
        if info == "sh second" {
            self.out.push_str(&format!("{margin}(in a second terminal)\n"));
        }
        for (prompt, line) in prompted(&text) {
            if line.trim().is_empty() {
                self.out.push('\n');
            } else if info.starts_with("sh") {
                self.out.push_str(&format!("{margin}{} {}\n", prompt.dimmed(), line.bold()));
            } else if info.starts_with("output") {
                self.out.push_str(&format!("{margin}{}\n", line.dimmed()));
            } else {
                self.out.push_str(&format!("{margin}{line}\n"));
            }
        }
        self.out.push('\n');
    }

    fn end_table(&mut self) {
        let Some(rows) = self.table.take() else { return };
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| display_width(t)).max().unwrap_or(0);
        let natural: Vec<usize> = (0..columns).map(widest).collect();
        // The last column takes what is left; a table too wide even so is read row by row.
        let fixed: usize = natural.iter().take(columns.saturating_sub(1)).map(|w| w + 2).sum();
        let longest = rows.iter().filter_map(|r| r.get(columns.saturating_sub(1))).flat_map(|t| t.split(' ')).map(display_width).max().unwrap_or(0);
        if fixed + longest.max(12) > self.width {
            return self.rows_as_lines(&rows);
        }
        let padded = |(cell, width): (&String, &usize)| format!("{cell}{}", " ".repeat(width + 2 - display_width(cell)));
        for (index, row) in rows.iter().enumerate() {
            let lead: String = row.iter().take(columns.saturating_sub(1)).zip(&natural).map(padded).collect();
            let last = row.last().map_or("", String::as_str);
            let text = wrap(last, self.width, &lead, &" ".repeat(fixed));
            self.out.push_str(&format!("{}\n", if index == 0 { text.trim_end().bold() } else { text.trim_end().normal() }));
        }
        self.out.push('\n');
    }

    fn rows_as_lines(&mut self, rows: &[Vec<String>]) {
        let Some((head, rows)) = rows.split_first() else { return };
        for row in rows {
            for (name, cell) in head.iter().zip(row) {
                let text = if name.is_empty() { cell.clone() } else { format!("{name}: {cell}") };
                self.out.push_str(&format!("{}\n", wrap(&text, self.width, "", "    ")));
            }
            self.out.push('\n');
        }
    }
}
