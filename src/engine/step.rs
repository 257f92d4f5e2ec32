//! A step: one change that turns a process into a container.
//!
//! Steps are data. The same values are printed by `--dry-run`, sent over a socket by `--step` and
//! `skiff step`, and carried out by the process that becomes the container: there is no second path.

use super::inside::Inside;
use super::steps;
use crate::kernel::{Explain, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a step is, for people: printed before it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// The word typed after `skiff step`.
    pub name: &'static str,
    /// What it is about to do, with its objects.
    pub what: String,
    /// Why a container needs it, and why at this place.
    pub why: &'static str,
    /// Where it is documented, such as `unshare(2)`.
    pub man: &'static [&'static str],
    /// The system calls it makes, in order.
    pub syscalls: &'static [&'static str],
}

// ANCHOR: carry
/// One step that can be described and carried out.
pub trait Carry {
    /// What it is, in words.
    fn about(&self) -> About;
    /// Does it, to the calling process.
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError>;
}
// ANCHOR_END: carry

/// Every step there is. Each one's file in `steps/` says what it changes and how to see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Make the cgroup, write the limits, move in.
    Cgroup(steps::cgroup::Cgroup),
    /// A new user namespace and its id maps.
    UserNs(steps::userns::UserNs),
    /// Any other new namespace, or an existing one entered by its path.
    Unshare(steps::unshare::Unshare),
    /// A child that is process 1 of the new pid namespace.
    Fork(steps::fork::Fork),
    /// Enter the namespaces of a running process.
    Join(steps::join::Join),
    /// Move into a running container's cgroup.
    EnterCgroup(steps::enter_cgroup::EnterCgroup),
    /// Cut the ties between our mounts and the host's.
    Private(steps::private::Private),
    /// Mount the container's root.
    Rootfs(steps::rootfs::Rootfs),
    /// Fill a new volume with the image's files.
    CopyUp(steps::copy_up::CopyUp),
    /// Mount a file system or bind a path inside it.
    Mount(steps::mount::Mount),
    /// Show the container its own cgroup.
    CgroupFs(steps::cgroupfs::CgroupFs),
    /// Fill /dev.
    Devices(steps::devices::Devices),
    /// Make the container's root `/` and let go of the host's.
    PivotRoot(steps::pivot_root::PivotRoot),
    /// Hide and freeze parts of /proc and /sys.
    Masks(steps::masks::Masks),
    /// Name the host.
    Hostname(steps::hostname::Hostname),
    /// Set the loopback link up.
    Loopback(steps::loopback::Loopback),
    /// Plug into a network.
    Plug(steps::plug::Plug),
    /// A network without root.
    Tap(steps::tap::Tap),
    /// A terminal of the container's own.
    Terminal(steps::terminal::Terminal),
    /// A read-only root.
    ReadOnly(steps::read_only::ReadOnly),
    /// The working directory.
    Cwd(steps::cwd::Cwd),
    /// The user and groups.
    User(steps::user::User),
    /// Resource limits.
    Rlimits(steps::rlimits::Rlimits),
    /// When and where it runs.
    Scheduling(steps::scheduling::Scheduling),
    /// The system call filter.
    Seccomp(steps::seccomp::Seccomp),
    /// The capability sets.
    Caps(steps::caps::Caps),
    /// No privilege by exec any more.
    NoNewPrivs(steps::no_new_privs::NoNewPrivs),
    /// Wait at the door until somebody says start.
    AwaitStart(steps::await_start::AwaitStart),
    /// Run the hooks of one point.
    Hooks(steps::hooks::Hooks),
    /// Kernel parameters of the container's own namespaces.
    Sysctl(steps::sysctl::Sysctl),
    /// How readily the kernel kills it when memory runs out.
    OomScore(steps::oom_score::OomScore),
    /// Further device nodes.
    Nodes(steps::nodes::Nodes),
    /// Set the clocks of a new time namespace.
    TimeOffsets(steps::time_offsets::TimeOffsets),
    /// Become the command.
    Exec(steps::exec::Exec),
}

impl Step {
    /// The step as something that can be described and carried out.
    fn carried(&self) -> &dyn Carry {
        match self {
            Step::Cgroup(s) => s,
            Step::UserNs(s) => s,
            Step::Unshare(s) => s,
            Step::Fork(s) => s,
            Step::Join(s) => s,
            Step::EnterCgroup(s) => s,
            Step::Private(s) => s,
            Step::Rootfs(s) => s,
            Step::CopyUp(s) => s,
            Step::Mount(s) => s,
            Step::CgroupFs(s) => s,
            Step::Devices(s) => s,
            Step::PivotRoot(s) => s,
            Step::Masks(s) => s,
            Step::Hostname(s) => s,
            Step::Loopback(s) => s,
            Step::Plug(s) => s,
            Step::Tap(s) => s,
            Step::Terminal(s) => s,
            Step::ReadOnly(s) => s,
            Step::Cwd(s) => s,
            Step::User(s) => s,
            Step::Rlimits(s) => s,
            Step::Scheduling(s) => s,
            Step::Seccomp(s) => s,
            Step::Caps(s) => s,
            Step::NoNewPrivs(s) => s,
            Step::AwaitStart(s) => s,
            Step::Hooks(s) => s,
            Step::Sysctl(s) => s,
            Step::OomScore(s) => s,
            Step::Nodes(s) => s,
            Step::TimeOffsets(s) => s,
            Step::Exec(s) => s,
        }
    }
}

impl Carry for Step {
    fn about(&self) -> About {
        self.carried().about()
    }
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        self.carried().carry_out(inside)
    }
}

/// A step that the kernel refused: what, errno, and the explanation. Travels over the hold socket.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("cannot {what}: {}", errno_name(*errno))]
pub struct StepError {
    /// What was tried, as it completes "cannot …".
    pub what: String,
    /// The errno's number.
    pub errno: i32,
    /// Why it fails here.
    pub why: Option<String>,
    /// What to try.
    pub hint: Option<String>,
}

/// `EPERM` for 1, and so on (errno(3)).
fn errno_name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

impl StepError {
    /// The errno as a value.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }
    /// Adds the cause.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
    /// Adds the way on.
    pub fn try_this(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<SysError> for StepError {
    fn from(error: SysError) -> Self {
        Self { what: error.what, errno: error.errno as i32, why: None, hint: None }
    }
}

impl Explain for StepError {
    fn why(&self) -> Option<String> {
        self.why.clone()
    }
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
    fn exit_code(&self) -> u8 {
        match self.errno() {
            Errno::ENOENT if self.what.starts_with("run ") => 127,
            // The shell's word for "there, and not to be run".
            Errno::EACCES | Errno::EPERM | Errno::ENOEXEC | Errno::ENOTDIR | Errno::ELOOP if self.what.starts_with("run ") => 126,
            _ => 125,
        }
    }
}
