//! Measures skiff as an OCI runtime beside runc and crun, and the daemon at rest: `cargo bench --bench oci`.
//!
//! create, start and delete of `true`, by turns, from one bundle: busybox as its root, `skiff oci spec`'s
//! config with its device rules and no seccomp profile for all three; which version of cgroups this host
//! has is printed, for a v1 host's dozen of hierarchies cost every runtime more. crun(1) takes no host
//! with both versions, so all three are called in a mount namespace without the unified tree; what that
//! costs is in each figure.
//! `cargo bench --bench oci -- short` takes a fifth of the time.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Room, stdout, which};

fn main() {
    if !nix::unistd::geteuid().is_root() {
        println!("not measured: these runtimes need root here");
        return;
    }
    let rounds = if std::env::args().any(|a| a == "short") { 10 } else { 50 };
    let room = Room::new();
    bundle(&room);
    let link = room.path().join("skiff-oci");
    std::os::unix::fs::symlink(support::binary("skiff"), &link).expect("the room is ours");
    let mut runtimes = vec![("skiff", link)];
    runtimes.extend(["runc", "crun"].into_iter().filter_map(|name| Some((name, which(name)?))));
    let mut times = vec![Vec::new(); runtimes.len()];
    for round in 0..=rounds {
        for ((name, program), times) in runtimes.iter().zip(&mut times) {
            let took = life(&room, name, program);
            // The first warms the caches.
            if round > 0 {
                times.push(took);
            }
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let version = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "v2" } else { "v1" };
    println!("create, start and delete of `true`, median of {rounds}, cgroup {version}, device rules, no seccomp");
    for ((name, _), took) in runtimes.iter().zip(&medians) {
        println!("  {name:<6} {:>7.2} ms  skiff is {:.2} × of it", took.as_secs_f64() * 1e3, medians[0].as_secs_f64() / took.as_secs_f64());
    }
    at_rest(&room);
}

/// busybox as a root, and a config that all three take.
fn bundle(room: &Room) {
    let at = room.path().join("bundle");
    for folder in ["bin", "proc", "sys", "dev"] {
        std::fs::create_dir_all(at.join("rootfs").join(folder)).expect("the room is ours");
    }
    std::fs::copy(which("busybox").expect("busybox-static is installed"), at.join("rootfs/bin/true")).expect("busybox can be copied");
    stdout(&mut room.skiff(&["oci", "spec", "--bundle", &at.display().to_string()]));
    let config = std::fs::read(at.join("config.json")).expect("it was written");
    let mut config: serde_json::Value = serde_json::from_slice(&config).expect("it is JSON");
    // As far as the oldest of the three reads.
    config["ociVersion"] = "1.0.2".into();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/bin/true"]);
    let name = room.path().file_name().expect("a name").to_string_lossy().into_owned();
    config["linux"]["cgroupsPath"] = format!("/{name}").into();
    config["linux"].as_object_mut().expect("an object").remove("seccomp");
    std::fs::write(at.join("config.json"), config.to_string()).expect("the room is ours");
}

/// How long one container's life takes, its end not waited for but forced.
fn life(room: &Room, name: &str, program: &Path) -> Duration {
    let call = |words: &[&str]| {
        // All three the same way, or what the way costs would be one's alone.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"", name]).arg(program);
        command.arg("--root").arg(room.path().join(format!("run-{name}"))).args(words);
        command.current_dir(room.path().join("bundle")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut took = Duration::ZERO;
    for words in [&["create", "one"][..], &["start", "one"], &["delete", "--force", "one"]] {
        let mut command = call(words);
        let begin = Instant::now();
        let status = command.status().expect("the runtime runs");
        took += begin.elapsed();
        assert!(status.success(), "{name} {words:?}: {status}");
    }
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What the daemon takes when nobody asks it anything.
fn at_rest(room: &Room) {
    let socket = room.path().join("docker.sock");
    let mut daemon = room.skiff(&["daemon", "-H", &format!("unix://{}", socket.display())]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skiff runs");
    let end = Instant::now() + Duration::from_secs(30);
    while std::os::unix::net::UnixStream::connect(&socket).is_err() && Instant::now() < end {
        std::thread::yield_now();
    }
    let status = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", daemon.id())).unwrap_or_default();
    let pss = status.lines().find_map(|l| l.strip_prefix("Pss:")).unwrap_or("not known").trim();
    println!("skiff daemon at rest: {pss} (target: 15360 kB)");
    let _ = daemon.kill();
    let _ = daemon.wait();
}
