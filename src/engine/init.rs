//! Process 1 of a container, where the command itself is not fit for it (`--init`).
//!
//! Process 1 has two duties that an ordinary program does not know of (pid_namespaces(7)). Orphans of
//! the whole namespace become its children, and stay zombies until it waits for them; and a signal
//! that it has no handler for never reaches it, SIGTERM included. This one passes signals on to the
//! command, which as an ordinary process is ended by them, reaps whatever ends, and ends with the
//! command's exit code. When it ends, the kernel kills the rest of the namespace.

use crate::kernel::pidfd::{self, Fork};
use super::step::StepError;
use crate::kernel::{OrSys, SysError, signal};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Where it is in a container.
pub const PATH: &str = "/dev/init";

// ANCHOR: init
/// Runs `argv` as a child, passes signals on, reaps, and returns the command's exit code.
pub fn init(argv: &[String]) -> Result<i32, StepError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(SysError::new("run nothing", Errno::EINVAL).into());
    };
    // All signals are held back and read one by one, so that none arrives between two lines.
    let mut all = SigSet::all();
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTTIN, Signal::SIGTTOU] {
        all.remove(fault);
    }
    all.thread_block().or_sys("hold back signals")?;
    let child = match pidfd::fork()? {
        Fork::Child => return Err(become_command(program, arguments)),
        Fork::Parent(child) => child,
    };
    loop {
        let number = signal::next(&all)?;
        if number != Signal::SIGCHLD as i32 {
            let _ = signal::send(child, number);
        } else if let Some(code) = reap(child) {
            return Ok(code);
        }
    }
}
// ANCHOR_END: init

/// The child's side: a process group in the foreground of its own, no held signals, exec. Comes back
/// only with the reason why not.
fn become_command(program: &str, arguments: &[String]) -> StepError {
    let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
    // On a terminal the command must be the foreground group, or reading would stop it; SIGTTOU is
    // held back while we say so, because we are in the background ourselves.
    let mut quiet = SigSet::empty();
    quiet.add(Signal::SIGTTOU);
    let _ = quiet.thread_block();
    let _ = nix::unistd::tcsetpgrp(std::io::stdin(), nix::unistd::getpid());
    let _ = SigSet::all().thread_unblock();
    let error = Command::new(program).args(arguments).exec();
    StepError::from(SysError::new(format!("run {program}"), crate::kernel::error::errno_of(&error)))
}

/// Reaps all that have ended; the command's exit code if it is among them.
fn reap(command: i32) -> Option<i32> {
    while let Ok(Some((pid, ended))) = pidfd::reap_any() {
        if pid == command {
            return Some(pidfd::exit_code(ended));
        }
    }
    None
}
