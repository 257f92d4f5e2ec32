//! `drydock course …`: for those who write it.

use super::{Outcome, boxed};
use crate::cli::out;
use crate::course::quiz::Kind;
use crate::course::scaffold::Author;
use crate::course::{Content, Course, Error, lint, slug};
use crate::kernel::OrSys;
use crate::prove::{Bench, Case, stop};
use clap::{Args, Subcommand};
use colored::Colorize;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// `drydock course …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum CourseCommand {
    /// List all that is wrong with the course's files
    Lint,
    /// Begin a chapter, an exercise or a question, as a small one that works
    #[command(subcommand)]
    New(New),
    /// Hold exercises to their contract, by typing every solution and every wrong answer
    Test(Test),
}

/// What can be begun.
#[derive(Debug, Subcommand)]
pub enum New {
    /// A chapter, the last of the course; and a course where there is none yet
    Chapter {
        /// Its short name, such as own-proc
        name: String,
        /// Its title; from the name if it is not given
        #[arg(long)]
        title: Option<String>,
    },
    /// An exercise, with a place in the lesson before the quiz
    Exercise {
        /// CHAPTER/NAME
        id: String,
        /// Its title; from the name if it is not given
        #[arg(long)]
        title: Option<String>,
    },
    /// A question, at the end of a chapter's quiz
    Question {
        /// The chapter
        chapter: String,
        /// Its id, which no other question has
        id: String,
        /// Its kind: one, several, number, text, order, predict or live
        #[arg(long, default_value = "one", value_parser = kind)]
        kind: Kind,
    },
}

/// Options of `drydock course test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Chapters or exercises; all if none is given
    names: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Then also the whole course in order, by one learner, twice
    #[arg(long, visible_alias = "twice")]
    full: bool,
    /// Of an exercise's wrong answers only the first
    #[arg(long, conflicts_with_all = ["full", "matrix"])]
    brief: bool,
    /// Seconds after which a verdict that does not come, or what does not go, counts as a failure
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
    /// As root, as an ordinary user and in the lab, as far as this machine can; then a table
    #[arg(long, conflicts_with_all = ["json", "full"])]
    matrix: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected one, several, number, text, order, predict or live".to_owned())
}

/// Runs it.
pub fn run(command: CourseCommand, content: Content) -> Outcome {
    // What is begun may be the course itself.
    if let CourseCommand::New(what) = &command {
        return begin(what, if let Content::Folder(folder) = &content { folder } else { Path::new(".") });
    }
    let course = Course::load(content).map_err(boxed)?;
    match command {
        CourseCommand::Test(args) => test(&args, &course),
        CourseCommand::Lint | CourseCommand::New(_) => Ok(lint_all(&course)),
    }
}

/// Writes the files of something new below `folder`, and says which.
fn begin(what: &New, folder: &Path) -> Outcome {
    let mut author = Author::at(folder);
    match what {
        New::Chapter { name, title } => author.chapter(name, title.as_deref()),
        New::Exercise { id, title } => author.exercise(id, title.as_deref()),
        New::Question { chapter, id, kind } => author.question(chapter, id, *kind),
    }
    .map_err(boxed)?;
    for path in &author.written {
        println!("{}", folder.join(path).display());
    }
    let at = if folder == Path::new(".") { ".".into() } else { folder.display().to_string() };
    let (lint, test) = (format!("drydock --course {at} course lint"), format!("drydock --course {at} course test"));
    out::next(&[(&lint, "what is still missing"), (&test, "hold it to its contract")]);
    Ok(0)
}

/// One line a finding. Exit code 1 if there is anything.
fn lint_all(course: &Course) -> u8 {
    let findings = lint::lint(course, &crate::learn::facts::kinds());
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("nothing found");
    }
    u8::from(!findings.is_empty())
}

fn test(args: &Test, course: &Course) -> Outcome {
    let ids = chosen(&args.names, course).map_err(boxed)?;
    if args.matrix {
        return super::matrix::run(&ids, args.patience, course);
    }
    let drydock = std::env::current_exe().or_sys("find this program").map_err(boxed)?;
    let bench = Bench {
        course,
        folder: if let Content::Folder(folder) = &course.content { Some(std::path::absolute(folder).unwrap_or_else(|_| folder.clone())) } else { None },
        drydock,
        stop: Some(stop().map_err(boxed)?),
        docker: std::env::var("DRYDOCK_DOCKER_HOST").ok(),
        must_run: std::env::var_os("DRYDOCK_MUST_RUN").is_some_and(|v| v == "1"),
        brief: args.brief,
        patience: Duration::from_secs(args.patience),
    };
    let (mut run, mut failed, mut skipped) = (0, 0, 0);
    let mut told = |case: &Case| {
        run += 1;
        failed += u32::from(!case.ok);
        skipped += u32::from(case.got.starts_with("skipped"));
        show(case, args.json);
    };
    let mut all = bench.prove(&ids, &mut told).map_err(boxed)?;
    if args.full {
        all &= bench.in_order(&ids, &mut told).map_err(boxed)?;
    }
    if !args.json {
        println!("\n{run} cases, {failed} failed, {skipped} skipped");
    }
    Ok(u8::from(!all))
}

/// Ids of what was named: a chapter stands for its exercises.
fn chosen(names: &[String], course: &Course) -> Result<Vec<String>, Error> {
    let all = course.exercise_ids();
    let mut ids = Vec::new();
    for name in names {
        match course.folder(name) {
            Ok(folder) => ids.extend(all.iter().filter(|id| id.split('/').next() == Some(slug(folder))).cloned()),
            Err(_) => ids.push(course.exercise_source(name)?.0),
        }
    }
    Ok(if names.is_empty() { all } else { ids })
}

fn show(case: &Case, json: bool) {
    let mut out = std::io::stdout().lock();
    let line = if json {
        serde_json::to_string(case).unwrap_or_default()
    } else {
        let word = match case.ok {
            _ if case.got.starts_with("skipped") => "skip".yellow(),
            true => "ok  ".green(),
            false => "FAIL".red(),
        };
        format!("{word} {:5.2} s  {}: {}", case.took.as_secs_f32(), case.exercise, case.case)
    };
    // A reader who has gone has seen enough.
    let _ = writeln!(out, "{line}");
    if case.got.starts_with("skipped") && !json {
        let _ = writeln!(out, "            {}", case.got);
    }
    if !case.ok {
        let _ = failure(case, json);
    }
}

/// What a person needs to see of a failure; beside JSON on standard error.
fn failure(case: &Case, json: bool) -> std::io::Result<()> {
    let mut text = format!("     expected  {}\n     got       {}\n", case.expected, case.got);
    for line in case.detail.lines() {
        text.push_str(&format!("     | {line}\n"));
    }
    if json { std::io::stderr().write_all(format!("{}: {}\n{text}", case.exercise, case.case).as_bytes()) } else { std::io::stdout().write_all(text.as_bytes()) }
}

