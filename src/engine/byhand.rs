//! `skiff step`: a held process between a learner's commands.
//!
//! `start` leaves a keeper behind (see `hold::keeper`); every other function here is one message to
//! it. The steps come from the same plan as a run's: a word such as `proc` picks that plan's step.

use super::config::{self, Names};
use super::container::{Container, Record, Status};
use super::find::{check_name, fresh_id};
use super::enter::config_of;
use super::error::Error;
use super::hold::{Reply, Request, keeper};
use super::host::Host;
use super::plan::{Place, Plan};
use super::attach::Ends;
use super::input::Input;
use super::relay::{self, Signals, Stream};
use super::request;
use super::run::write_files;
use super::seccomp;
use super::step::{Carry, Step, StepError};
use super::steps::rootfs::Source;
use crate::image::{Image, Store};
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::pty::{self, Raw};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Starts a held process called `name`; its root will come from `image`, which is `called` so. Returns its pid.
pub fn start(store: &Path, name: &str, called: &str, image: &Image) -> Result<i32, Error> {
    check_name(name)?;
    let id = fresh_id()?;
    let asked = request::Request { image: called.to_owned(), name: Some(name.to_owned()), ..request::Request::default() };
    let folder = store.join("containers").join(&id);
    let spec = config::config(&asked, image, &Names { id: &id, folder: &folder, mounts: &[] }, !crate::kernel::userns::is_host_root())?;
    let mut container = Container::create(store, Record::creating(id, name.to_owned(), &asked, image, Vec::new()))?;
    let listener = write_files(&container, &spec, &asked).and_then(|()| keeper::listen(&container)).inspect_err(|_| container.remove_all())?;
    let (told, tell) = relay::pipe()?;
    match pidfd::fork()? {
        Fork::Child => {
            drop(told);
            let _ = nix::unistd::setsid();
            let _ = super::monitor::leave_terminal();
            drop(tell);
            pidfd::exit_now(keeper::keep(&mut container, &listener))
        }
        Fork::Parent(_) => {
            drop((tell, listener));
            // The keeper closes its end once it looks after itself; then it answers.
            let _ = nix::unistd::read(&told, &mut [0u8; 1]);
            Ok(done(&container)?.1)
        }
    }
}

/// The held container meant: the named one, or the only one.
pub fn current(store: &Path, name: Option<&str>) -> Result<Container, Error> {
    if let Some(name) = name {
        let found = Container::find(store, name)?;
        return if is_held(&found) { Ok(found) } else { Err(Error::NotHeld { name: Some(name.to_owned()) }) };
    }
    let mut held: Vec<Container> = Container::all(store).into_iter().filter(is_held).collect();
    match (held.len(), held.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) => Err(Error::NotHeld { name: None }),
        (_, last) => Err(Error::SeveralHeld { names: held.iter().chain(&last).map(|c| c.name().to_owned()).collect() }),
    }
}

fn is_held(container: &Container) -> bool {
    container.status() == Status::Creating && container.folder().join("step.sock").exists()
}

/// The plan that a run of the same container would follow.
pub fn plan(container: &Container, host: &Host) -> Result<Plan, Error> {
    let spec = config_of(container)?;
    let image = Store::open(container.store()).resolve(&container.record.image)?;
    let below = |layer: &std::path::PathBuf| layer.strip_prefix(container.store()).map_or_else(|_| layer.clone(), Path::to_path_buf);
    let place = Place { id: container.id().to_owned(), endpoints: Vec::new(), tap: None, root: Source::Layers(image.dirs().iter().map(below).collect()), filter: seccomp::of(&spec, Some(container.store()))?, bundle: None, no_pivot: false };
    Ok(Plan::from_config(&spec, &place, host))
}

/// Has the held process carry out one step.
pub fn carry(container: &Container, step: &Step) -> Result<(), Error> {
    expect_done(container, &Request::Carry(step.clone()))
}

