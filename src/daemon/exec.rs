//! Commands in running containers: made, started, looked at. What was made and not started is known to
//! nobody but this daemon; a client that goes away takes nothing with it but its streams.

use super::child::Worker;
use super::containers::{find, window};
use super::fault::Fault;
use super::http::{Asked, Reply, empty, json};
use super::order::{Command, Order};
use super::stream::{Client, Wanted, hijack, part, read, typed};
use super::Daemon;
use crate::engine::container::Status;
use crate::engine::{enter, find::fresh_id, life, pause};
use crate::kernel::readiness::watched;
use crate::kernel::pty::set_size;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// So many that have ended are remembered, for whoever asks how.
const KEPT: usize = 256;

/// Those that are known, by their ids.
#[derive(Default)]
pub(super) struct Execs(Mutex<HashMap<String, Exec>>);

#[derive(Debug, Clone)]
struct Exec {
    command: Command,
    streams: (bool, bool, bool),
    running: bool,
    pid: i64,
    code: Option<i64>,
    terminal: Option<Arc<OwnedFd>>,
    size: Option<(u16, u16)>,
    /// The more, the younger.
    number: usize,
}

impl Execs {
    /// Ids of those in a container that have not ended.
    pub fn of(&self, container: &str) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, e)| e.command.container == container && e.code.is_none()).map(|(id, _)| id.clone()).collect()
    }

    fn get(&self, id: &str) -> Result<Exec, Fault> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).cloned().ok_or_else(|| Fault::new(404, format!("No such exec instance: {id}")))
    }

    fn change(&self, id: &str, with: impl FnOnce(&mut Exec)) {
        if let Some(exec) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(id) {
            with(exec);
        }
    }

    fn add(&self, id: &str, mut exec: Exec) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exec.number = all.values().map(|e| e.number + 1).max().unwrap_or(0);
        if all.len() >= KEPT
            && let Some(oldest) = all.iter().filter(|(_, e)| !e.running).min_by_key(|(_, e)| e.number).map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        all.insert(id.to_owned(), exec);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Create {
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    env: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    privileged: bool,
    user: String,
    working_dir: String,
    console_size: Option<(u16, u16)>,
}

/// `POST /containers/ID/exec`.
pub(super) async fn create(daemon: &Arc<Daemon>, mut asked: Asked, id: &str) -> Reply {
    let wanted: Create = asked.document().await?;
    let container = find(daemon, id).await?;
    if container.status() != Status::Running {
        return Err(Fault::new(409, format!("container {} is not running", container.id())));
    }
    if pause::is_paused(&container) {
        return Err(Fault::new(409, format!("Container {id} is paused, unpause the container before exec")));
    }
    let command = wanted.cmd.filter(|c| !c.is_empty()).ok_or_else(|| Fault::bad("No exec command specified"))?;
    let id = fresh_id()?;
    let request = enter::Request {
        command,
        env: wanted.env.unwrap_or_default(),
        workdir: Some(wanted.working_dir).filter(|w| !w.is_empty()).map(Into::into),
        user: Some(wanted.user).filter(|u| !u.is_empty()),
        tty: wanted.tty,
        privileged: wanted.privileged,
        id: id.clone(),
    };
    let command = Command { container: container.id().to_owned(), request, input: wanted.attach_stdin };
    let streams = (wanted.attach_stdin, wanted.attach_stdout, wanted.attach_stderr);
    daemon.execs.add(&id, Exec { command, streams, running: false, pid: 0, code: None, terminal: None, size: wanted.console_size, number: 0 });
    json(201, &json!({ "Id": id }))
}

