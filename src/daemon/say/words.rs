//! What `skiff ps` and the API say of a container in words: its state, its status, its command, how long ago.

use crate::engine::container::{Container, Status};
use crate::engine::health;
use crate::engine::pause::is_paused;
use std::time::{Duration, SystemTime};

/// The command as Docker shows it: arguments with a blank in single quotes, the whole in double ones.
pub fn command(container: &Container, whole: bool) -> String {
    let words = container.record.command.iter().enumerate();
    let words: Vec<String> = words.map(|(n, w)| if n > 0 && w.contains(' ') { format!("'{w}'") } else { w.clone() }).collect();
    let text = words.join(" ");
    let text = if whole { text } else { cut(&text, 20) };
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// One word of Docker's: created, running, paused, restarting, exited.
pub fn state(container: &Container) -> &'static str {
    match container.status() {
        Status::Created | Status::Creating => "created",
        Status::Running if is_paused(container) => "paused",
        Status::Running => "running",
        Status::Restarting => "restarting",
        // Its monitor was killed, and it with that.
        Status::Exited | Status::Dead => "exited",
    }
}

/// As Docker words it: `Up 5 minutes`, `Exited (0) 2 hours ago`.
pub fn status(container: &Container, word: &str) -> String {
    let record = &container.record;
    let since = record.started.unwrap_or(record.created);
    let ended = || rough(record.finished.unwrap_or(since));
    match word {
        "created" => "Created".into(),
        "paused" => format!("Up {} (Paused)", rough(since)),
        "running" => match health::of(container).map(|report| report.word()) {
            None => format!("Up {}", rough(since)),
            Some("starting") => format!("Up {} (health: starting)", rough(since)),
            Some(word) => format!("Up {} ({word})", rough(since)),
        },
        "restarting" => format!("Restarting ({}) {} ago", record.exit_code, ended()),
        // Its monitor was killed, and it with that.
        _ if record.status.is_live() => format!("Exited (137) {} ago", rough(since)),
        _ => format!("Exited ({}) {} ago", record.exit_code, ended()),
    }
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
/// At most so many letters, the last of them dots.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// `2026-01-31 12:00:00 +0000 UTC`, as Docker's rows have a time.
pub fn created_at(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}
