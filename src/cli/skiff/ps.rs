//! `skiff ps`: Docker's columns.

use super::Outcome;
use super::show;
use crate::engine::container::{Container, Status};
use clap::Args;
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
    /// One JSON object a line
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
    if args.quiet {
        for container in &shown {
            println!("{}", if args.no_trunc { container.id() } else { container.short_id() });
        }
        return Ok(0);
    }
    let rows = shown.iter().map(|c| row(c, args.no_trunc)).collect::<Vec<_>>();
    print!("{}", show::table(&["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES"], &rows));
    Ok(0)
}

fn row(container: &Container, whole: bool) -> Vec<String> {
    let record = &container.record;
    let mut command = record.command.join(" ");
    if !whole && command.chars().count() > 20 {
        command = command.chars().take(19).chain(['…']).collect();
    }
    vec![
        if whole { record.id.clone() } else { container.short_id().to_owned() },
        record.image.clone(),
        format!("\"{command}\""),
        format!("{} ago", rough(record.created)),
        status(container),
        record.name.clone(),
    ]
}

/// As Docker words it: `Up 5 minutes`, `Exited (0) 2 hours ago`.
fn status(container: &Container) -> String {
    match container.status() {
        Status::Creating => "Created".into(),
        Status::Running => format!("Up {}", rough(container.record.created)),
        Status::Exited => format!("Exited ({}) {} ago", container.record.exit_code, rough(container.record.finished.unwrap_or(SystemTime::now()))),
        Status::Dead => "Dead".into(),
    }
}

/// One container as JSON.
pub fn describe(container: &Container) -> serde_json::Value {
    let record = &container.record;
    serde_json::json!({
        "ID": record.id,
        "Image": record.image,
        "Command": record.command,
        "Names": record.name,
        "State": container.status(),
        "Status": status(container),
        "Pid": record.pid,
        "ExitCode": record.exit_code,
        "CreatedAt": humantime::format_rfc3339_seconds(record.created).to_string(),
    })
}

/// How long ago, in the largest unit that fits.
pub fn rough(since: SystemTime) -> String {
    let passed = since.elapsed().unwrap_or(Duration::ZERO).as_secs();
    let (count, unit) = match passed {
        0 => return "Less than a second".into(),
        s if s < 60 => (s, "second"),
        s if s < 3600 => (s / 60, "minute"),
        s if s < 86_400 => (s / 3600, "hour"),
        s => (s / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
