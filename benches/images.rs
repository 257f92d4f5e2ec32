//! Measures loading a real image beside Docker, Podman and plain tools: `cargo bench --bench images`.
//!
//! The image is a small Debian, made by debootstrap once and kept in target/bench: one layer of more
//! than 100 MB, as `docker save` writes it, plain and gzipped. All load the same file, by turns, each
//! into a place of its own from which the image was removed before; what others left for the disk to
//! write is synced first. The floor is `gzip -dc` and `tar` alone, which keep no blob and check no
//! digest. `-- short` takes two turns.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::docker::Docker;
use support::{Need, Room, stdout, which};

fn main() {
    let missing = [Need::Root, Need::Docker, Need::Tool("debootstrap")].iter().find_map(|n| n.met().err());
    if let Some(why) = missing {
        println!("not measured: {why}");
        return;
    }
    // Each engine holds the archive and its files at once; the archive itself is kept in target/bench.
    let asked = [(std::env::temp_dir(), 3000), (support::source(), 1500)];
    if let Some(why) = asked.iter().find_map(|(folder, megabytes)| support::lacks_space(folder, *megabytes)) {
        println!("not measured: {why}");
        return;
    }
    let turns = if std::env::args().any(|a| a == "short") { 2 } else { 9 };
    let room = Room::new();
    // Podman takes no path of more than 50 letters for what it keeps while it runs.
    let short = tempfile::Builder::new().prefix("podman-").tempdir_in("/tmp").expect("a temporary folder");
    // Its locks would lie in /dev/shm, and stay there.
    std::fs::write(short.path().join("containers.conf"), "[engine]\nlock_type = \"file\"\n").expect("the folder is ours");
    let _podman = Podman(room.path().join("podman"));
    let docker = Docker::start();
    let Some((plain, gzipped)) = archives(&docker) else {
        println!("not measured: debootstrap could not make the image");
        return;
    };
    println!("the archive: {} MB, gzipped {} MB", megabytes(&plain), megabytes(&gzipped));
    let mut table = Table::default();
    for (kind, archive) in [("plain", &plain), ("gzip", &gzipped)] {
        let runners = runners(&room, &docker, short.path(), archive);
        let medians = race(&runners, turns);
        let of = |name: &str| runners.iter().position(|r| r.name == name).map(|i| medians[i]);
        let skiff = of("skiff").expect("skiff is always there");
        table.ratio(&format!("skiff load ({kind}) against docker load"), skiff, of("docker"), 1.0);
        table.ratio(&format!("skiff load ({kind}) against podman load"), skiff, of("podman"), 1.0);
        if kind == "gzip" {
            table.ratio("skiff load (gzip) against gunzip and untar alone", skiff, of("tar"), 1.5);
        }
    }
    table.print();
}

/// What podman mounts on itself outlives it.
struct Podman(PathBuf);

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.join("root/overlay")).stderr(Stdio::null()).status();
    }
}

fn megabytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |m| m.len() / 1_000_000)
}

/// The archive as `docker save` writes it, and gzipped; made once.
fn archives(docker: &Docker) -> Option<(PathBuf, PathBuf)> {
    let folder = support::source().join("target/bench");
    let (rootfs, plain, gzipped) = (folder.join("rootfs"), folder.join("debian.tar"), folder.join("debian.tar.gz"));
    std::fs::create_dir_all(&folder).ok()?;
    if !rootfs.join("etc/debian_version").exists() {
        println!("making a small Debian in {} (once)", rootfs.display());
        // Aside, so that what was cut short is made again.
        let part = folder.join("rootfs.part");
        stdout(Command::new("rm").args(["-rf", "--one-file-system"]).args([&part, &rootfs, &gzipped]));
        let made = Command::new("debootstrap").args(["--variant=minbase", "stable"]).arg(&part).stdout(Stdio::null()).status().ok()?;
        if !made.success() {
            return None;
        }
        std::fs::rename(&part, &rootfs).ok()?;
    }
    if !gzipped.exists() || !plain.exists() {
        let script = "tar -C \"$0\" -c . | /usr/bin/docker import -c 'CMD [\"sh\"]' - debian-bench >/dev/null && \
            /usr/bin/docker save -o \"$1\" debian-bench && gzip -c \"$1\" >\"$2.part\" && mv \"$2.part\" \"$2\" && /usr/bin/docker rmi debian-bench";
        stdout(docker.room().command("sh").args(["-c", script]).arg(&rootfs).arg(&plain).arg(&gzipped).env("DOCKER_HOST", docker.host()));
    }
    Some((plain, gzipped))
}

