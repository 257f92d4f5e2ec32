//! Checks against real processes, made with unshare(1) and plain files.

#[macro_use]
mod support;

use drydock::check::{Check, Outcome, Scene, examine};
use drydock::kernel::proc::pids;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Parses checks as an exercise's YAML holds them.
fn checks(yaml: &str) -> Vec<Check> {
    serde_yaml::from_str(yaml).expect("the test's own YAML")
}

/// A process that is ended when the test ends.
struct Running(Child, String);

impl Running {
    /// Starts it and waits until some process runs `sleep N`, with the N that the arguments end in.
    fn start(program: &str, args: &[&str]) -> Self {
        let child = Command::new(program).args(args).stdout(Stdio::null()).spawn().expect("spawn");
        let last = args.last().and_then(|a| a.rsplit(' ').next()).expect("arguments end in `sleep N`");
        let wanted = format!("sleep\0{last}\0");
        until(|| runs(&wanted), "it never ran");
        Self(child, wanted)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // The child of an unshare that was killed ends a moment later.
        until(|| !runs(&self.1), "it never ended");
    }
}

fn runs(cmdline: &str) -> bool {
    pids().iter().any(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == cmdline))
}

fn until(so: impl Fn() -> bool, otherwise: &str) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < give_up, "{otherwise}");
        std::thread::yield_now();
    }
}

#[test]
fn a_process_in_a_uts_namespace_of_its_own_passes_and_one_in_the_hosts_does_not() {
    require!(Root);
    let check = checks(
        "- id: named\n  find: process\n  where: { command: 'sleep 86111' }\n  none: nobody sleeps\n  expect:\n    - namespace: { uts: own }\n      meaning: it shares the name\n    - hostname: amber-otter\n",
    );
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::NotYet);
    assert_eq!(verdict.evidence[0].meaning, "nobody sleeps");

    let shared = Running::start("sh", &["-c", "exec sleep 86111"]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::NotYet);
    assert_eq!(verdict.evidence[1].meaning, "it shares the name");
    drop(shared);

    let _own = Running::start("unshare", &["--uts", "sh", "-c", "hostname amber-otter; exec sleep 86111"]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::Passed, "{:#?}", verdict.evidence);
}

#[test]
fn what_started_before_the_exercise_does_not_count() {
    require!(Root);
    let check = checks("- id: s\n  find: process\n  where: { command: 'sleep 86112' }\n");
    let _early = Running::start("sh", &["-c", "exec sleep 86112"]);
    assert_eq!(examine(&check, &Scene::default()).outcome, Outcome::Passed);
    let later = Scene { since_ticks: u64::MAX, ..Scene::default() };
    assert_eq!(examine(&check, &later).outcome, Outcome::NotYet);
}

#[test]
fn a_proc_of_the_wrong_pid_namespace_is_told_from_the_right_one() {
    require!(Root);
    let check = checks("- id: s\n  find: process\n  where: { command: 'sleep 86113' }\n  expect:\n    - namespace: { pid: own }\n    - proc: own\n");
    let wrong = Running::start("unshare", &["--pid", "--fork", "--kill-child", "sh", "-c", "exec sleep 86113"]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::NotYet);
    assert_eq!(verdict.evidence[1].outcome, Outcome::Passed, "the pid namespace itself is right: {:#?}", verdict.evidence);
    drop(wrong);
    let _right = Running::start("unshare", &["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", "exec sleep 86113"]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::Passed, "{:#?}", verdict.evidence);
}

#[test]
fn a_printed_name_is_no_proof() {
    let check = checks("- id: s\n  find: process\n  where: { hostname: silver-heron }\n");
    let _fake = Running::start("sh", &["-c", "echo silver-heron; exec sleep 86114"]);
    assert_ne!(examine(&check, &Scene::default()).outcome, Outcome::Passed);
}

#[test]
fn a_link_that_is_down_is_told_from_one_that_is_up() {
    require!(Root);
    let check = checks("- id: s\n  find: process\n  where: { command: 'sleep 86115' }\n  expect:\n    - links: { only: [lo], up: [lo] }\n");
    let down = Running::start("unshare", &["--net", "sh", "-c", "exec sleep 86115"]);
    assert_eq!(examine(&check, &Scene::default()).outcome, Outcome::NotYet);
    drop(down);
    let _up = Running::start("unshare", &["--net", "sh", "-c", "ip link set lo up; exec sleep 86115"]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::Passed, "{:#?}", verdict.evidence);
}

#[test]
fn a_directory_dressed_up_as_proc_is_no_proc() {
    require!(Root);
    let check = checks("- id: s\n  find: process\n  where: { command: 'sleep 86116' }\n  expect:\n    - proc: own\n");
    let folder = tempfile::tempdir().unwrap();
    let dress = format!(
        "cd {} && mkdir -p 1/ns && touch 1/ns/pid && mount --bind /proc/self/ns/pid 1/ns/pid && mount --rbind . /proc && exec sleep 86116",
        folder.path().display()
    );
    let _forged = Running::start("unshare", &["--pid", "--mount", "--fork", "--kill-child", "sh", "-c", &dress]);
    let verdict = examine(&check, &Scene::default());
    assert_eq!(verdict.outcome, Outcome::NotYet, "{:#?}", verdict.evidence);
}

#[test]
fn the_hosts_namespaces_are_those_of_the_beginning_wherever_the_check_is_asked_for() {
    require!(Root);
    let check = checks("- id: s\n  find: process\n  where: { command: 'sleep 86117' }\n  expect:\n    - namespace: { uts: own }\n");
    let own = Running::start("unshare", &["--uts", "sh", "-c", "exec sleep 86117"]);
    // As if we had moved into that namespace since: ours would be the same as the process's.
    let mut host = drydock::check::own_namespaces();
    assert_eq!(examine(&check, &Scene { host: host.clone(), ..Scene::default() }).outcome, Outcome::Passed);
    let theirs = drydock::kernel::ns::Ns::Uts.inode(own.0.id() as i32).unwrap();
    host.insert(drydock::kernel::ns::Ns::Uts, theirs);
    assert_eq!(examine(&check, &Scene { host, ..Scene::default() }).outcome, Outcome::NotYet);
}

#[test]
fn an_oom_kill_whose_cgroup_is_gone_is_found_in_the_kernels_log() {
    require!(Root, Controller("memory"), Tool("unshare"));
    let room = support::Room::new();
    let name = format!("oom-{}", std::process::id());
    let since = drydock::learn::progress::now_ticks();
    let hog = ["run", "--rm", "--name", &name, "-m", "16m", "base", "sh", "-c", "tail -c 100m /dev/zero | tail -c 100m >/dev/null"];
    let _ = room.skiff(&hog).output().expect("skiff runs");
    let check = checks("- id: o\n  find: event\n  where: { kind: oom-kill, cgroup: { contains: skiff } }\n  expect:\n    - count: { at-least: 1 }\n");
    let scene = Scene { since_ticks: since, ..Scene::default() };
    let verdict = examine(&check, &scene);
    assert_eq!(verdict.outcome, Outcome::Passed, "{:#?}", verdict.evidence);
    assert_eq!(examine(&check, &Scene { since_ticks: u64::MAX, ..Scene::default() }).outcome, Outcome::NotYet);
}
