//! The side that waits: starts the process that becomes the container, and follows it.
//!
//! `spawn_straight` starts a process that carries out a whole list of steps; `spawn_held` starts one
//! that carries out what it is sent. Both end in the same [`Started`] child: its pid is known, it is
//! the caller's own child (also after `fork`, by CLONE_PARENT), and it can be waited for by pidfd.

use super::wire::{self, Reply, Request, Upstream};
use crate::engine::inside::Inside;
use crate::engine::network::slirp::{self, Helper};
use crate::engine::step::{Carry, Step, StepError};
use crate::kernel::pidfd::{self, Ended, Fork, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container's command that is running.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub process: Pidfd,
    /// The master side of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    /// What was done otherwise than asked, for the person who asked.
    pub notes: Vec<String>,
    /// The other end of its tap device, if it has one.
    pub helper: Option<Helper>,
}

/// A process that waits for its next step.
#[derive(Debug)]
pub struct Held {
    socket: OwnedFd,
    /// The process that is held.
    pub process: Pidfd,
    /// The master side of its terminal, once the terminal step opened one.
    pub terminal: Option<OwnedFd>,
    /// True once it has become the command.
    pub executed: bool,
    /// What was done otherwise than asked.
    pub notes: Vec<String>,
    /// The other end of its tap device, if it has one.
    pub helper: Option<Helper>,
    /// The container's folder.
    folder: PathBuf,
    /// The descriptor that answers for the calls that its filter notifies of.
    pub listener: Option<OwnedFd>,
}

/// What a process that is not to be looked after by its maker is given.
#[derive(Debug)]
pub struct Outliving<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its cgroup's name.
    pub cgroup: &'a str,
    /// A listening socket, for one that is to wait before its exec.
    pub door: Option<OwnedFd>,
    /// How many descriptors from 3 on its command is to have.
    pub preserved: u32,
}

/// Starts a process that carries out `steps` to the last, which is exec.
pub fn spawn_straight(id: &str, store: &Path, steps: &[Step], stdio: Vec<OwnedFd>) -> Result<Started, StepError> {
    let mut held = spawn(id, store, |upstream| {
        let mut inside = Inside::new(id, store, upstream);
        inside.stdio = stdio;
        for step in steps {
            if let Err(error) = step.carry_out(&mut inside) {
                let _ = inside.upstream.tell(&Reply::Failed(error));
                return;
            }
            tell_notes(&mut inside);
        }
    })?;
    held.follow()?;
    if !held.executed {
        return Err(SysError::new("run a plan that does not end in exec", Errno::EINVAL).into());
    }
    Ok(Started { process: held.process, terminal: held.terminal, notes: held.notes, helper: held.helper })
}

/// Starts a process that carries out `steps` and outlives its maker. It comes back as soon as the
/// process is there; [`Held::until_ready`] follows it.
pub fn spawn_outliving(wanted: Outliving<'_>, steps: &[Step]) -> Result<Held, StepError> {
    let (id, cgroup, preserved) = (wanted.id, wanted.cgroup.to_owned(), wanted.preserved);
    spawn(id, Path::new("/"), |upstream| {
        let mut inside = Inside::new(id, Path::new("/"), upstream);
        (inside.cgroup, inside.preserved, inside.outlives, inside.door) = (cgroup, preserved, true, wanted.door);
        for step in steps {
            if let Err(error) = step.carry_out(&mut inside) {
                let _ = inside.upstream.tell(&Reply::Failed(error));
                return;
            }
            tell_notes(&mut inside);
        }
    })
}

/// Follows a process that was told at its door to start, to its exec.
pub fn follow_start(socket: &OwnedFd) -> Result<(), StepError> {
    match wire::receive::<Reply>(socket)? {
        Some((Reply::Failed(error), _)) => Err(error),
        _ => Ok(()),
    }
}

/// Starts a process that carries out one step after another, as they are sent.
pub fn spawn_held(id: &str, store: &Path) -> Result<Held, StepError> {
    spawn(id, store, |upstream| {
        let mut inside = Inside::new(id, store, upstream);
        while let Ok(Some((request, fds))) = inside.upstream.next() {
            let (Request::Carry(step) | Request::CarryAndWait(step)) = request else { continue };
            if !fds.is_empty() {
                inside.stdio = fds;
            }
            let reply = match step.carry_out(&mut inside) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Failed(error),
            };
            tell_notes(&mut inside);
            if inside.upstream.tell(&reply).is_err() {
                return;
            }
        }
    })
}

