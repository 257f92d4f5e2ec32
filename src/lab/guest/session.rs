//! A session: one request on a port, a process, and its streams; one after another.
//!
//! Input and output have a thread each, as on the host, so that a program that reads nothing can
//! still write. A hang-up ends the process as a closed terminal would: SIGHUP, then SIGKILL.

use super::transfer;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError, pty, session};
use crate::lab::wire::{self, Kind, Request, What};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The processes of the sessions that are open, so that the control port can end one.
#[derive(Debug, Default)]
pub(super) struct Hangups {
    open: Mutex<BTreeMap<usize, (u64, Option<i32>)>>,
}

impl Hangups {
    /// Ends that session, if it is still the one on this port.
    pub(super) fn end(&self, port: usize, serial: u64) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, Some(leader))) = open.get(&port).filter(|(s, _)| *s == serial) {
            hang_up(*leader);
        }
    }

    fn opened(&self, port: usize, serial: u64, leader: Option<i32>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(port, (serial, leader));
    }

    fn closed(&self, port: usize) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&port);
    }
}

/// To the session's leader and its group; SIGCONT lets a stopped one hear it. What is still there
/// after a while is killed.
fn hang_up(leader: i32) {
    for signal in [Signal::SIGHUP, Signal::SIGCONT] {
        let _ = kill(Pid::from_raw(-leader), signal);
        let _ = kill(Pid::from_raw(leader), signal);
    }
    let Ok(process) = Pidfd::open(leader) else { return };
    std::thread::spawn(move || {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::try_from(Duration::from_secs(2)).unwrap_or(PollTimeout::MAX));
        let _ = process.signal(Signal::SIGKILL);
    });
}

type Port = Arc<Mutex<File>>;

fn send(port: &Port, kind: Kind, payload: &[u8]) {
    let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = wire::write(&mut *port, kind, payload);
}

/// Serves one port for ever: until the host's side of it is gone.
pub(super) fn serve(number: usize, mut port: File, hangups: &Hangups) {
    let Ok(out) = port.try_clone() else { return };
    let out = Arc::new(Mutex::new(out));
    let mut serial = 0;
    while let Ok(Some((kind, payload))) = wire::read(&mut port) {
        if kind != Kind::Open {
            continue;
        }
        serial += 1;
        let request = serde_json::from_slice(&payload).unwrap_or_default();
        match begin(&request, &out) {
            Ok(session) => {
                hangups.opened(number, serial, session.leader);
                input(&mut port, session.leader, session.input, session.terminal);
                hangups.closed(number);
            }
            Err(error) => {
                send(&out, Kind::Errors, format!("drydock: {error}\r\n").as_bytes());
                send(&out, Kind::Exit, &code_of(&error).to_le_bytes());
                input(&mut port, None, None, None);
            }
        }
    }
}

/// As a shell tells it: 127 is not found, 126 cannot be run.
fn code_of(error: &SysError) -> i32 {
    match error.errno {
        Errno::ENOENT => 127,
        _ => 126,
    }
}

/// A session that runs.
struct Session {
    /// Its first process; a transfer has none.
    leader: Option<i32>,
    input: Option<Box<dyn Write>>,
    terminal: Option<OwnedFd>,
}

/// Starts what is asked for; threads of their own send what it prints, and its exit code at the end.
fn begin(request: &Request, out: &Port) -> Result<Session, SysError> {
    match &request.what {
        What::Put(folder) => return Ok(transferring(transfer::put(folder), out)),
        What::Get(path) => return Ok(transferring(transfer::get(path, sender(out)), out)),
        What::Shell | What::Run(_) => {}
    }
    let mut command = command(request)?;
    match request.terminal {
        Some((rows, columns)) => on_terminal(&mut command, pty::Size { rows, columns }, out),
        None => on_pipes(&mut command, out),
    }
}

fn command(request: &Request) -> Result<Command, SysError> {
    let shell = ["/usr/bin/bash", "/bin/bash", "/bin/sh"].into_iter().find(|s| Path::new(s).exists()).unwrap_or("/bin/sh");
    let mut command = match &request.what {
        // Where one left off, then a shell to work in: what a learner types on a machine of their own.
        What::Shell => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "drydock; exec drydock shell"]);
            command
        }
        What::Run(words) => {
            let (program, arguments) = words.split_first().ok_or_else(|| SysError::new("run nothing", Errno::ENOENT))?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        What::Put(_) | What::Get(_) => return Err(SysError::new("run a transfer", Errno::EINVAL)),
    };
    command.envs(request.environment.iter().map(|(k, v)| (k, v))).env("SHELL", shell).env("DRYDOCK_LAB", "1").current_dir("/root");
    Ok(command)
}

