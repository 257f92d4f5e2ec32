//! Debian's dockerd and Podman with skiff as their runtime: what their users type every day, and what comes
//! of it.

#[macro_use]
mod support;

use std::os::unix::fs::symlink;
use std::process::Command;
use support::docker::Docker;
use support::podman::Podman;
use support::{Room, outcome, stdout};

/// A dockerd that knows the runtime `skiff`.
struct Chain {
    docker: Docker,
    /// Holds the link by which containerd calls it; gone after the daemon.
    _room: Room,
}

impl Chain {
    fn start() -> Self {
        let room = Room::new();
        let link = room.path().join("skiff-oci");
        symlink(support::binary("skiff"), &link).expect("the room is ours");
        let docker = Docker::start_with(&["--add-runtime", &format!("skiff={}", link.display())]);
        Self { docker, _room: room }
    }

    fn docker(&self, words: &[&str]) -> Command {
        let mut client = self.docker.client();
        client.args(words);
        client
    }

    /// `docker run --runtime skiff WORDS…`.
    fn run(&self, words: &[&str]) -> Command {
        self.docker(&[&["run", "--runtime", "skiff"], words].concat())
    }

    /// Exit code and standard output of a container that is removed at its end.
    fn ran(&self, words: &[&str]) -> (Option<i32>, String) {
        let (code, text, errors) = outcome(&mut self.run(&[&["--rm"], words].concat()));
        assert!(code.is_some_and(|c| c >= 126) || errors.is_empty(), "{words:?}: {errors}");
        (code, text)
    }
}

#[test]
fn docker_runs_containers_by_skiff_and_gets_output_and_exit_codes() {
    require!(Root, Docker);
    let chain = Chain::start();
    assert_eq!(chain.ran(&["base", "echo", "hello"]), (Some(0), "hello\n".into()));
    assert_eq!(chain.ran(&["base", "sh", "-c", "exit 7"]), (Some(7), String::new()));
    assert_eq!(chain.ran(&["base", "nosuch"]).0, Some(127));
    assert_eq!(chain.ran(&["base", "/etc"]).0, Some(126));
    // Who it is, what it may and what it sees, as the kernel tells it inside.
    assert_eq!(chain.ran(&["-h", "harbour", "-u", "7:8", "-w", "/tmp", "base", "sh", "-c", "hostname; id -u; id -g; pwd"]).1, "harbour\n7\n8\n/tmp\n");
    assert_eq!(chain.ran(&["--cap-drop", "ALL", "base", "grep", "CapEff", "/proc/self/status"]).1, "CapEff:\t0000000000000000\n");
    assert_eq!(chain.ran(&["--security-opt", "no-new-privileges", "base", "grep", "-E", "NoNewPrivs|^Seccomp:", "/proc/self/status"]).1, "NoNewPrivs:\t1\nSeccomp:\t2\n");
    assert_eq!(chain.ran(&["--read-only", "base", "sh", "-c", "echo x 2>/dev/null >/x || echo refused"]).1, "refused\n");
    assert_eq!(chain.ran(&["--ulimit", "nofile=77:99", "base", "sh", "-c", "ulimit -n; ulimit -Hn"]).1, "77\n99\n");
    assert_eq!(chain.ran(&["-t", "base", "tty"]).1, "/dev/pts/0\r\n");
}

#[test]
fn a_container_that_docker_started_by_skiff_is_entered_limited_paused_and_stopped() {
    require!(Root, Docker, Controller("memory"));
    let chain = Chain::start();
    let text = |words: &[&str]| stdout(&mut chain.docker(words));
    stdout(&mut chain.run(&["-d", "--name", "web", "-m", "64m", "--pids-limit", "20", "base", "sh", "-c", "echo begun; exec sleep 1000"]));
    assert_eq!(text(&["logs", "web"]), "begun\n");
    assert_eq!(outcome(&mut chain.docker(&["exec", "web", "sh", "-c", "hostname >/dev/null; exit 3"])).0, Some(3));
    let limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
    assert_eq!(text(&["exec", "web", "sh", "-c", limit]), "67108864\n");
    let pid = text(&["inspect", "-f", "{{.State.Pid}}", "web"]);
    assert_eq!(std::fs::read_to_string(format!("/proc/{}/comm", pid.trim())).expect("it runs"), "sleep\n");
    text(&["pause", "web"]);
    assert_eq!(text(&["inspect", "-f", "{{.State.Status}}", "web"]), "paused\n");
    text(&["unpause", "web"]);
    text(&["update", "-m", "32m", "--memory-swap", "32m", "web"]);
    assert_eq!(text(&["exec", "web", "sh", "-c", limit]), "33554432\n");
    text(&["stop", "-t", "0", "web"]);
    assert_eq!(text(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"]), "exited 137\n");
    text(&["start", "web"]);
    assert_eq!(text(&["logs", "web"]), "begun\nbegun\n");
    text(&["rm", "-f", "web"]);
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn podman_runs_containers_by_skiff_as_it_does_by_crun() {
    require!(Root, Tool("podman"), Tool("crun"), Tool("busybox"));
    let room = Room::new();
    let link = room.path().join("skiff-oci");
    symlink(support::binary("skiff"), &link).expect("the room is ours");
    // One store, two runtimes: the image is built once.
    let podman = Podman::with_runtime(link.to_str().expect("a path"));
    let archive = room.path().join("base.tar");
    stdout(&mut room.skiff(&["save", "-o", archive.to_str().expect("a path"), "base"]));
    stdout(&mut podman.command(&["load", "-q", "-i", archive.to_str().expect("a path")]));
    // A tmpfs that begins with what the image has there, on a root that cannot be written; then what it may.
    let look = "ls -a /etc | head -4; touch /etc/new && ls /etc/new; touch /new 2>&1; grep -E '^Cap|NoNew' /proc/self/status; \
        ls -l /dev/nought | cut -c1-30; cat /proc/sys/net/ipv4/ip_forward; ulimit -c; id -u; pwd; hostname; exit 7";
    let options = "--read-only --tmpfs /etc:rw,nosuid --cap-drop all --cap-add chown --security-opt no-new-privileges --device /dev/zero:/dev/nought:r \
        --sysctl net.ipv4.ip_forward=1 --ulimit core=0:0 -w /tmp -h harbour";
    let words: Vec<&str> = options.split_whitespace().chain(["base", "sh", "-c", look]).collect();
    let ours = outcome(&mut podman.run(&words));
    assert_eq!(ours, outcome(&mut podman.run_by("crun", &words)));
    assert!(ours.0 == Some(7) && ours.1.contains("/etc/new\n") && ours.1.contains("Read-only file system"), "{ours:?}");
    assert_eq!(outcome(&mut podman.run(&["base", "nosuch"])).0, Some(127));
}
