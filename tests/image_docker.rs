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
    assert_eq!(ids, format!("{made}\n{ours}\n"), "the newest first");
    let seen = stdout(&mut other.skiff(&["run", "--rm", "theirs:1", "sh", "-c", "ls -d /root /etc/motd 2>/dev/null; cat /var/same"]));
    assert_eq!(seen, "changed\n", "what was removed there is not here");
}

/// Docker has no order among the names of one image.
fn lines(text: &str) -> std::collections::BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Runs the same words in both, and compares standard output and exit code.
fn same(room: &Room, docker: &Docker, words: &[&str]) {
    // A second may pass between the two, and both say how many have.
    for last in [false, false, true] {
        let (code, ours, err) = support::outcome(&mut room.skiff(words));
        let (their_code, theirs, their_err) = support::outcome(docker.client().args(words));
        if (code, lines(&ours)) == (their_code, lines(&theirs)) {
            return;
        }
        assert!(!last, "{words:?}\nskiff {code:?}: {ours}{err}\ndocker {their_code:?}: {theirs}{their_err}");
    }
}

#[test]
fn lists_formats_and_documents_are_dockers() {
    require!(Root, Docker, Tool("busybox"));
    let docker = Docker::start();
    let room = Room::new();
    let at = |name: &str| room.path().join(name).display().to_string();
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", "mkdir /srv; echo hello >/srv/index.html"]));
    let changes = ["CMD [\"cat\", \"/srv/index.html\"]", "ENV A=1", "ENV B=two words", "LABEL tier=web", "EXPOSE 80", "WORKDIR /srv", "USER 1000", "VOLUME /data"];
    let mut commit = vec!["commit", "-m", "a page", "-a", "somebody"];
    changes.iter().for_each(|c| commit.extend(["-c", c]));
    commit.extend(["web", "web:1"]);
    stdout(&mut room.skiff(&commit));
    stdout(&mut room.skiff(&["rm", "web"]));
    stdout(&mut room.skiff(&["tag", "web:1", "team/site:latest"]));
    stdout(&mut room.skiff(&["rmi", "base"]));
    stdout(&mut room.skiff(&["save", "-o", &at("web.tar"), "web:1", "team/site"]));
    stdout(docker.client().args(["rmi", "-f", "base"]));
    stdout(docker.client().args(["load", "-i", &at("web.tar")]));

    for words in [
        "images", "images --no-trunc", "images -q", "images -q --no-trunc", "images web", "images web:1", "images nothing", "images -a",
        "images --filter dangling=true", "images --filter label=tier", "images --filter label=tier=web", "images --filter label=tier=db -q",
        "images --filter reference=w*:1 -q", "images --filter reference=*/*", "images --filter before=web:1 -q",
        "images --format {{.Repository}}:{{.Tag}}", "images --format {{.ID}}|{{.CreatedSince}}|{{.Size}}|{{.CreatedAt}}",
        "image ls --no-trunc", "history web:1", "history --no-trunc web:1", "history -q web:1", "history --human=false web:1",
        "history --format {{.CreatedBy}}|{{.Size}}|{{.Comment}} web:1", "history --format {{.CreatedAt}} web:1",
        "inspect -f {{.Id}} web:1", "inspect -f {{.Config.Env}} web:1", "inspect -f {{json.Config.Cmd}} web:1".trim(),
        "image inspect -f {{.RootFS.Layers}} web:1", "inspect -f {{.Config.Labels.tier}} web:1", "inspect -f {{.Size}} web:1",
        "inspect -f {{.Config.Entrypoint}} web:1", "inspect -f {{.Config.WorkingDir}}{{.Config.User}} web:1",
        "inspect -f {{.Architecture}}/{{.Os}}|{{.Author}}|{{.Comment}}|{{.Created}} web:1", "inspect -f {{len.RootFS.Layers}} web:1",
        "inspect --type image -f {{len.RepoTags}} web:1",
    ] {
        let words: Vec<String> = words.replace("json.", "json .").replace("len.", "len .").split(' ').map(str::to_owned).collect();
        // A template may hold a space, and the list above is split at those.
        let words = joined(&words);
        same(&room, &docker, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for words in [
        ["images", "--format", "table {{.ID}}\t{{.Repository}}\t{{.Tag}}"], ["images", "--format", "table {{.Size}}"],
        ["image", "inspect", "nothing"], ["inspect", "nothing", "web:0"], ["rmi", "nothing", "nothing:2"], ["tag", "nothing", "other"],
    ] {
        same(&room, &docker, &words);
    }
    for words in [
        ["inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", "web:1"], ["inspect", "-f", "{{join .Config.Cmd \", \"}}", "web:1"],
        ["inspect", "-f", "{{index .Config.Env 1}}", "web:1"], ["inspect", "-f", "{{upper .Os}} {{title .Os}}", "web:1"],
        ["inspect", "-f", "{{if .Config.Labels}}yes{{else}}no{{end}}", "web:1"], ["inspect", "-f", "{{json .Config.ExposedPorts}}", "web:1"],
        ["inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "web:1"], ["inspect", "-f", "{{index .Config.Labels \"tier\"}}", "web:1"],
        ["inspect", "-f", "{{.Config.Volumes}}{{.Config.ExposedPorts}}", "web:1"], ["inspect", "-f", "{{printf \"%s-%d\" .Os .Size}}", "web:1"],
    ] {
        same(&room, &docker, &words);
    }
    documents_agree(&room, &docker);
    what_is_removed_is_said_alike(&room, &docker);
}

/// Puts what is between `{{` and `}}` together again.
fn joined(words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in words {
        match all.last_mut() {
            Some(last) if last.matches("{{").count() > last.matches("}}").count() => *last = format!("{last} {word}"),
            _ => all.push(word.clone()),
        }
    }
    all
}

/// The whole document, but for what each engine knows alone.
fn documents_agree(room: &Room, docker: &Docker) {
    let read = |text: String| -> serde_json::Value {
        let mut all: serde_json::Value = serde_json::from_str(&text).expect("inspect prints JSON");
        for key in ["RepoDigests", "Parent", "Container", "ContainerConfig", "DockerVersion", "GraphDriver", "Metadata", "VirtualSize"] {
            all[0].as_object_mut().expect("an object").remove(key);
        }
        all[0]["RepoTags"].as_array_mut().expect("a list").sort_by_key(ToString::to_string);
        all
    };
    let ours = stdout(&mut room.skiff(&["image", "inspect", "web:1"]));
    let theirs = stdout(docker.client().args(["image", "inspect", "web:1"]));
    let keys = |text: &str| text.lines().filter(|l| l.starts_with("        \"")).map(|l| l.trim().split('"').nth(1).expect("a key").to_owned()).collect::<Vec<_>>();
    let order: Vec<String> = keys(&theirs).into_iter().filter(|k| keys(&ours).contains(k)).collect();
    assert_eq!(keys(&ours), order, "members stand in Docker's order");
    assert_eq!(read(ours), read(theirs));
}

fn what_is_removed_is_said_alike(room: &Room, docker: &Docker) {
    let id = stdout(&mut room.skiff(&["images", "-q", "web:1"])).trim().to_owned();
    let said = |(code, out, err): (Option<i32>, String, String)| {
        let first = err.lines().next().unwrap_or_default().trim_start_matches("Error response from daemon: ").trim_start_matches("error: ").to_owned();
        (code, out, first)
    };
    let both = |words: &[&str]| {
        assert_eq!(said(support::outcome(&mut room.skiff(words))), said(support::outcome(docker.client().args(words))), "{words:?}");
    };
    both(&["rmi", &id]);
    both(&["rmi", "team/site"]);
    let (_, ours, _) = support::outcome(&mut room.skiff(&["rmi", "web:1"]));
    let (_, theirs, _) = support::outcome(docker.client().args(["rmi", "web:1"]));
    let start = |text: &str| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(start(&ours), start(&theirs));
    assert_eq!(ours.lines().count(), theirs.lines().count(), "a line for each layer: {ours}{theirs}");
}
