//! Reading: `drydock` alone, start, next, back.

use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::course::template::Values;
use crate::course::{Chapter, Error, PartKind};
use crate::kernel::Explain;
use crate::learn::doctor::{Report, Spot, spot};
use crate::learn::progress::Place;
use colored::Colorize;

/// First time: a welcome and the first page. Later: exactly where one left off.
pub fn resume(desk: &mut Desk) -> Outcome {
    if desk.progress.record.place.is_none() {
        welcome();
        let first = desk.course.folders.first().cloned().unwrap_or_default();
        return start(desk, &first);
    }
    if desk.progress.is_new {
        welcome();
    }
    here(desk)
}

fn welcome() {
    println!("{}", "Drydock: learn Docker by building containers with your own hands.".bold());
    println!();
    out::wrapped("", "You read a little here, type commands in a shell of your own beside it, and the kernel marks your work: a check looks at processes, namespaces and control groups, not at what was printed.");
    println!();
    out::wrapped("", &Report::make().short());
    println!();
}

/// Begins a chapter, or an exercise.
pub fn start(desk: &mut Desk, name: &str) -> Outcome {
    if name.contains('/') || desk.course.folder(name).is_err() && desk.course.exercise_file(name).is_ok() {
        let (id, _) = desk.course.exercise_source(name).map_err(boxed)?;
        let (chapter, exercise) = id.split_once('/').unwrap_or((&id, ""));
        let chapter = desk.course.chapter(chapter).map_err(boxed)?;
        let part = chapter.lesson.parts.iter().position(|p| p.kind == PartKind::Exercise(exercise.to_owned())).map_or(0, |i| i + 1);
        go(desk, &chapter, part)?;
        return here(desk);
    }
    let chapter = desk.course.chapter(name).map_err(|unknown| boxed(meant(desk, name, unknown)))?;
    go(desk, &chapter, 0)?;
    here(desk)
}

/// What is like no chapter may be like an exercise.
fn meant(desk: &Desk, name: &str, unknown: Error) -> Error {
    match (unknown, desk.course.exercise_file(name)) {
        (Error::Unknown { near: None, .. }, Err(Error::Unknown { name, near: Some(near), all, .. })) => Error::Unknown { kind: "chapter or exercise", name, near: Some(near), all },
        (unknown, _) => unknown,
    }
}

/// Goes on by one part; after the last, to the next chapter.
pub fn next(desk: &mut Desk) -> Outcome {
    let Some(place) = desk.progress.record.place.clone() else { return resume(desk) };
    let chapter = desk.course.chapter(&place.chapter).map_err(boxed)?;
    if place.part < chapter.lesson.parts.len() {
        go(desk, &chapter, place.part + 1)?;
        return here(desk);
    }
    let index = desk.course.folders.iter().position(|f| *f == chapter.folder).unwrap_or(0);
    match desk.course.folders.get(index + 1).cloned() {
        Some(folder) => start(desk, &folder),
        None => {
            println!("That was the last chapter. `drydock list` shows what is still open.");
            Ok(0)
        }
    }
}

/// Goes back by one part; before the first, to the end of the chapter before.
pub fn back(desk: &mut Desk) -> Outcome {
    let Some(place) = desk.progress.record.place.clone() else { return resume(desk) };
    let chapter = desk.course.chapter(&place.chapter).map_err(boxed)?;
    if place.part > 0 {
        go(desk, &chapter, place.part - 1)?;
        return here(desk);
    }
    let index = desk.course.folders.iter().position(|f| *f == chapter.folder).unwrap_or(0);
    if index == 0 {
        println!("This is the beginning.\n");
        return here(desk);
    }
    let before = desk.course.chapter(&desk.course.folders[index - 1]).map_err(boxed)?;
    go(desk, &before, before.lesson.parts.len())?;
    here(desk)
}

/// Moves to a part; an exercise there is begun.
fn go(desk: &mut Desk, chapter: &Chapter, part: usize) -> Result<(), Box<dyn Explain>> {
    desk.progress.record.place = Some(Place { chapter: chapter.slug().to_owned(), part, since: std::time::SystemTime::now() });
    if let Some(PartKind::Exercise(name)) = part.checked_sub(1).and_then(|i| chapter.lesson.parts.get(i)).map(|p| &p.kind) {
        let id = format!("{}/{name}", chapter.slug());
        if desk.progress.record.exercise.as_ref().is_none_or(|e| e.id != id) {
            begin(desk, &id)?;
        }
    }
    desk.progress.save().map_err(boxed)
}

/// Begins an exercise, and lays out the files that it starts with.
pub fn begin(desk: &mut Desk, id: &str) -> Result<(), Box<dyn Explain>> {
    use crate::kernel::OrSys;
    desk.progress.begin(id).map_err(boxed)?;
    let file = desk.course.exercise_file(id).map_err(boxed)?;
    let start = file.replace("/exercise.yaml", "/start");
    let work = desk.progress.work(id);
    let files = desk.course.content.files(&start).or_sys_with(|| format!("read {start}")).map_err(boxed)?;
    files.iter().try_for_each(|(name, bytes)| desk.progress.home.lay_out(&work.join(name), bytes)).map_err(boxed)
}

