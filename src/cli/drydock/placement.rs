//! `drydock placement`: some questions through all chapters, and then where to begin, and why.

use super::asking::{self, Came};
use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::course::Chapter;
use crate::kernel::Explain;
use crate::learn::placement::{Shown, begin_at, is_enough, questions};
use colored::Colorize;

/// Asks, and suggests.
pub fn run(desk: &mut Desk) -> Outcome {
    desk.progress.save().map_err(boxed)?;
    println!("{}", "Where should you begin?".bold());
    out::wrapped("", "A question from each chapter, a second one where you miss it. It ends when two chapters in a row are new to you. Guessing takes you to a chapter that is too hard: an empty line says that you do not know, q ends.");
    println!();
    let mut shown = Vec::new();
    let mut is_left = false;
    for folder in desk.course.folders.clone() {
        let chapter = desk.course.chapter(&folder).map_err(boxed)?;
        match one(desk, &chapter)? {
            Some(result) => shown.push(result),
            None => {
                is_left = true;
                break;
            }
        }
        if is_enough(&shown) {
            break;
        }
    }
    suggest(desk, &shown, is_left);
    Ok(0)
}

/// Asks about one chapter; `None` when the learner wants no more.
fn one(desk: &mut Desk, chapter: &Chapter) -> Result<Option<Shown>, Box<dyn Explain>> {
    let front = &chapter.lesson.front;
    let mut shown = Shown { folder: chapter.folder.clone(), title: front.title.clone(), missed: Vec::new(), known: false };
    let seed = desk.progress.record.seed.clone();
    println!("{}", front.title.dimmed());
    for question in questions(chapter, &seed) {
        let is_right = match asking::put(desk, chapter, question)? {
            Came::End => return Ok(None),
            Came::Nothing => {
                println!();
                false
            }
            Came::To(marked) => marked.right,
        };
        if is_right {
            shown.known = true;
            break;
        }
        let objective = front.objectives.iter().find(|o| o.id == question.objective);
        shown.missed.extend(objective.map(|o| o.text.clone()).filter(|text| !shown.missed.contains(text)));
    }
    Ok(Some(shown))
}

fn suggest(desk: &Desk, shown: &[Shown], is_left: bool) {
    for chapter in shown.iter().filter(|s| s.known) {
        println!("  known  {}", chapter.title);
    }
    for chapter in shown.iter().filter(|s| !s.known) {
        println!("  new    {}", chapter.title);
    }
    let next = || desk.course.folders.get(shown.len()).or(desk.course.folders.first());
    match begin_at(shown) {
        Some(new) => {
            println!("\n{}", format!("Begin with {}.", new.title).bold());
            println!("You have missed what it teaches. At its end you can:");
            for objective in &new.missed {
                out::paragraph("  - ", objective);
            }
            let command = format!("drydock start {}", new.folder);
            out::next(&[(&command, "begin there"), ("drydock placement", "ask again")]);
        }
        None if is_left || shown.is_empty() => {
            println!("\nAll that you answered is known to you, as far as it went.");
            let command = format!("drydock start {}", next().map_or("", String::as_str));
            out::next(&[(&command, "begin with the first chapter that was not asked"), ("drydock placement", "ask again")]);
        }
        None => {
            println!("\nYou know something of every chapter.");
            out::next(&[("drydock exam", "show it, with your hands as well"), ("drydock list", "choose a chapter")]);
        }
    }
}
