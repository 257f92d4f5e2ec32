//! The resolver at work: one loop over its sockets (poll(2)), no threads.
//!
//! A question by UDP is answered at once, or handed on and remembered until an answer comes. One by
//! TCP is seldom and may be slow: a child answers it, so that nobody waits for it.

use super::forward::{self, News, Pending};
use super::message::{self, Code, Query, SMALL, Wanted};
use super::names::{Asker, Names};
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Questions under way at once, and children for TCP: more are refused, and asked again.
const MOST: usize = 256;
const CHILDREN: usize = 16;
/// How long a client of TCP may take.
const SLOW: Duration = Duration::from_secs(5);

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// No container is left on the network.
    Unused,
    /// The process that watches this one is gone.
    Alone,
}

/// A resolver with its sockets.
#[derive(Debug)]
pub struct Server {
    network: String,
    leases: PathBuf,
    udp: UdpSocket,
    tcp: TcpListener,
    names: Names,
    pending: Vec<Pending>,
    children: usize,
}

/// What becomes of a question.
enum Verdict {
    Answer(Vec<u8>),
    HandOn(Vec<IpAddr>),
    Silence,
}

impl Server {
    /// A resolver for the network with that id, whose addresses are leased in that folder.
    pub fn new(root: &Path, network: &str, leases: &Path, udp: UdpSocket, tcp: TcpListener) -> Self {
        Self { network: network.to_owned(), leases: leases.to_owned(), udp, tcp, names: Names::new(root), pending: Vec::new(), children: 0 }
    }

    /// True if no container has an address of the network.
    pub fn is_unused(&self) -> bool {
        let leases = std::fs::read_dir(&self.leases).into_iter().flatten().flatten();
        leases.filter(|e| e.file_type().is_ok_and(|t| t.is_symlink())).count() == 0
    }

    /// Serves until nobody is left, or the process `watcher` has ended.
    pub fn serve(&mut self, watcher: &Pidfd) -> Result<Ended, SysError> {
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_sys("start inotify")?;
        let _ = changes.add_watch(&self.leases, AddWatchFlags::IN_DELETE | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVED_FROM);
        let mut changed = true;
        loop {
            if changed && self.is_unused() {
                return Ok(Ended::Unused);
            }
            let ready = self.wait(&changes, watcher)?;
            changed = ready[2];
            let _ = changes.read_events();
            if watcher.is_over() {
                return Ok(Ended::Alone);
            }
            if ready[0] {
                self.hear();
            }
            if ready[1] {
                self.accept();
            }
            self.relay(&ready[4..]);
            while let Ok(Some(_)) = pidfd::reap_any() {
                self.children = self.children.saturating_sub(1);
            }
        }
    }

    /// Waits until something can be read; which of them.
    fn wait(&self, changes: &Inotify, watcher: &Pidfd) -> Result<Vec<bool>, SysError> {
        let fds = [self.udp.as_fd(), self.tcp.as_fd(), changes.as_fd(), watcher.as_fd()];
        let sockets = fds.into_iter().chain(self.pending.iter().map(|p| p.socket.as_fd()));
        let mut fds: Vec<PollFd<'_>> = sockets.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let first = self.pending.iter().map(|p| p.deadline).min();
        let patience = first.map(|d| d.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        // A child that has ended is looked for now and then.
        let patience = patience.or((self.children > 0).then_some(SLOW));
        let timeout = patience.and_then(|p| PollTimeout::try_from(p).ok()).unwrap_or(PollTimeout::NONE);
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => return Ok(vec![false; fds.len()]),
            other => other.or_sys("wait for questions")?,
        };
        Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
    }

