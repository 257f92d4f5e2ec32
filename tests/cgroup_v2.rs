//! The engine under cgroup v2, whatever this host has: the tests of its cgroups, of what confines a
//! container and of its filter, run again inside the lab.

#[macro_use]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::{outcome, stdout, vm::Lab};

/// The test programs that are run in the lab, by the name of their file in tests/.
const INSIDE: &[&str] = &["cgroup", "confine", "seccomp", "witness"];

#[test]
fn the_engines_cgroup_tests_pass_under_cgroup_v2() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    let controllers = stdout(&mut lab.run(&["cat", "/sys/fs/cgroup/cgroup.controllers"]));
    for controller in ["cpuset", "cpu", "io", "memory", "pids"] {
        assert!(controllers.split_whitespace().any(|c| c == controller), "no {controller} in {controllers:?}");
    }
    for name in INSIDE {
        let program = carried(&newest_test(name), lab.room.path());
        stdout(lab.command(&["cp"]).arg(&program).arg("lab:/tmp"));
        let inside = format!("/tmp/{}", program.file_name().expect("it has a name").to_string_lossy());
        let (code, said, errors) = outcome(&mut lab.run(&["env", "DRYDOCK_TEST_BIN=/usr/bin", "DRYDOCK_MUST_RUN=1", &inside, "--test-threads=1"]));
        assert_eq!(code, Some(0), "{name} in the lab:\n{said}{errors}");
        // Its figures are of the run that reads this one's output.
        println!("{name} in the lab: {}", said.lines().rfind(|l| l.starts_with("test result")).unwrap_or_default());
    }
}

#[test]
fn a_container_in_the_lab_has_its_limits_and_ends_when_it_takes_too_much() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    let skiff = |words: &[&str]| {
        let mut all = vec!["skiff", "run", "--rm", "--network", "none"];
        all.extend(words);
        outcome(&mut lab.run(&all))
    };
    skiff(&["base", "true"]);
    let read = "cd /sys/fs/cgroup && cat memory.max pids.max cpu.max /proc/self/cgroup";
    let limited = skiff(&["-m", "32m", "--pids-limit", "20", "--cpus", "0.5", "base", "sh", "-c", read]);
    assert_eq!((limited.0, limited.1.as_str()), (Some(0), "33554432\n20\n50000 100000\n0::/\n"), "{}", limited.2);
    let killed = skiff(&["-m", "16m", "base", "sh", "-c", "head -c 64m /dev/zero | tail"]);
    assert_eq!(killed.0, Some(137), "{}{}", killed.1, killed.2);
    let left = stdout(&mut lab.run(&["sh", "-c", "ls -d /sys/fs/cgroup/skiff/*/ 2>/dev/null; skiff ps -aq"]));
    assert_eq!(left, "");
}

/// The test program that cargo built last from tests/NAME.rs: it lies beside this one.
fn newest_test(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its file");
    let beside = std::fs::read_dir(own.parent().expect("a folder")).expect("it can be listed").flatten().map(|e| e.path());
    let of_name = beside.filter(|p| {
        let file = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.strip_prefix(name).and_then(|r| r.strip_prefix('-')).is_some_and(|hash| !hash.contains('.'))
    });
    of_name.max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok()).unwrap_or_else(|| panic!("tests/{name}.rs is not built; cargo test --no-run"))
}

/// A copy without what only a debugger reads, which would be most of what has to be carried.
fn carried(program: &Path, to: &Path) -> PathBuf {
    let copy = to.join(program.file_name().expect("it has a name"));
    let stripped = Command::new("strip").arg("-o").arg(&copy).arg(program).status().is_ok_and(|s| s.success());
    if !stripped {
        std::fs::copy(program, &copy).expect("the room is ours");
    }
    copy
}
