//! A shell's terminal over a WebSocket (RFC 6455): bytes both ways, and a few words beside them.
//!
//! | message | from the page | from here |
//! |---|---|---|
//! | binary | what was typed | what the program wrote |
//! | text | `{"size": [rows, columns]}`, `{"shown": bytes}` | `{"over": true}`, `{"taken": true}`, `{"problem": "…"}` |
//!
//! A page draws slower than a program writes: it says what it has shown, and no more than a few screens
//! are under way, so that Ctrl-C still works in the middle of `yes`. A terminal whose page went away is
//! kept for a while, with the last of what it wrote, for the page that comes next; then it is hung up.

use crate::kernel::SysError;
use crate::learn::terminal::Terminal;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long a terminal waits for its page to come back.
pub const KEPT: Duration = Duration::from_secs(60);
/// How many there may be at once.
const MOST: usize = 8;
/// Bytes of what was written that are kept for a page that comes back.
const REMEMBERED: usize = 128 << 10;
/// Bytes that may be on their way to a page and not yet drawn.
const UNDER_WAY: usize = 256 << 10;
/// The largest message that a page may send; it cuts longer pastes into pieces.
const MESSAGE: usize = 256 << 10;

type Start = dyn Fn(u16, u16) -> Result<Terminal, SysError> + Send + Sync;

/// All terminals of one server.
pub struct Terminals {
    open: Mutex<BTreeMap<String, Arc<Session>>>,
    start: Box<Start>,
}

/// What a page asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The page's own name for it, so that it finds it again.
    pub name: String,
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Wanted {
    /// Reads `name=…&rows=…&columns=…`. `None` for anything else.
    pub fn parse(query: &str) -> Option<Self> {
        let of = |key: &str| query.split('&').find_map(|part| part.split_once('=').filter(|(k, _)| *k == key)).map(|(_, value)| value);
        let name = of("name").filter(|n| (8..=64).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_alphanumeric()))?;
        Some(Self { name: name.to_owned(), rows: of("rows")?.parse().ok()?, columns: of("columns")?.parse().ok()? })
    }
}

/// What a page says in words.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    size: Option<(u16, u16)>,
    #[serde(default)]
    shown: usize,
}

/// One terminal, seen by one page at a time.
struct Session {
    terminal: Terminal,
    written: Mutex<VecDeque<u8>>,
    /// Counts the pages that came: an earlier one leaves.
    viewer: watch::Sender<u64>,
}

/// Why a page sees its terminal no more.
enum End {
    Over,
    Left,
    Taken,
}

/// Bytes that are under way to a page.
#[derive(Default)]
struct UnderWay {
    bytes: AtomicUsize,
    shown: Notify,
}

impl UnderWay {
    async fn room(&self) {
        while self.bytes.load(Ordering::SeqCst) > UNDER_WAY {
            self.shown.notified().await;
        }
    }

    fn shown(&self, bytes: usize) {
        let _ = self.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |before| Some(before.saturating_sub(bytes)));
        self.shown.notify_one();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminals {
    /// Terminals that `start` begins, with lines and characters in a line.
    pub fn new(start: impl Fn(u16, u16) -> Result<Terminal, SysError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), start: Box::new(start) })
    }

    /// Answers a page that asks for a terminal: its own from before, or a new one.
    pub fn join(self: &Arc<Self>, upgrade: WebSocketUpgrade, wanted: Wanted) -> Response {
        let terminals = Arc::clone(self);
        upgrade.max_message_size(MESSAGE).max_frame_size(MESSAGE).on_upgrade(move |socket| async move { terminals.show(socket, wanted).await })
    }

    async fn show(self: Arc<Self>, mut socket: WebSocket, wanted: Wanted) {
        let session = match self.session(&wanted) {
            Ok(session) => session,
            Err(problem) => return say(&mut socket, serde_json::json!({ "problem": problem })).await,
        };
        session.viewer.send_modify(|number| *number += 1);
        let mut viewer = session.viewer.subscribe();
        let mine = *viewer.borrow_and_update();
        let (mut to, mut from) = socket.split();
        let under_way = UnderWay::default();
        let end = tokio::select! {
            end = session.output(&mut to, &under_way) => end,
            () = session.input(&mut from, &under_way) => End::Left,
            _ = viewer.changed() => End::Taken,
        };
        match end {
            End::Over => {
                self.forget(&wanted.name, &session);
                say(&mut to, serde_json::json!({ "over": true })).await;
            }
            End::Taken => say(&mut to, serde_json::json!({ "taken": true })).await,
            End::Left => {
                tokio::time::sleep(KEPT).await;
                if *session.viewer.borrow() == mine {
                    self.forget(&wanted.name, &session);
                }
            }
        }
        // Hanging up waits for the shell to go.
        tokio::task::spawn_blocking(move || drop(session));
    }

    fn session(&self, wanted: &Wanted) -> Result<Arc<Session>, String> {
        let mut open = locked(&self.open);
        if let Some(session) = open.get(&wanted.name) {
            session.come_back(wanted);
            return Ok(Arc::clone(session));
        }
        if open.len() >= MOST {
            return Err(format!("{MOST} terminals are open; close one of them first"));
        }
        let terminal = (self.start)(wanted.rows, wanted.columns).map_err(|e| e.to_string())?;
        let session = Arc::new(Session { terminal, written: Mutex::default(), viewer: watch::Sender::new(0) });
        open.insert(wanted.name.clone(), Arc::clone(&session));
        Ok(session)
    }

    fn forget(&self, name: &str, session: &Arc<Session>) {
        let mut open = locked(&self.open);
        if open.get(name).is_some_and(|s| Arc::ptr_eq(s, session)) {
            open.remove(name);
        }
    }
}