/// `/exec/ID/…`.
pub(super) async fn answer(daemon: &Arc<Daemon>, asked: Asked, id: &str, what: &str) -> Reply {
    let exec = daemon.execs.get(id)?;
    match what {
        "json" => json(200, &document(id, &exec)),
        "start" => start(daemon, asked, id, exec).await,
        "resize" => {
            let size = window(&asked)?;
            match &exec.terminal {
                Some(terminal) => set_size(terminal.as_fd(), size)?,
                None if exec.running => {}
                None => return Err(Fault::new(409, format!("exec process {id} is not running"))),
            }
            empty(200)
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

fn document(id: &str, exec: &Exec) -> serde_json::Value {
    let Command { container, request, .. } = &exec.command;
    let (entrypoint, arguments) = request.command.split_first().map_or((String::new(), Vec::new()), |(e, a)| (e.clone(), a.to_vec()));
    json!({
        "ID": id,
        "Running": exec.running,
        "ExitCode": exec.code,
        "ProcessConfig": { "tty": request.tty, "entrypoint": entrypoint, "arguments": arguments, "privileged": request.privileged, "user": request.user.clone().unwrap_or_default() },
        "OpenStdin": exec.streams.0,
        "OpenStdout": exec.streams.1,
        "OpenStderr": exec.streams.2,
        "CanRemove": exec.code.is_some(),
        "ContainerID": container,
        "DetachKeys": "",
        "Pid": exec.pid,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Start {
    detach: bool,
    tty: Option<bool>,
    console_size: Option<(u16, u16)>,
}

async fn start(daemon: &Arc<Daemon>, mut asked: Asked, id: &str, exec: Exec) -> Reply {
    let wanted: Start = asked.document().await?;
    if exec.running || exec.code.is_some() {
        return Err(Fault::new(409, format!("Error: Exec command {id} is already running")));
    }
    let tty = wanted.tty.unwrap_or(false) || exec.command.request.tty;
    let container = find(daemon, &exec.command.container).await.map_err(|_| Fault::new(409, format!("container {} is not running", exec.command.container)))?;
    life::process(&container).map_err(|_| Fault::new(409, format!("container {} is not running", container.id())))?;
    let request = enter::Request { tty, ..exec.command.request.clone() };
    let command = Command { request, input: exec.command.input && !wanted.detach, ..exec.command.clone() };
    daemon.execs.change(id, |e| e.running = true);
    let started = async {
        let mut worker = Worker::start(daemon, &Order::Exec(command)).await?;
        let answer = worker.answer().await?;
        Ok::<_, Fault>((worker, answer))
    };
    let (worker, answer) = started.await.inspect_err(|_| daemon.execs.change(id, |e| (e.running, e.code) = (false, Some(126))))?;
    let fds = answer.fds;
    let terminal = if tty { fds.first().and_then(|fd| fd.try_clone().ok()).map(Arc::new) } else { None };
    if let (Some(terminal), Some((rows, columns))) = (&terminal, wanted.console_size.or(exec.size)) {
        let _ = set_size(terminal.as_fd(), crate::kernel::pty::Size { rows, columns });
    }
    daemon.execs.change(id, |e| (e.pid, e.terminal) = (answer.document["pid"].as_i64().unwrap_or(0), terminal));
    let ended = noted(daemon, id, worker);
    if wanted.detach {
        tokio::spawn(async move {
            let ended = tokio::spawn(ended);
            // Read and forgotten, or it would stand still when the pipe is full.
            let _ = relay(None, fds, tty).await;
            let _ = ended.await;
        });
        return empty(200);
    }
    let (response, client) = hijack(&mut asked, Wanted { tty, out: exec.streams.1, err: exec.streams.2 });
    tokio::spawn(async move {
        let ended = tokio::spawn(ended);
        let left = relay(client.await.ok(), fds, tty).await;
        // Who hears that it is over asks how it ended at once.
        let _ = ended.await;
        if let Some((mut client, typing)) = left {
            part(&mut client.to, typing).await;
        }
    });
    Ok(response)
}

/// Waits for its end, and notes it.
fn noted(daemon: &Arc<Daemon>, id: &str, mut worker: Worker) -> impl Future<Output = ()> + Send + use<> {
    let (daemon, id) = (Arc::clone(daemon), id.to_owned());
    async move {
        let code = worker.answer().await.ok().and_then(|a| a.document["code"].as_i64());
        daemon.execs.change(&id, |e| (e.running, e.code, e.terminal, e.pid) = (false, Some(code.unwrap_or(137)), None, 0));
    }
}

/// Carries bytes both ways until the command writes no more; nothing is sent where nobody is.
async fn relay(client: Option<Client>, fds: Vec<OwnedFd>, tty: bool) -> Option<(Client, tokio::task::JoinHandle<()>)> {
    let mut fds = fds.into_iter();
    let first = fds.next();
    let mut client = client;
    let from = client.as_mut().map(|c| std::mem::replace(&mut c.from, Box::new(tokio::io::empty())));
    let (input, outs): (Option<OwnedFd>, Vec<OwnedFd>) = if tty { (first.as_ref().and_then(|f| f.try_clone().ok()), first.into_iter().collect()) } else { (first, fds.collect()) };
    let typing = from.map(|from| tokio::spawn(typed(from, input.and_then(|fd| watched(fd).ok()))));
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<(u8, Vec<u8>)>(4);
    for (number, fd) in (1..).zip(outs) {
        let (Ok(fd), sender) = (watched(fd), sender.clone()) else { continue };
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 << 10];
            loop {
                let n = tokio::select! {
                    () = sender.closed() => return,
                    n = read(&fd, &mut buffer) => n,
                };
                if n == 0 || sender.send((number, buffer[..n].to_vec())).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut gone: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match &mut client {
        Some(client) => Box::pin(client.gone()),
        None => Box::pin(std::future::pending()),
    };
    loop {
        let heard = tokio::select! {
            () = &mut gone => break,
            heard = receiver.recv() => heard,
        };
        let Some((stream, content)) = heard else { break };
        if let Some(client) = &mut client
            && !client.to.send(stream, &content).await
        {
            break;
        }
    }
    client.zip(typing)
}
