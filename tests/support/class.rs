//! A workshop's hub in a room of its own, its learners, and a board that follows.

use super::{Room, read_until, stdout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Generous: a state is waited for, and comes long before.
pub const SOON: Duration = Duration::from_secs(30);

/// A hub in a room of its own.
pub struct Hub {
    pub room: Room,
    pub child: Child,
    ip: &'static str,
    pub port: u16,
    pub code: String,
    pub key: String,
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(room: &Room, ip: &str, port: u16) -> (Child, String) {
    let mut serve = room.drydock(&["workshop", "serve", "class", "--host", "127.0.0.1", "--addr", &format!("{ip}:{port}")]);
    let mut child = serve.current_dir(room.path()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let said = read_until(child.stdout.as_mut().expect("a pipe"), "Ctrl-C ends it.\n", SOON);
    (child, said)
}

impl Hub {
    /// One for the chapters on namespaces and cgroups.
    pub fn new() -> Self {
        Self::on("127.0.0.1")
    }

    /// One that listens on another address as well.
    pub fn on(ip: &'static str) -> Self {
        let room = Room::new();
        let new = ["workshop", "new", "class", "--chapter", "namespaces", "--chapter", "cgroups", "--minutes", "90"];
        stdout(room.drydock(&new).current_dir(room.path()));
        let (child, said) = serve(&room, ip, 0);
        let after = |mark: &str| said.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in {said}")).1;
        let word = |text: &str| text.split_whitespace().next().expect("a word").to_owned();
        let address = word(after("drydock join "));
        let (code, port) = address.rsplit_once(":").expect("a port");
        Self { port: port.parse().expect("a number"), code: code.trim_end_matches("@127.0.0.1").to_owned(), key: word(after("/board?key=")), child, ip, room }
    }

    /// CODE@HOST:PORT.
    pub fn address(&self) -> String {
        format!("{}@127.0.0.1:{}", self.code, self.port)
    }

    /// As if the machine had lost power: no handler runs.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("ours");
    }

    /// The same class, on the same port.
    pub fn again(&mut self) {
        self.child = serve(&self.room, self.ip, self.port).0;
    }

    /// A learner who has joined.
    pub fn learner(&self, nick: &str) -> Room {
        let room = Room::new();
        stdout(&mut room.drydock(&["join", &self.address(), "--name", nick]));
        room
    }

    /// A request by plain HTTP, as this machine's own may.
    fn plain(&self, request: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the hub listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        let more: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let head = format!("{request} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n", self.port, body.len());
        // A hub that has heard enough may hang up before all is said.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        stream
    }

    /// Status and body.
    pub fn ask(&self, request: &str, headers: &[&str], body: &[u8]) -> (u16, String) {
        let mut all = Vec::new();
        let _ = self.plain(request, headers, body).read_to_end(&mut all);
        let text = String::from_utf8_lossy(&all).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        (head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status"), body.to_owned())
    }

    /// JSON there, status and JSON back.
    pub fn post(&self, path: &str, secret: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.ask(&format!("POST {path}"), &[&format!("authorization: Bearer {secret}")], body.to_string().as_bytes());
        (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
    }

    /// The instructor does something.
    pub fn act(&self, act: &Value) {
        assert_eq!(self.post("/board/act", &self.key, act), (200, json!({})), "{act}");
    }

    /// The instructor opens a board.
    pub fn board(&self) -> Board {
        let stream = self.plain("GET /board/stream", &[&format!("authorization: Bearer {}", self.key)], b"");
        Board { stream: BufReader::new(stream), rows: BTreeMap::new(), head: Value::Null }
    }
}

/// A board that follows, as the page does.
pub struct Board {
    stream: BufReader<TcpStream>,
    pub rows: BTreeMap<u64, Value>,
    pub head: Value,
}

impl Board {
    /// Takes what comes until it is so.
    pub fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = std::time::Instant::now() + SOON;
        while !so(self) {
            assert!(std::time::Instant::now() < end, "waited for {what}: {:#?} {:#}", self.rows, self.head);
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).unwrap_or_else(|e| panic!("{what}: {e}: {:#?} {:#}", self.rows, self.head));
            assert!(read > 0, "the hub hung up before {what}");
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).expect("JSON");
                for row in data["rows"].as_array().expect("rows") {
                    self.rows.insert(row["i"].as_u64().expect("a number"), row.clone());
                }
                self.head = data["head"].clone();
            }
        }
    }

    /// A learner's row; null if there is none.
    pub fn row(&self, nick: &str) -> &Value {
        self.rows.values().find(|r| r["nick"] == nick).unwrap_or(&Value::Null)
    }
}