/// Shows the part where the learner is, and what comes next.
fn here(desk: &mut Desk) -> Outcome {
    let Some(place) = desk.progress.record.place.clone() else { return Ok(0) };
    let chapter = desk.course.chapter(&place.chapter).map_err(boxed)?;
    let file = format!("lessons/{}/lesson.md", chapter.folder);
    let values = Values::of(&desk.facts);
    let front = &chapter.lesson.front;
    let count = chapter.lesson.parts.len();
    println!("{}", format!("{} · {} of {count}", front.title, place.part).dimmed());
    println!();
    let Some(part) = place.part.checked_sub(1).and_then(|i| chapter.lesson.parts.get(i)) else {
        out::heading(&front.title);
        out::markdown(&values.render(&chapter.lesson.opening, &file, 0).map_err(boxed)?);
        println!("At the end of it you can:");
        for objective in &front.objectives {
            out::paragraph("  - ", &objective.text);
        }
        println!();
        offer_the_lab(desk, &chapter)?;
        out::next(&[("drydock next", "go on"), ("drydock shell", "in a second terminal: a shell to work in")]);
        return Ok(0);
    };
    match &part.kind {
        PartKind::Section | PartKind::Step => {
            out::heading(&part.title);
            out::markdown(&values.render(&part.text, &file, part.line).map_err(boxed)?);
            out::next(&[("drydock next", "go on"), ("drydock back", "once more, the one before")]);
        }
        PartKind::Exercise(name) => {
            let text = values.render(&part.text, &file, part.line).map_err(boxed)?;
            exercise(desk, &format!("{}/{name}", chapter.slug()), &text)?;
        }
        PartKind::Quiz => {
            out::heading("Quiz");
            let text = values.render(&part.text, &file, part.line).map_err(boxed)?;
            if !text.trim().is_empty() {
                out::markdown(&text);
            }
            let right = chapter.quiz.iter().filter(|q| desk.progress.record.answers.get(&q.id).is_some_and(|a| a.right)).count();
            println!("{} questions, {} of them answered right so far.\n", chapter.quiz.len(), if right == 0 { "none".into() } else { right.to_string() });
            out::next(&[("drydock quiz", "answer them"), ("drydock next", "go on without")]);
        }
    }
    Ok(0)
}

/// At the beginning of a chapter: what of it this machine falls short of.
fn offer_the_lab(desk: &Desk, chapter: &Chapter) -> Result<(), Box<dyn Explain>> {
    let report = Report::make();
    let mut missing = Vec::new();
    for name in &chapter.exercises {
        let (_, source) = desk.course.exercise_source(&format!("{}/{name}", chapter.slug())).map_err(boxed)?;
        if let Spot::Lab(why) = spot(&source, &report) {
            missing.push(why);
        }
    }
    if let Some(why) = missing.first() {
        let text = format!("{} of its {} exercises cannot be done on this machine ({why}). `drydock lab` opens a small VM of your own in which they can.", missing.len(), chapter.exercises.len());
        out::wrapped("note: ", &text);
        println!();
    }
    Ok(())
}

/// Shows an exercise: its goal, and how to go about it.
fn exercise(desk: &mut Desk, id: &str, around: &str) -> Result<(), Box<dyn Explain>> {
    if desk.progress.record.exercise.as_ref().is_none_or(|e| e.id != id) {
        begin(desk, id)?;
    }
    let work = desk.progress.work(id).display().to_string();
    let exercise = desk.course.exercise(id, &desk.facts, &desk.progress.record.seed, &work).map_err(boxed)?;
    let done = if desk.progress.record.passed.contains_key(id) { "  (passed)" } else { "" };
    out::heading(&format!("Exercise: {}{done}", exercise.title));
    if !around.trim().is_empty() {
        out::markdown(around);
    }
    out::markdown(&exercise.goal);
    let (_, source) = desk.course.exercise_source(id).map_err(boxed)?;
    match spot(&source, &Report::make()) {
        Spot::Here => {}
        Spot::Lab(why) => {
            out::wrapped("note: ", &format!("not on this machine: {why}. `drydock lab` opens a small VM of your own, where it can be done; you go on there at this very place."));
            println!();
        }
        Spot::Nowhere(why) => {
            out::wrapped("note: ", &format!("this machine cannot do all of it: {why}. drydock doctor says how to mend that."));
            println!();
        }
    }
    out::next(&[
        ("drydock shell", "in a second terminal: a shell to work in"),
        ("drydock check", "ask the kernel"),
        ("drydock hint", "if you are stuck"),
    ]);
    Ok(())
}
