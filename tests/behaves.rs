//! skiff answers as Docker does where a script or a person would notice.

#[macro_use]
mod support;

use drydock::kernel::pty;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;
use support::{Room, outcome, stdout};

/// A room with `base` in it.
fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// A container called `box`.
fn with_a_box(options: &[&str], command: &[&str]) -> Room {
    let room = furnished();
    stdout(&mut room.skiff(&[&["run", "-d", "--name", "box"], options, &["base"], command].concat()));
    room
}

fn exec(room: &Room, words: &[&str]) -> String {
    stdout(&mut room.skiff(&[&["exec"], words].concat()))
}

/// Runs a command on a terminal of its own: what it wrote.
fn on_a_terminal(mut command: Command) -> String {
    let (master, slave) = pty::pair().expect("a pseudo-terminal");
    let end = || slave.try_clone().expect("a descriptor");
    command.stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().expect("it runs");
    drop((command, slave));
    let said = rest(master);
    child.wait().expect("our child");
    said
}

fn rest(master: OwnedFd) -> String {
    let (mut master, mut text) = (std::fs::File::from(master), Vec::new());
    let _ = master.read_to_end(&mut text); // EIO is its end.
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_terminal_can_be_had_in_a_container_again_and_again() {
    require!(UserNamespaces);
    let room = with_a_box(&[], &["sleep", "600"]);
    let before = exec(&room, &["box", "cat", "/proc/mounts"]);
    for _ in 0..3 {
        assert_eq!(on_a_terminal(room.skiff(&["exec", "-it", "box", "sh", "-c", "tty; exit 3"])), "/dev/pts/0\r\n");
    }
    assert_eq!(exec(&room, &["box", "cat", "/proc/mounts"]), before, "exec mounts nothing");
}

#[test]
fn a_real_time_signal_is_passed_on_and_can_be_died_of() {
    require!(UserNamespaces);
    let room = with_a_box(&["--init"], &["sh", "-c", "trap 'echo heard; exit 5' RTMIN; echo ready; while :; do sleep 0.01; done"]);
    assert_eq!(outcome(&mut room.skiff(&["exec", "box", "sh", "-c", "kill -34 $$"])).0, Some(128 + 34));
    assert_eq!(outcome(&mut room.skiff(&["run", "--rm", "--init", "base", "sh", "-c", "kill -34 $$"])).0, Some(128 + 34));
    stdout(&mut room.skiff(&["kill", "-s", "34", "box"]));
    assert_eq!(stdout(&mut room.skiff(&["wait", "box"])), format!("{}\n", 128 + 34));
}

#[test]
fn an_init_that_is_only_just_there_hears_a_signal_already() {
    require!(UserNamespaces);
    let room = furnished();
    for _ in 0..3 {
        stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--init", "base", "sleep", "600"]));
        stdout(&mut room.skiff(&["kill", "-s", "TERM", "box"]));
        stdout(&mut room.skiff(&["stop", "-t", "60", "box"]));
        let at = |template: &str| stdout(&mut room.skiff(&["inspect", "-f", template, "box"]));
        assert_eq!(at("{{.State.ExitCode}}"), "143\n");
        stdout(&mut room.skiff(&["rm", "box"]));
    }
}

#[test]
fn an_init_whose_command_is_not_there_says_so() {
    require!(UserNamespaces);
    let room = furnished();
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "--init", "base", "no-such"]));
    assert_eq!((code, err.as_str()), (Some(127), "error: cannot run no-such: ENOENT\n"));
}

#[test]
fn neither_the_umask_nor_the_ignored_signals_of_the_caller_reach_the_container() {
    require!(Root);
    let room = furnished();
    let caller = |command: &str| format!("trap '' INT QUIT HUP RTMIN; umask 077; exec skiff run --rm -u 65534 base {command}");
    let said = |command: &str| stdout(room.command("bash").args(["-c", &caller(command)]));
    assert_eq!(said("sh -c 'umask; cat /etc/hosts >/dev/null && ls -d /'"), "0022\n/\n");
    // Not by way of a shell, which has opinions of its own.
    assert_eq!(said("grep SigIgn /proc/self/status"), "SigIgn:\t0000000000000000\n");
}

