//! `drydock quiz`: a chapter's questions, one after the other.
//!
//! Works from a pipe too: an answer a line; the end of input ends it politely, and what was answered
//! is kept.

use super::asking::{self, Came};
use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::course::quiz::Question;
use colored::Colorize;

/// Asks all questions of a chapter; those answered wrongly before come first.
pub fn run(desk: &mut Desk, chapter: Option<&str>) -> Outcome {
    let name = match (chapter, &desk.progress.record.place) {
        (Some(name), _) => name.to_owned(),
        (None, Some(place)) => place.chapter.clone(),
        (None, None) => desk.course.folders.first().cloned().unwrap_or_default(),
    };
    let chapter = desk.course.chapter(&name).map_err(boxed)?;
    let mut questions: Vec<&Question> = chapter.quiz.iter().collect();
    questions.sort_by_key(|q| desk.progress.record.answers.get(&q.id).map_or(1, |a| u32::from(a.right) * 2));
    // Kept before the first answer: the order of the choices comes from the learner's seed.
    desk.progress.save().map_err(boxed)?;
    println!("{}", format!("{}: {} questions", chapter.lesson.front.title, questions.len()).bold());
    println!("Type a letter, or what is asked for. An empty line leaves a question out, q ends.\n");
    let (mut right, mut asked) = (0, 0);
    for question in questions {
        let marked = match asking::put(desk, &chapter, question)? {
            Came::To(marked) => marked,
            Came::Nothing => continue,
            Came::End => break,
        };
        asked += 1;
        right += u32::from(marked.right);
    }
    println!("{right} of {asked} right.");
    out::next(&[("drydock quiz", "those you missed come first"), ("drydock review", "they come again, a day later"), ("drydock next", "go on")]);
    Ok(0)
}
