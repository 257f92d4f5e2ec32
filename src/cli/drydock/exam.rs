//! `drydock exam`: questions and live tasks from all chapters, and a report that says what to read again.
//!
//! Each answer is kept at once: whoever is interrupted types `drydock exam` again.

use super::asking;
use super::{Desk, Outcome, boxed, learn, read};
use crate::cli::out;
use crate::kernel::units::counted;
use crate::kernel::{Explain, OrSys};
use crate::learn::doctor::{self, Spot};
use crate::learn::exam::{Came, Exam, Item, ItemKind, Rules};
use crate::learn::report::Report;
use crate::learn::{Progress, ask as machine};
use clap::Args;
use colored::Colorize;
use std::path::PathBuf;
use std::time::Instant;

// Options of `drydock exam`.
#[derive(Debug, Args)]
pub struct Take {
    /// End after so many minutes; they run while it asks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: Option<u32>,
    /// How many questions
    #[arg(long, value_name = "N", default_value_t = 20)]
    questions: usize,
    /// How many live tasks
    #[arg(long, value_name = "N", default_value_t = 3)]
    tasks: usize,
    /// Draw the exam that this word stands for: the same for everybody
    #[arg(long, value_name = "WORD")]
    seed: Option<String>,
    /// Begin a new one, though there is one
    #[arg(long)]
    again: bool,
    /// Show the report of the last exam, and ask nothing
    #[arg(long)]
    report: bool,
    /// Write the report as a page, into this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

/// Begins, goes on, or shows the report.
pub fn run(desk: &mut Desk, args: &Take) -> Outcome {
    let kept = desk.progress.record.exam.as_ref().map(|e| e.over);
    match kept {
        None if args.report || args.json => return Err(boxed(NoExam)),
        Some(false) if !args.again && !args.report && !args.json => {
            println!("{}", "You are in the middle of an exam: on with it.".bold());
            take(desk)?;
        }
        Some(_) if !args.again => {}
        _ => {
            begin(desk, args)?;
            take(desk)?;
        }
    }
    tell(desk, args)
}

/// There is nothing to report of.
#[derive(Debug, thiserror::Error)]
#[error("there is no exam to report of")]
struct NoExam;

impl Explain for NoExam {
    fn why(&self) -> Option<String> {
        Some("you have not begun one".into())
    }
    fn hint(&self) -> Option<String> {
        Some("drydock exam begins one".into())
    }
    fn exit_code(&self) -> u8 {
        2
    }
}

/// Draws one, and keeps it.
fn begin(desk: &mut Desk, args: &Take) -> Result<(), Box<dyn Explain>> {
    let report = doctor::Report::make();
    let taken = desk.progress.record.exam.as_ref().map_or(0, |e| e.begun.elapsed().map_or(0, |d| d.as_secs()));
    let seed = args.seed.clone().unwrap_or_else(|| format!("{}-{taken}", desk.progress.record.seed));
    let rules = Rules {
        seed: &seed,
        questions: args.questions,
        tasks: args.tasks,
        asks: &|q| q.run.as_ref().or(q.read.as_ref()).is_none_or(|command| machine::lacks(command, &report).is_none()),
        does: &|source| doctor::spot(source, &report) == Spot::Here,
    };
    let exam = Exam::draw(&desk.course, &rules, args.minutes).map_err(boxed)?;
    let of = |kind| exam.items.iter().filter(|i| i.kind == kind).count();
    println!("{}", format!("Exam: {}, {}", counted(of(ItemKind::Question), "question"), counted(of(ItemKind::Task), "live task")).bold());
    out::wrapped("", "What was right you are told at the end (where a command is run, you see what it printed). An empty line leaves something out. q interrupts: `drydock exam` goes on from there, and the time stands still until then.");
    if of(ItemKind::Task) > 0 {
        out::wrapped("", "For the live tasks open `drydock shell` in a second terminal.");
    }
    println!();
    desk.progress.record.exam = Some(exam);
    desk.progress.save().map_err(boxed)
}

/// Asks what is left, until the end, the end of the time, or an interruption.
fn take(desk: &mut Desk) -> Result<(), Box<dyn Explain>> {
    while let Some((at, item)) = desk.progress.record.exam.as_ref().and_then(|e| e.next().map(|at| (at, e.items[at].clone()))) {
        heading(desk, at, &item);
        let begun = Instant::now();
        let came = match item.kind {
            ItemKind::Question => question(desk, &item)?,
            ItemKind::Task => task(desk, &item)?,
        };
        let Some(exam) = &mut desk.progress.record.exam else { return Ok(()) };
        exam.used += begun.elapsed().as_secs();
        match came {
            None => return desk.progress.save().map_err(boxed),
            // Too late: it was answered after the end of the time.
            Some(_) if exam.left() == Some(0) => {
                println!("The time is up.\n");
                break;
            }
            Some(came) => exam.items[at].came = Some(came),
        }
        desk.progress.save().map_err(boxed)?;
    }
    if let Some(exam) = &mut desk.progress.record.exam {
        exam.end();
    }
    desk.progress.save().map_err(boxed)
}

fn heading(desk: &Desk, at: usize, item: &Item) {
    let Some(exam) = &desk.progress.record.exam else { return };
    let left = exam.left().map(|s| format!(", {} left", counted((s.div_ceil(60)) as usize, "minute"))).unwrap_or_default();
    let kind = if item.kind == ItemKind::Task { "live task" } else { "question" };
    println!("{}", format!("{} of {}: {kind}{left}", at + 1, exam.items.len()).bold());
}

/// What became of a question; `None` for an interruption.
fn question(desk: &mut Desk, item: &Item) -> Result<Option<Came>, Box<dyn Explain>> {
    let chapter = desk.course.chapter(&item.folder).map_err(boxed)?;
    // A course of another version may not have it any more.
    let Some(question) = chapter.quiz.iter().find(|q| q.id == item.id) else { return Ok(Some(Came::Left)) };
    let came = asking::ask(desk, question, &format!("lessons/{}/quiz.yaml", chapter.folder))?;
    println!();
    Ok(match came {
        asking::Came::End => None,
        asking::Came::Nothing => Some(Came::Left),
        asking::Came::To(marked) => {
            desk.progress.answered(&question.id, marked.right).map_err(boxed)?;
            Some(if marked.right { Came::Right } else { Came::Wrong })
        }
    })
}

/// What became of a live task; the kernel says so. `None` for an interruption.
fn task(desk: &mut Desk, item: &Item) -> Result<Option<Came>, Box<dyn Explain>> {
    let Ok(exercise) = learn::exercise(desk, &item.id) else { return Ok(Some(Came::Left)) };
    let in_hand = desk.progress.record.exercise.as_ref().is_some_and(|e| e.id == item.id);
    if !in_hand {
        read::begin(desk, &item.id)?;
    }
    println!("{}\n", exercise.title.bold());
    out::markdown(exercise.goal.trim());
    println!();
    loop {
        // The learner works in another terminal, where `drydock` wants the progress too.
        desk.progress.release();
        let given = asking::line("  Enter when it is done, l to leave it out, q to interrupt > ");
        desk.progress = Progress::open(desk.progress.home.clone()).map_err(boxed)?;
        match given.as_deref() {
            None => return Ok(None),
            Some("l") => {
                learn::clear(desk, &exercise);
                return Ok(Some(Came::Left));
            }
            Some(_) => {}
        }
        let passed = learn::judge(desk, &exercise).exit_code() == 0;
        if passed {
            learn::passed(desk, &exercise.id)?;
            // The next task may want the same.
            learn::clear(desk, &exercise);
            println!("  done\n");
            return Ok(Some(Came::Right));
        }
        println!("  not yet");
    }
}

/// The report, if it is over; else how to go on.
fn tell(desk: &Desk, args: &Take) -> Outcome {
    let Some(exam) = &desk.progress.record.exam else { return Err(boxed(NoExam)) };
    if !exam.over && !args.json && !args.report {
        println!("\nInterrupted; all that you answered is kept.");
        out::next(&[("drydock exam", "go on"), ("drydock exam --report", "see how far you are")]);
        return Ok(0);
    }
    let report = Report::of(exam, &desk.course).map_err(boxed)?;
    if let Some(path) = &args.html {
        let page = report.page().map_err(boxed)?;
        std::fs::write(path, page).or_sys_with(|| format!("write {}", path.display())).map_err(boxed)?;
    }
    if args.json {
        let mut json = serde_json::to_value(&report).unwrap_or_default();
        json["over"] = exam.over.into();
        json["items"] = serde_json::to_value(&exam.items).unwrap_or_default();
        println!("{json}");
        return Ok(0);
    }
    out::markdown(report.text().map_err(boxed)?.trim());
    println!();
    if let Some(path) = &args.html {
        println!("Written to {}.\n", path.display());
    }
    out::next(&[("drydock review", "what you missed comes back here"), ("drydock exam --html FILE", "this report as a page"), ("drydock exam --again", "another exam")]);
    Ok(0)
}
