//! What the black-box tests share: the needs of a test, a private room to run the binaries in,
//! what the host looks like before and after, and waiting without sleeping.
//!
//! Use it as `#[macro_use] mod support;`. A test opens with what it needs of the machine:
//! `require!(Root, Controller("memory"));`. Where that is missing the test says why and passes;
//! with DRYDOCK_MUST_RUN=1 it fails instead, so that CI cannot pass by skipping.
#![allow(dead_code, unused_macros)]

pub mod bench;
pub mod class;
pub mod debian;
pub mod docker;
pub mod host;
pub mod island;
pub mod networks;
pub mod podman;
pub mod registry;
pub mod vm;

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What a test needs of the machine it runs on.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// Being uid 0 with CAP_SYS_ADMIN over the host.
    Root,
    /// Being anybody else.
    OrdinaryUser,
    /// unshare(CLONE_NEWUSER) works for this user.
    UserNamespaces,
    /// A cgroup hierarchy with this controller, v1 or v2, in which this user may make a cgroup.
    Controller(&'static str),
    /// cgroup v2 with this controller.
    V2Controller(&'static str),
    /// A program on PATH.
    Tool(&'static str),
    /// A file or device that must exist.
    File(&'static str),
    /// The kernel of the virtual machine, which tests/run fetches.
    GuestKernel,
    /// Debian's dockerd and its client.
    Docker,
}

/// Opens a test: each need is met, or the test says why not and ends.
macro_rules! require {
    ($($need:ident $(($arg:expr))?),+ $(,)?) => {
        $(
            let need = $crate::support::Need::$need $(($arg))?;
            if let Err(why) = need.met() {
                return match need.lane() {
                    Some(lane) => $crate::support::say_skipped(&format!("{why}; it runs {lane}")),
                    None => $crate::support::skip(&why),
                };
            }
        )+
    };
}

impl Need {
    /// Where else `tests/run` runs a test with this need: no machine has cgroup v1 and v2 at once,
    /// and nobody is root and an ordinary user. There it must run.
    pub fn lane(self) -> Option<&'static str> {
        match self {
            Need::V2Controller(_) => Some("in the lab, with cgroup v2"),
            Need::OrdinaryUser => Some("as an ordinary user"),
            _ => None,
        }
    }

    /// `Err` says in words what is missing.
    pub fn met(self) -> Result<(), String> {
        let root = nix::unistd::geteuid().is_root();
        match self {
            Need::Root if !root => Err("needs root".into()),
            Need::OrdinaryUser if root => Err("is about an ordinary user, and this is root".into()),
            Need::Root | Need::OrdinaryUser => Ok(()),
            Need::UserNamespaces => user_namespaces(),
            Need::Controller(name) => {
                let dir = controller(name).ok_or(format!("no cgroup hierarchy here has the {name} controller"))?;
                match nix::unistd::access(&dir, nix::unistd::AccessFlags::W_OK) {
                    Ok(()) => Ok(()),
                    Err(_) => Err(format!("this user may not make a cgroup in {}", dir.display())),
                }
            }
            Need::V2Controller(name) => match controller(name) {
                Some(dir) if dir.join("cgroup.controllers").exists() => Ok(()),
                _ => Err(format!("this host's {name} controller is not on cgroup v2")),
            },
            Need::Tool(name) => which(name).map(|_| ()).ok_or(format!("{name} is not installed")),
            Need::File(path) if Path::new(path).exists() => Ok(()),
            Need::File(path) => Err(format!("there is no {path}")),
            Need::GuestKernel if vm::kernel().is_some() => Ok(()),
            Need::GuestKernel => Err("tests/run has not fetched a kernel into target/vm".into()),
            Need::Docker => ["dockerd", "containerd", "docker"].iter().try_for_each(|t| Need::Tool(t).met()),
        }
    }
}

/// Says why a test does not run; a failure under DRYDOCK_MUST_RUN=1.
/// Written to the descriptor itself: the test harness would swallow eprintln of a test that passes.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    assert!(std::env::var_os("DRYDOCK_MUST_RUN").is_none_or(|v| v != "1"), "{name} must run here, but {why}");
    say_skipped(why);
}

/// Says it, and no more.
pub fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // In one write, and on a line of its own among the dots.
    let _ = std::io::stderr().write_all(format!("\nskipped {name}: {why}\n").as_bytes());
}

fn user_namespaces() -> Result<(), String> {
    let made = Command::new("unshare").args(["--user", "--map-root-user", "true"]).stderr(Stdio::null()).status();
    match made {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the kernel refuses this user a user namespace".into()),
        Err(_) => Err("unshare is not installed".into()),
    }
}

