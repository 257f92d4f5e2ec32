//! What the process that becomes the container carries from one step to the next.
//!
//! Steps act on the calling process; what one leaves for a later one (the new root, the user to
//! become) is kept here and nowhere else.

use super::hold::Upstream;
use super::step::StepError;
use crate::kernel::netlink::Socket;
use crate::kernel::ns::Ns;
use crate::kernel::sealed::{Identity, identity};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// State of the process that becomes the container, from its first step to exec.
#[derive(Debug)]
pub struct Inside {
    /// The container's id: names its cgroup.
    pub id: String,
    /// The skiff root: layers and the container's own folder lie below it.
    pub store: PathBuf,
    /// The namespaces that are no longer the host's.
    pub own: BTreeSet<Ns>,
    /// The container's root directory; before the rootfs step, the host's.
    root: Option<OwnedFd>,
    /// True once the rootfs step has mounted a root.
    pub mounted: bool,
    /// True once pivot_root has made that root `/`.
    pub pivoted: bool,
    /// True once a child took over as process 1 of a new pid namespace.
    pub forked: bool,
    /// True once it has entered a container that runs: what lies in that is not for us to change.
    pub joined: bool,
    /// True once no_new_privs is set, so that seccomp needs no capability.
    pub no_new_privs: bool,
    /// How the root's mount is to travel once it is the root, where that is not to be private.
    pub root_travels: Option<u64>,
    /// True once a system call filter holds, and every descriptor is marked to be closed by exec.
    pub filtered: bool,
    /// True when the user namespace is the host's: capabilities are the real ones.
    pub rootless: bool,
    /// A socket that speaks to the network of the host, opened before this process left it.
    pub outside: Option<Socket>,
    /// The file of the program that this process runs until exec; none where it could not be found.
    pub program: Option<Identity>,
    /// What a step had to do otherwise than asked, in words for the person who asked.
    pub notes: Vec<String>,
    /// Its cgroup's name below each hierarchy's base, such as `skiff/web`.
    pub cgroup: String,
    /// Where it is to be told that it may start, for one that waits after its last step but exec.
    pub door: Option<OwnedFd>,
    /// It goes on when whoever made it has ended: somebody else looks after it then.
    pub outlives: bool,
    /// How many descriptors from 3 on the command is to have.
    pub preserved: u32,
    /// Standard input, output and error for exec, where they are not inherited.
    pub stdio: Vec<OwnedFd>,
    /// The way back to whoever waits for this process.
    pub upstream: Upstream,
}

impl Inside {
    /// A process that is still the host's in every respect.
    pub fn new(id: &str, store: &Path, upstream: Upstream) -> Self {
        Self {
            id: id.to_owned(),
            store: store.to_owned(),
            own: BTreeSet::new(),
            root: None,
            mounted: false,
            pivoted: false,
            forked: false,
            joined: false,
            no_new_privs: false,
            root_travels: None,
            filtered: false,
            rootless: !crate::kernel::userns::is_host_root(),
            outside: None,
            program: identity().ok(),
            notes: Vec::new(),
            cgroup: super::steps::cgroup::name(id),
            door: None,
            outlives: false,
            preserved: 0,
            stdio: Vec::new(),
            upstream,
        }
    }

    /// The folder of this container below the skiff root.
    pub fn folder(&self) -> PathBuf {
        self.store.join("containers").join(&self.id)
    }

    /// The directory that is, or will be, the container's `/`.
    pub fn root(&mut self) -> Result<BorrowedFd<'_>, SysError> {
        if self.root.is_none() {
            self.root = Some(open_dir(Path::new("/"))?);
        }
        self.root.as_ref().map(AsFd::as_fd).ok_or_else(|| SysError::new("open /", Errno::EBADF))
    }

    /// Says that the directory at `path` is the container's root from now on.
    pub fn set_root(&mut self, path: &Path) -> Result<(), SysError> {
        self.root = Some(open_dir(path)?);
        Ok(())
    }

    // ANCHOR: must_own
    /// Refuses what would change the host itself. The kernel lets root do it, and one learner's
    /// mistake would rename the machine or remount its disks; so here, and only here, skiff says no
    /// in the kernel's place.
    pub fn must_own(&self, ns: Ns, what: &str) -> Result<(), StepError> {
        if self.own.contains(&ns) {
            return Ok(());
        }
        let command = if ns == Ns::Mnt { "mount" } else { ns.name() };
        Err(StepError::from(SysError::new(what, Errno::EPERM))
            .because(format!("this process still shares the host's {ns} namespace: the change would be the host's too"))
            .try_this(format!("first: skiff step unshare {command}; see {}", man(ns))))
    }
    // ANCHOR_END: must_own
}

/// The man page about one kind of namespace.
fn man(ns: Ns) -> &'static str {
    match ns {
        Ns::User => "user_namespaces(7)",
        Ns::Mnt => "mount_namespaces(7)",
        Ns::Uts => "uts_namespaces(7)",
        Ns::Ipc => "ipc_namespaces(7)",
        Ns::Net => "network_namespaces(7)",
        Ns::Pid => "pid_namespaces(7)",
        Ns::Cgroup => "cgroup_namespaces(7)",
        Ns::Time => "time_namespaces(7)",
    }
}

fn open_dir(path: &Path) -> Result<OwnedFd, SysError> {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, nix::sys::stat::Mode::empty()).or_sys_with(|| format!("open {}", path.display()))
}
