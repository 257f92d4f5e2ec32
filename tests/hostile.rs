//! What is in a container means harm, and whoever runs it is root: nothing of the host is reached.

#[macro_use]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;
use support::{Room, outcome, read_until, stdout};

const SOON: Duration = Duration::from_secs(20);

/// A room with `base` in it.
fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// A container called `box` that runs until the room is gone.
fn with_a_box(options: &[&str]) -> Room {
    let room = furnished();
    stdout(&mut room.skiff(&[&["run", "-d", "--name", "box"], options, &["base", "sleep", "600"]].concat()));
    room
}

#[test]
fn a_file_given_as_standard_input_cannot_be_written_nor_a_folder_walked_out_of() {
    require!(UserNamespaces);
    let room = furnished();
    let path = room.path().join("input");
    fs::write(&path, "said\n").expect("the room is ours");
    let script = "read x; echo heard $x; echo owned > /proc/self/fd/0";
    let mut run = room.skiff(&["run", "--rm", "-i", "base", "sh", "-c", script]);
    let (_, out, _) = outcome(run.stdin(File::open(&path).expect("it was written")));
    assert_eq!((out.as_str(), fs::read_to_string(&path).expect("it is there").as_str()), ("heard said\n", "said\n"));
    let mut run = room.skiff(&["run", "--rm", "-i", "base", "ls", "/proc/self/fd/0/"]);
    let (_, out, _) = outcome(run.stdin(File::open(room.path()).expect("a folder")));
    assert_eq!(out, "");
}

#[test]
fn a_file_given_as_output_keeps_its_mode_and_the_order_of_both_streams() {
    require!(UserNamespaces);
    let room = furnished();
    let path = room.path().join("output");
    let both = File::create(&path).expect("the room is ours");
    let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; done; chmod 4755 /proc/self/fd/1 /proc/self/fd/2 2>/dev/null";
    let mut run = room.skiff(&["run", "--rm", "base", "sh", "-c", script]);
    run.stdout(both.try_clone().expect("a descriptor")).stderr(both).status().expect("skiff runs");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
    assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o7000, 0);
}

#[test]
fn the_hosts_null_device_is_not_the_containers_to_close() {
    require!(Root);
    let room = with_a_box(&[]);
    let script = "chmod 640 /proc/self/fd/0; ls -l /dev/null | cut -c1-10; readlink /proc/self/fd/0";
    for words in [&["run", "--rm", "base", "sh", "-c", script][..], &["exec", "box", "sh", "-c", script]] {
        let (_, out, err) = outcome(&mut room.skiff(words));
        let mode = fs::metadata("/dev/null").expect("every host has it").mode();
        fs::set_permissions("/dev/null", fs::Permissions::from_mode(0o666)).expect("we are root");
        assert_eq!((mode & 0o777, out.as_str(), err.as_str()), (0o666, "crw-r-----\n/dev/null\n", ""), "{words:?}");
    }
}

#[test]
fn input_that_nobody_reads_holds_up_neither_output_nor_end() {
    require!(UserNamespaces);
    let room = furnished();
    let path = room.path().join("input");
    fs::write(&path, vec![b'x'; 1 << 20]).expect("the room is ours");
    let output = File::create(room.path().join("output")).expect("the room is ours");
    // It writes more than a pipe holds before it reads anything.
    let mut run = room.skiff(&["run", "--rm", "-i", "base", "sh", "-c", "head -c 1000000 /dev/zero; wc -c >&2"]);
    let mut run = run.stdin(File::open(&path).expect("it was written")).stdout(output).stderr(Stdio::piped()).spawn().expect("skiff runs");
    let mut said = run.stderr.take().expect("it was piped");
    assert_eq!(read_until(&mut said, "\n", SOON), "1048576\n");
    assert!(run.wait().expect("our child").success());
    let mut run = room.skiff(&["run", "--rm", "-i", "base", "true"]);
    assert_eq!(outcome(run.stdin(File::open(&path).expect("it was written"))).0, Some(0));
}

#[test]
fn what_a_person_types_reaches_the_container_and_its_end_too() {
    require!(UserNamespaces);
    let room = furnished();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let mut run = room.skiff(&["run", "--rm", "-i", "base", "sh", "-c", "while read x; do echo [$x]; done; echo end"]);
    let mut run = run.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::piped()).spawn().expect("skiff runs");
    let mut out = run.stdout.take().expect("it was piped");
    let mut ours = ours;
    ours.write_all(b"one\n").expect("it listens");
    assert_eq!(read_until(&mut out, "\n", SOON), "[one]\n");
    drop(ours);
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "end\n");
    assert!(run.wait().expect("our child").success());
}

/// Puts something else in the place of /etc/passwd of the container `box`.
fn exchange_passwd(room: &Room, script: &str) {
    stdout(&mut room.skiff(&["exec", "box", "sh", "-c", &format!("rm -f /etc/passwd; {script}")]));
}

