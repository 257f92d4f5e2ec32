//! Around the course: doctor, shell, progress, man pages.

use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::course::Course;
use crate::kernel::{OrSys, session};
use crate::learn::doctor::{Report, Spot, spot};
use crate::learn::shell;
use clap::{Args, Subcommand};
use colored::Colorize;
use std::path::{Path, PathBuf};

// Options of `drydock doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Every trial, also those that work
    #[arg(long)]
    full: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

// Options of `drydock progress`.
#[derive(Debug, Args)]
pub struct ProgressArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    what: Option<ProgressCommand>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum ProgressCommand {
    /// Save it to a file
    Export {
        /// The file
        file: PathBuf,
    },
    /// Take it over from a file
    Import {
        /// The file
        file: PathBuf,
    },
}

/// Tries what this machine can do, and says what that means for each exercise.
pub fn doctor(args: &Doctor, course: &Course) -> Outcome {
    let report = Report::make();
    if args.json {
        let trials: Vec<_> = report
            .trials
            .iter()
            .map(|t| {
                let failed = t.failed.as_ref();
                serde_json::json!({"name": t.name, "what": t.what, "works": t.works(), "said": failed.map(|f| &f.said), "cause": failed.map(|f| &f.cause), "fix": failed.map(|f| &f.fix)})
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&trials).unwrap_or_default());
        return Ok(u8::from(report.failed().next().is_some()));
    }
    for trial in report.trials.iter().filter(|t| args.full || !t.works()) {
        match &trial.failed {
            None => println!("{} {}", "works:".green(), trial.what),
            Some(failure) => {
                println!("{} {} ({})", "does not work:".yellow(), trial.what, failure.said);
                out::wrapped("  why  ", &failure.cause);
                out::wrapped("  fix  ", &failure.fix);
            }
        }
    }
    if report.failed().next().is_none() {
        println!("{}", report.short());
    }
    chapters(course, &report)
}

/// For each chapter: here, or in the lab, and why.
fn chapters(course: &Course, report: &Report) -> Outcome {
    for folder in &course.folders {
        let chapter = course.chapter(folder).map_err(boxed)?;
        let mut elsewhere = Vec::new();
        for name in &chapter.exercises {
            let (_, source) = course.exercise_source(&format!("{}/{name}", chapter.slug())).map_err(boxed)?;
            match spot(&source, report) {
                Spot::Here => {}
                Spot::Lab(why) => elsewhere.push(format!("{name} in the lab ({why})")),
                Spot::Nowhere(why) => elsewhere.push(format!("{name} not here ({why})")),
            }
        }
        let (count, title) = (chapter.exercises.len(), &chapter.lesson.front.title);
        match elsewhere.len() {
            0 => out::wrapped(&format!("{title}: "), "all of it can be done here."),
            n if n == count => out::wrapped(&format!("{title}: "), &format!("in the lab (drydock lab). {}", elsewhere.join("; "))),
            _ => out::wrapped(&format!("{title}: "), &format!("here, but for {}.", elsewhere.join("; "))),
        }
    }
    Ok(u8::from(report.failed().next().is_some()))
}

/// A shell to work in.
pub fn shell(desk: &mut Desk) -> Outcome {
    if std::env::var_os(shell::MARK).is_some() {
        println!("You are in such a shell already: `exit` leaves it. For a second one, open another terminal.");
        return Ok(0);
    }
    let id = desk.progress.record.exercise.as_ref().map(|e| e.id.clone());
    let work = desk.progress.work(id.as_deref().unwrap_or("shell"));
    desk.progress.home.make(&work).map_err(boxed)?;
    let nonce = shell::nonce();
    let mut command = shell::command(&desk.progress.home, &work, id.as_deref(), &nonce).map_err(boxed)?;
    // The lock goes, or `drydock check` in here would wait for ever.
    desk.progress.release();
    println!("A shell to work in; `skiff` and `drydock` are on its PATH. `exit` leaves it.");
    let witness = crate::check::witness::Witness::start(&desk.progress.home.folder.join("witness.jsonl"));
    session::hangs_up_with_us(&mut command);
    let status = command.status().or_sys("start a shell").map_err(boxed)?;
    drop(witness);
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

/// How far the learner is.
pub fn progress(desk: &mut Desk, args: &ProgressArgs) -> Outcome {
    match &args.what {
        Some(ProgressCommand::Export { file }) => {
            let text = serde_json::to_vec_pretty(&desk.progress.record).unwrap_or_default();
            desk.progress.home.write(&std::path::absolute(file).unwrap_or_else(|_| file.clone()), &text).map_err(boxed)?;
            println!("saved to {}", file.display());
            return Ok(0);
        }
        Some(ProgressCommand::Import { file }) => {
            desk.progress.import(file).map_err(boxed)?;
            println!("taken over from {}", file.display());
            return Ok(0);
        }
        None => {}
    }
    let record = &desk.progress.record;
    if args.json {
        println!("{}", serde_json::to_string_pretty(record).unwrap_or_default());
        return Ok(0);
    }
    for folder in &desk.course.folders {
        let chapter = desk.course.chapter(folder).map_err(boxed)?;
        let passed = chapter.exercises.iter().filter(|e| record.passed.contains_key(&format!("{}/{e}", chapter.slug()))).count();
        let right = chapter.quiz.iter().filter(|q| record.answers.get(&q.id).is_some_and(|a| a.right)).count();
        println!("{:<24} exercises {passed} of {}, questions {right} of {}", chapter.lesson.front.title, chapter.exercises.len(), chapter.quiz.len());
    }
    Ok(0)
}

/// Man pages of `drydock` and its subcommands.
pub fn man(folder: &Path) -> Outcome {
    clap_mangen::generate_to(super::command(), folder).or_sys_with(|| format!("write man pages to {}", folder.display())).map_err(boxed)?;
    Ok(0)
}