fn on_terminal(command: &mut Command, size: pty::Size, out: &Port) -> Result<Session, SysError> {
    let (master, slave) = pty::pair()?;
    pty::set_size(&master, size)?;
    let child = session::start(command, slave)?;
    // The command held a copy of the slave; without it gone, the master never ends.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let leader = i32::try_from(child.id()).ok();
    let reader = File::from(master.try_clone().or_sys("keep the terminal")?);
    let writer = File::from(master.try_clone().or_sys("keep the terminal")?);
    let out = Arc::clone(out);
    std::thread::spawn(move || {
        let pump = { let out = Arc::clone(&out); std::thread::spawn(move || pump(reader, &out, Kind::Output)) };
        let code = wait(child);
        // A daemon that kept the terminal open holds nobody up.
        give_a_moment(&pump);
        send(&out, Kind::Exit, &code.to_le_bytes());
    });
    Ok(Session { leader, input: Some(Box::new(writer)), terminal: Some(master) })
}

fn on_pipes(command: &mut Command, out: &Port) -> Result<Session, SysError> {
    use std::os::unix::process::CommandExt;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let shown = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().or_sys_with(|| format!("run {shown}"))?;
    let leader = i32::try_from(child.id()).ok();
    let input: Option<Box<dyn Write>> = child.stdin.take().map(|i| Box::new(i) as Box<dyn Write>);
    let streams: Vec<(Box<dyn Read + Send>, Kind)> = vec![
        (Box::new(child.stdout.take().ok_or_else(|| SysError::new("read what it prints", Errno::EBADF))?), Kind::Output),
        (Box::new(child.stderr.take().ok_or_else(|| SysError::new("read what it prints", Errno::EBADF))?), Kind::Errors),
    ];
    let out = Arc::clone(out);
    std::thread::spawn(move || {
        let pumps: Vec<_> = streams.into_iter().map(|(from, kind)| { let out = Arc::clone(&out); std::thread::spawn(move || pump(from, &out, kind)) }).collect();
        let code = wait(child);
        pumps.iter().for_each(give_a_moment);
        send(&out, Kind::Exit, &code.to_le_bytes());
    });
    Ok(Session { leader, input, terminal: None })
}

/// A file's bytes come or go: no process, and the input ends it.
fn transferring(transfer: transfer::Transfer, out: &Port) -> Session {
    let out = Arc::clone(out);
    let ended = transfer.ended;
    std::thread::spawn(move || {
        let code: i32 = match ended.recv() {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => { send(&out, Kind::Errors, format!("drydock: {error}\n").as_bytes()); 1 }
            Err(_) => 1,
        };
        send(&out, Kind::Exit, &code.to_le_bytes());
    });
    Session { leader: None, input: transfer.input, terminal: None }
}

fn sender(out: &Port) -> impl FnMut(&[u8]) + Send + 'static {
    let out = Arc::clone(out);
    move |bytes: &[u8]| send(&out, Kind::Output, bytes)
}

fn pump(mut from: impl Read, out: &Port, kind: Kind) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: the last process on a terminal has closed it.
            Ok(0) | Err(_) => return,
            Ok(n) => send(out, kind, &buffer[..n]),
        }
    }
}

/// What the process wrote is in its pipes still: reading them to their end takes a moment, and for
/// ever where a background process holds them.
fn give_a_moment(pump: &std::thread::JoinHandle<()>) {
    for _ in 0..50 {
        if pump.is_finished() {
            return;
        }
        std::thread::sleep(Duration::from_millis(if cfg!(test) { 1 } else { 4 }));
    }
}

fn wait(mut child: Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    child.wait().map_or(255, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)))
}

/// Passes the host's frames on until its hang-up, which closes every session.
fn input(port: &mut File, leader: Option<i32>, mut to: Option<Box<dyn Write>>, terminal: Option<OwnedFd>) {
    while let Ok(Some((kind, payload))) = wire::read(port) {
        match kind {
            Kind::Input => {
                if to.as_mut().is_some_and(|t| t.write_all(&payload).is_err()) {
                    to = None;
                }
            }
            Kind::InputEnd => match &terminal {
                // What Ctrl-D is to a terminal.
                Some(_) => drop(to.as_mut().map(|t| t.write_all(&[4]))),
                None => to = None,
            },
            Kind::Resize => {
                if let (Some(terminal), [a, b, c, d]) = (&terminal, payload.as_slice()) {
                    let _ = pty::set_size(terminal, pty::Size { rows: u16::from_le_bytes([*a, *b]), columns: u16::from_le_bytes([*c, *d]) });
                }
            }
            Kind::Hangup => break,
            _ => {}
        }
    }
    if let Some(leader) = leader.filter(|pid| Pidfd::open(*pid).is_ok()) {
        hang_up(leader);
    }
}
