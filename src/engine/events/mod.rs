//! What happened, as it happens (`skiff events`): a journal that every command and every monitor writes on.
//!
//! There is no daemon through whose hands everything goes, so each process says what it did itself: one
//! line of JSON in `events.json` below the skiff root, by one write(2) to a file opened with O_APPEND,
//! which the kernel carries out whole and at the file's end whoever else writes (open(2)). A line is an
//! event as Docker's API has it, to be read with no other knowledge. Two files of [`FULL`] bytes are the
//! most that is kept: who fills one renames it to `events.json.1`, over the one before. Readers wait by
//! inotify(7), see [`read`].
//!
//! A journal that cannot be written (a full disk) is no reason to fail: what was to be noted is done.
//! What Docker does less: it keeps the last 256 events, in the daemon's memory. What is left out: events
//! of a daemon, of plugins and of Swarm's objects.

pub mod read;

use super::container::Container;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes after which a new file is begun: some thousands of events.
const FULL: u64 = 1 << 20;

/// What something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Kind {
    /// Docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Image => "image",
            Kind::Network => "network",
            Kind::Volume => "volume",
        }
    }
}

/// One event, with the names of Docker's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The action again, for containers and images: what there was before version 1.22 of the API.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Likewise whom it happened to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Likewise a container's image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `container`, `image`, `network` or `volume`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What happened: `start`, `die`, …
    #[serde(rename = "Action")]
    pub action: String,
    /// Whom it happened to.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// This host's affair alone.
    pub scope: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano")]
    pub nanos: u64,
}

/// Whom it happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The id of a container or a network, the name of an image or a volume.
    #[serde(rename = "ID")]
    pub id: String,
    /// What else is known of it.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// It happened now.
    pub fn new(kind: Kind, action: impl Into<String>, id: impl Into<String>, attributes: BTreeMap<String, String>) -> Self {
        let (action, id) = (action.into(), id.into());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let old = matches!(kind, Kind::Container | Kind::Image);
        let of_old = |text: &str| if old { text.to_owned() } else { String::new() };
        let from = if kind == Kind::Container { attributes.get("image").cloned().unwrap_or_default() } else { String::new() };
        Self {
            status: of_old(&action),
            id: of_old(&id),
            from,
            kind: kind.word().to_owned(),
            action,
            actor: Actor { id, attributes },
            scope: "local".to_owned(),
            time: since.as_secs(),
            nanos: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// `NAME=VALUE`s as attributes.
pub fn attributes<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn path(root: &Path) -> PathBuf {
    root.join("events.json")
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("json.1")
}

/// Notes what happened, in this order.
pub fn note(root: &Path, events: &[Event]) {
    let mut lines = Vec::new();
    for event in events {
        if let Ok(line) = serde_json::to_vec(event) {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
    }
    let path = path(root);
    let Ok(mut file) = File::options().create(true).append(true).open(&path) else { return };
    if file.write_all(&lines).is_ok() && file.metadata().is_ok_and(|m| m.len() >= FULL) {
        begin_another(&path, &file);
    }
}

/// Puts a full file aside. Two who found it full at once: the second finds another in its place.
fn begin_another(path: &Path, full: &File) {
    if full.lock().is_err() {
        return;
    }
    let inode = |m: fs::Metadata| (m.dev(), m.ino());
    if fs::metadata(path).map(inode).ok() == full.metadata().map(inode).ok() {
        let _ = fs::rename(path, older(path));
    }
}

impl Container {
    /// What happened to it, with its labels, image and name, and what else there is to say.
    pub fn event<const N: usize>(&self, action: impl Into<String>, more: [(&str, &str); N]) -> Event {
        let record = &self.record;
        let mut all = record.labels.clone();
        all.extend(attributes([("image", record.image.as_str()), ("name", record.name.as_str())]));
        all.extend(attributes(more));
        Event::new(Kind::Container, action, record.id.clone(), all)
    }

    /// Notes one thing that happened to it.
    pub fn say<const N: usize>(&self, action: impl Into<String>, more: [(&str, &str); N]) {
        note(&self.store, &[self.event(action, more)]);
    }

    /// Its volumes are mounted, it is on its networks, and runs.
    pub(super) fn say_started(&self) {
        let mut events: Vec<Event> = self.networks("connect").collect();
        let modes = |m: &super::volume::MountPoint| (if m.read_only { "false" } else { "true" }).to_owned();
        events.extend(self.volumes("mount").map(|(mut event, mount)| {
            let target = mount.target.to_string_lossy().into_owned();
            event.actor.attributes.extend([("destination".to_owned(), target), ("propagation".to_owned(), String::new()), ("read/write".to_owned(), modes(mount))]);
            event
        }));
        events.push(self.event("start", []));
        note(&self.store, &events);
    }

    /// It has ended, and gave back what it had.
    pub(super) fn say_ended(&self, code: i32, oom_killed: bool) {
        let mut events = Vec::new();
        if oom_killed {
            events.push(self.event("oom", []));
        }
        events.push(self.event("die", [("exitCode", code.to_string().as_str())]));
        events.extend(self.networks("disconnect"));
        events.extend(self.volumes("unmount").map(|(event, _)| event));
        note(&self.store, &events);
    }

    fn networks<'a>(&'a self, action: &'a str) -> impl Iterator<Item = Event> + 'a {
        self.record.endpoints.iter().map(move |e| connected(action, &e.id, &e.network, self.id()))
    }

    fn volumes<'a>(&'a self, action: &'a str) -> impl Iterator<Item = (Event, &'a super::volume::MountPoint)> + 'a {
        self.record.mounts.iter().filter_map(move |mount| {
            let name = mount.name.as_ref()?;
            Some((Event::new(Kind::Volume, action, name.as_str(), attributes([("container", self.id()), ("driver", "local")])), mount))
        })
    }
}

/// A container has come to a network, or left it.
pub fn connected(action: &str, id: &str, network: &str, container: &str) -> Event {
    Event::new(Kind::Network, action, id, attributes([("container", container), ("name", network), ("type", "bridge")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_the_newest() {
        let root = tempfile::tempdir().expect("a folder");
        let long = "x".repeat(1000);
        for number in 0..3000 {
            note(root.path(), &[Event::new(Kind::Volume, "create", number.to_string(), attributes([("driver", long.as_str())]))]);
        }
        let size: u64 = fs::read_dir(root.path()).expect("there").flatten().map(|e| e.metadata().expect("there").len()).sum();
        assert!(size <= 2 * (FULL + 2000), "{size} bytes");
        let mut reader = read::Reader::from_the_beginning(root.path());
        let kept: Vec<u64> = std::iter::from_fn(|| reader.next().expect("it is read")).map(|e| e.actor.id.parse().expect("a number")).collect();
        let first = kept[0];
        assert_eq!(kept, (first..3000).collect::<Vec<_>>());
        assert!(first > 0 && kept.len() as u64 * 1000 > FULL, "from {first}");
    }
}
