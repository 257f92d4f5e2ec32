//! What is wrong with a Dockerfile, and the lines that show it.

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub problem: String,
    /// Bytes of the file: where it begins and ends; `None` for the file as a whole.
    pub span: Option<(usize, usize)>,
    /// What would have been right.
    pub expected: Option<String>,
}

impl Fault {
    /// A mistake between two places of the file.
    pub fn at(span: (usize, usize), problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), span: Some(span), expected: None }
    }

    /// A mistake of the file as a whole.
    pub fn whole(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), span: None, expected: None }
    }

    /// The same, with what would have been right.
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = Some(text.into());
        self
    }

    /// Number of the line it is on, from 1.
    pub fn line(&self, text: &str) -> usize {
        self.span.map_or(1, |(start, _)| text.as_bytes()[..start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1)
    }

    /// `Dockerfile:3:1: problem`, then the line with a caret under the place.
    pub fn shown(&self, name: &str, text: &str) -> String {
        let Some((start, end)) = self.span else { return format!("{name}: {}", self.problem) };
        let (number, start) = (self.line(text), start.min(text.len()));
        let begin = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line = text[begin..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = text[begin..start].chars().count();
        let length = text.get(start..end.clamp(start, begin + line.len())).map_or(1, |t| t.trim_end().chars().count()).max(1);
        // A tab stays one under which the caret still stands right.
        let lead: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let gutter = " ".repeat(number.to_string().len());
        format!("{name}:{number}:{}: {}\n  {number} | {line}\n  {gutter} | {lead}{}", column + 1, self.problem, "^".repeat(length))
    }
}
