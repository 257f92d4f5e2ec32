//! What the release archive holds: binaries that need nothing beside them, completions, man pages.

mod support;

use std::path::Path;
use support::{Room, binary, stdout};

const PROGRAMS: [&str; 2] = ["drydock", "skiff"];

/// The subcommands that `--help` lists.
fn subcommands(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|l| l.trim() != "Commands:").skip(1).take_while(|l| l.starts_with("  "));
    listed.filter(|l| !l.starts_with("   ")).filter_map(|l| l.split_whitespace().next()).filter(|n| *n != "help").collect()
}

#[test]
fn completions_and_man_pages_know_every_subcommand() {
    let room = Room::new();
    for program in PROGRAMS {
        let help = stdout(room.command(binary(program)).arg("--help"));
        let man = room.path().join("man");
        std::fs::create_dir_all(&man).expect("the room is ours");
        stdout(room.command(binary(program)).arg("man").arg(&man));
        for shell in ["bash", "zsh", "fish"] {
            let text = stdout(room.command(binary(program)).args(["completions", shell]));
            let missing: Vec<&str> = subcommands(&help).into_iter().filter(|name| !text.contains(name)).collect();
            assert!(missing.is_empty() && text.contains(program), "{program} completions {shell} leave out {missing:?}");
        }
        for name in subcommands(&help) {
            let page = man.join(format!("{program}-{name}.1"));
            assert!(std::fs::read_to_string(&page).is_ok_and(|t| t.contains(".SH NAME")), "no {}", page.display());
        }
    }
}

#[test]
fn both_binaries_are_static() {
    for program in PROGRAMS {
        let bytes = std::fs::read(binary(program)).expect("it was built");
        let elf = goblin::elf::Elf::parse(&bytes).expect("it is a program");
        assert_eq!((elf.interpreter, elf.libraries.len()), (None, 0), "{program} needs a loader or a library");
    }
}

#[test]
fn both_binaries_work_from_anywhere() {
    let room = Room::new();
    let elsewhere = room.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("the room is ours");
    for program in PROGRAMS {
        let copy = elsewhere.join(program);
        std::fs::copy(binary(program), &copy).expect("the room is ours");
        stdout(room.command(&copy).arg("--version").current_dir(Path::new("/")).env_remove("CARGO_MANIFEST_DIR"));
    }
    stdout(room.command(elsewhere.join("drydock")).arg("list").current_dir("/").env_remove("CARGO_MANIFEST_DIR"));
}
