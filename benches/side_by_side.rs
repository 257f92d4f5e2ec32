//! Measures skiff beside its peers, and the checks, in one run on one machine: `cargo bench`.
//!
//! All programs start the same busybox `true`, by turns (A B C D, A B C D, …), so that a busy moment
//! of the machine falls on all of them; the medians are compared, not the best. Prints a table of
//! targets and what was measured. `cargo bench -- short` takes a tenth of the time.
//!
//! This program calls itself with `rss COMMAND…` to measure memory: a child starts with its parent's
//! peak, so the parent must be a small fresh process.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use support::docker::Docker;
use support::{Room, stdout, which};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|a| a == "rss") {
        return print_peak_memory(&arguments[1..]);
    }
    let short = arguments.iter().any(|a| a == "short");
    let mut table = Table::default();
    let bench = Bench::new(if short { 20 } else { 200 });
    if nix::unistd::geteuid().is_root() {
        bench.starts(&mut table);
        bench.memory(&mut table);
    } else {
        println!("not measured: containers beside runc and docker need root");
    }
    bench.checks(&mut table, short);
    table.print();
}

/// One program in the race: its name and how one run of it is started.
struct Runner<'a> {
    name: &'static str,
    command: Box<dyn Fn() -> Command + 'a>,
}

struct Bench {
    rounds: usize,
    room: Room,
}

impl Bench {
    fn new(rounds: usize) -> Self {
        let bench = Self { rounds, room: Room::new() };
        bench.lay_out_bundle();
        bench
    }

    fn bundle(&self) -> PathBuf {
        self.room.path().join("bundle")
    }

    /// A bundle as `runc spec` writes it, with busybox as its root: no seccomp, no limits.
    fn lay_out_bundle(&self) {
        let bin = self.bundle().join("rootfs/bin");
        std::fs::create_dir_all(&bin).expect("the room is ours");
        for dir in ["proc", "sys", "dev", "tmp"] {
            std::fs::create_dir(self.bundle().join("rootfs").join(dir)).expect("the bundle is new");
        }
        let Some(busybox) = which("busybox") else { return };
        std::fs::copy(busybox, bin.join("busybox")).expect("busybox can be copied");
        std::os::unix::fs::symlink("busybox", bin.join("true")).expect("the bundle is new");
        if which("runc").is_some() {
            stdout(Command::new("runc").arg("spec").current_dir(self.bundle()));
            let config = self.bundle().join("config.json");
            let text = std::fs::read_to_string(&config).expect("runc spec wrote it");
            let text = text.replace("\"terminal\": true", "\"terminal\": false").replace("\"sh\"", "\"true\"");
            std::fs::write(config, text).expect("the bundle is ours");
        }
    }

    fn skiff(&self) -> Command {
        self.room.skiff(&["run", "--rm", "--network", "none", "base", "true"])
    }

    fn oci(&self, runtime: &str, options: &[&str]) -> Command {
        let mut command = self.room.command(runtime);
        command.arg("--root").arg(self.room.path().join("oci")).args(options);
        command.arg("run").arg("--bundle").arg(self.bundle()).arg("drydock-bench");
        command
    }

