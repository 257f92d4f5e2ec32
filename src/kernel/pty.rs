//! Pseudo-terminals: open, raw mode, size, controlling terminal (pty(7), termios(3), tty_ioctl(4)).
//!
//! A pair of devices: what is written to one side is read from the other, with the line discipline
//! between them that turns Ctrl-C into SIGINT. See it live: `tty`, `ls /dev/pts`. Contract: whoever
//! holds the master keeps reading it, or the program on the slave side stops at a full buffer.
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{self, SetArg, Termios};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Opens a pair from the host's /dev/ptmx: (master, slave).
pub fn pair() -> Result<(OwnedFd, OwnedFd), SysError> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    pair_from(open("/dev/ptmx", flags, Mode::empty()).or_sys("open /dev/ptmx")?)
}

/// Unlocks the master that opening a ptmx device gave, and opens its slave without a path, so that
/// no link in a container's /dev can put another file in its place (TIOCGPTPEER).
pub fn pair_from(master: OwnedFd) -> Result<(OwnedFd, OwnedFd), SysError> {
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which outlives the call.
    let answer = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) };
    Errno::result(answer).or_sys("unlock a pseudo-terminal")?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and gives a descriptor.
    let raw = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    let raw = Errno::result(raw).or_sys("open the other side of a pseudo-terminal")?;
    // SAFETY: a fresh descriptor that only we own.
    Ok((master, unsafe { OwnedFd::from_raw_fd(raw) }))
}

/// Makes `slave` the controlling terminal of the calling session, which must have none
/// (setsid(2) first; TIOCSCTTY).
pub fn make_controlling(slave: impl AsFd) -> Result<(), SysError> {
    // SAFETY: TIOCSCTTY takes an integer.
    let answer = unsafe { libc::ioctl(slave.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    Errno::result(answer).map(drop).or_sys("make the pseudo-terminal the controlling one")
}

/// The size of a terminal. ENOTTY where it is none.
pub fn size(terminal: impl AsFd) -> Result<Size, SysError> {
    // SAFETY: winsize is plain integers; all zero is a valid value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call.
    let answer = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    Errno::result(answer).or_sys("read the terminal's size")?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size; the programs on the other side get SIGWINCH.
pub fn set_size(terminal: impl AsFd, size: Size) -> Result<(), SysError> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize, which outlives the call.
    let answer = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(answer).map(drop).or_sys("set the terminal's size")
}

/// A terminal in raw mode: keys arrive at once and unchanged. Restored when this is dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Puts `terminal` into raw mode. ENOTTY where it is none.
    pub fn enter(terminal: impl AsFd) -> Result<Self, SysError> {
        let terminal = terminal.as_fd().try_clone_to_owned().or_sys("keep the terminal")?;
        let before = termios::tcgetattr(&terminal).or_sys("read the terminal's settings")?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&terminal, SetArg::TCSANOW, &raw).or_sys("put the terminal into raw mode")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // TCSADRAIN: what is still on its way to the screen is shown before the change.
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}
