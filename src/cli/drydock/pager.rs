//! A page that is longer than the terminal is read a screen at a time, in the reader that $PAGER
//! names, else in less(1), as with man(1) and git(1). Through a pipe, on a terminal that is tall
//! enough, with PAGER=cat, or where there is no reader, it is printed as it is.

use super::{Outcome, boxed};
use crate::kernel::{OrSys, pty};
use colored::control::SHOULD_COLORIZE;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

/// Runs `show`, and has what it printed read a screen at a time where it is longer than one.
pub fn paged(show: impl FnOnce() -> Outcome) -> Outcome {
    let rows = if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() { pty::size(std::io::stdout()).map_or(0, |s| s.rows) } else { 0 };
    if rows == 0 {
        return show();
    }
    // Settled while it is still the terminal that standard output leads to.
    let _ = SHOULD_COLORIZE.should_colorize();
    let terminal = std::io::stdout().as_fd().try_clone_to_owned().or_sys("keep the terminal").map_err(boxed)?;
    let mut page = File::from(nix::sys::memfd::memfd_create(c"page", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).or_sys("make room for a page").map_err(boxed)?);
    nix::unistd::dup2_stdout(&page).or_sys("turn standard output aside").map_err(boxed)?;
    let outcome = show();
    let _ = std::io::stdout().flush();
    nix::unistd::dup2_stdout(&terminal).or_sys("turn standard output back").map_err(boxed)?;
    let mut text = Vec::new();
    page.rewind().and_then(|()| page.read_to_end(&mut text)).or_sys("read the page").map_err(boxed)?;
    let lines = text.iter().filter(|b| **b == b'\n').count();
    // One line is the prompt's.
    if lines < usize::from(rows) || !read_by_screens(&page) {
        let _ = std::io::stdout().write_all(&text);
    }
    outcome
}

/// Has the page read; false where there is no reader.
fn read_by_screens(page: &File) -> bool {
    let Ok(input) = page.try_clone() else { return false };
    if (&mut &input).rewind().is_err() {
        return false;
    }
    let mut reader = match std::env::var("PAGER") {
        Ok(named) if !named.is_empty() => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &named]);
            shell
        }
        // It is over with the last line, and leaves the text on the screen.
        _ if is_less() => {
            let mut less = Command::new("less");
            less.args(["--quit-if-one-screen", "--RAW-CONTROL-CHARS", "--no-init", "--QUIT-AT-EOF", "--prompt=s-- more\\: space; back to the shell\\: q --"]);
            less
        }
        _ => return false,
    };
    reader.stdin(Stdio::from(input)).status().is_ok_and(|status| status.success())
}

/// Busybox's has the name, and none of the ways to tell a reader how to go on.
fn is_less() -> bool {
    Command::new("less").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}
