//! The steps that take power away, each carried out by a process of its own and looked at from
//! /proc: capabilities, filter, limits, cgroup; and what happens in a wrong order.
#![allow(clippy::print_stdout)]

#[macro_use]
mod support;

use drydock::engine::defaults;
use drydock::engine::hold::Upstream;
use drydock::engine::inside::Inside;
use drydock::engine::seccomp::{compile, default_for};
use drydock::engine::step::{Carry, StepError};
use drydock::engine::steps::{caps::Caps, cgroup, cgroup::Cgroup, no_new_privs::NoNewPrivs, rlimits::Rlimits, seccomp::Seccomp, user::User};
use drydock::kernel::caps::{Sets, mask};
use drydock::kernel::cgroup::{Amount, Layout, Limits};
use drydock::kernel::rlimit::Rlimit;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::path::Path;
use std::process::Command;

const ROLE: &str = "DRYDOCK_CONFINE_ROLE";

fn inside(id: &str) -> Inside {
    let (_, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).expect("sockets");
    Inside::new(id, Path::new("/nowhere"), Upstream::new(theirs))
}

fn caps() -> Caps {
    Caps::from_oci(&defaults::capability_sets(defaults::capability_mask()))
}

fn filter() -> Seccomp {
    let profile = default_for(defaults::capability_mask(), "6.1.0").expect("our own");
    Seccomp { filter: compile(&profile).expect("our own") }
}

fn become_nobody() -> User {
    User { uid: 65534, gid: 65534, groups: Vec::new(), umask: None }
}

/// Not a test of its own: what the others start, because none of it can be taken back. The test
/// harness runs it in a thread, and a thread has ids, capabilities and filters of its own; so
/// /proc/thread-self is what is looked at.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut inside = inside("none");
    let mut carry = |step: &dyn Carry| tell(step.about().name, step.carry_out(&mut inside));
    match role.as_str() {
        "root" => [&filter() as &dyn Carry, &caps()].into_iter().for_each(&mut carry),
        "user" => [&become_nobody() as &dyn Carry, &filter(), &caps()].into_iter().for_each(&mut carry),
        "too late" => [&caps() as &dyn Carry, &filter(), &NoNewPrivs {}, &filter()].into_iter().for_each(&mut carry),
        "twice" => [&caps() as &dyn Carry, &caps()].into_iter().for_each(&mut carry),
        "gone" => {
            drydock::kernel::caps::set(0, 0, 0).expect("lowers");
            carry(&caps());
        }
        other => panic!("there is no role {other}"),
    }
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    for line in status.lines().filter(|l| l.starts_with("Cap") || l.starts_with("Seccomp:") || l.starts_with("Uid:")) {
        println!("heard {}", line.replace('\t', " "));
    }
}

fn tell(name: &str, done: Result<(), StepError>) {
    match done {
        Ok(()) => println!("heard {name}: done"),
        Err(error) => println!("heard {name}: {error}"),
    }
}

