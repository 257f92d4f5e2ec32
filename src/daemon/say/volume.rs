//! Volumes as the API and `skiff volume` have them, filters of them, and their prune.

use super::which::{conditions, has_label};
use crate::engine::Error as Failed;
use crate::engine::volume::{Error, Volume, Volumes, store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Conditions that a volume must meet.
#[derive(Debug)]
pub struct Filters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Filters<'a> {
    /// Reads them, with a key of these.
    pub fn read(texts: &'a [String], keys: &[&str]) -> Result<Self, Failed> {
        conditions(texts, keys).map(Self)
    }

    /// Is this said?
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.0.iter().any(|(k, v)| *k == key && *v == value)
    }

    /// Does a volume meet them all? `used`: a container has it.
    pub fn fit(&self, volume: &Volume, used: impl Fn() -> bool) -> bool {
        let names: Vec<&str> = self.0.iter().filter(|(k, _)| *k == "name").map(|(_, v)| *v).collect();
        let holds = |(key, value): &(&str, &str)| match *key {
            "dangling" => matches!(*value, "true" | "1") != used(),
            "driver" => *value == "local",
            "label" | "label!" => has_label(&volume.labels, value) == (*key == "label"),
            _ => true,
        };
        (names.is_empty() || names.iter().any(|part| volume.name.contains(part))) && self.0.iter().all(holds)
    }
}

/// One volume, as Docker has it.
pub fn describe(volume: &Volume, volumes: &Volumes) -> Value {
    let or_null = |map: &BTreeMap<String, String>| if map.is_empty() { Value::Null } else { json!(map) };
    json!({
        "CreatedAt": humantime::format_rfc3339_seconds(volume.created).to_string(),
        "Driver": "local",
        "Labels": or_null(&volume.labels),
        "Mountpoint": volumes.data(&volume.name),
        "Name": volume.name,
        "Options": or_null(&volume.options),
        "Scope": "local",
    })
}

/// Removes the volumes that no container has and that are `meant`: their names, and the bytes they took.
pub fn unused(volumes: &Volumes, meant: impl Fn(&Volume) -> bool) -> Result<(Vec<String>, u64), Error> {
    volumes.sweep()?;
    let (mut gone, mut bytes) = (Vec::new(), 0);
    for volume in volumes.all().into_iter().filter(meant) {
        match volumes.remove(&volume.name) {
            Ok(size) => {
                bytes += size;
                gone.push(volume.name);
            }
            // In use, or another was quicker.
            Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((gone, bytes))
}

/// The row of `system df`: how many, how many in use, their bytes, and those of the rest.
pub fn used(root: &Path) -> (usize, usize, u64, u64) {
    let volumes = Volumes::open(root);
    let all: Vec<(bool, u64)> = volumes.all().iter().map(|v| (!volumes.users(&v.name).is_empty(), store::size(&volumes.data(&v.name)))).collect();
    let active = all.iter().filter(|(used, _)| *used).count();
    let sum = |meant: &dyn Fn(bool) -> bool| all.iter().filter(|(used, _)| meant(*used)).map(|(_, size)| size).sum();
    (all.len(), active, sum(&|_| true), sum(&|used| !used))
}