/// Who takes part: how it loads, and how that is undone.
struct Runner<'a> {
    name: &'static str,
    load: Box<dyn Fn() -> Command + 'a>,
    undo: Box<dyn Fn() -> Command + 'a>,
}

fn with(mut command: Command, words: &[&str]) -> Command {
    command.args(words);
    command
}

fn runners<'a>(room: &'a Room, docker: &'a Docker, short: &'a Path, archive: &'a Path) -> Vec<Runner<'a>> {
    let shown = archive.display().to_string();
    let load = shown.clone();
    let mut all = vec![Runner {
        name: "skiff",
        load: Box::new(move || room.skiff(&["load", "-q", "-i", &load])),
        undo: Box::new(|| room.skiff(&["rmi", "debian-bench"])),
    }];
    let load = shown.clone();
    all.push(Runner {
        name: "docker",
        load: Box::new(move || with(docker.client(), &["load", "-q", "-i", &load])),
        undo: Box::new(|| with(docker.client(), &["rmi", "debian-bench"])),
    });
    if which("podman").is_some() {
        let podman = move |words: &[&str]| {
            let mut command = room.command("podman");
            let at = |name: &str| room.path().join("podman").join(name);
            command.arg("--root").arg(at("root")).arg("--runroot").arg(short).arg("--tmpdir").arg(at("tmp"));
            command.args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.env("TMPDIR", room.path()).env("CONTAINERS_CONF", short.join("containers.conf")).args(words);
            command
        };
        let load = shown.clone();
        all.push(Runner {
            name: "podman",
            // Debian's does not read a gzipped archive: it gets what gzip makes of it, by a pipe.
            load: Box::new(move || match load.strip_suffix(".gz") {
                None => podman(&["load", "-q", "-i", &load]),
                Some(_) => {
                    let podman = podman(&["load", "-q"]);
                    let mut shell = room.command("sh");
                    shell.args(["-c", "gzip -dc \"$0\" | \"$@\"", &load]).arg(podman.get_program()).args(podman.get_args());
                    shell.env("TMPDIR", room.path()).env("CONTAINERS_CONF", short.join("containers.conf"));
                    shell
                }
            }),
            undo: Box::new(move || podman(&["rmi", "-f", "debian-bench"])),
        });
    }
    let script = "mkdir \"$1\" && case $0 in *.gz) gzip -dc \"$0\" ;; *) cat \"$0\" ;; esac | tar -xO --wildcards '*/layer.tar' | tar -x --numeric-owner -C \"$1\"";
    all.push(Runner {
        name: "tar",
        load: Box::new(move || with(room.command("sh"), &["-c", script, &shown, &room.path().join("tree").display().to_string()])),
        undo: Box::new(|| with(room.command("rm"), &["-rf", &room.path().join("tree").display().to_string()])),
    });
    all
}

/// Runs each in turn, `turns` times over; the medians in the order of the runners.
fn race(runners: &[Runner], turns: usize) -> Vec<Duration> {
    let mut times = vec![Vec::with_capacity(turns); runners.len()];
    // The first turn fills the page cache with the archive.
    for turn in 0..=turns {
        for (runner, times) in runners.iter().zip(&mut times) {
            nix::unistd::sync();
            let start = Instant::now();
            run((runner.load)(), runner.name);
            let took = start.elapsed();
            run((runner.undo)(), runner.name);
            if turn > 0 {
                times.push(took);
            }
        }
    }
    for (runner, times) in runners.iter().zip(&times) {
        println!("{:<7} {}", runner.name, times.iter().map(|t| format!("{:.2}", t.as_secs_f64())).collect::<Vec<_>>().join(" "));
    }
    times.into_iter().map(median).collect()
}

fn run(mut command: Command, name: &str) {
    let output = command.output().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(output.status.success(), "{name}: {command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// The rows that are printed at the end.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    fn ratio(&mut self, what: &str, ours: Duration, theirs: Option<Duration>, limit: f64) {
        let target = format!("{limit} x");
        self.rows.push(match theirs {
            Some(theirs) => {
                let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
                let measured = format!("{ratio:.2} x ({:.2} s against {:.2} s)", ours.as_secs_f64(), theirs.as_secs_f64());
                [what.into(), target, measured, if ratio <= limit { "met" } else { "MISSED" }.into()]
            }
            None => [what.into(), target, "not measured: it is not installed".into(), String::new()],
        });
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
