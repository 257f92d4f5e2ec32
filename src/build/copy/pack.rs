//! A layer's tar from placed files (OCI image spec, layer.md), and the times of one that a RUN made.

use super::gather::Found;
use super::place::Placed;
use crate::image::layer::LayerWriter;
use crate::image::pax;
use crate::kernel::{OrSys, SysError};
use nix::sys::stat::{UtimensatFlags, major, minor, utimensat};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// Writes the files, sorted by their paths. No time is later than `epoch`.
pub fn write(layer: &BTreeMap<PathBuf, Placed>, epoch: Option<i64>, to: &mut LayerWriter) -> Result<(), SysError> {
    let mut tar = tar::Builder::new(to);
    let mut first = BTreeMap::new();
    for (path, placed) in layer.iter().filter(|(p, _)| !p.as_os_str().is_empty()) {
        if let Some(Found::Node(node)) = placed.what.as_ref().filter(|_| placed.hard) {
            let other = first.entry((node.metadata.dev(), node.metadata.ino())).or_insert(path);
            if *other != path {
                hard_link(&mut tar, path, other, placed, epoch).or_sys_with(|| format!("write the layer's {}", path.display()))?;
                continue;
            }
        }
        entry(&mut tar, path, placed, epoch).or_sys_with(|| format!("write the layer's {}", path.display()))?;
    }
    tar.finish().or_sys("write the layer")
}

fn time(placed: &Placed, epoch: Option<i64>) -> i64 {
    epoch.map_or(placed.time, |epoch| placed.time.min(epoch))
}

/// What every entry says.
fn header(placed: &Placed, epoch: Option<i64>) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(placed.mode);
    header.set_uid(placed.uid.into());
    header.set_gid(placed.gid.into());
    header.set_mtime(pax::header_time(time(placed, epoch)));
    header.set_size(0);
    header
}

/// Another name of a file that is in the layer already.
fn hard_link(tar: &mut tar::Builder<impl Write>, path: &Path, other: &Path, placed: &Placed, epoch: Option<i64>) -> io::Result<()> {
    let mut header = header(placed, epoch);
    header.set_entry_type(EntryType::Link);
    tar.append_link(&mut header, path, other)
}

fn entry(tar: &mut tar::Builder<impl Write>, path: &Path, placed: &Placed, epoch: Option<i64>) -> io::Result<()> {
    let mut header = header(placed, epoch);
    pax::extend(tar, time(placed, epoch), placed.real.as_deref(), &["security.selinux", "system."])?;
    let node = match &placed.what {
        Some(Found::Bytes(bytes)) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            return tar.append_data(&mut header, path, bytes.as_slice());
        }
        Some(Found::Node(node)) if !node.metadata.is_dir() => node,
        _ => {
            header.set_entry_type(EntryType::Directory);
            return tar.append_data(&mut header, path.join(""), io::empty());
        }
    };
    let kind = node.metadata.file_type();
    if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        return tar.append_link(&mut header, path, fs::read_link(&node.real)?);
    }
    if kind.is_file() {
        header.set_entry_type(EntryType::Regular);
        let size = node.metadata.len();
        header.set_size(size);
        // Somebody may write to the context meanwhile: the entry has the size that its header says.
        return tar.append_data(&mut header, path, File::open(&node.real)?.chain(io::repeat(0)).take(size));
    }
    header.set_entry_type(if kind.is_fifo() {
        EntryType::Fifo
    } else if kind.is_block_device() {
        EntryType::Block
    } else {
        EntryType::Char
    });
    header.set_device_major(u32::try_from(major(node.metadata.rdev())).unwrap_or(0))?;
    header.set_device_minor(u32::try_from(minor(node.metadata.rdev())).unwrap_or(0))?;
    tar.append_data(&mut header, path, io::empty())
}

/// Gives everything below a folder at most this time: a RUN's files, for SOURCE_DATE_EPOCH.
pub fn clamp(folder: &Path, epoch: i64) -> Result<(), SysError> {
    for entry in fs::read_dir(folder).or_sys_with(|| format!("read {}", folder.display()))?.flatten() {
        let path = entry.path();
        let metadata = entry.metadata().or_sys_with(|| format!("read {}", path.display()))?;
        if metadata.is_dir() {
            clamp(&path, epoch)?;
        }
        // A link's own time, and never that of what it leads to.
        if metadata.mtime() > epoch {
            let time = TimeSpec::new(epoch, 0);
            let here = nix::fcntl::AT_FDCWD;
            utimensat(here, &path, &time, &time, UtimensatFlags::NoFollowSymlink).or_sys_with(|| format!("date {}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes the files themselves below a new folder.
pub fn materialize(layer: &BTreeMap<PathBuf, Placed>, folder: &Path) -> Result<(), SysError> {
    fs::create_dir_all(folder).or_sys_with(|| format!("make {}", folder.display()))?;
    for (path, placed) in layer.iter().filter(|(p, _)| !p.as_os_str().is_empty()) {
        let to = folder.join(path);
        file(&to, placed).or_sys_with(|| format!("write {}", to.display()))?;
    }
    Ok(())
}

fn file(to: &Path, placed: &Placed) -> io::Result<()> {
    match &placed.what {
        Some(Found::Bytes(bytes)) => fs::write(to, bytes)?,
        Some(Found::Node(node)) if node.metadata.is_symlink() => return std::os::unix::fs::symlink(fs::read_link(&node.real)?, to),
        Some(Found::Node(node)) if node.metadata.is_file() => drop(fs::copy(&node.real, to)?),
        // Devices and pipes are no material of a build.
        Some(Found::Node(node)) if !node.metadata.is_dir() => return Ok(()),
        _ => fs::create_dir_all(to)?,
    }
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(to, Some(placed.uid), Some(placed.gid))?;
    }
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(placed.mode))
}
