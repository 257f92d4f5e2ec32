//! The words of `skiff step`, and the engine's step that each stands for.

use crate::engine::byhand;
use crate::engine::container::Container;
use crate::engine::defaults;
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::passwd;
use crate::engine::step::Step;
use crate::engine::steps::{
    caps::Caps, cgroup::Cgroup, exec::Exec, fork::Fork, hostname::Hostname, loopback::Loopback, no_new_privs::NoNewPrivs,
    pivot_root::PivotRoot, private::Private, private::Propagation, read_only::ReadOnly, unshare::Unshare, user::User, userns::UserNs,
    userns::Writer,
};
use crate::kernel::cgroup::{Amount, Limits, Quota};
use crate::kernel::ns::Ns;
use crate::kernel::units;
use crate::kernel::userns::IdRange;
use clap::Subcommand;

/// One step, as it is typed.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Word {
    /// A cgroup of its own, with limits
    Limit {
        /// Memory, such as 64m
        #[arg(short, long, value_name = "SIZE")]
        memory: Option<String>,
        /// CPU time, such as 0.5
        #[arg(long, value_name = "NUMBER")]
        cpus: Option<f64>,
        /// At most so many processes
        #[arg(long, alias = "pids", value_name = "NUMBER")]
        pids_limit: Option<u64>,
    },
    /// A user namespace: root inside, you outside
    Userns,
    /// A new namespace: mount, uts, ipc, net, pid, cgroup, time
    Unshare {
        /// Which kinds
        #[arg(required = true)]
        kinds: Vec<Ns>,
    },
    /// Cut the ties between its mounts and the host's
    Private,
    /// A child takes over, as process 1 of the new pid namespace
    Fork,
    /// Mount the image's layers as the new root
    Rootfs,
    /// Mount /proc
    Proc,
    /// Mount a fresh /dev
    Dev,
    /// Make null, zero, random, … in /dev
    Devices,
    /// Mount /dev/pts
    Devpts,
    /// Mount /sys
    Sys,
    /// Show the container its cgroup at /sys/fs/cgroup
    Cgroupfs,
    /// Make the new root `/` and let go of the host's
    PivotRoot,
    /// Hide and freeze parts of /proc and /sys
    Masks,
    /// Make the root read-only
    ReadOnly,
    /// Set the hostname
    Hostname {
        /// The new name
        name: String,
    },
    /// Set the link lo up
    Loopback,
    /// Become another user
    User {
        /// USER[:GROUP], numbers
        user: String,
    },
    /// Drop capabilities: to Docker's fourteen, or as asked
    Caps {
        /// Add one to Docker's fourteen
        #[arg(long, value_name = "CAPABILITY")]
        add: Vec<String>,
        /// Drop one of them, or ALL
        #[arg(long, value_name = "CAPABILITY")]
        drop: Vec<String>,
    },
    /// No new privilege by exec
    NoNewPrivs,
    /// Become a command
    Exec {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// The steps behind a word; `unshare uts net` is two.
pub fn steps(word: &Word, container: &Container, host: &Host) -> Result<Vec<Step>, Error> {
    let planned = |name: &str| -> Result<Vec<Step>, Error> { Ok(byhand::named(&byhand::plan(container, host)?, name)) };
    Ok(match word {
        Word::Limit { memory, cpus, pids_limit } => vec![Step::Cgroup(Cgroup { limits: limits(memory.as_deref(), *cpus, *pids_limit)?, ..Cgroup::default() })],
        Word::Userns => {
            let own = |outside| vec![IdRange { inside: 0, outside, count: 1 }];
            vec![Step::UserNs(UserNs { uids: own(host.uid), gids: own(host.gid), writer: Writer::Own })]
        }
        Word::Unshare { kinds } => kinds.iter().map(|ns| Step::Unshare(Unshare::new(*ns))).collect(),
        Word::Private => vec![Step::Private(Private { propagation: Propagation::Private })],
        Word::Fork => vec![Step::Fork(Fork {})],
        Word::Rootfs => planned("rootfs")?,
        Word::Proc => planned("proc")?,
        Word::Dev => planned("dev")?,
        Word::Devices => planned("devices")?,
        Word::Devpts => planned("devpts")?,
        Word::Sys => planned("sys")?,
        Word::Cgroupfs => planned("cgroupfs")?,
        Word::PivotRoot => vec![Step::PivotRoot(PivotRoot { moved: false })],
        Word::Masks => planned("masks")?,
        Word::ReadOnly => vec![Step::ReadOnly(ReadOnly {})],
        Word::Hostname { name } => vec![Step::Hostname(Hostname { name: name.clone() })],
        Word::Loopback => vec![Step::Loopback(Loopback {})],
        Word::User { user } => {
            let who = passwd::resolve(user, &[])?;
            vec![Step::User(User { uid: who.uid, gid: who.gid, groups: who.groups, umask: None })]
        }
        Word::Caps { add, drop } => {
            let mask = defaults::capabilities(defaults::capability_mask(), add, drop)?;
            vec![Step::Caps(Caps::from_oci(&defaults::capability_sets(mask)))]
        }
        Word::NoNewPrivs => vec![Step::NoNewPrivs(NoNewPrivs {})],
        Word::Exec { command } => vec![Step::Exec(Exec { argv: command.clone(), env: environment() })],
    })
}

fn limits(memory: Option<&str>, cpus: Option<f64>, pids: Option<u64>) -> Result<Limits, Error> {
    let size = |text: &str| {
        units::bytes(text).map_err(|reason| Error::Option {
            option: "--memory",
            value: text.to_owned(),
            reason: reason.to_string(),
            example: "skiff step limit --memory 64m",
        })
    };
    Ok(Limits {
        memory: memory.map(size).transpose()?.map(Amount::Of),
        cpus: cpus.map(Quota::of_cpus),
        pids: pids.map(Amount::Of),
        ..Limits::default()
    })
}

/// What a program inside needs of an environment.
fn environment() -> Vec<String> {
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(), "HOME=/root".to_owned()];
    env.extend(std::env::var("TERM").ok().map(|term| format!("TERM={term}")));
    env
}
