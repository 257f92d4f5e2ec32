//! `skiff step`: a held process driven in a good order, in wrong ones, and back.

#[macro_use]
mod support;

use support::{Room, stdout};

/// Runs `skiff step WORDS`: whether it went well, what it said on both streams.
fn step(room: &Room, words: &[&str]) -> (bool, String) {
    let output = room.skiff(&[&["step"], words].concat()).output().expect("skiff runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Steps that must all go well.
fn steps(room: &Room, all: &[&[&str]]) {
    for words in all {
        let (well, said) = step(room, words);
        assert!(well, "skiff step {words:?}: {said}");
    }
}

#[test]
fn a_container_made_by_hand_is_one() {
    require!(Root);
    let room = Room::new();
    steps(&room, &[&["new", "box"], &["unshare", "mount", "uts", "pid"], &["private"], &["fork"], &["rootfs"], &["proc"], &["pivot-root"]]);
    let (_, said) = step(&room, &["hostname", "boxy"]);
    assert!(said.contains("+ hostname boxy"), "{said}");
    let (well, said) = step(&room, &["exec", "sh", "-c", "hostname; echo $$; ls /proc | grep -c '^[0-9]'; exit 3"]);
    assert!(!well && said.contains("boxy\n1\n"), "{said}");
    assert_eq!(stdout(&mut room.skiff(&["ps", "-a", "-q"])), "", "nothing is left of it");
}

#[test]
fn a_wrong_order_gets_an_errno_and_the_way_on() {
    require!(Root);
    let room = Room::new();
    steps(&room, &[&["new", "box"]]);
    for (words, errno, way) in [
        (&["hostname", "host-renamed"][..], "EPERM", "skiff step unshare uts"),
        (&["proc"], "EPERM", "skiff step unshare mount"),
        (&["pivot-root"], "EPERM", "skiff step unshare mount"),
    ] {
        let (well, said) = step(&room, words);
        assert!(!well && said.contains(errno) && said.contains(way), "{words:?}: {said}");
    }
    steps(&room, &[&["unshare", "mount", "pid"], &["rootfs"]]);
    let (well, said) = step(&room, &["proc"]);
    assert!(!well && said.contains("first: skiff step fork"), "forgetting fork is explained: {said}");
    steps(&room, &[&["fork"], &["proc"], &["abort"]]);
}

#[test]
fn undo_replays_all_steps_but_the_last_in_a_new_process() {
    require!(Root);
    let room = Room::new();
    steps(&room, &[&["new", "box"], &["unshare", "uts"], &["hostname", "first"], &["hostname", "second"], &["undo"]]);
    let (_, said) = step(&room, &["show"]);
    assert!(said.contains("set the hostname to first") && !said.contains("second"), "{said}");
    assert!(said.contains("hostname first\n"), "{said}");
    steps(&room, &[&["abort"]]);
    let (well, said) = step(&room, &["show"]);
    assert!(!well && said.contains("no process is held"), "{said}");
}
