//! Boards that follow: server-sent events (html.spec.whatwg.org, 9.2), which a browser takes up again by itself.
//!
//! A board gets the whole class first and then, ten times a second at most, the rows that have changed: one
//! message for all boards. One that is too slow for it gets the whole class again.

use super::{Hub, board};
use axum::body::{Body, Bytes};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

const TICK: Duration = Duration::from_millis(100);
/// A line now and then: a board whose hub is gone notices, and so does the hub.
const ALIVE: u32 = 100;

/// Tells all boards what has changed.
pub async fn tick(hub: Arc<Hub>) {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut quiet = 0;
    loop {
        every.tick().await;
        let message = if hub.boards.receiver_count() == 0 {
            hub.class().changed.clear();
            None
        } else {
            board::changes(&hub)
        };
        quiet = if message.is_some() { 0 } else { quiet + 1 };
        if quiet >= ALIVE {
            quiet = 0;
            let _ = hub.boards.send(Bytes::from_static(b": here\n\n"));
        }
        if let Some(message) = message {
            let _ = hub.boards.send(event("change", &message));
        }
    }
}

fn event(name: &str, data: &serde_json::Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The body of a board's stream.
pub fn follow(hub: Arc<Hub>) -> Body {
    // Subscribed before the class is read: what changes between the two comes twice, and not never.
    let changes = hub.boards.subscribe();
    let first = event("all", &board::all(&hub));
    Body::from_stream(stream::unfold((Some(first), changes, hub), |(first, mut changes, hub)| async move {
        let next = match first {
            Some(first) => first,
            None => next(&mut changes, &hub).await?,
        };
        Some((Ok::<_, Infallible>(next), (None, changes, hub)))
    }))
}

async fn next(changes: &mut Receiver<Bytes>, hub: &Hub) -> Option<Bytes> {
    match changes.recv().await {
        Ok(message) => Some(message),
        Err(RecvError::Lagged(_)) => {
            *changes = hub.boards.subscribe();
            Some(event("all", &board::all(hub)))
        }
        Err(RecvError::Closed) => None,
    }
}
