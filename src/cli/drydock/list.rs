//! `drydock list`: the course at a glance.

use super::{Desk, Outcome, boxed};
use colored::Colorize;

/// Prints chapters and exercises with marks in words.
pub fn run(desk: &mut Desk) -> Outcome {
    let record = &desk.progress.record;
    for folder in &desk.course.folders {
        let chapter = desk.course.chapter(folder).map_err(boxed)?;
        let number = folder.split('-').next().unwrap_or_default();
        let right = chapter.quiz.iter().filter(|q| record.answers.get(&q.id).is_some_and(|a| a.right)).count();
        let here = if record.place.as_ref().is_some_and(|p| p.chapter == chapter.slug()) { "  <- you are here" } else { "" };
        let front = &chapter.lesson.front;
        println!("{}{here}", format!("{number}  {}", front.title).bold());
        println!("    {}, {} minutes, quiz {right} of {}", chapter.slug(), front.minutes, chapter.quiz.len());
        for name in &chapter.exercises {
            let id = format!("{}/{name}", chapter.slug());
            let mark = if record.passed.contains_key(&id) { "passed" } else { "open  " };
            println!("    {mark}  {id}");
        }
        println!();
    }
    println!("drydock start CHAPTER, or CHAPTER/EXERCISE");
    Ok(0)
}
