//! Run the hooks of one point of the container's making (OCI runtime spec, config.md, "Hooks").
//!
//! createRuntime hooks belong outside: whoever waits for this process runs them, once it has its
//! namespaces; that is how network plugins find them. createContainer hooks run in here, with the
//! host's files still in reach; startContainer hooks see the container alone.
//! See it live: `strace -f -e trace=execve skiff oci create …`.

use crate::engine::hold::{Reply, Request};
use crate::engine::inside::Inside;
use crate::engine::oci::hooks;
use crate::engine::oci::state::State;
use crate::engine::step::{About, Carry, StepError};
use oci_spec::runtime::Hook;
use serde::{Deserialize, Serialize};

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// Outside, with prestart's before them.
    CreateRuntime,
    /// In the container's namespaces, before its root is `/`.
    CreateContainer,
    /// Inside, right before the command.
    StartContainer,
}

/// The `hooks` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// When they run.
    pub point: Point,
    /// What is run; of those outside, only how many.
    pub list: Vec<Hook>,
    /// What they are told, but for the pid.
    pub state: State,
    /// The container's environment, for those that run in it and have none of their own.
    #[serde(default)]
    pub env: Vec<String>,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Point::CreateRuntime => "createRuntime",
            Point::CreateContainer => "createContainer",
            Point::StartContainer => "startContainer",
        }
    }
}

impl Carry for Hooks {
    fn about(&self) -> About {
        let paths: Vec<String> = self.list.iter().map(|hook| hook.path().display().to_string()).collect();
        About {
            name: "hooks",
            what: format!("run the {} hooks: {}", self.point.name(), paths.join(", ")),
            why: "others give the container what its config cannot say: a network, a graphics card, an entry in their own lists",
            man: &["OCI runtime spec, config.md, \"POSIX-platform Hooks\""],
            syscalls: &["memfd_create", "fork", "execve", "waitid"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if self.point != Point::CreateRuntime {
            // As the container sees it: that is where these run.
            let state = State { pid: Some(std::process::id().cast_signed()), ..self.state.clone() };
            return hooks::run_with(self.point.name(), &self.list, &state, &self.env);
        }
        inside.upstream.tell(&Reply::WantsHooks)?;
        match inside.upstream.answer()? {
            Request::Hooked(Some(error)) => Err(error),
            _ => Ok(()),
        }
    }
}
