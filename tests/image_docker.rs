//! skiff's images in real Docker, and Docker's in skiff: the same ID, the same files, both ways.

#[macro_use]
mod support;

use support::docker::Docker;
use support::{Room, stdout};

#[test]
fn an_image_goes_to_docker_and_comes_back_as_the_same_image() {
    require!(Root, Docker, Tool("busybox"));
    let docker = Docker::start();
    let room = Room::new();
    let at = |name: &str| room.path().join(name).display().to_string();
    let id = |text: String| text.trim().to_owned();

    // A layer with all that a layer can say: a new file, a removed one, a folder that was replaced.
    let change = "echo changed >/etc/motd; rm /etc/group; rm -r /var; mkdir /var; ln /etc/motd /var/same; mkdir -m 1770 /shared";
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", change]));
    let ours = id(stdout(&mut room.skiff(&["commit", "-c", "CMD [\"cat\", \"/etc/motd\"]", "web", "ours:1"])));
    stdout(&mut room.skiff(&["save", "-o", &at("ours.tar"), "ours:1"]));
    let loaded = stdout(docker.client().args(["load", "-i", &at("ours.tar")]));
    assert_eq!(loaded, "Loaded image: ours:1\n");
    let theirs = id(stdout(docker.client().args(["image", "inspect", "-f", "{{.Id}}", "ours:1"])));
    assert_eq!(theirs, ours, "the image ID is the config's digest, here and there");

    // What a container sees of it is the same in both, but for the files that each engine brings itself.
    let look = ["sh", "-c", "cd /; find bin/sh etc root var shared ! -name hosts ! -name hostname ! -name resolv.conf ! -name mtab -exec stat -c '%n %a %F %u %h' {} + | sort"];
    let here = stdout(&mut room.skiff(&[["run", "--rm", "ours:1"].as_slice(), &look].concat()));
    let there = stdout(docker.client().args(["run", "--rm", "--network", "none", "ours:1"]).args(look));
    assert!(here.contains("var/same 644 regular file 0 2") && !here.contains("etc/group") && !here.contains("var/log"), "{here}");
    assert_eq!(here, there);
    assert_eq!(stdout(docker.client().args(["run", "--rm", "--network", "none", "ours:1"])), "changed\n");

    // And back, in Docker's own archive, with a change made there.
    stdout(docker.client().args(["run", "--network", "none", "--name", "theirs", "ours:1", "rm", "-r", "/root", "/etc/motd"]));
    let made = id(stdout(docker.client().args(["commit", "theirs", "theirs:1"])));
    stdout(docker.client().args(["save", "-o", &at("theirs.tar"), "theirs:1", "ours:1"]));
    let other = Room::new();
    let loaded = stdout(&mut other.skiff(&["load", "-i", &at("theirs.tar")]));
    let mut loaded: Vec<&str> = loaded.lines().collect();
    loaded.sort();
    assert_eq!(loaded, ["Loaded image: ours:1", "Loaded image: theirs:1"]);
    let ids = stdout(&mut other.skiff(&["images", "-q", "--no-trunc"]));
    assert_eq!(ids, format!("{ours}\n{made}\n"));
    let seen = stdout(&mut other.skiff(&["run", "--rm", "theirs:1", "sh", "-c", "ls -d /root /etc/motd 2>/dev/null; cat /var/same"]));
    assert_eq!(seen, "changed\n", "what was removed there is not here");
}
