//! What a container changed: its overlay's upper directory, read as overlay means it.
//!
//! A write in the container put a whole copy of the file there, a removal left a character device
//! 0:0, and a directory that replaced another one is marked opaque (Linux
//! Documentation/filesystems/overlayfs.rst). In a layer's tar the last two are `.wh.NAME` and
//! `.wh..wh..opq` (OCI image spec, layer.md).
//!
//! An ordinary user's own files are root's in their containers, so that is what the tar says.

use super::{Error, merged, pax};
use super::error::at;
use super::layer::LayerWriter;
use super::unpack::{OPAQUE, WHITEOUT};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::Uid;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How a path differs from the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Kind {
    /// It was not in the image.
    Added,
    /// It is another than in the image.
    Changed,
    /// It is not there any more.
    Deleted,
}

impl Kind {
    /// Docker's letter: A, C or D.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Changed => 'C',
            Self::Deleted => 'D',
        }
    }
}

/// A path that differs from the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: Kind,
    /// From the container's root.
    pub path: PathBuf,
}

/// What a path in an upper directory is.
enum Mark {
    Whiteout,
    Directory { opaque: bool },
    Other,
}

/// Lists what `upper` changes over `layers` (lowest first), sorted by path.
pub fn list(upper: &Path, layers: &[PathBuf]) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    walk(&open_folder(upper, None)?, Path::new(""), &mut |path, _, metadata, mark| {
        let below = below(path, layers);
        let kind = match (mark, &below) {
            (Mark::Whiteout, None) => return Ok(()),
            (Mark::Whiteout, Some(_)) => Kind::Deleted,
            (_, None) => Kind::Added,
            (Mark::Directory { opaque: false }, Some(lower)) if lower.is_dir() => {
                let same = |a: &Metadata, b: &Metadata| (a.mode(), a.uid(), a.gid()) == (b.mode(), b.uid(), b.gid());
                if same(metadata, lower) {
                    return Ok(());
                }
                Kind::Changed
            }
            (_, Some(_)) => Kind::Changed,
        };
        changes.push(Change { kind, path: Path::new("/").join(path) });
        Ok(())
    })?;
    // A directory of the image changes with what is in it.
    let mut seen: HashSet<PathBuf> = changes.iter().map(|c| c.path.clone()).collect();
    let mut above: Vec<Change> = Vec::new();
    for change in &changes {
        for folder in change.path.ancestors().skip(1).filter(|p| *p != Path::new("/")) {
            if seen.insert(folder.to_owned()) {
                above.push(Change { kind: Kind::Changed, path: folder.to_owned() });
            }
        }
    }
    changes.append(&mut above);
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// What the image has at `path`: the topmost layer that says something about it decides.
pub(super) fn below(path: &Path, layers: &[PathBuf]) -> Option<Metadata> {
    for layer in layers.iter().rev() {
        if let Ok(metadata) = fs::symlink_metadata(layer.join(path)) {
            return if is_whiteout(&layer.join(path), &metadata) { None } else { Some(metadata) };
        }
        // A removed, opaque or replaced directory hides what lies lower.
        for folder in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            let here = layer.join(folder);
            if fs::symlink_metadata(&here).is_ok_and(|m| !m.is_dir() || is_opaque(&here)) {
                return None;
            }
        }
    }
    None
}

/// Writes `upper` as a layer's tar, sorted.
pub fn write_layer(upper: &Path, to: &mut LayerWriter) -> Result<(), Error> {
    let mut tar = tar::Builder::new(to);
    let mut links: HashMap<(u64, u64), PathBuf> = HashMap::new();
    walk(&open_folder(upper, None)?, Path::new(""), &mut |path, source, metadata, mark| {
        match mark {
            Mark::Whiteout => empty(&mut tar, &marked(path, WHITEOUT)),
            Mark::Directory { opaque } => {
                entry(&mut tar, source, path, metadata, &mut links)?;
                if opaque { empty(&mut tar, &path.join(OPAQUE)) } else { Ok(()) }
            }
            Mark::Other => entry(&mut tar, source, path, metadata, &mut links),
        }
    })?;
    tar.finish().or_sys("write the layer")?;
    Ok(())
}

