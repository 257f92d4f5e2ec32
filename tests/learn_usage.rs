//! A command line that is not understood: said as any other error is, by both programs.

mod support;

use support::{Room, outcome};

/// Runs a program, which must refuse its command line with exactly this.
fn refuses(program: &str, arguments: &str, expected: &str) {
    let room = Room::new();
    let mut command = room.command(support::binary(program));
    let (code, out, err) = outcome(command.args(arguments.split_whitespace()));
    let wanted = if program == "skiff" { 125 } else { 2 };
    assert_eq!((code, out.as_str(), err.replace("\n       ", " ").as_str()), (Some(wanted), "", expected), "{program} {arguments}");
    assert_eq!(std::fs::read_dir(room.path()).expect("the room").count(), 0, "{program} {arguments} made something");
}

#[test]
fn a_mistyped_command_or_option_gets_the_nearest_there_is() {
    refuses("drydock", "chekc", "error: drydock has no command \"chekc\"\n  try: a similar subcommand exists: 'check'; drydock --help shows all\n");
    refuses("drydock", "progress imprt", "error: drydock progress has no command \"imprt\"\n  try: a similar subcommand exists: 'import'; drydock progress --help shows all\n");
    refuses("drydock", "check --jsn", "error: drydock check has no option --jsn\n  try: a similar argument exists: '--json'; drydock check --help shows all\n");
    refuses("skiff", "--root /nowhere logz", "error: skiff has no command \"logz\"\n  try: a similar subcommand exists: 'logs'; skiff --help shows all\n");
    refuses("skiff", "run --nmae web base", "error: skiff run has no option --nmae\n  try: a similar argument exists: '--name'; skiff run --help shows all\n");
    refuses("skiff", "system -Z", "error: skiff system has no option -Z\n  try: skiff system --help shows all\n");
}

#[test]
fn what_is_missing_is_named_with_the_way_to_write_it() {
    refuses("drydock", "start", "error: drydock start needs <NAME>\n  try: drydock start [OPTIONS] <NAME>; drydock start --help shows all\n");
    refuses("skiff", "run", "error: skiff run needs <IMAGE>\n  try: skiff run [OPTIONS] <IMAGE> [COMMAND]...; skiff run --help shows all\n");
    refuses("skiff", "run --memory", "error: --memory <SIZE> needs a value\n  try: skiff run --help shows all\n");
}

#[test]
fn a_value_that_is_none_is_told_why() {
    refuses("drydock", "completions basq", "error: <SHELL> cannot be \"basq\"\n  why: it is one of: bash, elvish, fish, powershell, zsh\n  try: a similar value exists: 'bash'; drydock completions --help shows all\n");
    refuses("skiff", "run --pid mine base", "error: --pid <host> cannot be \"mine\"\n  why: it is one of: host\n  try: skiff run --help shows all\n");
    refuses("skiff", "run --cpu-shares x base", "error: --cpu-shares <NUMBER> cannot be \"x\"\n  why: invalid digit found in string\n  try: skiff run --help shows all\n");
}

#[test]
fn what_is_too_much_or_does_not_go_together_is_named() {
    refuses("drydock", "quiz a b", "error: \"b\" is one argument too many\n  try: drydock quiz --help shows all\n");
    refuses("skiff", "ps extra", "error: \"extra\" is one argument too many\n  try: skiff ps --help shows all\n");
    refuses("skiff", "run --dry-run --step base", "error: --dry-run does not go with --step\n  try: skiff run --help shows all\n");
    refuses("drydock", "check --json --json", "error: --json was given twice\n  try: drydock check --help shows all\n");
}

#[test]
fn help_that_is_asked_for_goes_to_standard_output_and_is_no_failure() {
    let room = Room::new();
    for program in ["drydock", "skiff"] {
        let (code, out, err) = outcome(room.command(support::binary(program)).arg("--help"));
        assert!(code == Some(0) && err.is_empty() && out.contains(&format!("Usage: {program} ")), "{out}{err}");
        let (code, out, err) = outcome(room.command(support::binary(program)).arg("--version"));
        assert_eq!((code, out, err.as_str()), (Some(0), format!("{program} {}\n", env!("CARGO_PKG_VERSION")), ""));
    }
}
