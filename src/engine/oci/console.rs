//! Handing a container's terminal to whoever asked for it (`--console-socket`; unix(7), SCM_RIGHTS).
//!
//! Docker's shim and conmon listen on a socket and read one message: the terminal's name, and beside
//! it the descriptor of the master side. From then on they relay, and we hold nothing of it.
//! See it live: `ls -l /proc/PID/fd` of the shim.

use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Sends `text` to the stream socket at `path`, with `fd` beside it.
pub fn send(path: &Path, text: &[u8], fd: &OwnedFd) -> Result<(), SysError> {
    let what = || format!("hand a descriptor to {}", path.display());
    let stream = reach(path, SockType::Stream)?;
    let fds = [fd.as_raw_fd()];
    let sent = sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(text)], &[ControlMessage::ScmRights(&fds)], MsgFlags::MSG_NOSIGNAL, None);
    sent.map(drop).or_sys_with(what)
}

/// Connects to the socket at `path`, whatever its length: an address has room for 107 letters only, and
/// a folder's descriptor makes it short.
pub(super) fn reach(path: &Path, kind: SockType) -> Result<OwnedFd, SysError> {
    let what = || format!("connect to {}", path.display());
    let client = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).or_sys_with(what)?;
    let folder = folder_of(path)?;
    connect(client.as_raw_fd(), &address(&folder, path)?).or_sys_with(what)?;
    Ok(client)
}

pub(super) fn folder_of(path: &Path) -> Result<File, SysError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).or_sys_with(|| format!("open {}", folder.display()))
}

pub(super) fn address(folder: &File, path: &Path) -> Result<UnixAddr, SysError> {
    let name = path.file_name().ok_or_else(|| SysError::new(format!("connect to {}", path.display()), Errno::EINVAL))?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    UnixAddr::new(&short).or_sys_with(|| format!("name the socket {}", path.display()))
}