async fn say(to: &mut (impl SinkExt<Message> + Unpin), words: serde_json::Value) {
    let _ = to.send(Message::Text(words.to_string().into())).await;
    let _ = to.send(Message::Close(None)).await;
}

impl Session {
    /// Another page of the same size: a full-screen program draws itself again only after a change.
    fn come_back(&self, wanted: &Wanted) {
        self.terminal.resize(wanted.rows.saturating_sub(1), wanted.columns);
        self.terminal.resize(wanted.rows, wanted.columns);
    }

    fn remember(&self, bytes: &[u8]) {
        let mut written = locked(&self.written);
        written.extend(bytes);
        if written.len() > REMEMBERED {
            // From the start of a line: half an escape sequence would be shown as text.
            let over = written.len() - REMEMBERED;
            let line = written.iter().skip(over).position(|b| *b == b'\n').map_or(over, |at| over + at + 1);
            written.drain(..line);
        }
    }

    async fn output(&self, to: &mut SplitSink<WebSocket, Message>, under_way: &UnderWay) -> End {
        let before: Vec<u8> = locked(&self.written).iter().copied().collect();
        if !before.is_empty() && to.send(Message::Binary(Bytes::from(before))).await.is_err() {
            return End::Left;
        }
        let mut buffer = vec![0; 16 << 10];
        loop {
            under_way.room().await;
            let read = self.terminal.read(&mut buffer).await;
            if read == 0 {
                return End::Over;
            }
            self.remember(&buffer[..read]);
            under_way.bytes.fetch_add(read, Ordering::SeqCst);
            if to.send(Message::Binary(Bytes::copy_from_slice(&buffer[..read]))).await.is_err() {
                return End::Left;
            }
        }
    }

    async fn input(&self, from: &mut SplitStream<WebSocket>, under_way: &UnderWay) {
        while let Some(Ok(message)) = from.next().await {
            match message {
                Message::Binary(bytes) => drop(self.terminal.write(&bytes).await),
                Message::Text(text) => {
                    let Ok(said) = serde_json::from_str::<Said>(&text) else { return };
                    under_way.shown(said.shown);
                    if let Some((rows, columns)) = said.size {
                        self.terminal.resize(rows, columns);
                    }
                }
                Message::Close(_) => return,
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_asks_for_a_terminal_by_a_name_of_letters_and_digits() {
        let wanted = Wanted { name: "abcdefgh1".into(), rows: 24, columns: 80 };
        assert_eq!(Wanted::parse("name=abcdefgh1&rows=24&columns=80"), Some(wanted));
        for odd in ["", "name=abcdefgh1", "name=../abcdefgh&rows=1&columns=1", "name=short&rows=1&columns=1", "name=abcdefgh1&rows=-1&columns=80", "name=abcdefgh1&rows=24&columns=99999999"] {
            assert_eq!(Wanted::parse(odd), None, "{odd}");
        }
    }
}
