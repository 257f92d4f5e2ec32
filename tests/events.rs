//! `skiff events`: what happens is told in Docker's words, once it has happened and while it happens.

#[macro_use]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use support::docker::Docker;
use support::{Room, outcome, read_until, stdout};

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// Seconds since 1970, with a fraction.
fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// What has happened since then, a line each; ids are not shown.
fn told(room: &Room, since: &str, format: &str) -> Vec<String> {
    let text = stdout(&mut room.skiff(&["events", "--since", since, "--until", &now(), "--format", format]));
    text.lines().map(str::to_owned).collect()
}

/// A life that leaves out nothing, typed for either engine.
const LIFE: &[&[&str]] = &[
    &["run", "-d", "--name", "web", "--network", "none", "-l", "team=blue", "base", "sleep", "600"],
    &["exec", "web", "true"],
    &["exec", "web", "sh", "-c", "exit 4"],
    &["rename", "web", "shop"],
    &["pause", "shop"],
    &["unpause", "shop"],
    &["restart", "-t", "0", "shop"],
    &["kill", "-s", "USR1", "shop"],
    &["update", "--pids-limit", "50", "shop"],
    &["stop", "-t", "0", "shop"],
    &["start", "shop"],
    &["kill", "shop"],
    &["rm", "shop"],
    &["create", "--name", "web", "--network", "none", "base", "true"],
    &["rm", "web"],
    &["run", "--rm", "--name", "once", "--network", "none", "base", "sh", "-c", "exit 3"],
    &["run", "-d", "--name", "forced", "--network", "none", "base", "sleep", "600"],
    &["rm", "-f", "forced"],
    &["tag", "base", "other:1"],
    &["rmi", "other:1"],
];

fn live(mut command: impl FnMut() -> Command) {
    for words in LIFE {
        outcome(command().args(*words));
    }
}

#[test]
fn a_whole_life_is_told_in_dockers_words() {
    require!(Root, Docker);
    let room = furnished();
    let docker = Docker::start();
    let format = "{{.Type}} {{.Action}} {{.From}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.oldName}} {{.Actor.Attributes.team}}";
    let since = now();
    live(|| room.skiff(&[]));
    let ours = told(&room, &since, format);
    live(|| docker.client());
    let theirs = stdout(docker.client().args(["events", "--since", &since, "--until", &now(), "--format", format]));
    let comparable = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        // A container without a network is one on its network `none` there; an image's name is its id, which is another.
        lines.filter(|l| !l.starts_with("network ")).map(|l| if l.starts_with("image ") { l.split(" sha256:").next().unwrap_or(l).split(" <").next().unwrap_or(l).to_owned() } else { l.to_owned() }).collect()
    };
    assert_eq!(comparable(&mut ours.iter().map(String::as_str)), comparable(&mut theirs.lines()));
}

#[test]
fn networks_and_volumes_are_told_with_the_containers_that_have_them() {
    require!(Root);
    let room = furnished();
    let since = now();
    for words in [&["network", "create", "red"][..], &["run", "--rm", "--network", "red", "-v", "data:/data:ro", "base", "true"], &["network", "rm", "red"], &["volume", "rm", "data"]] {
        stdout(&mut room.skiff(words));
    }
    let expected = [
        "network create red bridge", "volume create <no value> <no value>", "container create NAME <no value>", "container attach NAME <no value>", "network connect red bridge",
        "volume mount <no value> <no value>", "container start NAME <no value>", "container die NAME <no value>", "network disconnect red bridge", "volume unmount <no value> <no value>",
        "container destroy NAME <no value>", "network destroy red bridge", "volume destroy <no value> <no value>",
    ];
    let lines = told(&room, &since, "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}");
    let unnamed = |line: &String| if line.starts_with("container") { let words: Vec<&str> = line.splitn(4, ' ').collect(); format!("{} {} NAME {}", words[0], words[1], words[3]) } else { line.clone() };
    assert_eq!(lines.iter().map(unnamed).collect::<Vec<_>>(), expected);
    let mounts = told(&room, &since, "{{.Action}} {{.Actor.ID}} {{json .Actor.Attributes.destination}} {{index .Actor.Attributes \"read/write\"}}");
    assert!(mounts.contains(&"mount data \"/data\" false".to_owned()), "{mounts:?}");
}

#[test]
fn what_happens_is_told_while_it_happens_to_everyone_who_asks() {
    require!(UserNamespaces);
    let room = furnished();
    let listen = |words: &[&str]| room.skiff(&[&["events", "--format", "{{.Action}} {{.Actor.Attributes.name}}"], words].concat()).stdout(Stdio::piped()).spawn().expect("it runs");
    // Those that happened before the first that is awaited are there once it is.
    let mut all = listen(&["--since", "0", "-f", "type=container"]);
    let mut deaths = listen(&["--since", "0", "-f", "event=die", "-f", "container=two"]);
    for name in ["one", "two"] {
        outcome(&mut room.skiff(&["run", "--rm", "--name", name, "--network", "none", "base", "true"]));
    }
    let seen = read_until(all.stdout.as_mut().expect("piped"), "destroy two\n", Duration::from_secs(30));
    let expected: String = ["one", "two"].map(|name| ["create", "attach", "start", "die", "destroy"].map(|action| format!("{action} {name}\n")).concat()).concat();
    assert_eq!(seen, expected);
    assert_eq!(read_until(deaths.stdout.as_mut().expect("piped"), "two\n", Duration::from_secs(30)), "die two\n");
    for child in [&mut all, &mut deaths] {
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }
}

#[test]
fn a_time_a_condition_or_a_format_that_cannot_be_is_refused() {
    require!(UserNamespaces);
    let room = furnished();
    for (words, problem) in [
        (&["events", "--since", "yesterday"][..], "error: --since \"yesterday\""),
        (&["events", "--filter", "colour=red"], "error: --filter \"colour=red\""),
        (&["events", "--format", "{{.Colour}}"], "error: the format \"{{.Colour}}\" cannot be filled: there is no field Colour"),
    ] {
        let (code, out, err) = outcome(&mut room.skiff(words));
        assert!(code.is_some_and(|c| c != 0) && out.is_empty() && err.contains(problem.trim_start_matches("error: ").split(' ').next().expect("a word")), "{words:?}: {code:?} {err}");
    }
    // Over already: nothing is waited for, though nothing has ever happened here.
    assert_eq!(stdout(&mut room.skiff(&["events", "--until", "1"])), "");
}
