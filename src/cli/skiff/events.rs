//! `skiff events`: what happens to containers, images, networks and volumes, as it happens.

use super::logs::time;
use super::run::option;
use super::which::has_label;
use super::{Outcome, boxed, format};
use crate::engine::Error;
use crate::engine::events::read::{News, Reader};
use crate::engine::events::{self, Event, Kind};
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

const KEYS: [&str; 9] = ["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"];

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

/// Conditions: values of one key are alternatives, labels and different keys must all be met.
struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    fn read(texts: &[String]) -> Result<Self, Error> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in super::which::conditions(texts, &KEYS)? {
            all.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self(all))
    }

    fn fit(&self, event: &Event) -> bool {
        self.0.iter().all(|(key, values)| match key.as_str() {
            "label" => values.iter().all(|label| has_label(&event.actor.attributes, label)),
            key => values.iter().any(|value| meets(event, key, value)),
        })
    }
}

fn meets(event: &Event, key: &str, value: &str) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map(String::as_str);
    // By the beginning of an id or of a name, as Docker does.
    let called = |kind: Kind| event.kind == kind.word() && (event.actor.id.starts_with(value) || attribute("name").is_some_and(|name| name.starts_with(value)));
    match key {
        "container" => called(Kind::Container) || attribute("container").is_some_and(|id| event.kind == Kind::Network.word() && id.starts_with(value)),
        "network" => called(Kind::Network),
        "volume" => called(Kind::Volume),
        // `exec_start: sh` is an exec_start, `health_status: healthy` a health_status.
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "type" => event.kind == value,
        "scope" => event.scope == value,
        "image" => {
            let of = |name: &str| name == value || untagged(name) == value;
            of(&event.actor.id) || attribute("name").is_some_and(|name| event.kind == Kind::Image.word() && of(name)) || attribute("image").is_some_and(of)
        }
        _ => false,
    }
}

/// A name without its tag; a colon before a slash is a port's.
fn untagged(name: &str) -> &str {
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

/// Notes what happened to an image: `id` is its digest, or for a pull and a push its name.
pub fn image(root: &Path, action: &str, id: &str, name: &str) {
    events::note(root, &[Event::new(Kind::Image, action, id, events::attributes([("name", name)]))]);
}

/// Notes a pull or a push.
pub fn moved(root: &Path, action: &str, name: &str) {
    image(root, action, name, untagged(name));
}
