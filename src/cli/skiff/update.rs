//! `skiff update`: limits and restart policy of containers, while they run.

use super::{Outcome, boxed, each};
use crate::engine::container::Container;
use crate::engine::limits::{Wanted, limits};
use crate::engine::restart::Policy;
use crate::engine::update;
use clap::Args;
use std::path::Path;

// Options of `skiff update`.
#[derive(Debug, Args)]
pub struct Update {
    /// Memory limit, such as 64m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// CPU time, such as 0.5 for half a core
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Share of CPU time when it is scarce; 1024 is everybody's
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// At most so many processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// What happens when it ends: no, on-failure[:MOST], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<Policy>,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

/// Changes them.
pub fn run(args: &Update, root: &Path) -> Outcome {
    let wanted = Wanted {
        memory: args.memory.as_deref(),
        memory_swap: args.memory_swap.as_deref(),
        cpus: args.cpus.as_deref(),
        cpu_shares: args.cpu_shares,
        pids: args.pids_limit,
    };
    let limits = limits(&wanted).map_err(boxed)?;
    each(&args.containers, |name| update::update(&mut Container::find(root, name)?, &limits, args.restart))
}
