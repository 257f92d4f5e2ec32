//! The live book without a browser: who is let in, and what becomes of a terminal whose page goes away.

#[macro_use]
mod support;
#[path = "support/browser.rs"]
mod browser;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use support::{Room, outcome, read_until};

/// The longest wait for anything.
const LONG: Duration = Duration::from_secs(60);

/// What a server answers to these lines.
fn ask(host: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.write_all(format!("{lines}\r\nConnection: close\r\n\r\n").replace('\n', "\r\n").replace("\r\r", "\r").as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// `127.0.0.1:PORT` and the token of an address.
fn parts(address: &str) -> (&str, &str) {
    address.trim_start_matches("http://").split_once("/?token=").expect("an address with a token")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn who_has_no_token_another_host_or_another_origin_is_refused() {
    let room = Room::new();
    let (_served, address) = browser::book(&mut room.drydock(&[]), &["--live", "--here"]);
    let (host, token) = parts(&address);
    let port = host.rsplit(':').next().expect("a port");
    let cookie = format!("Cookie: other=1; drydock-{port}={token}");
    let said = |lines: &str| {
        let answer = ask(host, lines);
        assert!(answer.contains("content-security-policy: default-src 'self'") && answer.contains("x-content-type-options: nosniff"), "{answer}");
        status(&answer).to_owned()
    };
    let none = ask(host, &format!("GET /namespaces.html HTTP/1.1\nHost: {host}"));
    assert!(none.starts_with("HTTP/1.1 403 Forbidden") && none.contains("drydock book serve --live") && !none.contains("unshare") && !none.contains(token), "{none}");
    assert_eq!(said(&format!("GET /?token=0123456789abcdef0123456789abcdef HTTP/1.1\nHost: {host}")), "403");
    assert_eq!(said(&format!("GET / HTTP/1.1\nHost: {host}\nCookie: drydock-{port}=x")), "403");
    let welcome = ask(host, &format!("GET /namespaces.html?token={token} HTTP/1.1\nHost: {host}"));
    assert!(welcome.starts_with("HTTP/1.1 303") && welcome.contains("location: /namespaces.html\r\n"), "{welcome}");
    assert!(welcome.contains(&format!("set-cookie: drydock-{port}={token}; HttpOnly; SameSite=Strict; Path=/\r\n")), "{welcome}");
    assert_eq!(said(&format!("GET /namespaces.html HTTP/1.1\nHost: {host}\n{cookie}")), "200");
    assert_eq!(said(&format!("GET /../../etc/passwd HTTP/1.1\nHost: {host}\n{cookie}")), "404");
    // A name that somebody else points at this machine.
    assert_eq!(said(&format!("GET / HTTP/1.1\nHost: evil.example:{port}\n{cookie}")), "421");
    // The cookie goes along with what a page of another port asks for; its Origin tells.
    let start = |origin: &str| said(&format!("POST /live/start HTTP/1.1\nHost: {host}\n{cookie}\n{origin}Content-Length: 0"));
    assert_eq!(start(""), "403");
    assert_eq!(start("Origin: http://127.0.0.1:1\n"), "403");
    assert_eq!(start(&format!("Origin: http://{host}\n")), "404", "let in, and there is no exercise without a name");
    let upgrade = |more: &str| said(&format!("GET /live/terminal?name=abcdefgh&rows=24&columns=80 HTTP/1.1\nHost: {host}\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n{more}"));
    assert_eq!(upgrade(&format!("Origin: http://{host}")), "403");
    assert_eq!(upgrade(&cookie), "403");
    assert_eq!(upgrade(&format!("{cookie}\nOrigin: http://evil.example")), "403");

    let taken = format!("error: cannot listen on {host}: EADDRINUSE\n  why: another program listens there; perhaps another one of these\n  try: drydock book serve --addr 127.0.0.1:0 takes any port that is free\n");
    assert_eq!(outcome(&mut room.drydock(&["book", "serve", "--live", "--addr", host])), (Some(1), String::new(), taken));
    let open = "error: a live book is not served at 0.0.0.0:3000\n  why: it has a shell of yours in it, and the way to other machines is not\n       encrypted\n  try: drydock book serve --live --addr 127.0.0.1:3000; from another machine:\n       ssh -L 3000:127.0.0.1:3000 THIS-ONE\n";
    assert_eq!(outcome(&mut room.drydock(&["book", "serve", "--live", "--addr", "0.0.0.0:3000"])), (Some(1), String::new(), open.to_owned()));
}

/// A WebSocket of a page's terminal, as far as this test needs one.
struct Page(TcpStream);

impl Page {
    fn open(host: &str, token: &str) -> Self {
        let mut stream = TcpStream::connect(host).expect("it listens");
        let port = host.rsplit(':').next().expect("a port");
        let lines = ["GET /live/terminal?name=abcdefgh12&rows=24&columns=80 HTTP/1.1", &format!("Host: {host}"), &format!("Origin: http://{host}"), &format!("Cookie: drydock-{port}={token}"),
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""];
        stream.write_all(lines.join("\r\n").as_bytes()).expect("it reads");
        let answer = read_until(&mut stream, "\r\n\r\n", LONG);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self(stream)
    }

    /// A frame of less than 126 bytes; its mask is all zero (RFC 6455, 5.3).
    fn types(&mut self, text: &str) {
        let mut frame = vec![0x82, 0x80 | u8::try_from(text.len()).expect("a short line"), 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).expect("it reads");
    }

    /// Waits for words that the terminal shows: within one frame, as short lines are.
    fn shows(&mut self, text: &str) {
        read_until(&mut self.0, text, LONG);
    }
}

#[test]
fn a_terminal_waits_for_a_page_that_went_away_and_ends_with_the_server() {
    let room = Room::new();
    let (mut served, address) = browser::book(room.drydock(&[]).env("SHELL", "/bin/sh").env("HOME", room.path()), &["--live", "--here"]);
    let (host, token) = parts(&address);
    let mut page = Page::open(host, token);
    page.shows("(drydock) ");
    page.types("echo $$ > pid; echo is-$((40 + 2))\r");
    page.shows("is-42");
    let find = || std::fs::read_to_string(room.path().join("drydock/work/shell/pid")).ok().and_then(|t| t.trim().parse::<i32>().ok());
    let held = drydock::kernel::pidfd::Pidfd::open(find().expect("it was written")).expect("the shell runs");
    // In the middle of a frame, as a browser that is killed.
    page.0.write_all(&[0x82, 0xFE, 1]).expect("it reads");
    drop(page);
    let mut page = Page::open(host, token);
    page.shows("is-42");
    // A second page of the same name takes it; the first is told.
    let mut second = Page::open(host, token);
    page.shows("{\"taken\":true}");
    second.types("echo still-$$\r");
    second.shows(&format!("still-{}", find().expect("it is there")));
    second.types("sleep 1000; sleep 1000\r");
    second.shows("sleep 1000");
    served.end();
    assert!(support::readable(&held, LONG), "the shell is still there");
}
