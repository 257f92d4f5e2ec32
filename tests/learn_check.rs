//! An exercise from its first check to its last: the kernel's word, hints, solutions, watching; and
//! what the doctor says of a machine that lacks something.

#[macro_use]
mod support;

use std::process::{Child, Stdio};
use std::time::Duration;
use support::{Room, outcome, read_until, stdout};

const SOON: Duration = Duration::from_secs(20);

/// A child that is ended, whatever becomes of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A learner at the exercise, and the hostname that was drawn for them.
fn at_the_hostname() -> (Room, String) {
    let room = Room::new();
    let start = stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let name = start.split('`').nth(1).expect("the goal names the hostname").to_owned();
    (room, name)
}

/// A process in a UTS namespace of its own that has this name; it is there when this returns.
fn named(room: &Room, name: &str) -> Ended {
    let script = format!("hostname {name}; echo ready; exec sleep 60");
    let mut command = room.command("unshare");
    let child = command.args(["--user", "--map-root-user", "--uts", "sh", "-c", &script]).stdout(Stdio::piped()).spawn();
    let mut child = Ended(child.expect("unshare runs"));
    read_until(child.0.stdout.as_mut().expect("a pipe"), "ready\n", SOON);
    child
}

fn verdict(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn check_goes_from_not_yet_to_passed_by_what_the_kernel_shows_and_back() {
    require!(UserNamespaces, Tool("unshare"));
    let (room, name) = at_the_hostname();
    assert_eq!(outcome(&mut room.drydock(&["check"])).0, Some(1));
    let child = named(&room, &name);
    let pid = child.0.id();
    let uts = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/uts")).expect("a namespace").display().to_string();
    let (code, shown, said) = outcome(&mut room.drydock(&["check"]));
    assert_eq!((code, said.as_str()), (Some(0), ""), "{shown}");
    let evidence = format!(
        "passed: a process that sees the hostname {name}\n  found     process {pid}, `sleep 60`, in /proc/{pid}\npassed: its own uts namespace\n  found     {}, {} beside it, in /proc/{pid}/ns/uts\n\nA name of its own: passed.\n\n",
        uts(&pid.to_string()),
        uts("self")
    );
    assert!(shown.starts_with(&evidence), "{shown}");
    assert!(stdout(&mut room.drydock(&["list"])).contains("    passed  namespaces/hostname\n"));
    drop(child);
    assert_eq!(outcome(&mut room.drydock(&["check"])).0, Some(1), "what has gone does not count");
}

#[test]
fn the_verdict_as_json_has_the_same_facts_in_named_fields() {
    require!(UserNamespaces, Tool("unshare"));
    let (room, name) = at_the_hostname();
    let (code, shown, _) = outcome(&mut room.drydock(&["check", "--json"]));
    let none = format!("no process on this machine sees the hostname {name}: a name counts while a process is there to see it");
    let wanted = format!("a process that sees the hostname {name}");
    let expected = serde_json::json!({"exercise": "namespaces/hostname", "outcome": "not-yet", "evidence": [{
        "check": "named", "outcome": "not-yet", "expected": wanted, "found": "none", "at": "/proc, processes started since the exercise began", "meaning": none, "next": null
    }]});
    assert_eq!((code, verdict(&shown)), (Some(1), expected));
    let _child = named(&room, &name);
    let (code, shown, _) = outcome(&mut room.drydock(&["check", "--json"]));
    let passed = verdict(&shown);
    assert_eq!((code, &passed["outcome"], passed["evidence"].as_array().map(Vec::len)), (Some(0), &"passed".into(), Some(2)), "{shown}");
    assert_eq!(shown.lines().count(), 1, "one line, nothing beside it: {shown}");
}

#[test]
fn watch_prints_a_new_verdict_when_the_kernels_state_changes_and_ends_when_it_is_passed() {
    require!(UserNamespaces, Tool("unshare"));
    let (room, name) = at_the_hostname();
    let mut watch = Ended(room.drydock(&["watch", "--json"]).stdout(Stdio::piped()).spawn().expect("drydock runs"));
    let mut out = watch.0.stdout.take().expect("a pipe");
    let first = read_until(&mut out, "\n", SOON);
    assert_eq!(verdict(&first)["outcome"], "not-yet");
    let _child = named(&room, &name);
    // Between the two it may have seen a name without a namespace, or the like.
    let last = read_until(&mut out, "\"outcome\":\"passed\",\"evidence\"", SOON);
    assert!(last.starts_with('{'), "{last}");
    drop(out);
    assert_eq!(watch.0.wait().expect("ours").code(), Some(0));
    assert!(stdout(&mut room.drydock(&["list"])).contains("    passed  namespaces/hostname\n"));
}

#[test]
fn hints_come_one_after_another_and_after_the_last_the_way_to_the_solution() {
    let (room, _) = at_the_hostname();
    let heads = |text: &str| text.lines().filter(|l| l.starts_with("hint ")).map(str::to_owned).collect::<Vec<_>>();
    let all = ["hint 1 of 3", "hint 2 of 3", "hint 3 of 3"];
    for shown in [1, 2, 3, 3] {
        let text = stdout(&mut room.drydock(&["hint"]));
        assert_eq!(heads(&text), all[..shown]);
        let next = if shown < 3 { "\n  drydock hint  one more\n" } else { "\n  drydock solution  see how it can be done\n" };
        assert!(text.ends_with(next), "{text}");
    }
    let none = Room::new();
    assert_eq!(outcome(&mut none.drydock(&["hint"])).0, Some(2), "without an exercise there is no hint");
}

#[test]
fn the_solution_shows_every_way_with_this_learners_own_name() {
    let (room, name) = at_the_hostname();
    let text = stdout(&mut room.drydock(&["solution"]));
    let ways: Vec<&str> = text.lines().filter(|l| l.starts_with("with ")).collect();
    assert_eq!(ways, ["with unshare", "with unshare-rootless", "with skiff", "with docker"]);
    assert!(text.contains(&format!("with unshare-rootless\n  $ unshare --user --map-root-user --uts sh\n  $ hostname {name}\n\n")), "{text}");
    assert!(text.ends_with("\n  drydock check  once you have typed one\n  drydock reset  begin again\n"), "{text}");
}

#[test]
fn the_doctor_says_what_is_missing_with_the_cause_and_the_fix_and_exit_1() {
    let room = Room::new();
    let trials = verdict(&outcome(&mut room.drydock(&["doctor", "--json"])).1);
    let failing = |trials: &serde_json::Value| trials.as_array().expect("a list").iter().filter(|t| t["works"] == false).map(|t| t["name"].to_string()).collect::<Vec<_>>();
    let (code, shown, _) = outcome(&mut room.drydock(&["doctor"]));
    let works = failing(&trials).is_empty();
    assert_eq!((code, shown.starts_with("This machine can do everything that the course needs.\nWhy Docker?: all of it can be done here.\n")), (Some(i32::from(!works)), works), "{shown}");
    let empty = room.path().join("empty");
    std::fs::create_dir(&empty).expect("the room is ours");
    let (code, shown, _) = outcome(room.drydock(&["doctor"]).env("PATH", &empty));
    let unshare = "does not work: find a program that lessons use (not found)\n  why  unshare is not on your PATH\n  fix  sudo apt-get install util-linux  (or your distribution's package with\n       unshare in it)\n";
    assert!(code == Some(1) && shown.contains(unshare), "{shown}");
    let (code, shown, _) = outcome(room.drydock(&["doctor", "--json"]).env("PATH", &empty));
    assert_eq!(code, Some(1));
    assert!(failing(&verdict(&shown)).contains(&"\"unshare\"".to_owned()), "{shown}");
}

#[test]
fn next_and_back_walk_the_same_pages_and_stop_at_the_beginning() {
    let room = Room::new();
    let mut pages = vec![stdout(&mut room.drydock(&["start", "why-docker"]))];
    let count: usize = pages[0].split_once(" of ").and_then(|(_, rest)| rest.lines().next()?.parse().ok()).expect("the first page counts them");
    for _ in 0..=count {
        pages.push(stdout(&mut room.drydock(&["next"])));
    }
    let last = pages.pop().expect("pages");
    assert!(last.starts_with("VM or container · 0 of "), "the next chapter comes after the last page: {last}");
    stdout(&mut room.drydock(&["back"]));
    for page in pages.iter().rev().skip(1) {
        assert_eq!(stdout(&mut room.drydock(&["back"])), *page);
    }
    assert_eq!(stdout(&mut room.drydock(&["back"])), format!("This is the beginning.\n\n{}", pages[0]));
    assert_ne!(last, pages[0]);
}