    fn bwrap(&self) -> Command {
        let mut command = self.room.command("bwrap");
        command.args(["--unshare-all", "--ro-bind"]).arg(self.bundle().join("rootfs")).arg("/");
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "true"]);
        command
    }

    /// Starts of a container, skiff's against each peer's that is installed.
    fn starts(&self, table: &mut Table) {
        let docker = support::Need::Docker.met().is_ok().then(Docker::start);
        let mut runners = vec![Runner { name: "skiff", command: Box::new(|| self.skiff()) }];
        if which("bwrap").is_some() {
            runners.push(Runner { name: "bwrap", command: Box::new(|| self.bwrap()) });
        }
        if which("runc").is_some() {
            runners.push(Runner { name: "runc", command: Box::new(|| self.oci("runc", &[])) });
        }
        let medians = race(&runners, self.rounds);
        let of = |name: &str| runners.iter().position(|r| r.name == name).map(|at| medians[at]);
        let skiff = of("skiff").expect("skiff is always there");
        println!("skiff: user, groups, all namespaces but user, overlay root, cgroup, capabilities, seccomp, masked paths");
        println!("bwrap: --unshare-all, read-only bind as root; no cgroup, no seccomp");
        println!("runc: its own default spec, cgroups as the host has them; no seccomp");
        for (peer, limit) in [("bwrap", 2.0), ("runc", 0.4)] {
            table.ratio(&format!("skiff run against {peer}"), skiff, of(peer), limit);
        }
        // Docker takes a hundred times as long: a race of its own, with fewer rounds.
        let docker = docker.as_ref().map(|daemon| {
            let run = || {
                let mut command = daemon.client();
                command.args(["run", "--rm", "--network", "none", "base", "true"]);
                command
            };
            let pair = [Runner { name: "skiff", command: Box::new(|| self.skiff()) }, Runner { name: "docker", command: Box::new(run) }];
            race(&pair, (self.rounds / 10).max(5))[1]
        });
        table.ratio("skiff run against docker run", skiff, docker, 0.05);
    }

    /// The largest process of a whole run, skiff's and crun's.
    fn memory(&self, table: &mut Table) {
        let skiff = median((0..5).map(|_| peak_kib(&self.skiff())).collect());
        // crun refuses a host that has v1 and v2 cgroups side by side, so it is shown one that has v2 only.
        let crun = which("crun").map(|_| {
            let mut alone = self.room.command("unshare");
            let hide = "umount -R /sys/fs/cgroup && mount -n -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"";
            alone.args(["--mount", "--propagation", "private", "sh", "-c", hide, "sh"]);
            alone.arg(std::env::current_exe().expect("a program knows its file")).arg("rss");
            let crun = self.oci("crun", &["--cgroup-manager=disabled"]);
            alone.arg(crun.get_program()).args(crun.get_args());
            median((0..5).map(|_| number(&stdout(&mut alone))).collect())
        });
        let row = "peak memory against crun's";
        match crun {
            Some(crun) => table.add(row, "1.5 x", format!("{:.2} x ({skiff} KiB against {crun} KiB)", skiff as f64 / crun as f64), skiff as f64 <= 1.5 * crun as f64),
            None => table.missing(row, "1.5 x", "crun is not installed"),
        }
    }
}

/// Runs each in turn, `rounds` times over; the medians in the order of the runners.
fn race(runners: &[Runner], rounds: usize) -> Vec<Duration> {
    let mut times = vec![Vec::with_capacity(rounds); runners.len()];
    for round in 0..rounds + 3 {
        for (runner, times) in runners.iter().zip(&mut times) {
            let took = time((runner.command)(), runner.name);
            // The first rounds fill the caches.
            if round >= 3 {
                times.push(took);
            }
        }
    }
    times.into_iter().map(median).collect()
}

fn time(mut command: Command, name: &str) -> Duration {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap_or_else(|e| panic!("{name}: {e}"));
    let took = start.elapsed();
    assert!(status.success(), "{name}: {status}: {command:?}");
    took
}

fn median<T: Ord + Copy>(mut all: Vec<T>) -> T {
    all.sort_unstable();
    all[all.len() / 2]
}

fn number(text: &str) -> i64 {
    text.trim().lines().last().and_then(|l| l.parse().ok()).unwrap_or_else(|| panic!("not a number: {text:?}"))
}

/// The peak of the largest process in the tree of `command`, in KiB, measured from a fresh process.
fn peak_kib(command: &Command) -> i64 {
    let mut measured = Command::new(std::env::current_exe().expect("a program knows its file"));
    measured.arg("rss").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => measured.env(key, value),
            None => measured.env_remove(key),
        };
    }
    number(&stdout(&mut measured))
}

/// The other side of [`peak_kib`]: runs the command and prints what getrusage(2) says of children.
fn print_peak_memory(command: &[String]) {
    use nix::sys::resource::{UsageWho, getrusage};
    let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().expect("the command runs");
    assert!(status.success(), "{command:?}: {status}");
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN).expect("always allowed").max_rss());
}

