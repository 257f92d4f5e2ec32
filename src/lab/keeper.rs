//! The keeper: the process that a lab belongs to, in the background of its first terminal.
//!
//! It packs and boots, waits for the guest's hello (under KVM only a short time: see [`qemu`]), then
//! joins each terminal that connects to a port of its own. When the last terminal has gone, or at
//! `lab stop`, it has the guest power off. QEMU is its child and dies with it; a keeper that was
//! killed leaves a disk that the guest's journal puts right.

use super::qemu::{self, Acceleration, Machine, Running};
use super::relay::{self, Ports};
use super::share::{Served, Share};
use super::wire::{self, Hello, Kind, Status};
use super::{Error, Place, disk, fetch, pack, vmlinuz};
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a guest under KVM may take to answer. It takes well below a second where KVM works.
const KVM_PATIENCE: Duration = Duration::from_secs(4);

/// How long one in software may take, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the other end of the control port may leave a frame half said, or not read.
const CONTROL: Duration = Duration::from_secs(5);

/// What is said of a guest that does not answer.
const TIMED_OUT: &str = "its guest did not answer in time";

/// How long a guest may take to power off before it is ended.
const FAREWELL: Duration = Duration::from_secs(30);

/// What a lab is to be.
#[derive(Debug, Clone)]
pub struct Keep {
    /// Where it keeps its things.
    pub place: Place,
    /// A boot image instead of those that would be found.
    pub kernel: Option<PathBuf>,
    /// MiB.
    pub memory: u32,
    /// One of them only, instead of a try.
    pub acceleration: Option<Acceleration>,
    /// Folders of the host that the guest may see.
    pub shares: Vec<Share>,
    /// Stays when the last terminal has gone.
    pub stay: bool,
    /// How far the learner is, for the guest.
    pub progress: Vec<u8>,
}

/// What the keeper has to say while it boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A line for the learner.
    Note(String),
    /// The guest is up, and terminals can connect.
    Up(Status),
}

/// Boots the lab and stays with it until it ends. The caller holds the place's lock; `said` hears
/// how the boot goes and answers whether anybody still listens, `took` gets each progress that the
/// guest sends, and must not take long.
pub fn keep(keep: &Keep, said: &mut dyn FnMut(Said) -> bool, took: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    sweep(&keep.place);
    keep.place.note_cut_off(false);
    qemu::program()?;
    disk::make(&keep.place)?;
    let mut kernels = kernels(keep, said)?.into_iter().peekable();
    let result = loop {
        let Some(kernel) = kernels.next() else { break Err(Error::NoKernel { refused: Vec::new() }) };
        match (packed(keep, &kernel).and_then(|packed| Ok((boot(keep, &kernel, said)?, packed))), kernels.peek()) {
            (Ok((lab, packed)), _) => {
                pack::forget(&keep.place)?;
                break stay(keep, lab, packed, said, took);
            }
            // One kernel may lack what another has.
            (Err(error @ Error::NotUp { .. }), Some(_)) => {
                said(Said::Note(format!("{} did not get far ({error}); trying another kernel", kernel.image.display())));
            }
            (Err(error), _) => break Err(error),
        }
    };
    let _ = pack::forget(&keep.place);
    let _ = std::fs::remove_file(keep.place.run().join("socket"));
    result
}