/// The directory under which cgroups with this controller are made, v1 or v2.
pub fn controller(name: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind, options) = (PathBuf::from(words.next()?), words.next()?, words.next()?);
        let has = match kind {
            "cgroup" => options.split(',').any(|o| o == name),
            "cgroup2" => std::fs::read_to_string(at.join("cgroup.controllers")).ok()?.split_whitespace().any(|c| c == name),
            _ => false,
        };
        has.then_some(at)
    })
}

/// Where a program is, looking along PATH and in the administrator's folders.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let dirs = path.split(':').map(PathBuf::from).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.map(|d| d.join(name)).find(|p| nix::unistd::access(p, nix::unistd::AccessFlags::X_OK).is_ok())
}

/// Why not so many megabytes can be written below a folder; asked before a bench fills a disk, or the
/// memory behind /dev/shm, that others need too.
pub fn lacks_space(folder: &Path, megabytes: u64) -> Option<String> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    let free = disk.blocks_available() * disk.fragment_size() / 1_000_000;
    (free < megabytes).then(|| format!("{} has {free} MB free, and this needs {megabytes}", folder.display()))
}

/// A built binary of this package. DRYDOCK_TEST_BIN names another folder to take it from.
pub fn binary(name: &str) -> PathBuf {
    if let Some(dir) = std::env::var_os("DRYDOCK_TEST_BIN") {
        return PathBuf::from(dir).join(name);
    }
    PathBuf::from(match name {
        "skiff" => env!("CARGO_BIN_EXE_skiff"),
        "drydock" => env!("CARGO_BIN_EXE_drydock"),
        other => panic!("this package has no binary {other}"),
    })
}

/// The checkout that is tested.
pub fn source() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// A test's own place: skiff's root, drydock's home and a folder, all gone when it is dropped.
pub struct Room {
    dir: tempfile::TempDir,
    settings: Vec<(&'static str, &'static str)>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl Room {
    /// An empty room.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("drydock-test-").tempdir().expect("a temporary folder");
        Self { dir, settings: Vec::new() }
    }

    /// An empty room in this folder, for what is to be renamed or linked from there.
    pub fn inside(folder: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("drydock-test-").tempdir_in(folder).expect("a temporary folder");
        Self { dir, settings: Vec::new() }
    }

    /// One more variable for all commands of this room.
    pub fn set(&mut self, name: &'static str, value: &'static str) {
        self.settings.push((name, value));
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What `--root` would be.
    pub fn skiff_root(&self) -> PathBuf {
        self.path().join("skiff")
    }

    /// Any command, with the room's roots in its environment and both binaries first on its PATH.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let bins = binary("skiff").parent().expect("a binary is in a folder").to_path_buf();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env("SKIFF_ROOT", self.skiff_root())
            .env("DRYDOCK_HOME", self.path().join("drydock"))
            .env("PATH", format!("{}:{path}", bins.display()))
            .env("NO_COLOR", "1")
            .envs(self.settings.iter().copied())
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null());
        command
    }

    /// `skiff ARGS…` in this room.
    pub fn skiff(&self, args: &[&str]) -> Command {
        let mut command = self.command(binary("skiff"));
        command.args(args);
        command
    }

    /// `drydock ARGS…` in this room.
    pub fn drydock(&self, args: &[&str]) -> Command {
        let mut command = self.command(binary("drydock"));
        command.args(args);
        command
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let left = std::fs::read_dir(self.skiff_root().join("containers"));
        let ids: Vec<String> = left.into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        for id in ids {
            let _ = self.skiff(&["rm", "-f", &id]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        let _ = self.skiff(&["system", "prune", "-f"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What a command printed on standard output; panics with all of it if the command failed.
pub fn stdout(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|e| panic!("{shown}: {e}"));
    assert!(output.status.success(), "{shown}: {}\n{}", output.status, both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Exit code, standard output, standard error.
pub fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until `fd` can be read or hangs up; false when `within` passed first.
pub fn readable(fd: impl AsFd, within: Duration) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let millis = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
    matches!(poll(&mut fds, millis), Ok(n) if n > 0)
}

/// Reads `fd` up to and including `mark`, and gives all that was read; panics when it does not come in time.
pub fn read_until(fd: &mut (impl std::io::Read + AsFd), mark: &str, within: Duration) -> String {
    let end = std::time::Instant::now() + within;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(mark) {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let text = String::from_utf8_lossy(&seen).into_owned();
        assert!(readable(&*fd, left), "waited {within:?} for {mark:?}, saw {text:?}");
        let mut byte = [0; 1];
        match fd.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => panic!("the other end closed before {mark:?}, after {text:?}"),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}
