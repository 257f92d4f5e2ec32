//! Requests about images of the store: list, inspect, history, tag, remove, prune, save, load.

use super::child;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, bytes, empty, json};
use super::say::image::document;
use super::say::which_images::{Filters, Line, all, time};
use super::Daemon;
use crate::image::{Image, Store};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// Answers. A name may have slashes.
pub(super) async fn answer(daemon: &Arc<Daemon>, mut asked: Asked, method: &str, path: &[&str]) -> Reply {
    match (method, path) {
        ("GET", ["json"]) => list(daemon, asked).await,
        ("POST", ["load"]) => {
            let body = asked.body();
            let said = child::input(daemon, &["load"], body).await?;
            let lines: String = said.lines().map(|l| format!("{}\n", json!({ "stream": format!("{l}\n") }))).collect();
            Ok(bytes(200, "application/json", lines))
        }
        ("POST", ["prune"]) => prune(daemon, asked).await,
        ("GET", ["get"]) => save(daemon, &asked.every("names")).await,
        ("GET", [name @ .., "get"]) => save(daemon, &[name.join("/")]).await,
        ("GET", [name @ .., "json"]) => {
            let image = find(daemon, &name.join("/")).await?;
            let root = daemon.settings.root.clone();
            json(200, &apart(move || Ok(document(&Store::open(&root), &image)?)).await?)
        }
        ("GET", [name @ .., "history"]) => history(&find(daemon, &name.join("/")).await?),
        ("POST", [name @ .., "tag"]) => {
            let image = find(daemon, &name.join("/")).await?;
            let repository = asked.get("repo").ok_or_else(|| Fault::bad("invalid reference format"))?;
            let target = asked.get("tag").map_or_else(|| repository.to_owned(), |tag| format!("{repository}:{tag}"));
            child::run(daemon, &["tag", image.id.as_ref(), &target]).await?;
            empty(201)
        }
        ("DELETE", [name @ ..]) if !name.is_empty() => {
            let name = name.join("/");
            find(daemon, &name).await?;
            let mut words = vec!["rmi"];
            words.extend(asked.is("force").then_some("-f"));
            words.push(&name);
            json(200, &told(&child::run(daemon, &words).await?))
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

/// The image of a name or an ID.
pub(super) async fn find(daemon: &Daemon, name: &str) -> Result<Image, Fault> {
    let (root, name) = (daemon.settings.root.clone(), name.to_owned());
    apart(move || Store::open(&root).resolve(&name).map_err(|error| match error {
        crate::image::Error::NotFound { .. } => Fault::new(404, format!("No such image: {}", name.parse::<crate::image::Reference>().map_or_else(|_| name.clone(), |n| n.key()))),
        other => Fault::of(&other),
    })).await
}

/// `Untagged: …` and `Deleted: …` as the API has them.
fn told(text: &str) -> Vec<Value> {
    let line = |l: &str| l.split_once(": ").filter(|(what, _)| matches!(*what, "Untagged" | "Deleted" | "untagged" | "deleted")).map(|(what, name)| {
        let what = if what.starts_with(['u', 'U']) { "Untagged" } else { "Deleted" };
        json!({ what: name })
    });
    text.lines().filter_map(line).collect()
}

async fn list(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let (filters, root, name) = (asked.filters()?, daemon.settings.root.clone(), asked.get("filter").map(str::to_owned));
    let found = apart(move || {
        let store = Store::open(&root);
        let filters = Filters::read(&store, &filters, name.as_deref())?;
        let mut lines = all(&store, &|_, _| ())?;
        lines.retain(|line| filters.fit(line));
        Ok(list_of(&lines).into_iter().map(|(_, one)| one).collect::<Vec<_>>())
    });
    json(200, &found.await?)
}

/// Each image once, with all its names, beside the digest of its manifest.
pub(super) fn list_of(lines: &[Line]) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for line in lines {
        let digest = line.image.digest.to_string();
        let repository = line.name.as_deref().and_then(|n| n.rsplit_once(':')).map(|(r, _)| format!("{r}@{digest}"));
        if let Some((_, there)) = found.iter_mut().find(|(d, _)| *d == digest) {
            for (key, more) in [("RepoTags", line.name.clone()), ("RepoDigests", repository)] {
                if let (Some(list), Some(more)) = (there[key].as_array_mut(), more)
                    && !list.contains(&more.clone().into())
                {
                    list.push(more.into());
                }
            }
            continue;
        }
        let created = line.image.config.created().as_deref().and_then(time).and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs());
        let labels = line.image.config.config().as_ref().and_then(|c| c.labels().clone());
        let size = line.image.unpacked_size();
        found.push((digest, json!({
            "Id": line.image.id.to_string(), "ParentId": "", "RepoTags": line.name.iter().collect::<Vec<_>>(), "RepoDigests": repository.iter().collect::<Vec<_>>(),
            "Created": created, "Size": size, "SharedSize": -1, "VirtualSize": size, "Labels": labels, "Containers": -1,
        })));
    }
    found
}

fn history(image: &Image) -> Reply {
    let mut sizes = image.layer_sizes().into_iter();
    let mut steps: Vec<Value> = image.config.history().iter().flatten().map(|step| {
        let size = if step.empty_layer() == Some(true) { 0 } else { sizes.next().unwrap_or(0) };
        let created = step.created().as_deref().and_then(time).and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs());
        json!({ "Id": "<missing>", "Created": created, "CreatedBy": step.created_by().clone().unwrap_or_default(), "Tags": null, "Size": size, "Comment": step.comment().clone().unwrap_or_default() })
    }).collect();
    steps.reverse();
    if let Some(newest) = steps.first_mut() {
        newest["Id"] = image.id.to_string().into();
    }
    json(200, &steps)
}

async fn save(daemon: &Arc<Daemon>, names: &[String]) -> Reply {
    for name in names {
        find(daemon, name).await?;
    }
    let words: Vec<&str> = std::iter::once("save").chain(names.iter().map(String::as_str)).collect();
    child::output(daemon, &words, "application/x-tar").await
}

async fn prune(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let mut words: Vec<String> = ["image", "prune", "-f"].map(String::from).to_vec();
    for filter in asked.filters()? {
        match filter.as_str() {
            "dangling=false" | "dangling=0" => words.push("-a".into()),
            "dangling=true" | "dangling=1" => {}
            other => words.push(format!("--filter={other}")),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = daemon.settings.root.clone();
    let before = { let root = root.clone(); apart(move || Ok(taken(&root))).await? };
    let said = told(&child::run(daemon, &words).await?);
    let after = apart(move || Ok(taken(&root))).await?;
    json(200, &json!({ "ImagesDeleted": if said.is_empty() { Value::Null } else { said.into() }, "SpaceReclaimed": before.saturating_sub(after) }))
}

/// Bytes that the store takes.
fn taken(root: &std::path::Path) -> u64 {
    use crate::engine::volume::store::size;
    let layout = Store::open(root).layout();
    size(&layout) + size(&layout.with_file_name("layers"))
}
