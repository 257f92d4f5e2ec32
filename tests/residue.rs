//! After whatever skiff did, the host is as it was: its processes, mounts, cgroups, links and files.
//! Also when `skiff run` was killed with SIGKILL, at each step of its plan, once `skiff system prune`
//! has been by.
//!
//! One test at a time, since each compares the whole host.

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use support::host::{self, Host};
use support::{Room, outcome, read_until, stdout};

static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What stands before the first newline is asked for.
const PROMPT: &str = "[q] stop > ";
const SOON: Duration = Duration::from_secs(20);

/// A room that has its image already, and the host as it looks with that.
fn furnished() -> (Room, Host) {
    let room = Room::new();
    stdout(&mut room.skiff(&["run", "--rm", "base", "true"]));
    let host = Host::now(&[&room.skiff_root(), &room.skiff_root().join("containers"), room.path()]);
    (room, host)
}

fn unchanged(room: &Room, before: &Host, after: &str) {
    before.assert_unchanged(&[&room.skiff_root(), &room.skiff_root().join("containers"), room.path()], after);
}

#[test]
fn a_picture_of_the_host_shows_what_was_left_behind() {
    let _alone = alone();
    let room = Room::new();
    let before = Host::now(&[room.path()]);
    let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
    std::fs::write(room.path().join("note"), "").expect("the room is ours");
    let left = Host::now(&[room.path()]).since(&before);
    child.kill().expect("it can be killed");
    child.wait().expect("it is ours");
    assert!(left.iter().any(|l| l.contains("sleep")) && left.iter().any(|l| l.ends_with("/note")), "{left:?}");
}

#[test]
fn nothing_is_left_of_runs_that_end_by_themselves() {
    require!(UserNamespaces);
    let _alone = alone();
    let (room, host) = furnished();
    let runs: &[(&[&str], i32)] = &[
        (&["base", "true"], 0),
        (&["base", "sh", "-c", "exit 7"], 7),
        (&["base", "no-such-command"], 127),
        (&["base", "/etc/passwd"], 126),
        (&["--tmpfs", "/scratch", "--read-only", "base", "touch", "/scratch/x"], 0),
        (&["--init", "base", "sh", "-c", "kill -9 $$"], 137),
        (&["--init", "base", "sh", "-c", "sleep 60 & exit 3"], 3),
        (&["-m", "lots", "base", "true"], 125),
        (&["--user", "nobody-at-all", "base", "true"], 125),
        (&["no-such-image", "true"], 125),
    ];
    for (arguments, code) in runs {
        let mut run = room.skiff(&["run", "--rm"]);
        let (ended, out, err) = outcome(run.args(*arguments));
        let shown = format!("skiff run {}", arguments.join(" "));
        assert_eq!(ended, Some(*code), "{shown}: {out}{err}");
        unchanged(&room, &host, &shown);
    }
}

#[test]
fn nothing_is_left_of_an_out_of_memory_kill() {
    require!(Root, Controller("memory"));
    let _alone = alone();
    let (room, host) = furnished();
    let eat = ["run", "--rm", "-m", "16m", "base", "sh", "-c", "head -c 64m /dev/zero | tail"];
    let (code, _, err) = outcome(&mut room.skiff(&eat));
    assert_eq!(code, Some(137), "{err}");
    unchanged(&room, &host, "an out-of-memory kill");
}

#[test]
fn nothing_is_left_of_a_container_that_was_removed() {
    require!(UserNamespaces);
    let _alone = alone();
    let (room, host) = furnished();
    for end in [&["rm", "-f", "otter"][..], &["stop", "-t", "1", "otter"], &["kill", "otter"]] {
        stdout(&mut room.skiff(&["run", "-d", "--name", "otter", "base", "sleep", "600"]));
        stdout(&mut room.skiff(&["exec", "otter", "true"]));
        stdout(&mut room.skiff(end));
        if end[0] != "rm" {
            stdout(&mut room.skiff(&["rm", "otter"]));
        }
        unchanged(&room, &host, &end.join(" "));
    }
}

