//! Attaching to containers: by their door, from their beginning where somebody attaches before the start,
//! and by the log where they have no door.
//!
//! Docker's client attaches to a container that it has made, and starts it then. Who waits so is kept
//! here until the start, which hands him the container's streams from the first byte on.

use super::fault::Fault;
use super::http::{Asked, Reply, apart};
use super::stream::{Client, Wanted, hijack, part, receive, typed};
use super::{Daemon, logs};
use crate::engine::container::{Container, Status};
use crate::engine::visit;
use crate::kernel::readiness::watched;
use crate::kernel::pty::{Size, set_size};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// Who waits for a start: whether he types, and how he is reached.
type Guest = (bool, oneshot::Sender<Option<OwnedFd>>);

/// Who waits for which container to start.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<String, Vec<Guest>>>);

impl Waiting {
    fn add(&self, id: &str, input: bool) -> oneshot::Receiver<Option<OwnedFd>> {
        let (sender, receiver) = oneshot::channel();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().for_each(|guests| guests.retain(|(_, sender)| !sender.is_closed()));
        all.retain(|_, guests| !guests.is_empty());
        all.entry(id.to_owned()).or_default().push((input, sender));
        receiver
    }

    /// Those who wait for this one; who types comes first.
    pub fn take(&self, id: &str) -> Vec<Guest> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id).unwrap_or_default();
        guests.retain(|(_, sender)| !sender.is_closed());
        guests.sort_by_key(|(input, _)| !input);
        guests
    }
}

/// `POST /containers/ID/attach`.
pub(super) async fn attach(daemon: &Arc<Daemon>, mut asked: Asked, id: &str) -> Reply {
    let (root, name) = (daemon.settings.root.clone(), id.to_owned());
    let container = apart(move || Ok(Container::find(&root, &name)?)).await?;
    let wanted = Wanted { tty: container.record.tty, out: asked.is("stdout"), err: asked.is("stderr") };
    let (stream, input, logs) = (asked.is("stream"), asked.is("stdin"), asked.is("logs"));
    let running = container.status() == Status::Running;
    let waits = (stream && !running).then(|| daemon.attached.add(container.id(), input));
    let (response, client) = hijack(&mut asked, wanted);
    tokio::spawn(async move {
        let Ok(mut client) = client.await else { return };
        if logs && !logs::all(&container, &mut client.to).await {
            return;
        }
        if !stream {
            return client.to.end().await;
        }
        let gone = client.gone();
        tokio::select! {
            () = gone => {}
            () = visit(container, client, waits, input) => {}
        }
    });
    Ok(response)
}

async fn visit(container: Container, mut client: Client, waits: Option<oneshot::Receiver<Option<OwnedFd>>>, input: bool) {
    let socket = match waits {
        Some(waits) => match waits.await {
            Ok(socket) => socket,
            // It could not be started, and who started it was told why.
            Err(_) => return client.to.end().await,
        },
        None => visit::knock(&container).ok().flatten(),
    };
    container.say("attach", []);
    match socket {
        Some(socket) => by_door(socket, client, input).await,
        None => by_log(container, client, input).await,
    }
}

/// By its door: frames with the length in the machine's order, see `engine::monitor::door`.
async fn by_door(socket: OwnedFd, mut client: Client, input: bool) {
    let socket = std::os::unix::net::UnixStream::from(socket);
    let Ok(socket) = socket.set_nonblocking(true).and_then(|()| UnixStream::from_std(socket)) else { return };
    let mut byte = [0];
    let Ok((1, mut fds)) = receive(&socket, &mut byte).await else { return client.to.end().await };
    let given = fds.pop().filter(|_| input && byte[0] == b'i').and_then(|fd| watched(fd).ok());
    let typing = tokio::spawn(typed(client.from, given));
    let mut from = tokio::io::BufReader::with_capacity(1 << 16, socket);
    let mut content = Vec::new();
    loop {
        let mut head = [0; 5];
        if from.read_exact(&mut head).await.is_err() || head[0] == 0 {
            break;
        }
        content.resize(u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize, 0);
        if from.read_exact(&mut content).await.is_err() || !client.to.send(head[0], &content).await {
            break;
        }
    }
    part(&mut client.to, typing).await;
}

/// Of one that was started with nobody there: what it writes into its log from now on.
async fn by_log(container: Container, mut client: Client, input: bool) {
    let path = container.folder().join("stdin");
    let open = || std::fs::File::options().write(true).open(&path).ok();
    let given = if input { open().and_then(|file| watched(file.into()).ok()) } else { None };
    let typing = tokio::spawn(typed(client.from, given));
    logs::follow(container, &mut client.to).await;
    part(&mut client.to, typing).await;
}

/// `POST /containers/ID/resize`: the window of its terminal.
pub(super) fn resize(container: &Container, size: Size) -> Result<(), Fault> {
    let nothing = || Fault::new(409, format!("container {} is not running", container.name()));
    if container.status() != Status::Running {
        return Err(nothing());
    }
    let Some(socket) = visit::knock(container)? else { return Ok(()) };
    match visit::greeting(&socket)? {
        Some((_, Some(terminal))) => Ok(set_size(terminal.as_fd(), size)?),
        _ => Ok(()),
    }
}
