//! What a container writes: kept whole, rotated, shown from a time or a line on, and here as it comes.

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;
use support::{Room, outcome, read_until, stdout};

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// Runs a container called `box` to its end.
fn ran(room: &Room, options: &[&str], line: &str) {
    stdout(&mut room.skiff(&[&["run", "-d", "--name", "box"], options, &["base", "sh", "-c", line]].concat()));
    stdout(&mut room.skiff(&["wait", "box"]));
}

fn logs(room: &Room, options: &[&str]) -> String {
    stdout(&mut room.skiff(&[&["logs"], options, &["box"]].concat()))
}

#[test]
fn nothing_is_lost_or_mixed_of_what_two_streams_write_at_full_speed() {
    require!(UserNamespaces);
    let room = furnished();
    let lines = 200_000;
    ran(&room, &[], &format!("seq {lines} | sed 's/$/ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/' & seq {lines} | sed 's/$/ bbbbbbbbbbbbbbbbbbbb/' >&2; wait"));
    let (code, out, err) = outcome(&mut room.skiff(&["logs", "box"]));
    assert_eq!(code, Some(0));
    for (text, letter, width) in [(&out, "a", 40), (&err, "b", 20)] {
        assert_eq!(text.lines().count(), lines);
        let tail = letter.repeat(width);
        for (n, line) in text.lines().enumerate() {
            assert!(line.strip_prefix(&format!("{} ", n + 1)) == Some(&tail), "line {}: {line}", n + 1);
        }
    }
}

#[test]
fn a_log_is_rotated_and_read_from_its_oldest_file_on() {
    require!(UserNamespaces);
    let room = furnished();
    ran(&room, &["--log-opt", "max-size=10k", "--log-opt", "max-file=3"], "seq 1000");
    let id = stdout(&mut room.skiff(&["ps", "-aq", "--no-trunc"]));
    let folder = room.skiff_root().join("containers").join(id.trim());
    let sizes = ["log.json", "log.json.1", "log.json.2"].map(|f| std::fs::metadata(folder.join(f)).expect("it is kept").len());
    assert!(sizes[0] < 10 << 10 && sizes[1..].iter().all(|s| (10 << 10..11 << 10).contains(s)), "{sizes:?}");
    assert!(!folder.join("log.json.3").exists());
    let shown = logs(&room, &[]);
    let numbers: Vec<u32> = shown.lines().map(|l| l.parse().expect("a number")).collect();
    assert!(numbers.len() > 200 && numbers.last() == Some(&1000) && numbers.windows(2).all(|w| w[0] + 1 == w[1]), "{numbers:?}");
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{json .HostConfig.LogConfig}}", "box"])), "{\"Config\":{\"max-file\":\"3\",\"max-size\":\"10240\"},\"Type\":\"json-file\"}\n");
}

#[test]
fn a_follower_that_is_overtaken_by_rotations_misses_no_line_that_is_kept() {
    require!(UserNamespaces);
    let room = furnished();
    let options = ["run", "-d", "--name", "box", "--log-opt", "max-size=20k", "--log-opt", "max-file=200", "base", "sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; seq 20000"];
    stdout(&mut room.skiff(&options));
    let follow = room.skiff(&["logs", "-f", "box"]).stdout(Stdio::piped()).spawn().expect("it runs");
    stdout(&mut room.skiff(&["exec", "box", "touch", "/go"]));
    let shown = follow.wait_with_output().expect("our child").stdout;
    let wanted: String = (1..=20000).map(|n| format!("{n}\n")).collect();
    assert!(shown == wanted.as_bytes(), "{} bytes of {}", shown.len(), wanted.len());
}

