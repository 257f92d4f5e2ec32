//! Layers as directories: each unpacked once, to `layers/<diff ID>`, for all that use it.
//!
//! Unpacked aside and renamed: a directory of that name is whole (after a crash of the machine, see
//! [`is_whole`]). What the tar hashes to is compared with the diff ID before the rename, so it is also
//! what was meant.
//!
//! Two processes that want the same layer meet at `layers/.aside/<diff ID>`: one unpacks, the other
//! waits for it; different layers are unpacked side by side. Bigger engines keep a database of their
//! layers instead (containerd's snapshotter); here the names of the directories are all there is.

use super::Error;
use super::ahead;
use super::aside::{self, Lock, Workspace, fresh_name, sync_parent};
use super::error::at;
use super::layer::{Hashing, broken_tar, tar_of};
use super::store::check_digest;
use super::unpack;
use crate::kernel::OrSys;
use nix::unistd;
use oci_spec::image::Digest;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Unpacks `blob` to `layers/<diff ID>`, unless it is there, or another process did meanwhile. It is
/// not waited for until it lies on disk: see [`is_whole`].
pub(super) fn unpack(layers: &Path, diff_id: &Digest, blob: impl Read + Send) -> Result<(), Error> {
    place(layers, diff_id, blob, false)
}

/// As [`unpack`], and on disk.
pub(super) fn unpack_and_sync(layers: &Path, diff_id: &Digest, blob: impl Read + Send) -> Result<(), Error> {
    place(layers, diff_id, blob, true)
}

fn place(layers: &Path, diff_id: &Digest, blob: impl Read + Send, sync: bool) -> Result<(), Error> {
    let dir = layers.join(diff_id.digest());
    let Some(work) = turn(layers, &dir, diff_id.digest())? else { return Ok(()) };
    let aside = work.path().join("layer");
    fs::create_dir(&aside).or_sys_with(|| at("create", &aside))?;
    let tar = Hashing::new(tar_of(blob)?);
    let found = thread::scope(|scope| {
        let (mut tar, hashed) = ahead::read(scope, tar, |rest| rest.finish());
        unpack::tree(&aside, &mut tar)?;
        // What stands behind the archive's end belongs to the layer's bytes too.
        io::copy(&mut tar, &mut io::sink()).map_err(|e| broken_tar("the layer", &e))?;
        drop(tar);
        let hashed = hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, Error>(hashed.map_err(|e| broken_tar("the layer", &e))?.0)
    })?;
    check_digest("layer", diff_id, &found)?;
    let note = layers.join(UNSYNCED).join(diff_id.digest());
    if sync {
        sync_all(&aside)?;
    } else {
        fs::create_dir_all(layers.join(UNSYNCED)).and_then(|()| fs::write(&note, boot_id())).or_sys_with(|| at("create", &note))?;
    }
    fs::rename(&aside, &dir).or_sys_with(|| at("create", &dir))?;
    sync_parent(&dir)
}

/// Whether an unpacked layer is there, and all of it.
///
/// A layer can be unpacked again from its blob, which is on disk for certain: so nobody waits until
/// all its small files are, which takes longer than making them. Instead a note in `layers/.unsynced`
/// says in which boot of the machine it was unpacked. While that boot lasts the kernel shows the files
/// as they were written; in a later one the layer is not believed, unless [`settle`] came before.
pub(super) fn is_whole(dir: &Path) -> bool {
    let (Some(layers), Some(name)) = (dir.parent(), dir.file_name()) else { return false };
    dir.is_dir() && fs::read_to_string(layers.join(UNSYNCED).join(name)).map_or(true, |boot| !boot.is_empty() && boot == boot_id())
}

/// Syncs layers that were unpacked a while ago, when the kernel has written most of them by itself, and
/// takes their notes away.
pub(super) fn settle(layers: &Path) -> Result<(), Error> {
    let notes = fs::read_dir(layers.join(UNSYNCED)).into_iter().flatten().flatten().map(|e| e.path());
    let is_old = |note: &PathBuf| fs::metadata(note).and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|age| age > A_WHILE));
    let is_of_now = |note: &PathBuf| fs::read_to_string(note).is_ok_and(|boot| boot == boot_id());
    let old: Vec<PathBuf> = notes.filter(|note| is_old(note) && is_of_now(note)).collect();
    if !old.is_empty() {
        sync_all(layers)?;
        old.iter().for_each(|note| drop(fs::remove_file(note)));
    }
    Ok(())
}

/// The kernel writes what is older than thirty seconds (vm.dirty_expire_centisecs).
const A_WHILE: Duration = Duration::from_secs(60);
const UNSYNCED: &str = ".unsynced";

/// Another after each boot; empty where /proc does not say, and then nothing is believed.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn sync_all(folder: &Path) -> Result<(), Error> {
    let root = File::open(folder).or_sys_with(|| at("open", folder))?;
    Ok(unistd::syncfs(&root).or_sys_with(|| at("write", folder))?)
}

/// Waits until nobody else unpacks the layer; `None` if it is there then.
fn turn(layers: &Path, dir: &Path, name: &str) -> Result<Option<Workspace>, Error> {
    loop {
        let lock = lock(layers)?;
        if is_whole(dir) {
            return Ok(None);
        }
        aside::bury(&layers.join(ASIDE))?;
        if let Some(work) = Workspace::make(&layers.join(ASIDE), name)? {
            // Of an earlier boot, and not believed; it goes with the folder.
            if dir.is_dir() {
                fs::rename(dir, work.path().join("unsynced")).or_sys_with(|| at("remove", dir))?;
            }
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
    for notes in [".sizes", UNSYNCED] {
        let _ = fs::remove_file(layers.join(notes).join(diff_id));
    }
    // What is in the folder goes with it, and nobody waits for that.
    drop(lock);
    Ok(())
}

/// Removes what a process left that died while it unpacked.
pub(super) fn sweep(layers: &Path) -> Result<(), Error> {
    let (aside, notes) = (layers.join(ASIDE), layers.join(UNSYNCED));
    if !aside.exists() {
        return Ok(());
    }
    let _lock = lock(layers)?;
    aside::bury(&aside)?;
    // Nobody unpacks, and nobody begins while this holds the lock: a note without a layer is a dead one's.
    if !aside.exists() {
        for note in fs::read_dir(&notes).into_iter().flatten().flatten().filter(|n| !layers.join(n.file_name()).exists()) {
            fs::remove_file(note.path()).or_sys_with(|| at("remove", &note.path()))?;
        }
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
