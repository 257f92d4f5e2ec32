//! Files between the host and a container: where they arrive, and that nothing leads them astray.

#[macro_use]
mod support;

use std::path::PathBuf;
use std::process::Stdio;
use support::{Room, outcome, stdout};

/// A container called `box` that runs, with a few files in it.
fn with_a_box() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "base", "sleep", "600"]));
    stdout(&mut room.skiff(&["exec", "box", "sh", "-c", "mkdir -p /d/in; echo one >/d/one; chmod 640 /d/one; ln -s one /d/link; ln -s / /up"]));
    std::fs::create_dir(at(&room, "here")).expect("the room is ours");
    room
}

fn at(room: &Room, name: &str) -> PathBuf {
    room.path().join(name)
}

fn cp(room: &Room, from: &str, to: &str) {
    stdout(room.skiff(&["cp", from, to]).current_dir(at(room, "here")));
}

fn refused(room: &Room, from: &str, to: &str) -> String {
    let (code, out, err) = outcome(room.skiff(&["cp", from, to]).current_dir(at(room, "here")));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    err.lines().next().unwrap_or_default().to_owned()
}

fn exec(room: &Room, line: &str) -> String {
    stdout(&mut room.skiff(&["exec", "box", "sh", "-c", line]))
}

#[test]
fn a_tree_and_a_file_arrive_where_docker_puts_them() {
    require!(UserNamespaces);
    let room = with_a_box();
    let here = |name: &str| at(&room, "here").join(name);
    cp(&room, "box:/d", ".");
    assert_eq!(std::fs::read_to_string(here("d/one")).expect("it arrived"), "one\n");
    assert_eq!(std::fs::read_link(here("d/link")).expect("a link is a link"), PathBuf::from("one"));
    assert!(here("d/in").is_dir());
    cp(&room, "box:/d", "new");
    cp(&room, "box:/d/.", "new/in");
    assert!(here("new/one").is_file() && here("new/in/one").is_file());
    cp(&room, "box:/d/one", "two");
    cp(&room, "two", "box:/d");
    cp(&room, "two", "box:/d/three");
    cp(&room, "new/.", "box:/copy");
    assert_eq!(exec(&room, "cat /d/two /d/three /copy/in/one; stat -c '%a %u:%g' /d/two"), "one\none\none\n640 0:0\n");
    // A path that begins with `.` or `/` is the host's, whatever it has in it.
    std::fs::write(here("a:b"), "colon\n").expect("the room is ours");
    cp(&room, "./a:b", "box:/");
    assert_eq!(exec(&room, "cat /a:b"), "colon\n");
}

#[test]
fn what_cannot_be_copied_is_refused_in_dockers_words() {
    require!(UserNamespaces);
    let room = with_a_box();
    assert_eq!(refused(&room, "box:/none", "."), "error: Could not find the file /none in container box");
    assert_eq!(refused(&room, "none", "box:/"), "error: lstat none: no such file or directory");
    assert_eq!(refused(&room, "box:/d", "box:/e"), "error: copying between containers is not supported");
    assert_eq!(refused(&room, "here", "there"), "error: must specify at least one container source");
    assert_eq!(refused(&room, "-", "box:/d/one"), "error: destination \"box:/d/one\" must be a directory");
    assert_eq!(refused(&room, "box:/d", "no/such"), "error: cannot copy to no/such: no such directory");
    assert_eq!(refused(&room, "crate:/d", "."), "error: no such container: crate");
}

#[test]
fn a_container_that_does_not_run_can_be_copied_from_and_to() {
    require!(UserNamespaces);
    let room = with_a_box();
    stdout(&mut room.skiff(&["stop", "-t", "0", "box"]));
    std::fs::write(at(&room, "here").join("note"), "kept\n").expect("the room is ours");
    cp(&room, "note", "box:/d/note");
    cp(&room, "box:/d/note", "back");
    assert_eq!(std::fs::read_to_string(at(&room, "here").join("back")).expect("it came back"), "kept\n");
    stdout(&mut room.skiff(&["start", "box"]));
    assert_eq!(exec(&room, "cat /d/note"), "kept\n");
    // One that never ran, too.
    stdout(&mut room.skiff(&["create", "--name", "new", "base", "cat", "/note"]));
    cp(&room, "note", "new:/note");
    stdout(&mut room.skiff(&["start", "new"]));
    stdout(&mut room.skiff(&["wait", "new"]));
    assert_eq!(stdout(&mut room.skiff(&["logs", "new"])), "kept\n");
    let mounts = std::fs::read_to_string("/proc/mounts").expect("it can be read");
    assert!(!mounts.contains(&room.path().display().to_string()), "no mount is left on the host");
}

#[test]
fn neither_a_link_nor_dots_lead_a_copy_out_of_the_container() {
    require!(UserNamespaces);
    for stopped in [false, true] {
        let room = with_a_box();
        let outside = at(&room, "outside");
        std::fs::create_dir(&outside).expect("the room is ours");
        std::fs::write(outside.join("secret"), "the host's\n").expect("the room is ours");
        let shown = outside.display();
        exec(&room, &format!("ln -s {shown} /out; ln -s {shown}/secret /file; mkdir -p {shown}; ln -s ../../../../../../.. /dots"));
        if stopped {
            stdout(&mut room.skiff(&["stop", "-t", "0", "box"]));
        }
        refused(&room, "box:/out/secret", ".");
        refused(&room, &format!("box:/dots{shown}/secret"), ".");
        assert!(!outcome(room.skiff(&["cp", "-L", "box:/file", "stolen"]).current_dir(at(&room, "here"))).2.is_empty());
        std::fs::write(at(&room, "here").join("mine"), "").expect("the room is ours");
        cp(&room, "mine", "box:/out/");
        cp(&room, "mine", &format!("box:/../..{shown}/other"));
        let left: Vec<_> = std::fs::read_dir(&outside).expect("it is there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["secret"], "stopped: {stopped}");
        assert!(!at(&room, "here").join("stolen").exists());
    }
}

#[test]
fn a_dash_is_an_archive_on_either_side() {
    require!(UserNamespaces, Tool("tar"));
    let room = with_a_box();
    let packed = room.skiff(&["cp", "box:/d", "-"]).output().expect("it runs");
    assert!(packed.status.success());
    std::fs::write(at(&room, "d.tar"), &packed.stdout).expect("the room is ours");
    let listed = stdout(room.command("tar").arg("tf").arg(at(&room, "d.tar")));
    assert_eq!(listed, "d/\nd/in/\nd/link\nd/one\n");
    let archive = std::fs::File::open(at(&room, "d.tar")).expect("it is there");
    stdout(room.skiff(&["cp", "-", "box:/tmp"]).stdin(Stdio::from(archive)));
    assert_eq!(exec(&room, "cat /tmp/d/one"), "one\n");
}
