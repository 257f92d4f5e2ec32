//! Where to begin: two questions a chapter, in the order of the course, until two chapters in a row
//! have shown that they are new.
//!
//! A chapter counts as known if its first question is answered rightly, or its second after a slip.

use super::answer::order;
use crate::course::Chapter;
use crate::course::quiz::{Kind, Question};

/// Chapters in a row that must be new before it stops.
pub const ENOUGH: usize = 2;

/// What a learner has shown of a chapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its folder.
    pub folder: String,
    /// Its title.
    pub title: String,
    /// The objectives of the questions that were missed, in words.
    pub missed: Vec<String>,
    /// Known, or not.
    pub known: bool,
}

/// Two questions of a chapter that can be answered by knowing, of different objectives if there are.
pub fn questions<'c>(chapter: &'c Chapter, seed: &str) -> Vec<&'c Question> {
    let mut fit: Vec<&Question> = chapter.quiz.iter().filter(|q| q.kind == Kind::One).collect();
    let order = order(seed, &format!("placement {}", chapter.folder), fit.len());
    fit = order.into_iter().map(|i| fit[i]).collect();
    let Some(first) = fit.first().copied() else { return Vec::new() };
    let second = fit.iter().find(|q| q.objective != first.objective).or(fit.get(1));
    std::iter::once(first).chain(second.copied()).collect()
}

/// The first chapter that is new; `None` if all that was asked is known.
pub fn begin_at(shown: &[Shown]) -> Option<&Shown> {
    shown.iter().find(|s| !s.known)
}

/// Has enough been asked?
pub fn is_enough(shown: &[Shown]) -> bool {
    shown.len() >= ENOUGH && shown.iter().rev().take(ENOUGH).all(|s| !s.known)
}
