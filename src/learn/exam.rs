//! The exam: what is drawn, what became of it, and how much of the time is used up.
//!
//! It is part of the progress and is kept after each answer, so an interruption costs at most the
//! question in hand. Time runs while it asks, not while it is away.

use super::answer::order;
use crate::course::exercise::Source;
use crate::course::{Chapter, slug};
use crate::course::quiz::Question;
use crate::course::{Course, Error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// An exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exam {
    /// What it was drawn from.
    pub seed: String,
    /// When it was begun.
    pub begun: SystemTime,
    /// Minutes that there are; no end if not given.
    pub minutes: Option<u32>,
    /// Seconds that were used.
    pub used: u64,
    /// What is asked, in order.
    pub items: Vec<Item>,
    /// It is over: all was asked, or the time is up.
    pub over: bool,
}

/// A question or a live task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Question or task.
    pub kind: ItemKind,
    /// The question's id, or `chapter/exercise`.
    pub id: String,
    /// The chapter's folder.
    pub folder: String,
    /// The objective that it shows.
    pub objective: String,
    /// What became of it; nothing yet if not given.
    pub came: Option<Came>,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// To be answered.
    Question,
    /// To be done; the kernel marks it.
    Task,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Came {
    /// Answered rightly, or done.
    Right,
    /// Answered wrongly.
    Wrong,
    /// Left out, or not reached in time.
    Left,
}

/// What an exam is drawn by.
pub struct Rules<'a> {
    /// The same seed draws the same exam.
    pub seed: &'a str,
    /// How many questions.
    pub questions: usize,
    /// How many live tasks.
    pub tasks: usize,
    /// Can this machine ask it?
    pub asks: &'a dyn Fn(&Question) -> bool,
    /// Can this be done here?
    pub does: &'a dyn Fn(&Source) -> bool,
}

impl Exam {
    /// Draws one.
    pub fn draw(course: &Course, rules: &Rules<'_>, minutes: Option<u32>) -> Result<Self, Error> {
        let chapters: Vec<Chapter> = course.folders.iter().map(|f| course.chapter(f)).collect::<Result<_, _>>()?;
        let questions = spread(rules.seed, rules.questions, chapters.iter().map(|c| questions(c, rules)).collect());
        let decks = chapters.iter().map(|c| tasks(course, c, rules)).collect::<Result<Vec<_>, Error>>()?;
        let tasks = spread(&format!("{} tasks", rules.seed), rules.tasks, decks);
        let items = mixed(questions, tasks);
        Ok(Self { seed: rules.seed.to_owned(), begun: SystemTime::now(), minutes, used: 0, items, over: false })
    }

    /// Seconds that are left; `None` without an end.
    pub fn left(&self) -> Option<u64> {
        self.minutes.map(|m| (u64::from(m) * 60).saturating_sub(self.used))
    }

    /// The place of the next that nothing has become of; `None` if it is over.
    pub fn next(&self) -> Option<usize> {
        self.items.iter().position(|i| i.came.is_none()).filter(|_| !self.over && self.left() != Some(0))
    }

    /// Ends it: what was not reached is left out.
    pub fn end(&mut self) {
        self.over = true;
        for item in self.items.iter_mut().filter(|i| i.came.is_none()) {
            item.came = Some(Came::Left);
        }
    }
}

/// A chapter's questions in an order of the seed, each objective once before any comes twice.
fn questions(chapter: &Chapter, rules: &Rules<'_>) -> Vec<Item> {
    let fit: Vec<&Question> = chapter.quiz.iter().filter(|q| (rules.asks)(q)).collect();
    let (mut seen, mut first, mut later) = (BTreeSet::new(), Vec::new(), Vec::new());
    for question in order(rules.seed, &chapter.folder, fit.len()).into_iter().map(|i| fit[i]) {
        let item = item(ItemKind::Question, &question.id, &chapter.folder, &question.objective);
        if seen.insert(&question.objective) { first.push(item) } else { later.push(item) }
    }
    first.append(&mut later);
    first
}

/// A chapter's exercises that can be done here, in an order of the seed; challenges take too long.
fn tasks(course: &Course, chapter: &Chapter, rules: &Rules<'_>) -> Result<Vec<Item>, Error> {
    const LONGEST: u32 = 15;
    let mut fit = Vec::new();
    for name in &chapter.exercises {
        let (id, source) = course.exercise_source(&format!("{}/{name}", slug(&chapter.folder)))?;
        if source.minutes <= LONGEST && (rules.does)(&source) {
            fit.push(item(ItemKind::Task, &id, &chapter.folder, &source.objective));
        }
    }
    Ok(order(rules.seed, &format!("{} tasks", chapter.folder), fit.len()).into_iter().map(|i| fit[i].clone()).collect())
}

fn item(kind: ItemKind, id: &str, folder: &str, objective: &str) -> Item {
    Item { kind, id: id.to_owned(), folder: folder.to_owned(), objective: objective.to_owned(), came: None }
}

/// So many, one from each chapter before any gives a second, and no chapter always first.
fn spread(seed: &str, count: usize, decks: Vec<Vec<Item>>) -> Vec<Item> {
    let turns = order(seed, "chapters", decks.len());
    let longest = decks.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| turns.iter().map(move |chapter| (round, *chapter)));
    rounds.filter_map(|(round, chapter)| decks[chapter].get(round).cloned()).take(count).collect()
}

/// Tasks among questions, at even distances, the last one at the end.
fn mixed(questions: Vec<Item>, tasks: Vec<Item>) -> Vec<Item> {
    let (count, mut tasks) = (tasks.len(), tasks.into_iter());
    let every = questions.len().div_ceil(count.max(1)).max(1);
    let mut items = Vec::new();
    for (nth, question) in questions.into_iter().enumerate() {
        items.push(question);
        if (nth + 1) % every == 0 {
            items.extend(tasks.next());
        }
    }
    items.extend(tasks);
    items
}
