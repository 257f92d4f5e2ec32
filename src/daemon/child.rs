//! The programs that the daemon starts: `skiff`, with the daemon's own root and options.
//!
//! What they did is told by their exit code; what they say of an error is the first line of their
//! standard error, `error: …`. Threads cannot be forked, so nothing here does: a program is started by
//! posix_spawn(3) or vfork(2) and exec(2), and the new one has one thread again.

use super::fault::Fault;
use super::http::{Reply, bytes};
use super::Daemon;
use crate::kernel::sealed;
use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::io::ReaderStream;

/// A `skiff` with these arguments, not started yet.
pub(super) fn skiff(daemon: &Daemon, arguments: &[&str]) -> Result<Command, Fault> {
    let mut command = Command::new(sealed::program()?);
    command.arg0("skiff").arg("--root").arg(&daemon.settings.root).args(&daemon.settings.options).args(arguments);
    // Ctrl-C at the daemon's terminal is for the daemon.
    command.process_group(0).env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Carries out a command that must not be broken off, whoever goes away: what it printed.
pub(super) async fn run(daemon: &Daemon, arguments: &[&str]) -> Result<String, Fault> {
    daemon.say(&format!("  skiff {}", arguments.join(" ")));
    let output = skiff(daemon, arguments)?.output();
    let output = tokio::spawn(output).await.map_err(|e| Fault::new(500, e.to_string()))?;
    let output = output.map_err(|e| Fault::new(500, format!("cannot start skiff: {e}")))?;
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(fault(&String::from_utf8_lossy(&output.stderr))) }
}

/// What a program said of its error.
pub(super) fn fault(stderr: &str) -> Fault {
    let line = stderr.lines().find_map(|l| l.strip_prefix("error: "));
    Fault::said(line.unwrap_or_else(|| stderr.lines().next().unwrap_or("skiff was killed")))
}

/// A command whose output is the answer; it ends when nobody reads any more.
pub(super) async fn output(daemon: &Daemon, arguments: &[&str], kind: &'static str) -> Reply {
    daemon.say(&format!("  skiff {}", arguments.join(" ")));
    let mut child = skiff(daemon, arguments)?.kill_on_drop(true).spawn().map_err(|e| Fault::new(500, format!("cannot start skiff: {e}")))?;
    let Some(mut from) = child.stdout.take() else { return Err(Fault::new(500, "skiff has no output")) };
    let mut first = vec![0; 1 << 16];
    let n = from.read(&mut first).await.unwrap_or(0);
    if n == 0 {
        let output = child.wait_with_output().await.map_err(|e| Fault::new(500, e.to_string()))?;
        return if output.status.success() { Ok(bytes(200, kind, Body::empty())) } else { Err(fault(&String::from_utf8_lossy(&output.stderr))) };
    }
    first.truncate(n);
    let first = futures_util::stream::once(async { Ok(Bytes::from(first)) });
    // With the stream the program is dropped, and killed if it still runs.
    let rest = futures_util::stream::unfold((ReaderStream::new(from), child), |(mut stream, child)| async { Some((stream.next().await?, (stream, child))) });
    Ok(bytes(200, kind, Body::from_stream(first.chain(rest))))
}

/// A command that reads what the request brings: what it printed.
pub(super) async fn input(daemon: &Daemon, arguments: &[&str], body: Body) -> Result<String, Fault> {
    daemon.say(&format!("  skiff {}", arguments.join(" ")));
    let mut child = skiff(daemon, arguments)?.stdin(Stdio::piped()).kill_on_drop(true).spawn().map_err(|e| Fault::new(500, format!("cannot start skiff: {e}")))?;
    let whole = feed(&mut child, body);
    let (whole, output) = tokio::join!(whole, async { child.wait_with_output().await });
    let output = output.map_err(|e| Fault::new(500, e.to_string()))?;
    if !output.status.success() {
        return Err(fault(&String::from_utf8_lossy(&output.stderr)));
    }
    if whole { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(Fault::bad("the request's body was cut short")) }
}

/// Gives a body to a program; false if it was cut short.
pub(super) fn feed(child: &mut Child, body: Body) -> impl Future<Output = bool> + use<> {
    let to = child.stdin.take();
    async move {
        let Some(mut to) = to else { return true };
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else { return false };
            // It may have read enough, or failed; its exit code says which.
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        true
    }
}

/// A program that was given an order by a socket, which it answers by.
pub(super) struct Worker {
    child: Child,
    socket: tokio::net::UnixStream,
    begun: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// What a worker answered, and what came with it.
pub(super) struct Answer {
    pub document: serde_json::Value,
    pub fds: Vec<OwnedFd>,
}

impl Worker {
    /// Starts one. It does what it was told to its end, whoever goes away.
    pub async fn start(daemon: &Daemon, order: &super::order::Order) -> Result<Self, Fault> {
        let failed = |e: std::io::Error| Fault::new(500, format!("cannot start skiff: {e}"));
        let (ours, theirs) = Socket::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let child = skiff(daemon, &["daemon", "--work"])?.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().map_err(failed)?;
        let mut socket = tokio::net::UnixStream::from_std(ours).map_err(failed)?;
        let mut line = serde_json::to_vec(order).map_err(|e| Fault::new(500, e.to_string()))?;
        line.push(b'\n');
        socket.write_all(&line).await.map_err(failed)?;
        Ok(Self { child, socket, begun: Vec::new(), fds: Vec::new() })
    }

    /// Its next answer.
    pub async fn answer(&mut self) -> Result<Answer, Fault> {
        let lost = || Fault::new(500, "the skiff that was to do it has ended without an answer");
        loop {
            if let Some(end) = self.begun.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                let mut document: serde_json::Value = serde_json::from_slice(&line).map_err(|_| lost())?;
                if let Ok(fault) = serde_json::from_value::<Fault>(document["fault"].take()) {
                    return Err(fault);
                }
                return Ok(Answer { document, fds: std::mem::take(&mut self.fds) });
            }
            let mut buffer = [0; 4096];
            let (n, fds) = super::stream::receive(&self.socket, &mut buffer).await.map_err(|_| lost())?;
            if n == 0 {
                let _ = self.child.wait().await;
                return Err(lost());
            }
            self.begun.extend_from_slice(&buffer[..n]);
            self.fds.extend(fds);
        }
    }
}

/// A line of a program may have so many bytes; a longer one comes in pieces.
const LINE: usize = 64 << 10;

/// What a program says, line by line.
pub(super) struct Lines<R>(BufReader<R>);

impl<R: tokio::io::AsyncRead + Unpin> Lines<R> {
    /// Of this stream.
    pub fn of(from: R) -> Self {
        Self(BufReader::new(from))
    }

    /// The next, with its end; none when the stream has ended.
    pub async fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let there = self.0.fill_buf().await.ok()?;
            let end = there.iter().position(|b| *b == b'\n');
            let taken = end.map_or(there.len(), |end| end + 1);
            line.extend_from_slice(&there[..taken]);
            self.0.consume(taken);
            if end.is_some() || taken == 0 || line.len() >= LINE {
                return (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
}
