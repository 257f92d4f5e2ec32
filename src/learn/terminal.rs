//! A learner's shell on a terminal that is drawn elsewhere: in a page (pty(7), tty_ioctl(4)).
//!
//! The same `drydock shell` or `drydock lab` that a learner types, as the leader of a session on a
//! pseudo-terminal. Contract: whoever holds it reads it, or the program on it stops at a full buffer;
//! dropping it hangs up as a closed window does, and waits (five seconds at most) until the shell is gone.

use crate::kernel::pty::{self, Size};
use crate::kernel::{OrSys, SysError, readiness, session};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// The longest that a shell may take to go after its terminal.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A program on a terminal of its own; within a tokio runtime.
#[derive(Debug)]
pub struct Terminal {
    // Closed before the shell is waited for: what still writes there gets an error, and does not stop.
    master: AsyncFd<OwnedFd>,
    shell: Shell,
}

#[derive(Debug)]
struct Shell(Child);

impl Terminal {
    /// Starts `command`, which should be a shell, on a terminal of this size in characters.
    pub fn start(command: &mut Command, rows: u16, columns: u16) -> Result<Self, SysError> {
        let (master, slave) = pty::pair()?;
        pty::set_size(&master, bounded(rows, columns))?;
        // What a page draws is what xterm draws. A shell that is started in a learner's shell is not in it.
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").env_remove(super::shell::MARK);
        let speaks = ["LC_ALL", "LC_CTYPE", "LANG"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
        if !speaks {
            command.env("LANG", "C.UTF-8");
        }
        let shell = Shell(session::start(command, slave)?);
        let master = readiness::watched(master).or_sys("wait on a terminal")?;
        Ok(Self { master, shell })
    }

    /// Waits for what the program writes; 0 when it has ended.
    pub async fn read(&self, buffer: &mut [u8]) -> usize {
        loop {
            let Ok(mut ready) = self.master.readable().await else { return 0 };
            match ready.try_io(|master| Ok(nix::unistd::read(master.get_ref(), buffer)?)) {
                Ok(Ok(read)) => return read,
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // EIO: the last process on the other side has gone (pty(7)).
                Ok(Err(_)) => return 0,
                // It was not ready after all.
                Err(_) => {}
            }
        }
    }

    /// Types, as fast as the program reads; false when it has ended.
    pub async fn write(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Ok(mut ready) = self.master.writable().await else { return false };
            match ready.try_io(|master| Ok(nix::unistd::write(master.get_ref(), bytes)?)) {
                Ok(Ok(written)) => bytes = &bytes[written..],
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(_)) => return false,
                Err(_) => {}
            }
        }
        true
    }

    /// Sets the size in characters; the program in front gets SIGWINCH if it is another one.
    pub fn resize(&self, rows: u16, columns: u16) {
        let _ = pty::set_size(self.master.get_ref(), bounded(rows, columns));
    }
}

/// A page may say anything.
fn bounded(rows: u16, columns: u16) -> Size {
    Size { rows: rows.clamp(2, 500), columns: columns.clamp(10, 500) }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // 0 where the terminal has lost its session; killpg(0) would mean ourselves.
        if let Ok(front) = nix::unistd::tcgetpgrp(self.master.get_ref())
            && front.as_raw() > 1
        {
            let _ = killpg(front, Signal::SIGHUP);
        }
        self.shell.signal(Signal::SIGHUP);
        self.shell.signal(Signal::SIGCONT);
    }
}

impl Shell {
    fn signal(&self, signal: Signal) {
        // Its number is its own until it is waited for, which only we do.
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), signal);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let end = Instant::now() + GONE_WITHIN;
        while Instant::now() < end {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
