//! Which volumes and folders a container gets, and where: what was asked for, the image's VOLUMEs, and
//! those of other containers (`--volumes-from`).
//!
//! At one place there is one mount. What is asked for by name comes first, then what other containers
//! have, then the image's own. Nothing stays of what fails.

use super::{Error, Volume, Volumes};
use crate::engine::container::Container;
use crate::engine::find;
use crate::engine::request::Request;
use crate::image::Image;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One `-v NAME:PATH`, `-v PATH` or `--mount type=volume`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The volume; none for an anonymous one.
    pub name: Option<String>,
    /// Absolute path inside.
    pub target: PathBuf,
    /// Cannot be written from inside.
    pub read_only: bool,
    /// Stays empty, whatever the image has there.
    pub no_copy: bool,
    /// Labels of a volume that is made for this.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver, of a volume that is made for this.
    pub options: BTreeMap<String, String>,
    /// An anonymous one of the container that this one takes the place of: it stays anonymous.
    #[serde(default)]
    pub inherited: bool,
}

/// Where a mount's content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A volume.
    Volume,
    /// A path of the host.
    Bind,
}

/// One mount of a container, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Volume or path.
    pub kind: Origin,
    /// The volume's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The host's path.
    pub source: PathBuf,
    /// The path inside.
    pub target: PathBuf,
    /// Cannot be written from inside.
    pub read_only: bool,
    /// How mounts travel between here and the host; `rprivate` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<String>,
    /// A new, empty volume takes what the image has there.
    pub copy: bool,
    /// The volume was made for this container, and nobody named it.
    pub anonymous: bool,
    /// The volume stands for another file system.
    #[serde(default)]
    pub device: bool,
}

/// What a container would get, with nothing made or taken: for `--dry-run`.
pub fn preview(root: &Path, request: &Request, image: &Image) -> Result<Vec<MountPoint>, Error> {
    gather(root, request, image, &mut |volume| Ok(volume.clone()))
}

/// Gives the container `id` its volumes, and makes those that are not there.
pub fn attach(root: &Path, request: &Request, image: &Image, id: &str) -> Result<Vec<MountPoint>, Error> {
    let volumes = Volumes::open(root);
    let mut taken = Vec::new();
    let gathered = gather(root, request, image, &mut |wanted| {
        let volume = volumes.take(wanted, id)?;
        taken.push(volume.clone());
        Ok(volume)
    });
    gathered.inspect_err(|_| {
        for volume in &taken {
            volumes.give_back(&volume.name, id);
            if volume.anonymous {
                let _ = volumes.remove(&volume.name);
            }
        }
    })
}

/// Gives back what a container has; with it go its anonymous volumes, if that was asked for and no
/// other container has them.
pub fn leave(root: &Path, mounts: &[MountPoint], id: &str, anonymous_too: bool) {
    let volumes = Volumes::open(root);
    for mount in mounts {
        let Some(name) = &mount.name else { continue };
        volumes.give_back(name, id);
        if anonymous_too && mount.anonymous {
            let _ = volumes.remove(name);
        }
    }
}

fn gather(root: &Path, request: &Request, image: &Image, take: &mut dyn FnMut(&Volume) -> Result<Volume, Error>) -> Result<Vec<MountPoint>, Error> {
    let mut all: Vec<MountPoint> = Vec::new();
    let mut placed: Vec<PathBuf> = request.tmpfs.iter().map(|t| plain(&t.target)).collect();
    let mut place = |target: &Path| {
        let free = !placed.contains(&plain(target));
        placed.push(plain(target));
        free
    };
    for bind in &request.binds {
        if !place(&bind.target) {
            return Err(Error::Duplicate { target: bind.target.clone() });
        }
        all.push(MountPoint { kind: Origin::Bind, name: None, source: bind.source.clone(), target: bind.target.clone(), read_only: bind.read_only, propagation: bind.propagation.clone(), copy: false, anonymous: false, device: false });
    }
    for asked in &request.volumes {
        if !place(&asked.target) {
            return Err(Error::Duplicate { target: asked.target.clone() });
        }
        all.push(point(root, asked, take)?);
    }
    for from in &request.volumes_from {
        let (name, mode) = from.split_once(':').unwrap_or((from, ""));
        let other = Container::find(root, name).map_err(|_| Error::NoContainer { name: name.to_owned() })?;
        for mount in other.record.mounts.iter().filter(|m| place(&m.target)) {
            if let Some(name) = &mount.name {
                take(&Volume::new(name))?;
            }
            all.push(MountPoint { read_only: mount.read_only || mode == "ro", copy: false, ..mount.clone() });
        }
    }
    let own = image.config.config().as_ref().and_then(|c| c.volumes().clone()).unwrap_or_default();
    for target in own.iter().map(PathBuf::from).filter(|target| target.is_absolute() && place(target)) {
        all.push(point(root, &Asked { target, ..Asked::default() }, take)?);
    }
    Ok(all)
}

fn point(root: &Path, asked: &Asked, take: &mut dyn FnMut(&Volume) -> Result<Volume, Error>) -> Result<MountPoint, Error> {
    let name = match &asked.name {
        Some(name) => name.clone(),
        None => find::fresh_id()?,
    };
    let volume = take(&Volume { labels: asked.labels.clone(), options: asked.options.clone(), anonymous: asked.name.is_none() || asked.inherited, ..Volume::new(&name) })?;
    Ok(MountPoint {
        kind: Origin::Volume,
        source: Volumes::open(root).data(&name),
        name: Some(name),
        target: asked.target.clone(),
        read_only: asked.read_only,
        propagation: None,
        copy: !asked.no_copy,
        anonymous: asked.name.is_none() || asked.inherited,
        device: !volume.options.is_empty(),
    })
}

/// A path without doubled or trailing slashes: `/data/` and `/data` are one place.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
