//! `skiff exec`: another process in a running container (setns(2), pidfd_open(2)).
//!
//! The new process joins what the container is: its cgroup first, while the host's directories can be
//! seen, then its namespaces, user namespace first, because joining the others needs a capability
//! in it. A process cannot change its own pid namespace, so it forks once inside. Then it gives up
//! the same privileges, by the same steps as `run`.
//!
//! The process is not dumpable until its exec: root in the container could otherwise open our own
//! program through /proc/PID/exe and write to it later (CVE-2019-5736).

use super::container::Container;
use super::defaults::capability_sets;
use super::error::Error;
use super::events;
use super::hold::{Started, spawn_straight};
use super::host::Host;
use super::kept::Kept;
use super::life;
use super::passwd;
use super::pause;
use super::plan::settle;
use super::record::document;
use super::step::Step;
use super::steps::{enter_cgroup::EnterCgroup, fork::Fork, join::Join};
use crate::kernel::caps;
use crate::kernel::ns::Ns;
use oci_spec::runtime::{Process, Spec};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What `skiff exec` was asked for.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// The command.
    pub command: Vec<String>,
    /// `NAME=value`, on top of the container's.
    pub env: Vec<String>,
    /// Working directory instead of the container's.
    pub workdir: Option<PathBuf>,
    /// User instead of the container's.
    pub user: Option<String>,
    /// A terminal.
    pub tty: bool,
    /// Every capability, no filter.
    pub privileged: bool,
    /// What it is known by in the journal of events.
    pub id: String,
}

/// It has ended: that goes into the journal.
pub fn ended(container: &Container, request: &Request, code: i32) {
    container.say("exec_die", [("execID", request.id.as_str()), ("exitCode", code.to_string().as_str())]);
}

/// The config that the container was made from.
pub fn config_of(container: &Container) -> Result<Spec, Error> {
    document(&container.folder(), "config.json")
}

/// Starts a process in a running container.
pub fn enter(container: &Container, request: &Request, stdio: Vec<OwnedFd>, host: &Host) -> Result<Started, Error> {
    let steps = steps(container, request, host)?;
    // As Docker writes it: the program, a space, and its arguments, if there are any.
    let command = request.command.split_first().map(|(program, words)| format!("{program} {}", words.join(" "))).unwrap_or_default();
    let event = |action: &str| container.event(format!("{action}: {command}"), [("execID", request.id.as_str())]);
    let both = [event("exec_create"), event("exec_start")];
    let started = spawn_straight(container.id(), container.store(), &steps, stdio)?;
    events::note(container.store(), &both);
    Ok(started)
}

/// The steps into a running container.
pub fn steps(container: &Container, request: &Request, host: &Host) -> Result<Vec<Step>, Error> {
    let one = life::process(container)?;
    if pause::is_paused(container) {
        return Err(Error::Paused { name: container.name().to_owned() });
    }
    let kept = Kept::of(container)?;
    let process = adapted(kept.process(), request, one.pid())?;
    let mut steps = vec![Step::EnterCgroup(EnterCgroup {})];
    steps.push(Step::Join(Join { pid: one.pid(), user: host.rootless }));
    steps.push(Step::Fork(Fork {}));
    settle(&process, false, super::seccomp::filter(kept.seccomp(), Some(container.store()))?.filter(|_| !request.privileged), &mut steps);
    Ok(steps)
}

/// The container's process, with what was asked for instead.
fn adapted(mut process: Process, request: &Request, pid: i32) -> Result<Process, Error> {
    process.set_args(Some(request.command.clone()));
    process.set_terminal(Some(request.tty));
    let mut env = process.env().clone().unwrap_or_default();
    if let Some(wanted) = &request.user {
        // Its root as it is now: the container may have added users since.
        let root = Ns::Mnt.path(pid).parent().and_then(Path::parent).map(|p| p.join("root")).unwrap_or_default();
        let who = passwd::resolve(wanted, std::slice::from_ref(&root))?;
        // A HOME that only followed from the container's user follows from this one now.
        let before = passwd::resolve(&process.user().uid().to_string(), std::slice::from_ref(&root))?;
        if let Some(home) = env.iter_mut().find(|e| **e == format!("HOME={}", before.home)) {
            *home = format!("HOME={}", who.home);
        }
        process.set_user(super::config::user(&who)?);
    }
    for setting in &request.env {
        let name = setting.split('=').next().unwrap_or_default();
        env.retain(|e| e.split('=').next() != Some(name));
        env.push(setting.clone());
    }
    if request.tty && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    process.set_env(Some(env));
    if let Some(workdir) = &request.workdir {
        process.set_cwd(workdir.clone());
    }
    if request.privileged {
        process.set_capabilities(Some(capability_sets(caps::ALL)));
    }
    Ok(process)
}
