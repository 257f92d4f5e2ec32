//! The learner's side, through the binary: the first minute, coming back, wrong names, the quiz
//! from a pipe, and a progress that survives damage, sudo and moving house.

#[macro_use]
mod support;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use support::{Room, outcome, stdout};

fn kept(room: &Room) -> PathBuf {
    room.path().join("drydock/progress.json")
}

/// Files of a folder whose names start so.
fn beginning(room: &Room, with: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(room.path().join("drydock")).expect("drydock's folder");
    let mut all: Vec<PathBuf> = all.flatten().map(|e| e.path()).collect();
    all.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(with)));
    all
}

/// Runs the quiz of the first chapter with these lines as its input.
fn quiz(room: &Room, lines: &str) -> (Option<i32>, String) {
    let mut command = room.drydock(&["quiz", "vm-vs-container"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_first_run_from_a_pipe_welcomes_and_says_what_to_type_next() {
    let room = Room::new();
    let (code, shown, said) = outcome(&mut room.drydock(&[]));
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(shown.starts_with("Drydock: learn Docker by building containers with your own hands.\n"), "{shown}");
    assert!(shown.contains("\n  drydock next   go on\n"), "{shown}");
    assert!(shown.lines().all(|l| l.chars().count() <= 80), "wider than a pipe's 80 columns:\n{shown}");
    assert!(!shown.contains('\x1b'), "a pipe gets no colour: {shown:?}");
}

#[test]
fn coming_back_shows_the_same_place_without_the_welcome() {
    let room = Room::new();
    stdout(&mut room.drydock(&[]));
    let left = stdout(&mut room.drydock(&["next"]));
    assert_eq!(stdout(&mut room.drydock(&[])), left);
    let further = stdout(&mut room.drydock(&["next"]));
    assert_ne!(further, left);
    assert_eq!(stdout(&mut room.drydock(&["back"])), left);
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let room = Room::new();
    let cases: [(&[&str], &str); 4] = [
        (&["start", "namspaces"], "error: there is no chapter \"namspaces\"\n  try: did you mean namespaces? drydock list shows all\n"),
        (
            &["start", "namespaces/hostnam"],
            "error: there is no exercise \"namespaces/hostnam\"\n  try: did you mean namespaces/hostname? drydock list shows all\n",
        ),
        (&["start", "own-prok"], "error: there is no chapter or exercise \"own-prok\"\n  try: did you mean own-proc? drydock list shows all\n"),
        (&["quiz", "namspaces"], "error: there is no chapter \"namspaces\"\n  try: did you mean namespaces? drydock list shows all\n"),
    ];
    for (args, expected) in cases {
        assert_eq!(outcome(&mut room.drydock(args)), (Some(2), String::new(), expected.into()));
    }
    let (code, _, said) = outcome(&mut room.drydock(&["start", "99"]));
    assert_eq!((code, said.starts_with("error: there is no chapter \"99\"\n  try: drydock list shows them: ")), (Some(2), true), "{said}");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(words.join(" ").contains("03-namespaces, 04-cgroups"), "{said}");
    for (args, near) in [(["chekc", "--json"], "'check'"), (["check", "--jsn"], "'--json'")] {
        let (code, _, said) = outcome(&mut room.drydock(&args));
        assert!(code == Some(2) && said.contains(near), "{said}");
    }
}

#[test]
fn check_says_not_yet_with_exit_1_and_2_where_nothing_is_in_hand() {
    let room = Room::new();
    let (code, shown, said) = outcome(&mut room.drydock(&["check"]));
    assert_eq!((code, shown.as_str()), (Some(2), ""));
    assert!(said.starts_with("error: no exercise is in hand\n  why: "), "{said}");
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let (code, shown, said) = outcome(&mut room.drydock(&["check"]));
    assert_eq!((code, said.as_str()), (Some(1), ""));
    let leads: Vec<&str> = shown.lines().map(|l| l.get(..10).unwrap_or(l).trim()).collect();
    assert_eq!(leads, ["not yet: n", "expected", "found", "next", "", "A name of"], "{shown}");
    assert!(shown.ends_with("\nA name of its own: not yet.\n"), "{shown}");
    let (code, shown, _) = outcome(&mut room.drydock(&["check", "--json"]));
    let verdict: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((code, &verdict["exercise"], &verdict["outcome"]), (Some(1), &"namespaces/hostname".into(), &"not-yet".into()));
}

#[test]
fn progress_that_cannot_be_read_is_set_aside_and_said() {
    let newer = r#"{"version": 99, "seed": "x"}"#;
    for (text, reason) in [(newer, "written by a newer drydock"), (r#"{"version": 1, "se"#, "it is damaged")] {
        let room = Room::new();
        stdout(&mut room.drydock(&[]));
        std::fs::write(kept(&room), text).expect("write");
        let (code, _, said) = outcome(&mut room.drydock(&[]));
        assert!(code == Some(0) && said.contains(reason), "{said}");
        let aside = beginning(&room, "progress.2");
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert_eq!(std::fs::read_to_string(&aside[0]).expect("kept"), text);
        assert!(said.contains(&aside[0].display().to_string()), "{said}");
    }
}

#[test]
fn exported_progress_goes_on_elsewhere_and_rubbish_changes_nothing() {
    let (one, other) = (Room::new(), Room::new());
    stdout(&mut one.drydock(&["start", "namespaces/hostname"]));
    let file = one.path().join("mine.json").display().to_string();
    stdout(&mut one.drydock(&["progress", "export", &file]));
    stdout(&mut other.drydock(&["progress", "import", &file]));
    assert_eq!(std::fs::read(kept(&one)).expect("kept"), std::fs::read(kept(&other)).expect("taken over"));
    std::fs::write(&file, "rubbish").expect("write");
    let (code, _, said) = outcome(&mut other.drydock(&["progress", "import", &file]));
    assert!(code == Some(2) && said.contains("is no progress of drydock's"), "{said}");
    assert_eq!(std::fs::read(kept(&one)).expect("kept"), std::fs::read(kept(&other)).expect("untouched"));
}

#[test]
fn the_quiz_reads_a_pipe_explains_a_choice_and_ends_with_its_input() {
    let room = Room::new();
    stdout(&mut room.drydock(&[]));
    let (code, unanswered) = quiz(&room, "");
    assert!(code == Some(0) && unanswered.contains("0 of 0 right."), "{unanswered}");
    let line = unanswered.lines().find(|l| l.ends_with(") the host's, Debian's")).expect("the right choice is shown");
    let right = line.trim().chars().next().expect("a letter");
    let (code, answered) = quiz(&room, &format!("{right}\n"));
    assert!(code == Some(0) && answered.contains("1 of 1 right."), "{answered}");
    let wrong = if right == 'a' { 'b' } else { 'a' };
    let again = Room::new();
    stdout(&mut again.drydock(&[]));
    std::fs::copy(kept(&room), kept(&again)).expect("the same seed");
    let text = std::fs::read_to_string(kept(&again)).expect("kept");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["answers"] = serde_json::json!({});
    std::fs::write(kept(&again), record.to_string()).expect("write");
    let (_, answered) = quiz(&again, &format!("{wrong}\n"));
    assert!(answered.contains("  wrong\n") && answered.contains("0 of 1 right."), "{answered}");
}

#[test]
fn under_sudo_what_is_written_belongs_to_the_learner() {
    require!(Root);
    let room = Room::new();
    stdout(room.drydock(&["start", "why-docker/moving-day"]).env("SUDO_UID", "65534").env("SUDO_GID", "65534"));
    let all = walk(&room.path().join("drydock"));
    assert!(all.iter().any(|p| p.ends_with("progress.json")) && all.iter().any(|p| p.ends_with("office")), "{all:?}");
    for path in all {
        let about = std::fs::symlink_metadata(&path).expect("it is there");
        assert_eq!((about.uid(), about.gid()), (65534, 65534), "{}", path.display());
    }
}

#[test]
fn what_an_exercise_starts_with_is_laid_out_and_a_script_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let (mut built_in, mut from_a_folder) = (Vec::new(), Vec::new());
    for (course, seen) in [(None, &mut built_in), (Some(support::source()), &mut from_a_folder)] {
        let room = Room::new();
        let mut start = room.drydock(&["start", "why-docker/moving-day"]);
        start.envs(course.map(|folder| ("DRYDOCK_COURSE", folder)));
        stdout(&mut start);
        for entry in std::fs::read_dir(room.path().join("drydock/work/why-docker-moving-day")).expect("its folder").flatten() {
            let mode = entry.metadata().expect("it is there").permissions().mode() & 0o111;
            seen.push((entry.file_name().into_string().expect("text"), mode != 0));
        }
        seen.sort();
    }
    assert_eq!(built_in, [("count-crates".into(), true), ("office".into(), true), ("rates.conf".into(), false)]);
    assert_eq!(from_a_folder, built_in);
}

fn walk(top: &std::path::Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_owned()];
    if top.is_dir() {
        all.extend(std::fs::read_dir(top).expect("a folder").flatten().flat_map(|e| walk(&e.path())));
    }
    all
}
