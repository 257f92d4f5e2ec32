//! The probes of a network's ways, as YAML spells them: an address, and a connection that stands.

use super::scalar::Number;
use crate::kernel::address::Net;
use serde::Deserialize;
use std::net::IpAddr;

/// An address that a link has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddressIs {
    /// With the length of its network's part: `10.1.2.3/24`.
    pub is: Net,
    /// On the link of this name; without it, on any.
    pub on: Option<String>,
}

/// A TCP connection that the process holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Connected {
    /// The other side's address.
    pub to: Option<IpAddr>,
    /// The other side has this port.
    pub port: Option<Number>,
    /// This side has this port.
    pub own_port: Option<Number>,
    /// The other side's address is one of the network namespace of the process that this check found,
    /// and that namespace is another.
    pub with: Option<String>,
}

impl Connected {
    /// What is asked for, in words.
    pub fn in_words(&self) -> String {
        let mut words = vec!["the process connected".to_owned()];
        words.extend(self.to.map(|a| format!("with {a}")));
        words.extend(self.with.as_ref().map(|id| format!("with an address of `{id}`")));
        words.extend(self.port.map(|p| format!("at its tcp port {}", p.0)));
        words.extend(self.own_port.map(|p| format!("by its own tcp port {}", p.0)));
        words.join(" ")
    }
}
