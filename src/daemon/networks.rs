//! Requests about networks. Two are there without anything being made: `host` and `none`.

use super::child;
use super::configure::{Endpoint, place};
use super::containers::find;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, empty, json};
use super::say::network::{describe, fits, rows};
use super::Daemon;
use crate::engine::network::{Networks, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Answers.
pub(super) async fn answer(daemon: &Arc<Daemon>, mut asked: Asked, method: &str, path: &[&str]) -> Reply {
    let root = daemon.settings.root.clone();
    match (method, path) {
        ("GET", [] | [""]) => {
            let filters = asked.filters()?;
            json(200, &apart(move || list(&root, &filters)).await?)
        }
        ("POST", ["create"]) => create(daemon, asked).await,
        ("POST", ["prune"]) => {
            asked.filters()?;
            let gone = child::run(daemon, &["network", "prune", "-f"]).await?;
            let gone: Vec<&str> = gone.lines().filter(|l| !l.starts_with("Deleted") && *l != crate::engine::network::DEFAULT).collect();
            json(200, &json!({ "NetworksDeleted": if gone.is_empty() { Value::Null } else { json!(gone) } }))
        }
        ("GET", [name]) => {
            let name = (*name).to_owned();
            json(200, &apart(move || inspect(&root, &name)).await?)
        }
        ("DELETE", [name]) => {
            child::run(daemon, &["network", "rm", name]).await?;
            empty(204)
        }
        ("POST", [name, "connect"]) => {
            let wanted: Connect = asked.document().await?;
            let container = find(daemon, &wanted.container).await?;
            let place = place(name, wanted.endpoint_config)?;
            let mut words = vec!["network".to_owned(), "connect".into()];
            words.extend(place.address.map(|a| format!("--ip={a}")));
            words.extend(place.aliases.iter().map(|a| format!("--alias={a}")));
            words.extend([(*name).to_owned(), container.id().to_owned()]);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            child::run(daemon, &words).await?;
            empty(200)
        }
        ("POST", [name, "disconnect"]) => {
            let wanted: Connect = asked.document().await?;
            let container = find(daemon, &wanted.container).await?;
            child::run(daemon, &["network", "disconnect", name, container.id()]).await?;
            empty(200)
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Connect {
    container: String,
    endpoint_config: Option<Endpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Create {
    name: String,
    driver: String,
    internal: bool,
    #[serde(rename = "IPAM")]
    ipam: Option<Ipam>,
    #[serde(rename = "EnableIPv6")]
    ipv6: Option<bool>,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Ipam {
    config: Option<Vec<Range>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Range {
    subnet: String,
    gateway: String,
    #[serde(rename = "IPRange")]
    range: String,
}

async fn create(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    let wanted: Create = asked.document().await?;
    if !matches!(wanted.driver.as_str(), "" | "bridge" | "default") {
        return Err(Fault::new(404, format!("could not find plugin {} in v2 plugin directory: skiff has one driver, bridge", wanted.driver)));
    }
    if wanted.ipv6 == Some(true) {
        return Err(Fault::bad("skiff's networks have no IPv6"));
    }
    let range = wanted.ipam.and_then(|i| i.config).and_then(|c| c.into_iter().next()).unwrap_or_default();
    if !range.range.is_empty() {
        return Err(Fault::bad("skiff cannot heed IPRange"));
    }
    let subnet = Some(range.subnet).filter(|s| !s.is_empty()).map(|s| s.parse().map_err(|_| Fault::bad(format!("invalid subnet {s}")))).transpose()?;
    let gateway = Some(range.gateway).filter(|s| !s.is_empty()).map(|s| s.parse().map_err(|_| Fault::bad(format!("invalid gateway {s}")))).transpose()?;
    let warning = if wanted.options.is_some_and(|o| !o.is_empty()) { "options of the driver are not heeded by skiff" } else { "" };
    let new = Wanted { name: wanted.name, subnet, gateway, internal: wanted.internal, labels: wanted.labels.unwrap_or_default() };
    let root = daemon.settings.root.clone();
    let made = apart(move || Ok(Networks::open(&root).create(&new)?)).await?;
    json(201, &json!({ "Id": made.id, "Warning": warning }))
}

fn list(root: &Path, filters: &[String]) -> Result<Vec<Value>, Fault> {
    let wanted = super::say::which::conditions(filters, &["name", "id", "driver", "label", "type", "dangling", "scope"]).map_err(|_| Fault::bad("invalid filter"))?;
    let networks = Networks::open(root);
    // The default one is made when it is first asked for, as Docker has it from its start.
    let _ = networks.default();
    let mut all = rows(&networks)?;
    all.retain(|row| fits(row, &wanted));
    all.iter().map(|row| match networks.find(&row.id) {
        Ok(network) => Ok(describe(&network, root)),
        Err(_) => Ok(alone(&row.id, &row.name, row.driver)),
    }).collect()
}

fn inspect(root: &Path, name: &str) -> Result<Value, Fault> {
    let networks = Networks::open(root);
    if name == crate::engine::network::DEFAULT {
        networks.default()?;
    }
    match networks.find(name) {
        Ok(network) => Ok(describe(&network, root)),
        Err(error) => match rows(&networks)?.iter().find(|row| row.name == name || row.id == name) {
            Some(row) => Ok(alone(&row.id, &row.name, row.driver)),
            None => Err(error.into()),
        },
    }
}

/// One that is none of the engine's making.
fn alone(id: &str, name: &str, driver: &str) -> Value {
    json!({
        "Name": name, "Id": id, "Created": "0001-01-01T00:00:00Z", "Scope": "local", "Driver": driver, "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Options": null, "Config": [] }, "Internal": false, "Attachable": false, "Ingress": false,
        "ConfigFrom": { "Network": "" }, "ConfigOnly": false, "Containers": {}, "Options": {}, "Labels": {},
    })
}
