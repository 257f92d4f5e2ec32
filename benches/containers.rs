//! Measures what containers cost by the hundred, on their bridge, and what they write: `cargo bench --bench containers`.
//!
//! What has a peer is measured by turns with it, and the medians are compared. All of it happens in a
//! network namespace of this program's own, with a neighbour to be the world. Prints a table of targets
//! and what was measured. `cargo bench --bench containers -- short` takes a tenth of the time.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::docker::Docker;
use support::island::Island;
use support::{Need, Room, outcome, stdout};

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("not measured: networks of containers need root");
        return;
    }
    let short = std::env::args().any(|a| a == "short");
    let mut table = Table::default();
    let island = Island::new();
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    hundred(&room, if short { 10 } else { 100 }, &mut table);
    log(&room, if short { 20 } else { 500 }, &mut table);
    match Need::Docker.met() {
        Ok(()) => beside_docker(&island, &room, short, &mut table),
        Err(why) => println!("not measured beside Docker: {why}"),
    }
    table.print();
}

fn sleeps(room: &Room) -> Vec<String> {
    stdout(&mut room.skiff(&["ps", "-q"])).lines().map(str::to_owned).collect()
}

/// So many containers that sleep: how long until they run, what their monitors take, how long a list takes.
fn hundred(room: &Room, count: usize, table: &mut Table) {
    // The bridge is made by the first, once for all.
    stdout(&mut room.skiff(&["run", "--rm", "base", "true"]));
    let begin = Instant::now();
    for _ in 0..count {
        stdout(&mut room.skiff(&["run", "-d", "base", "sleep", "600"]));
    }
    let took = begin.elapsed();
    let limit = Duration::from_millis(20 * count as u64);
    table.add(&format!("{count} starts, one after another"), &millis(limit), &millis(took), took <= limit);
    let pss: Vec<u64> = sleeps(room).iter().filter_map(|id| monitor(room, id)).filter_map(pss).collect();
    let mean = pss.iter().sum::<u64>() / (pss.len() as u64).max(1);
    table.add(&format!("memory of a monitor (PSS, mean of {})", pss.len()), "1024 KiB", &format!("{mean} KiB"), mean <= 1024 && pss.len() == count);
    let times = median((0..9).map(|_| timed(|| drop(stdout(&mut room.skiff(&["ps"]))))));
    table.add(&format!("ps with {count}"), "20.0 ms", &millis(times), times <= Duration::from_millis(20));
    let ids = sleeps(room);
    stdout(room.skiff(&["rm", "-f"]).args(&ids));
}

/// Who waits for a container: its process's parent.
fn monitor(room: &Room, id: &str) -> Option<u32> {
    let pid = stdout(&mut room.skiff(&["inspect", "-f", "{{.State.Pid}}", id]));
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).ok()?;
    status.lines().find_map(|l| l.strip_prefix("PPid:")?.trim().parse().ok())
}

/// Its share of memory, in KiB (proc_pid_smaps(5)).
fn pss(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// One container that writes so many megabytes as fast as it can: how fast they are in the log, and whether all are.
fn log(room: &Room, megabytes: usize, table: &mut Table) {
    // Lines of 100 bytes.
    let lines = megabytes * 10_000;
    let script = format!("yes {} | head -n {lines}", "x".repeat(99));
    let took = timed(|| {
        stdout(&mut room.skiff(&["run", "-d", "--name", "busy", "base", "sh", "-c", &script]));
        stdout(&mut room.skiff(&["wait", "busy"]));
    });
    let mut logs = room.skiff(&["logs", "busy"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let kept = count(logs.stdout.as_mut().expect("piped"));
    logs.wait().expect("our child");
    let (rate, lost) = (megabytes as f64 / took.as_secs_f64(), lines as u64 * 100 - kept);
    table.add("log of one container", "100 MB/s at least", &format!("{rate:.0} MB/s, {lost} bytes lost"), rate >= 100.0 && lost == 0);
    stdout(&mut room.skiff(&["rm", "-f", "busy"]));
}

/// Reads to the end: how many bytes.
fn count(from: &mut impl Read) -> u64 {
    let (mut buffer, mut sum) = (vec![0; 1 << 16], 0);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        sum += n as u64;
    }
    sum
}

fn beside_docker(island: &Island, room: &Room, short: bool, table: &mut Table) {
    let docker = Docker::start_with(&["--iptables=true", "--ip-masq=true", "--bridge=", "--bip=172.31.7.1/24", "--userland-proxy=false"]);
    let words = ["run", "--rm", "base", "true"];
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..if short { 3 } else { 30 } {
        ours.push(timed(|| drop(stdout(&mut room.skiff(&words)))));
        theirs.push(timed(|| drop(stdout(docker.client().args(words)))));
    }
    let (ours, theirs) = (median(ours.into_iter()), median(theirs.into_iter()));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    table.add("run --rm on the bridge / docker's", "0.07 x", &format!("{ratio:.3} x ({} against {})", millis(ours), millis(theirs)), ratio <= 0.07);

    let bytes = if short { 100 } else { 2000 } * 1_000_000u64;
    let serve = format!("exec nc -ll -p 80 -e head -c {bytes} /dev/zero");
    let served = |port: &str| ["run", "-d", "--name", "server", "-p", port, "base", "sh", "-c", &serve].map(str::to_owned);
    stdout(room.skiff(&[]).args(served("7080:80")));
    stdout(docker.client().args(served("7081:80")));
    let fetch = |port: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let begin = Instant::now();
            let mut client = island.from_there(&["busybox", "nc", "192.0.2.1", port]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("nc is there");
            let got = count(client.stdout.as_mut().expect("piped"));
            client.wait().expect("our child");
            // The server may not listen yet.
            if got == bytes {
                return begin.elapsed();
            }
            assert!(Instant::now() < end, "{got} of {bytes} bytes by port {port}");
        }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..if short { 1 } else { 5 } {
        ours.push(fetch("7080"));
        theirs.push(fetch("7081"));
    }
    let rate = |times: Vec<Duration>| bytes as f64 / 1e6 / median(times.into_iter()).as_secs_f64();
    let (ours, theirs) = (rate(ours), rate(theirs));
    table.add("published port / docker's without its proxy", "0.95 x at least", &format!("{:.2} x ({ours:.0} against {theirs:.0} MB/s)", ours / theirs), ours >= 0.95 * theirs);
    stdout(&mut room.skiff(&["rm", "-f", "server"]));
    stdout(docker.client().args(["rm", "-f", "server"]));
}

fn timed(act: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    act();
    begin.elapsed()
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// What was wanted, and what was measured.
#[derive(Default)]
struct Table(Vec<[String; 4]>);

impl Table {
    fn add(&mut self, what: &str, target: &str, measured: &str, ok: bool) {
        self.0.push([what, target, measured, if ok { "met" } else { "MISSED" }].map(str::to_owned));
    }

    fn print(&self) {
        let head = ["what", "at most", "measured", ""].map(String::from);
        let all: Vec<&[String; 4]> = std::iter::once(&head).chain(&self.0).collect();
        let widths: Vec<usize> = (0..4).map(|c| all.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
        println!();
        for row in all {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
        }
    }
}
