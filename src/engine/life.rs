//! After the start: stop, kill, remove, and what a dead run left (`stop`, `kill`, `rm`, `system prune`).
//!
//! A container has no daemon to ask. Signals go to its process 1 by pidfd, after a look at whether
//! that pid is still the same process; then we wait for whoever waits for it to be done.

use super::attend::is_locked;
use super::container::{Container, Status};
use super::find::ids;
use super::error::Error;
use super::steps::cgroup as step;
use super::host::layout;
use super::network::Networks;
use super::pause;
use super::restart::Policy;
use super::volume::Volumes;
use crate::kernel::cgroup::{Cgroup, Event};
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// True when the kernel has killed a process in the container's cgroup for want of memory.
pub fn oom_killed(id: &str) -> bool {
    let open = || Cgroup::open(&layout().ok()?, &step::name(id)).ok()?;
    open().and_then(|group| group.count(Event::OomKill)).is_some_and(|n| n > 0)
}

/// Process 1 of a running container.
pub fn process(container: &Container) -> Result<Pidfd, Error> {
    let not_running = || Error::NotRunning { name: container.name().to_owned() };
    if container.status() != Status::Running {
        return Err(not_running());
    }
    // The lock is held by its waiting parent, who has not reaped it: the pid cannot be somebody else's.
    Pidfd::open(container.record.pid).map_err(|_| not_running())
}

/// Sends `signal` to process 1. SIGKILL, which cannot be refused, is waited for as Docker does.
pub fn kill(container: &Container, signal: i32) -> Result<(), Error> {
    let process = process(container)?;
    let deadly = signal == Signal::SIGKILL as i32;
    if deadly || Some(signal) == stop_signal(container).ok() {
        container.halt()?;
    }
    process.signal_number(signal)?;
    say_killed(container, signal);
    pause::thaw(container);
    if deadly { attended_no_more(container) } else { Ok(()) }
}

/// The signal that stops a container: its own, its image's, or SIGTERM.
pub fn stop_signal(container: &Container) -> Result<i32, Error> {
    container.record.stop_signal.as_deref().map_or(Ok(Signal::SIGTERM as i32), signal_number)
}

/// A signal by number, by name, or by name with SIG.
pub fn signal_number(text: &str) -> Result<i32, Error> {
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper.clone() } else { format!("SIG{upper}") };
    let number = text.parse::<i32>().ok().filter(|n| (1..=64).contains(n));
    number.or_else(|| Signal::from_str(&name).ok().map(|s| s as i32)).ok_or_else(|| Error::Option {
        option: "--signal",
        value: text.to_owned(),
        reason: "it is no signal; see signal(7)".into(),
        example: "--signal TERM",
    })
}

/// Its signal, then SIGKILL after `grace` or the container's own time: what process 1 has no handler
/// for it ignores, even SIGTERM (pid_namespaces(7)). Stopping what has stopped is no error.
/// Negative is without end.
pub fn stop(container: &Container, grace: Option<i64>) -> Result<(), Error> {
    if !container.status().is_live() {
        // After a reboot `always` would bring it back, and `unless-stopped` too.
        return if container.record.restart == Policy::No { Ok(()) } else { Ok(container.halt()?) };
    }
    let seconds = grace.or(container.record.stop_timeout).unwrap_or(10);
    end(container, stop_signal(container)?, Some(u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs)))?;
    container.say("stop", []);
    Ok(())
}

fn say_killed(container: &Container, signal: i32) {
    container.say("kill", [("signal", signal.to_string().as_str())]);
}

/// Sends `signal`, and SIGKILL after `grace`; waits until whoever looks after it has cleaned up. One
/// that waits to be started again is not.
fn end(container: &Container, signal: i32, grace: Option<Duration>) -> Result<(), Error> {
    container.halt()?;
    if let Some(process) = container.process_by_now() {
        let _ = process.signal_number(signal);
        say_killed(container, signal);
        pause::thaw(container);
        if let Some(grace) = grace
            && !ended_within(&process, grace)?
        {
            let _ = process.signal(Signal::SIGKILL);
            say_killed(container, Signal::SIGKILL as i32);
        }
    }
    attended_no_more(container)
}

fn ended_within(process: &Pidfd, grace: Duration) -> Result<bool, SysError> {
    let timeout = PollTimeout::try_from(grace).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            other => return other.map(|n| n > 0).or_sys("wait for the container"),
        }
    }
}

