//! Filters of containers, as `--filter` and the API have them: Docker's keys. Several values of one key are alternatives, several keys
//! must all be met.

use super::words;
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::image::Store;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

const KEYS: [&str; 14] =
    ["ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network", "publish", "since", "status", "volume"];
const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/// The conditions that a container must meet.
#[derive(Debug, Default)]
pub struct Filters {
    of: BTreeMap<&'static str, Vec<String>>,
    before: Option<SystemTime>,
    since: Option<SystemTime>,
    /// Digests of the images named by `ancestor`, and the names.
    ancestors: Vec<(Option<String>, String)>,
}

impl Filters {
    /// Reads them.
    pub fn read(texts: &[String], root: &Path) -> Result<Self, Error> {
        let mut filters = Self::default();
        for text in texts {
            let bad = |reason: &str| Error::Option { option: "--filter", value: text.clone(), reason: reason.to_owned(), example: "--filter status=exited" };
            let (key, value) = text.split_once('=').ok_or_else(|| bad("it is written KEY=VALUE"))?;
            let Some(key) = KEYS.iter().find(|k| **k == key) else { return Err(bad(&format!("its key is one of {}", KEYS.join(", ")))) };
            if *key == "status" && !STATES.contains(&value) {
                return Err(bad(&format!("a status is one of {}", STATES.join(", "))));
            }
            if *key == "exited" && value.parse::<i32>().is_err() {
                return Err(bad("an exit code is a number"));
            }
            filters.of.entry(key).or_default().push(value.to_owned());
        }
        let created = |name: &String| Container::find(root, name).map(|c| c.record.created);
        let of = |filters: &Self, key: &str| filters.of.get(key).cloned().unwrap_or_default();
        filters.before = of(&filters, "before").iter().map(created).collect::<Result<Vec<_>, Error>>()?.into_iter().min();
        filters.since = of(&filters, "since").iter().map(created).collect::<Result<Vec<_>, Error>>()?.into_iter().max();
        let store = Store::open(root);
        filters.ancestors = of(&filters, "ancestor").into_iter().map(|name| (store.resolve(&name).ok().map(|i| i.digest.to_string()), name)).collect();
        Ok(filters)
    }

    /// True where they say which statuses: then those that do not run are meant too.
    pub fn name_a_status(&self) -> bool {
        self.of.contains_key("status") || self.of.contains_key("exited")
    }

    /// Does it meet them all?
    pub fn fit(&self, container: &Container) -> bool {
        let record = &container.record;
        self.of.iter().all(|(key, values)| match *key {
            "before" => self.before.is_none_or(|limit| record.created < limit),
            "since" => self.since.is_none_or(|limit| record.created > limit),
            "ancestor" => self.ancestors.iter().any(|(digest, name)| digest.as_ref() == Some(&record.image_digest) || *name == record.image),
            // Each label must be there; of everything else one is enough.
            "label" => values.iter().all(|label| has_label(&record.labels, label)),
            _ => values.iter().any(|value| meets(container, key, value)),
        })
    }
}

fn meets(container: &Container, key: &str, value: &str) -> bool {
    let record = &container.record;
    match key {
        "id" => record.id.starts_with(value),
        "name" => is_called(&record.name, value),
        "status" => words::state(container) == value,
        "exited" => words::state(container) == "exited" && value.parse() == Ok(record.exit_code),
        "volume" => record.mounts.iter().any(|m| m.name.as_deref() == Some(value) || m.target == Path::new(value) || m.source == Path::new(value)),
        "network" => record.endpoints.iter().any(|e| e.network == value || e.id.starts_with(value)),
        "publish" | "expose" => record.ports.iter().any(|p| {
            let port = if key == "publish" { p.host_port } else { p.port };
            let (number, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
            number.parse() == Ok(port) && protocol == p.protocol.to_string()
        }),
        "health" => crate::engine::health::of(container).map_or("none", |h| h.word()) == value,
        "is-task" => value == "false",
        _ => false,
    }
}

/// A part of the name; `^` and `$` hold to its ends, and a `/` before it is Docker's own.
fn is_called(name: &str, wanted: &str) -> bool {
    let (start, rest) = wanted.strip_prefix('^').map_or((false, wanted), |rest| (true, rest));
    let (end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    let (start, rest) = rest.strip_prefix('/').map_or((start, rest), |rest| (true, rest));
    match (start, end) {
        (true, true) => name == rest,
        (true, false) => name.starts_with(rest),
        (false, true) => name.ends_with(rest),
        (false, false) => name.contains(rest),
    }
}

/// Reads `--filter`, with a key of these.
/// # Errors
/// [`Error::Option`] for another key.
pub fn conditions<'a>(texts: &'a [String], keys: &[&str]) -> Result<Vec<(&'a str, &'a str)>, Error> {
    let read = |text: &'a String| match text.split_once('=') {
        Some((key, value)) if keys.contains(&key) => Ok((key, value)),
        _ => Err(Error::Option { option: "--filter", value: text.clone(), reason: format!("it is KEY=VALUE, with a key of {}", keys.join(", ")), example: "--filter label=team=web" }),
    };
    texts.iter().map(read).collect()
}

/// `NAME` or `NAME=VALUE`.
pub fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_met_by_a_part_of_it_and_by_its_ends() {
        for (name, wanted, is) in [
            ("web", "we", true), ("web", "^web$", true), ("web-1", "^web$", false), ("my-web", "^web", false), ("my-web", "web$", true),
            ("web", "^/web$", true), ("web", "/web", true), ("my-web", "/web", false),
        ] {
            assert_eq!(is_called(name, wanted), is, "{name} {wanted}");
        }
    }
}
