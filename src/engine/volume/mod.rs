//! Volumes: folders that outlive the containers that they are mounted in.
//!
//! A container's writable layer goes with it; what is to stay lies in a folder of the host, bound to a
//! place inside (mount(2), MS_BIND). A *named* volume has a name of the user's; an *anonymous* one,
//! made for `-v /path` or an image's VOLUME, has an id, and goes with `rm -v` or `--rm`. See it live:
//! `grep _data /proc/PID/mountinfo`.
//!
//! On disk, below the skiff root: `volumes/NAME/_data` is the content, `volume.json` beside it the
//! record, and `users/ID` an empty file a container. It is made aside and renamed, and renamed away
//! before it is removed, so that a `skiff` that is killed leaves a whole volume or none.
//!
//! What Docker does more: drivers other than `local`, quotas, subpaths of a volume.

pub mod attach;
pub mod copy;
pub mod device;
pub mod error;
pub mod store;

pub use attach::{Asked, MountPoint, Origin};
pub use error::Error;
pub use store::Volumes;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// One volume, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name; 64 hexadecimal digits where nobody gave it one.
    pub name: String,
    /// Since when.
    pub created: SystemTime,
    /// `NAME=value`, the user's own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `type`, `device` and `o`, as of mount(8): what is mounted there while a container has it.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Made for a container, not by name.
    #[serde(default)]
    pub anonymous: bool,
}

impl Volume {
    /// A volume of that name, as of now.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), created: SystemTime::now(), labels: BTreeMap::new(), options: BTreeMap::new(), anonymous: false }
    }
}
