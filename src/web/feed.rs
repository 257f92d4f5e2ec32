//! What a page is told while it is open: the learner's record, and verdicts as the kernel changes.
//!
//! Server-sent events (the HTML standard, 9.2), which a browser takes up again by itself. The record is
//! the file that every `drydock` keeps; a verdict is a line of `drydock watch --keep --json`, run as the
//! learner would, while a page is open and for the exercise in hand.
//!
//! | event | its data |
//! |---|---|
//! | `record` | `{"passed": […], "answers": {id: {"right", "tries"}}, "hand": id or null, "live", "lab", "up", "about"}` |
//! | `verdict` | `{"exercise", "outcome", "evidence": […]}` |

use super::Seat;
use crate::learn::progress::{self, InHand};
use crate::learn::{Home, shell};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

/// How often the record's file is looked at: a stat(2).
const LOOK: Duration = Duration::from_millis(200);
/// A watch that ended by itself is begun again after this.
const AGAIN: Duration = Duration::from_secs(3);
/// Nobody has to listen for this long before the watch is ended: a page that is left is followed by another.
const UNHEARD: Duration = Duration::from_secs(10);
/// A line now and then, so that a page which has gone is noticed.
const BEAT: Duration = Duration::from_secs(20);

/// The latest of each event.
#[derive(Debug, Clone, Default, PartialEq)]
struct Latest {
    record: Value,
    verdict: Value,
}

/// A source of events for all pages of one learner.
#[derive(Debug, Clone)]
pub struct Feed(Arc<watch::Sender<Latest>>);

impl Feed {
    /// Begins to look, within the server's runtime; ends with it. Verdicts are given in a live page only;
    /// `about` is passed on with each record.
    pub fn begin(home: &Home, seat: Seat, is_live: bool, about: Value) -> Self {
        let feed = Self(Arc::new(watch::Sender::new(Latest::default())));
        let file = home.folder.join("progress.json");
        let source = Source { feed: feed.clone(), seat, is_live, about, file, seen: None, hand: None, watching: None, again: Instant::now(), heard: Instant::now() };
        tokio::spawn(source.run());
        feed
    }

    /// The events of one page, from the state as it is now.
    pub fn events(&self) -> Response<Body> {
        let mut latest = self.0.subscribe();
        latest.mark_changed();
        let begin = (latest, Latest::default());
        let events = futures_util::stream::unfold(begin, |(mut latest, told)| async move {
            let text = match tokio::time::timeout(BEAT, latest.changed()).await {
                Err(_) => Some((":\n\n".to_owned(), told)),
                Ok(Ok(())) => {
                    let now = latest.borrow_and_update().clone();
                    let mut text = String::new();
                    for (name, before, now) in [("record", &told.record, &now.record), ("verdict", &told.verdict, &now.verdict)] {
                        if before != now {
                            text.push_str(&format!("event: {name}\ndata: {now}\n\n"));
                        }
                    }
                    Some((text, now))
                }
                Ok(Err(_)) => None,
            };
            text.map(|(text, told)| (Ok::<_, Infallible>(Bytes::from(text)), (latest, told)))
        });
        let mut response = Response::new(Body::from_stream(events));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }
}

/// What looks, and tells.
struct Source {
    feed: Feed,
    seat: Seat,
    is_live: bool,
    about: Value,
    file: PathBuf,
    seen: Option<(SystemTime, bool)>,
    hand: Option<InHand>,
    watching: Option<Watching>,
    again: Instant,
    heard: Instant,
}

/// A `drydock watch`.
struct Watching {
    of: InHand,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Source {
    async fn run(mut self) {
        loop {
            if self.feed.0.receiver_count() > 0 {
                self.heard = Instant::now();
                self.look();
                self.keep_watching();
            } else if self.heard.elapsed() > UNHEARD {
                self.watching = None;
            }
            self.hear_for(LOOK).await;
        }
    }

    /// Reads the record again if it was written, or if the lab came up or went.
    fn look(&mut self) {
        let written = std::fs::metadata(&self.file).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let seen = Some((written, self.seat.is_up()));
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let record = progress::parse(&text).ok();
        self.hand = record.as_ref().and_then(|r| r.exercise.clone());
        let passed: Vec<&String> = record.iter().flat_map(|r| r.passed.keys()).collect();
        let answers: serde_json::Map<String, Value> = record.iter().flat_map(|r| &r.answers).map(|(id, a)| (id.clone(), json!({ "right": a.right, "tries": a.tries }))).collect();
        let hand = self.hand.as_ref().map(|h| &h.id);
        let record = json!({ "passed": passed, "answers": answers, "hand": hand, "live": self.is_live, "lab": self.seat.is_lab(), "up": self.seat.is_up(), "about": self.about });
        self.feed.0.send_modify(|latest| latest.record = record);
    }

    /// Has the exercise in hand watched, and no other.
    fn keep_watching(&mut self) {
        let is_up = self.seen.is_some_and(|(_, up)| up);
        let wanted = self.hand.clone().filter(|_| is_up && self.is_live);
        if self.watching.as_ref().map(|w| &w.of) == wanted.as_ref() {
            return;
        }
        self.watching = None;
        let Some(of) = wanted.filter(|_| Instant::now() >= self.again) else { return };
        self.again = Instant::now() + AGAIN;
        let mut command = self.seat.drydock(&["watch", "--keep", "--json"]);
        shell::ends_with_us(&mut command);
        let mut command = Command::from(command);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        self.watching = started.ok().and_then(|mut child| Some(Watching { of, lines: BufReader::new(child.stdout.take()?).lines(), _child: child }));
    }

    /// Passes verdicts on, for about this long.
    async fn hear_for(&mut self, long: Duration) {
        let Some(watching) = &mut self.watching else { return tokio::time::sleep(long).await };
        match tokio::time::timeout(long, watching.lines.next_line()).await {
            Ok(Ok(Some(line))) => {
                let Ok(mut verdict) = serde_json::from_str::<Value>(&line) else { return };
                verdict["exercise"] = watching.of.id.clone().into();
                self.feed.0.send_modify(|latest| latest.verdict = verdict);
            }
            // It ended: the exercise changed under it, or the lab went.
            Ok(_) => {
                self.watching = None;
                self.again = Instant::now() + AGAIN;
            }
            Err(_) => {}
        }
    }
}