/// Ends the held process, and waits until its keeper has cleaned up.
pub fn abort(container: &Container) -> Result<(), Error> {
    expect_done(container, &Request::Abort)?;
    super::life::attended_no_more(container)
}

fn expect_done(container: &Container, request: &Request) -> Result<(), Error> {
    let mut failed = None;
    keeper::ask(container, request, &[], |reply, _| {
        if let Reply::Failed(error) = reply {
            failed = Some(error);
        }
        false
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// The steps carried out so far, and the held process's pid.
pub fn done(container: &Container) -> Result<(Vec<Step>, i32), Error> {
    ask_steps(container, &Request::Show)
}

/// Takes the last step back: which one, and the new process's pid.
pub fn undo(container: &Container) -> Result<(Step, i32), Error> {
    let (mut steps, pid) = ask_steps(container, &Request::Undo)?;
    let last = steps.pop().ok_or_else(|| SysError::new("undo", Errno::ENOENT))?;
    Ok((last, pid))
}

fn ask_steps(container: &Container, request: &Request) -> Result<(Vec<Step>, i32), Error> {
    let mut answer: Result<(Vec<Step>, i32), StepError> = Err(SysError::new("hear from the keeper", Errno::ECONNRESET).into());
    keeper::ask(container, request, &[], |reply, _| {
        match reply {
            Reply::Steps(steps, pid) => answer = Ok((steps, pid)),
            Reply::Failed(error) => answer = Err(error),
            _ => {}
        }
        false
    })?;
    Ok(answer?)
}

/// The held process becomes a command: relays its terminal or streams, returns its exit code.
pub fn exec(container: &Container, step: &Step) -> Result<i32, Error> {
    let process = Pidfd::open(done(container)?.1)?;
    let stdin = std::io::stdin();
    let tty = stdin.is_terminal() && std::io::stdout().is_terminal();
    let pair = if tty { Some(pty::pair()?) } else { None };
    let mut ends = Ends::foreground(tty, true, false)?;
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().or_sys("pass on a stream");
    let mut stdio: Vec<OwnedFd> = match &pair {
        Some((_, slave)) => vec![own(slave.as_fd())?, own(slave.as_fd())?, own(slave.as_fd())?],
        None => std::mem::take(&mut ends.theirs),
    };
    let mut signals = Signals::block()?;
    let mut raw = None;
    let mut code = Ok(255);
    let fds: Vec<i32> = stdio.iter().map(AsRawFd::as_raw_fd).collect();
    keeper::ask(container, &Request::CarryAndWait(step.clone()), &fds, |reply, _| match reply {
        Reply::Executed => {
            let master = pair.as_ref().and_then(|(master, _)| master.try_clone().ok());
            raw = if master.is_some() { Raw::enter(&stdin).ok() } else { None };
            // Ours would keep the pipes of the container from ending.
            stdio.clear();
            let _ = match master {
                Some(master) => relay_terminal(&process, master, &mut signals),
                None => relay::until_end(&process, &mut signals, Ends::streams(std::mem::take(&mut ends.ours), None), ends.input.take()),
            };
            true
        }
        Reply::Failed(error) => {
            code = Err(error);
            false
        }
        Reply::Exited(exit) => {
            code = Ok(exit);
            false
        }
        _ => true,
    })?;
    drop(raw);
    Ok(code?)
}

fn relay_terminal(process: &Pidfd, master: OwnedFd, signals: &mut Signals) -> Result<(), SysError> {
    signals.follow_size(master.try_clone().or_sys("keep the terminal")?);
    let input = Input::new(master.try_clone().or_sys("keep the terminal")?)?;
    let out = std::io::stdout();
    let to = Box::new(move |bytes: &[u8]| relay::write_all(out.as_fd(), bytes));
    relay::until_end(process, signals, vec![Stream { from: master, to, number: 1 }], Some(input))
}

/// Which of a plan's steps bear this name.
pub fn named(plan: &Plan, name: &str) -> Vec<Step> {
    plan.steps.iter().filter(|step| step.about().name == name).cloned().collect()
}