/// Passes on what a step had to do otherwise than asked.
fn tell_notes(inside: &mut Inside) {
    for note in std::mem::take(&mut inside.notes) {
        let _ = inside.upstream.tell(&Reply::Note(note));
    }
}

/// Forks; the child runs `life` and ends with it.
fn spawn(id: &str, store: &Path, life: impl FnOnce(Upstream)) -> Result<Held, StepError> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .or_sys("make a pair of sockets")?;
    let parent = std::process::id();
    match pidfd::fork()? {
        Fork::Child => {
            drop(ours);
            // What is made from here on is the container's, and has the modes that images expect,
            // whatever the caller keeps for their own files.
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
            // Until exec, nobody else would end this process if the one that waits is killed.
            let asked = pidfd::die_with_parent(Signal::SIGKILL);
            if asked.is_ok() && std::os::unix::process::parent_id() == parent {
                life(Upstream::new(theirs));
            }
            pidfd::exit_now(125)
        }
        Fork::Parent(child) => {
            drop(theirs);
            Ok(Held { socket: ours, process: Pidfd::open(child)?, terminal: None, executed: false, notes: Vec::new(), helper: None, folder: store.join("containers").join(id), listener: None })
        }
    }
}

impl Held {
    /// Sends one step, with the descriptors that exec is to use, and waits until it is done.
    pub fn carry(&mut self, step: &Step, stdio: &[OwnedFd]) -> Result<(), StepError> {
        let fds: Vec<i32> = stdio.iter().map(AsRawFd::as_raw_fd).collect();
        wire::send(&self.socket, &Request::Carry(step.clone()), &fds)?;
        self.follow()
    }

    /// Follows a process to the door where it waits, or to its exec. `hooks` is called with its pid
    /// once it has its namespaces.
    pub fn until_ready(&mut self, hooks: &mut dyn FnMut(i32) -> Result<(), StepError>) -> Result<(), StepError> {
        self.follow_with(hooks)
    }

    fn follow(&mut self) -> Result<(), StepError> {
        self.follow_with(&mut |_| Ok(()))
    }

    /// Reads what the process tells until its step is done, refused, or it became the command.
    fn follow_with(&mut self, hooks: &mut dyn FnMut(i32) -> Result<(), StepError>) -> Result<(), StepError> {
        loop {
            match wire::receive::<Reply>(&self.socket)? {
                Some((Reply::Forked(child), _)) => {
                    // Opened before the old process is reaped; the child is ours (CLONE_PARENT).
                    let child = Pidfd::open(child)?;
                    let old = std::mem::replace(&mut self.process, child);
                    old.wait()?;
                }
                Some((Reply::Terminal, mut fds)) => self.terminal = fds.pop(),
                Some((Reply::Listener, mut fds)) => self.listener = fds.pop(),
                Some((Reply::WantsHooks, _)) => {
                    let failed = hooks(self.process.pid()).err();
                    wire::send(&self.socket, &Request::Hooked(failed), &[])?;
                }
                Some((Reply::Note(note), _)) => self.notes.push(note),
                Some((Reply::WantsTap(tap), _)) => {
                    let error = match slirp::plug(self.process.pid(), &self.folder, &tap.ports) {
                        Ok(helper) => {
                            self.helper = Some(helper);
                            None
                        }
                        Err(error) => Some(error),
                    };
                    wire::send(&self.socket, &Request::Tapped(error), &[])?;
                }
                Some((Reply::Failed(error), _)) => return Err(error),
                Some(_) => return Ok(()),
                None => return self.ended(),
            }
        }
    }

    /// The socket closed: exec did it, or the process is dead.
    fn ended(&mut self) -> Result<(), StepError> {
        // A command that is killed at once has closed the socket by exec too, and that is its affair.
        if let Some(Ended::Killed(signal)) = self.process.has_ended()?
            && !self.executed
            && !self.process.has_executed()
        {
            let name = Signal::try_from(signal).map_or(format!("signal {signal}"), |s| s.to_string());
            return Err(StepError::from(SysError::new(format!("go on: {name} ended the process"), Errno::ECHILD))
                .because("something outside killed it: a memory limit too small to start, or somebody's kill"));
        }
        self.executed = true;
        Ok(())
    }
}
