//! A lesson: front matter, then sections, guided steps, and the places of exercises and quiz.

use super::Error;
use serde::Deserialize;

/// A lesson as it is in its file; texts are still templates.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Its front matter.
    pub front: Front,
    /// What stands before the first heading.
    pub opening: String,
    /// Sections, steps, exercises, quiz, in order.
    pub parts: Vec<Part>,
}

/// The front matter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Front {
    /// The chapter's title.
    pub title: String,
    /// Its short name.
    pub slug: String,
    /// Minutes for all of it.
    pub minutes: u32,
    /// What a learner can do at its end.
    pub objectives: Vec<Objective>,
    /// Where facts come from.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// Something a learner can do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Unique in its chapter.
    pub id: String,
    /// In words.
    pub text: String,
}

/// Where a fact comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// As `[^id]` in the text.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its address, if it has one.
    pub url: Option<String>,
}

/// One heading and what stands under it.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The heading's words.
    pub title: String,
    /// Markdown under the heading.
    pub text: String,
    /// Line of the heading in the file.
    pub line: usize,
}

/// What a part of a lesson is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartKind {
    /// To read.
    Section,
    /// To do along.
    Step,
    /// The place of an exercise, by its slug.
    Exercise(String),
    /// The place of the quiz.
    Quiz,
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence, such as `sh second`.
    pub info: String,
    /// What is in it.
    pub text: String,
    /// Line of the opening fence, counted from the start of the text.
    pub line: usize,
}

impl Lesson {
    /// Parses a lesson's file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let error = |line: usize, problem: String| Error::File { file: file.to_owned(), line, problem };
        let rest = text.strip_prefix("---\n").ok_or_else(|| error(1, "a lesson begins with a front matter between two lines `---`".into()))?;
        let (front, body) = rest.split_once("\n---\n").ok_or_else(|| error(1, "the front matter is not closed by a line `---`".into()))?;
        let first_line = front.lines().count() + 3;
        let front: Front = serde_yaml::from_str(front).map_err(|e| error(e.location().map_or(1, |l| l.line() + 1), e.to_string()))?;
        let (opening, parts) = split(body, first_line);
        Ok(Self { front, opening, parts })
    }

    /// The guided steps.
    pub fn steps(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|p| p.kind == PartKind::Step)
    }
}

/// Splits the body at its second-level headings, leaving fences alone.
fn split(body: &str, first_line: usize) -> (String, Vec<Part>) {
    let (mut opening, mut parts, mut fenced) = (String::new(), Vec::<Part>::new(), false);
    for (number, line) in body.lines().enumerate() {
        fenced ^= line.starts_with("```");
        match line.strip_prefix("## ").filter(|_| !fenced) {
            Some(heading) => parts.push(heading_of(heading.trim(), first_line + number)),
            None => {
                let text = parts.last_mut().map_or(&mut opening, |p| &mut p.text);
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    (opening, parts)
}

fn heading_of(heading: &str, line: usize) -> Part {
    let (kind, title) = match heading.split_once(':') {
        Some(("Step", title)) => (PartKind::Step, title.trim()),
        Some(("Exercise", slug)) => (PartKind::Exercise(slug.trim().to_owned()), slug.trim()),
        _ if heading == "Quiz" => (PartKind::Quiz, heading),
        _ => (PartKind::Section, heading),
    };
    Part { kind, title: title.to_owned(), text: String::new(), line }
}

/// The fenced blocks of a text, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut open) = (Vec::new(), None::<Block>);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Block { info: info.trim().to_owned(), text: String::new(), line: number + 1 }),
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}