#[test]
fn exec_takes_values_from_the_caller_and_home_from_the_user() {
    require!(Root);
    let room = with_a_box(&[], &["sleep", "600"]);
    let (_, out, _) = outcome(room.skiff(&["exec", "-u", "user", "-e", "GIVEN", "-e", "ABSENT_HERE", "box", "env"]).env("GIVEN", "seven"));
    let has = |line: &str| out.lines().any(|l| l == line);
    assert!(has("GIVEN=seven") && has("HOME=/home") && !out.contains("ABSENT_HERE"), "{out}");
    assert!(exec(&room, &["-e", "HOME=/mine", "-u", "user", "box", "env"]).contains("HOME=/mine\n"));
}

#[test]
fn a_privileged_exec_has_every_capability_that_skiff_has() {
    require!(Root);
    let room = with_a_box(&[], &["sleep", "600"]);
    let capabilities = |options: &[&str]| exec(&room, &[options, &["box", "grep", "CapBnd", "/proc/self/status"]].concat());
    let own = std::fs::read_to_string("/proc/self/status").expect("it can be read");
    let own = own.lines().find(|l| l.starts_with("CapBnd")).expect("a line");
    assert_eq!(capabilities(&["--privileged"]).trim(), own);
    assert_eq!(capabilities(&[]).trim(), "CapBnd:\t00000000a80425fb");
}

/// Waits until process `pid` waits for a file's lock, which /proc/locks shows, or ends.
fn waits_for_a_lock(child: &mut std::process::Child) {
    let mark = format!(" {} ", child.id());
    let waits = || std::fs::read_to_string("/proc/locks").unwrap_or_default().lines().any(|l| l.contains("->") && l.contains(&mark));
    while !waits() && child.try_wait().expect("our child").is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn who_waits_for_a_container_that_is_removed_at_its_end_hears_its_exit_code() {
    require!(UserNamespaces);
    let room = with_a_box(&["--rm"], &["sh", "-c", "mkfifo /go; read x </go; exit 7"]);
    let mut wait = room.skiff(&["wait", "box"]).stdout(std::process::Stdio::piped()).spawn().expect("skiff runs");
    waits_for_a_lock(&mut wait);
    // It may die with the container before it has ended by itself: its own exit code says nothing.
    outcome(&mut room.skiff(&["exec", "box", "sh", "-c", "while [ ! -p /go ]; do :; done; echo >/go"]));
    assert_eq!(wait.wait_with_output().expect("our child").stdout, b"7\n");
}

#[test]
fn standard_input_in_the_background_stays_open_if_it_was_asked_for() {
    require!(UserNamespaces);
    let room = with_a_box(&["-i"], &["sh", "-c", "readlink /proc/self/fd/0 >/input; read x; exit 9"]);
    assert!(exec(&room, &["box", "sh", "-c", "while [ ! -s /input ]; do :; done; cat /input"]).starts_with("pipe:"));
    assert_eq!(outcome(&mut room.skiff(&["kill", "box"])).0, Some(0), "it still runs");
}

#[test]
fn what_is_mounted_inside_another_mount_lies_on_top_of_it_in_any_order() {
    require!(UserNamespaces);
    let room = furnished();
    let (outer, inner) = (room.path().join("outer"), room.path().join("inner"));
    let volumes = [format!("{}:/etc/in", inner.display()), format!("{}:/etc", outer.display())];
    for folder in [&outer, &inner] {
        std::fs::create_dir(folder).expect("the room is ours");
    }
    std::fs::write(inner.join("file"), "").expect("the room is ours");
    let words = ["run", "--rm", "-v", &volumes[0], "-v", &volumes[1], "base", "sh", "-c", "ls /etc/in; grep -c localhost /etc/hosts"];
    assert_eq!(stdout(&mut room.skiff(&words)), "file\n2\n");
}

#[test]
fn a_mount_takes_all_of_its_options_and_a_volume_that_is_missing_is_made() {
    require!(UserNamespaces);
    let room = furnished();
    let options = "type=tmpfs,target=/t,tmpfs-size=1048576,tmpfs-mode=700";
    let said = stdout(&mut room.skiff(&["run", "--rm", "--mount", options, "base", "grep", " /t ", "/proc/mounts"]));
    assert!(said.contains("size=1024k") && said.contains("mode=700"), "{said}");
    let missing = room.path().join("a/b");
    let volume = |kind: &str| format!("{kind}{}", missing.display());
    let mount = volume("type=bind,target=/x,source=");
    assert_eq!(outcome(&mut room.skiff(&["run", "--rm", "--mount", &mount, "base", "true"])).0, Some(125));
    assert_eq!(outcome(&mut room.skiff(&["run", "--rm", "-v", &format!("{}:/x", missing.display()), "base", "touch", "/x/made"])).0, Some(0));
    assert!(missing.join("made").exists());
}

#[test]
fn a_command_that_kills_itself_at_once_has_run() {
    require!(UserNamespaces);
    let room = with_a_box(&[], &["sleep", "600"]);
    for _ in 0..20 {
        let (code, _, err) = outcome(&mut room.skiff(&["exec", "box", "sh", "-c", "kill -9 $$"]));
        assert_eq!((code, err.as_str()), (Some(137), ""));
    }
}

#[test]
fn an_image_of_more_layers_than_a_page_of_mount_options_holds_can_be_run() {
    require!(Root);
    let room = with_a_box(&[], &["sleep", "600"]);
    stdout(&mut room.skiff(&["commit", "box", "tall"]));
    // Each a layer of its own, as a Dockerfile's steps would be.
    for number in 0..60 {
        stdout(&mut room.skiff(&["rm", "-f", "next"]));
        stdout(&mut room.skiff(&["run", "--name", "next", "tall", "touch", &format!("/file{number}")]));
        stdout(&mut room.skiff(&["commit", "next", "tall"]));
    }
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "tall", "sh", "-c", "touch /written; ls / | grep -c ^file"])), "60\n");
}

