//! Which of several processes a check speaks of, what it says of those that it may not read, and
//! how it fares with few descriptors. Parts run in a process of their own: as another user, or limited.

#[macro_use]
mod support;

use drydock::check::{Check, Outcome, Scene, Verdict, examine};
use drydock::kernel::proc::pids;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

const INSIDE: &str = "DRYDOCK_TEST_INSIDE";

fn ask(yaml: &str) -> Verdict {
    let checks: Vec<Check> = serde_yaml::from_str(yaml).expect("the test's own YAML");
    examine(&checks, &Scene::default())
}

/// What a part in another process was told to do, if this is such a process.
fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

/// Runs one test of this file again, in another process, by way of `program`; gives what it wrote.
fn again(program: &str, args: &[&str], test: &str, what: &str) -> String {
    // Where anybody may run it: the checkout may lie in somebody's home.
    let room = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(room.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    let me = room.path().join("test");
    // By another program: a child forked here meanwhile would hold the copy open for writing (ETXTBSY).
    let copied = Command::new("cp").arg(std::env::current_exe().expect("this test")).arg(&me).status().expect("cp runs");
    assert!(copied.success());
    let mut command = Command::new(program);
    command.args(args).arg(me).args(["--exact", test, "--nocapture", "--test-threads", "1"]).env(INSIDE, what);
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// As the user nobody.
const NOBODY: [&str; 4] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/// A process that says when it runs, and ends with the test.
struct Running(Child);

impl Running {
    /// `args` end in a program that execs `sleep` after it has said so.
    fn start(program: &str, args: &[&str], seconds: &str) -> Self {
        let say = format!("echo ready; exec sleep {seconds}");
        let mut child = Command::new(program).args(args).args(["sh", "-c", &say]).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut line).expect("it says so");
        let running = Self(child);
        while !std::fs::read(format!("/proc/{}/cmdline", running.0.id())).expect("it lives").starts_with(b"sleep") {
            std::thread::yield_now();
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shown(verdict: &Verdict) -> String {
    verdict.evidence.iter().map(|e| format!("{:?}: {}\n", e.outcome, e.found)).collect()
}

#[test]
fn one_that_passes_beats_one_that_cannot_be_read_and_that_beats_one_that_is_wrong() {
    let check = "- { id: s, find: process, where: { command: sleep 86121 }, expect: [ namespace: { uts: own } ] }";
    if let Some(what) = inside() {
        let verdict = ask(check);
        return assert_eq!(format!("{:?}", verdict.outcome), what, "{}", shown(&verdict));
    }
    require!(Root, Tool("setpriv"), Tool("unshare"));
    let test = "one_that_passes_beats_one_that_cannot_be_read_and_that_beats_one_that_is_wrong";
    let see = |what| again("setpriv", &NOBODY, test, what);
    let _wrong = Running::start("setpriv", &NOBODY, "86121");
    see("NotYet");
    // Root's own: nobody may not read whether it is right.
    let _unknown = Running::start("unshare", &["--uts"], "86121");
    see("CannotTell");
    let mut args = vec!["--uts", "setpriv"];
    args.extend(NOBODY);
    let _right = Running::start("unshare", &args, "86121");
    see("Passed");
}

#[test]
fn a_wrong_one_proves_nothing_while_another_that_may_be_it_cannot_be_read() {
    let check = "- { id: s, find: process, where: { command: sleep 86122, environment: { BERTH: seven } }, expect: [ namespace: { uts: own } ] }";
    if inside().is_some() {
        let verdict = ask(check);
        assert_eq!(verdict.outcome, Outcome::CannotTell, "{}", shown(&verdict));
        let found = &verdict.evidence[0].found;
        assert!(found.contains("may be it; it belongs to user 0; process") && found.contains("is not it: uts:["), "{found}");
        return;
    }
    require!(Root, Tool("setpriv"));
    let mut args = NOBODY.to_vec();
    args.extend(["env", "BERTH=seven"]);
    let _wrong = Running::start("setpriv", &args, "86122");
    assert_eq!(ask(check).outcome, Outcome::NotYet);
    let _hidden = Running::start("env", &["BERTH=six"], "86122");
    assert_eq!(ask(check).outcome, Outcome::NotYet, "root reads that it is none");
    again("setpriv", &NOBODY, "a_wrong_one_proves_nothing_while_another_that_may_be_it_cannot_be_read", "yes");
}

#[test]
fn the_process_is_found_with_forty_descriptors_among_more_than_forty() {
    let check = "- { id: s, find: process, where: { command: sleep 86123 }, expect: [ hostname: amber-otter ] }";
    if inside().is_some() {
        let verdict = ask(check);
        return assert_eq!(verdict.outcome, Outcome::Passed, "{}", shown(&verdict));
    }
    require!(Root, Tool("unshare"));
    let _crowd: Vec<Running> = (0..60).map(|_| Running::start("env", &[], "86124")).collect();
    let _it = Running::start("unshare", &["--uts", "sh", "-c", "hostname amber-otter; exec \"$@\"", "sh"], "86123");
    assert!(pids().len() > 40);
    again("sh", &["-c", "ulimit -n 40; exec \"$@\"", "sh"], "the_process_is_found_with_forty_descriptors_among_more_than_forty", "yes");
}

#[test]
fn without_a_free_descriptor_nothing_is_told_and_the_reason_is() {
    let check = "- { id: s, find: process, where: { command: no such thing } }\n- { id: f, find: file, where: { path: /etc/passwd } }";
    if inside().is_some() {
        let _all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let verdict = ask(check);
        assert_eq!(verdict.outcome, Outcome::CannotTell, "{}", shown(&verdict));
        assert_eq!(shown(&verdict), "CannotTell: cannot open a file: EMFILE\n".repeat(2));
        return;
    }
    assert_eq!(ask(check).outcome, Outcome::NotYet);
    again("sh", &["-c", "ulimit -n 40; exec \"$@\"", "sh"], "without_a_free_descriptor_nothing_is_told_and_the_reason_is", "yes");
}
