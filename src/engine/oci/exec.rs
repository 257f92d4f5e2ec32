//! Another process in a container that runs (`exec`), and looking after one from here.
//!
//! The same steps as the engine's own exec: into the cgroup while the host's directories can be seen,
//! into the namespaces, one fork, and then the privileges go in the plan's order. Nothing is waited for:
//! the process runs when this returns. As runc has it, what a `process.json` does not say is not taken
//! from the container's config.
//! See it live: `ls -l /proc/PID/ns` of both.

use super::error::{Error, refused};
use super::state::{Folder, Status};
use crate::engine::hold::{Held, Outliving, spawn_outliving};
use crate::engine::input::Input;
use crate::engine::plan::settle;
use crate::engine::relay::{self, Signals, Stream};
use crate::engine::seccomp;
use crate::engine::step::Step;
use crate::engine::steps::{enter_cgroup::EnterCgroup, fork::Fork, join::Join};
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError};
use nix::sys::signal::Signal;
use oci_spec::runtime::Process;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// What `exec` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What is run, and as whom.
    pub process: Process,
    /// Who gets its terminal.
    pub console_socket: Option<PathBuf>,
    /// Where its pid is written.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on are its.
    pub preserved: u32,
    /// This process stays until it ends.
    pub attended: bool,
}

/// Starts a process in a container.
pub fn exec(folder: &Folder, wanted: &Wanted) -> Result<Held, Error> {
    super::create::check_descriptors(wanted.preserved)?;
    let (one, status) = (folder.process(), folder.status());
    let Some(one) = one.filter(|_| matches!(status, Status::Created | Status::Running)) else {
        return Err(Error::Status { what: "exec in", state: status });
    };
    let process = &wanted.process;
    super::config::check_labels(process.apparmor_profile().as_deref(), process.selinux_label().as_deref())?;
    let terminal = process.terminal().unwrap_or(false);
    if terminal && wanted.console_socket.is_none() && !wanted.attended {
        return Err(refused("process.terminal", "nobody would hold its other side: with --detach exec does not stay", "--console-socket PATH"));
    }
    let spec = folder.spec()?;
    let mut steps = vec![Step::EnterCgroup(EnterCgroup {})];
    steps.push(Step::Join(Join { pid: one.pid(), user: !nix::unistd::geteuid().is_root() }));
    steps.push(Step::Fork(Fork {}));
    settle(process, false, seccomp::of(&spec, None)?, &mut steps);
    let mut held = spawn_outliving(Outliving { id: &folder.kept.id, cgroup: &folder.kept.cgroup, door: None, preserved: wanted.preserved }, &steps)?;
    held.until_ready(&mut |_| Ok(()))?;
    let given = super::create::hand_over(&held, Some(process), wanted.console_socket.as_deref(), wanted.pid_file.as_deref());
    given.inspect_err(|_| drop(held.process.signal(Signal::SIGKILL)))?;
    Ok(held)
}

/// Stays until the process ends: passes signals on, and relays its terminal where it has one. Its exit
/// code.
pub fn attend(held: &mut Held, mut signals: Signals) -> Result<i32, Error> {
    let Some(master) = held.terminal.take() else {
        return Ok(relay::relay(&held.process, &mut signals, Vec::new(), None)?);
    };
    let copy = || -> Result<_, SysError> { master.try_clone().or_sys("keep the terminal") };
    let stdin = std::io::stdin();
    let raw = if stdin.is_terminal() { Some(Raw::enter(&stdin)?) } else { None };
    signals.follow_size(copy()?);
    let input = Input::new(copy()?)?;
    let out = std::io::stdout();
    let to = Box::new(move |bytes: &[u8]| relay::write_all(out.as_fd(), bytes));
    let code = relay::relay(&held.process, &mut signals, vec![Stream { from: master, to, number: 1 }], Some(input));
    drop(raw);
    Ok(code?)
}