#[test]
fn a_limit_of_few_open_files_leaves_room_to_start() {
    require!(UserNamespaces);
    let room = furnished();
    let words = ["run", "--rm", "--ulimit", "nofile=6:8", "base", "sh", "-c", "ulimit -n; readlink /proc/self/fd/0; cat"];
    assert_eq!(stdout(&mut room.skiff(&words)), "6\n/dev/null\n");
}

#[test]
fn a_paused_container_stands_still_until_it_is_let_go_on_or_killed() {
    require!(Root);
    let room = with_a_box(&[], &["sh", "-c", "while :; do :; done"]);
    let pid: i32 = stdout(&mut room.skiff(&["inspect", "-f", "{{.State.Pid}}", "box"])).trim().parse().expect("a pid");
    let spent = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let fields: Vec<String> = stat.rsplit_once(") ").expect("stat").1.split(' ').map(String::from).collect();
        fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks")
    };
    assert_eq!(stdout(&mut room.skiff(&["pause", "box"])), "box\n");
    let before = spent();
    // A clock's tick is a hundredth of a second: a busy loop would spend thirty.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(spent(), before);
    assert_eq!(stdout(&mut room.skiff(&["ps", "--format", "{{.State}}"])), "paused\n");
    for (words, expected) in [
        (&["pause", "box"][..], "error: container box is paused\n"),
        (&["exec", "box", "true"], "error: container box is paused\n"),
    ] {
        let (code, out, err) = outcome(&mut room.skiff(words));
        assert!(code == Some(1) && out.is_empty() && err.starts_with(expected), "{words:?}: {code:?} {out}{err}");
    }
    assert_eq!(stdout(&mut room.skiff(&["unpause", "box"])), "box\n");
    assert_eq!(outcome(&mut room.skiff(&["unpause", "box"])).2, "error: container box is not paused\n");
    // A frozen process cannot die: kill lets it.
    stdout(&mut room.skiff(&["pause", "box"]));
    stdout(&mut room.skiff(&["kill", "box"]));
    assert_eq!(stdout(&mut room.skiff(&["wait", "box"])), "137\n");
}

#[test]
fn a_followed_log_goes_on_until_the_container_ends() {
    require!(UserNamespaces);
    let room = with_a_box(&[], &["sh", "-c", "echo first; while [ ! -e /go ]; do sleep 0.01; done; echo last; printf unended"]);
    let mut follow = room.skiff(&["logs", "-f", "box"]).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut said = follow.stdout.take().expect("piped");
    support::read_until(&mut said, "first", std::time::Duration::from_secs(10));
    exec(&room, &["box", "touch", "/go"]);
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("a log");
    assert_eq!(rest.trim_start(), "last\nunended");
    assert!(follow.wait().expect("our child").success());
    assert_eq!(stdout(&mut room.skiff(&["logs", "box"])), "first\nlast\nunended");
}

#[test]
fn what_follows_the_image_is_the_commands_options_and_all() {
    require!(UserNamespaces);
    let room = furnished();
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "--entrypoint", "echo", "base", "--rm", "-d"])), "--rm -d\n");
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "base"]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""), "the image's own command");
}
