//! One cgroup from birth to removal, against this machine's kernel, whatever its layout.
//!
//! Runs on v1, v2 and hybrid hosts, and as the first process of a machine that has nothing but this
//! binary (cgroup v2 in QEMU): it then mounts what it reads, and needs no other program. What
//! happens inside a cgroup is done by this binary once more, in a role named by the environment.

#[macro_use]
mod support;

use drydock::kernel::Explain;
use drydock::kernel::cgroup::device::{Kind, MKNOD, READ, Rule, WRITE};
use drydock::kernel::cgroup::{Amount, Cgroup, Controller, Error, Event, Layout, Limit, Limits, Quota, Value, Version};
use drydock::kernel::cgroup::limit::Throttle;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// Says which part the test named `role` plays; unset in an ordinary run.
const ROLE: &str = "DRYDOCK_CGROUP_ROLE";

/// Mounts what a machine without any other program lacks, once.
fn ready() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if nix::unistd::getpid().as_raw() != 1 || std::path::Path::new("/proc/self").exists() {
            return;
        }
        let none = MsFlags::empty();
        for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("cgroup2", "/sys/fs/cgroup")] {
            let _ = std::fs::create_dir_all(at);
            match mount(Some(kind), at, Some(kind), none, None::<&str>) {
                Ok(()) | Err(Errno::EBUSY) => {}
                Err(errno) => panic!("cannot mount {kind} on {at}: {errno}"),
            }
        }
    });
}

/// A cgroup of this test's own, gone with everything in it when the test ends.
struct Room(Cgroup);

impl Room {
    fn new(test: &str, limits: &Limits) -> Self {
        let layout = Layout::read().expect("a cgroup filesystem");
        let name = format!("drydock-test-{}/{test}", std::process::id());
        let group = Cgroup::create(&layout, &name, limits).expect("a cgroup");
        group.limit(limits).expect("limits are written");
        Self(group)
    }

    /// Starts this binary in a role inside the cgroup, and waits until it has joined.
    fn start(&self, role: &str) -> Inmate {
        let mut child = Command::new("/proc/self/exe")
            .args(["--exact", "role", "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{role} {}", self.0.name()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("joined")), "the child never joined");
        Inmate { child, lines: Box::new(lines) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let gone = self.0.destroy();
        if !std::thread::panicking() {
            gone.expect("the cgroup is removed");
            assert!(self.0.directories().all(|d| !d.exists()), "a directory of {} is left", self.0.name());
        }
    }
}

/// A process in a [`Room`].
struct Inmate {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Inmate {
    /// Lets it go on, and returns how it ended and the number it reported.
    fn go(mut self) -> (ExitStatus, Option<u64>) {
        drop(self.child.stdin.take());
        let told = self.lines.find_map(|line| line.strip_prefix("told ")?.parse().ok());
        (self.child.wait().expect("our child"), told)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

/// Not a test of its own: what the other tests start inside a cgroup.
#[test]
fn role() {
    let Ok(text) = std::env::var(ROLE) else { return };
    let (role, name) = text.split_once(' ').expect("a role and a cgroup");
    if role == "delegated" {
        return say(&as_nobody(name));
    }
    let layout = Layout::read().expect("a cgroup filesystem");
    Cgroup::open(&layout, name).expect("readable").expect("it exists").join().expect("joins");
    say("joined");
    std::io::stdin().read_line(&mut String::new()).expect("a pipe");
    match role {
        "wait" => {}
        "eat" => eat(64 * MIB),
        "spin" => spin(Duration::from_millis(400)),
        "fork" => say(&format!("told {}", threads_until_refused())),
        "open" => say(&format!("told {}", opened())),
        "write" => say(&format!("told {}", written(2 * MIB).as_millis())),
        other => panic!("there is no role {other}"),
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("a pipe");
}

/// What an ordinary user is told who wants a cgroup below the own one, `directory` or the root.
fn as_nobody(directory: &str) -> String {
    let procs = std::path::Path::new(directory).join("cgroup.procs");
    std::fs::write(procs, "0").expect("root moves itself");
    nix::unistd::setgroups(&[]).expect("root may");
    nix::unistd::setgid(nix::unistd::Gid::from_raw(65534)).expect("root may");
    nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).expect("root may");
    let layout = Layout::read().expect("cgroups");
    let tree = layout.unified.as_ref().expect("v2");
    match tree.base() {
        Ok(base) => {
            let below = base.join("below");
            let made = std::fs::create_dir(&below).and_then(|()| std::fs::remove_dir(&below));
            format!("told {} {made:?}", base.display())
        }
        Err(error) => format!("told {error} | {} | {}", error.why().unwrap_or_default(), error.hint().unwrap_or_default()),
    }
}

/// Touches memory page by page.
fn eat(bytes: u64) {
    let mut all = vec![0u8; bytes as usize];
    all.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    say(&format!("told {}", all.iter().step_by(4096).map(|b| u64::from(*b)).sum::<u64>()));
}

fn spin(wall: Duration) {
    let start = Instant::now();
    while start.elapsed() < wall {
        std::hint::spin_loop();
    }
    let used = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock");
    say(&format!("told {}", Duration::from(used).as_millis()));
}

/// How long writing so much to the disk takes, in a file that is gone afterwards.
fn written(bytes: u64) -> Duration {
    use std::os::unix::fs::OpenOptionsExt;
    let path = on_a_disk().join(format!("drydock-test-{}", std::process::id()));
    // What O_SYNC waits for, the block device's limit holds up.
    let mut file = std::fs::File::options().create(true).write(true).truncate(true).custom_flags(nix::libc::O_SYNC).open(&path).expect("root may");
    let begun = Instant::now();
    for _ in 0..bytes / (128 << 10) {
        file.write_all(&[1; 128 << 10]).expect("there is room");
    }
    let took = begun.elapsed();
    std::fs::remove_file(&path).expect("ours");
    took
}

/// root's home: on the lab's disk, where this is the lab.
fn on_a_disk() -> std::path::PathBuf {
    "/root".into()
}

/// How many threads could be started before the kernel said EAGAIN.
fn threads_until_refused() -> usize {
    let (hold, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let mut threads = Vec::new();
    while threads.len() < 100 {
        let wait = wait.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            let _ = wait.lock().map(|wait| wait.recv());
        });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(Errno::EAGAIN as i32));
                break;
            }
        }
    }
    drop(hold);
    let count = threads.len();
    threads.into_iter().for_each(|thread| thread.join().expect("it only waits"));
    count
}

