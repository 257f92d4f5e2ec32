//! What the daemon has done by a program of its own that has one thread: make a container, start one,
//! start a command in one. All three fork, and may hand back descriptors.
//!
//! The order is one line of JSON on a socket that is standard input, the answer another on the same; what
//! goes with it travels beside it (SCM_RIGHTS, unix(7)). That is the way by which Docker's daemon is
//! handed the terminal of a container by runc (`--console-socket`).

use super::fault::Fault;
use crate::engine::container::Container;
use crate::engine::enter;
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::request::Request;
use crate::engine::{monitor, relay, start};
use crate::image::Store;
use crate::kernel::pidfd::{exit_code, reap_any};
use crate::kernel::{OrSys, SysError};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Make a container: its id.
    Create(Box<Request>),
    /// Start one. With `attach` a socket comes back by which it is heard (see `engine::visit`).
    Start {
        /// Its id.
        id: String,
        /// Somebody is there from the beginning.
        attach: bool,
        /// Standard input is that one's.
        input: bool,
    },
    /// Start a command in one; its streams come back, and later its exit code.
    Exec(Command),
}

/// A command in a running container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Command {
    /// The container's id.
    pub container: String,
    /// What is asked for.
    pub request: enter::Request,
    /// Its standard input is wanted.
    pub input: bool,
}

/// Reads one order from standard input, a socket, and carries it out.
///
/// # Errors
/// Where there is nobody to answer.
pub fn work(root: &Path) -> Result<(), SysError> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().or_sys("take an order")?;
    let mut line = String::new();
    BufReader::new(File::from(socket.try_clone().or_sys("take an order")?)).read_line(&mut line).or_sys("take an order")?;
    let done = match serde_json::from_str(&line) {
        Ok(Order::Create(request)) => create(root, &request).map(|document| (document, Vec::new())),
        Ok(Order::Start { id, attach, input }) => begin(root, &id, attach, input),
        Ok(Order::Exec(command)) => exec(root, &command, &socket),
        Err(error) => Err(Fault::new(500, error.to_string())),
    };
    match done {
        Ok((document, fds)) => answer(&socket, &document, &fds),
        Err(fault) => answer(&socket, &json!({ "fault": fault }), &[]),
    }
}

fn answer(socket: &OwnedFd, document: &Value, fds: &[OwnedFd]) -> Result<(), SysError> {
    let line = format!("{document}\n");
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(line.as_bytes())], control, MsgFlags::MSG_NOSIGNAL, None).or_sys("answer")?;
    relay::write_all(socket.as_fd(), &line.as_bytes()[sent..]);
    Ok(())
}

fn create(root: &Path, request: &Request) -> Result<Value, Fault> {
    // `base` is made on the spot; everything else the client pulls, when it is told that it is not there.
    let image = Store::open(root).obtain(&request.image, &mut |_| ());
    let image = image.map_err(|error| match error {
        crate::image::Error::NotFound { .. } => {
            let name: Option<crate::image::Reference> = request.image.parse().ok();
            Fault::new(404, format!("No such image: {}", name.map_or_else(|| request.image.clone(), |n| n.key())))
        }
        other => Fault::of(&other),
    })?;
    let request = Request { program: crate::kernel::sealed::program()?, ..request.clone() };
    let made = start::create(root, &request, &image, &Host::read()?)?;
    Ok(json!({ "id": made.id() }))
}

fn begin(root: &Path, id: &str, attach: bool, input: bool) -> Result<(Value, Vec<OwnedFd>), Fault> {
    let Some((prepared, request)) = start::again(Container::find(root, id)?, &Host::read()?)? else {
        return Ok((json!({ "already": true }), Vec::new()));
    };
    let steps: Vec<String> = prepared.plan.about().iter().map(|step| format!("{:<13} {}: {}", step.name, step.what, step.syscalls.join(", "))).collect();
    let fds = if attach {
        vec![monitor::attached(prepared, &request, input && request.interactive)?]
    } else {
        monitor::detached(prepared, &request)?;
        Vec::new()
    };
    Ok((json!({ "already": false, "steps": steps }), fds))
}

fn exec(root: &Path, asked: &Command, socket: &OwnedFd) -> Result<(Value, Vec<OwnedFd>), Fault> {
    let container = Container::find(root, &asked.container)?;
    let request = &asked.request;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    if !request.tty {
        let (read, write) = if asked.input { relay::pipe()? } else { null()? };
        theirs.push(read);
        ours.push(write);
        for _ in 0..2 {
            let (read, write) = relay::pipe()?;
            theirs.push(write);
            ours.push(read);
        }
    }
    let started = enter::enter(&container, request, theirs, &Host::read()?)?;
    ours.extend(started.terminal);
    answer(socket, &json!({ "pid": started.process.pid() }), &ours)?;
    // The other ends are the daemon's alone: the command sees it when they are closed.
    drop(ours);
    let code = exit_code(started.process.ended().map_err(Error::from)?);
    enter::ended(&container, request, code);
    // A zombie in the container's pid namespace would keep its process 1 from ending.
    reap_any()?;
    Ok((json!({ "code": code }), Vec::new()))
}

/// Nothing to read, and nowhere to write.
fn null() -> Result<(OwnedFd, OwnedFd), SysError> {
    let open = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from).or_sys("open /dev/null");
    Ok((open()?, open()?))
}
