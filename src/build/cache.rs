//! What was built before: results by key, and the record of the last build that `--explain` reads.
//!
//! ```text
//! build/cache/<key>.json     the layer that a step made, and when
//! build/records/<hex>.json   of one context and Dockerfile: each step's ingredients when it was last built
//! build/digests/<hex>.json   of what COPY --from took: layers do not change, so they are hashed once
//! build/.lock                shared by builds, held alone by `builder prune`
//! build/steps/<name>/        of a RUN that is being done: secrets, materials; its folder is its lock
//! build/mounts/<hex>/        RUN --mount=type=cache
//! ```
//!
//! A key is the sha256 of a step's ingredients: its instruction after variables were replaced, what it
//! copies, the environment that it sees, and the layers that it stands on. Records are written aside
//! and renamed; one that cannot be read is no record. The layers themselves are the store's, kept
//! there by notes ([`crate::image::kept`]).

use super::Error;
use crate::image::layer::{self, Layer};
use crate::image::Store;
use crate::kernel::{OrSys, SysError};
use oci_spec::image::{Descriptor, Digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One thing that a step is made of, and its value: `("file app.py", "file 644 0:0 9f86…")`.
pub type Ingredient = (String, String);

/// What a step made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// Its layer; `None` where nothing changed.
    pub layer: Option<LayerNote>,
    /// When, in seconds since the epoch.
    pub created: i64,
    /// The instruction, for people who look into the folder.
    pub instruction: String,
}

/// A layer as it is noted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerNote {
    /// Digest of its tar.
    pub diff_id: String,
    /// The stored blob.
    pub blob: Descriptor,
}

impl LayerNote {
    /// Of a layer in the store.
    pub fn of(layer: &Layer) -> Self {
        Self { diff_id: layer.diff_id.to_string(), blob: layer.descriptor.clone() }
    }

    /// The layer; `None` for a note that was edited.
    pub fn layer(&self) -> Option<Layer> {
        let diff_id = Digest::from_str(&self.diff_id).ok()?;
        Some(Layer { descriptor: self.blob.clone(), diff_id })
    }
}

/// A step as it was last built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The instruction as it was shown.
    pub instruction: String,
    /// Its key.
    pub key: String,
    /// What the key was made of.
    pub ingredients: Vec<Ingredient>,
}

/// Steps by stage and number.
pub type Record = BTreeMap<String, Remembered>;

/// The folder `build` below a skiff root.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    _shared: File,
}

/// The key of a list of ingredients.
pub fn key(ingredients: &[Ingredient]) -> String {
    let text = serde_json::to_string(ingredients).unwrap_or_default();
    layer::digest(text.as_bytes()).digest().to_owned()
}

impl Cache {
    /// Opens it for a build: no prune goes on meanwhile.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let folder = root.join("build");
        fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        protect(&folder)?;
        let lock = lock_file(&folder)?;
        lock.lock_shared().or_sys_with(|| format!("lock {}", folder.display()))?;
        // Only now: a prune that went on until this moment removes them.
        for part in ["cache", "digests", "records", "steps", "mounts"] {
            fs::create_dir_all(folder.join(part)).or_sys_with(|| format!("make {}", folder.display()))?;
        }
        Ok(Self { folder, _shared: lock })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a step of this key made, if its layer is still in the store.
    pub fn find(&self, store: &Store, key: &str) -> Result<Made, NotFound> {
        let text = fs::read(self.folder.join("cache").join(format!("{key}.json"))).map_err(|_| NotFound::Never)?;
        let made: Made = serde_json::from_slice(&text).map_err(|_| NotFound::Never)?;
        match &made.layer {
            None => Ok(made),
            Some(note) if note.layer().is_some_and(|l| store.blob_path(l.descriptor.digest()).exists()) => Ok(made),
            Some(_) => Err(NotFound::Gone),
        }
    }

    /// Notes what a step of this key made.
    pub fn note(&self, key: &str, made: &Made) -> Result<(), Error> {
        let text = serde_json::to_vec(made).unwrap_or_default();
        write(&self.folder.join("cache"), &format!("{key}.json"), &text)
    }

    /// The digests of files that do not change: those of layers, which `of` names; hashed the first time.
    pub fn digests(&self, of: &str, hash: impl FnOnce() -> Result<BTreeMap<String, String>, SysError>) -> Result<BTreeMap<String, String>, Error> {
        let folder = self.folder.join("digests");
        let known = fs::read(folder.join(record_name(of))).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(known) = known {
            return Ok(known);
        }
        let all = hash()?;
        write(&folder, &record_name(of), &serde_json::to_vec(&all).unwrap_or_default())?;
        Ok(all)
    }

