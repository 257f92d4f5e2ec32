//! The mount calls, by descriptor (fsopen(2), fsmount(2), move_mount(2), open_tree(2),
//! mount_setattr(2)), and paths resolved inside a root that is not ours yet (openat2(2)).
//!
//! A mount is made detached, then attached to a directory that was opened with RESOLVE_IN_ROOT:
//! a symbolic link that an image put there cannot lead it outside. See it live in
//! /proc/self/mountinfo. Needs Linux 5.12. Caller's contract: a mount namespace of its own.
//! Bigger runtimes add a fallback to mount(2) for older kernels.
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Mount attributes (mount_setattr(2)); they bind to the mount, not to the file system.
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// Set-user-ID bits are ignored.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// Device files cannot be opened.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// Programs cannot be run.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// Access times are not kept.
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    /// Access times are always kept.
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    /// The three ways of keeping access times; none of its bits is mount(8)'s `relatime`.
    pub const ATIME: u64 = libc::MOUNT_ATTR__ATIME;
    /// Access times of directories are not kept.
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    /// Symbolic links on it are not followed.
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
}

/// How mounts travel between mount namespaces (mount_namespaces(7), "shared subtrees").
pub mod propagation {
    /// Neither receives nor sends.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// Receives, never sends.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// Both.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// Private, and cannot be bound elsewhere.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// Attributes to set and to clear; what is cleared is cleared first (mount_setattr(2)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Bits of [`attr`].
    pub set: u64,
    /// Bits of [`attr`].
    pub clear: u64,
}

impl Change {
    /// This one, and `next` after it.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        // The access times are one field of three bits: what replaces it clears it too.
        let fields = next.clear & attr::ATIME;
        Self { set: self.set & !next.clear | next.set, clear: (self.clear & !next.set) | (next.clear & !next.set) | fields }
    }
}

/// A failed mount, with what the file system itself said about it where it said something.
fn refused(what: String, errno: Errno, context: Option<BorrowedFd<'_>>) -> SysError {
    let said = context.map(messages).unwrap_or_default();
    SysError::new(if said.is_empty() { what } else { format!("{what} ({said})") }, errno)
}

/// Reads the messages that a file system left on its fsopen descriptor (fsopen(2), "messages").
fn messages(context: BorrowedFd<'_>) -> String {
    let mut said = Vec::new();
    let mut buffer = [0u8; 512];
    while let Ok(n) = nix::unistd::read(context, &mut buffer) {
        if n == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&buffer[..n]);
        said.push(line.trim().trim_start_matches(['e', 'w', 'i']).trim().to_owned());
    }
    said.join("; ")
}

fn c(text: &str) -> Result<CString, SysError> {
    CString::new(text).map_err(|_| SysError::new(format!("use {text:?} with a NUL byte"), Errno::EINVAL))
}

/// Makes a new file system instance of type `fstype`, not attached anywhere yet.
/// Options are `key=value`, or `key` for a flag, as after `mount -o`. Sizes are in bytes.
pub fn detached(fstype: &str, source: &str, options: &[String], attributes: u64) -> Result<OwnedFd, SysError> {
    let what = || format!("mount {fstype}");
    let name = c(fstype)?;
    // SAFETY: a NUL-terminated string and an integer.
    let raw = unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1 /* FSOPEN_CLOEXEC */) };
    let raw = Errno::result(raw).or_sys_with(what)?;
    // SAFETY: a fresh descriptor that only we own.
    let context = unsafe { OwnedFd::from_raw_fd(raw as i32) };
    configure(&context, "source", Some(source), what())?;
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => configure(&context, key, Some(value), format!("{} with {option}", what()))?,
            None => configure(&context, option, None, format!("{} with {option}", what()))?,
        }
    }
    const CREATE: u32 = 6; // FSCONFIG_CMD_CREATE, linux/mount.h
    // SAFETY: integers and null pointers, which is what this command takes.
    let made = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, std::ptr::null::<u8>(), std::ptr::null::<u8>(), 0)
    };
    Errno::result(made).map_err(|e| refused(what(), e, Some(context.as_fd())))?;
    // SAFETY: integers only.
    let raw = unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1 /* FSMOUNT_CLOEXEC */, attributes) };
    let raw = Errno::result(raw).map_err(|e| refused(what(), e, Some(context.as_fd())))?;
    // SAFETY: a fresh descriptor that only we own.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

