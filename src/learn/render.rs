//! Markdown for a terminal: prose wrapped, code and diagrams as they are.
//!
//! Plain lines that a screen reader can read; colour adds and never carries meaning.

use colored::Colorize;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Renders Markdown to lines no wider than `width`, code excepted.
pub fn markdown(text: &str, width: usize) -> String {
    let mut page = Page { out: String::new(), line: String::new(), width: width.clamp(20, 100), lists: Vec::new(), code: None, table: None };
    for event in Parser::new_ext(&without_references(text), Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.flush("", "");
    page.out.trim_end().to_owned() + "\n"
}

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

struct Page {
    out: String,
    line: String,
    width: usize,
    lists: Vec<Option<u64>>,
    code: Option<String>,
    table: Option<Vec<Vec<String>>>,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                self.flush("", "");
                let info = if let CodeBlockKind::Fenced(info) = kind { info.to_string() } else { String::new() };
                self.code = Some(info);
            }
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Text(text) if self.code.is_some() => self.line.push_str(&text),
            Event::Text(text) => self.line.push_str(&text),
            Event::Code(text) => self.line.push_str(&format!("`{text}`")),
            Event::SoftBreak => self.line.push(' '),
            Event::HardBreak => self.line.push('\n'),
            Event::Start(Tag::Strong) | Event::End(TagEnd::Strong) => self.line.push('*'),
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => self.line.push('_'),
            Event::Start(Tag::List(first)) => {
                self.end_item();
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            Event::End(TagEnd::Item) => self.end_item(),
            Event::End(TagEnd::Paragraph) if self.lists.is_empty() => {
                self.flush("", "");
                self.out.push('\n');
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

    /// Wraps what has come together and writes it.
    fn flush(&mut self, first: &str, next: &str) {
        let text = std::mem::take(&mut self.line);
        if text.trim().is_empty() {
            return;
        }
        for (index, line) in text.trim().lines().enumerate() {
            let lead = if index == 0 { first } else { next };
            let options = textwrap::Options::new(self.width).initial_indent(lead).subsequent_indent(next).break_words(false);
            self.out.push_str(&textwrap::fill(line, options));
            self.out.push('\n');
        }
    }

    fn end_item(&mut self) {
        if self.line.trim().is_empty() {
            return;
        }
        let depth = self.lists.len().saturating_sub(1);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number += 1;
                mark
            }
            _ => "- ".to_owned(),
        };
        let lead = format!("{}{mark}", "  ".repeat(depth));
        let next = " ".repeat(lead.len());
        self.flush(&lead, &next);
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        let title = std::mem::take(&mut self.line);
        self.out.push_str(&format!("{}\n", title.bold()));
        if level <= HeadingLevel::H2 {
            self.out.push_str(&format!("{}\n", "─".repeat(title.chars().count().min(self.width))));
        }
        self.out.push('\n');
    }

    /// Commands to type are marked by `$`; their output and diagrams are indented and left alone.
    fn end_code(&mut self) {
        let text = std::mem::take(&mut self.line);
        let info = self.code.take().unwrap_or_default();
        let second = if info == "sh second" { "  (in a second terminal)\n" } else { "" };
        self.out.push_str(second);
        for line in text.lines() {
            if info.starts_with("sh") {
                self.out.push_str(&format!("  {} {}\n", "$".dimmed(), line.bold()));
            } else if info.starts_with("output") {
                self.out.push_str(&format!("  {}\n", line.dimmed()));
            } else {
                self.out.push_str(&format!("  {line}\n"));
            }
        }
        self.out.push('\n');
    }

    fn end_table(&mut self) {
        let Some(rows) = self.table.take() else { return };
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let natural: Vec<usize> = (0..columns).map(|c| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0)).collect();
        // The last column takes what is left; a table too wide even so is read row by row.
        let fixed: usize = natural.iter().take(columns.saturating_sub(1)).map(|w| w + 2).sum();
        if fixed + 12 > self.width {
            return self.rows_as_lines(&rows);
        }
        for row in &rows {
            let lead: String = row.iter().take(columns.saturating_sub(1)).zip(&natural).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            let indent = " ".repeat(fixed);
            let options = textwrap::Options::new(self.width).initial_indent(&lead).subsequent_indent(&indent);
            self.out.push_str(textwrap::fill(row.last().map_or("", String::as_str), options).trim_end());
            self.out.push('\n');
        }
        self.out.push('\n');
    }

    fn rows_as_lines(&mut self, rows: &[Vec<String>]) {
        let Some((head, rows)) = rows.split_first() else { return };
        for row in rows {
            for (name, cell) in head.iter().zip(row) {
                self.line = if name.is_empty() { cell.clone() } else { format!("{name}: {cell}") };
                self.flush("", "    ");
            }
            self.out.push('\n');
        }
    }
}
