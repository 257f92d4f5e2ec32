//! Files into the lab and out of it: a tar over a session. Used on both sides.

use super::client;
use super::wire::{Request, What};
use super::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What `/` is called when it is copied.
const ROOT: &str = "root";

/// The most that is read of a file without a length, in bytes; more than the kernel's files hold.
const MADE_UP: u64 = 16 << 20;

/// Copies a file or folder of the host into a folder of the lab. Gives the session's exit code.
pub fn into_lab(stream: UnixStream, from: &Path, to: &str) -> Result<i32, Error> {
    let request = Request { what: What::Put(to.to_owned()), ..Request::default() };
    let from = from.to_owned();
    let packing = move |to: &mut dyn Write| pack(&from, to).map_err(std::io::Error::other);
    client::exchange(stream, &request, Some(Box::new(packing)), &mut |_| Ok(()))
}

/// Copies a file or folder of the lab into a folder of the host. The lab is not believed: only what
/// has the name that was asked for is written, and below that folder.
pub fn out_of_lab(stream: UnixStream, from: &str, to: &Path) -> Result<i32, Error> {
    let name = Path::new("/root").join(from).file_name().unwrap_or_else(|| ROOT.as_ref()).to_owned();
    let request = Request { what: What::Get(from.to_owned()), ..Request::default() };
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| Error::Keeper { problem: format!("cannot make a pipe: {e}") })?;
    let to = to.to_owned();
    let unpacking = std::thread::spawn(move || {
        let done = unpack(&mut reader, &to, Some(&name));
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
    let name = path.file_name().unwrap_or_else(|| ROOT.as_ref());
    let mut tar = tar::Builder::new(to);
    tar.follow_symlinks(false);
    let kind = std::fs::symlink_metadata(path).map_err(failed)?;
    if kind.is_dir() {
        tar.append_dir_all(name, path).map_err(failed)?;
    } else if kind.is_file() {
        // Some files of /proc would be waited for without end.
        let mut file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(failed)?;
        if kind.len() == 0 {
            // What lies in /proc and /sys says that it is empty, and seldom is.
            let mut bytes = Vec::new();
            file.take(MADE_UP).read_to_end(&mut bytes).map_err(failed)?;
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&kind);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes.as_slice()).map_err(failed)?;
        } else {
            tar.append_file(name, &mut file).map_err(failed)?;
        }
    } else {
        tar.append_path_with_name(path, name).map_err(failed)?;
    }
    tar.finish().map_err(failed)
}

/// Writes a tar into a folder that is there, never outside it: no owners, no device files. With
/// `only`, what does not have that name, or lie below it, is refused.
pub(super) fn unpack(from: &mut dyn Read, folder: &Path, only: Option<&OsStr>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot write to {}: {e}", folder.display());
    if !folder.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    let mut tar = tar::Archive::new(from);
    tar.set_preserve_ownerships(false);
    tar.set_preserve_permissions(false);
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let kind = entry.header().entry_type();
        let is_asked_for = only.is_none_or(|name| path.components().next().is_some_and(|c| c.as_os_str() == name));
        if !is_asked_for || !(kind.is_file() || kind.is_gnu_sparse() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link()) {
            return Err(format!("the lab sent {}, which was not asked for", path.display()));
        }
        entry.unpack_in(folder).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of one small file.
    fn tar_of(path: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o4755);
        tar.append_data(&mut header, path, &b"hi"[..]).expect("a Vec takes all");
        tar.into_inner().expect("a Vec takes all")
    }

    #[test]
    fn only_what_was_asked_for_is_taken_from_the_lab() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let take = |path: &str| unpack(&mut tar_of(path).as_slice(), folder.path(), Some("note".as_ref()));
        assert_eq!(take("note"), Ok(()));
        assert_eq!(take("note/below"), Err(format!("cannot write to {}: failed to unpack `{}/note/below`", folder.path().display(), folder.path().display())));
        assert_eq!(take(".bashrc"), Err("the lab sent .bashrc, which was not asked for".into()));
        let names: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["note"]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&folder.path().join("note").metadata().expect("it is there").permissions());
        assert_eq!(mode & 0o7000, 0, "no set-user-ID comes out of the lab");
    }
}
