//! Layers as directories: each unpacked once, to `layers/<diff ID>`, for all that use it.
//!
//! Unpacked aside, synced and renamed: a directory of that name is whole. What the tar hashes to is
//! compared with the diff ID before the rename, so it is also what was meant.
//!
//! Two processes that want the same layer meet at `layers/.aside/<diff ID>`: one unpacks, the other
//! waits for it; different layers are unpacked side by side. Bigger engines keep a database of their
//! layers instead (containerd's snapshotter); here the names of the directories are all there is.

use super::Error;
use super::aside::{self, Lock, Workspace, fresh_name, sync_parent};
use super::error::at;
use super::layer::{Hashing, tar_of};
use super::store::check_digest;
use super::unpack;
use crate::kernel::OrSys;
use nix::unistd;
use oci_spec::image::Digest;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Unpacks `blob` to `layers/<diff ID>`, unless it is there, or another process did meanwhile.
pub(super) fn unpack(layers: &Path, diff_id: &Digest, blob: impl Read + Send) -> Result<(), Error> {
    let dir = layers.join(diff_id.digest());
    let Some(work) = turn(layers, &dir, diff_id.digest())? else { return Ok(()) };
    let aside = work.path().join("layer");
    fs::create_dir(&aside).or_sys_with(|| at("create", &aside))?;
    let mut tar = Hashing::new(tar_of(blob)?);
    unpack::tree(&aside, &mut tar)?;
    let (found, _) = tar.finish().map_err(|e| Error::malformed("the layer", e))?;
    check_digest("layer", diff_id, &found)?;
    let root = File::open(&aside).or_sys_with(|| at("open", &aside))?;
    unistd::syncfs(&root).or_sys_with(|| at("write", &aside))?;
    fs::rename(&aside, &dir).or_sys_with(|| at("create", &dir))?;
    sync_parent(&dir)
}

/// Waits until nobody else unpacks the layer; `None` if it is there then.
fn turn(layers: &Path, dir: &Path, name: &str) -> Result<Option<Workspace>, Error> {
    loop {
        let lock = lock(layers)?;
        if dir.is_dir() {
            return Ok(None);
        }
        aside::bury(&layers.join(ASIDE))?;
        if let Some(work) = Workspace::make(&layers.join(ASIDE), name)? {
            return Ok(Some(work));
        }
        drop(lock);
        aside::wait_for(&layers.join(ASIDE).join(name))?;
    }
}

/// Removes an unpacked layer: renamed away first, so that a half-removed one is never taken for whole.
pub(super) fn remove(layers: &Path, diff_id: &str) -> Result<(), Error> {
    let dir = layers.join(diff_id);
    if !dir.exists() {
        return Ok(());
    }
    let lock = lock(layers)?;
    let work = Workspace::make(&layers.join(ASIDE), &fresh_name())?;
    let Some(work) = work.filter(|_| dir.exists()) else { return Ok(()) };
    fs::rename(&dir, work.path().join("layer")).or_sys_with(|| at("remove", &dir))?;
    let _ = fs::remove_file(layers.join(".sizes").join(diff_id));
    // What is in the folder goes with it, and nobody waits for that.
    drop(lock);
    Ok(())
}

/// Removes what a process left that died while it unpacked.
pub(super) fn sweep(layers: &Path) -> Result<(), Error> {
    if layers.join(ASIDE).exists() {
        let _lock = lock(layers)?;
        aside::bury(&layers.join(ASIDE))?;
    }
    Ok(())
}

/// The unpacked layers that are there.
pub(super) fn all(layers: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(layers).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.file_name().is_some_and(|n| n.len() == 64))
}

/// Bytes of the files in an unpacked layer, a hard-linked one once and a symbolic link with its length:
/// what Docker calls its size. Counted once, and kept in `layers/.sizes`; a layer that is not unpacked has none.
pub(super) fn size(dir: &Path) -> Option<u64> {
    let (layers, name) = (dir.parent()?, dir.file_name()?);
    let kept = layers.join(".sizes").join(name);
    if let Some(size) = fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok()) {
        return Some(size);
    }
    let size = fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()).then(|| count(dir, &mut HashSet::new()))?;
    // Whoever may only read the store counts again the next time.
    let _ = fs::create_dir_all(layers.join(".sizes")).and_then(|()| fs::write(&kept, format!("{size}\n")));
    Some(size)
}

fn count(dir: &Path, seen: &mut HashSet<u64>) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => sum += count(&entry.path(), seen),
            Ok(metadata) if metadata.nlink() == 1 || seen.insert(metadata.ino()) => sum += metadata.len(),
            _ => {}
        }
    }
    sum
}

const ASIDE: &str = ".aside";

/// Held for the moment that it takes to make, rename or look for a folder.
fn lock(layers: &Path) -> Result<Lock, Error> {
    fs::create_dir_all(layers).or_sys_with(|| at("create", layers))?;
    // Its owner's alone: an image may hold set-user-ID programs, which would be any user's to run.
    fs::set_permissions(layers, fs::Permissions::from_mode(0o700)).or_sys_with(|| at("protect", layers))?;
    Lock::exclusive(&layers.join(".lock"))
}
