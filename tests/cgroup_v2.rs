//! The engine under cgroup v2, whatever this host has: Debian's kernel in QEMU, this static test
//! binary as its init, the engine's own cgroup tests run inside.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod support;

use nix::mount::{MsFlags, mount};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::Room;
use support::vm::{self, Kernel};

/// The test programs that are run in the guest, by the name of their file in tests/.
const INSIDE: &[&str] = &["cgroup", "confine", "seccomp"];

#[test]
fn the_engines_cgroup_tests_pass_under_cgroup_v2() {
    require!(Tool("qemu-system-x86_64"), Tool("busybox"), GuestKernel);
    let kernel = Kernel::fetched().expect("it was just required");
    let room = Room::new();
    let console = vm::boot(&kernel, room.path(), "init_of_the_guest", |initramfs| {
        initramfs.program("bin/skiff", &support::binary("skiff"));
        initramfs.program("bin/drydock", &support::binary("drydock"));
        for name in inside_tests() {
            let program = newest_test(name).unwrap_or_else(|| panic!("tests/{name}.rs is not built; cargo test --no-run"));
            initramfs.program(&format!("bin/test-{name}"), &program);
        }
    });
    let lines: Vec<&str> = console.lines().collect();
    let value = |key: &str| lines.iter().find_map(|l| Some(l.split_once(key)?.1)).unwrap_or_else(|| panic!("no {key:?} in:\n{console}")).trim();
    assert_eq!(value("guest: controllers"), "cpu io memory pids", "{console}");
    for name in inside_tests() {
        assert_eq!(value(&format!("guest: test-{name}")), "exit status: 0", "{console}");
    }
    assert_eq!(value("guest: skiff run"), r"0 33554432\n20\n50000 100000\n0::/\n", "{console}");
    assert_eq!(value("guest: out of memory"), "137", "{console}");
    assert_eq!(value("guest: left"), "", "{console}");
    assert_eq!(value("guest: ended"), "well", "{console}");
}

fn inside_tests() -> impl Iterator<Item = &'static str> {
    INSIDE.iter().copied().filter(|name| support::source().join(format!("tests/{name}.rs")).exists())
}

/// The test program that cargo built last from tests/NAME.rs: it lies beside this one.
fn newest_test(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().expect("a test knows its file");
    let beside = std::fs::read_dir(own.parent()?).ok()?.flatten().map(|e| e.path());
    let of_name = beside.filter(|p| {
        let file = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.strip_prefix(name).and_then(|r| r.strip_prefix('-')).is_some_and(|hash| !hash.contains('.'))
    });
    of_name.max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok())
}

/// Plays init in the guest; elsewhere it is refused, since it would mount over the host.
#[test]
#[ignore = "the init of the guest that the other test boots"]
fn init_of_the_guest() {
    assert_eq!(std::process::id(), 1, "this is the init of a virtual machine");
    let ended = std::panic::catch_unwind(|| {
        set_up_the_guest();
        run_the_tests();
        run_skiff();
    });
    println!("guest: ended {}", if ended.is_ok() { "well" } else { "in a panic" });
    // Powering off, or the kernel would panic at the end of its init.
    let _ = inside("/bin/busybox").args(["poweroff", "-f"]).status();
}

fn inside(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/bin").env("HOME", "/root").env("DRYDOCK_TEST_BIN", "/bin").env("DRYDOCK_MUST_RUN", "1");
    command
}

fn run_the_tests() {
    let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").expect("cgroup2 is mounted");
    println!("guest: controllers {}", controllers.trim());
    for name in INSIDE.iter().filter(|name| Path::new(&format!("/bin/test-{name}")).exists()) {
        let status = inside(&format!("/bin/test-{name}")).arg("--test-threads=1").status();
        println!("guest: test-{name} {}", status.map_or_else(|e| e.to_string(), |s| s.to_string()));
    }
}

/// The whole engine, limits and all, where only cgroup v2 is.
fn run_skiff() {
    let run = |arguments: &[&str]| {
        let output = inside("/bin/skiff").args(["run", "--rm", "--network", "none"]).args(arguments).output().expect("skiff was packed");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    run(&["base", "true"]);
    let read = "cd /sys/fs/cgroup && cat memory.max pids.max cpu.max /proc/self/cgroup";
    let (code, said) = run(&["-m", "32m", "--pids-limit", "20", "--cpus", "0.5", "base", "sh", "-c", read]);
    println!("guest: skiff run {}", format!("{code} {said}").escape_debug());
    let (code, _) = run(&["-m", "16m", "base", "sh", "-c", "head -c 64m /dev/zero | tail"]);
    println!("guest: out of memory {code}");
    let left = std::fs::read_dir("/sys/fs/cgroup/skiff").into_iter().flatten().flatten().filter(|e| e.path().is_dir());
    println!("guest: left {}", left.map(|e| e.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "));
}

/// A root that can be pivoted away from (the kernel's first one cannot be), and what init mounts.
fn set_up_the_guest() {
    let on = |kind: &str, at: &str| mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>).unwrap_or_else(|e| panic!("{kind} on {at}: {e}"));
    on("tmpfs", "/new");
    let copied = Command::new("/bin/busybox").args(["sh", "-c", "for d in bin etc root tmp run var usr overlay.ko; do /bin/busybox cp -a /$d /new/; done"]).status();
    assert!(copied.expect("busybox runs").success());
    for dir in ["dev", "proc", "sys"] {
        std::fs::create_dir(Path::new("/new").join(dir)).expect("the new root is empty");
    }
    std::env::set_current_dir("/new").expect("it was just made");
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).expect("the new root moves onto the old");
    nix::unistd::chroot(".").expect("init is root");
    std::env::set_current_dir("/").expect("there is a root");
    on("devtmpfs", "/dev");
    on("proc", "/proc");
    on("sysfs", "/sys");
    std::fs::create_dir("/dev/pts").expect("devtmpfs can be written");
    on("devpts", "/dev/pts");
    mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), None::<&str>).expect("sysfs has the folder");
    std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +io +memory +pids").expect("all four are there");
    let loaded = Command::new("/bin/busybox").args(["insmod", "/overlay.ko"]).status();
    assert!(loaded.expect("busybox runs").success(), "overlay cannot be loaded");
    let _ = Command::new("/bin/busybox").args(["ip", "link", "set", "lo", "up"]).status();
}
