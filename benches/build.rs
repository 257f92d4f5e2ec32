//! Measures a build of which everything is cached, beside `docker build`: `cargo bench --bench build`.
//!
//! Ten steps over `base`, a context of two hundred files; both have built it once. Then each builds it
//! again, by turns, and must take every step from its cache. Docker's client speaks to a daemon of its
//! own (BuildKit where that daemon has it, and its older builder); its figure is that of the faster.
//! `-- short` takes three turns.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::docker::Docker;
use support::{Need, Room, outcome, stdout};

const DOCKERFILE: &str = "\
FROM base
WORKDIR /app
RUN mkdir -p cache lib
COPY package.txt ./
RUN wc -l package.txt > lib/installed
COPY src/ src/
RUN find src -type f | sort > list
RUN cat src/* > whole
COPY config/ /etc/app/
RUN chmod 600 /etc/app/*
RUN du -s . > size
";

/// The most that our build may take of Docker's.
const LIMIT: f64 = 0.1;

fn main() {
    if let Some(why) = [Need::Root, Need::Docker, Need::Tool("busybox")].iter().find_map(|n| n.met().err()) {
        println!("not measured: {why}");
        return;
    }
    let turns = if std::env::args().any(|a| a == "short") { 3 } else { 21 };
    let room = Room::new();
    let docker = Docker::start();
    let context = context(&room);
    let skiff = || {
        let mut command = room.skiff(&["build", "--network", "none", "--progress", "plain", "-t", "bench"]);
        command.arg(&context);
        command
    };
    let client = |buildkit: &str| {
        let mut command = docker.client();
        command.args(["build", "--network", "none", "-t", "bench"]).arg(&context).env("DOCKER_BUILDKIT", buildkit);
        command
    };
    stdout(&mut skiff());
    assert!(outcome(&mut skiff()).2.matches("CACHED").count() == 10, "all ten steps are cached");
    let ours = median(turns, skiff);
    println!("skiff build             {:>8.1} ms", millis(ours));
    let mut best: Option<Duration> = None;
    for (name, buildkit) in [("docker build (BuildKit)", "1"), ("docker build (classic)", "0")] {
        if outcome(&mut client(buildkit)).0 != Some(0) {
            println!("{name:<23} not here");
            continue;
        }
        let theirs = median(turns, || client(buildkit));
        println!("{name:<23} {:>8.1} ms", millis(theirs));
        best = Some(best.map_or(theirs, |b| b.min(theirs)));
    }
    let Some(theirs) = best else {
        println!("not measured: docker builds nothing here");
        return;
    };
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let verdict = if ratio <= LIMIT { "met" } else { "MISSED" };
    println!("\na cached rebuild of ten steps against docker build: at most {LIMIT} x, measured {ratio:.3} x  {verdict}");
}

fn context(room: &Room) -> std::path::PathBuf {
    let at = room.path().join("context");
    let write = |path: &Path, text: String| {
        fs::create_dir_all(path.parent().expect("it is below the context")).expect("the room is ours");
        fs::write(path, text).expect("the room is ours");
    };
    write(&at.join("Dockerfile"), DOCKERFILE.into());
    write(&at.join("package.txt"), "one 1\ntwo 2\n".into());
    for n in 0..200 {
        write(&at.join(format!("src/file-{n}")), format!("{n}\n").repeat(1000));
    }
    write(&at.join("config/app.conf"), "on = true\n".into());
    at
}

fn median(turns: usize, command: impl Fn() -> Command) -> Duration {
    let mut times: Vec<Duration> = (0..=turns)
        .map(|_| {
            let start = Instant::now();
            let (code, _, err) = outcome(&mut command());
            assert_eq!(code, Some(0), "{err}");
            start.elapsed()
        })
        // The first warms what the others find warm.
        .skip(1)
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
