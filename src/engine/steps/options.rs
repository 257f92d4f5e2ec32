//! The options of a mount, sorted by who reads them (OCI runtime spec, config.md, "Linux mount options").
//!
//! Some words are the mount's own (mount_setattr(2)), some say how it travels, some are taken by the
//! runtime (`tmpcopyup`), and what is left is for the file system. Words that begin with `r`, such as
//! `rro`, mean the mounts below it too. See it live: the sixth and the last column of
//! /proc/PID/mountinfo.
//! Contract: pure. The last word about one attribute holds, as mount(8) has it.

use crate::kernel::mount::{Change, attr, propagation};

/// Options, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Options {
    /// A bind; true when it takes the mounts below along.
    pub bind: Option<bool>,
    /// What becomes of this mount.
    pub here: Change,
    /// What becomes of it and of all below it.
    pub below: Change,
    /// How it travels, and whether all below it does likewise: one change after the other, for
    /// `rslave,shared` is one of each.
    pub travels: Vec<(u64, bool)>,
    /// A tmpfs begins with what the root has there.
    pub copy_up: bool,
    /// For the file system.
    pub data: Vec<String>,
}

/// Each attribute: the word that sets it, the word that clears it, its bits.
const ATTRIBUTES: [(&str, &str, u64); 6] = [
    ("ro", "rw", attr::RDONLY),
    ("nosuid", "suid", attr::NOSUID),
    ("nodev", "dev", attr::NODEV),
    ("noexec", "exec", attr::NOEXEC),
    ("nodiratime", "diratime", attr::NODIRATIME),
    ("nosymfollow", "symfollow", attr::NOSYMFOLLOW),
];

/// When access times are written: one of these, not several.
const ACCESS_TIMES: [(&str, u64); 6] =
    [("noatime", attr::NOATIME), ("strictatime", attr::STRICTATIME), ("relatime", 0), ("atime", 0), ("nostrictatime", 0), ("norelatime", 0)];

const TRAVEL: [(&str, u64); 4] =
    [("private", propagation::PRIVATE), ("slave", propagation::SLAVE), ("shared", propagation::SHARED), ("unbindable", propagation::UNBINDABLE)];

/// Words of the runtime's own, and of fstab(5), which mean nothing to a container's mount.
const NO_CHANGE: [&str; 3] = ["defaults", "silent", "loud"];

impl Options {
    /// Sorts options.
    pub fn of(words: &[String]) -> Self {
        let mut sorted = Self::default();
        for word in words {
            match word.as_str() {
                "bind" => sorted.bind = sorted.bind.or(Some(false)),
                "rbind" => sorted.bind = Some(true),
                "tmpcopyup" => sorted.copy_up = true,
                // Refused by name before a plan is made.
                "idmap" | "ridmap" => {}
                word if NO_CHANGE.contains(&word) || sorted.attribute(word) || sorted.travel(word) => {}
                other => sorted.data.push(other.to_owned()),
            }
        }
        sorted
    }

    fn attribute(&mut self, word: &str) -> bool {
        if let Some(change) = change(word) {
            self.here = self.here.then(change);
            return true;
        }
        match word.strip_prefix('r').and_then(change) {
            Some(change) => {
                self.below = self.below.then(change);
                true
            }
            None => false,
        }
    }

    fn travel(&mut self, word: &str) -> bool {
        let named = |word: &str| TRAVEL.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
        let found = named(word).map(|kind| (kind, false)).or_else(|| word.strip_prefix('r').and_then(named).map(|kind| (kind, true)));
        self.travels.extend(found);
        found.is_some()
    }
}

/// What one word changes.
fn change(word: &str) -> Option<Change> {
    if let Some((_, bits)) = ACCESS_TIMES.iter().find(|(name, _)| *name == word) {
        return Some(Change { set: *bits, clear: attr::ATIME });
    }
    ATTRIBUTES.iter().find_map(|(set, clear, bits)| match word {
        _ if word == *set => Some(Change { set: *bits, clear: 0 }),
        _ if word == *clear => Some(Change { set: 0, clear: *bits }),
        _ => None,
    })
}

/// Every word that is not a file system's own.
pub(in crate::engine) fn all() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|(set, clear, _)| [*set, *clear]).chain(ACCESS_TIMES.iter().map(|(name, _)| *name));
    let both = attributes.chain(TRAVEL.iter().map(|(name, _)| *name)).flat_map(|name| [name.to_owned(), format!("r{name}")]);
    let mut words: Vec<String> = both.chain(["bind", "rbind", "tmpcopyup", "idmap", "ridmap"].into_iter().chain(NO_CHANGE).map(String::from)).collect();
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Options {
        Options::of(&words.split(',').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_word_about_an_attribute_holds() {
        assert_eq!(of("ro,rw").here, Change { set: 0, clear: attr::RDONLY });
        assert_eq!(of("rw,ro").here, Change { set: attr::RDONLY, clear: 0 });
        assert_eq!(of("noatime,relatime").here, Change { set: 0, clear: attr::ATIME });
        assert_eq!(of("nosuid,noatime").here, Change { set: attr::NOSUID | attr::NOATIME, clear: attr::ATIME });
    }

    #[test]
    fn an_r_before_a_word_means_the_mounts_below_too() {
        let sorted = of("rbind,rro,rslave,shared");
        assert_eq!((sorted.bind, sorted.here, sorted.below.set), (Some(true), Change::default(), attr::RDONLY));
        assert_eq!(sorted.travels, [(propagation::SLAVE, true), (propagation::SHARED, false)]);
        // `ro` is no recursive `o`, and what begins with `r` else is the file system's.
        assert_eq!(of("relatime,rsize=4").data, ["rsize=4"]);
    }
}
