//! What a container changed over its image, and images made of that.

use super::child;
use super::containers::find;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, json};
use super::Daemon;
use crate::image::{Store, changes};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /containers/ID/changes`: kind 0 is changed, 1 added, 2 deleted.
pub(super) async fn changes(daemon: &Arc<Daemon>, id: &str) -> Reply {
    let container = find(daemon, id).await?;
    let list = apart(move || {
        let store = Store::open(container.store());
        let image = store.resolve(&container.record.image_digest).or_else(|_| store.resolve(&container.record.image))?;
        let all = changes::list(&container.folder().join("upper"), &image.layers)?;
        let kind = |letter: char| match letter { 'A' => 1, 'D' => 2, _ => 0 };
        Ok(all.iter().map(|c| json!({ "Path": c.path.display().to_string(), "Kind": kind(c.kind.letter().to_string().chars().next().unwrap_or('C')) })).collect::<Vec<_>>())
    });
    let list = list.await?;
    json(200, &if list.is_empty() { Value::Null } else { list.into() })
}

/// What the new image's config is to have over the container's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    cmd: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    env: Option<Vec<String>>,
    labels: Option<std::collections::BTreeMap<String, String>>,
    user: Option<String>,
    working_dir: Option<String>,
}

impl Config {
    /// As Dockerfile instructions.
    fn instructions(&self) -> Vec<String> {
        let mut all = Vec::new();
        let list = |word: &str, words: &Option<Vec<String>>| words.as_ref().filter(|w| !w.is_empty()).map(|w| format!("{word} {}", json!(w)));
        all.extend(list("CMD", &self.cmd));
        all.extend(list("ENTRYPOINT", &self.entrypoint));
        all.extend(self.env.iter().flatten().map(|e| format!("ENV {e}")));
        all.extend(self.labels.iter().flatten().map(|(n, v)| format!("LABEL {n}={v}")));
        all.extend(self.user.iter().filter(|u| !u.is_empty()).map(|u| format!("USER {u}")));
        all.extend(self.working_dir.iter().filter(|u| !u.is_empty()).map(|u| format!("WORKDIR {u}")));
        all
    }
}

/// `POST /commit`.
pub(super) async fn commit(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    let config: Config = asked.document().await?;
    let container = find(daemon, asked.get("container").ok_or_else(|| Fault::bad("no container is named"))?).await?;
    let mut words: Vec<String> = vec!["commit".into()];
    for (flag, name) in [("--author", "author"), ("--message", "comment")] {
        words.extend(asked.get(name).map(|value| format!("{flag}={value}")));
    }
    let given = asked.every("changes");
    let changes = given.iter().flat_map(|text| text.lines()).map(str::to_owned);
    words.extend(config.instructions().into_iter().chain(changes).filter(|c| !c.trim().is_empty()).map(|c| format!("--change={c}")));
    words.push(container.id().to_owned());
    if let Some(repository) = asked.get("repo") {
        words.push(asked.get("tag").map_or_else(|| repository.to_owned(), |tag| format!("{repository}:{tag}")));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let id = child::run(daemon, &words).await?;
    json(201, &json!({ "Id": id.trim() }))
}
