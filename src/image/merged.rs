//! Layers seen as one tree, as overlay would show them, without a mount (overlayfs docs, "Upper and Lower").
//!
//! For each directory the names of all layers are gathered from the top down: the first that has a
//! name decides it, a whiteout hides it, and below an opaque or replaced directory nothing shows
//! through. Each directory is held open and what is in it is reached through that, never through a
//! path from the root: a container that runs may exchange a folder of its upper layer meanwhile.

use super::Error;
use super::changes::{is_opaque, is_whiteout};
use super::error::at;
use crate::kernel::OrSys;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A file as the merged tree has it.
#[derive(Debug)]
pub struct Found<'a> {
    /// From the tree's root, without a slash before it.
    pub path: &'a Path,
    /// How it can be reached while the visit lasts.
    pub source: &'a Path,
    /// Its own, of a symbolic link too.
    pub metadata: &'a Metadata,
    /// Which of the layers it comes from, 0 being the lowest.
    pub layer: usize,
}

type Visit<'a> = dyn FnMut(&Found<'_>) -> Result<(), Error> + 'a;

/// Goes through `layers` (lowest first) as one tree, sorted, each directory before what is in it.
pub fn walk(layers: &[PathBuf], visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut stack = Vec::new();
    for (number, layer) in layers.iter().enumerate().rev() {
        stack.push((number, open(None, layer)?));
    }
    folder(&stack, Path::new(""), visit)
}

/// One directory of the tree: the layers that have it, topmost first.
fn folder(stack: &[(usize, OwnedFd)], path: &Path, visit: &mut Visit<'_>) -> Result<(), Error> {
    for (name, (top, source, metadata)) in names(stack, path)? {
        let path = path.join(&name);
        visit(&Found { path: &path, source: &source, metadata: &metadata, layer: stack[top].0 })?;
        if metadata.is_dir() {
            folder(&below(stack, top, &name)?, &path, visit)?;
        }
    }
    Ok(())
}

/// What a directory shows: by name, the place in the stack that decides, and what is there.
fn names(stack: &[(usize, OwnedFd)], path: &Path) -> Result<BTreeMap<OsString, (usize, PathBuf, Metadata)>, Error> {
    let mut found = BTreeMap::new();
    for (place, (_, fd)) in stack.iter().enumerate() {
        let held = held(fd);
        for entry in fs::read_dir(&held).or_sys_with(|| at("read", path))? {
            let name = entry.or_sys_with(|| at("read", path))?.file_name();
            let source = held.join(&name);
            if let Entry::Vacant(free) = found.entry(name) {
                let metadata = fs::symlink_metadata(&source).or_sys_with(|| at("read", &path.join(free.key())))?;
                free.insert((place, source, metadata));
            }
        }
    }
    found.retain(|_, (_, source, metadata)| !is_whiteout(source, metadata));
    Ok(found)
}

/// The layers that have the directory `name`, from the one at `top` down to the first that hides the rest.
fn below(stack: &[(usize, OwnedFd)], top: usize, name: &OsString) -> Result<Vec<(usize, OwnedFd)>, Error> {
    let mut found = Vec::new();
    for (number, fd) in &stack[top..] {
        let source = held(fd).join(name);
        match fs::symlink_metadata(&source) {
            Ok(metadata) if metadata.is_dir() => {
                let last = is_opaque(&source);
                found.push((*number, open(Some(fd), Path::new(name))?));
                if last {
                    break;
                }
            }
            // A whiteout or a file hides what lies lower.
            Ok(_) => break,
            Err(_) => {}
        }
    }
    Ok(found)
}

fn held(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn open(within: Option<&OwnedFd>, path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match within {
        None => nix::fcntl::open(path, flags, Mode::empty()),
        Some(folder) => nix::fcntl::openat(folder, path, flags, Mode::empty()),
    };
    Ok(opened.or_sys_with(|| at("open", path))?)
}
