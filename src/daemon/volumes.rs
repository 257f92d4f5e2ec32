//! Requests about volumes.

use super::fault::Fault;
use super::http::{Asked, Reply, apart, empty, json};
use super::say::volume::{Filters, describe, unused};
use super::Daemon;
use crate::engine::find::fresh_id;
use crate::engine::volume::{Error, Volume, Volumes};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Create {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// Answers.
pub(super) async fn answer(daemon: &Arc<Daemon>, mut asked: Asked, method: &str, path: &[&str]) -> Reply {
    let volumes = Volumes::open(&daemon.settings.root);
    match (method, path) {
        ("GET", [] | [""]) => {
            let given = asked.filters()?;
            let found = apart(move || {
                let filters = Filters::read(&given, &["dangling", "driver", "label", "name"]).map_err(|_| Fault::bad("invalid filter"))?;
                let mut all = volumes.all();
                all.retain(|v| filters.fit(v, || !volumes.users(&v.name).is_empty()));
                Ok(all.iter().map(|v| describe(v, &volumes)).collect::<Vec<_>>())
            });
            json(200, &json!({ "Volumes": found.await?, "Warnings": null }))
        }
        ("POST", ["create"]) => {
            let wanted: Create = asked.document().await?;
            if !matches!(wanted.driver.as_str(), "" | "local") {
                return Err(Fault::new(404, format!("error looking up volume plugin {}: plugin \"{}\" not found", wanted.driver, wanted.driver)));
            }
            let anonymous = wanted.name.is_empty();
            let name = if anonymous { fresh_id()? } else { wanted.name };
            let new = Volume { labels: wanted.labels.unwrap_or_default(), options: wanted.driver_opts.unwrap_or_default(), anonymous, ..Volume::new(&name) };
            json(201, &apart(move || Ok(describe(&volumes.create(&new)?, &volumes))).await?)
        }
        ("POST", ["prune"]) => {
            let (given, version) = (asked.filters()?, asked.version);
            let (gone, bytes) = apart(move || {
                let filters = Filters::read(&given, &["all", "label", "label!"]).map_err(|_| Fault::bad("invalid filter"))?;
                // Before 1.42 those with a name went too.
                let all = version < (1, 42) || filters.is("all", "true") || filters.is("all", "1");
                Ok(unused(&volumes, |v| (all || v.anonymous) && filters.fit(v, || false))?)
            }).await?;
            json(200, &json!({ "VolumesDeleted": if gone.is_empty() { Value::Null } else { json!(gone) }, "SpaceReclaimed": bytes }))
        }
        ("GET", [name]) => {
            let name = (*name).to_owned();
            json(200, &apart(move || Ok(describe(&volumes.find(&name)?, &volumes))).await?)
        }
        ("DELETE", [name]) => {
            let (name, force) = ((*name).to_owned(), asked.is("force"));
            apart(move || match volumes.remove(&name) {
                Err(Error::NotFound { .. }) if force => Ok(()),
                other => Ok(other.map(drop)?),
            }).await?;
            empty(204)
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}
