//! The exercise in hand: check, watch, hint, solution, reset.

use super::{Desk, Outcome, boxed, marked};
use crate::check::{self, Scene, Verdict};
use crate::cli::out;
use crate::course::Exercise;
use crate::kernel::Explain;
use crate::learn::{Error, Progress, render, reset as putback, shell, watch as watching};
use clap::Args;
use colored::Colorize;
use std::time::SystemTime;

// Options of `drydock check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The verdict as JSON
    #[arg(long)]
    json: bool,
}

// Options of `drydock watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Each verdict as JSON, one a line
    #[arg(long)]
    json: bool,
    /// Keep watching after the exercise is passed
    #[arg(long)]
    keep: bool,
}

/// The exercise in hand, filled in for this learner.
fn in_hand(desk: &Desk) -> Result<Exercise, Box<dyn Explain>> {
    let id = desk.progress.record.exercise.as_ref().map(|e| e.id.clone()).ok_or_else(|| boxed(Error::NoExercise))?;
    exercise(desk, &id)
}

/// An exercise, filled in for this learner.
pub fn exercise(desk: &Desk, id: &str) -> Result<Exercise, Box<dyn Explain>> {
    let work = desk.progress.work(id).display().to_string();
    desk.course.exercise(id, &desk.facts, &desk.progress.record.seed, &work).map_err(boxed)
}

/// What the kernel says of an exercise.
pub fn judge(desk: &Desk, exercise: &Exercise) -> Verdict {
    check::examine(&exercise.checks, &scene(desk))
}

/// Clears away what was made for an exercise.
pub fn clear(desk: &Desk, exercise: &Exercise) {
    putback::reset(exercise, &desk.progress.home, desk.progress.since(), &shell::skiff());
}

/// Keeps that an exercise was passed.
pub fn passed(desk: &mut Desk, id: &str) -> Result<(), Box<dyn Explain>> {
    desk.progress.record.passed.insert(id.to_owned(), SystemTime::now());
    desk.progress.save().map_err(boxed)
}

/// Where and since when the learner has been at work.
fn scene(desk: &Desk) -> Scene {
    let record = desk.progress.home.folder.join("witness.jsonl");
    Scene {
        since_ticks: desk.progress.since(),
        host: desk.progress.host(),
        shell: std::env::var(shell::MARK).ok(),
        record: Some(record).filter(|p| check::witness::is_kept(p)),
        learner: desk.progress.home.learner(),
    }
}

/// Asks the kernel. Exit code 0 passed, 1 not yet, 2 cannot tell here.
pub fn check(desk: &mut Desk, args: &Check) -> Outcome {
    let exercise = in_hand(desk)?;
    let verdict = judge(desk, &exercise);
    if args.json {
        let mut json = serde_json::to_value(&verdict).unwrap_or_default();
        json["exercise"] = exercise.id.clone().into();
        println!("{json}");
    } else {
        marked::show(&verdict, &exercise.title);
    }
    super::join::verdict(desk, &exercise, &verdict);
    note(desk, &exercise, &verdict, args.json)?;
    Ok(verdict.exit_code())
}

/// Keeps a pass, and tells what the kernel did and what comes next.
fn note(desk: &mut Desk, exercise: &Exercise, verdict: &Verdict, quiet: bool) -> Result<(), Box<dyn Explain>> {
    if verdict.exit_code() != 0 {
        return Ok(());
    }
    if desk.progress.is_released() {
        desk.progress = Progress::open(desk.progress.home.clone()).map_err(boxed)?;
    }
    passed(desk, &exercise.id)?;
    if !quiet {
        println!();
        println!("{}", format!("{}: passed.", exercise.title).bold());
        println!();
        out::markdown(&exercise.explain);
        out::next(&[("drydock reset", "clear away what you made"), ("drydock next", "go on")]);
    }
    Ok(())
}

/// Checks again at every change, until it is passed.
pub fn watch(desk: &mut Desk, args: &Watch) -> Outcome {
    let exercise = in_hand(desk)?;
    let scene = scene(desk);
    if !args.json {
        println!("{}", format!("watching {}: Ctrl-C ends it", exercise.title).dimmed());
    }
    let mut last = None;
    // Others may work on the progress while this waits.
    desk.progress.release();
    watching::watch(&exercise.checks, &scene, |verdict, _| {
        if args.json {
            println!("{}", serde_json::to_string(verdict).unwrap_or_default());
        } else {
            println!();
            marked::show(verdict, &exercise.title);
        }
        let passed = verdict.exit_code() == 0;
        if passed && args.keep {
            keep(&desk.progress.home, &exercise.id);
        }
        if last.as_ref().is_none_or(|before| !super::join::is_alike(before, verdict)) {
            super::join::verdict(desk, &exercise, verdict);
        }
        last = Some(verdict.clone());
        args.keep || !passed
    })
    .map_err(boxed)?;
    match last {
        Some(verdict) => {
            note(desk, &exercise, &verdict, args.json)?;
            Ok(verdict.exit_code())
        }
        None => Ok(2),
    }
}

/// Keeps a pass while watching goes on. What cannot be kept now is kept at the next verdict.
fn keep(home: &crate::learn::Home, id: &str) {
    if let Ok(mut progress) = Progress::open(home.clone())
        && !progress.record.passed.contains_key(id)
    {
        progress.record.passed.insert(id.to_owned(), SystemTime::now());
        let _ = progress.save();
    }
}

/// One hint more each time.
pub fn hint(desk: &mut Desk) -> Outcome {
    let exercise = in_hand(desk)?;
    let seen = desk.progress.record.hints.entry(exercise.id.clone()).or_insert(0);
    *seen = (*seen + 1).min(exercise.hints.len());
    let shown = *seen;
    desk.progress.save().map_err(boxed)?;
    for (number, text) in exercise.hints.iter().take(shown).enumerate() {
        println!("{}", format!("hint {} of {}", number + 1, exercise.hints.len()).bold());
        out::markdown(text);
    }
    if shown == exercise.hints.len() {
        out::next(&[("drydock solution", "see how it can be done")]);
    } else {
        out::next(&[("drydock hint", "one more")]);
    }
    Ok(0)
}

/// All ways that pass.
pub fn solution(desk: &mut Desk) -> Outcome {
    let exercise = in_hand(desk)?;
    for way in &exercise.solutions {
        println!("{}", format!("with {}", way.name).bold());
        // A condition in the text leaves an empty line where it stood.
        for (prompt, line) in render::prompted(way.typed.trim()) {
            println!("  {prompt} {line}");
        }
        for line in way.second.iter().flat_map(|s| s.lines()) {
            println!("  $ {line}    (in a second terminal)");
        }
        println!();
    }
    out::next(&[("drydock check", "once you have typed one"), ("drydock reset", "begin again")]);
    Ok(0)
}

/// Back to the beginning: exactly what the exercise declares is removed.
pub fn reset(desk: &mut Desk) -> Outcome {
    let exercise = in_hand(desk)?;
    let done = putback::reset(&exercise, &desk.progress.home, desk.progress.since(), &shell::skiff());
    for thing in &done.removed {
        println!("removed {thing}");
    }
    for trouble in &done.left {
        println!("left: {trouble}");
    }
    if !done.others.is_empty() {
        println!("not this exercise's, so left alone: container {} (skiff rm -f removes them)", done.others.join(", "));
    }
    super::read::begin(desk, &exercise.id)?;
    println!("{}: at its beginning.", exercise.title);
    Ok(u8::from(!done.left.is_empty()))
}
