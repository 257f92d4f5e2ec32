//! `skiff events`: what happens to containers, images, networks and volumes, as it happens.

use super::logs::time;
use super::run::option;
use super::{Outcome, boxed, format};
use crate::engine::events::read::{News, Reader};
use crate::daemon::say::event::Filters;
use crate::engine::events::{Event, Kind};
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

// Options of `skiff events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Also what has happened since then: 2026-01-31T12:00:00Z, seconds since 1970, or 10m for that long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what happens until then, and then end
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those that meet a condition: container, event, image, label, network, scope, type, volume
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template, such as '{{.Action}} {{.Actor.Attributes.name}}'; or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Prints them, without end unless a time is given.
pub fn run(args: &Events, root: &Path) -> Outcome {
    let bound = |flag, text: &Option<String>| text.as_ref().map(|t| time(flag, t).map(nanos)).transpose().map_err(boxed);
    let (since, until) = (bound("--since", &args.since)?, bound("--until", &args.until)?);
    let filters = Filters::read(&args.filter).map_err(boxed)?;
    let line = printer(args.format.as_deref())?;
    std::fs::create_dir_all(root).map_err(|e| boxed(option("--root", &root.display().to_string(), &e.to_string(), "--root /var/lib/skiff")))?;
    let news = News::of(root).map_err(boxed)?;
    // Docker too shows what was only where a time says from when, or that it is over.
    let over = until.is_some_and(|until| until <= nanos(SystemTime::now()));
    let mut reader = if since.is_some() || over { Reader::from_the_beginning(root) } else { Reader::from_now(root) };
    loop {
        let now = nanos(SystemTime::now());
        while let Some(event) = reader.next().map_err(boxed)? {
            let in_time = since.is_none_or(|s| event.nanos >= s) && until.is_none_or(|u| event.nanos <= u);
            if in_time && filters.fit(&event) {
                print!("{}", line(&event)?);
            }
        }
        if std::io::stdout().flush().is_err() || until.is_some_and(|until| until <= now) {
            return Ok(0);
        }
        let left = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
        news.wait(left).map_err(boxed)?;
    }
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

type Line = Box<dyn Fn(&Event) -> Result<String, Box<dyn crate::kernel::Explain>>>;

/// What makes a line of an event.
fn printer(format: Option<&str>) -> Result<Line, Box<dyn crate::kernel::Explain>> {
    let Some(format) = format.map(str::to_owned) else { return Ok(Box::new(|event| Ok(plain(event)))) };
    // In its own order, as it was written.
    if matches!(format.as_str(), "json" | "{{json .}}") {
        return Ok(Box::new(|event| Ok(serde_json::to_string(event).unwrap_or_default() + "\n")));
    }
    let own = move |event: &Event| format::lines(&format, &[document(event)]).map_err(boxed);
    // What is no template is said before the first event.
    own(&Event::new(Kind::Container, "start", "", BTreeMap::new()))?;
    Ok(Box::new(own))
}

/// An event as templates see it: `.Status`, `.ID` and `.From` beside the names of the API.
fn document(event: &Event) -> serde_json::Value {
    let mut all = serde_json::to_value(event).unwrap_or_default();
    let names = [("Status", event.status.as_str()), ("ID", &event.id), ("From", &event.from), ("Scope", &event.scope)];
    for (name, text) in names {
        all[name] = text.into();
    }
    (all["Time"], all["TimeNano"]) = (event.time.into(), event.nanos.into());
    all
}

/// Docker's line: when, what, to whom, and what else is known of it.
fn plain(event: &Event) -> String {
    let when = humantime::format_rfc3339_nanos(SystemTime::UNIX_EPOCH + Duration::from_nanos(event.nanos));
    let more: Vec<String> = event.actor.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    format!("{when} {} {} {}{more}\n", event.kind, event.action, event.actor.id)
}
