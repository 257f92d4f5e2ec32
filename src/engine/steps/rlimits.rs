//! Set resource limits, clipped to what the host allows (setrlimit(2)).
//!
//! Mechanism: setrlimit(2), for each limit.
//! See it live: `cat /proc/PID/limits`, or `ulimit -a` inside.
//! Contract: before the capabilities go, for raising a hard limit needs CAP_SYS_RESOURCE in the
//! first user namespace. Where that is missing the limit is set as high as it goes, and a note says so.
//! Left out: limits of the engine's own, which bigger runtimes take from their daemon.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::rlimit::Rlimit;
use oci_spec::runtime::PosixRlimit;
use serde::{Deserialize, Serialize};

/// The `rlimits` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimits {
    /// What to set.
    pub limits: Vec<Rlimit>,
}

impl Rlimits {
    /// The step for an OCI `process.rlimits`.
    pub fn from_oci(limits: &[PosixRlimit]) -> Self {
        let name = |limit: &PosixRlimit| limit.typ().to_string().trim_start_matches("RLIMIT_").to_lowercase();
        Self { limits: limits.iter().map(|limit| Rlimit { name: name(limit), soft: limit.soft(), hard: limit.hard() }).collect() }
    }
}

impl Carry for Rlimits {
    fn about(&self) -> About {
        About {
            name: "rlimits",
            what: format!("set {}", self.limits.iter().map(Rlimit::to_string).collect::<Vec<_>>().join(", ")),
            why: "what one process may have open or use, older than control groups and counted for each process or user; \
                  raising a hard limit needs CAP_SYS_RESOURCE, so before the capabilities go",
            man: &["setrlimit(2)"],
            syscalls: &["setrlimit"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        for limit in &self.limits {
            if let Some(clipped) = limit.set()? {
                inside.notes.push(format!("{limit} is more than this host allows without CAP_SYS_RESOURCE: set {clipped} instead"));
            }
        }
        Ok(())
    }
}
