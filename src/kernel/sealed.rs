//! This program, started again from a read-only mount of its own file (open_tree(2), execveat(2)).
//!
//! A container whose command is `/proc/self/exe`, or a script that names it as its interpreter,
//! executes the program of whoever starts it: the host's. Through /proc/PID/exe root inside then
//! reaches that file: could make it set-user-ID at once, and write it as soon as nobody runs it
//! (CVE-2019-5736). The link carries the mount that the program was started from; where that is
//! read-only, so is the way through it (EROFS). See it live:
//! `skiff run --entrypoint /proc/self/exe base init sh -c 'chmod 4755 /proc/1/exe'`.
//!
//! Starting again costs a millisecond, so it is left out where nobody but the caller can change the
//! container's files before its command starts; there [`exposed_by`] sees whether the command leads
//! back to this program, and it is refused.
//!
//! Contract of [`run_read_only`]: one thread, and nothing done yet that exec(2) would forget. Bigger
//! runtimes copy themselves into a sealed memfd where such a mount cannot be had.

use super::mount::{attr, clone_tree, set_attributes};
use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::{CString, OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the program that was started again lies: the link /proc/self/exe no longer says so.
const PATH: &str = "SKIFF_PROGRAM";

/// Starts this program again from a read-only mount, unless that is where it runs. Comes back with
/// an error, or where there is nothing to do.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN.
pub fn run_read_only() -> Result<(), SysError> {
    let own = Path::new("/proc/self/exe");
    if statvfs(own).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)) {
        // ps(1) would show the number of the descriptor that it was started from.
        return nix::sys::prctl::set_name(c"skiff").or_sys("name this process");
    }
    let path = std::env::current_exe().or_sys("find this program")?;
    let tree = clone_tree(None, own, false)?;
    set_attributes(&tree, attr::RDONLY, 0, false, "this program")?;
    let string = |text: OsString| CString::new(text.into_vec()).map_err(|_| SysError::new("pass on the command line", Errno::EINVAL));
    let arguments: Vec<CString> = std::env::args_os().map(string).collect::<Result<_, _>>()?;
    let setting = |(name, value): (OsString, OsString)| string([name, value].join("=".as_ref()));
    let own = (PATH.into(), path.into_os_string());
    let environment: Vec<CString> = std::env::vars_os().filter(|(name, _)| name != PATH).chain([own]).map(setting).collect::<Result<_, _>>()?;
    let Err(errno) = nix::unistd::execveat(&tree, c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH);
    Err(SysError::new("start this program again", errno))
}

/// A program's file: the device and the inode that stat(2) gives.
pub type Identity = (u64, u64);

/// The file of the program that runs here.
///
/// # Errors
/// ENOENT where /proc is not mounted.
pub fn identity() -> Result<Identity, SysError> {
    std::fs::metadata("/proc/self/exe").map(|m| (m.dev(), m.ino())).or_sys("find this program")
}

/// How many `#!` lines the kernel follows from one to the next (fs/exec.c, `exec_binprm`).
const DEPTH: usize = 5;
/// How much of a file it reads to find such a line (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;

/// True if to execute `command` would execute the program `own` from a mount that can be written
/// through: the file itself, or one whose `#!` line leads to it. To be asked by the user that will
/// execute it.
///
/// # Errors
/// EACCES if `command` can be executed and not read by user 0, who as the owner of `own` has most
/// to gain: then nobody can say where it leads.
pub fn exposed_by(command: &Path, own: Identity) -> Result<bool, Errno> {
    let mut next = command.to_owned();
    for _ in 0..=DEPTH {
        // What is not there, or not to be seen, execve(2) will say better.
        let Ok(found) = std::fs::metadata(&next) else { return Ok(false) };
        if (found.dev(), found.ino()) == own {
            return Ok(!statvfs(&next).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)));
        }
        if !found.is_file() {
            return Ok(false);
        }
        match interpreter(&next) {
            Ok(Some(path)) => next = path,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && nix::unistd::geteuid().is_root() => return Err(Errno::EACCES),
            Ok(None) | Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// What the `#!` line of a script names (execve(2), "Interpreter scripts").
fn interpreter(script: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut start = Vec::with_capacity(LINE);
    std::fs::File::open(script)?.take(LINE as u64).read_to_end(&mut start)?;
    let Some(line) = start.strip_prefix(b"#!") else { return Ok(None) };
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii_start();
    let path = line.split(|b| matches!(b, b' ' | b'\t' | 0)).next().unwrap_or_default();
    Ok(Some(PathBuf::from(OsStr::from_bytes(path))))
}

/// Where this program lies on the host.
pub fn program() -> Result<PathBuf, SysError> {
    match std::env::var_os(PATH) {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe().or_sys("find skiff's own program"),
    }
}
