//! Between a terminal and its port: two threads a session, one for each direction, so that neither
//! waits for the other. Frames are passed on whole; a terminal that goes away in the middle of one
//! leaves its port in order.

use super::wire::{self, Kind, Status};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a session's end is called on the keeper's pipe.
const SESSION: u8 = b'.';

/// What the end of one is called who only looked.
const LOOK: u8 = b',';

/// What `lab stop` is called there.
const STOP: u8 = b'!';

/// The ports, those that are taken, and a way to tell the keeper.
pub(super) struct Ports {
    ports: Vec<UnixStream>,
    taken: Mutex<Vec<Use>>,
    control: Mutex<UnixStream>,
    tell: Mutex<UnixStream>,
    status: Status,
    up: Instant,
    stays: AtomicBool,
}

/// Of one port: is it taken, and how many sessions it has had. The guest counts the same, so a late
/// hang-up never meets the session after the one that it was for.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    taken: bool,
    serial: u64,
}

impl Ports {
    pub(super) fn new(ports: Vec<UnixStream>, control: UnixStream, tell: UnixStream, status: Status, up: Instant, stays: bool) -> Self {
        let taken = Mutex::new(vec![Use::default(); ports.len()]);
        Self { ports, taken, control: Mutex::new(control), tell: Mutex::new(tell), status, up, stays: AtomicBool::new(stays) }
    }

    /// Takes a free port, for as long as the session lasts.
    fn take(&self) -> Option<usize> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|t| !t.taken)?;
        taken[free] = Use { taken: true, serial: taken[free].serial + 1 };
        Some(free)
    }

    /// Whether the lab is to stay when the last terminal has gone.
    pub(super) fn stays(&self) -> bool {
        self.stays.load(Ordering::SeqCst)
    }

    fn give_back(&self, port: usize) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)[port].taken = false;
    }

    fn status(&self) -> Status {
        let sessions = self.taken.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|t| t.taken).count();
        Status { up: self.up.elapsed().as_secs(), sessions, ..self.status.clone() }
    }

    /// Past the queue of the port itself, which a program that reads no input may have filled.
    fn hang_up(&self, port: usize) {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = self.taken.lock().unwrap_or_else(PoisonError::into_inner)[port].serial;
        let _ = wire::write_json(&mut *control, Kind::Hangup, &(port + 1, serial));
    }

    fn tell(&self, what: u8) {
        let _ = self.tell.lock().unwrap_or_else(PoisonError::into_inner).write_all(&[what]);
    }
}

/// How one that connected has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It had a session.
    Session,
    /// It only looked, or went away at once.
    Look,
    /// It asked the lab to stop.
    Stop,
}

/// Reads one message of [`serve`]'s.
pub(super) fn ended(told: &mut UnixStream) -> Ended {
    let mut what = [LOOK];
    let _ = told.read_exact(&mut what);
    match what[0] {
        SESSION => Ended::Session,
        STOP => Ended::Stop,
        _ => Ended::Look,
    }
}

/// Serves one that connected, in a thread of its own.
pub(super) fn serve(ports: Arc<Ports>, mut stream: UnixStream) {
    std::thread::spawn(move || {
        let what = match wire::read(&mut stream) {
            Ok(Some((Kind::Open, request))) => {
                session(&ports, &mut stream, &request);
                SESSION
            }
            Ok(Some((Kind::Status, _))) => {
                let _ = wire::write_json(&mut stream, Kind::Status, &ports.status());
                LOOK
            }
            // Settled before this one counts as gone: so the lab does not end between the two.
            Ok(Some((Kind::Stay, _))) => {
                ports.stays.store(true, Ordering::SeqCst);
                let _ = wire::write_json(&mut stream, Kind::Stay, &ports.status());
                LOOK
            }
            Ok(Some((Kind::Stop, _))) => STOP,
            _ => LOOK,
        };
        ports.tell(what);
        // One that asked to stop hears of the end by the end of this process.
        if what == STOP {
            let _ = stream.read(&mut [0]);
        }
    });
}

fn session(ports: &Arc<Ports>, stream: &mut UnixStream, request: &[u8]) {
    let Some(port) = ports.take() else {
        let _ = wire::write(stream, Kind::Refused, format!("all {} terminals of the lab are in use", ports.ports.len()).as_bytes());
        return;
    };
    if let (Ok(to), Ok(out)) = (ports.ports[port].try_clone(), stream.try_clone()) {
        let from = ports.ports[port].try_clone();
        let back = std::thread::spawn(move || from.map(|f| backward(f, out)));
        forward(ports, port, to, stream, request);
        let _ = back.join();
    }
    ports.give_back(port);
}

/// From the terminal into the port, until the terminal has gone or the session has ended.
fn forward(ports: &Ports, port: usize, mut to: UnixStream, stream: &mut UnixStream, request: &[u8]) {
    let mut patient = Patient { to: &mut to, watched: stream.try_clone().ok(), gone: &mut || ports.hang_up(port) };
    let _ = wire::write(&mut patient, Kind::Open, request);
    loop {
        match wire::read(stream) {
            Ok(Some((kind @ (Kind::Input | Kind::InputEnd | Kind::Resize), payload))) => {
                if wire::write(&mut patient, kind, &payload).is_err() {
                    return;
                }
            }
            // The session ended, and `backward` closed the stream; or the terminal went away. The
            // guest takes a hang-up of a session that is over for what it is.
            Ok(Some(_) | None) | Err(_) => {
                ports.hang_up(port);
                let _ = wire::write(&mut patient, Kind::Hangup, &[]);
                return;
            }
        }
    }
}

/// From the port to the terminal, up to the session's exit code; also when nobody listens any more.
fn backward(mut from: UnixStream, mut out: UnixStream) {
    while let Ok(Some((kind, payload))) = wire::read(&mut from) {
        let _ = wire::write(&mut out, kind, &payload);
        if kind == Kind::Exit {
            break;
        }
    }
    let _ = out.shutdown(std::net::Shutdown::Both);
}

/// Writes to a port that may be full for long, and notices meanwhile that the terminal went away.
struct Patient<'a> {
    to: &'a mut UnixStream,
    watched: Option<UnixStream>,
    gone: &'a mut dyn FnMut(),
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        loop {
            let mut fds = vec![PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)];
            fds.extend(self.watched.iter().map(|w| PollFd::new(w.as_fd(), PollFlags::empty())));
            let _ = poll(&mut fds, PollTimeout::try_from(Duration::from_secs(60)).unwrap_or(PollTimeout::MAX));
            let is = |fd: Option<&PollFd<'_>>, flags: PollFlags| fd.and_then(PollFd::revents).is_some_and(|r| r.intersects(flags));
            if is(fds.first(), PollFlags::POLLOUT | PollFlags::POLLHUP | PollFlags::POLLERR) {
                // Only what fits: more would wait inside the call, where nothing is noticed.
                return self.to.write(&bytes[..bytes.len().min(4096)]);
            }
            if is(fds.get(1), PollFlags::POLLHUP | PollFlags::POLLERR) {
                (self.gone)();
                self.watched = None;
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
