//! Plug the container into a network: a pair of veth, an address, a route (veth(4), rtnetlink(7)).
//!
//! The pair is made in the host's namespace, with one end in the host's bridge and the other in here.
//! A netlink socket belongs to the namespace that it was opened in, so the one that was opened before
//! `unshare net` still speaks to the host: one process sets both ends. See it live:
//! `ip -details link show type veth`, and inside `ip address; ip route`.
//!
//! Undone by the kernel: the pair goes with the namespace.

use crate::engine::inside::Inside;
use crate::engine::network::Endpoint;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::netlink::Socket;
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, address, link};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;

/// The `plug` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plug {
    /// The link's name in here.
    pub name: String,
    /// Which network, and which address in it.
    pub endpoint: Endpoint,
}

impl Carry for Plug {
    fn about(&self) -> About {
        About {
            name: "plug",
            what: format!("{} with the address {}, its cable in the host's bridge {}", self.name, self.endpoint.address, self.endpoint.bridge),
            why: "the new namespace has lo and nothing else; a pair of veth is a cable from it to the host",
            man: &["veth(4)", "rtnetlink(7)", "bridge(8)"],
            syscalls: &["sendto(RTM_NEWLINK)", "sendto(RTM_NEWADDR)", "sendto(RTM_NEWROUTE)"],
        }
    }

    // ANCHOR: plug
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Net, "plug the container in")?;
        let Some(outside) = &inside.outside else {
            return Err(SysError::new("reach the host's network", Errno::ENOTCONN).into());
        };
        let bridge = link::named(outside, &self.endpoint.bridge)?.ok_or_else(|| SysError::new(format!("find the bridge {}", self.endpoint.bridge), Errno::ENODEV))?;
        let here = std::fs::File::open("/proc/self/ns/net").or_sys("open /proc/self/ns/net")?;
        let there = link::End { name: &self.name, namespace: here.as_fd(), mac: self.endpoint.mac };
        let cable = || link::add_veth(outside, &self.endpoint.link, bridge.index, &there);
        match cable() {
            // Started again at once: the kernel takes a namespace apart some time after its last
            // process, and until then the cable of the last time is in the bridge. The name is ours.
            Err(e) if e.errno == Errno::EEXIST => {
                if let Some(last) = link::named(outside, &self.endpoint.link)? {
                    let _ = link::remove(outside, &last);
                }
                cable()?;
            }
            first => first?,
        }

        let own = Socket::route()?;
        let end = link::named(&own, &self.name)?.ok_or_else(|| SysError::new(format!("find {}", self.name), Errno::ENODEV))?;
        link::set_up(&own, &end)?;
        address::add(&own, end.index, self.endpoint.address)?;
        match self.endpoint.gateway.map(|g| address::add_default_route(&own, g)) {
            // The first network that has a way out keeps it.
            Some(Err(e)) if e.errno != Errno::EEXIST => Err(e.into()),
            _ => Ok(()),
        }
    }
    // ANCHOR_END: plug
}
