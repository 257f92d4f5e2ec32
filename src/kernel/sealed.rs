//! This program, started again from a read-only mount of its own file (open_tree(2), execveat(2)).
//!
//! A container whose command is `/proc/self/exe`, or a script that names it as its interpreter,
//! executes the program of whoever starts it: the host's. Through /proc/PID/exe root inside then
//! reaches that file: could make it set-user-ID at once, and write it as soon as nobody runs it
//! (CVE-2019-5736). The link carries the mount that the program was started from; where that is
//! read-only, so is the way through it (EROFS). See it live:
//! `skiff run --entrypoint /proc/self/exe base init sh -c 'chmod 4755 /proc/1/exe'`.
//!
//! Contract: one thread, and nothing done yet that exec(2) would forget. Bigger runtimes copy
//! themselves into a sealed memfd where such a mount cannot be had.

use super::mount::{attr, clone_tree, set_attributes};
use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
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

/// Where this program lies on the host.
pub fn program() -> Result<PathBuf, SysError> {
    match std::env::var_os(PATH) {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe().or_sys("find skiff's own program"),
    }
}
