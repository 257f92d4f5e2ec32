//! /etc/hosts and /etc/resolv.conf of a container: how it finds names (hosts(5), resolv.conf(5)).
//!
//! Both are files of the engine's, in the container's folder, bound over the image's own. On a network
//! with a name the resolver is the network's (see `dns`); elsewhere it is the host's, or what `--dns`
//! said. See it live: `cat /etc/resolv.conf` inside.

use super::slirp;
use super::dns::forward::servers;
use super::{DEFAULT, Endpoint};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// How a container was asked to find names; kept in its record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookup {
    /// `--dns`: who is asked for names of the world.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// `--dns-search`: domains that a short name is tried in; `.` alone is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// `--dns-option`: words for `options` of resolv.conf(5).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// `--add-host`: a name, and an address or `host-gateway`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, String)>,
    /// Of `--network container:NAME` the id: it has that one's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
}

impl Lookup {
    /// True where nothing was asked for.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The word that stands for the host as a container sees it.
pub const HOST_GATEWAY: &str = "host-gateway";

/// What Docker asks where the host has nobody to ask but itself.
const PUBLIC: [[u8; 4]; 2] = [[8, 8, 8, 8], [8, 8, 4, 4]];

const LOCAL: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The text of /etc/hosts. `of_host`: it shares the host's network.
pub fn hosts(lookup: &Lookup, of_host: bool, hostname: &str, endpoints: &[Endpoint]) -> String {
    let mut text = if of_host { fs::read_to_string("/etc/hosts").unwrap_or_else(|_| LOCAL.into()) } else { LOCAL.into() };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let gateway = endpoints.iter().find_map(|e| e.gateway).map_or_else(|| "127.0.0.1".to_owned(), |g| g.to_string());
    for (name, address) in &lookup.hosts {
        let address = if address == HOST_GATEWAY { &gateway } else { address };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    for endpoint in endpoints {
        text.push_str(&format!("{}\t{hostname}\n", endpoint.address.address));
    }
    text
}

/// The text of /etc/resolv.conf. `of_host`: it shares the host's network.
pub fn resolv(lookup: &Lookup, of_host: bool, endpoints: &[Endpoint]) -> String {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let named = endpoints.iter().find(|e| e.network != DEFAULT);
    if named.is_none() && lookup.is_unasked() && (of_host || endpoints.is_empty() || servers(&host).iter().any(|s| !s.is_loopback())) {
        return if of_host || endpoints.is_empty() { host } else { without_loopback(&host) };
    }
    let servers: Vec<IpAddr> = match named {
        Some(endpoint) => vec![endpoint.resolver.into()],
        None if !lookup.servers.is_empty() => lookup.servers.clone(),
        None => reachable(&host, of_host),
    };
    let words = |key: &str| -> Vec<String> {
        let mut lines = host.lines().filter_map(|l| l.trim().strip_prefix(key).filter(|rest| rest.starts_with([' ', '\t'])));
        lines.next_back().map(|rest| rest.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
    };
    let mut search = if lookup.search.is_empty() { words("search") } else { lookup.search.clone() };
    search.retain(|domain| domain != ".");
    let mut options = if lookup.options.is_empty() { words("options") } else { lookup.options.clone() };
    if named.is_some() && !options.iter().any(|o| o.starts_with("ndots:")) {
        // A short name is a container's, and asked for as it is before any domain is tried.
        options.push("ndots:0".into());
    }
    let mut text: String = servers.iter().map(|s| format!("nameserver {s}\n")).collect();
    for (key, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{key} {}\n", words.join(" ")));
        }
    }
    text
}

impl Lookup {
    /// The same for a container whose network is a tap device: slirp4netns asks in its name.
    pub(in crate::engine) fn by_tap(&self, hostname: &str) -> Self {
        let mut lookup = self.clone();
        if lookup.servers.is_empty() {
            lookup.servers.push(slirp::RESOLVER.into());
        }
        lookup.hosts.push((hostname.to_owned(), slirp::ADDRESS.to_string()));
        lookup
    }

    fn is_unasked(&self) -> bool {
        self.servers.is_empty() && self.search.is_empty() && self.options.is_empty()
    }
}

/// Whom a container on a bridge can ask of those that the host asks: not the host's own loopback.
fn reachable(host: &str, of_host: bool) -> Vec<IpAddr> {
    let outside = |text: &str| -> Vec<IpAddr> { servers(text).into_iter().filter(|s| of_host || !s.is_loopback()).collect() };
    let found = outside(host);
    if !found.is_empty() {
        return found;
    }
    // systemd-resolved listens at 127.0.0.53 and keeps here whom it asks itself.
    let behind = outside(&fs::read_to_string("/run/systemd/resolve/resolv.conf").unwrap_or_default());
    if behind.is_empty() { PUBLIC.map(IpAddr::from).to_vec() } else { behind }
}

fn without_loopback(host: &str) -> String {
    let is_loopback = |line: &str| servers(line).iter().any(IpAddr::is_loopback);
    host.lines().filter(|line| !is_loopback(line)).map(|line| format!("{line}\n")).collect()
}

/// Both texts for a container in `folder`: hosts, then resolv.conf.
pub fn texts(folder: &Path, lookup: &Lookup, of_host: bool, hostname: &str, endpoints: &[Endpoint]) -> (String, String) {
    let other = lookup.like.as_ref().map(|id| folder.with_file_name(id));
    let of_other = |name: &str| fs::read_to_string(other.as_ref()?.join(name)).ok();
    let hosts = of_other("hosts").unwrap_or_else(|| hosts(lookup, of_host, hostname, endpoints));
    (hosts, of_other("resolv.conf").unwrap_or_else(|| resolv(lookup, of_host, endpoints)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_written_before_the_containers_own_address() {
        let lookup = Lookup { hosts: vec![("db".into(), "10.1.1.1".into()), ("me".into(), HOST_GATEWAY.into())], ..Lookup::default() };
        let text = hosts(&lookup, false, "web", &[]);
        assert_eq!(text, format!("{LOCAL}10.1.1.1\tdb\n127.0.0.1\tme\n"));
    }

    #[test]
    fn the_hosts_own_loopback_is_nobody_to_ask_from_a_bridge() {
        assert_eq!(without_loopback("search a\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n"), "search a\nnameserver 10.0.0.1\n");
        assert_eq!(reachable("nameserver 10.0.0.1\nnameserver ::1\n", false), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolv(&Lookup { servers: vec!["9.9.9.9".parse().unwrap()], search: vec![".".into()], options: vec!["ndots:2".into()], ..Lookup::default() }, false, &[]), "nameserver 9.9.9.9\noptions ndots:2\n");
    }
}
