//! What a RUN's mounts leave in the upper directory, taken off it again: the files and folders that were
//! made to be mounted on, and the folders above that overlay took along (overlayfs docs, "upper and lower").
//!
//! The command was root of that directory and may have put a link anywhere in it. So nothing here goes by
//! a path from the host's root: each folder is opened beneath the upper directory without following any
//! link (openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS), and only an entry of that descriptor is
//! removed (unlinkat(2)). What cannot be reached so was moved by the command, and is its own.
//!
//! See it live: `skiff build` with `RUN --mount=type=cache,target=/deep/cache true`, then
//! `skiff image diff`. BuildKit keeps a list of the mount points that it made, and removes those.

use super::tree::Tree;
use crate::kernel::{OrSys, SysError};
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use xattr::FileExt;

/// Where mounts go, and what must be made for them.
pub struct Traces {
    /// Where they go, free of links.
    targets: Vec<PathBuf>,
    /// What the stage does not have of these paths, the innermost first.
    stubs: Vec<PathBuf>,
}

impl Traces {
    /// What mounts at these paths will leave on this stage.
    pub fn of(stage: &Tree, targets: &[PathBuf]) -> Self {
        let targets: Vec<PathBuf> = targets.iter().filter_map(|t| stage.resolve(t).ok()).collect();
        let above = targets.iter().flat_map(|t| folders(t));
        let mut stubs: Vec<PathBuf> = above.filter(|p| stage.look(p).is_none()).map(Path::to_path_buf).collect();
        stubs.sort_by_key(|p| std::cmp::Reverse(p.components().count()));
        Self { targets, stubs }
    }

    /// Takes them off the upper directory, unless the command put something there.
    pub fn remove(&self, upper: &Path, stage: &Tree) -> Result<(), SysError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let upper = Upper(open(upper, flags, Mode::empty()).or_sys_with(|| format!("open {}", upper.display()))?);
        for stub in &self.stubs {
            upper.remove_empty(stub);
        }
        // Overlay took the folders above along, whose only change is their time.
        for target in &self.targets {
            for folder in folders(target) {
                let was = stage.look(folder).map(|node| node.metadata);
                if upper.is_only_taken_along(folder, was.as_ref()) && !upper.remove_folder(folder) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A path and the folders above it, without the root.
fn folders(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().filter(|p| !p.as_os_str().is_empty())
}

/// The upper directory of a container that has ended.
struct Upper(OwnedFd);

impl Upper {
    fn open(&self, path: &Path, flags: OFlag) -> Option<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(&self.0, path, OpenHow::new().flags(flags | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(resolve)).ok()
    }

    /// The folder that a path lies in, and its name there.
    fn parent<'a>(&self, path: &'a Path) -> Option<(OwnedFd, &'a OsStr)> {
        Some((self.open(path.parent()?, OFlag::O_PATH)?, path.file_name()?))
    }

    /// Removes an empty folder or an empty file.
    fn remove_empty(&self, path: &Path) {
        let Some((parent, name)) = self.parent(path) else { return };
        let Ok(stat) = fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { return };
        // One that the command has filled meanwhile stays: then it is no stub any more.
        match kind(&stat) {
            SFlag::S_IFDIR => drop(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)),
            SFlag::S_IFREG if stat.st_size == 0 => drop(unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)),
            _ => {}
        }
    }

    /// True for a folder of the stage whose mode and owner are as they were. One that was removed and
    /// made anew is marked as opaque, and hides what lies below.
    fn is_only_taken_along(&self, folder: &Path, was: Option<&Metadata>) -> bool {
        let Some(file) = self.open(folder, OFlag::O_RDONLY).map(File::from) else { return false };
        let marks = |m: &Metadata| (m.mode(), m.uid(), m.gid());
        let same = file.metadata().is_ok_and(|is| was.is_some_and(|was| marks(was) == marks(&is)));
        same && file.list_xattr().is_ok_and(|mut names| !names.any(|n| n.to_string_lossy().ends_with(".opaque")))
    }

    /// True if it was empty, and is gone.
    fn remove_folder(&self, path: &Path) -> bool {
        self.parent(path).is_some_and(|(parent, name)| unlinkat(&parent, name, UnlinkatFlags::RemoveDir).is_ok())
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}
