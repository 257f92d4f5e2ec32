//! Keeps a held process between two commands of a learner.
//!
//! `skiff step new` leaves one small process behind: the keeper. It is the parent of the held
//! process, listens on a socket in the container's folder, passes steps on, remembers which were
//! carried out, and cleans up when the held process ends. Undo is its work too: the kernel has no
//! way back from unshare, so it ends the held process and replays all steps but the last in a new one.

use super::held::{Held, spawn_held};
use super::wire::{self, Reply, Request};
use crate::engine::container::Container;
use crate::engine::step::{Carry, Step, StepError};
use crate::kernel::{OrSys, SysError, pidfd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Where the keeper of a container listens.
fn address(container: &Container) -> PathBuf {
    container.folder().join("step.sock")
}

/// Opens the keeper's socket; done before the fork, so that a client finds it at once.
pub fn listen(container: &Container) -> Result<OwnedFd, SysError> {
    let listener = socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).or_sys("make a socket")?;
    let path = address(container);
    // sun_path holds 108 bytes, and a root may lie deep: bind by a short name through the folder.
    let folder = std::fs::File::open(container.folder()).or_sys("open the container's folder")?;
    let short = format!("/proc/self/fd/{}/step.sock", folder.as_raw_fd());
    let name = UnixAddr::new(short.as_str()).or_sys_with(|| format!("name {}", path.display()))?;
    socket::bind(listener.as_raw_fd(), &name).or_sys_with(|| format!("listen at {}", path.display()))?;
    socket::listen(&listener, Backlog::new(16).or_sys("listen")?).or_sys("listen")?;
    Ok(listener)
}

/// Connects to the keeper of a container and sends a request; `after` sees each answer and says
/// whether to wait for another.
pub fn ask(container: &Container, request: &Request, stdio: &[i32], mut after: impl FnMut(Reply, Vec<OwnedFd>) -> bool) -> Result<(), SysError> {
    let what = || format!("reach the held process of {}", container.name());
    let client = socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).or_sys_with(what)?;
    let folder = std::fs::File::open(container.folder()).or_sys_with(what)?;
    let short = format!("/proc/self/fd/{}/step.sock", folder.as_raw_fd());
    socket::connect(client.as_raw_fd(), &UnixAddr::new(short.as_str()).or_sys_with(what)?).or_sys_with(what)?;
    wire::send(&client, request, stdio)?;
    while let Some((reply, fds)) = wire::receive::<Reply>(&client)? {
        if !after(reply, fds) {
            return Ok(());
        }
    }
    Err(SysError::new(what(), Errno::ECONNRESET))
}

/// The keeper's whole life: until the held process ends or is aborted. Returns its exit code.
pub fn keep(container: &mut Container, listener: &OwnedFd) -> i32 {
    let Ok(mut keeper) = Keeper::new(container) else { return 125 };
    loop {
        let ready = keeper.wait(listener);
        if ready.client {
            if let Ok(raw) = socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
                let client = pidfd::own(raw);
                if keeper.serve(client) {
                    break;
                }
            }
        }
        if ready.ended {
            break;
        }
    }
    keeper.finish()
}

struct Keeper<'a> {
    container: &'a mut Container,
    held: Held,
    done: Vec<Step>,
    waiting: Option<OwnedFd>,
}

struct Ready {
    client: bool,
    ended: bool,
}

impl<'a> Keeper<'a> {
    fn new(container: &'a mut Container) -> Result<Self, StepError> {
        let _ = container.attend();
        let held = spawn_held(container.id(), container.store())?;
        container.set_pid(held.process.pid())?;
        Ok(Self { container, held, done: Vec::new(), waiting: None })
    }

    fn wait(&self, listener: &OwnedFd) -> Ready {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(self.held.process.as_fd(), PollFlags::POLLIN)];
        while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let set = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        Ready { client: set(&fds[0]), ended: set(&fds[1]) }
    }

    /// Serves one request; true when the held process is to end.
    fn serve(&mut self, client: OwnedFd) -> bool {
        let Ok(Some((request, stdio))) = wire::receive::<Request>(&client) else { return false };
        let answer = |reply: Reply| drop(wire::send(&client, &reply, &[]));
        match request {
            Request::Show => answer(Reply::Steps(self.done.clone(), self.held.process.pid())),
            Request::Abort => {
                let _ = self.held.process.signal(Signal::SIGKILL);
                answer(Reply::Done);
                return true;
            }
            Request::Undo => answer(self.undo()),
            // Only a held process in the middle of a step is told that.
            Request::Tapped(_) | Request::Hooked(_) => {}
            Request::Carry(step) => answer(self.carry(&step, &stdio)),
            Request::CarryAndWait(step) => {
                let reply = self.carry(&step, &stdio);
                let terminal = self.held.terminal.take();
                if let Some(master) = &terminal {
                    drop(wire::send(&client, &Reply::Terminal, &[master.as_raw_fd()]));
                }
                answer(reply);
                if self.held.executed {
                    self.waiting = Some(client);
                }
            }
        }
        false
    }

    fn carry(&mut self, step: &Step, stdio: &[OwnedFd]) -> Reply {
        let before = self.held.process.pid();
        if let Err(error) = self.held.carry(step, stdio) {
            return Reply::Failed(error);
        }
        if self.held.process.pid() != before {
            let _ = self.container.set_pid(self.held.process.pid());
        }
        self.done.push(step.clone());
        if self.held.executed {
            let _ = self.container.set_running();
            return Reply::Executed;
        }
        Reply::Done
    }

    /// Ends the held process and replays all steps but the last in a new one.
    fn undo(&mut self) -> Reply {
        let Some(last) = self.done.pop() else {
            return Reply::Failed(StepError::from(SysError::new("undo", Errno::ENOENT)).because("no step was carried out yet"));
        };
        let _ = self.held.process.signal(Signal::SIGKILL);
        let _ = self.held.process.wait();
        self.container.release();
        let steps = std::mem::take(&mut self.done);
        let replayed = spawn_held(self.container.id(), self.container.store()).and_then(|held| {
            self.held = held;
            for step in &steps {
                self.held.carry(step, &[])?;
                self.done.push(step.clone());
            }
            self.container.set_pid(self.held.process.pid())?;
            Ok(())
        });
        match replayed {
            Ok(()) => Reply::Steps(vec![last], self.held.process.pid()),
            Err(error) => Reply::Failed(error),
        }
    }

    /// Waits for the held process, cleans up and tells whoever waits for its command.
    fn finish(self) -> i32 {
        let code = self.held.process.ended().map_or(255, pidfd::exit_code);
        // First, so that nothing is left of it when its end is heard of.
        self.container.remove_all();
        if let Some(client) = self.waiting {
            drop(wire::send(&client, &Reply::Exited(code), &[]));
        }
        self.container.let_go();
        code
    }
}

impl Request {
    /// The step in it, if any.
    pub fn step(&self) -> Option<&Step> {
        match self {
            Request::Carry(step) | Request::CarryAndWait(step) => Some(step),
            _ => None,
        }
    }
}

/// Names the steps, for messages.
pub fn names(steps: &[Step]) -> Vec<&'static str> {
    steps.iter().map(|s| s.about().name).collect()
}