impl Bench {
    /// `drydock check` as a whole process, then `drydock watch`: both on the exercise about hostnames.
    fn checks(&self, table: &mut Table, short: bool) {
        let text = stdout(&mut self.room.drydock(&["start", "namespaces/hostname"]));
        let name = text.split('`').nth(1).expect("the goal names the hostname").to_owned();
        let checks = (0..self.rounds).map(|_| {
            let start = Instant::now();
            let verdict = self.room.drydock(&["check"]).stdout(Stdio::null()).status().expect("drydock runs");
            assert_eq!(verdict.code(), Some(1), "nothing was done yet");
            start.elapsed()
        });
        let check = median(checks.collect());
        table.add("drydock check, whole process", "30 ms", millis(check), check <= Duration::from_millis(30));

        let watch = self.room.drydock(&["watch", "--json", "--keep"]).stdout(Stdio::piped()).spawn().expect("drydock runs");
        let mut watch = Watch::new(watch);
        watch.next_verdict();
        let late = median((0..if short { 5 } else { 20 }).map(|_| watch.latency(&name)).collect());
        table.add("kernel change to new verdict in watch", "100 ms", millis(late), late <= Duration::from_millis(100));
        let (busy, over) = watch.idle(Duration::from_secs(if short { 5 } else { 30 }));
        let share = 100.0 * busy.as_secs_f64() / over.as_secs_f64();
        table.add("CPU of watch while nothing happens", "1 %", format!("{share:.2} % of one core"), share < 1.0);
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// A running `drydock watch --json`.
struct Watch {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn new(mut process: Child) -> Self {
        let lines = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        Self { process, lines }
    }

    fn next_verdict(&mut self) -> String {
        self.lines.next().expect("watch goes on").expect("its output is text")
    }

    /// From the moment a process has its hostname to the line that says so.
    fn latency(&mut self, name: &str) -> Duration {
        let script = "hostname \"$0\"; echo done; exec cat";
        let mut learner = Command::new("unshare");
        learner.args(["--user", "--map-root-user", "--uts", "sh", "-c", script, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut learner = learner.spawn().expect("unshare runs");
        let mut said = learner.stdout.take().expect("it was piped");
        support::read_until(&mut said, "done", Duration::from_secs(10));
        let start = Instant::now();
        while !self.next_verdict().contains("\"passed\"") {}
        let took = start.elapsed();
        drop(learner.stdin.take());
        learner.wait().expect("it is our child");
        while self.next_verdict().contains("\"passed\"") {}
        took
    }

    /// The CPU time that it takes in a while in which nothing is done.
    fn idle(&mut self, over: Duration) -> (Duration, Duration) {
        let used = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
            let after = stat.rsplit_once(") ").expect("proc_pid_stat(5)").1.to_owned();
            let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
            // USER_HZ has been 100 on every Linux of this machine's kind.
            Duration::from_millis(ticks * 10)
        };
        let (start, before) = (Instant::now(), used());
        std::thread::sleep(over);
        (used() - before, start.elapsed())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The rows that are printed at the end.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    fn add(&mut self, what: &str, target: &str, measured: String, ok: bool) {
        self.rows.push([what.into(), target.into(), measured, if ok { "met" } else { "MISSED" }.into()]);
    }

    fn missing(&mut self, what: &str, target: &str, why: &str) {
        self.rows.push([what.into(), target.into(), format!("not measured: {why}"), String::new()]);
    }

    fn ratio(&mut self, what: &str, ours: Duration, theirs: Option<Duration>, limit: f64) {
        let target = format!("{limit} x");
        match theirs {
            Some(theirs) => {
                let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
                self.add(what, &target, format!("{ratio:.2} x ({} against {})", millis(ours), millis(theirs)), ratio <= limit);
            }
            None => self.missing(what, &target, "it is not installed"),
        }
    }

    fn print(&self) {
        let head = ["what (medians)", "at most", "measured", ""].map(String::from);
        let all: Vec<&[String; 4]> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..4).map(|c| all.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
        println!();
        for row in all {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
        }
    }
}