/// 1 for each node that could be opened: null, and ten times that for kmsg.
fn opened() -> u64 {
    let open = |path| std::fs::File::open(path).map_err(|e| e.raw_os_error());
    assert!(matches!(open("/dev/kmsg"), Ok(_) | Err(Some(1))), "EPERM is the cgroup's answer");
    u64::from(open("/dev/null").is_ok()) + 10 * u64::from(open("/dev/kmsg").is_ok())
}

#[test]
fn a_process_that_takes_more_memory_than_its_limit_is_killed_and_that_is_counted() {
    ready();
    require!(Root, Controller("memory"));
    let swap = Layout::read().expect("cgroups").counts_swap().then_some(Amount::Of(24 * MIB));
    let room = Room::new("memory", &Limits { memory: Some(Amount::Of(24 * MIB)), memory_swap: swap, ..Limits::default() });
    assert_eq!(room.0.count(Event::OomKill), Some(0));
    let (status, told) = room.start("eat").go();
    assert_eq!((status.signal(), told), (Some(9), None));
    assert_eq!(room.0.count(Event::OomKill), Some(1));
}

#[test]
fn a_process_within_its_limit_lives() {
    ready();
    require!(Root, Controller("memory"));
    let room = Room::new("enough", &Limits { memory: Some(Amount::Of(128 * MIB)), ..Limits::default() });
    let (status, told) = room.start("eat").go();
    assert_eq!((status.code(), told), (Some(0), Some(64 * MIB / 4096)));
    assert_eq!(room.0.count(Event::OomKill), Some(0));
}

#[test]
fn beyond_pids_max_no_thread_is_born() {
    ready();
    require!(Root, Controller("pids"));
    let room = Room::new("pids", &Limits { pids: Some(Amount::Of(8)), ..Limits::default() });
    let (status, told) = room.start("fork").go();
    let born = told.expect("it reports");
    assert!(status.success());
    assert!((4..8).contains(&born), "{born} threads beside its own");
    assert!(room.0.count(Event::PidsMax).expect("pids.events") >= 1);
}

#[test]
fn a_tenth_of_a_cpu_is_no_more_than_that() {
    ready();
    require!(Root, Controller("cpu"));
    let room = Room::new("cpu", &Limits { cpus: Some(Quota::of_cpus(0.1)), ..Limits::default() });
    let (status, told) = room.start("spin").go();
    let used = told.expect("it reports");
    assert!(status.success());
    assert!(used < 200, "{used} ms of CPU time in 400 ms of wall time");
    assert!(room.0.count(Event::Throttled).expect("cpu.stat") >= 1);
}

#[test]
fn a_device_takes_no_more_bytes_a_second_than_its_limit() {
    ready();
    require!(Root, V2Controller("io"));
    use std::os::unix::fs::MetadataExt;
    let device = on_a_disk().metadata().expect("root has a home").dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let rate = Throttle { limit: Limit::IoWriteBytes, major, minor, rate: MIB };
    let room = Room::new("io", &Limits { io: vec![rate], ..Limits::default() });
    let (status, told) = room.start("write").go();
    assert!(status.success());
    // 2 MiB at 1 MiB a second: the first tenth of a second's worth goes through at once.
    let took = told.expect("it reports");
    assert!(took > 1000, "2 MiB in {took} ms");
}

