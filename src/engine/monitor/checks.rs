//! Runs a container's health checks, in the second process beside its monitor (see [`super::watch`]).
//!
//! Not in the monitor: a check that starts takes milliseconds, in which nobody would carry what the
//! container writes. A check is a process that enters the container as `skiff exec` does, by the same
//! steps; it dies with this process.

use super::Monitor;
use crate::engine::container::Container;
use crate::engine::enter::{self, Request};
use crate::engine::error::Error;
use crate::engine::find::fresh_id;
use crate::engine::health::{Check, Probe, Report};
use crate::engine::host::Host;
use crate::engine::relay;
use crate::kernel::pidfd::{self, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

/// So much of what a check writes is kept.
const OUTPUT: usize = 4096;

impl Monitor<'_> {
    /// Checks again and again, until `monitor` ends.
    pub(super) fn check_until_the_end_of(&self, monitor: &Pidfd) {
        let container = &self.prepared.container;
        let Some(check) = &container.record.health else {
            let _ = ends_within(monitor, None);
            return;
        };
        let (begun, mut report) = (Instant::now(), Report::default());
        loop {
            if ends_within(monitor, Some(check.every())).unwrap_or(true) {
                return;
            }
            let Some(probe) = probe(container, check, monitor) else { return };
            let changed = report.add(probe, check, begun.elapsed());
            // A full disk is no reason to stop looking.
            let _ = report.write(container);
            if changed {
                container.say(format!("health_status: {}", report.word()), []);
            }
        }
    }
}

/// One run of the check; `None` if `monitor` ended meanwhile.
fn probe(container: &Container, check: &Check, monitor: &Pidfd) -> Option<Probe> {
    let start = SystemTime::now();
    let done = run(container, check, monitor);
    reap_all();
    let (code, output) = match done {
        Ok(None) => return None,
        Ok(Some(done)) => done,
        Err(error) => (-1, error.to_string()),
    };
    Some(Probe { start, end: SystemTime::now(), code, output })
}

/// How long a process that has told why it failed may take to end.
const LAST: Duration = Duration::from_secs(1);

/// Reaps what a check left, one that could not enter too: a zombie in the container's pid namespace
/// would keep its process 1 from ending, and with that the monitor (pid_namespaces(7)).
fn reap_all() {
    let end = Instant::now() + LAST;
    while let Ok(reaped) = pidfd::reap_any() {
        match reaped {
            Some(_) => {}
            None if Instant::now() >= end => return,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn run(container: &Container, check: &Check, monitor: &Pidfd) -> Result<Option<(i32, String)>, Error> {
    let command = check.command().unwrap_or_default();
    let (read, write) = relay::pipe()?;
    let null = std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into();
    let both = write.try_clone().or_sys("make a pipe")?;
    let asked = Request { command, id: fresh_id()?, ..Request::default() };
    let started = enter::enter(container, &asked, vec![null, write, both], &Host::read()?)?;
    let end = Instant::now() + check.longest();
    let (mut output, mut open) = (Vec::new(), true);
    let ended = loop {
        let mut fds = vec![PollFd::new(started.process.as_fd(), PollFlags::POLLIN), PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        fds.extend(open.then(|| PollFd::new(read.as_fd(), PollFlags::POLLIN)));
        let left = end.saturating_duration_since(Instant::now());
        match poll(&mut fds, timeout(left)) {
            Err(Errno::EINTR) => continue,
            other => other.or_sys("wait for the health check")?,
        };
        let ready: Vec<bool> = fds.iter().map(|f| f.any().unwrap_or(false)).collect();
        if ready.get(2) == Some(&true) {
            open = take(read.as_fd(), &mut output);
        }
        if ready[0] || ready[1] || left.is_zero() {
            break ready;
        }
    };
    if !ended[0] {
        let _ = started.process.signal(Signal::SIGKILL);
    }
    let code = pidfd::exit_code(started.process.wait()?);
    enter::ended(container, &asked, code);
    if ended[1] {
        return Ok(None);
    }
    if !ended[0] {
        return Ok(Some((-1, format!("Health check exceeded timeout ({})", humantime::format_duration(check.longest())))));
    }
    // What it wrote last may still be in the pipe; a child of its own may keep that open.
    while open && poll(&mut [PollFd::new(read.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|n| n > 0) {
        open = take(read.as_fd(), &mut output);
    }
    Ok(Some((code, String::from_utf8_lossy(&output).into_owned())))
}

/// Reads what there is, and keeps the beginning; false at the end.
fn take(from: BorrowedFd<'_>, output: &mut Vec<u8>) -> bool {
    let mut buffer = [0; OUTPUT];
    let n = nix::unistd::read(from, &mut buffer).unwrap_or(0);
    output.extend_from_slice(&buffer[..n.min(OUTPUT - output.len().min(OUTPUT))]);
    n > 0
}

fn timeout(left: Duration) -> PollTimeout {
    // A millisecond more, or it would turn round and round in the last one.
    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}

/// Waits until a process ends; false if so much time passed first.
pub(super) fn ends_within(process: &Pidfd, wait: Option<Duration>) -> Result<bool, SysError> {
    let end = wait.map(|wait| Instant::now() + wait);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], left.map_or(PollTimeout::NONE, timeout)) {
            Err(Errno::EINTR) => {}
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(SysError::new("wait for the monitor", errno)),
        }
    }
}
