//! Programs that are run at set points of a container's life (OCI runtime spec, config.md,
//! "POSIX-platform Hooks").
//!
//! Each gets the container's state as JSON on standard input, no environment but its own, and a time
//! limit where it has one. The first that fails ends the list. State and output go through memory
//! files (memfd_create(2)) and not through pipes: a hook that reads nothing, or writes much, then
//! blocks nobody.
//! See it live: `strace -f -e trace=execve skiff oci create …`.
//! Contract: one thread; whether what failed is an error or a warning is the caller's affair.

use super::state::State;
use crate::engine::step::StepError;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use oci_spec::runtime::Hook;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// Runs hooks, one after the other; `point` is their name in config.json.
pub fn run(point: &str, hooks: &[Hook], state: &State) -> Result<(), StepError> {
    run_with(point, hooks, state, &[])
}

/// The same, for those inside: what has no environment of its own has the container's.
pub fn run_with(point: &str, hooks: &[Hook], state: &State, inherited: &[String]) -> Result<(), StepError> {
    let text = serde_json::to_vec(state).map_err(|_| SysError::new("write the container's state", Errno::EINVAL))?;
    hooks.iter().try_for_each(|hook| one(point, hook, &text, inherited))
}

fn one(point: &str, hook: &Hook, state: &[u8], inherited: &[String]) -> Result<(), StepError> {
    let what = || format!("run the {point} hook {}", hook.path().display());
    let mut input = memory().or_sys_with(what)?;
    let mut output = memory().or_sys_with(what)?;
    input.write_all(state).and_then(|()| input.seek(SeekFrom::Start(0))).or_sys_with(what)?;
    let copy = |file: &File| file.try_clone().or_sys_with(what);
    let mut command = Command::new(hook.path());
    // Without an environment of its own it has that of whoever runs it (config.md): the container's, in there.
    if hook.env().is_some() || inherited.is_empty() {
        command.env_clear();
    } else {
        command.env_clear().envs(inherited.iter().filter_map(|e| e.split_once('=')));
    }
    command.stdin(input).stdout(copy(&output)?).stderr(copy(&output)?);
    let words = hook.args().clone().unwrap_or_default();
    if let Some((name, rest)) = words.split_first() {
        command.arg0(name).args(rest);
    }
    command.envs(hook.env().iter().flatten().filter_map(|e| e.split_once('=')));
    let mut child = command.spawn().or_sys_with(what)?;
    let limit = hook.timeout().and_then(|secs| u64::try_from(secs).ok()).map(Duration::from_secs);
    let in_time = ended_within(&Pidfd::open(child.id().cast_signed())?, limit)?;
    let status = child.wait().or_sys_with(what)?;
    if in_time && status.success() {
        return Ok(());
    }
    let mut said = String::new();
    let _ = output.seek(SeekFrom::Start(0)).and_then(|_| output.take(4096).read_to_string(&mut said));
    let said = if said.trim().is_empty() { String::new() } else { format!("; it wrote: {}", said.trim()) };
    let why = if in_time { in_words(status) } else { format!("it did not end within its {} seconds, and was killed", limit.unwrap_or_default().as_secs()) };
    Err(StepError::from(SysError::new(what(), if in_time { Errno::ECANCELED } else { Errno::ETIMEDOUT })).because(format!("{why}{said}")))
}

fn memory() -> nix::Result<File> {
    memfd_create(c"hook", MFdFlags::MFD_CLOEXEC).map(File::from)
}

fn in_words(status: ExitStatus) -> String {
    match status.signal() {
        Some(number) => format!("signal {number} ended it"),
        None => format!("it ended with exit code {}", status.code().unwrap_or_default()),
    }
}

/// Waits for its end; after `limit` it is killed, and the answer is false.
fn ended_within(process: &Pidfd, limit: Option<Duration>) -> Result<bool, SysError> {
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => break,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(SysError::new("wait for a hook", errno)),
        }
    }
    process.signal(Signal::SIGKILL)?;
    Ok(false)
}