#[test]
fn nothing_is_left_of_a_run_that_was_interrupted() {
    require!(UserNamespaces);
    let _alone = alone();
    let (room, host) = furnished();
    let mut run = room.skiff(&["run", "--rm", "base", "sh", "-c", "trap 'exit 9' INT; echo ready; read x"]);
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("skiff runs");
    read_until(run.stdout.as_mut().expect("it was piped"), "ready", SOON);
    let pid = nix::unistd::Pid::from_raw(run.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
    run.wait().expect("it is our child");
    unchanged(&room, &host, "SIGINT");
}

/// `skiff run --step`, stopped before step `number`.
fn stopped_before(room: &Room, number: usize) -> (Child, ChildStdin) {
    let mut run = room.skiff(&["run", "--rm", "--step", "base", "sleep", "600"]);
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("skiff runs");
    let mut answers = run.stdin.take().expect("it was piped");
    let mut said = run.stdout.take().expect("it was piped");
    read_until(&mut said, PROMPT, SOON);
    for _ in 1..number {
        answers.write_all(b"\n").expect("it listens");
        read_until(&mut said, PROMPT, SOON);
    }
    // What it writes from here on is nobody's concern, but must not fail for want of a reader.
    std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
    (run, answers)
}

#[test]
fn after_sigkill_at_any_step_prune_finds_what_is_left() {
    require!(UserNamespaces);
    let _alone = alone();
    let (room, host) = furnished();
    let plan = stdout(&mut room.skiff(&["run", "--dry-run", "base", "sleep", "600"]));
    let steps = plan.lines().filter(|l| !l.starts_with("    ")).filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_digit())).count();
    assert!(steps > 15, "{plan}");
    for step in 1..=steps {
        let (mut run, answers) = stopped_before(&room, step);
        run.kill().expect("it can be killed");
        run.wait().expect("it is our child");
        drop(answers);
        // The held process hears that nobody holds it any more, and ends.
        assert!(host::orphans_end_within(SOON), "the held process lives on after SIGKILL before step {step}");
        stdout(&mut room.skiff(&["system", "prune", "-f"]));
        unchanged(&room, &host, &format!("SIGKILL before step {step} of\n{plan}"));
    }
}

#[test]
fn after_sigkill_of_a_running_container_prune_finds_what_is_left() {
    require!(UserNamespaces);
    let _alone = alone();
    let (room, host) = furnished();
    let mut run = room.skiff(&["run", "--rm", "base", "sh", "-c", "echo ready; sleep 600"]);
    let mut run = run.stdout(Stdio::piped()).spawn().expect("skiff runs");
    read_until(run.stdout.as_mut().expect("it was piped"), "ready", SOON);
    run.kill().expect("it can be killed");
    run.wait().expect("it is our child");
    stdout(&mut room.skiff(&["system", "prune", "-f"]));
    unchanged(&room, &host, "SIGKILL of a run whose container lived");
}

/// Something that v1's freezer holds still does not even die until it is thawed.
#[test]
fn prune_waits_for_the_process_of_a_killed_run_that_is_still_ending() {
    require!(Root, Controller("freezer"));
    let _alone = alone();
    let (room, host) = furnished();
    let (mut run, answers) = stopped_before(&room, 3);
    let id = std::fs::read_dir(room.skiff_root().join("containers")).expect("a folder").flatten().next().expect("one container").file_name();
    let state = support::controller("freezer").expect("required").join("skiff").join(id).join("freezer.state");
    std::fs::write(&state, "FROZEN").expect("it can be frozen");
    run.kill().expect("it can be killed");
    run.wait().expect("it is our child");
    drop(answers);
    let mut prune = room.skiff(&["system", "prune", "-f"]).stdout(Stdio::null()).spawn().expect("skiff runs");
    let mark = format!(" {} ", prune.id());
    let waits = || std::fs::read_to_string("/proc/locks").unwrap_or_default().lines().any(|l| l.contains("->") && l.contains(&mark));
    while !waits() && prune.try_wait().expect("our child").is_none() {
        std::thread::yield_now();
    }
    std::fs::write(&state, "THAWED").expect("it can be thawed");
    assert!(prune.wait().expect("our child").success());
    unchanged(&room, &host, "a prune while a killed run was ending");
}

/// Between mkdir and the first process a cgroup looks just like one that a dead run left.
#[test]
fn prune_takes_an_old_empty_cgroup_of_another_root_and_leaves_one_that_was_made_just_now() {
    require!(Root, Controller("pids"));
    let _alone = alone();
    let (room, host) = furnished();
    let group = support::controller("pids").expect("required").join("skiff").join("5".repeat(64));
    std::fs::create_dir_all(&group).expect("root may");
    std::fs::read_dir(&group).expect("it is there");
    stdout(&mut room.skiff(&["system", "prune", "-f"]));
    assert!(group.exists(), "another container was about to join it");
    let earlier = std::time::SystemTime::now() - Duration::from_secs(60);
    std::fs::File::open(&group).and_then(|f| f.set_modified(earlier)).expect("cgroupfs keeps times");
    let said = stdout(&mut room.skiff(&["system", "prune", "-f"]));
    assert!(!group.exists(), "{said}");
    unchanged(&room, &host, "a prune that found a cgroup of no container");
}
