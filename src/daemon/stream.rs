//! Streams of containers as the API has them: a connection taken over by both ends, and frames.
//!
//! A client that attaches says `Upgrade: tcp` and is answered 101; from then on the connection carries
//! bytes and no HTTP. What comes from a terminal is sent as it is; of a container without one, standard
//! output and error share the connection in frames: the stream's number, three zeros, four bytes of
//! length, big end first, the bytes (API reference, ContainerAttach, "Stream format").

use super::fault::Fault;
use super::http::{Asked, bytes};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

/// What frames are called.
const FRAMES: &str = "application/vnd.docker.multiplexed-stream";
/// What is no frames.
const RAW: &str = "application/vnd.docker.raw-stream";

/// A frame.
pub(super) fn frame(stream: u8, content: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(8 + content.len());
    all.extend_from_slice(&[stream, 0, 0, 0]);
    all.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    all.extend_from_slice(content);
    all
}

/// Their name in a header; before version 1.42 both had one.
pub(super) fn kind(version: (u32, u32), tty: bool) -> &'static str {
    if tty || version < (1, 42) { RAW } else { FRAMES }
}

/// The client's end of a connection that was taken over.
pub(super) struct Client {
    pub from: Box<dyn AsyncRead + Send + Unpin>,
    pub to: Out,
    /// Another handle of the connection, to see when both its directions are closed.
    socket: Option<OwnedFd>,
}

/// How often it is looked whether a silent client has gone.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

impl Client {
    /// Waits until the client has gone. That it says nothing more does not mean that: most close their
    /// direction at once. A socket of which the other end is gone altogether has POLLHUP (poll(2)), which
    /// no library for asynchronous sockets waits for alone.
    pub fn gone(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let socket = self.socket.take();
        async move {
            let Some(socket) = socket else { return std::future::pending().await };
            loop {
                let mut one = [PollFd::new(socket.as_fd(), PollFlags::empty())];
                if poll(&mut one, PollTimeout::ZERO).is_ok() && one[0].any().unwrap_or(false) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Where a client hears.
pub(super) struct Out {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    /// In frames.
    framed: bool,
    /// Standard output, standard error.
    wanted: (bool, bool),
}

impl Out {
    /// Sends what a container wrote; false when nobody is there.
    pub async fn send(&mut self, stream: u8, content: &[u8]) -> bool {
        if !(if stream == 2 { self.wanted.1 } else { self.wanted.0 }) {
            return true;
        }
        let sent = if self.framed { self.to.write_all(&frame(stream, content)).await } else { self.to.write_all(content).await };
        sent.is_ok() && self.to.flush().await.is_ok()
    }

    /// That was all.
    pub async fn end(&mut self) {
        let _ = self.to.shutdown().await;
    }
}

/// What of a container's streams a client wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub tty: bool,
    pub out: bool,
    pub err: bool,
}

/// Takes a connection over: the answer, and what becomes of the connection once that was sent. Without
/// `Upgrade` in the request the content of the answer is the stream, and nothing comes the other way.
pub(super) fn hijack(asked: &mut Asked, wanted: Wanted) -> (Response<Body>, impl Future<Output = Result<Client, Fault>> + Send + use<>) {
    let name = kind(asked.version, wanted.tty);
    let upgrade = asked.upgrade.take();
    let (response, pipe) = if upgrade.is_some() {
        let mut response = bytes(101, name, Body::empty());
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
        (response, None)
    } else {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        (bytes(200, name, Body::from_stream(tokio_util::io::ReaderStream::new(theirs))), Some(ours))
    };
    let out = move |to| Out { to, framed: !wanted.tty, wanted: (wanted.out, wanted.err || wanted.tty) };
    let client = async move {
        match (upgrade, pipe) {
            (Some(upgrade), _) => {
                let upgraded: Upgraded = upgrade.await.map_err(|e| Fault::bad(e.to_string()))?;
                Ok(match downcast::<TokioIo<UnixStream>>(upgraded) {
                    Ok(parts) => {
                        let io = parts.io.into_inner();
                        let socket = io.as_fd().try_clone_to_owned().ok();
                        let (from, to) = io.into_split();
                        let from = io::Cursor::new(parts.read_buf).chain(from);
                        Client { from: Box::new(from), to: out(Box::new(to)), socket }
                    }
                    Err(other) => {
                        let (from, to) = tokio::io::split(TokioIo::new(other));
                        Client { from: Box::new(from), to: out(Box::new(to)), socket: None }
                    }
                })
            }
            (None, Some(pipe)) => Ok(Client { from: Box::new(tokio::io::empty()), to: out(Box::new(pipe)), socket: None }),
            (None, None) => Err(Fault::bad("there is no connection")),
        }
    };
    (response, client)
}

/// Reads from a socket, with the descriptors that come beside the bytes.
pub(super) async fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    loop {
        socket.readable().await?;
        let received = socket.try_io(tokio::io::Interest::READABLE, || {
            let mut control = cmsg_space!([RawFd; 4]);
            let mut slices = [IoSliceMut::new(buffer)];
            let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)?;
            let mut fds = Vec::new();
            for part in message.cmsgs().map_err(io::Error::from)? {
                if let ControlMessageOwned::ScmRights(all) = part {
                    fds.extend(all.into_iter().map(crate::kernel::pidfd::own));
                }
            }
            Ok((message.bytes, fds))
        });
        match received {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

/// Reads; 0 at the end, which of a terminal is EIO.
pub(super) async fn read(fd: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> usize {
    loop {
        let Ok(mut ready) = fd.readable().await else { return 0 };
        match ready.try_io(|fd| nix::unistd::read(fd.get_ref(), buffer).map_err(io::Error::from)) {
            Ok(Ok(n)) => return n,
            Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(_)) => return 0,
            Err(_) => {}
        }
    }
}

/// Writes all; false when nobody reads.
pub(super) async fn write(fd: &AsyncFd<OwnedFd>, mut content: &[u8]) -> bool {
    while !content.is_empty() {
        let Ok(mut ready) = fd.writable().await else { return false };
        match ready.try_io(|fd| nix::unistd::write(fd.get_ref(), content).map_err(io::Error::from)) {
            Ok(Ok(n)) => content = &content[n..],
            Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(_)) => return false,
            Err(_) => {}
        }
    }
    true
}

/// Carries what a client types to where it goes, until either ends. With the client's end the other is
/// closed, which a command that reads a pipe sees as the end of its input.
pub(super) async fn typed(mut from: Box<dyn AsyncRead + Send + Unpin>, to: Option<AsyncFd<OwnedFd>>) {
    let mut buffer = vec![0; 16 << 10];
    let mut to = to;
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => match &to {
                Some(fd) if !write(fd, &buffer[..n]).await => to = None,
                _ => {}
            },
        }
    }
}

/// How long a client may take to hear that it is over.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Shows a client out. What he has typed meanwhile is read and forgotten: a connection that is closed with
/// bytes unread is reset, and he would lose the last of what he was sent (unix(7), tcp(7)).
pub(super) async fn part(to: &mut Out, mut typing: tokio::task::JoinHandle<()>) {
    to.end().await;
    if tokio::time::timeout(PATIENCE, &mut typing).await.is_err() {
        typing.abort();
    }
}

/// Bytes for [`super::http::streamed`].
pub(super) fn piece(framed: bool, stream: u8, content: &[u8]) -> Bytes {
    if framed { frame(stream, content).into() } else { Bytes::copy_from_slice(content) }
}
