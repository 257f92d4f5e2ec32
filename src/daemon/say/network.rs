//! Networks as the API and `skiff network` have them, and filters of them.

use super::which::has_label;
use crate::engine::container::Container;
use crate::engine::network::{self, Network, Networks};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A line of the list. Two are there without anything being made: no network, and the host's own.
#[derive(Debug)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `host` or `null`.
    pub driver: &'static str,
    /// Without a way out.
    pub internal: bool,
    /// Since when; none of what nobody made.
    pub created: Option<std::time::SystemTime>,
    /// The user's own.
    pub labels: BTreeMap<String, String>,
    /// A container is on it.
    pub used: bool,
}

/// All networks, by name.
///
/// # Errors
/// What cannot be read.
pub fn rows(networks: &Networks) -> Result<Vec<Row>, network::Error> {
    let of = |n: Network| Row { used: !networks.users(&n).is_empty(), id: n.id, name: n.name, driver: "bridge", internal: n.internal, created: Some(n.created), labels: n.labels };
    let alone = |name: &str, driver, digit: char| Row { id: digit.to_string().repeat(64), name: name.into(), driver, internal: false, created: None, labels: BTreeMap::new(), used: true };
    let mut all: Vec<Row> = networks.all()?.into_iter().map(of).collect();
    all.extend([alone("host", "host", '1'), alone("none", "null", '0')]);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Whether a line meets all conditions; of several names or ids one is enough.
pub fn fits(row: &Row, filters: &[(&str, &str)]) -> bool {
    let builtin = matches!(row.name.as_str(), "bridge" | "host" | "none");
    let any = |key: &str, part_of: &str| {
        let mut wanted = filters.iter().filter(|(k, _)| *k == key).peekable();
        wanted.peek().is_none() || wanted.any(|(_, value)| part_of.contains(value))
    };
    let holds = |(key, value): &(&str, &str)| match *key {
        "driver" => row.driver == *value,
        "type" => (*value == "builtin") == builtin,
        "dangling" => matches!(*value, "true" | "1") == (!builtin && !row.used),
        "label" => has_label(&row.labels, value),
        _ => true,
    };
    any("name", &row.name) && any("id", &row.id) && filters.iter().all(holds)
}

/// One network, as Docker has it.
pub fn describe(network: &Network, root: &Path) -> Value {
    let containers: BTreeMap<String, Value> = Container::all(root)
        .into_iter()
        .flat_map(|c| c.record.endpoints.clone().into_iter().map(move |e| (c.record.clone(), e)))
        .filter(|(_, e)| e.id == network.id)
        .map(|(record, e)| {
            let mac: Vec<String> = e.mac.iter().map(|b| format!("{b:02x}")).collect();
            (record.id, json!({ "Name": record.name, "EndpointID": e.link, "MacAddress": mac.join(":"), "IPv4Address": e.address.to_string(), "IPv6Address": "" }))
        })
        .collect();
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": humantime::format_rfc3339_nanos(network.created).to_string(),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Config": [{ "Subnet": network.subnet.to_string(), "Gateway": network.gateway.to_string() }] },
        "Internal": network.internal,
        "Containers": containers,
        "Options": { "com.docker.network.bridge.name": network.bridge },
        "Labels": network.labels,
    })
}