/// Writes a container's whole tree as a tar: `layers`, lowest first, the container's own last.
pub fn write_tree(layers: &[PathBuf], to: impl Write) -> Result<(), Error> {
    let mut tar = tar::Builder::new(to);
    let mut links: HashMap<(u64, u64), PathBuf> = HashMap::new();
    merged::walk(layers, &mut |found| entry(&mut tar, found.source, found.path, found.metadata, &mut links))?;
    let mut to = tar.into_inner().or_sys("write the archive")?;
    to.flush().or_sys("write the archive")?;
    Ok(())
}

type Visit<'a> = dyn FnMut(&Path, &Path, &Metadata, Mark) -> Result<(), Error> + 'a;

/// Opens a directory by its path, or by its name in one that is open: never through a link.
///
/// The container may run and exchange what was looked at for a link to anywhere before it is opened:
/// root would then read the host's files into the layer. So each directory is held open, and
/// what is in it is reached through that.
fn open_folder(path: &Path, within: Option<&OwnedFd>) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = match within {
        None => nix::fcntl::open(path, flags, Mode::empty()),
        Some(folder) => nix::fcntl::openat(folder, path, flags, Mode::empty()),
    };
    Ok(opened.or_sys_with(|| at("open", path))?)
}

/// Goes through an upper directory, each directory before what is in it. A visit gets the path from
/// the container's root, and the one by which the file is reached.
fn walk(here: &OwnedFd, folder: &Path, visit: &mut Visit<'_>) -> Result<(), Error> {
    let held = PathBuf::from(format!("/proc/self/fd/{}", here.as_raw_fd()));
    let entries = fs::read_dir(&held).or_sys_with(|| at("read", folder))?;
    let mut names: Vec<OsString> = entries.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>().or_sys_with(|| at("read", folder))?;
    names.sort();
    for name in names {
        let full = held.join(&name);
        let path = folder.join(&name);
        let metadata = fs::symlink_metadata(&full).or_sys_with(|| at("read", &full))?;
        if is_mount_point(&full, &path, &metadata) {
            continue;
        }
        if overlay_attribute(&full, "redirect").is_some() {
            let error = SysError::new(format!("read {}: overlay keeps only a reference to it there (redirect_dir)", path.display()), Errno::EOPNOTSUPP);
            return Err(error.into());
        }
        if name.as_bytes().starts_with(WHITEOUT.as_bytes()) {
            return Err(Error::Refused { entry: path.display().to_string(), problem: "has the name of a whiteout, and would take away another file".into() });
        }
        if is_whiteout(&full, &metadata) {
            visit(&path, &full, &metadata, Mark::Whiteout)?;
        } else if metadata.is_dir() {
            visit(&path, &full, &metadata, Mark::Directory { opaque: is_opaque(&full) })?;
            walk(&open_folder(Path::new(&name), Some(here))?, &path, visit)?;
        } else {
            visit(&path, &full, &metadata, Mark::Other)?;
        }
    }
    Ok(())
}

/// The empty files and folders that every container gets as places to mount its own on: no change of anybody's.
fn is_mount_point(full: &Path, path: &Path, metadata: &Metadata) -> bool {
    let is = |list: &[&str]| list.iter().any(|p| path == Path::new(p));
    let no_entries = || fs::read_dir(full).is_ok_and(|mut entries| entries.next().is_none());
    (metadata.is_file() && metadata.len() == 0 && is(&["etc/hosts", "etc/hostname", "etc/resolv.conf"]))
        || (metadata.is_dir() && is(&["dev", "proc", "sys"]) && no_entries())
}

/// Overlay's mark of a removed file: a character device 0:0, or an empty file with an attribute.
pub(super) fn is_whiteout(path: &Path, metadata: &Metadata) -> bool {
    (metadata.file_type().is_char_device() && metadata.rdev() == 0)
        || (metadata.is_file() && metadata.len() == 0 && overlay_attribute(path, "whiteout").is_some())
}

/// Whether a directory hides all that lower layers have in it.
pub(super) fn is_opaque(folder: &Path) -> bool {
    overlay_attribute(folder, "opaque").is_some_and(|v| v == b"y")
}