/// Sets one option of a file system that is being made (fsconfig(2)).
fn configure(context: &OwnedFd, key: &str, value: Option<&str>, what: String) -> Result<(), SysError> {
    const FLAG: u32 = 0; // FSCONFIG_SET_FLAG
    const STRING: u32 = 1; // FSCONFIG_SET_STRING
    let name = c(key)?;
    let text = value.map(c).transpose()?;
    let command = if text.is_some() { STRING } else { FLAG };
    let pointer = text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
    // SAFETY: both strings are NUL-terminated and outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, name.as_ptr(), pointer, 0) };
    Errno::result(answer).map(drop).map_err(|e| refused(what, e, Some(context.as_fd())))
}

/// A detached copy of the mount at `dir`/`path` (open_tree(2) with OPEN_TREE_CLONE): a bind mount
/// on its way. `recursive` takes the mounts below it along.
pub fn clone_tree(dir: Option<BorrowedFd<'_>>, path: &Path, recursive: bool) -> Result<OwnedFd, SysError> {
    let what = || format!("bind {}", path.display());
    let name = c(&path.to_string_lossy())?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    if path.as_os_str().is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    let dirfd = dir.map_or(libc::AT_FDCWD, |d| d.as_raw_fd());
    // SAFETY: a NUL-terminated string and integers.
    let raw = unsafe { libc::syscall(libc::SYS_open_tree, dirfd, name.as_ptr(), flags) };
    let raw = Errno::result(raw).or_sys_with(what)?;
    // SAFETY: a fresh descriptor that only we own.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

/// Attaches a detached mount on top of the open file or directory `target` (move_mount(2)).
pub fn attach(mount: &OwnedFd, target: impl AsFd, shown: &str) -> Result<(), SysError> {
    let empty = c"".as_ptr();
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: two open descriptors, two empty strings, an integer.
    let answer = unsafe {
        libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), empty, target.as_fd().as_raw_fd(), empty, flags)
    };
    Errno::result(answer).map(drop).or_sys_with(|| format!("attach a mount at {shown}"))
}

/// struct mount_attr of linux/mount.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes attributes or propagation of the mount behind `fd`; `recursive` for all below it too.
pub fn set_attributes(fd: impl AsFd, set: u64, propagation: u64, recursive: bool, shown: &str) -> Result<(), SysError> {
    let attributes = MountAttr { set, propagation, ..MountAttr::default() };
    set_attr(fd.as_fd(), &attributes, recursive).or_sys_with(|| format!("change the mount at {shown}"))
}

/// Sets and clears attributes of the mount behind `fd`; `recursive` for all below it too. What a user
/// namespace holds locked stays as it is (mount_namespaces(7)): there only what is set is asked for.
pub fn change(fd: impl AsFd, change: Change, recursive: bool, shown: &str) -> Result<(), SysError> {
    if change == Change::default() {
        return Ok(());
    }
    let attributes = MountAttr { set: change.set, clear: change.clear, ..MountAttr::default() };
    let done = match set_attr(fd.as_fd(), &attributes, recursive) {
        Err(Errno::EPERM) if change.clear & !attr::ATIME != 0 => {
            set_attr(fd.as_fd(), &MountAttr { clear: change.clear & attr::ATIME, ..attributes }, recursive)
        }
        other => other,
    };
    done.or_sys_with(|| format!("change the mount at {shown}"))
}

fn set_attr(fd: BorrowedFd<'_>, attributes: &MountAttr, recursive: bool) -> nix::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the struct has the kernel's layout, its true size is passed, and it outlives the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_mount_setattr, fd.as_raw_fd(), c"".as_ptr(), flags, &raw const *attributes, size_of::<MountAttr>())
    };
    Errno::result(answer).map(drop)
}

