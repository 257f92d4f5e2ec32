//! Measures `skiff pull` beside `docker pull`, by turns, from Debian's registry on loopback:
//! `cargo bench --bench pull`.
//!
//! The image has three layers of this machine's own files, gzipped, some 60 MB of files each. The time
//! is the command's, from its start to its end; what it brought is removed between two turns, outside
//! of the time. All of it is in memory (/dev/shm): ext4 searches long for inodes after many files were
//! removed, which is what happens between two turns, and both engines wait for that. `-- disk` measures
//! in TMPDIR all the same; `-- short` takes one turn only.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::docker::Docker;
use support::registry::Served;
use support::{Room, stdout};

/// The most that our pull may take of Docker's time.
const LIMIT: f64 = 0.7;

/// Megabytes that the image takes in the registry and in three stores.
const SPACE: u64 = 2000;

/// Bytes of files in a layer, about.
const LAYER: u64 = 60 << 20;

fn main() {
    if !nix::unistd::geteuid().is_root() || ["docker-registry", "dockerd", "/usr/bin/docker"].iter().any(|t| !there(t)) {
        println!("not measured: this needs root, docker-registry and dockerd");
        return;
    }
    let has = |word: &str| std::env::args().any(|a| a == word);
    let memory = Path::new("/dev/shm");
    if memory.is_dir() && !has("disk") && support::lacks_space(memory, SPACE).is_none() {
        tempfile::env::override_temp_dir(memory).expect("nothing was made yet");
    }
    if let Some(why) = support::lacks_space(&tempfile::env::temp_dir(), SPACE) {
        println!("not measured: {why}");
        return;
    }
    let (stored, ours, theirs) = measure(if has("short") { 1 } else { 7 });
    let ratio = ours / theirs;
    println!(
        "skiff pull against docker pull, {stored:.0} MB in three layers from a registry on loopback, in {}: at most {LIMIT} x, measured {ratio:.2} x ({ours:.2} s against {theirs:.2} s)  {}",
        tempfile::env::temp_dir().display(),
        if ratio <= LIMIT { "met" } else { "MISSED" }
    );
}

/// Megabytes, and the medians of both in seconds.
fn measure(turns: usize) -> (f64, f64, f64) {
    let room = Room::new();
    let registry = Served::debian(&room, false);
    let name = format!("{}/bench:1", registry.host);
    let stored = make(&room, &name);
    stdout(&mut room.skiff(&["push", "-q", &name]));
    let docker = Docker::start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let fresh = Room::new();
        ours.push(timed(&mut fresh.skiff(&["pull", "-q", &name])));
        theirs.push(timed(docker.client().args(["pull", "-q", &name])));
        stdout(docker.client().args(["rmi", &name]));
    }
    (stored as f64 / 1e6, median(ours), median(theirs))
}

fn there(tool: &str) -> bool {
    if tool.starts_with('/') { Path::new(tool).exists() } else { support::which(tool).is_some() }
}

fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it runs");
    let took = begun.elapsed();
    assert!(status.success(), "{command:?}");
    took
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64()
}

/// Loads the image under its name; gives the bytes of its layers as they are stored.
fn make(room: &Room, name: &str) -> u64 {
    let layout = room.path().join("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("the room is ours");
    let mut files = files();
    let (mut layers, mut diff_ids, mut total) = (Vec::new(), Vec::new(), 0);
    for _ in 0..3 {
        let tar = room.path().join("layer.tar");
        let mut list = String::new();
        let mut size = 0;
        while size < LAYER {
            let Some((path, bytes)) = files.pop() else { break };
            list.push_str(&format!("{path}\n"));
            size += bytes;
        }
        std::fs::write(room.path().join("list"), list).expect("the room is ours");
        stdout(Command::new("tar").args(["-C", "/", "--no-recursion", "--ignore-failed-read", "-cf"]).arg(&tar).arg("-T").arg(room.path().join("list")));
        diff_ids.push(hash(&tar));
        stdout(Command::new("gzip").arg("-nf").arg(&tar));
        let zipped = room.path().join("layer.tar.gz");
        let (digest, size) = (hash(&zipped), zipped.metadata().expect("gzip wrote it").len());
        std::fs::rename(&zipped, blobs.join(&digest[7..])).expect("the room is ours");
        layers.push(json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size }));
        total += size;
    }
    let put = |document: serde_json::Value| {
        let bytes = document.to_string().into_bytes();
        let digest = drydock::image::layer::digest(&bytes).to_string();
        std::fs::write(blobs.join(&digest[7..]), &bytes).expect("the room is ours");
        (digest, bytes.len())
    };
    let machine = oci_spec::image::Arch::default();
    let (config, size) = put(json!({ "architecture": machine, "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": diff_ids } }));
    let config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let (manifest, size) = put(json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers }));
    let line = json!({ "mediaType": kind, "digest": manifest, "size": size, "annotations": { "org.opencontainers.image.ref.name": name } });
    std::fs::write(layout.join("index.json"), json!({ "schemaVersion": 2, "manifests": [line] }).to_string()).expect("the room is ours");
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the room is ours");
    stdout(room.skiff(&["load", "-q", "-i"]).arg(&layout));
    total
}

/// Files of this machine below /usr, with their sizes; no large ones, as images have many small ones.
fn files() -> Vec<(String, u64)> {
    let text = stdout(Command::new("find").args(["/usr", "-xdev", "-type", "f", "-size", "-2048k", "-printf", "%P %s\n"]));
    let mut all: Vec<(String, u64)> = text
        .lines()
        .filter_map(|l| l.rsplit_once(' '))
        .filter_map(|(path, size)| Some((format!("usr/{path}"), size.parse().ok()?)))
        .filter(|(path, _)| !path.contains(['\\', '\n']))
        .collect();
    all.sort();
    all
}

fn hash(path: &Path) -> String {
    format!("sha256:{}", &stdout(Command::new("sha256sum").arg(path))[..64])
}
