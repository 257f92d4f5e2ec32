//! Measures a hub under a whole school: `cargo bench --bench workshop`.
//!
//! 10,000 learners join over loopback, each by a TLS connection of its own as `drydock` makes it, and raise
//! their hands every ten seconds, with the time in it; 20 boards follow and read it off. After two thirds of
//! the time the hub is killed by SIGKILL and started again; whoever had no answer sends again. Then the
//! database is counted: every event that was answered for is there, once. `-- short` takes 300 learners for
//! 10 s. Learners and hub share the machine: what is measured here holds for a hub that has half of it.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use drydock::workshop::{Address, carry};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::class::Hub;
use tokio::sync::Semaphore;

const BOARDS: usize = 20;
/// Each learner sends one event in this time.
const EVERY: Duration = Duration::from_secs(10);

fn main() {
    let short = std::env::args().any(|a| a == "short");
    let (learners, time) = if short { (300, Duration::from_secs(10)) } else { (10_000, Duration::from_secs(60)) };
    let mut hub = Hub::on("0.0.0.0");
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let word: String = hub.code.chars().take(6).collect();
    let joined = runtime.block_on(join(&hub, learners, &word));
    println!("joined: {joined} of {learners} learners in {:.1} s", begun.elapsed().as_secs_f64());
    let seen = Arc::new(Seen::default());
    let first = follow(&hub, &seen);
    let clock = Instant::now();
    let taken = Arc::new(AtomicU64::new(0));
    let sending = send(&runtime, &hub, learners, time, clock, &taken);
    std::thread::sleep(time * 2 / 3);
    let memory = status(hub.child.id(), "VmHWM:");
    seen.measure.store(false, Ordering::Relaxed);
    let before = seen.times.lock().expect("times").clone();
    hub.kill();
    first.into_iter().for_each(|board| board.join().expect("a board ends with its hub"));
    let begun = Instant::now();
    hub.again();
    println!("after SIGKILL: answers again in {:.1} s", begun.elapsed().as_secs_f64());
    runtime.block_on(sending).expect("the learners");
    print(before, memory);
    counted(&hub, taken.load(Ordering::Relaxed));
}

fn address(hub: &Hub, learner: usize) -> Address {
    // One address of loopback has 28,000 ports for those that are closing; a minute needs more.
    let address = format!("{}@127.0.0.{}:{}", hub.code, 1 + learner % 50, hub.port);
    address.parse().expect("an address")
}

fn secret(learner: usize) -> String {
    format!("{learner:032}")
}

async fn join(hub: &Hub, learners: usize, word: &str) -> usize {
    let at_once = Arc::new(Semaphore::new(64));
    let mut all = Vec::new();
    for learner in 0..learners {
        let (at_once, address) = (Arc::clone(&at_once), address(hub, learner));
        let body = json!({ "word": word, "nick": format!("learner {learner}"), "secret": secret(learner) });
        all.push(tokio::spawn(async move {
            let _place = at_once.acquire().await;
            matches!(carry::exchange(&address, "", "POST", "/join", Some(&body)).await, Ok((200, _)))
        }));
    }
    let mut joined = 0;
    for one in all {
        joined += usize::from(one.await.unwrap_or(false));
    }
    joined
}

/// What the boards have read.
#[derive(Default)]
struct Seen {
    /// Microseconds from an event to a board.
    times: Mutex<Vec<u64>>,
    measure: AtomicBool,
}

/// Boards that read each event's own time off it.
fn follow(hub: &Hub, seen: &Arc<Seen>) -> Vec<std::thread::JoinHandle<()>> {
    seen.measure.store(true, Ordering::Relaxed);
    let (port, key) = (hub.port, hub.key.clone());
    let board = |number: usize| {
        let (seen, key) = (Arc::clone(seen), key.clone());
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the hub listens");
            write!(stream, "GET /board/stream HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\r\n").expect("a socket");
            let (mut reader, mut line) = (BufReader::with_capacity(1 << 16, stream), Vec::new());
            while { line.clear(); reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) } {
                // One board in four is enough to measure; the others load the hub.
                if number % 4 == 0 && line.starts_with(b"data: ") && seen.measure.load(Ordering::Relaxed) {
                    let now = micros();
                    let text = String::from_utf8_lossy(&line);
                    let times = text.match_indices("\"about\":\"t").filter_map(|(at, mark)| text[at + mark.len()..].split('"').next()?.parse::<u64>().ok());
                    seen.times.lock().expect("times").extend(times.map(|then| now.saturating_sub(then)));
                }
            }
        })
    };
    (0..BOARDS).map(board).collect()
}

fn micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_micros()).expect("before 586912")
}

/// Every learner sends one event each ten seconds, and sends again what was not answered.
fn send(runtime: &tokio::runtime::Runtime, hub: &Hub, learners: usize, time: Duration, clock: Instant, taken: &Arc<AtomicU64>) -> tokio::task::JoinHandle<()> {
    let addresses: Vec<Address> = (0..learners).map(|l| address(hub, l)).collect();
    let taken = Arc::clone(taken);
    runtime.spawn(async move {
        let mut all = Vec::new();
        for (learner, address) in addresses.into_iter().enumerate() {
            let taken = Arc::clone(&taken);
            all.push(tokio::spawn(async move {
                let offset = EVERY * u32::try_from(learner).unwrap_or(0) / u32::try_from(learners).unwrap_or(1);
                for turn in 0.. {
                    let at = offset + EVERY * turn;
                    if at >= time {
                        return;
                    }
                    tokio::time::sleep_until((clock + at).into()).await;
                    let about = format!("t{}", micros());
                    let body = json!({ "now": 0, "events": [{ "seq": turn + 1, "at": 0, "kind": "hand", "up": true, "about": about }] });
                    while !matches!(carry::exchange(&address, &secret(learner), "POST", "/events", Some(&body)).await, Ok((200, _))) {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        for one in all {
            one.await.expect("a learner");
        }
    })
}

fn print(mut times: Vec<u64>, memory: u64) {
    times.sort_unstable();
    // A board that opens reads what was there before it; there was nothing.
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).map_or(0.0, |t| *t as f64 / 1000.0);
    println!("event to board: {} measured, median {:.0} ms, p99 {:.0} ms (under 250 ms)", times.len(), at(0.5), at(0.99));
    println!("memory of the hub: {:.0} MB at most (under 200 MB)", memory as f64 / 1024.0);
}

/// The database after it: what was answered for is there, once.
fn counted(hub: &Hub, taken: u64) {
    let rows = support::stdout(hub.room.drydock(&["workshop", "report", "class", "--format", "json"]).current_dir(hub.room.path()));
    assert!(rows.contains("\"learners\""), "the report is one");
    let db = rusqlite::Connection::open(hub.room.path().join("class/class.db")).expect("the class's database");
    let kept: u64 = db.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, i64>(0)).expect("a table").cast_unsigned();
    println!("events: {taken} answered for, {kept} kept, of a hub that was killed in between");
    assert_eq!(taken, kept, "nothing lost, nothing doubled");
}

/// A field of /proc/PID/status in KiB.
fn status(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
