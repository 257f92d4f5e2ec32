//! A session: one request on a port, a process, and its streams; one after another.
//!
//! Input and output have a thread each, as on the host, so that a program that reads nothing can
//! still write. A hang-up ends the process as a closed terminal would: SIGHUP, then SIGKILL.

use super::transfer;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError, pty, session};
use crate::lab::wire::{self, Kind, Request, What};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a session that is open is ended by.
#[derive(Debug)]
enum Open {
    /// Signals to its first process and that one's group. In the table the process is not reaped, so
    /// its number is nobody else's.
    Process(i32),
    /// A flag that a transfer looks at.
    Transfer(Arc<AtomicBool>),
}

/// The sessions that are open, by their port, so that the control port can end one.
#[derive(Debug, Default)]
pub(super) struct Hangups {
    open: Mutex<BTreeMap<usize, (u64, Open)>>,
}

impl Hangups {
    /// Ends that session, if it is still the one on this port.
    pub(super) fn end(&self, port: usize, serial: u64) {
        match self.table().get(&port) {
            Some((s, Open::Process(leader))) if *s == serial => hang_up(*leader),
            Some((s, Open::Transfer(stop))) if *s == serial => stop.store(true, Ordering::SeqCst),
            _ => {}
        }
    }

    fn opened(&self, port: usize, serial: u64, open: Open) {
        self.table().insert(port, (serial, open));
    }

