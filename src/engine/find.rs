//! Finding containers by name, by id, or by the beginning of an id; and what may be a name.

use super::container::Container;
use super::error::Error;
use super::record;
use crate::kernel::{OrSys, SysError};
use std::fs;
use std::path::Path;

impl Container {
    /// Opens the container in folder `id`.
    pub(super) fn open(store: &Path, id: &str) -> Result<Self, Error> {
        let record = record::read(&store.join("containers").join(id))?;
        let mut found = Self { store: store.to_owned(), record, lock: None };
        found.look_whether_it_runs();
        Ok(found)
    }

    /// All containers, oldest first; folders without a readable record are left out.
    pub fn all(store: &Path) -> Vec<Self> {
        let mut found: Vec<Self> = ids(store).iter().filter_map(|id| Self::open(store, id).ok()).collect();
        found.sort_by_key(|c| c.record.created);
        found
    }

    /// Finds by name, id, or the beginning of an id that only one container has.
    pub fn find(store: &Path, wanted: &str) -> Result<Self, Error> {
        let plain = !wanted.is_empty() && !wanted.contains('/') && !wanted.starts_with('.');
        if plain && let Ok(link) = fs::read_link(store.join("names").join(wanted)) {
            let id = link.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            return Self::open(store, &id);
        }
        let hex = plain && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        let matching: Vec<String> = if hex { ids(store).into_iter().filter(|id| id.starts_with(wanted)).collect() } else { Vec::new() };
        match matching.as_slice() {
            [id] => Self::open(store, id),
            [] => Err(Error::NoContainer { name: wanted.to_owned(), near: nearest(store, wanted) }),
            _ => Err(Error::Ambiguous { prefix: wanted.to_owned(), count: matching.len() }),
        }
    }
}

impl Container {
    /// Gives it another name.
    pub fn rename(&mut self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        if name == self.name() {
            return Err(Error::SameName { name: name.to_owned() });
        }
        self.take_name(name)?;
        let before = self.name_link(self.name());
        // Docker has it with the slash that its names once had.
        let old = format!("/{}", self.name());
        self.change(|record| record.name = name.to_owned())?;
        self.say("rename", [("oldName", old.as_str())]);
        fs::remove_file(&before).or_sys_with(|| format!("give up the name {}", before.display()))?;
        Ok(())
    }
}

/// Ids of all container folders.
pub fn ids(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("containers")).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|id| id.len() == 64).collect()
}

fn nearest(store: &Path, wanted: &str) -> Option<String> {
    let names = Container::all(store).into_iter().map(|c| c.record.name);
    names.map(|n| (strsim::damerau_levenshtein(&n, wanted), n)).filter(|(d, _)| *d <= 3).min().map(|(_, n)| n)
}

/// A fresh id: 256 random bits.
pub fn fresh_id() -> Result<String, SysError> {
    crate::kernel::random::hexadecimal::<32>()
}

/// Container names: letters, digits, and `_.-` inside; what Docker accepts. No path can be one.
pub fn check_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = name.len() > 1 && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if first && rest { Ok(()) } else { Err(Error::BadName { name: name.to_owned() }) }
}
