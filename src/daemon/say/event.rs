//! Filters of events, as `skiff events` and the API have them; and notes of what happened to images.

use super::which::{conditions, has_label};
use crate::engine::Error;
use crate::engine::events::{self, Event, Kind};
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: [&str; 9] = ["container", "daemon", "event", "image", "label", "network", "scope", "type", "volume"];

/// Conditions: values of one key are alternatives, labels and different keys must all be met.
#[derive(Debug)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads them.
    pub fn read(texts: &[String]) -> Result<Self, Error> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in conditions(texts, &KEYS)? {
            all.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self(all))
    }

    /// Does it meet them all?
    pub fn fit(&self, event: &Event) -> bool {
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
