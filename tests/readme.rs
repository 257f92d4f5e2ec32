//! The README and `--help` say the same: each command and flag that the README shows exists, and
//! each subcommand that exists is in the README.

mod support;

use std::collections::BTreeSet;
use support::{Room, source, stdout};

fn readme() -> String {
    std::fs::read_to_string(source().join("README.md")).expect("there is a README")
}

/// The lines of fenced shell blocks and the spans in backticks, without a prompt.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fence = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(kind.to_owned()) };
        } else if fence.as_deref().is_some_and(|k| k == "sh" || k == "console") {
            let typed = if fence.as_deref() == Some("console") { line.strip_prefix("$ ") } else { Some(line) };
            found.extend(typed.map(|t| t.split(" #").next().unwrap_or(t).trim().to_owned()));
        } else if fence.is_none() {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found.retain(|c| !c.is_empty());
    found
}

/// What `--help` lists under "Commands:".
fn subcommands(help: &str) -> BTreeSet<String> {
    let listed = help.lines().skip_while(|l| l.trim() != "Commands:").skip(1).take_while(|l| l.starts_with("  "));
    // A name stands two columns in; wrapped descriptions stand further.
    let names = listed.filter(|l| !l.starts_with("   ")).filter_map(|l| l.split_whitespace().next());
    names.map(str::to_owned).filter(|n| n != "help").collect()
}

fn help(program: &str, of: &[&str]) -> String {
    let room = Room::new();
    let mut arguments = of.to_vec();
    arguments.push("--help");
    stdout(room.command(support::binary(program)).args(arguments))
}

#[test]
fn the_readme_has_the_two_commands_that_do_all_the_set_up() {
    let shown = commands(&readme());
    for command in ["cargo run --release", "tests/run"] {
        assert!(shown.iter().any(|c| c == command), "{command} is not in the README");
    }
    assert!(source().join("tests/run").exists());
}

/// What the README shows below `$ COMMAND`, up to the next prompt or the end of the block.
fn shown_below(command: &str) -> String {
    let text = readme();
    let after = text.split_once(&format!("\n$ {command}\n")).unwrap_or_else(|| panic!("the README does not show {command}")).1;
    let lines = after.lines().take_while(|l| !l.starts_with("$ ") && !l.starts_with("```"));
    lines.map(|l| format!("{l}\n")).collect()
}

#[test]
fn the_recorded_session_is_what_happens() {
    let room = Room::new();
    let run = |arguments: &[&str]| support::outcome(room.drydock(arguments).env("COLUMNS", "80")).1;
    let start = run(&["start", "namespaces/hostname"]);
    let name = start.split('`').nth(1).expect("the goal names the hostname").to_owned();
    // The name is drawn for each learner, and text is wrapped around it: words are compared.
    let words = |text: &str| text.replace(&name, "amber-bison").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&start), words(&shown_below("drydock start namespaces/hostname")));
    assert_eq!(words(&run(&["check"])), words(&shown_below("drydock check")));
}

#[test]
fn every_command_and_flag_in_the_readme_exists() {
    let mut unknown = Vec::new();
    for command in commands(&readme()) {
        let words: Vec<&str> = command.split_whitespace().skip_while(|w| *w == "sudo" || w.contains('=')).collect();
        let Some((program @ ("drydock" | "skiff"), rest)) = words.split_first().map(|(p, r)| (*p, r)) else { continue };
        let mut path = Vec::new();
        while let Some(next) = rest.get(path.len()).filter(|w| subcommands(&help(program, &path)).contains(**w)) {
            path.push(*next);
        }
        let page = help(program, &path);
        // What follows `--` is the words of another command.
        let rest: Vec<&str> = rest[path.len()..].iter().copied().take_while(|w| *w != "--").collect();
        let more = subcommands(&page);
        if let Some(word) = rest.first().filter(|w| !w.starts_with('-') && !more.is_empty()) {
            unknown.push(format!("{word}, in `{command}`"));
        }
        for flag in rest.iter().filter(|w| w.starts_with("--")).map(|w| w.split('=').next().unwrap_or(w)) {
            if !page.split(|c: char| c.is_whitespace() || "=,[]".contains(c)).any(|w| w == flag) {
                unknown.push(format!("{flag}, in `{command}`"));
            }
        }
    }
    assert!(unknown.is_empty(), "the README shows what --help does not know: {}", unknown.join("; "));
}

#[test]
fn every_subcommand_is_in_the_readme() {
    let text = readme();
    for program in ["drydock", "skiff"] {
        let missing: Vec<String> = subcommands(&help(program, &[])).into_iter().filter(|name| !text.contains(&format!("{program} {name}"))).collect();
        assert!(missing.is_empty(), "{program} has subcommands that the README leaves out: {missing:?}");
    }
}

#[test]
fn the_reader_of_the_readme_sees_blocks_and_spans() {
    let text = "Type `drydock hint`.\n```sh\nskiff run base   # a comment\n```\n```console\n$ drydock\nWelcome\n```\n";
    assert_eq!(commands(text), ["drydock hint", "skiff run base", "drydock"]);
    let help = "Usage: x\n\nCommands:\n  run    Run it\n           and more\n  help   Print\n\nOptions:\n  -h\n";
    assert_eq!(subcommands(help), BTreeSet::from(["run".to_owned()]));
}
