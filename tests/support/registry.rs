//! Registries for tests: Debian's docker-registry, ours, and one of the test's own that misbehaves.

use super::Room;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A process that says where it listens.
pub struct Served {
    child: Child,
    /// Host and port.
    pub host: String,
}

impl Served {
    fn start(command: &mut Command, mark: &str, of: impl Fn(&mut Child) -> Box<dyn Read + Send>) -> Self {
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let lines = BufReader::new(of(&mut child)).lines();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        loop {
            let line = receive.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{command:?} does not say where it listens"));
            if let Some((_, rest)) = line.split_once(mark) {
                let host = rest.split(['"', ' ', '/']).next().expect("split gives one").to_owned();
                return Self { child, host };
            }
        }
    }

    /// Debian's registry in a room; with `secret` as the password of `me` if it asks for one.
    pub fn debian(room: &Room, asks: bool) -> Self {
        let at = |name: &str| room.path().join(name).display().to_string();
        let mut config = format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: 127.0.0.1:0}}\n", at("registry-data"));
        if asks {
            std::fs::write(at("htpasswd"), "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n").expect("the room is ours");
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", at("htpasswd")));
        }
        std::fs::write(at("registry.yml"), config).expect("the room is ours");
        let mut command = Command::new("docker-registry");
        command.args(["serve", &at("registry.yml")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self::start(&mut command, "listening on ", |c| Box::new(c.stderr.take().expect("it was piped")))
    }

    /// Ours, in a room.
    pub fn ours(room: &Room, options: &[&str]) -> Self {
        let mut command = room.skiff(&["registry", "serve", "--addr", "127.0.0.1:0"]);
        command.args(options).stdout(Stdio::piped());
        Self::start(&mut command, "listening on http://", |c| Box::new(c.stdout.take().expect("it was piped")))
    }
}

impl Served {
    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs, and is ours").count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path, as in `GET /v2/`.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A server that answers as a test wants it to.
pub struct Scripted {
    /// Host and port.
    pub host: String,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Scripted {
    /// Answers each request by writing to its connection, which is closed afterwards. An answer that
    /// wants to stall waits on the flag, which is set when the test is over.
    pub fn start(answer: impl Fn(&Request, &mut TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let (seen, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(AtomicBool::new(false)));
        let (answer, all, over) = (Arc::new(answer), Arc::clone(&seen), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, all, over) = (Arc::clone(&answer), Arc::clone(&all), Arc::clone(&over));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    if let Some(request) = read(&stream) {
                        all.lock().expect("nobody panicked").push(request.clone());
                        answer(&request, &mut stream, &over);
                    }
                });
            }
        });
        Self { host, seen, stop }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener wakes up once more, and ends.
        let _ = TcpStream::connect(&self.host);
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let line = line.rsplit_once(" HTTP/")?.0.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body })
}

/// Writes a whole answer.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
}

/// Sends a request as it stands, and gives status, headers (names in lower case) and body.
pub fn ask(host: &str, request: &str, body: &[u8]) -> (u16, BTreeMap<String, String>, Vec<u8>) {
    let mut stream = TcpStream::connect(host).expect("it listens");
    let head = format!("{request}\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer has headers");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let headers = head.lines().skip(1).filter_map(|l| l.split_once(':'));
    (status, headers.map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned())).collect(), answer[end + 4..].to_vec())
}
