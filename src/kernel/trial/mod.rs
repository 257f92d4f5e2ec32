//! Trials: does this operation work here? Each acts on a child of its own, and is undone.
//!
//! Reading a sysctl tells what an administrator meant; trying tells what the kernel does. A child
//! makes the call and reports the errno by its exit code; its namespaces and mounts end with it. A
//! cgroup that was made is removed. Where a trial fails, [`Trial::cause`] separates who said no: a
//! sysctl, AppArmor, the seccomp filter of a container we are in, or a missing privilege.

use super::cgroup::{Cgroup, Controller, Layout, Limits};
use super::ns::{self, Ns};
use super::pidfd::{self, Fork, Pidfd};
use super::proc::Process;
use super::userns::{IdRange, write_own_single_maps};
use super::{SysError, mount};
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// One operation, tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// A word for it, as exercises ask for it in `needs`.
    pub name: &'static str,
    /// What was tried.
    pub what: &'static str,
    /// `None` when it works.
    pub failed: Option<Failure>,
}

/// Why an operation does not work here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was said: an errno's name, or what is missing.
    pub said: String,
    /// Who said no, and why.
    pub cause: String,
    /// The exact fix.
    pub fix: String,
}

impl Trial {
    /// True when it works.
    pub fn works(&self) -> bool {
        self.failed.is_none()
    }
}

/// Tries everything that the course needs.
pub fn all() -> Vec<Trial> {
    let mut trials = vec![user_namespaces(), namespaces(), overlay()];
    trials.extend(controllers());
    trials.push(seccomp());
    for (name, tool, package) in [("unshare", "unshare", "util-linux"), ("nsenter", "nsenter", "util-linux"), ("ip", "ip", "iproute2")] {
        trials.push(program(name, tool, package));
    }
    trials
}

/// Runs `act` in a child and gives back the errno that it failed with.
fn in_child(act: impl FnOnce() -> Result<(), SysError>) -> Result<(), Errno> {
    match pidfd::fork() {
        Ok(Fork::Child) => pidfd::exit_now(act().map_or_else(|e| e.errno as i32, |()| 0)),
        Ok(Fork::Parent(child)) => match Pidfd::open(child).and_then(|c| c.wait()).map(pidfd::exit_code) {
            Ok(0) => Ok(()),
            Ok(code) => Err(Errno::from_raw(code)),
            Err(e) => Err(e.errno),
        },
        Err(e) => Err(e.errno),
    }
}

fn own_user_namespace() -> Result<(), SysError> {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    ns::unshare(Ns::User)?;
    let own = |outside| IdRange { inside: 0, outside, count: 1 };
    write_own_single_maps(own(uid), own(gid))
}

fn sysctl(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok().map(|t| t.trim().to_owned())
}

/// A user namespace with a map of one id.
fn user_namespaces() -> Trial {
    let failed = in_child(own_user_namespace).err().map(|errno| {
        let (cause, fix) = if sysctl("kernel.unprivileged_userns_clone").as_deref() == Some("0") {
            ("the sysctl kernel.unprivileged_userns_clone gives them to root only", "sudo sysctl kernel.unprivileged_userns_clone=1")
        } else if sysctl("user.max_user_namespaces").as_deref() == Some("0") {
            ("the sysctl user.max_user_namespaces allows none", "sudo sysctl user.max_user_namespaces=15000")
        } else if sysctl("kernel.apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
            ("AppArmor gives them only to programs that have a profile for it", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0")
        } else if filtered() {
            ("we run under a seccomp filter: in a container, most likely", "run outside it, or start that container with --security-opt seccomp=unconfined")
        } else {
            ("the kernel refuses it, and no sysctl says why", "run with sudo")
        };
        failure(errno, cause, fix)
    });
    Trial { name: "user-namespaces", what: "make a user namespace and write its uid_map", failed }
}

fn failure(errno: Errno, cause: &str, fix: &str) -> Failure {
    Failure { said: format!("{errno:?}"), cause: cause.to_owned(), fix: fix.to_owned() }
}

fn filtered() -> bool {
    Process::current().and_then(|p| p.status()).is_ok_and(|s| s.get("Seccomp") == "2")
}

/// Mount, uts, ipc, net and pid namespaces: as root directly, else inside a user namespace.
fn namespaces() -> Trial {
    let tried = in_child(|| {
        if !nix::unistd::geteuid().is_root() {
            own_user_namespace()?;
        }
        [Ns::Mnt, Ns::Uts, Ns::Ipc, Ns::Net, Ns::Pid].into_iter().try_for_each(ns::unshare)
    });
    let failed = tried.err().map(|errno| {
        failure(errno, "namespaces need CAP_SYS_ADMIN, of this machine's root or of a user namespace's", "sudo drydock doctor; if that fails too, run outside the container that we are in")
    });
    Trial { name: "namespaces", what: "make mount, uts, ipc, net and pid namespaces", failed }
}

/// An overlay of three directories in memory.
fn overlay() -> Trial {
    let tried = in_child(|| {
        let rootless = !nix::unistd::geteuid().is_root();
        if rootless {
            own_user_namespace()?;
        }
        ns::unshare(Ns::Mnt)?;
        let root = std::fs::File::open("/").map_err(|_| SysError::new("open /", Errno::EACCES))?;
        mount::set_attributes(&root, 0, mount::propagation::PRIVATE, true, "/")?;
        let memory = mount::detached("tmpfs", "trial", &[], 0)?;
        let at = std::fs::File::open("/tmp").map_err(|_| SysError::new("open /tmp", Errno::EACCES))?;
        mount::attach(&memory, &at, "/tmp")?;
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(Path::new("/tmp").join(name)).map_err(|_| SysError::new("make a directory", Errno::EACCES))?;
        }
        let extra = if rootless { ",userxattr" } else { "" };
        let options = format!("lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work{extra}");
        nix::mount::mount(Some("overlay"), "/tmp/merged", Some("overlay"), nix::mount::MsFlags::empty(), Some(options.as_str()))
            .map_err(|e| SysError::new("mount overlay", e))
    });
    let failed = tried.err().map(|errno| match errno {
        Errno::ENODEV => failure(errno, "the kernel has no overlay file system, or its module is not loaded", "sudo modprobe overlay"),
        Errno::EPERM => failure(errno, "overlay in a user namespace needs Linux 5.11", "run with sudo"),
        _ => failure(errno, "the mount was refused", "sudo drydock doctor"),
    });
    Trial { name: "overlay", what: "mount an overlay file system", failed }
}

