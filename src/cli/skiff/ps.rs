//! `skiff ps`: Docker's columns.

use super::format::List;
use super::{Outcome, boxed};
use crate::engine::container::{Container, Status};
use crate::engine::pause::is_paused;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Options of `skiff ps`.
#[derive(Debug, Args)]
pub struct Ps {
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Full ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON object a line, with numbers for programs
    #[arg(long)]
    json: bool,
}

/// Lists them, newest first.
pub fn run(args: &Ps, root: &Path) -> Outcome {
    let mut shown: Vec<Container> = Container::all(root);
    shown.retain(|c| args.all || matches!(c.status(), Status::Running));
    shown.reverse();
    if args.json {
        for container in &shown {
            println!("{}", describe(container));
        }
        return Ok(0);
    }
    if args.quiet && args.format.as_deref().is_none_or(|f| f == "table") {
        for container in &shown {
            println!("{}", if args.no_trunc { container.id() } else { container.short_id() });
        }
        return Ok(0);
    }
    let rows = shown.iter().map(|c| row(c, args.no_trunc)).collect::<Vec<_>>();
    let usual = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
    print!("{}", List { usual, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

/// What a line of `ps` can show.
pub const HEADS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Names", "NAMES"),
    ("Size", "SIZE"),
];

/// A container as a line of `ps`.
pub fn row(container: &Container, whole: bool) -> Value {
    let record = &container.record;
    let mut command = record.command.join(" ");
    if !whole && command.chars().count() > 20 {
        command = command.chars().take(19).chain(['…']).collect();
    }
    json!({
        "ID": if whole { &record.id } else { container.short_id() },
        "Image": record.image,
        "Command": format!("\"{}\"", command.replace(['\t', '\n'], " ")),
        "RunningFor": format!("{} ago", rough(record.created)),
        "CreatedAt": created_at(record.created),
        "Status": status(container),
        "State": state(container),
        "Names": record.name,
        "Size": "N/A",
    })
}

/// One word of Docker's: created, running, paused, exited, dead.
fn state(container: &Container) -> Value {
    match container.status() {
        Status::Creating => "created".into(),
        Status::Running if is_paused(container) => "paused".into(),
        other => json!(other),
    }
}

/// As Docker words it: `Up 5 minutes`, `Exited (0) 2 hours ago`.
fn status(container: &Container) -> String {
    let since = container.record.started.unwrap_or(container.record.created);
    match container.status() {
        Status::Created | Status::Creating => "Created".into(),
        Status::Running if is_paused(container) => format!("Up {} (Paused)", rough(since)),
        Status::Running => format!("Up {}", rough(since)),
        Status::Restarting => format!("Restarting ({}) {} ago", container.record.exit_code, rough(container.record.finished.unwrap_or(since))),
        Status::Exited => format!("Exited ({}) {} ago", container.record.exit_code, rough(container.record.finished.unwrap_or(SystemTime::now()))),
        Status::Dead => "Dead".into(),
    }
}

/// One container as JSON.
pub fn describe(container: &Container) -> Value {
    let record = &container.record;
    json!({
        "ID": record.id,
        "Image": record.image,
        "Command": record.command,
        "Names": record.name,
        "State": state(container),
        "Status": status(container),
        "Pid": record.pid,
        "ExitCode": record.exit_code,
        "CreatedAt": humantime::format_rfc3339_seconds(record.created).to_string(),
    })
}

/// `2026-01-31 12:00:00 +0000 UTC`, as Docker's rows have a time.
pub fn created_at(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// How long ago, in the words of Docker: weeks from the second on, months from the second on.
pub fn rough(since: SystemTime) -> String {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let passed = since.elapsed().unwrap_or(Duration::ZERO).as_secs();
    match passed {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        s if s < 60 => format!("{s} seconds"),
        s if s < 120 => "About a minute".into(),
        s if s < HOUR => format!("{} minutes", s / 60),
        // Rounded, as there.
        s if (s + HOUR / 2) / HOUR < 2 => "About an hour".into(),
        s if (s + HOUR / 2) / HOUR < 48 => format!("{} hours", (s + HOUR / 2) / HOUR),
        s if s < 14 * DAY => format!("{} days", s / DAY),
        s if s < 60 * DAY => format!("{} weeks", s / (7 * DAY)),
        s if s < 730 * DAY => format!("{} months", s / (30 * DAY)),
        s => format!("{} years", s / (365 * DAY)),
    }
}
