//! `POST /containers/ID/wait`: until it has ended, is gone, or ends the next time.
//!
//! No thread waits: the journal says what happens. One whose monitor was killed says nothing any more,
//! so it is looked at now and then too.

use super::Daemon;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, streamed};
use super::journal::Heard;
use crate::engine::container::{Container, Status};
use crate::engine::life;
use crate::engine::restart::Policy;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether anybody is left to say that it has ended; at first sooner, since its end
/// may have been told just before we listened, and not yet written down when we looked.
const LOOK: Duration = Duration::from_secs(5);
const FIRST_LOOK: Duration = Duration::from_millis(40);

/// Waits. The head of the answer is sent at once: who waits wants to know that he is heard before he
/// starts the container.
pub(super) async fn wait(daemon: &Arc<Daemon>, asked: &Asked, id: &str) -> Reply {
    let condition = asked.get("condition").unwrap_or("not-running").to_owned();
    if !matches!(condition.as_str(), "not-running" | "next-exit" | "removed") {
        return Err(Fault::bad(format!("invalid condition: {condition:?}")));
    }
    let heard = daemon.journal.listen();
    let (root, name) = (daemon.settings.root.clone(), id.to_owned());
    let container = apart(move || Ok(Container::find(&root, &name)?)).await?;
    let (sender, response) = streamed("application/json");
    tokio::spawn(async move {
        let code = tokio::select! {
            () = sender.closed() => return,
            code = ended(container, &condition, heard) => code,
        };
        let answer = match code {
            Ok(code) => json!({ "StatusCode": code }),
            Err(fault) => json!({ "StatusCode": 125, "Error": { "Message": fault.message } }),
        };
        let _ = sender.send(format!("{answer}\n").into()).await;
    });
    Ok(response)
}

async fn ended(container: Container, condition: &str, mut heard: Heard) -> Result<i32, Fault> {
    let is_live = |status| matches!(status, Status::Running | Status::Restarting | Status::Creating);
    let live = is_live(container.status());
    if condition == "not-running" && !live {
        return Ok(container.record.exit_code);
    }
    let (id, root) = (container.id().to_owned(), container.store().to_owned());
    let (mut code, mut look) = (container.record.exit_code, FIRST_LOOK);
    loop {
        let event = match tokio::time::timeout(look, heard.next()).await {
            Ok(event) => Some(event?),
            Err(_) => None,
        };
        let Some(event) = event else {
            look = LOOK.min(look * 2);
            match Container::find(&root, &id) {
                Ok(now) if live && !is_live(now.status()) && condition != "removed" => return Ok(if now.status() == Status::Dead { 137 } else { now.record.exit_code }),
                Err(_) => return Ok(code),
                Ok(_) => continue,
            }
        };
        if event.actor.id != id {
            continue;
        }
        match event.action.as_str() {
            "die" => {
                code = event.actor.attributes.get("exitCode").and_then(|c| c.parse().ok()).unwrap_or(code);
                if condition != "removed" && (condition == "next-exit" || !goes_on(&root, &id)) {
                    return settled(container, code).await;
                }
            }
            "destroy" => return settled(container, code).await,
            _ => {}
        }
    }
}

/// Will it be started again?
fn goes_on(root: &Path, id: &str) -> bool {
    Container::find(root, id).is_ok_and(|now| now.record.restart != Policy::No && !now.is_halted())
}

/// The end is told before it is written down: whoever hears of it here may look at once.
async fn settled(container: Container, code: i32) -> Result<i32, Fault> {
    if !goes_on(container.store(), container.id()) {
        apart(move || Ok(life::wait(&container)?)).await?;
    }
    Ok(code)
}
