//! Copies a tree of an image into a volume: content, owners, modes, times, extended attributes, and
//! hard links as links of each other.
//!
//! Every name is opened relative to its folder's descriptor and links are never followed, so that an
//! image cannot lead the copy out of its root, nor a volume out of its folder. Device nodes that a user
//! namespace may not make are left out.

use crate::kernel::{OrSys, SysError};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, LinkatFlags, Uid, fchown, fchownat, linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use xattr::FileExt;

/// What was copied already and has further names: the folder that the first lies in, and that name.
type Links = HashMap<(u64, u64), (Rc<OwnedFd>, CString)>;

/// Copies what is in the folder `from` into the folder `to`, which gets its owner and mode too.
pub fn tree(from: OwnedFd, to: OwnedFd) -> Result<(), SysError> {
    folder(from, Rc::new(to), &mut Links::new())
}

fn folder(from: OwnedFd, to: Rc<OwnedFd>, links: &mut Links) -> Result<(), SysError> {
    let own = fstat(&from).or_sys("look at a folder of the image")?;
    let names = names(&from)?;
    for name in &names {
        entry(&from, &to, name, links)?;
    }
    let from = File::from(from);
    let copy = File::from(to.try_clone().or_sys("copy a folder")?);
    dress(&from, &copy, &own)
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, SysError> {
    let mut open = Dir::openat(folder, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).or_sys("open a folder of the image")?;
    let mut found = Vec::new();
    for entry in open.iter() {
        let name = entry.or_sys("read a folder of the image")?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            found.push(name);
        }
    }
    Ok(found)
}

fn entry(from: &OwnedFd, to: &Rc<OwnedFd>, name: &CStr, links: &mut Links) -> Result<(), SysError> {
    let what = || format!("copy {} into the volume", name.to_string_lossy());
    let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW).or_sys_with(what)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    if kind != SFlag::S_IFDIR && stat.st_nlink > 1 {
        if let Some((dir, first)) = links.get(&(stat.st_dev, stat.st_ino)) {
            return linkat(dir.as_fd(), first.as_c_str(), to.as_fd(), name, LinkatFlags::empty()).or_sys_with(what);
        }
        links.insert((stat.st_dev, stat.st_ino), (Rc::clone(to), name.to_owned()));
    }
    match kind {
        SFlag::S_IFDIR => {
            mkdirat(to.as_fd(), name, Mode::S_IRWXU).or_sys_with(what)?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let open = |dir: BorrowedFd<'_>| openat(dir, name, flags, Mode::empty()).or_sys_with(what);
            folder(open(from.as_fd())?, Rc::new(open(to.as_fd())?), links)
        }
        SFlag::S_IFREG => {
            let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mut source = File::from(openat(from, name, OFlag::O_RDONLY | flags, Mode::empty()).or_sys_with(what)?);
            let fresh = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | flags;
            let mut copy = File::from(openat(to.as_fd(), name, fresh, Mode::S_IRUSR | Mode::S_IWUSR).or_sys_with(what)?);
            std::io::copy(&mut source, &mut copy).or_sys_with(what)?;
            dress(&source, &copy, &stat)
        }
        SFlag::S_IFLNK => {
            let target = readlinkat(from, name).or_sys_with(what)?;
            symlinkat(target.as_os_str(), to.as_fd(), name).or_sys_with(what)?;
            undressed(to.as_fd(), name, &stat).or_sys_with(what)
        }
        // Fifos, sockets, devices.
        other => match mknodat(to.as_fd(), name, other, Mode::from_bits_truncate(stat.st_mode), stat.st_rdev) {
            Err(Errno::EPERM) if matches!(other, SFlag::S_IFCHR | SFlag::S_IFBLK) => Ok(()),
            made => made.and_then(|()| undressed(to.as_fd(), name, &stat)).or_sys_with(what),
        },
    }
}

/// Owner first: a change of it takes set-user-ID bits and file capabilities away.
fn dress(from: &File, to: &File, stat: &FileStat) -> Result<(), SysError> {
    let what = || "give a copy its owner, mode and attributes".to_owned();
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid))).or_sys_with(what)?;
    fchmod(to, Mode::from_bits_truncate(stat.st_mode)).or_sys_with(what)?;
    for name in from.list_xattr().into_iter().flatten() {
        // What the volume's file system, or a user namespace, does not let be set is left out.
        if let Ok(Some(value)) = from.get_xattr(&name) {
            let _ = to.set_xattr(&name, &value);
        }
    }
    futimens(to, &TimeSpec::new(stat.st_atime, stat.st_atime_nsec), &TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec)).or_sys_with(what)
}

/// Owner and times of what is not opened.
fn undressed(dir: BorrowedFd<'_>, name: &CStr, stat: &FileStat) -> nix::Result<()> {
    fchownat(dir, name, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let time = TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec);
    utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink)
}
