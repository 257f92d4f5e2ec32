//! Set the clocks of a new time namespace (time_namespaces(7)).
//!
//! See it live: `cat /proc/PID/timens_offsets`, and `cat /proc/uptime` inside. Only between
//! unshare(CLONE_NEWTIME) and the first process that is born inside: so right before fork.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, pidfd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `time-offsets` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOffsets {
    /// Seconds and nanoseconds to add, for `monotonic` and `boottime`.
    pub clocks: BTreeMap<String, (i64, u32)>,
}

impl Carry for TimeOffsets {
    fn about(&self) -> About {
        let shown: Vec<String> = self.clocks.iter().map(|(clock, (secs, _))| format!("{clock} by {secs} s")).collect();
        About {
            name: "time-offsets",
            what: format!("move {}", shown.join(", ")),
            why: "a container that was moved from another machine must not see its clocks jump; only before the first process is born inside",
            man: &["time_namespaces(7)"],
            syscalls: &["write(/proc/self/timens_offsets)"],
        }
    }

    fn carry_out(&self, _: &mut Inside) -> Result<(), StepError> {
        let text: String = self.clocks.iter().map(|(clock, (secs, nanos))| format!("{clock} {secs} {nanos}\n")).collect();
        // A process that made a user namespace is hidden from debuggers, and its files in /proc are then the
        // host's root's.
        pidfd::show_to_debuggers()?;
        let written = std::fs::write("/proc/self/timens_offsets", text).or_sys("set the clocks of the time namespace");
        pidfd::hide_from_debuggers()?;
        Ok(written?)
    }
}
