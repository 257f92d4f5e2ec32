//! `POST /containers/ID/…`: start, stop, restart, kill, pause, rename, update; and its processes.

use super::child::{self, Answer, Worker};
use super::configure::Resources;
use super::containers::find;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, empty, json};
use super::order::Order;
use super::Daemon;
use crate::engine::container::{Container, Status};
use crate::engine::{life, pause, update, visit};
use serde_json::json;
use std::sync::Arc;

/// Answers.
pub(super) async fn change(daemon: &Arc<Daemon>, mut asked: Asked, id: &str, what: &str) -> Reply {
    let mut container = find(daemon, id).await?;
    match what {
        "start" => start(daemon, &container).await,
        "stop" => {
            let grace = grace(&asked)?;
            let live = container.status().is_live();
            apart(move || Ok(life::stop(&container, grace)?)).await?;
            empty(if live { 204 } else { 304 })
        }
        "restart" => {
            let grace = grace(&asked)?;
            let stopped = find(daemon, container.id()).await?;
            apart(move || Ok(life::stop(&stopped, grace)?)).await?;
            begin(daemon, &find(daemon, container.id()).await?).await?;
            container.say("restart", []);
            empty(204)
        }
        "kill" => {
            let signal = life::signal_number(asked.get("signal").unwrap_or("KILL")).map_err(|_| Fault::bad(format!("invalid signal: {}", asked.get("signal").unwrap_or_default())))?;
            let name = id.to_owned();
            apart(move || life::kill(&container, signal).map_err(|e| match Fault::of(&e) {
                Fault { status: 409, .. } => Fault::new(409, format!("cannot kill container: {name}: container {} is not running", container.id())),
                other => other,
            })).await?;
            empty(204)
        }
        "pause" => {
            apart(move || pause::pause(&container).map_err(|e| match e {
                crate::engine::Error::Paused { .. } => Fault::new(409, format!("Container {} is already paused", container.id())),
                other => Fault::of(&other),
            })).await?;
            empty(204)
        }
        "unpause" => {
            apart(move || Ok(pause::unpause(&container)?)).await?;
            empty(204)
        }
        "rename" => {
            let name = asked.get("name").unwrap_or_default().trim_start_matches('/').to_owned();
            if name.is_empty() {
                return Err(Fault::bad("Neither old nor new names may be empty"));
            }
            apart(move || Ok(container.rename(&name)?)).await?;
            empty(204)
        }
        "update" => {
            let wanted: Resources = asked.document().await?;
            let (limits, restart) = (wanted.limits()?, wanted.restart_policy.as_ref().map_or(Ok(None), |r| r.policy())?);
            apart(move || Ok(update::update(&mut container, &limits, restart)?)).await?;
            json(200, &json!({ "Warnings": [] }))
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

fn grace(asked: &Asked) -> Result<Option<i64>, Fault> {
    asked.number("t")
}

/// Has an order carried out, whoever goes away meanwhile.
pub(super) async fn ordered(daemon: &Arc<Daemon>, order: Order) -> Result<Answer, Fault> {
    let daemon = Arc::clone(daemon);
    let done = tokio::spawn(async move { Worker::start(&daemon, &order).await?.answer().await });
    done.await.map_err(|e| Fault::new(500, e.to_string()))?
}

async fn start(daemon: &Arc<Daemon>, container: &Container) -> Reply {
    if pause::is_paused(container) {
        return Err(Fault::new(409, "cannot start a paused container, try unpause instead"));
    }
    empty(if begin(daemon, container).await? { 204 } else { 304 })
}

/// Starts it; false if it runs already. Who waits for that is handed its streams.
async fn begin(daemon: &Arc<Daemon>, container: &Container) -> Result<bool, Fault> {
    if matches!(container.status(), Status::Running | Status::Restarting) {
        return Ok(false);
    }
    let guests = daemon.attached.take(container.id());
    let (attach, input) = (!guests.is_empty(), guests.first().is_some_and(|(input, _)| *input));
    let started = ordered(daemon, Order::Start { id: container.id().to_owned(), attach, input }).await;
    if started.is_err() && container.record.auto_remove {
        // Who waits for its removal waits for this.
        let _ = child::run(daemon, &["rm", "-f", "-v", container.id()]).await;
    }
    let mut answer = started?;
    for step in answer.document["steps"].as_array().into_iter().flatten() {
        daemon.say(&format!("  step {}", step.as_str().unwrap_or_default()));
    }
    let mut first = answer.fds.pop();
    for (_, guest) in guests {
        let socket = match first.take() {
            Some(socket) => Some(socket),
            None => visit::knock(container).ok().flatten(),
        };
        let _ = guest.send(socket);
    }
    Ok(answer.document["already"] != true)
}

/// `GET /containers/ID/top`: the columns and lines of ps(1).
pub(super) async fn top(daemon: &Arc<Daemon>, asked: &Asked, id: &str) -> Reply {
    let container = find(daemon, id).await?;
    let options = asked.get("ps_args").unwrap_or("-ef").to_owned();
    let mut words = vec!["top", container.id()];
    words.extend(options.split_whitespace());
    let text = child::run(daemon, &words).await?;
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let cells = |line: &str| -> Vec<String> {
        let mut rest = line;
        let mut found: Vec<String> = Vec::new();
        while found.len() + 1 < titles.len() {
            let (cell, tail) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
            found.push(cell.to_owned());
            rest = tail;
        }
        found.push(rest.trim().to_owned());
        found
    };
    let processes: Vec<Vec<String>> = lines.map(cells).collect();
    json(200, &json!({ "Titles": titles, "Processes": processes }))
}
