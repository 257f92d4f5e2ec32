//! A layer's tar becomes a directory (openat2(2), mknod(2), overlayfs docs).
//!
//! A layer may be hostile. Every name is taken apart here; its parent is opened with
//! RESOLVE_BENEATH, so neither `..` nor a symbolic link leads out of the directory, and the last
//! component is only ever created, removed or linked through that parent's descriptor.
//!
//! Whiteouts (`.wh.NAME`) become what overlay understands: a character device 0:0, which any user may
//! make since Linux 5.8; an opaque directory gets the attribute `trusted.overlay.opaque`, or
//! `user.overlay.opaque` where the layer is unpacked by an ordinary user (mount option `userxattr`).
//! An ordinary user's files stay theirs: owners are set by root only, and device nodes, which only
//! root can make, are left out, as a container's /dev is made anew at each start.

use super::aside::remove_tree;
use super::error::at;
use super::layer::broken_tar;
use super::meter::Metered;
use super::pax;
use super::sparse::Sparse;
use super::Error;
use crate::kernel::{OrSys, SysError, userns};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{self, FchmodatFlags, Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, LinkatFlags, Uid, UnlinkatFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tar::EntryType;

/// What stands before the name of a removed file.
pub const WHITEOUT: &str = ".wh.";
/// The entry that hides all that lower layers have in its directory.
pub const OPAQUE: &str = ".wh..wh..opq";

/// The longest file with holes in GNU's old form, where the holes must be gone through.
const HOLES_MAX: u64 = 16 << 30;

/// Unpacks the tar `from` into the empty directory `dir`.
pub fn tree(dir: &Path, from: impl Read) -> Result<(), Error> {
    let root = nix::fcntl::open(dir, OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .or_sys_with(|| at("open", dir))?;
    let mut unpacking = Unpacking { root, parent: None, directories: Vec::new(), as_root: userns::is_host_root(), root_already: false, buffer: vec![0; 128 << 10] };
    unpacking.root_already = unpacking.as_root && (unistd::geteuid().as_raw(), unistd::getegid().as_raw()) == (0, 0);
    let (from, meter) = Metered::new(from);
    let mut archive = tar::Archive::new(from);
    let broken = |e: io::Error| broken_tar("the layer", &e);
    let mut entries = archive.entries().map_err(broken)?;
    let mut unread = 0;
    loop {
        meter.bound(unread);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(broken)?;
        meter.unbound();
        // Of a file nothing is left but what fills its last block; of the rest, all that it brought.
        let kind = entry.header().entry_type();
        let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        unread = if is_file { 1 << 10 } else { entry.size().saturating_add(1 << 10) };
        unpacking.entry(&mut entry)?;
        if is_file {
            io::copy(&mut entry, &mut io::sink()).map_err(broken)?;
        }
    }
    unpacking.finish()
}

/// One layer on its way into one directory.
struct Unpacking {
    root: OwnedFd,
    /// The directory that the last entry went into: archives go through a directory in one sweep.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Modes and times of directories, set when nothing will be put into them any more.
    directories: Vec<(PathBuf, Mode, TimeSpec)>,
    as_root: bool,
    /// New files are root's by themselves.
    root_already: bool,
    buffer: Vec<u8>,
}

/// What an entry of the archive says of itself.
struct Attributes {
    mode: Mode,
    owner: (Uid, Gid),
    modified: TimeSpec,
    extended: Vec<(OsString, Vec<u8>)>,
    sparse: Sparse,
}

impl Unpacking {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), Error> {
        let attributes = attributes(entry)?;
        let own = attributes.sparse.name.as_ref().map(|n| n.as_os_str().as_bytes().to_vec());
        let spelled = own.unwrap_or_else(|| entry.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&spelled).into_owned();
        let refused = |problem: &str| Error::Refused { entry: shown.clone(), problem: problem.to_owned() };
        let path = inside(&spelled).map_err(refused)?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            // The root itself: `./`.
            self.directories.push((PathBuf::new(), attributes.mode, attributes.modified));
            return Ok(());
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        self.enter(&folder).map_err(|e| self.way(e, &shown))?;
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT.as_bytes()) {
            return self.whiteout(OsStr::from_bytes(hidden), &shown);
        }
        let kind = entry.header().entry_type();
        let link = entry.link_name_bytes().map(|l| l.into_owned());
        match (kind, link) {
            (EntryType::Directory, _) => self.directory(&name, &path, &attributes),
            (EntryType::GNUSparse, _) if entry.size() > HOLES_MAX => Err(refused("is a file with holes of more than 16 GiB")),
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => self.file(&name, entry, attributes),
            (EntryType::Symlink, Some(to)) => self.symlink(&name, &to, &attributes),
            (EntryType::Link, Some(to)) => {
                let target = inside(&to).map_err(|problem| refused(&format!("is a hard link to {:?}, which {problem}", String::from_utf8_lossy(&to))))?;
                self.hard_link(&name, &target).map_err(|e| self.hard_link_error(e, &shown, &target))
            }
            (EntryType::Char | EntryType::Block | EntryType::Fifo, _) => {
                let header = entry.header();
                let number = |n: io::Result<Option<u32>>| u64::from(n.ok().flatten().unwrap_or(0));
                let device = stat::makedev(number(header.device_major()), number(header.device_minor()));
                if kind == EntryType::Char && device == 0 {
                    return Err(refused("is the character device 0:0, which is overlay's own mark for a removed file"));
                }
                self.node(&name, kind, device, &attributes)
            }
            (EntryType::XGlobalHeader, _) => Ok(()),
            (other, _) => Err(refused(&format!("has the type {:?}, which layers do not have", char::from(other.as_byte())))),
        }
    }

    /// Where an error stands in the way to an entry, names what leads out.
    fn way(&self, error: Error, entry: &str) -> Error {
        match error {
            Error::Sys(SysError { errno: Errno::EXDEV, .. }) => {
                Error::Refused { entry: entry.to_owned(), problem: "goes through a symbolic link that leads out of the layer".into() }
            }
            Error::Sys(SysError { errno: Errno::ENOTDIR, .. }) => {
                Error::Refused { entry: entry.to_owned(), problem: "lies below something that is not a directory".into() }
            }
            Error::Sys(SysError { errno: Errno::ELOOP, .. }) => {
                Error::Refused { entry: entry.to_owned(), problem: "goes through symbolic links that lead in a circle".into() }
            }
            other => other,
        }
    }

    fn hard_link_error(&self, error: Error, entry: &str, target: &Path) -> Error {
        match error {
            Error::Sys(SysError { errno: Errno::ENOENT, .. }) => Error::Refused {
                entry: entry.to_owned(),
                problem: format!("is a hard link to {:?}, which the layer does not hold", target.display().to_string()),
            },
            Error::Sys(SysError { errno: Errno::EPERM, .. }) => Error::Refused {
                entry: entry.to_owned(),
                problem: format!("is a hard link to {:?}, which is no file", target.display().to_string()),
            },
            other => self.way(other, entry),
        }
    }

    fn parent(&self) -> &OwnedFd {
        self.parent.as_ref().map_or(&self.root, |(_, fd)| fd)
    }

    /// Opens a directory below the root, never out of it.
    fn beneath(&self, path: &Path) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new()
            .flags(OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.root, path, how)
    }

    /// Makes `folder` the current parent. Directories that the archive did not list are made 0755.
    fn enter(&mut self, folder: &Path) -> Result<(), Error> {
        if self.parent.as_ref().is_some_and(|(path, _)| path == folder) {
            return Ok(());
        }
        let fd = match self.beneath(folder) {
            // ENOTDIR: perhaps this layer's own mark that a lower directory was removed.
            Err(Errno::ENOENT | Errno::ENOTDIR) => {
                let mut so_far = PathBuf::new();
                for component in folder.components() {
                    let above = self.beneath(&so_far).or_sys_with(|| at("open", &so_far))?;
                    so_far.push(component);
                    self.missing_folder(&above, component.as_os_str(), &so_far)?;
                }
                self.beneath(folder)
            }
            other => other,
        };
        let fd = fd.or_sys_with(|| at("open", folder))?;
        self.parent = Some((folder.to_owned(), fd));
        Ok(())
    }

    /// A directory that the archive did not list. In the place of a whiteout nothing of the old one
    /// shows through.
    fn missing_folder(&self, above: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), Error> {
        let was_removed = stat::fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|s| is_whiteout(&s));
        if was_removed {
            unistd::unlinkat(above, name, UnlinkatFlags::NoRemoveDir).or_sys_with(|| at("replace", path))?;
        }
        match stat::mkdirat(above, name, Mode::S_IRWXU) {
            // Whatever the umask.
            Ok(()) => stat::fchmodat(above, name, Mode::from_bits_truncate(0o755), FchmodatFlags::FollowSymlink).or_sys_with(|| at("create", path))?,
            Err(Errno::EEXIST) => return Ok(()),
            Err(errno) => return Err(SysError::new(at("create", path), errno).into()),
        }
        if was_removed {
            let made = self.beneath(path).or_sys_with(|| at("open", path))?;
            self.opaque(made.as_fd())?;
        }
        Ok(())
    }

    /// Makes way for a new entry: a later one of the same name replaces the earlier.
    fn clear(&mut self, name: &OsStr) -> Result<(), Error> {
        let gone = match unistd::unlinkat(self.parent(), name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => {
                let path = PathBuf::from(format!("/proc/self/fd/{}", self.parent().as_raw_fd())).join(name);
                remove_tree(&path)?;
                let (folder, _) = self.parent.as_ref().map_or((Path::new(""), ()), |(p, _)| (p.as_path(), ()));
                let removed = folder.join(name);
                self.directories.retain(|(path, ..)| !path.starts_with(&removed));
                return Ok(());
            }
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        };
        Ok(gone.or_sys_with(|| at("replace", Path::new(name)))?)
    }

    fn directory(&mut self, name: &OsStr, path: &Path, attributes: &Attributes) -> Result<(), Error> {
        let parent = self.parent();
        let existing = stat::fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok();
        let was_removed = existing.is_some_and(|s| is_whiteout(&s));
        if existing.is_none_or(|s| SFlag::from_bits_truncate(s.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFDIR) {
            self.clear(name)?;
            stat::mkdirat(self.parent(), name, Mode::S_IRWXU).or_sys_with(|| at("create", path))?;
        }
        self.own(name, &attributes.owner)?;
        let fd = self.beneath(path).or_sys_with(|| at("open", path))?;
        self.extend(fd.as_fd(), &attributes.extended)?;
        // Removed and made again in one layer: nothing of the old one shows through.
        if was_removed {
            self.opaque(fd.as_fd())?;
        }
        self.directories.push((path.to_owned(), attributes.mode, attributes.modified));
        Ok(())
    }

    fn file<R: Read>(&mut self, name: &OsStr, entry: &mut tar::Entry<'_, R>, attributes: Attributes) -> Result<(), Error> {
        let mut file = self.create(name)?;
        if attributes.sparse.is_some() {
            attributes.sparse.write(entry, &mut file).map_err(|e| of_copying(&e, name))?;
        } else {
            let holes = entry.header().entry_type() == EntryType::GNUSparse;
            self.fill(&mut file, entry, holes).map_err(|e| of_copying(&e, name))?;
        }
        if !(self.root_already && attributes.owner == (Uid::from_raw(0), Gid::from_raw(0))) {
            self.own(name, &attributes.owner)?;
        }
        self.extend(file.as_fd(), &attributes.extended)?;
        // After chown(2), which takes the setuid bit away.
        stat::fchmod(&file, attributes.mode).or_sys_with(|| at("set the mode of", Path::new(name)))?;
        stat::futimens(&file, &attributes.modified, &attributes.modified).or_sys_with(|| at("set the time of", Path::new(name)))?;
        Ok(())
    }

    /// A new file; what had its name makes way.
    fn create(&mut self, name: &OsStr) -> Result<File, Error> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let create = |parent: &OwnedFd| nix::fcntl::openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        // Mostly nothing has: looked for only where something does.
        let made = match create(self.parent()) {
            Err(Errno::EEXIST) => {
                self.clear(name)?;
                create(self.parent())
            }
            other => other,
        };
        Ok(File::from(made.or_sys_with(|| at("create", Path::new(name)))?))
    }

    /// Writes all of an entry; with `holes`, parts that are all zeros are skipped over instead.
    fn fill(&mut self, file: &mut File, entry: &mut impl Read, holes: bool) -> io::Result<()> {
        let mut end_in_hole = None;
        loop {
            let n = match entry.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if holes && self.buffer[..n].iter().all(|b| *b == 0) {
                end_in_hole = Some(file.seek(SeekFrom::Current(i64::try_from(n).unwrap_or(i64::MAX)))?);
            } else {
                file.write_all(&self.buffer[..n])?;
                end_in_hole = None;
            }
        }
        end_in_hole.map_or(Ok(()), |length| file.set_len(length))
    }

    fn symlink(&mut self, name: &OsStr, to: &[u8], attributes: &Attributes) -> Result<(), Error> {
        self.clear(name)?;
        unistd::symlinkat(OsStr::from_bytes(to), self.parent(), name).or_sys_with(|| at("create", Path::new(name)))?;
        self.own(name, &attributes.owner)?;
        self.date(name, &attributes.modified)
    }

    fn hard_link(&mut self, name: &OsStr, target: &Path) -> Result<(), Error> {
        let (Some(target_name), Some(folder)) = (target.file_name(), target.parent()) else {
            return Err(SysError::new(at("link to", target), Errno::ENOENT).into());
        };
        let from = self.beneath(folder).or_sys_with(|| at("open", folder))?;
        // A file linked to itself stays.
        let same = |fd: &OwnedFd, name: &OsStr| stat::fstatat(fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|s| (s.st_dev, s.st_ino));
        let at_target = same(&from, target_name).or_sys_with(|| at("link to", target))?;
        if same(self.parent(), name) == Ok(at_target) {
            return Ok(());
        }
        self.clear(name)?;
        unistd::linkat(&from, target_name, self.parent(), name, LinkatFlags::empty()).or_sys_with(|| at("link to", target))?;
        Ok(())
    }

    fn node(&mut self, name: &OsStr, kind: EntryType, device: u64, attributes: &Attributes) -> Result<(), Error> {
        let kind = match kind {
            EntryType::Fifo => SFlag::S_IFIFO,
            _ if !self.as_root => return Ok(()),
            EntryType::Char => SFlag::S_IFCHR,
            _ => SFlag::S_IFBLK,
        };
        self.clear(name)?;
        stat::mknodat(self.parent(), name, kind, Mode::empty(), device).or_sys_with(|| at("create device", Path::new(name)))?;
        self.own(name, &attributes.owner)?;
        stat::fchmodat(self.parent(), name, attributes.mode, FchmodatFlags::FollowSymlink).or_sys_with(|| at("set the mode of", Path::new(name)))?;
        self.date(name, &attributes.modified)
    }

    fn whiteout(&mut self, hidden: &OsStr, entry: &str) -> Result<(), Error> {
        let refuse = |problem: &str| Error::Refused { entry: entry.to_owned(), problem: problem.to_owned() };
        if hidden == ".wh..opq" {
            let folder = self.parent.as_ref().map(|(p, _)| p.clone()).unwrap_or_default();
            let fd = self.beneath(&folder).or_sys_with(|| at("open", &folder))?;
            return self.opaque(fd.as_fd());
        }
        // The rest of AUFS's own bookkeeping, which old archives carry along.
        if hidden.as_bytes().starts_with(WHITEOUT.as_bytes()) {
            return Ok(());
        }
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(refuse("is a whiteout of no file's name"));
        }
        match stat::mknodat(self.parent(), hidden, SFlag::S_IFCHR, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            // The layer itself has something of that name: a whiteout hides lower layers only, and of a
            // folder what is in it there.
            Err(Errno::EEXIST) => match self.folder_here(hidden) {
                Some(folder) => self.opaque(folder.as_fd()),
                None => Ok(()),
            },
            Err(errno) => Err(SysError::new(at("create the whiteout", Path::new(hidden)), errno).into()),
        }
    }

    fn folder_here(&self, name: &OsStr) -> Option<OwnedFd> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        nix::fcntl::openat(self.parent(), name, flags, Mode::empty()).ok()
    }

    fn opaque(&self, dir: impl AsFd) -> Result<(), Error> {
        let name = if self.as_root { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
        Ok(xattr::set_deref(by_descriptor(dir), name, b"y").or_sys("mark a directory opaque")?)
    }

    fn own(&self, name: &OsStr, (uid, gid): &(Uid, Gid)) -> Result<(), Error> {
        if !self.as_root {
            return Ok(());
        }
        unistd::fchownat(self.parent(), name, Some(*uid), Some(*gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .or_sys_with(|| at("set the owner of", Path::new(name)))?;
        Ok(())
    }

    fn date(&self, name: &OsStr, time: &TimeSpec) -> Result<(), Error> {
        stat::utimensat(self.parent(), name, time, time, UtimensatFlags::NoFollowSymlink)
            .or_sys_with(|| at("set the time of", Path::new(name)))?;
        Ok(())
    }

    /// Sets extended attributes. An attribute that this filesystem or user cannot have is left out,
    /// and overlay's own are never taken from an archive: they could point a lookup elsewhere.
    fn extend(&self, file: impl AsFd, extended: &[(OsString, Vec<u8>)]) -> Result<(), Error> {
        let path = by_descriptor(file);
        for (name, value) in extended {
            let text = name.to_string_lossy();
            if text.starts_with("trusted.") || text.starts_with("user.overlay.") {
                continue;
            }
            match xattr::set_deref(&path, name, value) {
                Err(e) if !matches!(e.raw_os_error().map(Errno::from_raw), Some(Errno::EOPNOTSUPP | Errno::EPERM)) => {
                    return Err(e).or_sys_with(|| format!("set the attribute {text}")).map_err(Into::into);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sets the directories' modes and times, innermost first.
    fn finish(mut self) -> Result<(), Error> {
        self.parent = None;
        let mut directories = std::mem::take(&mut self.directories);
        directories.sort_by(|a, b| b.0.cmp(&a.0));
        for (path, mode, time) in directories {
            let fd = match self.beneath(&path) {
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EXDEV | Errno::ELOOP) => continue,
                other => other.or_sys_with(|| at("open", &path))?,
            };
            let shown = by_descriptor(&fd);
            stat::utimensat(&fd, &shown, &time, &time, UtimensatFlags::FollowSymlink).or_sys_with(|| at("set the time of", &path))?;
            stat::fchmodat(&fd, &shown, mode, FchmodatFlags::FollowSymlink).or_sys_with(|| at("set the mode of", &path))?;
        }
        Ok(())
    }
}

/// True for overlay's mark of a removed file.
pub fn is_whiteout(stat: &stat::FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// A path to an open file, for the calls that take no O_PATH descriptor.
fn by_descriptor(file: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// The path of an entry below the root; or what is wrong with it.
fn inside(name: &[u8]) -> Result<PathBuf, &'static str> {
    if name.first() == Some(&b'/') {
        return Err("is an absolute path");
    }
    if name.contains(&0) {
        return Err("has a zero byte in it");
    }
    let mut path = PathBuf::new();
    for component in name.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err("climbs out with \"..\""),
            other => path.push(OsStr::from_bytes(other)),
        }
    }
    Ok(path)
}

fn attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Attributes, Error> {
    let broken = |e: io::Error| broken_tar("the layer", &e);
    let header = entry.header();
    // Some archives leave these fields blank: root, the epoch.
    let id = |n: io::Result<u64>| u32::try_from(n.unwrap_or(0)).unwrap_or(u32::MAX - 1);
    let mut owner = (id(header.uid()), id(header.gid()));
    let mode = Mode::from_bits_truncate(header.mode().map_err(broken)? & 0o7777);
    let mut modified = TimeSpec::new(header.mtime().unwrap_or(0).cast_signed(), 0); // GNU tar's may lie before 1970
    let (mut extended, mut sparse) = (Vec::new(), Sparse::default());
    for record in entry.pax_extensions().map_err(broken)?.into_iter().flatten() {
        let record = record.map_err(broken)?;
        let value = record.value().unwrap_or_default();
        match record.key().unwrap_or_default() {
            // The library passes over one that is no number, and would read on by the header's.
            "size" if value.parse::<u64>().is_err() => return Err(Error::malformed("the layer", format!("an entry has the size {value:?}"))),
            "uid" => owner.0 = value.parse().unwrap_or(owner.0),
            "gid" => owner.1 = value.parse().unwrap_or(owner.1),
            "mtime" => modified = pax::time(value).unwrap_or(modified),
            key => {
                sparse.record(key, record.value_bytes());
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    extended.push((OsString::from_vec(name.as_bytes().to_vec()), record.value_bytes().to_vec()));
                }
            }
        }
    }
    Ok(Attributes { mode, owner: (Uid::from_raw(owner.0), Gid::from_raw(owner.1)), modified, extended, sparse })
}

/// What went wrong while a file was copied out of the archive: with an errno it was the file, else the archive.
fn of_copying(error: &io::Error, name: &OsStr) -> Error {
    match error.raw_os_error() {
        Some(errno) => SysError::new(at("write", Path::new(name)), Errno::from_raw(errno)).into(),
        None => broken_tar("the layer", error),
    }
}
