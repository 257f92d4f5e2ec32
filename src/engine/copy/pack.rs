//! Reading and writing trees as tar streams (tar(5)), on either side of a copy.
//!
//! Modes, times and links are kept; owners where it is asked for, else the root of whichever side gets
//! the files. Names in a stream are made here, from what a folder lists; one that comes from somebody
//! else is held to the folder that it is unpacked in.

use crate::engine::step::StepError;
use crate::kernel::error::errno_of;
use crate::kernel::SysError;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use tar::{Builder, EntryType, Header};

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> StepError {
    let what = format!("{what} {}", path.display());
    move |error| SysError::new(what, errno_of(&error)).into()
}

/// Writes the file or tree at `path` under the name `name`; with its owners, or as root's.
pub fn pack(path: &Path, name: &Path, owners: bool, to: impl Write) -> Result<(), StepError> {
    let mut builder = Builder::new(io::BufWriter::with_capacity(1 << 16, to));
    add(&mut builder, path, name, owners)?;
    let mut rest = builder.into_inner().map_err(failed("copy", path))?;
    rest.flush().map_err(failed("copy", path))
}

fn add<W: Write>(to: &mut Builder<W>, path: &Path, name: &Path, owners: bool) -> Result<(), StepError> {
    let metadata = fs::symlink_metadata(path).map_err(failed("read", path))?;
    let mut header = header(&metadata, owners);
    let kind = metadata.file_type();
    let written = if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        to.append_data(&mut header, name.join(""), io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        let target = fs::read_link(path).map_err(failed("read", path))?;
        to.append_link(&mut header, name, target)
    } else if kind.is_file() {
        header.set_size(metadata.len());
        // As long as its header says, whatever somebody does to it meanwhile.
        let file = File::open(path).map_err(failed("read", path))?;
        to.append_data(&mut header, name, file.chain(io::repeat(0)).take(metadata.len()))
    } else if kind.is_socket() {
        // Nobody listens at a copy of it.
        return Ok(());
    } else {
        header.set_entry_type(if kind.is_fifo() { EntryType::Fifo } else if kind.is_char_device() { EntryType::Char } else { EntryType::Block });
        let numbers = (nix::libc::major(metadata.rdev()), nix::libc::minor(metadata.rdev()));
        let _ = header.set_device_major(numbers.0).and_then(|()| header.set_device_minor(numbers.1));
        to.append_data(&mut header, name, io::empty())
    };
    written.map_err(failed("copy", path))?;
    if kind.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            names.push(entry.map_err(failed("read", path))?.file_name());
        }
        names.sort();
        names.iter().try_for_each(|entry| add(to, &path.join(entry), &name.join(entry), owners))?;
    }
    Ok(())
}

fn header(metadata: &Metadata, owners: bool) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o7777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_uid(if owners { metadata.uid().into() } else { 0 });
    header.set_gid(if owners { metadata.gid().into() } else { 0 });
    header.set_size(0);
    header
}

/// Unpacks a stream into the folder `into`; with the owners that it names, or as one's own.
pub fn unpack(into: &Path, owners: bool, from: impl Read) -> Result<(), StepError> {
    let mut archive = tar::Archive::new(from);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_preserve_ownerships(owners);
    archive.set_overwrite(true);
    archive.unpack(into).map_err(|error| {
        let errno = innermost(&error);
        let step = StepError::from(SysError::new(format!("unpack into {}", into.display()), errno));
        if errno == nix::errno::Errno::EIO { step.because(error.to_string()) } else { step }
    })
}

/// The errno below the archive's own words; EIO where there is none.
fn innermost(error: &io::Error) -> nix::errno::Errno {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut found = error.raw_os_error();
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).or(found);
        next = error.source();
    }
    nix::errno::Errno::from_raw(found.unwrap_or(nix::libc::EIO))
}