fn heard(role: &str) -> Vec<String> {
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .output()
        .expect("this binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| Some(line.split_once("heard ")?.1.to_string())).collect()
}

fn sets(inheritable: u64, permitted: u64, bounding: u64) -> [String; 5] {
    [
        format!("CapInh: {inheritable:016x}"),
        format!("CapPrm: {permitted:016x}"),
        format!("CapEff: {permitted:016x}"),
        format!("CapBnd: {bounding:016x}"),
        format!("CapAmb: {:016x}", 0),
    ]
}

/// Docker's default mask, and what this machine has of it.
fn reachable() -> u64 {
    defaults::capability_mask() & Sets::of_self().expect("capget").permitted
}

#[test]
fn all_five_sets_are_dockers() {
    require!(Root);
    let mut expected = vec!["seccomp: done".to_string(), "caps: done".into(), "Uid: 0 0 0 0".into()];
    expected.extend(sets(0, reachable(), reachable()));
    expected.push("Seccomp: 2".into());
    assert_eq!(heard("root"), expected);
}

/// The user step kept the permitted set; the filter and the bounding set still need it.
#[test]
fn after_a_change_of_user_the_filter_and_the_bounding_set_can_still_be_set() {
    require!(Root);
    let mut expected: Vec<String> =
        ["user: done", "seccomp: done", "caps: done", "Uid: 65534 65534 65534 65534"].map(String::from).to_vec();
    expected.extend(sets(0, reachable(), reachable()));
    expected.push("Seccomp: 2".into());
    assert_eq!(heard("user"), expected);
}

#[test]
fn a_filter_after_the_capabilities_needs_no_new_privs() {
    require!(Root);
    let told = heard("too late");
    assert_eq!(told[..4], ["caps: done", "seccomp: cannot install the seccomp filter: EACCES", "no-new-privs: done", "seccomp: done"]);
    assert_eq!(told.last().map(String::as_str), Some("Seccomp: 2"));
}

#[test]
fn the_capabilities_can_be_dropped_twice_but_not_once_setpcap_is_gone() {
    require!(Root);
    assert_eq!(heard("twice")[..2], ["caps: done", "caps: done"]);
    let told = heard("gone");
    assert!(told[0].starts_with("caps: cannot drop CAP_") && told[0].ends_with(" from the bounding set: EPERM"), "{}", told[0]);
}

#[test]
fn a_step_says_what_it_limits_and_its_undo_leaves_nothing() {
    require!(Root, Controller("memory"), Controller("pids"));
    let id = format!("drydock-test-{}", std::process::id());
    let limits = Limits { memory: Some(Amount::Of(64 << 20)), pids: Some(Amount::Of(20)), ..Limits::default() };
    let step = Cgroup { limits: limits.clone(), ..Cgroup::default() };
    assert_eq!(step.about().what, "move into a cgroup of its own with memory.max=67108864, pids.max=20");

    // The kernel's part without moving this test's own process.
    let layout = Layout::read().expect("cgroups");
    let name = cgroup::name(&id);
    let made = drydock::kernel::cgroup::Cgroup::create(&layout, &name, &limits).expect("a cgroup");
    made.limit(&limits).expect("limits");
    let child = Command::new("/proc/self/exe").args(["--exact", "role"]).stdout(std::process::Stdio::null()).spawn().expect("starts");
    made.add_process(nix::unistd::Pid::from_raw(child.id() as i32)).or_else(|e| if e.errno() == Errno::ESRCH { Ok(()) } else { Err(e) }).expect("moves");
    cgroup::undo(&id).expect("removes");
    assert!(made.directories().all(|d| !d.exists()));
    assert!(cgroup::undo(&id).is_ok(), "nothing there is no error");
    let mut child = child;
    child.wait().expect("our child");
}

#[test]
fn a_limit_that_needs_a_missing_controller_says_which() {
    let layout = Layout { unified: None, v1: Vec::new() };
    let limits = Limits { memory: Some(Amount::Of(1 << 20)), ..Limits::default() };
    let error = drydock::kernel::cgroup::Cgroup::create(&layout, "skiff/none", &limits).expect_err("no hierarchy");
    assert_eq!(error.to_string(), "cannot limit memory: no memory controller in /proc/cgroups");
}

#[test]
fn what_is_beyond_the_hosts_limits_is_clipped_and_noted() {
    let now = Rlimit::current("nofile").expect("getrlimit");
    let step = Rlimits { limits: vec![Rlimit { name: "nofile".into(), soft: now.soft, hard: now.hard + 1 }] };
    let mut inside = inside("none");
    let clipped = step.limits[0].clipped().expect("readable");
    step.carry_out(&mut inside).expect("clipped is done");
    match clipped {
        None => assert_eq!(inside.notes, Vec::<String>::new()),
        Some(_) => assert_eq!(
            inside.notes,
            [format!("nofile={}:{} is more than this host allows without CAP_SYS_RESOURCE: set {now} instead", now.soft, now.hard + 1)]
        ),
    }
}

#[test]
fn capability_names_reach_the_step_from_an_oci_config() {
    let step = Caps::from_oci(&defaults::capability_sets(mask("NET_ADMIN").expect("known")));
    assert_eq!(step.sets, Sets { effective: 1 << 12, permitted: 1 << 12, bounding: 1 << 12, inheritable: 0, ambient: 0 });
}