/// Each controller: there, and ours to use.
fn controllers() -> Vec<Trial> {
    let layout = Layout::read().ok();
    let known: [(&'static str, &'static str, Controller); 3] = [
        ("memory-controller", "limit memory in a cgroup", Controller::Memory),
        ("cpu-controller", "limit CPU time in a cgroup", Controller::Cpu),
        ("pids-controller", "limit processes in a cgroup", Controller::Pids),
    ];
    known.into_iter().map(|(name, what, controller)| Trial { name, what, failed: controller_failure(layout.as_ref(), controller) }).collect()
}

fn controller_failure(layout: Option<&Layout>, controller: Controller) -> Option<Failure> {
    let name = controller.name(false);
    let missing = |cause: String, fix: &str| Some(Failure { said: "missing".into(), cause, fix: fix.to_owned() });
    let Some(layout) = layout else {
        return missing("no cgroup file system is mounted".into(), "sudo mount -t cgroup2 none /sys/fs/cgroup");
    };
    if layout.hierarchy(controller).is_none() {
        return missing(format!("this kernel shows no {name} controller"), "boot with cgroup_enable=memory, or work in a VM");
    }
    let limits = match controller {
        Controller::Memory => Limits { memory: Some(super::cgroup::Amount::Of(64 << 20)), ..Limits::default() },
        Controller::Cpu => Limits { cpus: Some(super::cgroup::Quota::of_cpus(0.5)), ..Limits::default() },
        _ => Limits { pids: Some(super::cgroup::Amount::Of(64)), ..Limits::default() },
    };
    let made = Cgroup::create(layout, &format!("drydock-trial-{}", std::process::id()), &limits);
    let error = match made {
        Ok(group) => {
            let limited = group.limit(&limits);
            let removed = group.remove();
            limited.and(removed).err()?
        }
        Err(error) => error,
    };
    use super::Explain;
    Some(Failure { said: format!("{:?}", error.errno()), cause: error.why().unwrap_or_else(|| error.to_string()), fix: error.hint().unwrap_or_else(|| "sudo drydock doctor".into()) })
}

/// `return SECCOMP_RET_ALLOW` (BPF_RET | BPF_K).
const ALLOW_ALL: super::seccomp::Insn = super::seccomp::Insn { code: 0x06, jump_true: 0, jump_false: 0, value: 0x7fff_0000 };

/// A filter that allows everything, with no_new_privs, which needs no privilege.
fn seccomp() -> Trial {
    let failed = in_child(|| {
        nix::sys::prctl::set_no_new_privs().map_err(|e| SysError::new("set no_new_privs", e))?;
        super::seccomp::install(&[ALLOW_ALL], 0).map(drop)
    });
    Trial { name: "seccomp", what: "install a system call filter", failed: failed.err().map(|errno| failure(errno, "the kernel was built without seccomp filters, or forbids them here", "use another kernel, or work in a VM")) }
}

/// A program on PATH.
fn program(name: &'static str, tool: &'static str, package: &str) -> Trial {
    let failed = if which(tool).is_some() {
        None
    } else {
        Some(Failure { said: "not found".into(), cause: format!("{tool} is not on your PATH"), fix: format!("sudo apt-get install {package}  (or your distribution's package with {tool} in it)") })
    };
    Trial { name, what: "find a program that lessons use", failed }
}

/// Where a program lies on PATH.
pub fn which(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(tool)).find(|p| nix::unistd::access(p, nix::unistd::AccessFlags::X_OK).is_ok() && p.is_file())
}
