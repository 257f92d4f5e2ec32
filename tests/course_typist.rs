//! The typist: types into a real shell as a learner would, and waits for the prompt.

#[macro_use]
mod support;

use drydock::prove::{After, ProveError, Setting, Typist};
use std::process::Command;
use std::time::Duration;

fn shell(program: &str, args: &[&str]) -> Typist {
    let setting = Setting { patience: Duration::from_secs(5), stop: None };
    Typist::start(Command::new(program).args(args), setting).expect("a shell starts")
}

#[test]
fn a_typed_line_gives_what_it_printed_and_nothing_of_the_terminal() {
    for (program, args) in [("sh", &[][..]), ("bash", &["--norc"][..]), ("bash", &[][..])] {
        let mut typist = shell(program, args);
        assert_eq!(typist.line("echo one; echo two").expect("a prompt"), "one\ntwo\n", "{program}");
        assert_eq!(typist.line("printf three").expect("a prompt"), "three", "{program}");
        assert_eq!(typist.line("false").expect("a prompt"), "", "{program}");
        assert_eq!(typist.line("echo $?").expect("a prompt"), "1\n", "{program}");
    }
}

#[test]
fn shells_in_shells_stay_open_until_exit() {
    let mut typist = shell("sh", &[]);
    let outer = typist.line("echo $$").expect("a prompt");
    typist.line("bash").expect("the inner prompt");
    let inner = typist.line("echo $$").expect("a prompt");
    assert_ne!(outer, inner);
    typist.line("exit").expect("the outer prompt");
    assert_eq!(typist.line("echo $$").expect("a prompt"), outer);
}

#[test]
fn a_shell_with_a_prompt_of_its_own_is_waited_for_too() {
    let mut typist = shell("sh", &[]);
    typist.line("env -i PS1='# ' sh").expect("a prompt that is not ours");
    assert_eq!(typist.line("echo $((6 * 7))").expect("a prompt"), "42\n");
    assert_eq!(typist.line("sleep 0.3; echo late").expect("a prompt"), "late\n");
    typist.line("exit").expect("our prompt");
    assert_eq!(typist.line("echo back").expect("a prompt"), "back\n");
}

#[test]
fn a_command_over_several_lines_is_typed_line_by_line() {
    let mut typist = shell("bash", &["--norc"]);
    assert_eq!(typist.lines("for i in 1 2\ndo echo $i\ndone\n").expect("a prompt"), After::Prompt("1\n2\n".into()));
}

#[test]
fn a_command_that_stays_is_left_in_the_foreground() {
    let mut typist = shell("sh", &[]);
    assert!(matches!(typist.last_line("echo before; exec sleep 60").expect("it settles"), After::Stays(t) if t == "before\n"));
    let mut typist = shell("sh", &[]);
    assert!(matches!(typist.last_line("cat").expect("it settles"), After::Stays(_)));
}

#[test]
fn a_silent_command_is_named_with_the_screen_so_far() {
    let setting = Setting { patience: Duration::from_millis(300), stop: None };
    let mut typist = Typist::start(&mut Command::new("sh"), setting).expect("a shell starts");
    match typist.line("echo hello; sleep 60") {
        Err(error @ ProveError::Silent { .. }) => {
            assert_eq!(error.to_string(), "waited 0 s for the prompt after `echo hello; sleep 60`");
            assert_eq!(error.screen(), Some("$ echo hello; sleep 60\nhello\n"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shell_that_ends_early_is_an_error_that_says_so() {
    let mut typist = shell("sh", &[]);
    assert_eq!(typist.line("exit").expect_err("it is over").to_string(), "the shell ended before the prompt after `exit`");
}

#[test]
fn when_the_typist_leaves_nothing_in_the_foreground_stays() {
    let mut typist = shell("sh", &[]);
    let shell = typist.pid().to_string();
    let front = typist.last_line("sh -c 'echo $$; sleep 61; true'").expect("it settles").printed().trim().to_owned();
    drop(typist);
    let pids = [shell, front];
    for pid in pids {
        // An orphan that has ended stays as a zombie until whoever adopted it looks.
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert_eq!(command, "", "{pid} is still there");
    }
}

#[test]
fn a_shell_in_a_container_is_typed_into() {
    require!(Root);
    let room = support::Room::new();
    let mut typist = Typist::start(&mut room.command("sh"), Setting::default()).expect("a shell starts");
    typist.line("skiff run --rm -it -h aquarium base sh").expect("the container's prompt");
    assert_eq!(typist.line("hostname").expect("a prompt"), "aquarium\n");
    assert_eq!(typist.line("echo $$").expect("a prompt"), "1\n");
    typist.line("exit").expect("our prompt");
    assert_eq!(typist.line("echo back").expect("a prompt"), "back\n");
}
