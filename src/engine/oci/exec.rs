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
use crate::engine::host::layout;
use crate::engine::input::Input;
use crate::engine::plan::settle;
use crate::engine::relay::{self, Signals, Stream};
use crate::engine::seccomp;
use crate::engine::step::Step;
use crate::engine::steps::{enter_cgroup::EnterCgroup, fork::Fork, join::Join, scheduling::Scheduling};
use crate::kernel::cgroup::Cgroup;
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError};
use nix::sys::signal::Signal;
use oci_spec::runtime::{ExecCPUAffinity, Process};
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
    /// The cgroup that it joins, below the container's own.
    pub cgroup: Option<String>,
    /// It may be started where all others stand still; it stands still then too.
    pub paused_too: bool,
}

/// Starts a process in a container.
pub fn exec(folder: &Folder, wanted: &Wanted) -> Result<Held, Error> {
    super::create::check_descriptors(wanted.preserved)?;
    let (one, status) = (folder.process(), folder.status());
    let Some(one) = one.filter(|_| matches!(status, Status::Created | Status::Running) || (wanted.paused_too && status == Status::Paused)) else {
        return Err(Error::Status { what: "exec in", state: status });
    };
    let process = &wanted.process;
    super::config::check_labels(process.apparmor_profile().as_deref(), process.selinux_label().as_deref())?;
    let terminal = process.terminal().unwrap_or(false);
    if terminal && wanted.console_socket.is_none() && !wanted.attended {
        return Err(refused("process.terminal", "nobody would hold its other side: with --detach exec does not stay", "--console-socket PATH"));
    }
    let spec = folder.spec()?;
    // The CPUs before it joins the container's cgroup, and those afterwards, which its cpuset bounds.
    let own = spec.process().as_ref().and_then(|p| p.exec_cpu_affinity().clone());
    let cpus = process.exec_cpu_affinity().clone().or(own);
    let on = |list: fn(&ExecCPUAffinity) -> &Option<String>| Scheduling::on(cpus.as_ref().and_then(|c| list(c).as_ref())).map(Step::Scheduling);
    let mut steps: Vec<Step> = on(ExecCPUAffinity::initial).into_iter().collect();
    steps.push(Step::EnterCgroup(EnterCgroup {}));
    steps.extend(on(ExecCPUAffinity::cpu_affinity_final));
    steps.push(Step::Join(Join { pid: one.pid(), user: !nix::unistd::geteuid().is_root() }));
    steps.push(Step::Fork(Fork {}));
    steps.extend(Scheduling::from_oci(process, &spec).map(Step::Scheduling));
    settle(process, false, seccomp::of(&spec, None)?, &mut steps);
    let cgroup = below(&folder.kept.cgroup, wanted.cgroup.as_deref())?;
    let mut held = spawn_outliving(Outliving { id: &folder.kept.id, cgroup: &cgroup, door: None, preserved: wanted.preserved }, &steps)?;
    held.until_ready(&mut |_| Ok(()))?;
    let given = super::create::hand_over(&held, Some(process), wanted.console_socket.as_deref(), wanted.pid_file.as_deref());
    given.inspect_err(|_| drop(held.process.signal(Signal::SIGKILL)))?;
    Ok(held)
}

/// The container's cgroup, or one that its processes made below it.
fn below(own: &str, asked: Option<&str>) -> Result<String, Error> {
    let parts: Vec<&str> = asked.unwrap_or_default().split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    let name = [&[own], parts.as_slice()].concat().join("/");
    let there = !parts.contains(&"..") && (parts.is_empty() || Cgroup::open(&layout()?, &name)?.is_some());
    if there { Ok(name) } else { Err(refused(format!("--cgroup {}", asked.unwrap_or_default()), "the container has no cgroup of that name below its own", "--cgroup /")) }
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
