//! The messages between a process that becomes a container and whoever waits for it.

use crate::engine::step::{Step, StepError};
use crate::engine::steps::tap::Tap;
use crate::kernel::{OrSys, SysError};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// What is asked of a held process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Carry out this step now.
    Carry(Step),
    /// Carry out this step and tell when the process has ended: for exec.
    CarryAndWait(Step),
    /// Which steps were carried out so far, and which process is held.
    Show,
    /// End the held process and replay all steps but the last.
    Undo,
    /// End the held process.
    Abort,
    /// The hooks that were wanted have been run, or which of them failed.
    Hooked(Option<StepError>),
    /// The tap device that was wanted is there, or why not.
    Tapped(Option<StepError>),
}

/// What comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The step was carried out.
    Done,
    /// The step was refused; the process is as it was.
    Failed(StepError),
    /// A child took over; it has this pid on the host.
    Forked(i32),
    /// Something had to be done otherwise than asked.
    Note(String),
    /// The terminal's master side comes beside this message.
    Terminal,
    /// The other end of a tap device is wanted, before the next step.
    WantsTap(Tap),
    /// It has its namespaces, and wants the hooks that run outside of them, before the next step.
    WantsHooks,
    /// The seccomp listener comes beside this message.
    Listener,
    /// All is done but exec: it waits at its door to be told to start.
    Ready,
    /// The process became the container's command.
    Executed,
    /// The command ended with this code.
    Exited(i32),
    /// Steps so far, and the held process's pid.
    Steps(Vec<Step>, i32),
}

/// The held process's end of the socket.
#[derive(Debug)]
pub struct Upstream(OwnedFd);

impl Upstream {
    /// Takes over a connected SOCK_SEQPACKET socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }
    /// Tells something.
    pub fn tell(&self, reply: &Reply) -> Result<(), SysError> {
        send(&self.0, reply, &[])
    }
    /// Tells something, with a descriptor beside it.
    pub fn tell_with(&self, reply: &Reply, fd: RawFd) -> Result<(), SysError> {
        send(&self.0, reply, &[fd])
    }
    /// True when the other side has closed its end or died.
    pub fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let answered = poll(&mut fds, PollTimeout::ZERO);
        answered.is_ok() && fds[0].revents().is_some_and(|r| r.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
    }
    /// Waits for the answer to something that was told; anything else is none.
    pub fn answer(&self) -> Result<Request, SysError> {
        self.next()?.map(|(request, _)| request).ok_or_else(|| SysError::new("hear from whoever waits for this process", Errno::ECONNRESET))
    }
    /// Waits for the next request; `None` when the other side is gone.
    pub fn next(&self) -> Result<Option<(Request, Vec<OwnedFd>)>, SysError> {
        receive(&self.0)
    }
}

/// Sends one message as one packet.
pub(super) fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[RawFd]) -> Result<(), SysError> {
    let what = "send a message to the held process's other side";
    let bytes = serde_json::to_vec(message).map_err(|_| SysError::new(what, Errno::EINVAL))?;
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage] = if fds.is_empty() { &[] } else { &rights };
    let raw = socket.as_fd().as_raw_fd();
    loop {
        // MSG_NOSIGNAL: a reader that is gone is an error here, not a SIGPIPE.
        match sendmsg::<()>(raw, &[IoSlice::new(&bytes)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).or_sys(what),
        }
    }
}

/// The largest message: an exec step with its environment.
const LONGEST: usize = 200 * 1024;

/// Waits for one packet; `None` at the end of the stream.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> Result<Option<(T, Vec<OwnedFd>)>, SysError> {
    let what = "receive a message about the held process";
    let mut buffer = vec![0u8; LONGEST];
    let mut control = cmsg_space!([RawFd; 3]);
    let raw = socket.as_fd().as_raw_fd();
    let (length, fds) = loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        match recvmsg::<()>(raw, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            Err(Errno::ECONNRESET) => return Ok(None),
            Err(e) => return Err(SysError::new(what, e)),
            Ok(message) => {
                let mut fds = Vec::new();
                for part in message.cmsgs().or_sys(what)? {
                    if let ControlMessageOwned::ScmRights(received) = part {
                        fds.extend(received.into_iter().map(crate::kernel::pidfd::own));
                    }
                }
                break (message.bytes, fds);
            }
        }
    };
    if length == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(&buffer[..length]).map_err(|_| SysError::new(what, Errno::EBADMSG))?;
    Ok(Some((message, fds)))
}
