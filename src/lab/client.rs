//! A terminal of the lab, on the host's side: raw mode, size, streams, exit code.
//!
//! The keeper's socket carries the session's frames. Input has a thread of its own. A signal that
//! would end us ends the session first and restores the terminal.

use super::wire::{self, Kind, Request, Status};
use super::{Error, Place};
use crate::kernel::pty::{self, Raw};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A source of input other than our own: written to the session, then ended.
pub type Source = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// Variables that a session takes along.
const PASSED: &[&str] = &["TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "DRYDOCK_MUST_RUN", "RUST_BACKTRACE"];

/// What a session here would be asked with: our terminal, if we have one, and our environment.
pub fn request(what: wire::What) -> Request {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let terminal = if is_terminal { pty::size(io::stdout()).ok().map(|s| (s.rows, s.columns)) } else { None };
    let environment = PASSED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    Request { what, terminal, environment }
}

/// Joins our streams to a session until it ends; gives its exit code.
pub fn attach(stream: UnixStream, request: &Request) -> Result<i32, Error> {
    // Blocked before any thread begins, so that only the one that waits for them gets them.
    let mut signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    if request.terminal.is_some() {
        signals.add(Signal::SIGWINCH);
    }
    signals.thread_block().map_err(|e| crate::kernel::SysError::new("block signals", e))?;
    let raw = if request.terminal.is_some() { Some(Raw::enter(io::stdin())?) } else { None };
    let ended_by = Arc::new(AtomicI32::new(0));
    watch_signals(signals, &stream, &ended_by);
    let source: Source = Box::new(|to| io::copy(&mut io::stdin().lock(), to).map(drop));
    let result = exchange(stream, request, Some(source), &mut |bytes| {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    });
    drop(raw);
    match ended_by.load(Ordering::SeqCst) {
        0 => result,
        signal => Ok(128 + signal),
    }
}

/// Signals by sigwait(3): a new size is passed on, the others end the session.
fn watch_signals(signals: SigSet, stream: &UnixStream, ended_by: &Arc<AtomicI32>) {
    let (Ok(mut stream), ended_by) = (stream.try_clone(), Arc::clone(ended_by)) else { return };
    std::thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            if signal == Signal::SIGWINCH {
                if let Ok(size) = pty::size(io::stdout()) {
                    let bytes = [size.rows.to_le_bytes(), size.columns.to_le_bytes()].concat();
                    let _ = wire::write(&mut stream, Kind::Resize, &bytes);
                }
                continue;
            }
            ended_by.store(signal as i32, Ordering::SeqCst);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    });
}

/// One session: its input from `source`, its output to `out`, its errors to standard error.
pub fn exchange(mut stream: UnixStream, request: &Request, source: Option<Source>, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<i32, Error> {
    let ended = |_| Error::Ended;
    wire::write_json(&mut stream, Kind::Open, request).map_err(ended)?;
    let to = stream.try_clone().map_err(ended)?;
    let failed: Arc<Mutex<Option<String>>> = Arc::default();
    let noted = Arc::clone(&failed);
    std::thread::spawn(move || {
        let mut input = Input(to);
        if let Some(Err(error)) = source.map(|s| s(&mut input))
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        let _ = wire::write(&mut input.0, Kind::InputEnd, &[]);
    });
    loop {
        match wire::read(&mut stream).map_err(ended)? {
            Some((Kind::Output, bytes)) => match out(&bytes) {
                // As a program that writes into a closed pipe ends (SIGPIPE is 13); the session too.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(128 + 13),
                other => other.map_err(|e| Error::Keeper { problem: format!("cannot pass on what the lab prints: {e}") })?,
            },
            Some((Kind::Errors, bytes)) => drop(io::stderr().write_all(&bytes)),
            Some((Kind::Refused, why)) => return Err(Error::Keeper { problem: String::from_utf8_lossy(&why).into_owned() }),
            Some((Kind::Exit, code)) => {
                if let Some(problem) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return Err(Error::Keeper { problem });
                }
                return Ok(i32::from_le_bytes(code.try_into().unwrap_or_default()));
            }
            Some(_) => {}
            None => return Err(Error::Ended),
        }
    }
}

/// What is written becomes frames of input.
struct Input(UnixStream);

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wire::write(&mut self.0, Kind::Input, bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the lab says of itself; `None` where none runs.
pub fn status(place: &Place) -> Option<Status> {
    asked(place, Kind::Status)
}

/// Has a lab that runs stay when its last terminal has gone; `None` where none runs, or where it is
/// ending already.
pub fn stay(place: &Place) -> Option<Status> {
    asked(place, Kind::Stay)
}

fn asked(place: &Place, what: Kind) -> Option<Status> {
    let mut stream = place.connect()?;
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    wire::write(&mut stream, what, &[]).ok()?;
    let (_, payload) = wire::read(&mut stream).ok()??;
    serde_json::from_slice(&payload).ok()
}

/// How long a keeper may take to end its lab.
const STOPPED_WITHIN: Duration = Duration::from_secs(45);

/// Ends the lab, and waits until it has; false where none runs. A keeper that does not is killed, and
/// its machine dies with it.
pub fn stop(place: &Place) -> bool {
    let Some(mut stream) = place.connect() else { return false };
    let asked = wire::write(&mut stream, Kind::Stop, &[]);
    let _ = stream.set_read_timeout(Some(STOPPED_WITHIN));
    // The keeper's end closes the socket.
    if let Err(e) = stream.read(&mut [0])
        && matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        && let Ok(keeper) = getsockopt(&stream, PeerCredentials)
    {
        let _ = kill(Pid::from_raw(keeper.pid()), Signal::SIGKILL);
    }
    asked.is_ok()
}
