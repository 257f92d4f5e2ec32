//! The witness of `drydock shell` against the live kernel: what it writes down outlasts what it was
//! about, and what nobody heard, or nobody keeps, is not believed.

#[macro_use]
mod support;

use drydock::check::{Check, Outcome, Scene, Verdict, examine};
use drydock::kernel::cgroup::Layout;
use drydock::kernel::cgroup::notice::{Notice, Notices};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Room, binary, controller, read_until, readable};

const LONG: Duration = Duration::from_secs(20);

/// A `drydock shell` that is spoken to through pipes.
struct Shell(Child, ChildStdout);

impl Shell {
    fn start(mut command: Command) -> Self {
        command.env("SHELL", "/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("drydock shell starts");
        let output = child.stdout.take().expect("a pipe");
        let mut shell = Self(child, output);
        shell.run("true");
        shell
    }

    /// Runs a line, and gives what it printed.
    fn run(&mut self, line: &str) -> String {
        let input = self.0.stdin.as_mut().expect("a pipe");
        writeln!(input, "{line}\necho do''ne").expect("the shell reads");
        read_until(&mut self.1, "done\n", LONG)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A cgroup that is removed at the end, if the test has not done so.
struct Group(PathBuf);

impl Group {
    fn new(top: &Path, name: &str) -> Self {
        let folder = top.join(format!("drydock-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("the hierarchy is ours");
        Self(folder)
    }

    /// In the memory hierarchy, limited so that what takes more is killed.
    fn small(name: &str) -> Self {
        let group = Self::new(&controller("memory").expect("it is needed"), name);
        let write = |file: &str, text: &str| std::fs::write(group.0.join(file), text);
        if write("memory.limit_in_bytes", "16777216").is_err() {
            write("memory.max", "16777216").expect("v2 then");
            let _ = write("memory.swap.max", "0");
        }
        let _ = write("memory.memsw.limit_in_bytes", "16777216");
        group
    }

    /// A shell line that joins it and then takes more than there is.
    fn hog(&self) -> String {
        format!("sh -c 'echo $$ >{}/cgroup.procs; exec tail /dev/zero >/dev/null'", self.0.display())
    }

    fn name(&self) -> String {
        self.0.file_name().expect("it has one").to_string_lossy().into_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn record(room: &Room) -> PathBuf {
    room.path().join("drydock/witness.jsonl")
}

fn ask(record: &Path, conditions: &str) -> Verdict {
    let text = format!("- {{ id: it, find: event, where: {{ {conditions} }}, expect: [ count: {{ at-least: 1 }} ] }}");
    let checks: Vec<Check> = serde_yaml::from_str(&text).expect("the test's own YAML");
    examine(&checks, &Scene { record: Some(record.to_owned()), ..Scene::default() })
}

/// Asks again at every change of the record, until it is so.
fn until_passed(record: &Path, conditions: &str) {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("an instance");
    inotify.add_watch(record, AddWatchFlags::IN_MODIFY).expect("the record is there");
    let end = Instant::now() + LONG;
    loop {
        let verdict = ask(record, conditions);
        if verdict.outcome == Outcome::Passed {
            return;
        }
        let more = readable(&inotify, end.saturating_duration_since(Instant::now()));
        assert!(more, "{conditions}: {:#?}\n{}", verdict.evidence, std::fs::read_to_string(record).unwrap_or_default());
        let _ = inotify.read_events();
    }
}

#[test]
fn an_oom_killed_process_in_a_removed_cgroup_is_still_provable() {
    require!(Root, Controller("memory"));
    let room = Room::new();
    let mut shell = Shell::start(room.drydock(&["shell"]));
    let group = Group::small("oom");
    shell.run(&format!("{}; rmdir {}", group.hog(), group.0.display()));
    assert!(!group.0.exists(), "the evidence is gone");
    let at = format!("cgroup: {{ ends-with: /{} }}", group.name());
    until_passed(&record(&room), &format!("kind: oom-kill, {at}"));
    until_passed(&record(&room), &format!("kind: oom-kill, command: tail /dev/zero, {at}"));
    until_passed(&record(&room), &format!("kind: removed, {at}"));
    let other = ask(&record(&room), "kind: oom-kill, cgroup: { ends-with: /another }");
    assert_eq!(other.outcome, Outcome::NotYet, "{:#?}", other.evidence);
    // Log and counter both tell of it; it was one.
    let twice = format!("- {{ id: it, find: event, where: {{ kind: oom-kill, {at} }}, expect: [ count: 1 ] }}");
    let verdict = examine(&serde_yaml::from_str::<Vec<Check>>(&twice).unwrap(), &Scene { record: Some(record(&room)), ..Scene::default() });
    assert_eq!(verdict.outcome, Outcome::Passed, "{:#?}", verdict.evidence);
}

#[test]
fn an_exit_code_is_remembered_when_the_process_is_gone() {
    require!(Root);
    let room = Room::new();
    let mut shell = Shell::start(room.drydock(&["shell"]));
    let mut child = room.command("sh").args(["-c", "read line; exit 7"]).stdin(Stdio::piped()).spawn().expect("sh runs");
    let pid = child.id();
    // Seen alive, and only then told to go.
    until_passed(&record(&room), "kind: exec, command: 'sh -c read line; exit 7'");
    drop(child.stdin.take());
    child.wait().expect("it ends");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    until_passed(&record(&room), "kind: exit, command: 'sh -c read line; exit 7', status: 7");
    assert_eq!(ask(&record(&room), "kind: exit, command: 'sh -c read line; exit 7', status: 0").outcome, Outcome::NotYet);
    shell.run("true");
}

#[test]
fn an_exit_is_told_by_the_number_that_the_process_had_in_its_own_namespace() {
    require!(Root, Tool("unshare"));
    let room = Room::new();
    let shell = Shell::start(room.drydock(&["shell"]));
    let mut child = room.command("unshare").args(["--fork", "--pid", "sh", "-c", "read line; exit 9"]).stdin(Stdio::piped()).spawn().expect("unshare");
    let one = "command: 'sh -c read line; exit 9', inner-pid: 1";
    until_passed(&record(&room), &format!("kind: exec, {one}"));
    drop(child.stdin.take());
    child.wait().expect("it ends");
    until_passed(&record(&room), &format!("kind: exit, {one}, status: 9"));
    // unshare ends with the code of its child, and is in no namespace of its own.
    until_passed(&record(&room), "kind: exit, command: { contains: 'unshare --fork' }, status: 9");
    assert_eq!(ask(&record(&room), "kind: exit, command: { contains: 'unshare --fork' }, inner-pid: 1, status: 9").outcome, Outcome::NotYet);
    drop(shell);
}

#[test]
fn a_fork_is_recorded_with_parent_and_child() {
    require!(Root);
    let room = Room::new();
    let mut shell = Shell::start(room.drydock(&["shell"]));
    let said = shell.run("echo $$; sh -c 'echo $$; true'");
    let pids: Vec<&str> = said.lines().filter(|l| l.bytes().all(|b| b.is_ascii_digit())).collect();
    until_passed(&record(&room), "kind: fork");
    let text = std::fs::read_to_string(record(&room)).unwrap();
    let (parent, child) = (format!("\"parent\":{}", pids[0]), format!("\"pid\":{},", pids[1]));
    let there = text.lines().any(|l| l.contains("\"kind\":\"fork\"") && l.contains(&parent) && l.contains(&child));
    assert!(there, "no fork of {child} by {parent} in\n{text}");
}

#[test]
fn a_witness_that_hears_no_processes_cannot_tell_of_them() {
    require!(UserNamespaces, Tool("unshare"));
    let room = Room::new();
    let mut command = room.command("unshare");
    command.args(["--user", "--map-root-user"]).arg(binary("drydock")).arg("shell");
    // The kernel answers nobody who may not listen, and sends them what happens all the same: on a busy
    // machine there is always something to read.
    let mut busy = Command::new("sh").args(["-c", "while :; do /bin/true; done"]).spawn().expect("sh runs");
    let shell = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Shell::start(command)));
    busy.kill().expect("it is ours");
    busy.wait().expect("it is ours");
    let mut shell = shell.expect("it begins");
    shell.run("sh -c 'exit 7'");
    for kind in ["exec", "exit", "fork"] {
        let verdict = ask(&record(&room), &format!("kind: {kind}"));
        assert_eq!(verdict.outcome, Outcome::CannotTell, "{:#?}", verdict.evidence);
        let found = &verdict.evidence[0].found;
        assert!(found.starts_with("the witness hears no process events") && found.contains("CAP_NET_ADMIN"), "{found}");
        assert_eq!(verdict.evidence[0].next.as_deref(), Some("work in `sudo drydock shell`, and do it again"));
    }
}

#[test]
fn a_dead_witness_is_not_believed() {
    require!(Root);
    let room = Room::new();
    let mut shell = Shell::start(room.drydock(&["shell"]));
    shell.run("sh -c 'exit 7'");
    until_passed(&record(&room), "kind: exit, status: 7");
    drop(shell);
    let verdict = ask(&record(&room), "kind: exit, status: 7");
    assert_eq!((verdict.outcome, verdict.evidence[0].found.as_str()), (Outcome::CannotTell, "no witness was there"));
}

#[test]
fn a_second_shell_leaves_the_record_of_the_first_alone() {
    require!(Root);
    let room = Room::new();
    let mut first = Shell::start(room.drydock(&["shell"]));
    first.run("sh -c 'exit 7'");
    until_passed(&record(&room), "kind: exit, status: 7");
    let mut second = Shell::start(room.drydock(&["shell"]));
    second.run("sh -c 'exit 8'");
    until_passed(&record(&room), "kind: exit, status: 8");
    assert_eq!(ask(&record(&room), "kind: exit, status: 7").outcome, Outcome::Passed);
}

/// A record of this test's making, kept as a witness keeps its own.
struct Kept(Room, #[expect(dead_code, reason = "held for its lock")] std::fs::File);

impl Kept {
    fn new() -> Self {
        let room = Room::new();
        let keeper = std::fs::File::create(room.path().join("record")).expect("the room is ours");
        keeper.lock().expect("nobody else has it");
        Self(room, keeper)
    }

    /// Of this boot unless `opening` says otherwise.
    fn write(&self, opening: &str, facts: &str) {
        let boot = drydock::kernel::proc::boot_id().expect("the kernel has one");
        let opening = opening.replace("BOOT", &boot);
        std::fs::write(self.0.path().join("record"), format!("{opening}\n{facts}\n")).expect("the room is ours");
    }

    fn ask(&self, conditions: &str) -> (Outcome, String) {
        let verdict = ask(&self.0.path().join("record"), conditions);
        (verdict.outcome, verdict.evidence[0].found.clone())
    }
}

const OPENING: &str = r#"{"boot":"BOOT","ticks":1}"#;

#[test]
fn a_record_of_another_boot_is_not_believed() {
    let kept = Kept::new();
    let exit = r#"{"kind":"exit","ticks":1,"pid":7,"status":7}"#;
    kept.write(OPENING, exit);
    assert_eq!(kept.ask("kind: exit, status: 7").0, Outcome::Passed);
    // As by a witness on another machine that shares the folder.
    kept.write(&OPENING.replace("BOOT", "00000000-0000-0000-0000-000000000000"), exit);
    assert_eq!(kept.ask("kind: exit, status: 7"), (Outcome::CannotTell, "the witness's record is of another boot".into()));
}

#[test]
fn what_was_lost_is_not_taken_for_what_did_not_happen() {
    let kept = Kept::new();
    kept.write(OPENING, "{\"kind\":\"exit\",\"ticks\":1,\"status\":7}\n{\"kind\":\"lost\",\"ticks\":1}");
    assert_eq!(kept.ask("kind: exit, status: 7").0, Outcome::Passed);
    assert_eq!(kept.ask("kind: exit, status: 8").0, Outcome::CannotTell);
}

#[test]
fn a_removed_cgroup_whose_kill_only_an_unread_log_could_tell_of_leaves_it_open() {
    let kept = Kept::new();
    let no_log = r#"{"boot":"BOOT","ticks":1,"no_log":"cannot open /dev/kmsg: EPERM"}"#;
    let removed = r#"{"kind":"removed","ticks":1,"cgroup":"/web"}"#;
    kept.write(no_log, removed);
    let told = "the cgroup /web was removed, and the witness has not read the kernel's log (cannot open /dev/kmsg: EPERM)";
    assert_eq!(kept.ask("kind: oom-kill, cgroup: /web"), (Outcome::CannotTell, told.into()));
    assert_eq!(kept.ask("kind: oom-kill, cgroup: /other"), (Outcome::NotYet, "0".into()));
    kept.write(OPENING, removed);
    assert_eq!(kept.ask("kind: oom-kill, cgroup: /web"), (Outcome::NotYet, "0".into()));
}

/// Waits for notices until one is as wanted.
fn noticed(notices: &mut Notices, wanted: &Notice) {
    let end = Instant::now() + LONG;
    let mut all = Vec::new();
    while !all.contains(wanted) {
        let left = end.saturating_duration_since(Instant::now());
        assert!(readable(&*notices, left), "waited for {wanted:?}, told {all:?}");
        all.extend(notices.drain());
    }
}

#[test]
fn a_cgroup_that_runs_out_of_memory_wakes_up_who_follows_it() {
    require!(Root, Controller("memory"));
    let mut notices = Notices::open(&Layout::read().unwrap()).unwrap();
    let group = Group::small("bell");
    noticed(&mut notices, &Notice::Counted(group.0.clone()));
    let _ = Command::new("sh").args(["-c", &group.hog()]).status();
    noticed(&mut notices, &Notice::Counted(group.0.clone()));
}

#[test]
fn a_cgroup_that_empties_and_goes_is_told_and_written_down() {
    require!(Root);
    let Some(tree) = Layout::read().unwrap().unified else { return support::skip("there is no cgroup v2 tree") };
    let room = Room::new();
    let _shell = Shell::start(room.drydock(&["shell"]));
    let mut notices = Notices::open(&Layout::read().unwrap()).unwrap();
    let group = Group::new(&tree.mount, "empty");
    // Both must follow it before anything happens in it. Of the witness that is known by its having
    // gone twice round since: what it writes down is in the order in which it looks.
    noticed(&mut notices, &Notice::Counted(group.0.clone()));
    for code in [51, 52] {
        let _ = Command::new("sh").args(["-c", &format!("exit {code}")]).status();
        until_passed(&record(&room), &format!("kind: exit, status: {code}"));
    }
    let procs = group.0.join("cgroup.procs");
    let joined = Command::new("sh").args(["-c", &format!("echo $$ >{}", procs.display())]).status().expect("sh runs");
    assert!(joined.success());
    noticed(&mut notices, &Notice::Populated(group.0.clone()));
    let at = format!("cgroup: {{ ends-with: /{} }}", group.name());
    until_passed(&record(&room), &format!("kind: emptied, {at}"));
    assert_eq!(ask(&record(&room), &format!("kind: removed, {at}")).outcome, Outcome::NotYet);
    std::fs::remove_dir(&group.0).expect("it is empty");
    noticed(&mut notices, &Notice::Gone(group.0.clone(), 0));
    until_passed(&record(&room), &format!("kind: removed, {at}"));
}
