//! Files into the lab and out of it: a tar over a session. Used on both sides.

use super::client;
use super::wire::{Request, What};
use super::{Error, Place};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Copies a file or folder of the host into a folder of the lab. Gives the session's exit code.
pub fn into_lab(place: &Place, from: &Path, to: &str) -> Result<i32, Error> {
    let stream = place.connect().ok_or(Error::NotRunning)?;
    let request = Request { what: What::Put(to.to_owned()), ..Request::default() };
    let from = from.to_owned();
    let packing = move |to: &mut dyn Write| pack(&from, to).map_err(std::io::Error::other);
    client::exchange(stream, &request, Some(Box::new(packing)), &mut |_| Ok(()))
}

/// Copies a file or folder of the lab into a folder of the host.
pub fn out_of_lab(place: &Place, from: &str, to: &Path) -> Result<i32, Error> {
    let stream = place.connect().ok_or(Error::NotRunning)?;
    let request = Request { what: What::Get(from.to_owned()), ..Request::default() };
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| Error::Keeper { problem: format!("cannot make a pipe: {e}") })?;
    let to = to.to_owned();
    let unpacking = std::thread::spawn(move || {
        let done = unpack(&mut reader, &to);
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        done
    });
    let code = client::exchange(stream, &request, None, &mut |bytes| writer.write_all(bytes))?;
    drop(writer);
    match unpacking.join() {
        // What the lab said is the cause; a tar cut short only follows from it.
        _ if code != 0 => Ok(code),
        Ok(Ok(())) => Ok(0),
        Ok(Err(problem)) => Err(Error::Keeper { problem }),
        Err(_) => Err(Error::Ended),
    }
}

/// Writes a tar of one file or folder under its own name.
pub(super) fn pack(path: &Path, to: &mut dyn Write) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let name = path.file_name().unwrap_or_else(|| "root".as_ref());
    let mut tar = tar::Builder::new(to);
    tar.follow_symlinks(false);
    let kind = std::fs::symlink_metadata(path).map_err(failed)?;
    if kind.is_dir() {
        tar.append_dir_all(name, path).map_err(failed)?;
    } else if kind.is_file() {
        tar.append_file(name, &mut File::open(path).map_err(failed)?).map_err(failed)?;
    } else {
        tar.append_path_with_name(path, name).map_err(failed)?;
    }
    tar.finish().map_err(failed)
}

/// Writes a tar into a folder that is there, never outside it: no owners, no special files' powers.
pub(super) fn unpack(from: &mut dyn Read, folder: &Path) -> Result<(), String> {
    if !folder.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    let mut tar = tar::Archive::new(from);
    tar.set_preserve_ownerships(false);
    tar.set_preserve_permissions(false);
    tar.unpack(folder).map_err(|e| format!("cannot write to {}: {e}", folder.display()))
}