/// What a keeper that was killed left half made.
fn sweep(place: &Place) {
    for folder in [place.folder().to_owned(), place.kernels()] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("disk.new") {
                let _ = std::fs::remove_file(entry.path());
            } else if name.starts_with(".aside-") || name.starts_with("compare-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The kernels to try, one after another; one is fetched where there is none.
fn kernels(keep: &Keep, said: &mut dyn FnMut(Said) -> bool) -> Result<Vec<vmlinuz::Kernel>, Error> {
    match vmlinuz::Kernel::find(&keep.place, keep.kernel.as_deref()) {
        // The package client knows how to get one; where it cannot, what is missing here is said first.
        Err(Error::NoKernel { refused }) => match fetch::fetch(&keep.place, &mut |line| {
            let _ = said(Said::Note(line.to_owned()));
        }) {
            Ok(_) => vmlinuz::Kernel::find(&keep.place, None),
            Err(error) => Err(Error::NoKernel { refused: refused.into_iter().chain([error.to_string()]).collect() }),
        },
        other => other,
    }
}

/// Packs the initramfs; gives what the guest boots from, in bytes.
fn packed(keep: &Keep, kernel: &vmlinuz::Kernel) -> Result<u64, Error> {
    let length = pack::pack(&keep.place, kernel, &pack::path(&keep.place))?;
    let least = pack::least_memory(length);
    if keep.memory < least {
        return Err(Error::LittleMemory { memory: keep.memory, least });
    }
    Ok(length + std::fs::metadata(&kernel.image).map_or(0, |m| m.len()))
}

/// A guest that has said hello.
struct Lab {
    running: Running,
    acceleration: Acceleration,
    boot: Duration,
    hello: Hello,
    /// The file servers end with the lab.
    _served: Vec<Served>,
}

fn boot(keep: &Keep, kernel: &vmlinuz::Kernel, said: &mut dyn FnMut(Said) -> bool) -> Result<Lab, Error> {
    let why_not = match keep.acceleration {
        Some(Acceleration::Tcg) => "as you asked".to_owned(),
        Some(Acceleration::Kvm) => return attempt(keep, kernel, Acceleration::Kvm, PATIENCE),
        None => match qemu::kvm(&keep.place) {
            Err(why) => why,
            Ok(()) => match attempt(keep, kernel, Acceleration::Kvm, KVM_PATIENCE) {
                Ok(lab) => return Ok(lab),
                Err(Error::NotUp { problem, .. }) if problem == TIMED_OUT => {
                    qemu::kvm_hung(&keep.place);
                    "a guest did not answer under /dev/kvm; --accel kvm insists".to_owned()
                }
                Err(Error::NotUp { problem, .. }) => format!("under /dev/kvm {problem}"),
                Err(error) => return Err(error),
            },
        },
    };
    said(Said::Note(format!("the processor is emulated in software ({why_not}): a few times slower, and otherwise the same")));
    attempt(keep, kernel, Acceleration::Tcg, PATIENCE)
}

/// Starts QEMU and waits for the hello; whatever comes instead ends it.
fn attempt(keep: &Keep, kernel: &vmlinuz::Kernel, acceleration: Acceleration, patience: Duration) -> Result<Lab, Error> {
    let begun = Instant::now();
    // Begun anew for each attempt: a file server ends with the QEMU that it served.
    let served = keep.shares.iter().map(|s| s.serve(&keep.place)).collect::<Result<Vec<Served>, Error>>()?;
    let machine = Machine {
        kernel: &kernel.image,
        initramfs: &pack::path(&keep.place),
        disk: &keep.place.disk(),
        memory: keep.memory,
        shared: served.iter().map(Served::shared).collect(),
    };
    let log = keep.place.run().join("qemu.log");
    let mut running = qemu::start(&machine, acceleration, &keep.place.console(), &log)?;
    match hello(&mut running, begun + patience) {
        Ok(hello) => Ok(Lab { running, acceleration, boot: begun.elapsed(), hello, _served: served }),
        Err(problem) => {
            end(&mut running.qemu);
            let lines = |path: &std::path::Path| {
                let text = std::fs::read(path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let mut last: Vec<String> = text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect();
                last.drain(..last.len().saturating_sub(3));
                last
            };
            let mut said = lines(&log);
            said.extend(lines(&keep.place.console()));
            Err(Error::NotUp { problem, said })
        }
    }
}

fn hello(running: &mut Running, end: Instant) -> Result<Hello, String> {
    let qemu = Pidfd::open(i32::try_from(running.qemu.id()).unwrap_or(-1)).map_err(|e| e.to_string())?;
    let control = &mut running.ports[0];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(qemu.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(TIMED_OUT.into()),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(e) => return Err(format!("it cannot be waited for: {e}")),
            Ok(_) => {}
        }
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
        if ready(&fds[0]) {
            match wire::read(control) {
                Ok(Some((Kind::Hello, payload))) => return serde_json::from_slice(&payload).map_err(|e| e.to_string()),
                Ok(Some(_)) => {}
                // An end or nonsense: QEMU is on its way out.
                Ok(None) | Err(_) => return Err(ended(running.qemu.wait())),
            }
        } else if ready(&fds[1]) {
            return Err(ended(running.qemu.wait()));
        }
    }
}

fn ended(status: std::io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) if status.success() => "its kernel stopped before anything could be asked of it".into(),
        Ok(status) => format!("QEMU ended ({status})"),
        Err(e) => format!("QEMU cannot be waited for: {e}"),
    }
}

fn end(qemu: &mut std::process::Child) {
    let _ = qemu.kill();
    let _ = qemu.wait();
}

/// What wakes the keeper.
enum Event {
    Terminal,
    Guest,
    Ended,
    QemuGone,
    Quiet,
}

