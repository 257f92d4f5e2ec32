//! Beside another's firewall: Docker's, or ufw's, which drop what they do not know.
//!
//! A packet that one table of the filter lets pass may still be dropped by another. Docker sets the
//! policy of the table `filter`'s chain FORWARD to drop (docs: "Packet filtering and firewalls"), and
//! with that cuts off every bridge but its own. So where that policy is found, each bridge of ours gets
//! a chain there with two rules, and a jump to it: written as iptables(8) itself writes `-i` and `-o`,
//! so that its list shows them, and Docker goes on using it. They go with the bridge. See it live:
//! `iptables -S`. Left out: hosts that still keep their rules in iptables-legacy's own tables, and
//! firewalld, which has a table and zones of its own.

use super::Error;
use crate::kernel::netlink::Socket;
use crate::kernel::nft::{self, Batch, Expression as E, Found, Verdict, link_key};
use nix::errno::Errno;

const TABLE: &str = "filter";
const FORWARD: &str = "FORWARD";

fn chain(bridge: &str) -> String {
    format!("skiff-{bridge}")
}

/// Sees to it that what goes in and out by this bridge passes there.
pub(super) fn pass(bridge: &str) -> Result<(), Error> {
    let socket = Socket::filter()?;
    if nft::chain(&socket, TABLE, FORWARD)? != Found::Drops {
        return Ok(());
    }
    let own = chain(bridge);
    if !nft::jumps(&socket, TABLE, FORWARD, &own)?.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::of(TABLE);
    if nft::chain(&socket, TABLE, &own)? == Found::Nothing {
        batch.chain(&own, None);
        for link in [E::InLink(0), E::OutLink(0)] {
            batch.rule(&own, &[link, E::Is(0, &link_key(bridge)), E::Say(Verdict::Accept)]);
        }
    }
    batch.rule_first(FORWARD, &[E::Say(Verdict::Jump(&own))]);
    Ok(batch.commit(&socket)?)
}

/// Takes that away again; no error where there is nothing.
pub(super) fn forget(bridge: &str) -> Result<(), Error> {
    let socket = Socket::filter()?;
    let own = chain(bridge);
    if nft::chain(&socket, TABLE, &own)? == Found::Nothing {
        return Ok(());
    }
    let mut batch = Batch::of(TABLE);
    for handle in nft::jumps(&socket, TABLE, FORWARD, &own)? {
        batch.remove_rule(FORWARD, handle);
    }
    batch.remove_chain(&own);
    match batch.commit(&socket) {
        // Another was quicker.
        Err(e) if e.errno == Errno::ENOENT => Ok(()),
        other => Ok(other?),
    }
}
