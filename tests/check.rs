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
struct Running(Child);

impl Running {
    /// Starts it and waits until some process runs `sleep N`, with the N that the arguments end in.
    fn start(program: &str, args: &[&str]) -> Self {
        let child = Command::new(program).args(args).stdout(Stdio::null()).spawn().expect("spawn");
        let last = args.last().and_then(|a| a.rsplit(' ').next()).expect("arguments end in `sleep N`");
        let wanted = format!("sleep\0{last}\0");
        let give_up = Instant::now() + Duration::from_secs(10);
        let running = || pids().iter().any(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == wanted));
        while !running() {
            assert!(Instant::now() < give_up, "sleep {last} never ran");
            std::thread::yield_now();
        }
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
