//! A container in the foreground is one as any other: it can be left and come back to, keeps its log,
//! heeds its policy and its health check.

#[macro_use]
mod support;

use drydock::kernel::pty;
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Room, outcome, read_until, stdout};

const SOON: Duration = Duration::from_secs(30);
const LEAVE: &[u8] = b"\x10\x11";

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// A command on a terminal of its own, and that terminal's other side.
fn on_a_terminal(mut command: Command) -> (Child, File) {
    let (master, slave) = pty::pair().expect("a pseudo-terminal");
    pty::set_size(&master, pty::Size { rows: 33, columns: 77 }).expect("a size");
    let end = || slave.try_clone().expect("a descriptor");
    command.stdin(end()).stdout(end()).stderr(end());
    (command.spawn().expect("it runs"), File::from(master))
}

fn code(mut child: Child) -> Option<i32> {
    child.wait().expect("our child").code()
}

const NONE: [&str; 2] = ["--network", "none"];

#[test]
fn a_terminal_is_left_by_its_keys_and_come_back_to_and_its_code_is_the_commands() {
    require!(UserNamespaces);
    let room = furnished();
    let script = "stty size; while read line; do [ $line = end ] && exit 7; echo got $line; done";
    let (run, mut screen) = on_a_terminal(room.skiff(&[&["run", "-it", "--name", "box"], &NONE[..], &["base", "sh", "-c", script]].concat()));
    screen.write_all(b"one\n").expect("it listens");
    read_until(&mut screen, "got one\r\n", SOON);
    screen.write_all(LEAVE).expect("it listens");
    assert_eq!(code(run), Some(0));
    assert_eq!(stdout(&mut room.skiff(&["ps", "--format", "{{.Names}} {{.State}}"])), "box running\n");

    // Other keys, and somebody else who looks on.
    let (looker, mut other) = on_a_terminal(room.skiff(&["attach", "--no-stdin", "box"]));
    let (attach, mut screen) = on_a_terminal(room.skiff(&["attach", "--detach-keys", "ctrl-x,x", "box"]));
    // Until the one who looks on has come: on a busy machine that may be later.
    let mut heard = false;
    for _ in 0..100 {
        screen.write_all(b"two\n").expect("it listens");
        read_until(&mut screen, "got two\r\n", SOON);
        heard = support::readable(&other, std::time::Duration::from_millis(300));
        if heard {
            break;
        }
    }
    assert!(heard, "the one who looks on sees nothing");
    // Its own terminal is not in raw mode, and writes one carriage return more.
    read_until(&mut other, "got two\r", SOON);
    screen.write_all(b"\x18x").expect("it listens");
    read_until(&mut screen, "read escape sequence", SOON);
    assert_eq!(code(attach), Some(1));

    let (attach, mut screen) = on_a_terminal(room.skiff(&["attach", "box"]));
    screen.write_all(b"end\n").expect("it listens");
    assert_eq!((code(attach), code(looker)), (Some(7), Some(7)));
    let log = stdout(&mut room.skiff(&["logs", "box"]));
    assert!(log.contains("got one\r\n") && log.contains("got two\r\n"), "{log}");

    let (start, mut screen) = on_a_terminal(room.skiff(&["start", "-ai", "box"]));
    screen.write_all(b"end\n").expect("it listens");
    assert_eq!(code(start), Some(7));
    read_until(&mut screen, "end\r\n", SOON);
}