    /// The record of the last build of the same thing.
    pub fn record(&self, of: &str) -> Record {
        let text = fs::read(self.folder.join("records").join(record_name(of))).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the record of this build.
    pub fn set_record(&self, of: &str, record: &Record) -> Result<(), Error> {
        let text = serde_json::to_vec(record).unwrap_or_default();
        write(&self.folder.join("records"), &record_name(of), &text)
    }
}

/// Why there is nothing of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// No such step was ever built.
    Never,
    /// It was, but its layer is not in the store any more.
    Gone,
}

fn record_name(of: &str) -> String {
    format!("{}.json", layer::digest(of.as_bytes()).digest())
}

fn write(folder: &Path, name: &str, text: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    let aside = folder.join(format!(".{name}.{}.{:?}", std::process::id(), std::thread::current().id()));
    let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, &path));
    written.inspect_err(|_| drop(fs::remove_file(&aside))).or_sys_with(|| format!("write {}", path.display()))?;
    Ok(())
}

fn lock_file(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    Ok(File::options().create(true).append(true).open(&path).or_sys_with(|| format!("open {}", path.display()))?)
}

/// Its owner's alone: secrets lie here for the time of a RUN, and caches with set-user-ID files.
fn protect(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).or_sys_with(|| format!("protect {}", folder.display()))?)
}

/// What a prune removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Keys.
    pub keys: Vec<String>,
    /// Bytes of layers and cache mounts that were freed.
    pub bytes: u64,
}

/// What a prune would remove: as many records, and so many bytes. `None` where nothing was ever built.
pub fn held(root: &Path) -> Option<(usize, u64)> {
    let folder = root.join("build");
    if !folder.exists() {
        return None;
    }
    let made = made(&folder);
    let store = Store::open(root);
    let images = store.entries().unwrap_or_default().into_iter().filter_map(|e| store.image(&e.digest).ok());
    let needed: BTreeSet<_> = images.flat_map(|i| i.manifest.layers().clone()).map(|l| l.digest().to_string()).collect();
    let layers = made.iter().filter_map(|(_, layer)| layer.as_ref()).map(|l| (l.descriptor.digest().to_string(), l.descriptor.size()));
    let layers: BTreeMap<_, _> = layers.collect();
    let free: u64 = layers.iter().filter(|(digest, _)| !needed.contains(*digest)).map(|(_, size)| size).sum();
    Some((made.len(), free + size(&folder.join("mounts"))))
}

/// Each record's file, and the layer that its step made.
fn made(folder: &Path) -> Vec<(PathBuf, Option<Layer>)> {
    let files = fs::read_dir(folder.join("cache")).into_iter().flatten().flatten().map(|e| e.path());
    let layer = |path: &Path| serde_json::from_slice::<Made>(&fs::read(path).ok()?).ok()?.layer?.layer();
    files.map(|path| (path.clone(), layer(&path))).collect()
}

/// Removes what builds have kept: records, cache mounts, and the layers that no image has. Waits for
/// builds that go on.
pub fn prune(root: &Path) -> Result<Pruned, Error> {
    let folder = root.join("build");
    let mut pruned = Pruned::default();
    if !folder.exists() {
        return Ok(pruned);
    }
    let lock = lock_file(&folder)?;
    lock.lock().or_sys_with(|| format!("lock {}", folder.display()))?;
    super::run::sweep(root);
    let store = Store::open(root);
    let mut layers = BTreeMap::new();
    for (path, layer) in made(&folder) {
        layers.extend(layer.map(|l| (l.diff_id.to_string(), l)));
        pruned.keys.extend(path.file_stem().map(|n| n.to_string_lossy().into_owned()));
        fs::remove_file(&path).or_sys_with(|| format!("remove {}", path.display()))?;
    }
    store.keep_only(&[])?;
    let gone = layers.values().filter(|l| !store.blob_path(l.descriptor.digest()).exists());
    pruned.bytes += gone.map(|l| l.descriptor.size()).sum::<u64>();
    for part in ["mounts", "records", "digests"] {
        pruned.bytes += if part == "mounts" { size(&folder.join(part)) } else { 0 };
        super::run::remove_tree(&folder.join(part));
    }
    Ok(pruned)
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok().map(|m| if m.is_dir() { size(&e.path()) } else { m.len() })).sum()
}