    /// Questions that came by UDP.
    fn hear(&mut self) {
        let mut bytes = [0; SMALL * 8];
        // Others want to be looked at too.
        for _ in 0..64 {
            let Ok((length, from)) = self.udp.recv_from(&mut bytes) else { return };
            let query = match message::read(&bytes[..length]) {
                Ok(query) => query,
                Err(answer) => {
                    answer.iter().for_each(|a| drop(self.udp.send_to(a, from)));
                    continue;
                }
            };
            let answer = match self.judge(&query, from, SMALL) {
                Verdict::Silence => continue,
                Verdict::Answer(answer) => answer,
                Verdict::HandOn(_) if self.pending.len() >= MOST => query.empty(Code::Failed),
                Verdict::HandOn(servers) => match Pending::ask(from, &query, &servers) {
                    Some(pending) => {
                        self.pending.push(pending);
                        continue;
                    }
                    None => query.empty(Code::Failed),
                },
            };
            let _ = self.udp.send_to(&answer, from);
        }
    }

    /// Ours, the world's, or not to be answered.
    fn judge(&mut self, query: &Query<'_>, from: SocketAddr, room: usize) -> Verdict {
        let IpAddr::V4(address) = from.ip() else { return Verdict::Silence };
        // Containers of this network alone: the host's other neighbours have no business here.
        let Some(asker) = self.names.asker(&self.network, address) else { return Verdict::Answer(query.empty(Code::Refused)) };
        let answer = match &query.wanted {
            Wanted::Name(address) => self.names.name(&asker, *address).map(|name| query.named(&name)),
            wanted => {
                let mut found = self.names.addresses(&asker, &query.name);
                match wanted {
                    _ if found.is_empty() => None,
                    Wanted::Addresses => {
                        // As Docker's shuffles: who takes the first of several is spread over them.
                        let first = usize::from(message::id(query.bytes())) % found.len();
                        found.rotate_left(first);
                        Some(query.addresses(&found, room))
                    }
                    // The name is there, and has nothing of this type.
                    _ => Some(query.empty(Code::Fine)),
                }
            }
        };
        answer.map_or_else(|| outward(query, &asker), Verdict::Answer)
    }

    /// Answers to what was handed on, and what nobody answered in time.
    fn relay(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let mut kept = Vec::new();
        for (nth, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            let news = if ready.get(nth).copied().unwrap_or(false) { pending.hear() } else { News::None };
            match news {
                News::Answer(to, answer) => drop(self.udp.send_to(&answer, to)),
                News::None if pending.deadline > now => kept.push(pending),
                News::None | News::Failed => match pending.late() {
                    Ok(again) => kept.push(again),
                    Err((to, answer)) => drop(self.udp.send_to(&answer, to)),
                },
            }
        }
        kept.append(&mut self.pending);
        self.pending = kept;
    }

    fn accept(&mut self) {
        let Ok((stream, from)) = self.tcp.accept() else { return };
        if self.children >= CHILDREN {
            return;
        }
        match pidfd::fork() {
            Ok(Fork::Child) => {
                let _ = pidfd::die_with_parent(Signal::SIGKILL);
                self.talk(stream, from);
                pidfd::exit_now(0)
            }
            Ok(Fork::Parent(_)) => self.children += 1,
            Err(_) => {}
        }
    }

    /// The child's side: each question on this stream, one after another.
    fn talk(&mut self, mut stream: TcpStream, from: SocketAddr) -> Option<()> {
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(SLOW)).ok()?;
        stream.set_write_timeout(Some(SLOW)).ok()?;
        for _ in 0..MOST {
            let bytes = forward::read(&mut stream)?;
            let answer = match message::read(&bytes) {
                Err(answer) => answer?,
                Ok(query) => match self.judge(&query, from, usize::from(u16::MAX)) {
                    Verdict::Silence => return None,
                    Verdict::Answer(answer) => answer,
                    Verdict::HandOn(servers) => forward::ask_by_tcp(&bytes, &servers).unwrap_or_else(|| query.empty(Code::Failed)),
                },
            };
            forward::write(&mut stream, &answer)?;
        }
        Some(())
    }
}

fn outward(query: &Query<'_>, asker: &Asker) -> Verdict {
    if !asker.outward {
        // To ask the world in its name would be a way out of an internal network.
        return Verdict::Answer(query.empty(Code::Failed));
    }
    let servers = if asker.servers.is_empty() { forward::of_host() } else { asker.servers.clone() };
    if servers.is_empty() { Verdict::Answer(query.empty(Code::Failed)) } else { Verdict::HandOn(servers) }
}