#[test]
fn who_reads_too_slowly_holds_up_nobody_and_is_told_what_is_missing() {
    require!(UserNamespaces);
    let room = furnished();
    let script = "read x; yes 0123456789 | head -c 20000000; echo over; read x";
    stdout(&mut room.skiff(&[&["run", "-dit", "--name", "box"], &NONE[..], &["base", "sh", "-c", script]].concat()));
    let (attach, mut screen) = on_a_terminal(room.skiff(&["attach", "box"]));
    screen.write_all(b"\n").expect("it listens");
    // Nobody reads that screen; the log has all of it nevertheless.
    let mut log = room.skiff(&["logs", "-f", "box"]).stdout(Stdio::piped()).spawn().expect("it runs");
    read_all_until(log.stdout.take().expect("piped"), b"over");
    log.kill().expect("it runs");
    log.wait().expect("our child");
    let reading = std::thread::spawn(move || {
        read_all_until(screen.try_clone().expect("a descriptor"), b" bytes are not shown here");
        screen.write_all(LEAVE).expect("it listens");
        read_all_until(screen, b"read escape sequence");
    });
    // It is told with the next that comes.
    stdout(&mut room.skiff(&["exec", "box", "sh", "-c", "echo again >/proc/1/fd/1"]));
    reading.join().expect("no panic");
    assert_eq!(code(attach), Some(1));
}

/// Reads on and on until those bytes have come.
fn read_all_until(mut from: impl std::io::Read, mark: &[u8]) {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while !seen.windows(mark.len()).any(|w| w == mark) {
        let keep = seen.len().saturating_sub(mark.len());
        seen.drain(..keep);
        let n = from.read(&mut buffer).expect("it is there");
        assert!(n > 0, "it closed before {}", String::from_utf8_lossy(mark));
        seen.extend_from_slice(&buffer[..n]);
    }
}

#[test]
fn a_terminal_in_the_background_has_the_size_of_whoever_attaches() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&[&["run", "-dit", "--name", "box"], &NONE[..], &["base", "sh", "-c", "while read line; do stty size; done"]].concat()));
    let (attach, mut screen) = on_a_terminal(room.skiff(&["attach", "box"]));
    screen.write_all(b"\n").expect("it listens");
    read_until(&mut screen, "33 77\r\n", SOON);
    screen.write_all(LEAVE).expect("it listens");
    assert_eq!(code(attach), Some(1));
    // Nobody is at it, and it runs on.
    assert_eq!(stdout(&mut room.skiff(&["exec", "box", "echo", "here"])), "here\n");
}

#[test]
fn a_terminal_that_is_closed_ends_a_container_with_rm_and_no_other() {
    require!(UserNamespaces);
    let room = furnished();
    for (name, options) in [("stays", &["-it"][..]), ("goes", &["-it", "--rm"])] {
        let words = [&["run", "--name", name], options, &NONE, &["base", "sh", "-c", "echo ready; exec sleep 600"]].concat();
        let (mut run, mut screen) = on_a_terminal(room.skiff(&words));
        read_until(&mut screen, "ready", SOON);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id().cast_signed()), nix::sys::signal::Signal::SIGHUP).expect("it runs");
        run.wait().expect("our child");
    }
    // Its end is a matter of moments.
    let (_, code, _) = outcome(&mut room.skiff(&["wait", "goes"]));
    assert!(code.is_empty() || code == "137\n", "{code}");
    assert_eq!(stdout(&mut room.skiff(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])), "stays running\n");
}