fn stay(keep: &Keep, lab: Lab, packed: u64, said: &mut dyn FnMut(Said) -> bool, took: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    let Lab { mut running, acceleration, boot, hello, _served } = lab;
    let qemu = Pidfd::open(i32::try_from(running.qemu.id()).unwrap_or(-1))?;
    let mut listener = keep.place.listen()?;
    let mut control = control_of(&running)?;
    if !keep.progress.is_empty() {
        wire::write(&mut control, Kind::Progress, &keep.progress).or_sys("tell the lab how far you are")?;
    }
    let (mut told, tell) = UnixStream::pair().or_sys("make a pipe")?;
    let up = Instant::now();
    let status = first_status(keep, &running, acceleration, boot, packed, hello);
    let heard = said(Said::Up(status.clone()));
    let ports = Arc::new(Ports::new(running.ports.split_off(1), control.try_clone().or_sys("keep the control port")?, tell, status, up, keep.stay && heard));
    let (mut open, mut had_one) = (0usize, false);
    loop {
        // Nobody came: whoever began it has died meanwhile.
        let patience = if had_one || ports.stays() { None } else { Some(PATIENCE) };
        match next(&listener, &control, &told, &qemu, patience)? {
            Event::Terminal => {
                if let Ok((stream, _)) = listener.accept() {
                    open += 1;
                    relay::serve(Arc::clone(&ports), stream);
                }
            }
            Event::Guest => match wire::read(&mut control) {
                Ok(Some((Kind::Progress, payload))) => took(&payload),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            },
            // Those who connect are taken before those who go: so a lab does not end between the two.
            Event::Ended => {
                let how = relay::ended(&mut told);
                open = open.saturating_sub(1);
                had_one |= how == relay::Ended::Session;
                if how == relay::Ended::Stop {
                    break;
                }
                if open == 0 && had_one && !ports.stays() {
                    let late = keep.place.close(&listener);
                    if late.is_empty() {
                        break;
                    }
                    listener = keep.place.listen()?;
                    open = late.len();
                    late.into_iter().for_each(|stream| relay::serve(Arc::clone(&ports), stream));
                }
            }
            Event::QemuGone => break,
            Event::Quiet if open == 0 => break,
            Event::Quiet => {}
        }
    }
    drop(listener);
    let by_itself = farewell(&mut running.qemu, &qemu, &mut control, took);
    keep.place.note_cut_off(!by_itself);
    Ok(())
}

/// A guest that says half a frame, or reads nothing, must not hold up `lab stop`.
fn control_of(running: &Running) -> Result<UnixStream, Error> {
    let control = running.ports[0].try_clone().or_sys("keep the control port")?;
    control.set_read_timeout(Some(CONTROL)).and_then(|()| control.set_write_timeout(Some(CONTROL))).or_sys("set a time-out")?;
    Ok(control)
}

fn first_status(keep: &Keep, running: &Running, acceleration: Acceleration, boot: Duration, packed: u64, guest: Hello) -> Status {
    Status {
        keeper: std::process::id(),
        qemu: running.qemu.id(),
        acceleration: acceleration.name().into(),
        memory: keep.memory,
        up: 0,
        boot: u64::try_from(boot.as_millis()).unwrap_or(u64::MAX),
        packed,
        sessions: 0,
        guest,
    }
}

fn next(listener: &std::os::unix::net::UnixListener, control: &UnixStream, told: &UnixStream, qemu: &Pidfd, patience: Option<Duration>) -> Result<Event, SysError> {
    let fds = [listener.as_fd(), control.as_fd(), told.as_fd(), qemu.as_fd()];
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let timeout = patience.map_or(PollTimeout::NONE, |p| PollTimeout::try_from(p).unwrap_or(PollTimeout::MAX));
    loop {
        match poll(&mut polled, timeout) {
            Ok(0) => return Ok(Event::Quiet),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(SysError::new("wait for the lab", errno)),
            Ok(_) => break,
        }
    }
    let ready = |i: usize| polled[i].revents().is_some_and(|r: PollFlags| !r.is_empty());
    // A terminal that comes before one that goes: so a lab does not end in between. What the guest
    // sent is read before its end is seen.
    Ok(if ready(0) {
        Event::Terminal
    } else if ready(1) {
        Event::Guest
    } else if ready(2) {
        Event::Ended
    } else {
        Event::QemuGone
    })
}

/// Has the guest power off, taking what progress it still sends; ends QEMU if it does not, and says
/// which it was: true if nothing is lost.
fn farewell(child: &mut std::process::Child, qemu: &Pidfd, control: &mut UnixStream, took: &mut dyn FnMut(&[u8])) -> bool {
    let end_of_wait = Instant::now() + FAREWELL;
    let _ = wire::write(control, Kind::PowerOff, &[]);
    loop {
        let left = end_of_wait.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(qemu.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(n) if n > 0 => {}
            _ => break,
        }
        if fds[0].revents().is_some_and(|r| !r.is_empty()) {
            match wire::read(control) {
                Ok(Some((Kind::Progress, payload))) => took(&payload),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        } else {
            break;
        }
    }
    // The control port closes a little before QEMU is gone.
    let mut fds = [PollFd::new(qemu.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::try_from(Duration::from_secs(2)).unwrap_or(PollTimeout::MAX));
    let by_itself = matches!(child.try_wait(), Ok(Some(status)) if status.success());
    end(child);
    by_itself
}
