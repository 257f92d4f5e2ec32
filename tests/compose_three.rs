//! An application of three services, as people write them: a page, what it asks, and PostgreSQL, in
//! images that are built here (tests/compose/shop). It comes up, answers over a published port,
//! outlives the kill of each of its processes, keeps its data, and goes down without a trace.
//!
//! The Debian that two of the images are made of comes from debootstrap and is kept in
//! target/debian-services.

#[macro_use]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Room, source, stdout};

/// What a start may take on a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(120);

struct Shop {
    room: Room,
    port: u16,
}

impl Shop {
    fn new() -> Option<Self> {
        // The compiler that PostgreSQL can use for long queries is half of it all.
        let root = support::debian::root("debian-services", "debian:services", "postgresql", &["*/libLLVM*", "*/libz3.so*"])?;
        let room = support::debian::room(&root);
        stdout(Command::new("cp").arg("-r").arg(source().join("tests/compose/shop")).arg(room.path()));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port is free").port();
        Some(Self { room, port })
    }

    fn compose(&self, args: &[&str]) -> Command {
        let mut command = self.room.skiff(&[&["compose"], args].concat());
        command.current_dir(self.room.path().join("shop"));
        command.env("SHOP_PORT", self.port.to_string()).env("SHOP_PASSWORD", "it's $ecret");
        command
    }

    /// Asks over the published port; `None` where nobody answers, or not with the page that was asked for.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(LONG)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// Waits until the notes are these.
    fn has(&self, notes: &str, when: &str) {
        let end = Instant::now() + LONG;
        loop {
            let found = self.get("/cgi-bin/notes");
            if found.as_deref() == Some(notes) {
                return;
            }
            assert!(Instant::now() < end, "{when}: {found:?} instead of {notes:?}\n{}", stdout(&mut self.compose(&["logs", "--tail", "20"])));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The pid of a service's process 1.
    fn pid(&self, service: &str) -> i32 {
        let id = stdout(&mut self.compose(&["ps", "-q", service]));
        let pid = stdout(&mut self.room.skiff(&["inspect", "-f", "{{.State.Pid}}", id.trim()]));
        pid.trim().parse().expect("a pid")
    }

    /// Waits until a service's process 1 is another than it was.
    fn replaced(&self, service: &str, before: i32) {
        let end = Instant::now() + LONG;
        loop {
            if stdout(&mut self.compose(&["ps", "-q", "--status", "running", service])) != "" && !matches!(self.pid(service), 0 | -1) && self.pid(service) != before {
                return;
            }
            assert!(Instant::now() < end, "{service} did not come back:\n{}", stdout(&mut self.compose(&["ps", "-a"])));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The parent of a process, from /proc/PID/stat.
fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)).and_then(|p| p.parse().ok()).expect("proc(5)")
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is there");
}

/// Links of the host, by name.
fn links() -> BTreeSet<String> {
    std::fs::read_dir("/sys/class/net").expect("sysfs").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn it_comes_up_answers_outlives_kills_keeps_its_data_and_leaves_nothing() {
    require!(Root, Tool("debootstrap"));
    let before = links();
    let Some(shop) = Shop::new() else { return support::skip("debootstrap could not make a Debian here") };
    let (code, out, err) = support::outcome(&mut shop.compose(&["up", "-d", "--wait"]));
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let last: Vec<&str> = err.lines().rev().take(3).collect();
    assert!(last.iter().all(|l| l.ends_with("  Healthy")), "{err}");
    assert_eq!(shop.get("/").as_deref(), Some("A page\n"));
    shop.has("", "at first there are none");
    assert_eq!(shop.get("/cgi-bin/notes?one").as_deref(), Some("one\n"));
    assert_eq!(shop.get("/cgi-bin/notes?it's").as_deref(), Some("one\nit's\n"));
    assert_eq!(stdout(&mut shop.compose(&["ps", "--format", "{{.Name}} {{.Service}} {{.State}} {{.Health}}"])), "shop-api-1 api running healthy\nshop-db-1 db running healthy\nshop-web-1 web running healthy\n");
    assert_eq!(stdout(&mut shop.compose(&["port", "web", "80"])), format!("0.0.0.0:{}\n", shop.port));
    // The page is not on the network of the database.
    let (code, _, _) = support::outcome(&mut shop.compose(&["exec", "web", "nslookup", "db"]));
    assert_ne!(code, Some(0));
    survives_kills(&shop);
    // What has not changed is left alone, and what is taken down keeps what it had.
    let pids = ["web", "api", "db"].map(|s| shop.pid(s));
    stdout(&mut shop.compose(&["up", "-d"]));
    assert_eq!(["web", "api", "db"].map(|s| shop.pid(s)), pids);
    stdout(&mut shop.compose(&["down"]));
    assert_eq!(stdout(&mut shop.room.skiff(&["ps", "-aq"])), "");
    assert_eq!(stdout(&mut shop.room.skiff(&["volume", "ls", "-q"])), "shop_data\n");
    assert!(shop.get("/").is_none());
    stdout(&mut shop.compose(&["up", "-d", "--wait"]));
    shop.has("one\nit's\n", "after down and up");
    stdout(&mut shop.compose(&["down", "-v"]));
    assert_eq!(stdout(&mut shop.room.skiff(&["ps", "-aq"])), "");
    assert_eq!(stdout(&mut shop.room.skiff(&["volume", "ls", "-q"])), "");
    assert_eq!(stdout(&mut shop.room.skiff(&["network", "ls", "-q", "--filter", "label=com.docker.compose.project"])), "");
    let new: Vec<String> = links().difference(&before).filter(|l| l.contains("shop")).cloned().collect();
    assert!(new.is_empty(), "{new:?}");
}

/// Process 1 of each, its monitor, and one of the database's own processes.
fn survives_kills(shop: &Shop) {
    for service in ["web", "api", "db"] {
        let pid = shop.pid(service);
        end(pid);
        shop.replaced(service, pid);
        shop.has("one\nit's\n", &format!("after the kill of {service}"));
    }
    for service in ["web", "db"] {
        let pid = shop.pid(service);
        end(parent(pid));
        shop.replaced(service, pid);
        shop.has("one\nit's\n", &format!("after the kill of the monitor of {service}"));
    }
    let main = shop.pid("db");
    let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).expect("it runs");
    end(children.split_whitespace().next().and_then(|p| p.parse().ok()).expect("it has children"));
    shop.has("one\nit's\n", "after the kill of a process of the database's own");
    assert_eq!(shop.pid("db"), main, "PostgreSQL starts its own processes again");
}
