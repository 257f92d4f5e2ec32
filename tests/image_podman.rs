//! skiff's images in Podman, and Podman's in skiff: run, saved and loaded, pushed and pulled, and the
//! digests stay.

#[macro_use]
mod support;

use std::fs;
use std::process::Command;
use support::podman::Podman;
use support::registry::Served;
use support::{Room, stdout};

/// What a container sees, but for the files that each engine brings itself; Podman also writes the
/// user of a container into its /etc/passwd and /etc/group.
const LOOK: &str = "cd /; find bin/sh etc root var shared srv \
    ! -path etc/hosts ! -path etc/hostname ! -path etc/resolv.conf ! -path etc/mtab ! -path etc/passwd ! -path etc/group \
    -exec stat -c '%n %a %F %u %g %h %s %Y' {} + 2>/dev/null | grep -v ' directory .* [0-9]*$' | sort; cat /etc/motd; id -u; id -g; pwd; echo \"$A $B\"";

/// One Dockerfile for both builders; the second stage takes from the first.
const DOCKERFILE: &str = "FROM base AS made\n\
    RUN mkdir -p /made/deep && echo made >/made/deep/file && chmod 640 /made/deep/file && ln -s deep/file /made/link\n\
    FROM base\n\
    ENV A=1 B=\"two words\"\n\
    COPY --from=made --chown=3:4 /made /srv/made\n\
    COPY page.html /srv/\n\
    RUN echo changed >/etc/motd; rm -f /etc/group; rm -rf /var; mkdir /var; ln /etc/motd /var/same; mkdir -m 1777 /shared\n\
    USER 7:8\n\
    WORKDIR /shared\n\
    CMD [\"sh\", \"-c\", \"id -u; pwd; cat /etc/motd; echo \\\"$B\\\"; cat /srv/made/link 2>&1; true\"]\n";

/// What the last line of [`DOCKERFILE`] prints; the file is the group's alone.
const SAID: &str = "7\n/shared\nchanged\ntwo words\ncat: can't open '/srv/made/link': Permission denied\n";

fn context(room: &Room) -> String {
    let at = room.path().join("context");
    fs::create_dir(&at).expect("the room is ours");
    fs::write(at.join("Dockerfile"), DOCKERFILE).expect("the room is ours");
    fs::write(at.join("page.html"), "a page\n").expect("the room is ours");
    at.display().to_string()
}

fn trimmed(command: &mut Command) -> String {
    stdout(command).trim().to_owned()
}

/// The manifest's digest and the config's, as skiff knows them.
fn digests(room: &Room, name: &str) -> (String, String) {
    let all = stdout(&mut room.skiff(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}"]));
    let line = all.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {all}"));
    let (manifest, config) = line.trim().split_once(' ').expect("two words");
    (manifest.to_owned(), config.to_owned())
}

/// The same two, as Podman knows them.
fn podmans(podman: &Podman, name: &str) -> (String, String) {
    let both = trimmed(&mut podman.command(&["image", "inspect", "-f", "{{.Digest}} sha256:{{.Id}}", name]));
    let (manifest, config) = both.split_once(' ').expect("two words");
    (manifest.to_owned(), config.to_owned())
}

#[test]
fn an_image_built_here_runs_the_same_in_podman() {
    require!(Root, Tool("podman"), Tool("crun"), Tool("busybox"));
    let (room, podman) = (Room::new(), Podman::new());
    let at = |name: &str| room.path().join(name).display().to_string();
    stdout(&mut room.skiff(&["build", "-q", "-t", "ours:1", &context(&room)]));
    stdout(&mut room.skiff(&["save", "-o", &at("ours.tar"), "ours:1"]));
    stdout(&mut podman.command(&["load", "-q", "-i", &at("ours.tar")]));
    assert_eq!(podmans(&podman, "ours:1"), digests(&room, "ours:1"));

    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "ours:1"])), SAID);
    assert_eq!(stdout(&mut podman.run(&["ours:1"])), SAID);
    let look = ["ours:1", "sh", "-c", LOOK];
    let here = stdout(&mut room.skiff(&[["run", "--rm"].as_slice(), &look].concat()));
    assert!(here.contains("srv/made/deep/file 640 regular file 3 4 1 5 ") && here.contains("var/same 644 regular file 0 0 2 8 "), "{here}");
    assert_eq!(stdout(&mut podman.run(&look)), here);

    // Straight from our registry, as a second machine would get it.
    let registry = Served::ours(&room, &[]);
    let there = Podman::new();
    let name = format!("{}/ours:1", registry.host);
    stdout(&mut room.skiff(&["tag", "ours:1", &name]));
    stdout(&mut room.skiff(&["push", "-q", &name]));
    stdout(&mut there.command(&["pull", "-q", "--tls-verify=false", &name]));
    assert_eq!(podmans(&there, &name), digests(&room, "ours:1"));
    assert_eq!(stdout(&mut there.run(&[&name])), SAID);
}

