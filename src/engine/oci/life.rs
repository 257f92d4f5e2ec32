//! What becomes of a container after it was made: start, kill, delete, pause (OCI runtime spec,
//! runtime.md, "Operations").
//!
//! Each call finds the container by its folder, looks what the kernel says of its process, and acts; two
//! at once take turns by a lock on the folder (flock(2)).

use super::config;
use super::console::reach;
use super::error::Error;
use super::hooks;
use super::state::{Folder, Status};
use crate::engine::hold::follow_start;
use crate::engine::step::StepError;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::socket::SockType;
use oci_spec::runtime::{LinuxResources, Spec};
use std::fs::File;
use std::time::Duration;

/// Whose turn it is.
fn turn(folder: &Folder) -> Result<Flock<File>, SysError> {
    let what = || format!("wait for {}", folder.at.display());
    let file = File::open(&folder.at).or_sys_with(what)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| SysError::new(what(), errno))
}

/// Lets the container's process become its command. A poststart hook that fails ends it again (runtime.md,
/// "Lifecycle", 9).
pub fn start(folder: &Folder) -> Result<(), Error> {
    let turn = turn(folder)?;
    let status = folder.status();
    if status != Status::Created {
        return Err(Error::Status { what: "start", state: status });
    }
    let door = folder.door();
    let connection = match reach(&door, SockType::SeqPacket) {
        Err(e) if matches!(e.errno, Errno::ECONNREFUSED | Errno::ENOENT) => return Err(Error::Status { what: "start", state: folder.status() }),
        other => other?,
    };
    std::fs::remove_file(&door).or_sys_with(|| format!("remove {}", door.display()))?;
    follow_start(&connection)?;
    drop(turn);
    let spec = folder.spec()?;
    let list = spec.hooks().as_ref().and_then(|h| h.poststart().clone()).unwrap_or_default();
    if !list.is_empty() {
        if let Err(error) = hooks::run("poststart", &list, &folder.state_in(Status::Running, &spec)) {
            if let Some(process) = folder.process() {
                gone_is_fine(process.signal(Signal::SIGKILL))?;
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// Sends a signal to the container's process, or to all of them.
pub fn kill(folder: &Folder, signal: i32, all: bool) -> Result<(), Error> {
    let process = folder.process();
    if all {
        let Some(group) = folder.cgroup()? else { return Err(Error::NotRunning) };
        if signal == Signal::SIGKILL as i32 {
            return Ok(group.kill()?);
        }
        let each = group.processes().into_iter().filter_map(|pid| Pidfd::open(pid.as_raw()).ok());
        return each.map(|process| gone_is_fine(process.signal_number(signal))).collect::<Result<(), _>>().map_err(Error::from);
    }
    let Some(process) = process else { return Err(Error::NotRunning) };
    process.signal_number(signal).map_err(|e| if e.errno == Errno::ESRCH { Error::NotRunning } else { e.into() })?;
    // What stands still cannot die: on v1 it must go on first.
    if signal == Signal::SIGKILL as i32 && folder.status() == Status::Paused {
        folder.freezer()?.freeze(false)?;
    }
    Ok(())
}

fn gone_is_fine(done: Result<(), SysError>) -> Result<(), SysError> {
    match done {
        Err(e) if e.errno == Errno::ESRCH => Ok(()),
        other => other,
    }
}

/// Removes all of a container that has ended; with `force`, ends it first.
pub fn delete(folder: &Folder, force: bool, told: &mut dyn FnMut(String)) -> Result<(), Error> {
    let turn = turn(folder)?;
    let status = folder.status();
    if status != Status::Stopped && !force {
        return Err(Error::Status { what: "delete", state: status });
    }
    undo(folder)?;
    // Read before the folder goes; a config that cannot be read must not keep it from going.
    let spec = folder.spec();
    folder.remove();
    drop(turn);
    let spec = match spec {
        Ok(spec) => spec,
        Err(_) if force => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Err(error) = poststop(folder, &spec) {
        told(super::error::in_full(&error));
    }
    Ok(())
}

/// Runs the hooks that follow every end, also that of a container which could not be made.
pub(super) fn poststop(folder: &Folder, spec: &Spec) -> Result<(), StepError> {
    let list = spec.hooks().as_ref().and_then(|h| h.poststop().clone()).unwrap_or_default();
    hooks::run("poststop", &list, &folder.state_in(Status::Stopped, spec))
}

/// Ends what still runs in it and takes its cgroup away. The cgroups above are somebody else's, unless the
/// config named none.
pub(super) fn undo(folder: &Folder) -> Result<(), Error> {
    let group = folder.cgroup()?;
    if let Some(process) = folder.process() {
        gone_is_fine(process.signal(Signal::SIGKILL))?;
        if let Some(group) = group.as_ref().filter(|g| g.is_frozen()) {
            group.freeze(false)?;
        }
        gone(&process, Duration::from_secs(10))?;
    }
    let Some(group) = group else { return Ok(()) };
    group.clear()?;
    let ours = group.name().split('/').next() == Some(config::TOP);
    Ok(if ours { group.remove()? } else { group.remove_alone()? })
}

/// Waits for the end of a process, whoever's child it is.
pub(super) fn gone(process: &Pidfd, limit: Duration) -> Result<(), SysError> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) => Err(SysError::new(format!("end process {}", process.pid()), Errno::ETIMEDOUT)),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(SysError::new(format!("wait for process {}", process.pid()), errno)),
    }
}

/// Lets every process of it stand still, or go on.
pub fn freeze(folder: &Folder, still: bool) -> Result<(), Error> {
    let turn = turn(folder)?;
    let (what, state) = (if still { "pause" } else { "resume" }, folder.status());
    let fits = if still { matches!(state, Status::Running | Status::Created) } else { state == Status::Paused };
    if !fits {
        return Err(Error::Status { what, state });
    }
    folder.freezer()?.freeze(still)?;
    drop(turn);
    Ok(())
}

/// Changes the limits of a container that runs.
pub fn update(folder: &Folder, resources: &LinuxResources) -> Result<(), Error> {
    let turn = turn(folder)?;
    if folder.process().is_none() {
        return Err(Error::NotRunning);
    }
    let Some(group) = folder.cgroup()? else {
        return Err(super::error::refused("new limits", "this container has no cgroup of its own", "run it as root, or where a cgroup was delegated"));
    };
    crate::engine::steps::cgroup::Cgroup::from_oci(resources).write(&group)?;
    drop(turn);
    Ok(())
}