/// Overlay's mark. The kernel believes only those of the name space that the overlay was mounted with,
/// and so do we: an attribute `user.` any process in a container of root's could set.
fn overlay_attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let space = if crate::kernel::userns::is_host_root() { "trusted" } else { "user" };
    xattr::get(path, format!("{space}.overlay.{name}")).ok().flatten()
}

/// `a/b` as `a/.wh.b`.
fn marked(path: &Path, mark: &str) -> PathBuf {
    let mut name = OsString::from(mark);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn empty(tar: &mut tar::Builder<impl Write>, path: &Path) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(0o600);
    header.set_mtime(0);
    tar.append_data(&mut header, path, std::io::empty()).or_sys_with(|| at("write the layer's", path))?;
    Ok(())
}

fn entry(
    tar: &mut tar::Builder<impl Write>,
    source: &Path,
    path: &Path,
    metadata: &Metadata,
    links: &mut HashMap<(u64, u64), PathBuf>,
) -> Result<(), Error> {
    let Some(kind) = entry_type(metadata.file_type()) else { return Ok(()) };
    let mut header = header(metadata, kind);
    let what = || at("write the layer's", path);
    if !metadata.is_dir() && metadata.nlink() > 1 {
        if let Some(first) = links.get(&(metadata.dev(), metadata.ino())) {
            header.set_entry_type(tar::EntryType::Link);
            header.set_size(0);
            tar.append_link(&mut header, path, first).or_sys_with(what)?;
            return Ok(());
        }
        links.insert((metadata.dev(), metadata.ino()), path.to_owned());
    }
    pax::extend(tar, metadata.mtime(), Some(source), &["security.selinux"]).or_sys_with(what)?;
    let written = match kind {
        tar::EntryType::Symlink => {
            let to = fs::read_link(source).or_sys_with(|| at("read", source))?;
            tar.append_link(&mut header, path, to)
        }
        tar::EntryType::Regular => {
            // The file that was looked at, or none: a FIFO in its place would be waited for.
            let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(source).or_sys_with(|| at("open", path))?;
            let now = file.metadata().or_sys_with(|| at("open", path))?;
            if (now.dev(), now.ino()) != (metadata.dev(), metadata.ino()) {
                return Err(SysError::new(format!("read {}: the container exchanged it meanwhile", path.display()), Errno::ESTALE).into());
            }
            // A container that runs may write on: the entry has the size that its header says.
            tar.append_data(&mut header, path, file.chain(std::io::repeat(0)).take(metadata.len()))
        }
        tar::EntryType::Directory => tar.append_data(&mut header, path.join(""), std::io::empty()),
        _ => tar.append_data(&mut header, path, std::io::empty()),
    };
    written.or_sys_with(what)?;
    Ok(())
}

/// Sockets are no content of an image.
fn entry_type(kind: FileType) -> Option<tar::EntryType> {
    Some(match kind {
        k if k.is_dir() => tar::EntryType::Directory,
        k if k.is_file() => tar::EntryType::Regular,
        k if k.is_symlink() => tar::EntryType::Symlink,
        k if k.is_char_device() => tar::EntryType::Char,
        k if k.is_block_device() => tar::EntryType::Block,
        k if k.is_fifo() => tar::EntryType::Fifo,
        _ => return None,
    })
}

fn header(metadata: &Metadata, kind: tar::EntryType) -> tar::Header {
    let own = Uid::effective();
    // An ordinary user is root in their containers.
    let inside = |id: u32, mine: u32| if id == mine && !own.is_root() { 0 } else { id };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(inside(metadata.uid(), own.as_raw()).into());
    header.set_gid(inside(metadata.gid(), nix::unistd::getegid().as_raw()).into());
    header.set_mtime(pax::header_time(metadata.mtime()));
    header.set_size(if kind == tar::EntryType::Regular { metadata.len() } else { 0 });
    if matches!(kind, tar::EntryType::Char | tar::EntryType::Block) {
        let (major, minor) = (nix::sys::stat::major(metadata.rdev()), nix::sys::stat::minor(metadata.rdev()));
        // A GNU header has both fields.
        let _ = header.set_device_major(u32::try_from(major).unwrap_or(0));
        let _ = header.set_device_minor(u32::try_from(minor).unwrap_or(0));
    }
    header
}
