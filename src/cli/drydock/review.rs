//! `drydock review`: missed questions, each when it is due again.

use super::asking::{self, Came};
use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::kernel::units::counted;
use crate::learn::leitner::{DAYS, is_due};
use crate::learn::report::until;
use clap::Args;
use colored::Colorize;
use serde_json::json;
use std::time::SystemTime;

// Options of `drydock review`.
#[derive(Debug, Args)]
pub struct Review {
    /// Ask those that are not due yet as well
    #[arg(long)]
    all: bool,
    /// Show what is kept for review, as JSON, and ask nothing
    #[arg(long)]
    json: bool,
}

/// A question that was missed once.
struct Card {
    folder: String,
    id: String,
    due: SystemTime,
}

/// Asks what is due, the longest waiting first.
pub fn run(desk: &mut Desk, args: &Review) -> Outcome {
    let now = SystemTime::now();
    let cards = cards(desk)?;
    if args.json {
        return listed(desk, &cards, now);
    }
    let record = &desk.progress.record;
    let asked: Vec<&Card> = cards.iter().filter(|c| args.all || record.answers.get(&c.id).is_some_and(|a| is_due(a, now))).collect();
    if asked.is_empty() {
        nothing(&cards, now);
        return Ok(0);
    }
    println!("{}", format!("Review: {}", counted(asked.len(), "question")).bold());
    println!("Type a letter, or what is asked for. An empty line leaves a question out, q ends.\n");
    let (mut right, mut answered) = (0, 0);
    for card in asked {
        let chapter = desk.course.chapter(&card.folder).map_err(boxed)?;
        let Some(question) = chapter.quiz.iter().find(|q| q.id == card.id) else { continue };
        println!("{}", chapter.lesson.front.title.dimmed());
        let marked = match asking::put(desk, &chapter, question)? {
            Came::To(marked) => marked,
            Came::Nothing => continue,
            Came::End => break,
        };
        answered += 1;
        right += u32::from(marked.right);
    }
    println!("{right} of {answered} right.");
    if let Some(next) = self::cards(desk)?.first() {
        println!("The next is due {}.", until(next.due, SystemTime::now()));
    }
    Ok(0)
}

/// All that lie in a box, by when they are due.
fn cards(desk: &Desk) -> Result<Vec<Card>, Box<dyn crate::kernel::Explain>> {
    let mut cards = Vec::new();
    for folder in &desk.course.folders {
        let chapter = desk.course.chapter(folder).map_err(boxed)?;
        let due = |id: &str| desk.progress.record.answers.get(id).and_then(|a| a.due);
        cards.extend(chapter.quiz.iter().filter_map(|q| Some(Card { folder: folder.clone(), id: q.id.clone(), due: due(&q.id)? })));
    }
    cards.sort_by_key(|c| c.due);
    Ok(cards)
}

fn nothing(cards: &[Card], now: SystemTime) {
    match cards.first() {
        None => {
            out::wrapped("", "Nothing to review: you have missed no question yet, or know them all by now. Those that you miss in a quiz come back here after a day.");
            out::next(&[("drydock quiz", "answer a chapter's questions")]);
        }
        Some(next) => {
            println!("Nothing is due. {} waiting, the next is due {}.", if cards.len() == 1 { "1 question is".into() } else { format!("{} questions are", cards.len()) }, until(next.due, now));
            out::next(&[("drydock review --all", "ask them now all the same")]);
        }
    }
}

fn listed(desk: &Desk, cards: &[Card], now: SystemTime) -> Outcome {
    let line = |card: &Card| {
        let answered = desk.progress.record.answers.get(&card.id).copied().unwrap_or_default();
        json!({
            "question": card.id,
            "chapter": card.folder,
            "box": answered.level,
            "waits_days": usize::from(answered.level).checked_sub(1).and_then(|at| DAYS.get(at)),
            "due": humantime::format_rfc3339_seconds(card.due).to_string(),
            "is_due": is_due(&answered, now),
            "tries": answered.tries,
        })
    };
    println!("{}", serde_json::Value::Array(cards.iter().map(line).collect()));
    Ok(0)
}
