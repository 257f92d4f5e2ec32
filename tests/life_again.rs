//! A container that has ended can be started again, by hand or by its policy, whoever was killed.

#[macro_use]
mod support;

use std::time::{Duration, Instant};
use support::{Room, outcome, stdout};

/// Waits until `look` finds something; panics after a while.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// One field of the only container's line.
fn ps(room: &Room, format: &str) -> String {
    stdout(&mut room.skiff(&["ps", "-a", "--format", format])).trim().to_owned()
}

/// The pids in the container's lock: who looks after it, and who takes over.
fn attendants(room: &Room, name: &str) -> Vec<i32> {
    let id = stdout(&mut room.skiff(&["ps", "-aq", "--no-trunc", "--filter", &format!("name={name}")]));
    let text = std::fs::read_to_string(room.skiff_root().join("containers").join(id.trim()).join("lock")).unwrap_or_default();
    let numbers: Vec<i32> = text.split(' ').filter_map(|n| n.parse::<i64>().ok()).map(|n| i32::try_from(n).unwrap_or(0)).collect();
    if numbers.len() == 3 { vec![numbers[0], numbers[2]] } else { Vec::new() }
}

fn pid(room: &Room, name: &str) -> Option<i32> {
    let (code, out, _) = outcome(&mut room.skiff(&["inspect", "-f", "{{.State.Pid}}", name]));
    out.trim().parse().ok().filter(|pid| code == Some(0) && *pid > 0)
}

fn kill(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it runs");
}

#[test]
fn a_container_is_made_started_and_started_again_with_what_it_wrote() {
    require!(UserNamespaces);
    let room = furnished();
    let words = ["create", "--name", "box", "-l", "team=blue", "base", "sh", "-c", "echo again >>/runs; wc -l </runs; exit 3"];
    let id = stdout(&mut room.skiff(&words));
    assert_eq!(id.trim().len(), 64);
    assert_eq!(ps(&room, "{{.State}} {{.Status}} {{.Names}} {{.Labels}}"), "created Created box team=blue");
    for _ in 0..2 {
        assert_eq!(stdout(&mut room.skiff(&["start", "box"])), "box\n");
        assert_eq!(stdout(&mut room.skiff(&["wait", "box"])), "3\n");
    }
    assert_eq!(stdout(&mut room.skiff(&["logs", "box"])), "1\n2\n");
    assert!(ps(&room, "{{.Status}}").starts_with("Exited (3) "));
    assert_eq!(stdout(&mut room.skiff(&["rename", "box", "crate"])), "");
    assert_eq!(ps(&room, "{{.Names}}"), "crate");
    assert_eq!(outcome(&mut room.skiff(&["start", "box"])).0, Some(1), "the old name is free");
    assert_eq!(stdout(&mut room.skiff(&["rm", "crate"])), "crate\n");
}

#[test]
fn what_cannot_be_started_stays_as_it_was_and_says_why() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["create", "--name", "box", "base", "no-such"]));
    let (code, out, err) = outcome(&mut room.skiff(&["start", "box"]));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("error: cannot run no-such: ENOENT\n"), "{err}");
    assert_eq!(ps(&room, "{{.State}}"), "created");
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "box"])), "127 cannot run no-such: ENOENT\n");
}

#[test]
fn a_restart_is_a_stop_and_a_start_and_a_start_of_what_runs_does_nothing() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--stop-signal", "USR1", "base", "sh", "-c", "trap 'exit 4' USR1; while :; do sleep 0.01; done"]));
    let first = pid(&room, "box").expect("it runs");
    stdout(&mut room.skiff(&["start", "box"]));
    assert_eq!(pid(&room, "box"), Some(first));
    assert_eq!(stdout(&mut room.skiff(&["restart", "box"])), "box\n");
    let second = pid(&room, "box").expect("it runs");
    assert_ne!(first, second);
    stdout(&mut room.skiff(&["stop", "-t", "30", "box"]));
    // Its own signal stopped it, or it was still on its way to its trap.
    assert!(ps(&room, "{{.Status}}").starts_with("Exited ("));
}

#[test]
fn a_command_that_fails_is_started_again_as_often_as_was_said() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--restart", "on-failure:2", "base", "sh", "-c", "echo x; exit 7"]));
    assert_eq!(stdout(&mut room.skiff(&["wait", "box"])), "7\n");
    assert_eq!(stdout(&mut room.skiff(&["logs", "box"])), "x\nx\nx\n");
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{.RestartCount}} {{.HostConfig.RestartPolicy.Name}}", "box"])), "2 on-failure\n");
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "--restart", "always", "base", "true"]));
    assert_eq!(code, Some(125), "{err}");
}

