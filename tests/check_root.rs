//! Checks of where a process's root lies: escaped from an ancestor's, pivoted, sealed. Each on a
//! process for which it is so and on one that is nearly so.

#[macro_use]
mod support;

use drydock::check::{Check, Evidence, Outcome, Scene, examine};
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// A script in mount and PID namespaces of its own, with `$v`, an overlay of this machine's `/`. It
/// ends in processes that sleep, and all of them end with this.
struct Running(Child);

impl Running {
    fn start(script: &str, sleeps: &[u32]) -> Self {
        let script = format!(
            "mount -t tmpfs mine /mnt; mkdir /mnt/u /mnt/w /mnt/v; v=/mnt/v\n\
             mount -t overlay over -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w $v\n{script}"
        );
        let words = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", &script];
        let mut child = Command::new("unshare").args(words).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut said = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("the script works");
        let mut it = Self(child);
        for seconds in sleeps {
            let wanted = format!("sleep\0{seconds}\0").into_bytes();
            let runs = || drydock::kernel::proc::pids().iter().any(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == wanted));
            while !runs() {
                it.lives();
                std::thread::yield_now();
            }
        }
        it
    }

    /// Whoever waits for what the script does would wait for ever once it has ended.
    fn lives(&mut self) {
        assert!(matches!(self.0.try_wait(), Ok(None)), "the script ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(seconds: u32, root: &str) -> Evidence {
    let yaml = format!("- {{ id: p, find: process, where: {{ command: sleep {seconds} }}, expect: [ {{ root: {root}, meaning: not so }} ] }}");
    let checks: Vec<Check> = serde_yaml::from_str(&yaml).expect("the test's own YAML");
    examine(&checks, &Scene::default()).evidence.pop().expect("something was asked")
}

#[test]
fn a_root_is_pivoted_if_whoever_enters_the_namespace_comes_out_there() {
    require!(Root, Tool("unshare"), Tool("pivot_root"));
    let _pivoted = Running::start("cd $v; mount -t proc proc proc; pivot_root . .; umount -l .; echo ready; exec sleep 86161", &[86161]);
    let _chrooted = Running::start("echo ready; exec chroot $v sleep 86162", &[86162]);
    assert_eq!(ask(86161, "pivoted").outcome, Outcome::Passed);
    let refused = ask(86162, "pivoted");
    assert_eq!((refused.outcome, refused.meaning.as_str()), (Outcome::NotYet, "not so"), "{refused:#?}");
    assert!(refused.found.starts_with("the namespace begins at device "), "{refused:#?}");
    assert_eq!(ask(86162, "own").outcome, Outcome::Passed, "by its own root alone it cannot be told");
}

#[test]
fn a_root_is_sealed_once_the_hosts_is_mounted_nowhere_in_it() {
    require!(Root, Tool("unshare"), Tool("pivot_root"));
    let _sealed = Running::start("cd $v; mount -t proc proc proc; pivot_root . .; umount -l .; echo ready; exec sleep 86163", &[86163]);
    let _open = Running::start("cd $v; mkdir behind; pivot_root . behind; cd /; echo ready; exec sleep 86164", &[86164]);
    assert_eq!(ask(86163, "sealed").outcome, Outcome::Passed);
    let refused = ask(86164, "sealed");
    assert!(refused.outcome == Outcome::NotYet && refused.found.ends_with(" at /behind"), "{refused:#?}");
    assert_eq!(ask(86164, "pivoted").outcome, Outcome::Passed, "that it is not sealed is another matter");
}

#[test]
fn a_root_has_escaped_if_an_ancestor_sits_below_it() {
    require!(Root, Tool("unshare"));
    // What a break-out leaves: somebody in a room, and somebody started from there who is not.
    let script = "sh -c 'sleep 86165; :' & echo ready; exec chroot $v sleep 86166";
    let _it = Running::start(script, &[86165, 86166]);
    let passed = ask(86165, "escaped");
    assert_eq!(passed.outcome, Outcome::Passed, "{passed:#?}");
    assert!(passed.found.starts_with("its root is /, that of process ") && passed.found.ends_with(" is /mnt/v"), "{passed:#?}");
    let refused = ask(86166, "escaped");
    assert_eq!((refused.outcome, refused.found.as_str()), (Outcome::NotYet, "its root is /mnt/v, and no ancestor's is below that"));
}

#[test]
fn a_directory_where_no_mount_begins_has_no_type_and_that_is_said() {
    require!(Root, Tool("unshare"));
    let _it = Running::start("echo ready; exec unshare --mount --root=$v sleep 86167", &[86167]);
    assert_eq!(ask(86167, "{ type: overlay }").outcome, Outcome::Passed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output().expect("sh").stdout;
    require!(Tool("busybox"));
    let at = folder.path().join("sleep");
    std::fs::copy(String::from_utf8_lossy(&busybox).trim(), &at).expect("busybox is one file");
    let mut plain = Running::start(&format!("echo ready; exec chroot {} /sleep 86168", folder.path().display()), &[]);
    let told = || {
        let yaml = "- { id: p, find: process, where: { command: /sleep 86168 }, none: none, expect: [ { root: { type: overlay }, meaning: not so } ] }";
        let checks: Vec<Check> = serde_yaml::from_str(yaml).expect("the test's own YAML");
        examine(&checks, &Scene::default()).evidence.pop().expect("something was asked")
    };
    while told().meaning == "none" {
        plain.lives();
        std::thread::yield_now();
    }
    assert_eq!((told().outcome, told().found.as_str()), (Outcome::NotYet, "a directory, where no mount begins"));
}
