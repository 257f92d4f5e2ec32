//! The quiz: each wrong choice has its own explanation, predictions are tried out and leave nothing,
//! and what this machine cannot answer is left out with the reason.

#[macro_use]
mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use support::Room;

/// Runs a quiz with these lines as its input; gives what it showed, wrapped lines joined.
fn quiz(command: &mut Command, lines: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let mut input = child.stdin.take().expect("a pipe");
    // It may end before it has read all.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The letter before this choice.
fn letter(shown: &str, choice: &str) -> char {
    let line = shown.lines().find(|l| l.get(3..).is_some_and(|l| l.starts_with(&format!(") {choice}")))).unwrap_or_else(|| panic!("no {choice} in\n{shown}"));
    line.trim().chars().next().expect("a letter")
}

#[test]
fn a_wrong_choice_is_answered_with_its_own_explanation() {
    for (choice, said) in [
        ("Ubuntu's, which", "  Ubuntu's, which is in the image: Images have no kernel to boot, and nothing in a\n  container would boot it.\n"),
        ("a small one", "  a small one that the engine brings: The engine asks the host's kernel for\n  namespaces and gets out of the way.\n"),
        ("both: Ubuntu's", "  both: Ubuntu's first, then Debian's: That is a virtual machine: a guest kernel on\n  a host kernel.\n"),
    ] {
        let room = Room::new();
        let shown = quiz(&mut room.drydock(&["quiz", "vm-vs-container"]), "");
        let answered = quiz(&mut room.drydock(&["quiz", "vm-vs-container"]), &format!("{}\n", letter(&shown, choice)));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&answered).contains(&words(&format!("letter > wrong {said} `boot_id` is"))), "{answered}");
        assert!(answered.contains("\n0 of 1 right.\n"), "{answered}");
    }
}

#[test]
fn through_a_pipe_every_prompt_is_a_line_of_its_own() {
    let room = Room::new();
    let shown = quiz(&mut room.drydock(&["quiz", "vm-vs-container"]), &"\n".repeat(40));
    let prompts: Vec<&str> = shown.lines().filter(|l| l.contains(" >")).collect();
    assert!(prompts.len() >= 8 && prompts.iter().all(|p| p.ends_with(" >")), "{prompts:?}");
    assert!(shown.ends_with("\n"));
}

#[test]
fn a_prediction_is_tried_in_an_engine_that_is_gone_afterwards() {
    require!(UserNamespaces);
    let room = Room::new();
    let shown = quiz(&mut room.drydock(&["quiz", "vm-vs-container"]), &"a\n".repeat(40));
    assert_eq!(shown.matches("  it was run, and printed:\n    1\n").count(), 2, "{shown}");
    let mut left: Vec<String> = names(room.path());
    left.extend(names(&room.path().join("drydock")));
    left.sort();
    assert_eq!(left, ["drydock", "lock", "progress.json"]);
}

#[test]
fn what_a_killed_quiz_left_is_cleared_by_the_next() {
    require!(UserNamespaces);
    let room = Room::new();
    // No process has this number: it is above the kernel's highest.
    let (dead, alive) = (room.path().join("drydock/ask-4194305"), room.path().join(format!("drydock/ask-{}", std::process::id())));
    for folder in [&dead, &alive] {
        std::fs::create_dir_all(folder.join("root-0/containers")).expect("the room is ours");
    }
    quiz(&mut room.drydock(&["quiz", "vm-vs-container"]), &"a\n".repeat(40));
    assert_eq!((dead.exists(), alive.exists()), (false, true));
}

#[test]
fn a_question_that_this_machine_cannot_answer_is_left_out_and_does_not_count() {
    let room = Room::new();
    let tools = room.path().join("tools");
    std::fs::create_dir(&tools).expect("the room is ours");
    std::os::unix::fs::symlink("/bin/sh", tools.join("sh")).expect("a link");
    let shown = quiz(room.drydock(&["quiz", "namespaces"]).env("PATH", &tools), &"a\n".repeat(40));
    assert_eq!(shown.matches("  left out, since this machine cannot answer it: ").count(), 4, "{shown}");
    assert!(!shown.contains("it was run"), "{shown}");
    let shown = quiz(&mut room.drydock(&["quiz", "namespaces"]), "");
    assert!(!shown.contains("left out"), "{shown}");
}

fn names(folder: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
