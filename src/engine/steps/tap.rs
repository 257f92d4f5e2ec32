//! Give the container a network without root: a tap device whose other end is a program (slirp4netns(1)).
//!
//! A pair of veth would have its other end in the host's network namespace, which is root's to change. A
//! tap(4) device hands its packets to a program instead: slirp4netns reads them, and makes of each
//! connection one of its own, as any program of ours may. It must be started from outside, by whoever
//! waits for this process, and is done before the next step. See it live: `pgrep -af slirp4netns`, and
//! inside `ip address; ip route`.
//!
//! Undone by whoever waits: the program ends when a pipe that it holds is closed. What bigger engines do
//! more: pasta, which copies nothing it need not; ports that show who has really called.

use crate::engine::hold::{Reply, Request};
use crate::engine::inside::Inside;
use crate::engine::network::Published;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::SysError;
use crate::kernel::ns::Ns;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The `tap` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// Ports of the host that lead in.
    pub ports: Vec<Published>,
}

impl Carry for Tap {
    fn about(&self) -> About {
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(", with {}", ports.join(", ")) };
        About {
            name: "tap",
            what: format!("eth0 as a tap device of slirp4netns{ports}"),
            why: "a cable to the host is root's to plug; a program of ours can carry the packets instead",
            man: &["slirp4netns(1)", "tap(4)"],
            syscalls: &["sendmsg (to who waits, who starts slirp4netns)", "recvmsg"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Net, "have a network of its own")?;
        inside.upstream.tell(&Reply::WantsTap(self.clone()))?;
        match inside.upstream.next()? {
            Some((Request::Tapped(None), _)) => Ok(()),
            Some((Request::Tapped(Some(error)), _)) => Err(error),
            _ => Err(SysError::new("hear that the network is there", Errno::ECONNRESET).into()),
        }
    }
}
