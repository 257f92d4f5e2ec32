//! `GET /containers/ID/logs`: what a container wrote, and what it writes.

use super::Daemon;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, streamed};
use super::stream::{Out, kind, piece};
use crate::engine::container::Container;
use crate::engine::log::read::{Entry, News, Reader};
use crate::engine::log::window::Window;
use crate::kernel::SysError;
use axum::body::Bytes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// How often it is looked whether anybody still reads.
const LOOK: Duration = Duration::from_secs(1);

/// Which lines.
struct Wanted {
    out: bool,
    err: bool,
    follow: bool,
    timestamps: bool,
    framed: bool,
    window: Window,
}

/// Answers with them.
pub(super) async fn logs(daemon: &Arc<Daemon>, asked: &Asked, id: &str) -> Reply {
    let (root, name) = (daemon.settings.root.clone(), id.to_owned());
    let container = apart(move || Ok(Container::find(&root, &name)?)).await?;
    let tty = container.record.tty;
    let wanted = Wanted {
        out: asked.is("stdout"),
        err: asked.is("stderr"),
        follow: asked.is("follow"),
        timestamps: asked.is("timestamps"),
        framed: !tty,
        window: Window {
            since: asked.get("since").map(moment).transpose()?.flatten(),
            until: asked.get("until").map(moment).transpose()?.flatten(),
            tail: asked.get("tail").and_then(|t| t.parse().ok()),
        },
    };
    if !(wanted.out || wanted.err) {
        return Err(Fault::bad("Bad parameters: you must choose at least one stream"));
    }
    let (sender, response) = streamed(kind(asked.version, tty));
    tokio::task::spawn_blocking(move || drop(produce(&container, &wanted, &sender)));
    Ok(response)
}

/// Seconds since 1970, with a fraction; 0 is none.
pub(super) fn seconds(text: &str) -> Result<Option<SystemTime>, Fault> {
    let bad = || Fault::bad(format!("invalid time {text:?}: it is seconds since 1970"));
    let number: f64 = text.parse().map_err(|_| bad())?;
    let passed = Duration::try_from_secs_f64(number).map_err(|_| bad())?;
    Ok((number > 0.0).then(|| SystemTime::UNIX_EPOCH.checked_add(passed)).flatten())
}

/// The same in the form in which entries have their times.
fn moment(text: &str) -> Result<Option<String>, Fault> {
    Ok(seconds(text)?.map(|time| humantime::format_rfc3339_nanos(time).to_string()))
}

impl Wanted {
    /// The entry as it is sent; `None` where it is of a stream that nobody asked for.
    fn bytes(&self, entry: &Entry) -> Option<Bytes> {
        let stamp = if self.timestamps { format!("{} ", entry.time) } else { String::new() };
        let (stream, wanted) = if entry.stream == "stderr" { (2, self.err) } else { (1, self.out) };
        wanted.then(|| piece(self.framed, stream, format!("{stamp}{}", entry.log).as_bytes()))
    }
}

/// Sends them; ends when nobody reads, or the container has ended.
fn produce(container: &Container, wanted: &Wanted, to: &mpsc::Sender<Bytes>) -> Result<(), SysError> {
    let news = News::of(container)?;
    let mut reader = Reader::open(container);
    let send = |entry: Entry| wanted.bytes(&entry).is_none_or(|bytes| to.blocking_send(bytes).is_ok());
    if reader.written(&wanted.window, &mut { send })? && wanted.follow && wanted.window.is_open() {
        go_on(container, &mut reader, &news, &send, &|| to.is_closed())?;
    }
    Ok(())
}

/// What comes, until the container has ended or nobody reads.
fn go_on(container: &Container, reader: &mut Reader, news: &News, send: &dyn Fn(Entry) -> bool, left: &dyn Fn() -> bool) -> Result<(), SysError> {
    reader.coming(container, news, Some(LOOK), &mut |entry| entry.map_or_else(|| !left(), send))?;
    Ok(())
}

/// All that was written, to a client that attaches; false when nobody is there.
pub(super) async fn all(container: &Container, to: &mut Out) -> bool {
    let mut reader = Reader::open(container);
    while let Ok(Some(entry)) = reader.next() {
        if !to.send(if entry.stream == "stderr" { 2 } else { 1 }, entry.log.as_bytes()).await {
            return false;
        }
    }
    true
}

/// What is written from now on, to a client that attaches.
pub(super) async fn follow(container: Container, to: &mut Out) {
    let (sender, mut receiver) = mpsc::channel::<Entry>(16);
    tokio::task::spawn_blocking(move || {
        let (Ok(news), mut reader) = (News::of(&container), Reader::at_end(&container)) else { return };
        drop(go_on(&container, &mut reader, &news, &|entry| sender.blocking_send(entry).is_ok(), &|| sender.is_closed()));
    });
    while let Some(entry) = receiver.recv().await {
        if !to.send(if entry.stream == "stderr" { 2 } else { 1 }, entry.log.as_bytes()).await {
            return;
        }
    }
}