#[test]
fn every_limit_reads_back_as_it_was_written() {
    ready();
    require!(Root, Controller("memory"), Controller("cpu"), Controller("pids"));
    let swap = Layout::read().expect("cgroups").counts_swap().then_some(Amount::Of(96 * MIB));
    let quota = Quota { micros: Amount::Of(25_000), period: 50_000 };
    let limits = Limits {
        memory: Some(Amount::Of(64 * MIB)),
        memory_reservation: Some(Amount::Of(32 * MIB)),
        memory_swap: swap,
        cpus: Some(quota),
        cpu_shares: Some(1024),
        pids: Some(Amount::Of(17)),
        ..Limits::default()
    };
    let room = Room::new("every", &limits);
    let amount = |limit| match room.0.read(limit) {
        Some(Value::Amount(amount)) => Some(amount),
        _ => None,
    };
    assert_eq!(amount(Limit::Memory), limits.memory);
    assert_eq!(amount(Limit::MemoryReservation), limits.memory_reservation);
    assert_eq!(amount(Limit::MemorySwap), limits.memory_swap);
    assert_eq!(amount(Limit::CpuShares), Some(Amount::Of(1024)));
    assert_eq!(amount(Limit::Pids), limits.pids);
    assert_eq!(room.0.read(Limit::Cpus), Some(Value::Quota(quota)));

    let unlimited = Limits {
        memory: Some(Amount::Unlimited),
        memory_swap: swap.map(|_| Amount::Unlimited),
        cpus: Some(Quota { micros: Amount::Unlimited, period: 100_000 }),
        pids: Some(Amount::Unlimited),
        ..Limits::default()
    };
    room.0.limit(&unlimited).expect("limits rise as well");
    for limit in [Limit::Memory, Limit::Pids] {
        assert_eq!(amount(limit), Some(Amount::Unlimited), "{limit:?}");
    }
    room.0.limit(&limits).expect("and fall again");
    assert_eq!(amount(Limit::Memory), limits.memory);
}

#[test]
fn a_cpuset_can_be_joined_and_holds() {
    ready();
    require!(Root, Controller("cpuset"));
    let room = Room::new("cpuset", &Limits { cpuset: Some("0".into()), ..Limits::default() });
    let inmate = room.start("wait");
    let status = std::fs::read_to_string(format!("/proc/{}/status", inmate.pid())).expect("procfs");
    let allowed = status.lines().find(|l| l.starts_with("Cpus_allowed_list:")).expect("since 2.6.24");
    assert_eq!(allowed.split_whitespace().last(), Some("0"));
    assert!(inmate.go().0.success());
}

#[test]
fn kill_ends_all_of_them_and_empty_is_seen_without_sleeping() {
    ready();
    require!(Root);
    let room = Room::new("kill", &Limits::default());
    let mut inmates: Vec<_> = (0..3).map(|_| room.start("wait")).collect();
    let inside = room.0.processes();
    assert_eq!(inside, inmates.iter().map(Inmate::pid).collect());
    assert!(!room.0.wait_empty(Duration::from_millis(1)).expect("readable"), "they wait for us");
    room.0.kill().expect("root may");
    assert!(room.0.wait_empty(Duration::from_secs(10)).expect("readable"));
    assert!(room.0.processes().is_empty());
    for inmate in &mut inmates {
        assert_eq!(inmate.child.wait().expect("our child").signal(), Some(9));
    }
}

#[test]
fn a_frozen_process_stands_still_until_it_is_thawed_and_can_be_killed() {
    ready();
    require!(Root);
    let room = Room::new("freeze", &Limits::default());
    let mut inmate = room.start("spin");
    room.0.freeze(true).expect("freezes");
    drop(inmate.child.stdin.take());
    assert!(!room.0.wait_empty(Duration::from_millis(600)).expect("readable"), "it would have ended by now");
    room.0.freeze(false).expect("thaws");
    assert!(inmate.go().0.success());

    let mut inmate = room.start("wait");
    room.0.freeze(true).expect("freezes");
    room.0.destroy().expect("frozen ones die too");
    assert_eq!(inmate.child.wait().expect("our child").signal(), Some(9));
}

#[test]
fn what_processes_made_below_is_removed_too() {
    ready();
    require!(Root);
    let room = Room::new("nested", &Limits::default());
    for directory in room.0.directories() {
        std::fs::create_dir_all(directory.join("a/b")).expect("root may");
    }
    room.0.destroy().expect("removes");
    assert!(room.0.directories().all(|d| !d.exists()));
}

