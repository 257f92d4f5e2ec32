//! The learner's own shell: what it starts, what a reset leaves of it, and that nothing outlives it.

#[macro_use]
mod support;

use drydock::prove::{Setting, Typist};
use std::os::unix::fs::MetadataExt;
use support::{Room, stdout};

/// `drydock shell` of this room, on a terminal of its own.
fn shell(room: &Room, more: &[(&str, &str)]) -> Typist {
    let mut command = room.drydock(&["shell"]);
    command.env("SHELL", "/bin/bash").env("HOME", room.path()).envs(more.iter().copied());
    for name in ["DRYDOCK_SHELL", "DRYDOCK_EXERCISE", "DRYDOCK_WORK"] {
        command.env_remove(name);
    }
    Typist::start(&mut command, Setting::default()).expect("a shell starts")
}

#[test]
fn a_reset_empties_the_folder_under_the_learners_shell_and_leaves_the_folder() {
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let mut typist = shell(&room, &[]);
    typist.line("mkdir -p deep/down && touch note deep/down/note && ln -s / away").expect("a prompt");
    assert_eq!(typist.line("drydock reset").expect("a prompt"), "A name of its own: at its beginning.\n");
    assert_eq!(typist.line("ls -A").expect("a prompt"), "");
    let work = room.path().join("drydock/work/namespaces-hostname");
    assert_eq!(typist.line("touch after && /bin/pwd -P").expect("a prompt"), format!("{}\n", work.display()));
    assert!(work.join("after").exists(), "the shell stands in the folder that is there");
}

#[test]
fn what_a_reset_cannot_remove_is_said_with_exit_1() {
    require!(Root);
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let mount = room.path().join("drydock/work/namespaces-hostname/mounted");
    std::fs::create_dir(&mount).expect("the room is ours");
    nix::mount::mount(Some("tmpfs"), &mount, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).expect("root may mount");
    let shown = support::outcome(&mut room.drydock(&["reset"]));
    nix::mount::umount2(&mount, nix::mount::MntFlags::MNT_DETACH).expect("it was mounted");
    let expected = format!("left: cannot remove {}: EBUSY\nA name of its own: at its beginning.\n", mount.display());
    assert_eq!(shown, (Some(1), expected, String::new()));
}

#[test]
fn under_sudo_the_shells_start_up_file_is_the_learners() {
    require!(Root);
    let room = Room::new();
    stdout(room.drydock(&["start", "namespaces/hostname"]).env("SUDO_UID", "65534").env("SUDO_GID", "65534"));
    let mut typist = shell(&room, &[("SUDO_UID", "65534"), ("SUDO_GID", "65534")]);
    typist.line("true").expect("a prompt");
    let about = std::fs::metadata(room.path().join("drydock/work/namespaces-hostname/.drydockrc")).expect("it is there");
    assert_eq!((about.uid(), about.gid()), (65534, 65534));
}

/// Processes that descend from this one and whose command line is this.
fn below(pid: i32, command: &str) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<i32> = children.split_whitespace().filter_map(|p| p.parse().ok()).collect();
    let said = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
    children.into_iter().filter(|pid| said(pid).trim_end().ends_with(command)).collect()
}

#[test]
fn a_shell_has_a_witness_that_writes_down_what_happens_and_goes_with_it() {
    require!(Root);
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let record = room.path().join("drydock/witness.jsonl");
    let mut typist = shell(&room, &[]);
    let witness = below(typist.pid(), "drydock shell");
    assert_eq!(witness.len(), 1, "a child of `drydock shell` that is drydock itself");
    let held = drydock::kernel::pidfd::Pidfd::open(witness[0]).expect("it runs");
    assert!(drydock::check::witness::is_kept(&record));
    typist.line("exit").expect_err("the shell is over");
    assert!(support::readable(&held, std::time::Duration::from_secs(10)), "the witness is still there");
    assert!(!drydock::check::witness::is_kept(&record));
}

#[test]
fn a_reset_ends_what_the_learner_started_and_spares_the_shell() {
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let mut typist = shell(&room, &[]);
    typist.line("set +m; sleep 61 & echo $! > pid; disown").expect("a prompt");
    let work = room.path().join("drydock/work/namespaces-hostname");
    let pid: i32 = std::fs::read_to_string(work.join("pid")).expect("it was written").trim().parse().expect("a number");
    let held = drydock::kernel::pidfd::Pidfd::open(pid).expect("it runs");
    let shown = stdout(&mut room.drydock(&["reset"]));
    assert_eq!(shown, format!("removed process {pid}, sleep 61\nA name of its own: at its beginning.\n"));
    assert!(support::readable(&held, std::time::Duration::from_secs(10)), "the process is still there");
    assert_eq!(std::fs::read_dir(&work).expect("the folder").count(), 0);
    assert_eq!(typist.line("echo still here").expect("a prompt"), "still here\n");
}

#[test]
fn a_shell_whose_terminal_closes_ends_also_in_the_middle_of_a_loop() {
    let room = Room::new();
    let mut typist = shell(&room, &[]);
    typist.line("echo $$ > pid").expect("a prompt");
    let pid: i32 = stdout(room.command("sh").args(["-c", "cat drydock/work/*/pid"]).current_dir(room.path())).trim().parse().expect("a number");
    let held = drydock::kernel::pidfd::Pidfd::open(pid).expect("it runs");
    // Most of the time it is not the shell that is in front when the terminal goes.
    typist.last_line("until false; do sleep 0.2; done").expect("it stays");
    drop(typist);
    assert!(support::readable(&held, std::time::Duration::from_secs(10)), "the shell is still there");
}
