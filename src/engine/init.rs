//! Process 1 of a container, where the command itself is not fit for it (`--init`).
//!
//! Process 1 has two duties that an ordinary program does not know of (pid_namespaces(7)). Orphans of
//! the whole namespace become its children, and stay zombies until it waits for them; and a signal
//! that it has no handler for never reaches it, SIGTERM included. This one passes signals on to the
//! command, which as an ordinary process is ended by them, reaps whatever ends, and ends with the
//! command's exit code. When it ends, the kernel kills the rest of the namespace.

use crate::kernel::pidfd::{self, Fork};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::Command;

// ANCHOR: init
/// Runs `argv` as a child, passes signals on, reaps, and returns the command's exit code.
pub fn init(argv: &[String]) -> Result<i32, SysError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(SysError::new("run nothing", Errno::EINVAL));
    };
    // All signals are held back and read one by one, so that none arrives between two lines.
    let mut all = SigSet::all();
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTTIN, Signal::SIGTTOU] {
        all.remove(fault);
    }
    all.thread_block().or_sys("hold back signals")?;
    let child = match pidfd::fork()? {
        Fork::Child => become_command(program, arguments),
        Fork::Parent(child) => Pid::from_raw(child),
    };
    loop {
        match all.wait().or_sys("wait for a signal")? {
            Signal::SIGCHLD => {
                if let Some(code) = reap(child) {
                    return Ok(code);
                }
            }
            signal => drop(kill(child, signal)),
        }
    }
}
// ANCHOR_END: init

/// The child's side: a process group in the foreground of its own, no held signals, exec.
fn become_command(program: &str, arguments: &[String]) -> ! {
    let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
    // On a terminal the command must be the foreground group, or reading would stop it; SIGTTOU is
    // held back while we say so, because we are in the background ourselves.
    let mut quiet = SigSet::empty();
    quiet.add(Signal::SIGTTOU);
    let _ = quiet.thread_block();
    let _ = nix::unistd::tcsetpgrp(std::io::stdin(), nix::unistd::getpid());
    let _ = SigSet::all().thread_unblock();
    let error = Command::new(program).args(arguments).exec();
    pidfd::exit_now(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Reaps all that have ended; the command's exit code if it is among them.
fn reap(command: Pid) -> Option<i32> {
    loop {
        match waitpid(Pid::from_raw(-1), Some(nix::sys::wait::WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            Ok(status) if status.pid() == Some(command) => return Some(pidfd::exit_code(status)),
            Err(Errno::EINTR) | Ok(_) => {}
            Err(_) => return None,
        }
    }
}