#[test]
fn a_dead_runs_cgroup_is_found_by_its_name_and_its_empty_parent_goes_with_it() {
    ready();
    require!(Root);
    let layout = Layout::read().expect("cgroups");
    let parent = format!("drydock-test-dead-{}", std::process::id());
    let name = format!("{parent}/left");
    let made = Cgroup::create(&layout, &name, &Limits::default()).expect("a cgroup");
    let directories: Vec<_> = made.directories().map(|d| d.parent().expect("a parent").to_path_buf()).collect();
    assert!(directories.iter().all(|d| d.is_dir()));
    assert_eq!(Cgroup::children(&layout, &parent).expect("readable"), ["left".to_string()].into());
    let found = Cgroup::open(&layout, &name).expect("readable").expect("still there");
    assert_eq!(found, made);
    found.destroy().expect("removes");
    assert!(directories.iter().all(|d| !d.exists()));
    assert_eq!(Cgroup::open(&layout, &name).expect("readable"), None);
}

#[test]
fn device_rules_refuse_what_they_do_not_name() {
    ready();
    require!(Root);
    if !std::path::Path::new("/dev/kmsg").exists() {
        return support::skip("there is no /dev/kmsg");
    }
    let room = Room::new("devices", &Limits::default());
    let all = READ | WRITE | MKNOD;
    assert_eq!(room.start("open").go().1, Some(11), "without rules both open");
    let rule = |allow, kind, number: Option<(u32, u32)>| Rule {
        allow,
        kind,
        major: number.map(|n| n.0),
        minor: number.map(|n| n.1),
        access: all,
    };
    let rules = [rule(false, Kind::All, None), rule(true, Kind::Char, Some((1, 3)))];
    room.0.allow_devices(&rules).expect("root may");
    assert_eq!(room.start("open").go().1, Some(1), "null alone is named");
}

/// Starts this binary as user 65534 in a v2 cgroup, and returns what it was told.
fn told_as_nobody(directory: &std::path::Path) -> String {
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "role", "--nocapture", "--test-threads=1"])
        .env(ROLE, format!("delegated {}", directory.display()))
        .output()
        .expect("this binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.lines().find_map(|line| Some(line.split_once("told ")?.1.to_string()));
    told.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn an_ordinary_user_uses_what_was_delegated_and_else_is_told_how_to_get_it() {
    ready();
    require!(Root);
    let layout = Layout::read().expect("cgroups");
    let Some(tree) = &layout.unified else { return support::skip("there is no cgroup2 mount") };
    let top = tree.mount.join(format!("drydock-test-delegated-{}", std::process::id()));
    let session = top.join("session");
    std::fs::create_dir_all(&session).expect("root may");
    let refused = told_as_nobody(&session);
    for part in ["", "cgroup.procs", "cgroup.subtree_control", "session", "session/cgroup.procs"] {
        std::os::unix::fs::chown(top.join(part), Some(65534), Some(65534)).expect("root may");
    }
    let allowed = told_as_nobody(&session);
    std::fs::remove_dir(&session).and_then(|()| std::fs::remove_dir(&top)).expect("empty");

    let session = session.display();
    assert_eq!(
        refused,
        format!(
            "cannot make a cgroup below {session}: EACCES | this session's own cgroup, {session}, belongs to root: it was not delegated to you \
             | start it in a delegated scope: systemd-run --user --scope -p Delegate=yes COMMAND"
        )
    );
    assert_eq!(allowed, format!("{} Ok(())", top.display()));
}

#[test]
fn a_name_that_leaves_the_tree_is_refused() {
    ready();
    let layout = Layout::read().expect("cgroups");
    for name in ["..", "a/../b", "/a", "a//b", "", "a/."] {
        assert!(matches!(Cgroup::create(&layout, name, &Limits::default()), Err(Error::Name(_))), "{name:?}");
    }
}

#[test]
fn v2_gives_no_controllers_to_children_of_a_cgroup_with_processes() {
    ready();
    require!(Root, V2Controller("memory"));
    let room = Room::new("busy", &Limits::default());
    let inmate = room.start("wait");
    let layout = Layout::read().expect("cgroups");
    assert_eq!(layout.version(), Version::V2);
    let below = format!("{}/below", room.0.name());
    let limits = Limits { memory: Some(Amount::Of(64 * MIB)), ..Limits::default() };
    let refused = Cgroup::create(&layout, &below, &limits);
    assert!(matches!(refused, Err(Error::InternalProcesses(_))), "{refused:?}");
    assert_eq!(layout.directory(Controller::Memory).map(|d| d.join(&below).exists()), Some(false));
    assert!(inmate.go().0.success());
}
