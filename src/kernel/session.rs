//! A program in a session and on a terminal of its own (setsid(2), tty_ioctl(4), credentials(7)).
//!
//! What a login does for a shell: a new session, the terminal as its controlling one, the same
//! terminal as standard input, output and error. Job control and Ctrl-C then work as they do for a
//! person. See it live: `ps -o pid,sid,tty,tpgid`. Contract: the caller keeps the master and reads
//! it; dropping the master hangs the session up (SIGHUP).
//! Bigger programs (login(1), sshd) also write utmp and change the terminal's owner.
#![allow(unsafe_code)]

use super::{OrSys, SysError, pty};
use nix::sys::signal::SigSet;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Starts `command` as the leader of a new session whose controlling terminal is `slave`.
pub fn start(command: &mut Command, slave: OwnedFd) -> Result<Child, SysError> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let input = slave.try_clone().or_sys("keep the terminal")?;
    let output = slave.try_clone().or_sys("keep the terminal")?;
    command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(slave));
    let become_leader = || {
        nix::unistd::setsid()?;
        // Whoever starts a session may read signals from a descriptor, and so have them blocked.
        SigSet::empty().thread_set_mask()?;
        pty::make_controlling(std::io::stdin()).map_err(|e| std::io::Error::from(e.errno))
    };
    // SAFETY: between fork and exec it makes three system calls; the only memory it asks for is
    // the name of a failed call, in a child that then writes the errno and exits.
    unsafe { command.pre_exec(become_leader) };
    command.spawn().or_sys_with(|| format!("run {shown} on a terminal"))
}
