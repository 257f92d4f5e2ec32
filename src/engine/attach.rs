//! Our streams and the container's, connected until its command ends (`run` and `exec` in the foreground).

use super::error::Error;
use super::hold::Started;
use super::relay::{self, Signals, Stream};
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError, pidfd};
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};

/// Connects our streams to a process that `start` starts, until it ends: for `skiff exec`.
pub fn attached(tty: bool, interactive: bool, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    connect(tty, interactive, &mut Signals::block()?, start)
}

pub(super) fn connect(tty: bool, interactive: bool, signals: &mut Signals, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    let Ends { theirs, ours, input } = Ends::foreground(tty, interactive)?;
    let started = start(theirs)?;
    if let Some(master) = started.terminal {
        return Ok(terminal(&started.process, master, signals, interactive)?);
    }
    let streams = ours.into_iter().map(|(from, to)| Stream { from, to: Box::new(move |bytes: &[u8]| relay::write_all(to.as_fd(), bytes)) });
    Ok(relay::relay(&started.process, signals, streams.collect(), input)?)
}

/// The two ends of the container's standard streams.
struct Ends {
    theirs: Vec<OwnedFd>,
    ours: Vec<(OwnedFd, OwnedFd)>,
    input: Option<OwnedFd>,
}

impl Ends {
    /// Files and pipes are handed over as they are. A terminal of ours is not: the container could
    /// type into it (TIOCSTI), so a pipe goes in between.
    fn foreground(tty: bool, interactive: bool) -> Result<Self, Error> {
        let mut ends = Ends { theirs: Vec::new(), ours: Vec::new(), input: None };
        if tty {
            return Ok(ends);
        }
        let stdin = std::io::stdin();
        ends.theirs.push(if !interactive {
            std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into()
        } else if stdin.is_terminal() {
            let (theirs, ours) = relay::pipe()?;
            ends.input = Some(ours);
            theirs
        } else {
            stdin.as_fd().try_clone_to_owned().or_sys("pass on standard input")?
        });
        ends.output(std::io::stdout().as_fd(), std::io::stdout().is_terminal())?;
        ends.output(std::io::stderr().as_fd(), std::io::stderr().is_terminal())?;
        Ok(ends)
    }

    fn output(&mut self, mine: std::os::fd::BorrowedFd<'_>, is_terminal: bool) -> Result<(), Error> {
        let mine = mine.try_clone_to_owned().or_sys("pass on standard output")?;
        if is_terminal {
            let (read, write) = relay::pipe()?;
            self.ours.push((read, mine));
            self.theirs.push(write);
        } else {
            self.theirs.push(mine);
        }
        Ok(())
    }
}

/// Relays between our terminal and the container's, in raw mode, until the command ends.
fn terminal(process: &pidfd::Pidfd, master: OwnedFd, signals: &mut Signals, interactive: bool) -> Result<i32, SysError> {
    let stdin = std::io::stdin();
    // Only a terminal has a raw mode; from a pipe the bytes come as they are.
    let raw = if interactive && stdin.is_terminal() { Some(Raw::enter(&stdin)?) } else { None };
    let input = if interactive { Some(master.try_clone().or_sys("keep the terminal")?) } else { None };
    signals.follow_size(master.try_clone().or_sys("keep the terminal")?);
    let out = std::io::stdout();
    let to: Box<dyn FnMut(&[u8])> = Box::new(move |bytes| relay::write_all(out.as_fd(), bytes));
    let code = relay::relay(process, signals, vec![Stream { from: master, to }], input);
    drop(raw);
    code
}