/// Exchanges the root mount: `new` becomes `/` and the old root lies on top of it, to be detached
/// next. With both arguments "." no directory has to be set aside (pivot_root(2), "NOTES").
pub fn pivot_root(new: impl AsFd) -> Result<(), SysError> {
    nix::unistd::fchdir(new.as_fd()).or_sys("enter the new root")?;
    // SAFETY: two NUL-terminated strings.
    let answer = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    Errno::result(answer).map(drop).or_sys("pivot_root to the new root")
}

/// Moves the mount `new` over `/` and makes it this process's root (mount(2), MS_MOVE). The old root stays
/// below it: who may call chroot(2) or mount(2) can look for it there, which pivot_root leaves no way to.
pub fn move_root(new: impl AsFd) -> Result<(), SysError> {
    nix::unistd::fchdir(new.as_fd()).or_sys("enter the new root")?;
    nix::mount::mount(Some("."), "/", None::<&str>, nix::mount::MsFlags::MS_MOVE, None::<&str>).or_sys("move the new root over the old one")?;
    nix::unistd::chroot(".").or_sys("change the root")
}

/// Detaches what is mounted at the current directory, now and without waiting for users.
pub fn detach_here() -> Result<(), SysError> {
    nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH).or_sys("detach the old root")
}

/// Opens `path` as a process with root directory `root` would see it: `..` and absolute symbolic
/// links stay inside (openat2(2), RESOLVE_IN_ROOT). `flags` are open(2)'s.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: libc::c_int, mode: u32) -> Result<OwnedFd, SysError> {
    let what = || format!("open {} in the container's root", path.display());
    let name = c(&path.to_string_lossy())?;
    let mode = if flags & (libc::O_CREAT | libc::O_TMPFILE) != 0 { u64::from(mode) } else { 0 };
    // SAFETY: open_how is plain integers; all zero is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.mode = mode;
    // No magic links: /proc/self/fd/N inside an image must not be a way out.
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    loop {
        // SAFETY: a NUL-terminated string, and a struct of the size that is passed.
        let raw = unsafe {
            libc::syscall(libc::SYS_openat2, root.as_fd().as_raw_fd(), name.as_ptr(), &raw const how, size_of::<libc::open_how>())
        };
        match Errno::result(raw) {
            // A rename raced with the walk (openat2(2)); nothing was opened.
            Err(Errno::EAGAIN) => {}
            Err(e) => return Err(SysError::new(what(), e)),
            // SAFETY: a fresh descriptor that only we own.
            Ok(raw) => return Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) }),
        }
    }
}

/// Opens the directory `path` inside `root`, making what is missing of it (mode 0755).
pub fn make_dir_in_root(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, SysError> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    match open_in_root(root, path, flags, 0) {
        Err(e) if e.errno == Errno::ENOENT => {}
        other => return other,
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return open_in_root(root, path, flags, 0);
    };
    let here = make_dir_in_root(root, if above.as_os_str().is_empty() { Path::new(".") } else { above })?;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o755);
    match nix::sys::stat::mkdirat(&here, Path::new(name), mode) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(SysError::new(format!("make {} in the container's root", path.display()), e)),
    }
    // From the root again: where `name` was a link after all, it is followed inside.
    open_in_root(root, path, flags, 0)
}

/// Opens the file `path` inside `root`, making it and the directories above it if missing: a bind
/// mount of a file needs a file to lie on.
pub fn make_file_in_root(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, SysError> {
    match open_in_root(root, path, libc::O_PATH, 0) {
        Err(e) if e.errno == Errno::ENOENT => {
            if let Some(parent) = path.parent() {
                make_dir_in_root(root, parent)?;
            }
            drop(open_in_root(root, path, libc::O_CREAT | libc::O_RDONLY, 0o644)?);
            open_in_root(root, path, libc::O_PATH, 0)
        }
        other => other,
    }
}
