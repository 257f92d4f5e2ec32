//! What an exam came to, by objective, and what to read again: as Markdown for a terminal, and as a page.

use super::exam::{Came, Exam, ItemKind};
use crate::course::{Course, Error};
use serde::Serialize;
use std::time::SystemTime;

const TEXT: &str = include_str!("report.md.tera");
const PAGE: &str = include_str!("report.html.tera");

/// An exam's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The course's title.
    pub course: String,
    /// The day that it was begun, as 2026-11-21.
    pub day: String,
    /// What it was drawn from.
    pub seed: String,
    /// Minutes used, begun ones counted.
    pub used: u64,
    /// Minutes that there were.
    pub minutes: Option<u32>,
    /// How many were right.
    pub right: usize,
    /// Of how many.
    pub of: usize,
    /// In per cent, rounded down.
    pub percent: usize,
    /// There is something to read again.
    pub again: bool,
    /// By chapter, in the order of the course.
    pub chapters: Vec<ChapterResult>,
}

/// What a chapter came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChapterResult {
    /// Its number in its folder's name.
    pub number: String,
    /// Its title.
    pub title: String,
    /// Each objective that was asked for.
    pub objectives: Vec<ObjectiveResult>,
    /// There is something to read again.
    pub again: bool,
}

/// What an objective came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectiveResult {
    /// Its id.
    pub id: String,
    /// In words.
    pub text: String,
    /// How many were right.
    pub right: usize,
    /// Of how many.
    pub of: usize,
    /// Live tasks among them that were not done.
    pub undone: Vec<String>,
}

impl Report {
    /// Of an exam.
    pub fn of(exam: &Exam, course: &Course) -> Result<Self, Error> {
        let mut chapters = Vec::new();
        for folder in &course.folders {
            let items: Vec<_> = exam.items.iter().filter(|i| i.folder == *folder).collect();
            if items.is_empty() {
                continue;
            }
            let front = course.lesson(folder)?.front;
            let objectives: Vec<_> = front.objectives.into_iter().filter_map(|objective| {
                let asked: Vec<_> = items.iter().filter(|i| i.objective == objective.id).collect();
                let undone = asked.iter().filter(|i| i.kind == ItemKind::Task && i.came != Some(Came::Right)).map(|i| i.id.clone()).collect();
                let right = asked.iter().filter(|i| i.came == Some(Came::Right)).count();
                (!asked.is_empty()).then(|| ObjectiveResult { id: objective.id, text: objective.text, right, of: asked.len(), undone })
            }).collect();
            let number = folder.split('-').next().unwrap_or_default().to_owned();
            let again = objectives.iter().any(|o| o.right < o.of);
            chapters.push(ChapterResult { number, title: front.title, objectives, again });
        }
        let right = exam.items.iter().filter(|i| i.came == Some(Came::Right)).count();
        let (of, day) = (exam.items.len(), humantime::format_rfc3339_seconds(exam.begun).to_string());
        Ok(Self {
            course: course.title.clone(),
            day: day.get(..10).unwrap_or(&day).to_owned(),
            seed: exam.seed.clone(),
            used: exam.used.div_ceil(60),
            minutes: exam.minutes,
            right,
            of,
            percent: (right * 100).checked_div(of).unwrap_or(0),
            again: chapters.iter().any(|c| c.again),
            chapters,
        })
    }

    /// As Markdown.
    pub fn text(&self) -> Result<String, Error> {
        self.render("report.md.tera", TEXT, false)
    }

    /// As a page of its own.
    pub fn page(&self) -> Result<String, Error> {
        self.render("report.html.tera", PAGE, true)
    }

    fn render(&self, file: &str, template: &str, escape: bool) -> Result<String, Error> {
        let rendered = tera::Context::from_serialize(self).and_then(|context| tera::Tera::one_off(template, &context, escape));
        rendered.map_err(|e| Error::File { file: file.to_owned(), line: 0, problem: e.to_string() })
    }
}

/// A time to come, as a person says it: "in 3 days", "tomorrow", "in 5 hours".
pub fn until(due: SystemTime, now: SystemTime) -> String {
    let hours = due.duration_since(now).map_or(0, |d| d.as_secs().div_ceil(3600));
    match hours {
        0 => "now".into(),
        1 => "within the hour".into(),
        2..24 => format!("in {hours} hours"),
        24..36 => "in a day".into(),
        _ => format!("in {} days", (hours + 12) / 24),
    }
}
