//! `skiff update`: other limits, now and at the next start.

use super::container::{Container, Status};
use super::error::Error;
use super::host::layout;
use super::restart::Policy;
use super::run::keep_request;
use super::start::request_of;
use super::steps::cgroup;
use crate::kernel::cgroup::{Cgroup, Limits};

/// Changes the limits that are given, and the policy if one is.
pub fn update(container: &mut Container, limits: &Limits, restart: Option<Policy>) -> Result<(), Error> {
    let mut request = request_of(container)?;
    if restart.is_some_and(|policy| policy != Policy::No) && container.record.auto_remove {
        return Err(Error::Option {
            option: "--restart",
            value: restart.unwrap_or_default().to_string(),
            reason: "with --rm it is removed when it ends, so it cannot be started again".into(),
            example: "skiff rm, and skiff run without --rm",
        });
    }
    if container.status() == Status::Running && !limits.is_empty() {
        // The kernel first: what it refuses is not kept.
        match Cgroup::open(&layout()?, &cgroup::name(container.id()))? {
            Some(group) => group.limit(limits)?,
            None => return Err(Error::NoCgroup { name: container.name().to_owned() }),
        }
    }
    let kept = &mut request.limits;
    kept.memory = limits.memory.or(kept.memory);
    kept.memory_swap = limits.memory_swap.or(kept.memory_swap);
    kept.cpus = limits.cpus.or(kept.cpus);
    kept.cpu_shares = limits.cpu_shares.or(kept.cpu_shares);
    kept.pids = limits.pids.or(kept.pids);
    request.restart = restart.unwrap_or(request.restart);
    keep_request(container, &request)?;
    if let Some(policy) = restart {
        container.change(|record| record.restart = policy)?;
    }
    container.say("update", []);
    Ok(())
}
