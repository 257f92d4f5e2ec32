//! Requests about containers: which function answers which path; the list; what is made.

use super::fault::Fault;
use super::http::{Asked, Reply, apart, empty, json};
use super::say::words::{self, state};
use super::say::{self, which::Filters};
use super::{Daemon, attach, changes, child, configure, exec, life, logs, order, stats, wait};
use crate::engine::container::{Container, Status};
use crate::engine::start::request_of;
use crate::engine::volume::store::size;
use crate::image::Store;
use crate::kernel::pty::Size;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Answers.
pub(super) async fn answer(daemon: &Arc<Daemon>, asked: Asked, method: &str, path: &[&str]) -> Reply {
    match (method, path) {
        ("GET", ["json"]) => list(daemon, asked).await,
        ("POST", ["create"]) => create(daemon, asked).await,
        ("POST", ["prune"]) => prune(daemon, asked).await,
        ("GET", [id, "json"]) => inspect(daemon, &asked, id).await,
        ("GET", [id, "logs"]) => logs::logs(daemon, &asked, id).await,
        ("GET", [id, "stats"]) => stats::stats(daemon, &asked, id).await,
        ("GET", [id, "top"]) => life::top(daemon, &asked, id).await,
        ("GET", [id, "changes"]) => changes::changes(daemon, id).await,
        ("GET", [id, "export"]) => {
            let container = find(daemon, id).await?;
            child::output(daemon, &["export", container.id()], "application/x-tar").await
        }
        ("POST", [id, "attach"]) => attach::attach(daemon, asked, id).await,
        ("POST", [id, "wait"]) => wait::wait(daemon, &asked, id).await,
        ("POST", [id, "resize"]) => {
            let (container, size) = (find(daemon, id).await?, window(&asked)?);
            apart(move || attach::resize(&container, size)).await?;
            empty(200)
        }
        ("POST", [id, "exec"]) => exec::create(daemon, asked, id).await,
        ("POST", [id, what]) => life::change(daemon, asked, id, what).await,
        ("DELETE", [id]) => {
            let container = find(daemon, id).await?;
            let mut words = vec!["rm"];
            words.extend(asked.is("force").then_some("-f"));
            words.extend(asked.is("v").then_some("-v"));
            words.push(container.id());
            child::run(daemon, &words).await?;
            empty(204)
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

/// The container of a name or an id.
pub(super) async fn find(daemon: &Daemon, id: &str) -> Result<Container, Fault> {
    let (root, id) = (daemon.settings.root.clone(), id.to_owned());
    apart(move || Ok(Container::find(&root, &id)?)).await
}

/// A terminal's size, `h` and `w`.
pub(super) fn window(asked: &Asked) -> Result<Size, Fault> {
    let one = |name| asked.number::<u16>(name).map(|n| n.unwrap_or(0));
    Ok(Size { rows: one("h")?, columns: one("w")? })
}

async fn list(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let filters = asked.filters()?;
    let (all, sized) = (asked.is("all"), asked.is("size"));
    let limit = asked.number::<i64>("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let root = daemon.settings.root.clone();
    let found = apart(move || {
        let filters = Filters::read(&filters, &root)?;
        let every = all || limit.is_some() || filters.name_a_status();
        let mut found = Container::all(&root);
        found.retain(|c| (every || matches!(c.status(), Status::Running | Status::Restarting)) && filters.fit(c));
        found.reverse();
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(found.iter().map(|c| summary(c, &root, sized)).collect::<Vec<_>>())
    });
    json(200, &found.await?)
}

fn summary(container: &Container, root: &Path, sized: bool) -> Value {
    let record = &container.record;
    let word = state(container);
    let image = Store::open(root).resolve(&record.image_digest).ok();
    let created = record.created.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let port = |p: &crate::engine::network::Published| json!({ "IP": p.address.to_string(), "PrivatePort": p.port, "PublicPort": p.host_port, "Type": p.protocol.to_string() });
    let request = request_of(container).unwrap_or_default();
    let mut one = json!({
        "Id": record.id,
        "Names": [format!("/{}", record.name)],
        "Image": record.image,
        "ImageID": image.as_ref().map_or_else(|| record.image_digest.clone(), |i| i.id.to_string()),
        "Command": record.command.join(" "),
        "Created": created,
        "Ports": record.ports.iter().map(port).collect::<Vec<_>>(),
        "Labels": record.labels,
        "State": word,
        "Status": words::status(container, word),
        "HostConfig": { "NetworkMode": say::container::network_mode(&request.network) },
        "NetworkSettings": { "Networks": say::container::networks(container, &request) },
        "Mounts": say::container::mounts(container),
    });
    if sized {
        let (own, below) = sizes(container, root);
        (one["SizeRw"], one["SizeRootFs"]) = (own.into(), (own + below).into());
    }
    one
}

/// Bytes that it wrote, and of its image.
fn sizes(container: &Container, root: &Path) -> (u64, u64) {
    let image = Store::open(root).resolve(&container.record.image_digest).map_or(0, |i| i.unpacked_size());
    (size(&container.folder().join("upper")), image)
}

async fn inspect(daemon: &Arc<Daemon>, asked: &Asked, id: &str) -> Reply {
    let (container, sized, root) = (find(daemon, id).await?, asked.is("size"), daemon.settings.root.clone());
    let execs = daemon.execs.of(container.id());
    let document = apart(move || {
        use say::ordered::Ordered;
        let mut document = say::container::document(&container);
        if let Ordered::Members(members) = &mut document {
            if let Some((_, ids)) = members.iter_mut().find(|(name, _)| *name == "ExecIDs").filter(|_| !execs.is_empty()) {
                *ids = Ordered::Plain(json!(execs));
            }
            if sized {
                let (own, below) = sizes(&container, &root);
                members.extend([("SizeRw", Ordered::Plain(own.into())), ("SizeRootFs", Ordered::Plain((own + below).into()))]);
            }
        }
        Ok(document)
    });
    json(200, &document.await?)
}

async fn create(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    let document: configure::Document = asked.document().await?;
    let (name, root) = (asked.get("name").map(str::to_owned), daemon.settings.root.clone());
    if let Some(platform) = asked.get("platform") {
        let own = crate::build::stage::platform();
        if !own.iter().any(|(_, value)| **value == *platform) && platform != "linux" {
            return Err(Fault::new(404, format!("image with reference was found but its platform does not match: wanted {platform}")));
        }
    }
    let (request, warnings) = apart(move || configure::request(document, name.as_deref(), &root)).await?;
    let order = order::Order::Create(Box::new(request));
    let id = life::ordered(daemon, order).await?.document["id"].take();
    json(201, &json!({ "Id": id, "Warnings": warnings }))
}

async fn prune(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let (filters, root) = (asked.filters()?, daemon.settings.root.clone());
    let going = apart(move || {
        let (until, rest): (Vec<String>, Vec<String>) = filters.into_iter().partition(|f| f.starts_with("until="));
        let until = until.iter().map(|t| super::say::which_images::moment(&t["until=".len()..]).ok_or_else(|| Fault::bad("invalid filter: until is a time"))).collect::<Result<Vec<_>, _>>()?;
        let filters = Filters::read(&rest, &root)?;
        let mut all = Container::all(&root);
        all.retain(|c| !c.status().is_live() && filters.fit(c) && until.iter().all(|limit| c.record.created < *limit));
        Ok(all.into_iter().map(|c| (c.id().to_owned(), size(&c.folder().join("upper")))).collect::<Vec<_>>())
    });
    let (mut gone, mut bytes) = (Vec::new(), 0);
    for (id, size) in going.await? {
        if child::run(daemon, &["rm", &id]).await.is_ok() {
            gone.push(id);
            bytes += size;
        }
    }
    json(200, &json!({ "ContainersDeleted": if gone.is_empty() { Value::Null } else { json!(gone) }, "SpaceReclaimed": bytes }))
}