    fn closed(&self, port: usize) {
        self.table().remove(&port);
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<usize, (u64, Open)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To the session's leader and its group; SIGCONT lets a stopped one hear it. What is still there
/// after a while is killed.
fn hang_up(leader: i32) {
    let Ok(process) = Pidfd::open(leader) else { return };
    for signal in [Signal::SIGHUP, Signal::SIGCONT] {
        let _ = kill(Pid::from_raw(-leader), signal);
        let _ = process.signal(signal);
    }
    std::thread::spawn(move || {
        ends_within(&process, PollTimeout::try_from(Duration::from_secs(2)).unwrap_or(PollTimeout::MAX));
        let _ = process.signal(Signal::SIGKILL);
    });
}

fn ends_within(process: &Pidfd, within: PollTimeout) {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, within) == Err(Errno::EINTR) {}
}

type Port = Arc<Mutex<File>>;

fn send(port: &Port, kind: Kind, payload: &[u8]) {
    let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = wire::write(&mut *port, kind, payload);
}

/// One port's place among the others: what a session needs to be found, and to be forgotten.
#[derive(Clone)]
struct Slot {
    number: usize,
    serial: u64,
    hangups: Arc<Hangups>,
    out: Port,
}

/// Serves one port for ever: until the host's side of it is gone.
pub(super) fn serve(number: usize, mut port: File, hangups: &Arc<Hangups>) {
    let Ok(out) = port.try_clone() else { return };
    let mut slot = Slot { number, serial: 0, hangups: Arc::clone(hangups), out: Arc::new(Mutex::new(out)) };
    while let Ok(Some((kind, payload))) = wire::read(&mut port) {
        if kind != Kind::Open {
            continue;
        }
        slot.serial += 1;
        let request = serde_json::from_slice(&payload).unwrap_or_default();
        match begin(&request, &slot) {
            Ok(session) => input(&mut port, session),
            Err(error) => {
                send(&slot.out, Kind::Errors, format!("drydock: {error}\r\n").as_bytes());
                send(&slot.out, Kind::Exit, &code_of(&error).to_le_bytes());
                input(&mut port, Session { input: None, terminal: None });
            }
        }
        slot.hangups.end(number, slot.serial);
    }
}

/// As a shell tells it: 127 is not found, 126 cannot be run.
fn code_of(error: &SysError) -> i32 {
    match error.errno {
        Errno::ENOENT => 127,
        _ => 126,
    }
}

/// A session that runs: where its input goes.
struct Session {
    input: Option<Box<dyn Write>>,
    terminal: Option<OwnedFd>,
}

/// Starts what is asked for; threads of their own send what it prints, and its exit code at the end.
fn begin(request: &Request, slot: &Slot) -> Result<Session, SysError> {
    match &request.what {
        What::Put(folder) => return Ok(transferring(transfer::put(folder), slot)),
        What::Get(path) => {
            let out = Arc::clone(&slot.out);
            return Ok(transferring(transfer::get(path, move |bytes| send(&out, Kind::Output, bytes)), slot));
        }
        What::Shell | What::Run(_) => {}
    }
    let mut command = command(request)?;
    match request.terminal {
        Some((rows, columns)) => on_terminal(&mut command, pty::Size { rows, columns }, slot),
        None => on_pipes(&mut command, slot),
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

fn on_terminal(command: &mut Command, size: pty::Size, slot: &Slot) -> Result<Session, SysError> {
    let (master, slave) = pty::pair()?;
    pty::set_size(&master, size)?;
    let child = session::start(command, slave)?;
    // The command held a copy of the slave; without it gone, the master never ends.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let copy = || master.try_clone().or_sys("keep the terminal");
    let (reader, writer) = (copy()?, File::from(copy()?));
    follow(child, vec![(reader, Kind::Output)], slot)?;
    Ok(Session { input: Some(Box::new(writer)), terminal: Some(master) })
}

fn on_pipes(command: &mut Command, slot: &Slot) -> Result<Session, SysError> {
    use std::os::unix::process::CommandExt;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let shown = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().or_sys_with(|| format!("run {shown}"))?;
    let input = child.stdin.take().map(|i| Box::new(i) as Box<dyn Write>);
    let out = child.stdout.take().map(|o| (OwnedFd::from(o), Kind::Output));
    let errors = child.stderr.take().map(|e| (OwnedFd::from(e), Kind::Errors));
    follow(child, out.into_iter().chain(errors).collect(), slot)?;
    Ok(Session { input, terminal: None })
}

/// Sends what the process prints, then its exit code. All that it printed comes before the code, and
/// nothing after it: what it left in the background writes to nobody's session.
fn follow(mut child: Child, streams: Vec<(OwnedFd, Kind)>, slot: &Slot) -> Result<(), SysError> {
    let leader = i32::try_from(child.id()).unwrap_or(-1);
    let process = Pidfd::open(leader)?;
    // The agent is spared when memory runs out (see there); what it starts is not.
    let _ = std::fs::write(format!("/proc/{leader}/oom_score_adj"), "0");
    let (over, end) = std::io::pipe().or_sys("make a pipe")?;
    let mut pumps = Vec::new();
    for (from, kind) in streams {
        let (over, out) = (over.try_clone().or_sys("keep a pipe")?, Arc::clone(&slot.out));
        pumps.push(std::thread::spawn(move || pump(File::from(from), &over, &out, kind)));
    }
    slot.hangups.opened(slot.number, slot.serial, Open::Process(leader));
    let slot = slot.clone();
    std::thread::spawn(move || {
        ends_within(&process, PollTimeout::NONE);
        // Out of the table before it is reaped, and its number given to another.
        slot.hangups.closed(slot.number);
        let status = child.wait();
        drop(end);
        for pump in pumps {
            let _ = pump.join();
        }
        let code = status.map_or(255, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0)));
        send(&slot.out, Kind::Exit, &code.to_le_bytes());
    });
    Ok(())
}

/// Sends what comes, until its end; or, once the process is over, until nothing more is there. The
/// pipe `over` closes at that moment. Sending waits for as long as the host does not read.
fn pump(mut from: File, over: &PipeReader, out: &Port, kind: Kind) {
    let mut buffer = vec![0; 32 << 10];
    // What may be left in a pipe or a terminal, with room to spare; a background process that goes on
    // writing is not waited for.
    let mut left_after_the_end = 64;
    loop {
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN), PollFd::new(over.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {
            continue;
        }
        let is = |i: usize| fds[i].revents().is_some_and(|r: PollFlags| !r.is_empty());
        let (readable, is_over) = (is(0), is(1));
        if is_over {
            left_after_the_end -= 1;
        }
        if !readable || left_after_the_end == 0 {
            return;
        }
        match from.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            // EIO: the last process on a terminal has closed it.
            Ok(0) | Err(_) => return,
            Ok(n) => send(out, kind, &buffer[..n]),
        }
    }
}

/// A file's bytes come or go: no process. One that was hung up may be stuck in a file that never
/// ends; its thread is left behind, and sends nothing more.
fn transferring(transfer: transfer::Transfer, slot: &Slot) -> Session {
    let transfer::Transfer { input, ended, stop } = transfer;
    slot.hangups.opened(slot.number, slot.serial, Open::Transfer(Arc::clone(&stop)));
    let slot = slot.clone();
    std::thread::spawn(move || {
        let code: i32 = loop {
            match ended.recv_timeout(Duration::from_millis(500)) {
                Ok(Ok(())) => break 0,
                Ok(Err(error)) => {
                    send(&slot.out, Kind::Errors, format!("drydock: {error}\n").as_bytes());
                    break 1;
                }
                Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::SeqCst) => {}
                Err(_) => break 1,
            }
        };
        stop.store(true, Ordering::SeqCst);
        slot.hangups.closed(slot.number);
        send(&slot.out, Kind::Exit, &code.to_le_bytes());
    });
    Session { input, terminal: None }
}

/// Passes the host's frames on until its hang-up, which closes every session.
fn input(port: &mut File, session: Session) {
    let Session { input: mut to, terminal } = session;
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
}