/// Waits until whoever looks after the container has cleaned up and let go of its lock.
pub(super) fn attended_no_more(container: &Container) -> Result<(), Error> {
    let Some(file) = lock_of(container) else { return Ok(()) };
    Ok(file.lock_shared().or_sys("wait for the container's lock")?)
}

/// The lock's file, to be waited for: shared is enough, and leaves it free for the next who waits.
/// `None` for one removed with --rm: as gone as can be.
fn lock_of(container: &Container) -> Option<File> {
    File::open(container.folder().join("lock")).ok()
}

/// Waits until a container ends; its exit code. 137 for one whose end nobody saw.
pub fn wait(container: &Container) -> Result<i32, Error> {
    let lock = lock_of(container);
    lock.iter().try_for_each(|file| file.lock_shared().or_sys("wait for the container's lock"))?;
    match Container::find(container.store(), container.id()) {
        Ok(now) if matches!(now.record.status, Status::Exited | Status::Created) => Ok(now.record.exit_code),
        // Removed already; but the lock that we hold open was told.
        _ => {
            let told = lock.and_then(|file| std::io::read_to_string(file).ok());
            Ok(told.and_then(|text| text.strip_prefix("exit ")?.parse().ok()).unwrap_or(137))
        }
    }
}

/// Removes a container. A running one only if `force`d: then it is killed first. With `volumes_too`
/// the volumes go that were made for it and that nobody named.
pub fn remove(container: &Container, force: bool, volumes_too: bool) -> Result<(), Error> {
    match container.status() {
        live if live.is_live() && !force => return Err(Error::Running { name: container.name().to_owned() }),
        live if live.is_live() => end(container, Signal::SIGKILL as i32, None)?,
        _ => {}
    }
    if container.folder().exists() {
        container.remove_with(volumes_too || container.record.auto_remove);
    }
    Ok(())
}

/// What a prune removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// Cgroups without a container.
    pub cgroups: Vec<String>,
    /// Names of networks that nobody used.
    pub networks: Vec<String>,
    /// Bytes freed on disk.
    pub bytes: u64,
}

/// How long a container that starts may take from making its cgroup to joining it.
const JUST_MADE: Duration = Duration::from_secs(10);

/// Removes what has ended, and what killed runs left: folders nobody waits for, names that lead
/// nowhere, cgroups without a container.
pub fn prune(store: &Path) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    for container in Container::all(store) {
        if container.status().is_live() && container.is_abandoned() {
            attended_no_more(&container)?;
        }
        if matches!(container.status(), Status::Exited | Status::Dead) {
            pruned.bytes += size(&container.folder());
            container.remove_all();
            pruned.containers.push(container.record.id.clone());
        }
    }
    half_made(store, &mut pruned)?;
    dangling_names(store);
    pruned.networks = Networks::open(store).prune()?;
    Volumes::open(store).sweep()?;
    crate::image::Store::open(store).sweep()?;
    let Ok(layout) = layout() else { return Ok(pruned) };
    let known = ids(store);
    for id in Cgroup::children(&layout, step::PARENT)?.into_iter().filter(|id| !known.contains(id)) {
        // Another root's container has its cgroup here too: one with processes is not ours to end, and
        // one that was made just now is about to be joined.
        let group = Cgroup::open(&layout, &step::name(&id))?;
        if let Some(group) = group.filter(|g| g.processes().is_empty() && g.is_older_than(JUST_MADE)) {
            group.remove()?;
            pruned.cgroups.push(id);
        }
    }
    Ok(pruned)
}

/// Folders whose making was interrupted before the record was written.
fn half_made(store: &Path, pruned: &mut Pruned) -> Result<(), Error> {
    for id in ids(store) {
        let folder = store.join("containers").join(&id);
        if folder.join("state.json").exists() {
            continue;
        }
        if is_locked(&folder) {
            continue; // Somebody is making it right now.
        }
        step::undo(&id)?;
        std::fs::remove_dir_all(&folder).or_sys_with(|| format!("remove {}", folder.display()))?;
        pruned.containers.push(id);
    }
    Ok(())
}

fn dangling_names(store: &Path) {
    for entry in std::fs::read_dir(store.join("names")).into_iter().flatten().flatten() {
        if !entry.path().exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => size(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}
