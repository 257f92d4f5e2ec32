//! Set the loopback link up: a new network namespace has it, but down (network_namespaces(7)).
//!
//! See it live: `cat /proc/PID/net/dev`, or `skiff run base ip link`.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::net;
use crate::kernel::ns::Ns;
use serde::{Deserialize, Serialize};

/// The `loopback` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loopback {}

impl Carry for Loopback {
    fn about(&self) -> About {
        About {
            name: "loopback",
            what: "set the link lo up".into(),
            why: "a new network namespace cannot even reach itself: lo exists and is down",
            man: &["netdevice(7)", "network_namespaces(7)"],
            syscalls: &["socket", "ioctl(SIOCSIFFLAGS)"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Net, "set the link lo up")?;
        Ok(net::loopback_up()?)
    }
}
