//! The glossary: what the course's words mean, linked from where a chapter first uses them.
//!
//! book/glossary.yaml holds each term once, with the spellings that are not ours; tests look for those
//! in the lessons.

use super::BookError;
use crate::course::{Course, Error};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Path of the glossary below the book's root.
pub const FILE: &str = "glossary.yaml";

/// A word of the field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The word as it is spelled.
    pub term: String,
    /// Other forms that count as it, such as an irregular plural.
    #[serde(default)]
    pub also: Vec<String>,
    /// Spellings that are not ours.
    #[serde(default)]
    pub not: Vec<String>,
    /// What it means; Markdown.
    pub means: String,
}

impl Term {
    /// Its anchor in the glossary.
    pub fn anchor(&self) -> String {
        self.term.to_lowercase().chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect()
    }

    /// Where a text first uses it, as bytes from and to.
    pub fn find(&self, text: &str) -> Option<(usize, usize)> {
        self.also.iter().chain([&self.term]).filter_map(|form| word(text, form)).min()
    }
}

/// Where `form` stands as a word of its own, or with a plural's s; the case does not matter.
pub fn word(text: &str, form: &str) -> Option<(usize, usize)> {
    // ASCII alone is lowered: the places of bytes stay.
    let (lower, form) = (text.to_ascii_lowercase(), form.to_ascii_lowercase());
    let joins = |c: char| c.is_alphanumeric() || "-_/.^".contains(c);
    let mut from = 0;
    while let Some(at) = lower[from..].find(&form).map(|at| at + from) {
        let mut end = at + form.len();
        if lower[end..].starts_with('s') {
            end += 1;
        }
        // A full stop ends a sentence more often than it joins.
        let after = lower[end..].chars().next().is_some_and(|c| joins(c) && c != '.');
        if !after && !lower[..at].chars().next_back().is_some_and(joins) {
            return Some((at, end));
        }
        from = at + form.chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// All terms, in the alphabet's order.
#[derive(Debug, Clone)]
pub struct Terms(pub Vec<Term>);

impl Terms {
    /// Reads the glossary.
    pub fn parse(text: &str) -> Result<Self, BookError> {
        let wrong = |e: serde_yaml::Error| Error::File { file: format!("book/{FILE}"), line: e.location().map_or(0, |l| l.line()), problem: e.to_string() };
        let mut terms: Vec<Term> = serde_yaml::from_str(text).map_err(wrong)?;
        terms.sort_by_key(|t| t.term.to_lowercase());
        Ok(Self(terms))
    }

    /// For a page of which nothing is linked yet.
    pub fn of_a_page(&self) -> Linked<'_> {
        Linked { terms: self, done: vec![false; self.0.len()] }
    }

    /// The terms that a lesson uses in its prose, in the glossary's order.
    pub fn used(&self, texts: &[&str]) -> Vec<&Term> {
        let mut linked = self.of_a_page();
        for text in texts {
            linked.link(text);
        }
        self.0.iter().zip(linked.done).filter(|(_, done)| *done).map(|(term, _)| term).collect()
    }

    /// The glossary as a page: each term, and where the course first uses it.
    pub fn page(&self, course: &Course) -> Result<String, BookError> {
        let mut first: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for folder in &course.folders {
            let lesson = course.lesson(folder)?;
            let texts: Vec<&str> = std::iter::once(lesson.opening.as_str()).chain(lesson.parts.iter().map(|p| p.text.as_str())).collect();
            for term in self.used(&texts) {
                first.entry(&term.term).or_insert_with(|| (crate::course::slug(folder).to_owned(), lesson.front.title.clone()));
            }
        }
        let mut page = String::from("<dl class=\"glossary\">\n");
        for term in &self.0 {
            let anchor = term.anchor();
            let _ = writeln!(page, "<dt id=\"{anchor}\">{}</dt>\n<dd>{}", super::markup::escaped(&term.term), super::markup::html(&term.means));
            if let Some((slug, title)) = first.get(term.term.as_str()) {
                let _ = writeln!(page, "<span class=\"first\">First used in <a href=\"{slug}.html#first-{anchor}\">{title}</a>.</span>");
            }
            page.push_str("</dd>\n");
        }
        Ok(page + "</dl>\n")
    }
}

/// A page on which terms are being linked, each at its first use.
pub struct Linked<'a> {
    terms: &'a Terms,
    done: Vec<bool>,
}

impl Linked<'_> {
    /// The text with those terms linked that it is the first to use. Headings, code and links stay.
    pub fn link(&mut self, text: &str) -> String {
        let mut links: Vec<(usize, usize, usize)> = Vec::new();
        let mut closed = 0usize;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. } | Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::TableHead) => closed += 1,
                Event::End(TagEnd::Heading(_) | TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::TableHead) => closed = closed.saturating_sub(1),
                Event::Text(_) if closed == 0 => self.in_piece(&text[range.clone()], range.start, &mut links),
                _ => {}
            }
        }
        links.sort_unstable();
        let mut out = text.to_owned();
        for (from, to, term) in links.into_iter().rev() {
            let anchor = self.terms.0[term].anchor();
            let linked = format!("<a class=\"term\" id=\"first-{anchor}\" href=\"glossary.html#{anchor}\">{}</a>", &text[from..to]);
            out.replace_range(from..to, &linked);
        }
        out
    }

    fn in_piece(&mut self, piece: &str, start: usize, links: &mut Vec<(usize, usize, usize)>) {
        // The longer term first: "mount namespace" is not "namespace".
        let mut order: Vec<usize> = (0..self.terms.0.len()).filter(|i| !self.done[*i]).collect();
        order.sort_by_key(|i| std::cmp::Reverse(self.terms.0[*i].term.len()));
        for term in order {
            let Some((from, to)) = self.terms.0[term].find(piece).map(|(from, to)| (from + start, to + start)) else { continue };
            if links.iter().all(|(f, t, _)| to <= *f || *t <= from) {
                links.push((from, to, term));
                self.done[term] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms::parse("- { term: namespace, means: a }\n- { term: mount namespace, means: b }\n").expect("it is a glossary")
    }

    #[test]
    fn a_term_is_linked_once_and_not_in_code_or_a_heading() {
        let terms = terms();
        let mut linked = terms.of_a_page();
        let text = "### namespace\n\n`namespace` and a **namespace**, two namespaces.\n";
        let expected = "### namespace\n\n`namespace` and a **<a class=\"term\" id=\"first-namespace\" href=\"glossary.html#namespace\">namespace</a>**, two namespaces.\n";
        assert_eq!(linked.link(text), expected);
        assert_eq!(linked.link("namespace"), "namespace");
    }

    #[test]
    fn the_longer_term_wins_and_a_part_of_a_word_is_none() {
        let terms = terms();
        let text = terms.of_a_page().link("A mount namespace; /namespace and mynamespace.");
        assert_eq!(text, "A <a class=\"term\" id=\"first-mount-namespace\" href=\"glossary.html#mount-namespace\">mount namespace</a>; /namespace and mynamespace.");
    }
}