#[test]
fn a_log_is_kept_of_what_ran_in_the_foreground() {
    require!(UserNamespaces);
    let room = furnished();
    let words = |options: &[&'static str], script: &'static str| [&["run", "--name", "box"], &NONE[..], options, &["base", "sh", "-c", script]].concat();
    let said = (Some(5), "out\n".to_owned(), "err\n".to_owned());
    assert_eq!(outcome(&mut room.skiff(&words(&[], "echo out; echo err >&2; exit 5"))), said);
    assert_eq!(outcome(&mut room.skiff(&["logs", "box"])), (Some(0), said.1.clone(), said.2.clone()));
    stdout(&mut room.skiff(&["rm", "box"]));
    outcome(&mut room.skiff(&words(&["--log-driver", "none"], "echo out")));
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "box"])), "none\n");
    stdout(&mut room.skiff(&["rm", "box"]));
    // With --rm too, for as long as it runs: to a file, and not to a reader who has it anyway.
    let file = File::create(room.path().join("out")).expect("the room is ours");
    let mut run = room.skiff(&words(&["--rm", "-i"], "echo out; read x")).stdin(Stdio::piped()).stdout(file).spawn().expect("it runs");
    let mut follow = room.skiff(&["events", "--since", "0", "--filter", "event=start", "--format", "{{.Action}}"]).stdout(Stdio::piped()).spawn().expect("it runs");
    for _ in 0..3 {
        read_until(follow.stdout.as_mut().expect("piped"), "start\n", SOON);
    }
    let mut log = room.skiff(&["logs", "-f", "box"]).stdout(Stdio::piped()).spawn().expect("it runs");
    read_until(log.stdout.as_mut().expect("piped"), "out\n", SOON);
    drop(run.stdin.take());
    assert_eq!(code(run), Some(1));
    assert_eq!(code(log), Some(0));
    follow.kill().expect("it runs");
    follow.wait().expect("our child");
}

#[test]
fn in_the_foreground_a_policy_is_heeded_and_the_first_end_is_the_answer() {
    require!(UserNamespaces);
    let room = furnished();
    let script = "printf out; echo err >&2; exit 5";
    let said = outcome(&mut room.skiff(&[&["run", "--restart", "on-failure:2", "--name", "box"], &NONE[..], &["base", "sh", "-c", script]].concat()));
    assert_eq!(said, (Some(5), "out".into(), "err\n".into()));
    assert_eq!(stdout(&mut room.skiff(&["wait", "box"])), "5\n");
    assert_eq!(outcome(&mut room.skiff(&["logs", "box"])), (Some(0), "out".repeat(3), "err\n".repeat(3)));
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{.RestartCount}}", "box"])), "2\n");
}

#[test]
fn in_the_foreground_health_is_looked_at_and_input_ends_with_ours() {
    require!(UserNamespaces);
    let room = furnished();
    let words = [&["run", "--rm", "-i", "--name", "box", "--health-cmd", "true", "--health-interval", "100ms"], &NONE[..], &["base", "cat"]].concat();
    let mut run = room.skiff(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut events = room.skiff(&["events", "--since", "0", "--filter", "event=health_status", "--format", "{{.Action}}"]).stdout(Stdio::piped()).spawn().expect("it runs");
    read_until(events.stdout.as_mut().expect("piped"), "health_status: healthy\n", SOON);
    run.stdin.as_mut().expect("piped").write_all(b"no line's end").expect("it listens");
    read_until(run.stdout.as_mut().expect("piped"), "no line's end", SOON);
    drop(run.stdin.take());
    assert_eq!(code(run), Some(0));
    assert_eq!(stdout(&mut room.skiff(&["ps", "-aq"])), "");
    events.kill().expect("it runs");
    events.wait().expect("our child");
}

#[test]
fn without_sig_proxy_a_signal_is_ours_alone_and_keys_that_cannot_be_are_refused() {
    require!(UserNamespaces);
    let room = furnished();
    let words = [&["run", "--sig-proxy=false", "--name", "box"], &NONE[..], &["base", "sh", "-c", "echo ready; exec sleep 600"]].concat();
    let mut run = room.skiff(&words).stdout(Stdio::piped()).spawn().expect("it runs");
    read_until(run.stdout.as_mut().expect("piped"), "ready\n", SOON);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run.id().cast_signed()), nix::sys::signal::Signal::SIGTERM).expect("it runs");
    assert_eq!(code(run), None, "it died of the signal");
    assert_eq!(stdout(&mut room.skiff(&["ps", "--format", "{{.Names}}"])), "box\n");
    let (code, _, err) = outcome(&mut room.skiff(&["attach", "--detach-keys", "ctrl-1", "box"]));
    assert!(code == Some(125) && err.contains("--detach-keys") && err.contains("ctrl-1"), "{code:?} {err}");
}
