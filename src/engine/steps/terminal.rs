//! A terminal of the container's own (pty(7), `-t`).
//!
//! The pair is opened from the container's own /dev/pts, so that `tty` inside says /dev/pts/0 and
//! the device exists there; the master side travels out over the socket to whoever waits for us,
//! who relays bytes and window sizes. The slave side becomes the controlling terminal of a new
//! session, which is what makes Ctrl-C and job control work. See it live: `ls -l /proc/PID/fd`.

use crate::engine::hold::Reply;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, mount, pty};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// The `terminal` step. Without `tty` it only begins a new session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Open a pseudo-terminal and make it standard input, output and error.
    pub tty: bool,
}

impl Carry for Terminal {
    fn about(&self) -> About {
        let (what, syscalls): (_, &[&str]) = if self.tty {
            (
                "open a pseudo-terminal in the container's /dev/pts and make it the controlling terminal".to_owned(),
                &["setsid", "openat2(/dev/ptmx)", "ioctl(TIOCGPTPEER)", "ioctl(TIOCSCTTY)", "sendmsg(SCM_RIGHTS)", "dup2"],
            )
        } else {
            ("begin a session without a terminal".to_owned(), &["setsid"])
        };
        About {
            name: "terminal",
            what,
            why: "a process that kept the host's terminal could type into it; with one of its own, Ctrl-C and job control work inside",
            man: &["pty(7)", "setsid(2)"],
            syscalls,
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        // EPERM: a process that leads its process group already leads its session too, as after
        // fork in a new pid namespace it does not; then there is nothing to leave.
        let _ = nix::unistd::setsid();
        if !self.tty {
            return Ok(());
        }
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        let ptmx = mount::open_in_root(inside.root()?, Path::new("/dev/pts/ptmx"), flags, 0)?;
        let (master, slave) = pty::pair_from(ptmx)?;
        pty::make_controlling(&slave)?;
        inside.upstream.tell_with(&Reply::Terminal, master.as_raw_fd())?;
        nix::unistd::dup2_stdin(slave.as_fd()).or_sys("take standard input")?;
        nix::unistd::dup2_stdout(slave.as_fd()).or_sys("take standard output")?;
        nix::unistd::dup2_stderr(slave.as_fd()).or_sys("take standard error")?;
        // The console is process 1's, and there is one.
        if inside.joined { Ok(()) } else { show_as_console(inside) }
    }
}

/// /dev/console is the terminal too, as the OCI runtime spec asks (`process.terminal`).
fn show_as_console(inside: &mut Inside) -> Result<(), StepError> {
    let name = nix::unistd::ttyname(std::io::stdin()).or_sys("name the terminal")?;
    let slave = mount::open_in_root(inside.root()?, &name, libc::O_PATH, 0)?;
    let copy = mount::clone_tree(Some(slave.as_fd()), Path::new(""), false)?;
    let onto = mount::make_file_in_root(inside.root()?, Path::new("/dev/console"))?;
    Ok(mount::attach(&copy, onto, "/dev/console")?)
}