#[test]
fn a_password_file_that_is_a_pipe_or_a_device_is_never_opened() {
    require!(Root);
    let room = with_a_box(&[]);
    for other in ["mkfifo /etc/passwd", "mknod /etc/passwd c 5 0", "ln -s /proc/1/root/etc/passwd /etc/passwd"] {
        exchange_passwd(&room, other);
        let mut run = room.skiff(&["exec", "-u", "12", "box", "stat", "-c", "%u", "/proc/self/"]);
        let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("skiff runs");
        let answers = support::readable(run.stdout.as_ref().expect("it was piped"), SOON);
        let _ = run.kill();
        let said = run.wait_with_output().expect("our child").stdout;
        assert!(answers && said == b"12\n", "{other}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn the_primary_group_is_among_the_others_so_that_no_program_sheds_it() {
    require!(Root);
    let room = with_a_box(&["-u", "5:6"]);
    let groups = "grep ^Groups: /proc/self/status";
    assert_eq!(stdout(&mut room.skiff(&["exec", "box", "sh", "-c", groups])).split_whitespace().collect::<Vec<_>>(), ["Groups:", "6"]);
    assert_eq!(stdout(&mut room.skiff(&["exec", "-u", "5:7", "box", "sh", "-c", groups])).split_whitespace().collect::<Vec<_>>(), ["Groups:", "7"]);
}

#[test]
fn a_working_directory_that_is_not_there_is_not_made_in_a_container_that_runs() {
    require!(UserNamespaces);
    let room = with_a_box(&[]);
    let (code, _, err) = outcome(&mut room.skiff(&["exec", "-w", "/not/there", "box", "pwd"]));
    assert!(code != Some(0) && err.starts_with("error: cannot enter /not/there: ENOENT\n"), "{err}");
    assert_eq!(outcome(&mut room.skiff(&["exec", "box", "ls", "/not"])).0, Some(1));
}

#[test]
fn set_user_id_programs_of_images_are_no_other_users_to_run() {
    require!(UserNamespaces);
    let room = furnished();
    stdout(&mut room.skiff(&["run", "--rm", "base", "true"]));
    assert_eq!(fs::metadata(room.skiff_root().join("layers")).expect("it is there").mode() & 0o077, 0);
}

#[test]
fn a_folder_that_is_exchanged_for_a_link_while_it_is_committed_gives_nothing_of_the_host() {
    use nix::fcntl::{RenameFlags, renameat2};
    require!(Root);
    let room = with_a_box(&[]);
    let outside = room.path().join("outside");
    fs::create_dir(&outside).expect("the room is ours");
    fs::write(outside.join("secret"), "the host's").expect("the room is ours");
    let id = fs::read_link(room.skiff_root().join("names/box")).expect("it runs");
    // What root in the container does to its own files, without its overlay in between.
    let upper = room.skiff_root().join("names").join(id).join("upper");
    let (folder, link) = (upper.join("folder"), upper.join("link"));
    fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::symlink(&outside, &link).expect("a link");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                renameat2(nix::fcntl::AT_FDCWD, &folder, nix::fcntl::AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).expect("both are there");
            }
        });
        let read: Vec<u32> = (0..25).filter(|n| outcome(&mut room.skiff(&["commit", "box", &format!("taken:{n}")])).0 == Some(0)).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for n in read {
            let (_, found, _) = outcome(&mut room.skiff(&["run", "--rm", &format!("taken:{n}"), "ls", "/folder/", "/link/"]));
            assert!(!found.contains("secret"), "commit {n} read the host's files: {found}");
        }
    });
}

#[test]
fn the_program_that_started_a_container_is_not_the_containers_to_change() {
    require!(Root);
    let room = with_a_box(&[]);
    let skiff = support::binary("skiff");
    let mode = || fs::metadata(&skiff).expect("it was built").mode() & 0o7777;
    let before = mode();
    // The container's command is the program that started it, and a child of that looks at it.
    let attempt = "chmod 4755 /proc/$PPID/exe 2>&1; exec 3</proc/$PPID/exe; chmod 4755 /proc/self/fd/3 2>&1";
    for words in [&["run", "--rm", "-v", "/tmp:/shared", "--entrypoint", "/proc/self/exe", "base"][..], &["exec", "box", "/proc/self/exe"]] {
        let (_, out, err) = outcome(&mut room.skiff(&[words, &["init", "sh", "-c", attempt]].concat()));
        let after = mode();
        fs::set_permissions(&skiff, fs::Permissions::from_mode(before)).expect("it is ours");
        assert_eq!((after, out.matches("Read-only file system").count()), (before, 2), "{words:?}: {out}{err}");
    }
}

#[test]
fn a_command_that_leads_to_the_program_that_starts_it_is_refused() {
    require!(Root);
    let room = with_a_box(&[]);
    let make = "printf '#!/proc/self/exe init\\n' >/script; printf '#! /script x\\n' >/second; ln -s /proc/self/exe /link; chmod +x /script /second;
        cp /script /blind; chmod 111 /blind; mkdir /x; cp \"$(readlink -f /bin/true)\" /x/true; chmod 111 /x/true";
    stdout(&mut room.skiff(&["exec", "box", "sh", "-c", make]));
    stdout(&mut room.skiff(&["commit", "box", "trap"]));
    for command in ["/proc/self/exe", "/script", "/second", "/link"] {
        let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "trap", command, "sh", "-c", "echo got in"]));
        let expected = format!("error: cannot run {command}: EPERM\n  why: it leads to the program of skiff itself");
        assert!(code == Some(126) && out.is_empty() && err.starts_with(&expected), "{command}: {code:?} {out}{err}");
    }
    // Without the right to read it, root inside could hide where a script leads.
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "--cap-drop", "ALL", "trap", "/blind", "sh", "-c", "echo got in"]));
    assert!(code == Some(126) && out.is_empty() && err.starts_with("error: cannot run /blind: EACCES"), "{code:?} {out}{err}");
    // Nobody else gains by it, and a program that may only be executed stays one.
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "-u", "1000", "trap", "/x/true"]));
    assert_eq!(code, Some(0), "{out}{err}");
}