#[test]
fn whichever_process_is_killed_a_container_that_is_to_run_always_runs() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--restart", "always", "base", "sh", "-c", "echo up; exec sleep 600"]));
    for victim in ["the command", "the monitor", "the second"] {
        let before = until("it is looked after by two", || Some(attendants(&room, "box")).filter(|two| two.len() == 2));
        let ran = until("it runs", || pid(&room, "box"));
        kill(match victim {
            "the command" => ran,
            "the monitor" => before[0],
            _ => before[1],
        });
        if victim == "the second" {
            until("there is another second", || Some(attendants(&room, "box")).filter(|two| two.len() == 2 && two[1] != before[1]));
            assert_eq!(pid(&room, "box"), Some(ran), "the command saw nothing of it");
        } else {
            until("it runs again", || pid(&room, "box").filter(|pid| *pid != ran));
        }
    }
    stdout(&mut room.skiff(&["kill", "box"]));
    assert!(ps(&room, "{{.Status}}").starts_with("Exited (137)"), "what a person kills stays so");
    assert_eq!(stdout(&mut room.skiff(&["logs", "box"])), "up\nup\nup\n");
}

#[test]
fn a_container_without_a_policy_ends_with_its_monitor_and_can_be_started_again() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "base", "sleep", "600"]));
    let ran = pid(&room, "box").expect("it runs");
    let parent = std::fs::read_to_string(format!("/proc/{ran}/stat")).expect("it runs");
    kill(parent.rsplit_once(") ").expect("stat").1.split(' ').nth(1).expect("a parent").parse().expect("a pid"));
    until("its end is seen", || Some(ps(&room, "{{.State}}")).filter(|s| s == "exited"));
    stdout(&mut room.skiff(&["start", "box"]));
    assert_eq!(ps(&room, "{{.State}}"), "running");
}

#[test]
fn one_that_waits_to_be_started_again_can_be_stopped_and_removed_at_once() {
    require!(UserNamespaces);
    let room = furnished();
    let begun = Instant::now();
    for end in [&["stop", "box"][..], &["rm", "-f", "box"]] {
        stdout(&mut room.skiff(&["rm", "-f", "box"]));
        stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--restart", "always", "base", "false"]));
        // After five ends the wait is more than a second long.
        until("it has ended often", || {
            let out = outcome(&mut room.skiff(&["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "box"])).1;
            (out == "5 restarting\n").then_some(())
        });
        assert!(ps(&room, "{{.Status}}").starts_with("Restarting (1) "));
        stdout(&mut room.skiff(end));
    }
    assert_eq!(ps(&room, "{{.Names}}"), "");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_name_that_leads_nowhere_is_free() {
    require!(Root);
    let room = Room::new();
    let names = room.skiff_root().join("names");
    std::fs::create_dir_all(&names).expect("the room is ours");
    // What stays where a container is removed while it is renamed.
    std::os::unix::fs::symlink(format!("../containers/{}", "5d".repeat(32)), names.join("web")).expect("the room is ours");
    let id = stdout(&mut room.skiff(&["create", "--name", "web", "--network", "none", "base", "true"]));
    let (code, _, err) = outcome(&mut room.skiff(&["create", "--name", "web", "--network", "none", "base", "true"]));
    assert_eq!((code, err.lines().next()), (Some(125), Some(format!("error: the container name \"web\" is taken by container {}", &id[..12]).as_str())));
    assert_eq!(stdout(&mut room.skiff(&["rm", "web"])), "web\n");
}

#[test]
fn one_that_is_just_being_started_is_removed_by_force_and_not_waited_for() {
    require!(UserNamespaces);
    let room = furnished();
    for _ in 0..4 {
        let id = stdout(&mut room.skiff(&["create", "--name", "box", "base", "sleep", "600"]));
        let state = room.skiff_root().join("containers").join(id.trim()).join("state.json");
        let quiet = || std::process::Stdio::null();
        let mut start = room.skiff(&["start", "-a", "box"]).stdout(quiet()).stderr(quiet()).spawn().expect("skiff starts");
        until("it is being started", || std::fs::read_to_string(&state).ok().filter(|text| text.contains("\"creating\"")));
        let mut remove = room.skiff(&["rm", "-f", "box"]).stdout(quiet()).spawn().expect("skiff starts");
        until("it is removed", || remove.try_wait().expect("it is ours"));
        start.wait().expect("it is ours");
    }
    assert_eq!(ps(&room, "{{.Names}}"), "");
}