#[test]
fn an_image_built_by_podman_runs_the_same_here() {
    require!(Root, Tool("podman"), Tool("crun"), Tool("busybox"));
    let (room, podman) = (Room::new(), Podman::new());
    let at = |name: &str| room.path().join(name).display().to_string();
    stdout(&mut room.skiff(&["save", "-o", &at("base.tar"), "base"]));
    stdout(&mut podman.command(&["load", "-q", "-i", &at("base.tar")]));
    let context = context(&room);
    for kind in ["oci", "docker"] {
        let name = format!("localhost/theirs:{kind}");
        // Its builder, Buildah, with no container of its own around RUN; that has the host's network.
        let built = ["build", "-q", "--isolation", "chroot", "--network", "host", "--format", kind, "-t", &name, &context];
        stdout(&mut podman.command(&built));
        let there = stdout(&mut podman.run(&[&name, "sh", "-c", LOOK]));

        // In an OCI layout the manifest is the image's own, and comes out again as it went in.
        stdout(&mut podman.command(&["save", "-q", "--format", "oci-archive", "-o", &at("oci"), &name]));
        let own = trimmed(room.command("skopeo").args(["inspect", "--format", "{{.Digest}}", &format!("oci-archive:{}", at("oci"))]).env("TMPDIR", room.path()));
        let here = Room::new();
        stdout(&mut here.skiff(&["load", "-q", "-i", &at("oci")]));
        assert_eq!(digests(&here, &name).0, own);
        assert_eq!(stdout(&mut here.skiff(&["run", "--rm", &name])), SAID);
        assert_eq!(stdout(&mut here.skiff(&["run", "--rm", &name, "sh", "-c", LOOK])), there);
        stdout(&mut here.skiff(&["save", "-o", &at("back"), &name]));
        let again = Podman::new();
        stdout(&mut again.command(&["load", "-q", "-i", &at("back")]));
        assert_eq!(podmans(&again, &name), digests(&here, &name));

        // In Docker's archive and through a registry the config is the image: its digest is the ID.
        let registry = Served::ours(&here, &[]);
        let pushed = format!("{}/theirs:{kind}", registry.host);
        stdout(&mut podman.command(&["push", "-q", "--tls-verify=false", &name, &pushed]));
        stdout(&mut podman.command(&["save", "-q", "--format", "docker-archive", "-o", &at("docker"), &name]));
        let other = Room::new();
        stdout(&mut other.skiff(&["load", "-q", "-i", &at("docker")]));
        stdout(&mut other.skiff(&["pull", "-q", &pushed]));
        let id = podmans(&podman, &name).1;
        if kind == "docker" {
            assert_eq!(digests(&other, &name).1, id);
        }
        assert_eq!(digests(&other, &pushed).1, id);
        assert_eq!(stdout(&mut other.skiff(&["run", "--rm", &name, "sh", "-c", LOOK])), there);
        assert_eq!(stdout(&mut other.skiff(&["run", "--rm", &pushed])), SAID);
        fs::remove_file(at("docker")).and_then(|()| fs::remove_file(at("oci"))).expect("the room is ours");
    }
}

#[test]
fn an_image_goes_to_podman_and_comes_back_in_each_of_its_archives() {
    require!(Root, Tool("podman"), Tool("busybox"));
    let (room, podman) = (Room::new(), Podman::new());
    let at = |name: &str| room.path().join(name).display().to_string();
    let change = "echo changed >/etc/motd; rm /etc/group; rm -r /var; mkdir /var; ln /etc/motd /var/same; mkdir -m 1770 /shared";
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", change]));
    let ours = stdout(&mut room.skiff(&["commit", "web", "ours:1"]));
    let layers = stdout(&mut room.skiff(&["image", "inspect", "-f", "{{.RootFS.Layers}}", "ours:1"]));
    stdout(&mut room.skiff(&["save", "-o", &at("ours.tar"), "ours:1"]));
    stdout(&mut podman.command(&["load", "-q", "-i", &at("ours.tar")]));
    assert_eq!(podmans(&podman, "ours:1"), digests(&room, "ours:1"));
    // With its driver vfs an image's tree is a folder, and no mount.
    let tree = trimmed(&mut podman.command(&["image", "mount", "ours:1"]));
    let looked = stdout(Command::new("find").args([".", "-printf", "%p %m %U %n %l\n"]).current_dir(tree));
    assert!(looked.contains("./var/same 644 0 2 \n") && !looked.contains("./etc/group ") && looked.contains("./shared 1770 "), "{looked}");

    for form in ["docker-archive", "oci-archive", "oci-dir"] {
        let file = at(form);
        stdout(&mut podman.command(&["save", "-q", "--format", form, "-o", &file, "ours:1"]));
        let other = Room::new();
        stdout(&mut other.skiff(&["load", "-i", &file]));
        assert_eq!(stdout(&mut other.skiff(&["images", "-q", "--no-trunc"])), ours, "{form}");
        assert_eq!(stdout(&mut other.skiff(&["image", "inspect", "-f", "{{.RootFS.Layers}}", ours.trim()])), layers, "{form}");
    }
    // Its own kind of folder is neither an archive nor a layout.
    stdout(&mut podman.command(&["save", "-q", "--format", "docker-dir", "-o", &at("dir"), "ours:1"]));
    let (code, _, err) = support::outcome(&mut room.skiff(&["load", "-i", &at("dir")]));
    assert_eq!(code, Some(1), "{err}");
}