#[test]
fn lines_are_chosen_by_time_and_by_number() {
    require!(UserNamespaces);
    let room = furnished();
    ran(&room, &[], "echo one; echo two; sleep 1.1; echo three");
    assert_eq!(logs(&room, &["--tail", "2"]), "two\nthree\n");
    assert_eq!(logs(&room, &["-n", "0"]), "");
    assert_eq!(logs(&room, &["--tail", "all"]), "one\ntwo\nthree\n");
    let stamped = logs(&room, &["-t"]);
    let times: Vec<&str> = stamped.lines().map(|l| l.split(' ').next().expect("a time")).collect();
    assert!(times.iter().all(|t| t.len() == 30 && t.ends_with('Z')), "{times:?}");
    assert_eq!(logs(&room, &["--since", times[2]]), "three\n");
    assert_eq!(logs(&room, &["--until", times[1]]), "one\ntwo\n");
    assert_eq!(logs(&room, &["--since", "1h"]), "one\ntwo\nthree\n");
    assert_eq!(logs(&room, &["--until", "1h"]), "");
    let (code, _, err) = outcome(&mut room.skiff(&["logs", "--since", "soon", "box"]));
    assert!(code == Some(125) && err.starts_with("error: invalid value \"soon\" for --since: "), "{code:?} {err}");
    let (code, _, _) = outcome(&mut room.skiff(&["run", "--log-opt", "max-file=3", "base"]));
    assert_eq!(code, Some(125));
}

#[test]
fn a_container_is_started_with_its_streams_here_and_its_exit_code() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["create", "-i", "--name", "box", "base", "sh", "-c", "tr a-z A-Z; echo done >&2; exit 6"]));
    for word in ["first", "second"] {
        let mut start = room.skiff(&["start", "-a", "-i", "box"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        writeln!(start.stdin.take().expect("piped"), "{word}").expect("it reads");
        let output = start.wait_with_output().expect("our child");
        assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(6), format!("{}\n", word.to_uppercase()).as_bytes(), &b"done\n"[..]));
    }
    let (code, _, err) = outcome(&mut room.skiff(&["start", "-a", "box", "other"]));
    assert!(code == Some(1) && err.starts_with("error: you cannot start and attach multiple containers at once\n"), "{err}");
}

#[test]
fn what_is_typed_to_an_attached_container_reaches_it_and_so_do_signals() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "-i", "--name", "box", "base", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo before; while read x; do echo \"got $x\"; done"]));
    let mut attach = room.skiff(&["attach", "box"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let (mut to, mut from) = (attach.stdin.take().expect("piped"), attach.stdout.take().expect("piped"));
    writeln!(to, "this").expect("it reads");
    read_until(&mut from, "got this\n", Duration::from_secs(20));
    // The end of ours is not the end of its: others may attach.
    drop(to);
    let pid = nix::unistd::Pid::from_raw(attach.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    // Its shell may be between two reads, and look at its traps later: then this ends it.
    outcome(&mut room.skiff(&["kill", "-s", "KILL", "box"]));
    let mut rest = String::new();
    from.read_to_string(&mut rest).expect("text");
    let code = attach.wait().expect("our child").code();
    assert!(matches!(code, Some(3 | 137)), "{code:?}");
    let (code, _, err) = outcome(&mut room.skiff(&["attach", "box"]));
    assert!(code == Some(1) && err.starts_with("error: You cannot attach to a stopped container, start it first\n"), "{err}");
}

#[test]
fn an_exec_in_the_background_says_what_fails_and_lets_go() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "base", "sleep", "600"]));
    assert_eq!(stdout(&mut room.skiff(&["exec", "-d", "box", "sh", "-c", "mkfifo /go; echo x >/go"])), "");
    assert_eq!(stdout(&mut room.skiff(&["exec", "box", "sh", "-c", "while [ ! -p /go ]; do :; done; cat /go"])), "x\n");
    let (code, _, err) = outcome(&mut room.skiff(&["exec", "-d", "box", "no-such"]));
    assert!(code == Some(127) && err.starts_with("error: cannot run no-such: ENOENT\n"), "{code:?} {err}");
}
