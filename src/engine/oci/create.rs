//! From a bundle to a process that waits to be started (OCI runtime spec, runtime.md, "Create").
//!
//! The order is the spec's: the config is read and refused or taken; the process gets its namespaces;
//! the hooks of the runtime run; the process goes on to its door. What fails undoes all of it, and
//! the poststop hooks run, as after every end.
//! See it live: `skiff oci --root DIR create -b BUNDLE ID && skiff oci --root DIR state ID`.

use super::config::{self, Bundle};
use super::error::{Error, refused};
use super::state::{Folder, Kept, State, put};
use super::{console, hooks, life};
use crate::engine::hold::{Held, Outliving, spawn_outliving};
use crate::engine::host::{Host, layout};
use crate::engine::plan::{Place, Plan};
use crate::engine::seccomp;
use crate::engine::steps::rootfs::Source;
use crate::kernel::cgroup::Cgroup;
use crate::kernel::proc;
use crate::kernel::pty::{self, Size};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, bind, listen, socket};
use oci_spec::runtime::{Hook, Process, Spec};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What `create` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Where containers are kept.
    pub root: PathBuf,
    /// The container's id.
    pub id: String,
    /// The folder with its config.json.
    pub bundle: PathBuf,
    /// Who gets its terminal.
    pub console_socket: Option<PathBuf>,
    /// Where its pid is written.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on are its command's.
    pub preserved: u32,
    /// Do not use pivot_root(2), which a root on the initramfs refuses.
    pub no_pivot: bool,
    /// Its cgroup is to be systemd's.
    pub systemd_cgroup: bool,
    /// This process stays and looks after its terminal.
    pub attended: bool,
}

/// What there is now.
#[derive(Debug)]
pub struct Created {
    /// Its folder.
    pub folder: Folder,
    /// Its process, and what came from it.
    pub held: Held,
}

/// Makes a container that waits to be started.
pub fn create(wanted: &Wanted) -> Result<Created, Error> {
    check_descriptors(wanted.preserved)?;
    let bundle = Bundle::read(&wanted.bundle)?;
    check_console(wanted, &bundle.spec)?;
    let cgroup = config::cgroup(&bundle.spec, &wanted.id, wanted.systemd_cgroup)?;
    if wanted.root.join(&wanted.id).symlink_metadata().is_ok() {
        return Err(Error::Exists { id: wanted.id.clone() });
    }
    check_cgroup(&cgroup)?;
    let host = Host { rootless: false, uid: 0, gid: 0, granted: None, cgroups: layout().ok() };
    let filter = seccomp::of(&bundle.spec, None)?;
    let place = Place {
        id: wanted.id.clone(),
        root: Source::Directory(bundle.rootfs.clone()),
        endpoints: Vec::new(),
        tap: None,
        filter,
        bundle: Some(bundle.at.clone()),
        no_pivot: wanted.no_pivot,
    };
    let plan = Plan::from_config(&bundle.spec, &place, &host);
    let kept = Kept {
        id: wanted.id.clone(),
        bundle: bundle.at.clone(),
        rootfs: bundle.rootfs.clone(),
        pid: 0,
        started: 0,
        created: SystemTime::now(),
        cgroup,
        owner: nix::unistd::geteuid().as_raw(),
    };
    let mut folder = Folder::make(&wanted.root, kept)?;
    let made = write_config(&folder, &bundle).and_then(|()| process(wanted, &bundle.spec, &plan, &mut folder));
    match made {
        Ok(held) => Ok(Created { folder, held }),
        Err(error) => {
            // What is told is why it could not be made; that something of it stays would be said by `delete`.
            let _ = life::undo(&folder);
            let _ = life::poststop(&folder, &bundle.spec);
            folder.remove();
            Err(error)
        }
    }
}

/// A cgroup that others are in is theirs: its limits would be ours, and our end would be theirs.
fn check_cgroup(name: &str) -> Result<(), Error> {
    match Cgroup::open(&layout()?, name)?.map(|group| group.processes().len()) {
        Some(count) if count > 0 => Err(refused(format!("the cgroup {name}"), format!("{count} processes are in it already"), "another linux.cgroupsPath, or another id")),
        _ => Ok(()),
    }
}

/// The descriptors that are handed over must be there before we open any: or one of ours, which may lead
/// to the host's files, would be taken for one of them (CVE-2024-21626 is what comes of such a one).
pub(super) fn check_descriptors(count: u32) -> Result<(), Error> {
    match (3..3u32.saturating_add(count)).find(|fd| !crate::kernel::pidfd::is_open(fd.cast_signed())) {
        Some(fd) => Err(refused(format!("--preserve-fds {count}"), format!("there is no descriptor {fd}"), "pass as many as are open from 3 on")),
        None => Ok(()),
    }
}

fn check_console(wanted: &Wanted, spec: &Spec) -> Result<(), Error> {
    let terminal = spec.process().as_ref().and_then(|p| p.terminal()).unwrap_or(false);
    match (&wanted.console_socket, terminal) {
        (None, true) if !wanted.attended => Err(refused("process.terminal", "nobody would hold its other side: create does not stay", "--console-socket PATH")),
        (Some(_), false) => Err(refused("--console-socket", "the container has no terminal", "set process.terminal in config.json")),
        _ => Ok(()),
    }
}

fn write_config(folder: &Folder, bundle: &Bundle) -> Result<(), Error> {
    let text = serde_json::to_vec(&bundle.spec).map_err(|_| SysError::new("write config.json", Errno::EINVAL))?;
    Ok(put(&folder.at.join("config.json"), &text)?)
}

/// Starts the process and follows it to its door.
fn process(wanted: &Wanted, spec: &Spec, plan: &Plan, folder: &mut Folder) -> Result<Held, Error> {
    let door = open_door(&folder.door())?;
    let outliving = Outliving { id: &wanted.id, cgroup: &folder.kept.cgroup, door: Some(door), preserved: wanted.preserved };
    let mut held = spawn_outliving(outliving, &plan.steps)?;
    let state = State::creating(&wanted.id, &folder.kept.bundle, spec);
    let ready = held.until_ready(&mut |pid| outside(spec, &State { pid: Some(pid), ..state.clone() }));
    let noted = ready.map_err(Error::from).and_then(|()| note(wanted, spec, folder, &held));
    if let Err(error) = noted {
        let _ = held.process.signal(Signal::SIGKILL);
        let _ = held.process.wait();
        return Err(error);
    }
    Ok(held)
}

/// The hooks of the runtime's own namespaces.
#[allow(deprecated)]
fn outside(spec: &Spec, state: &State) -> Result<(), crate::engine::step::StepError> {
    let Some(all) = spec.hooks() else { return Ok(()) };
    let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
    hooks::run("prestart", &list(all.prestart()), state)?;
    hooks::run("createRuntime", &list(all.create_runtime()), state)
}

/// Writes down who it is, and hands over what others wait for.
fn note(wanted: &Wanted, spec: &Spec, folder: &mut Folder, held: &Held) -> Result<(), Error> {
    folder.kept.pid = held.process.pid();
    folder.kept.started = proc::Process::open(held.process.pid())?.start()?;
    folder.write()?;
    hand_over(held, spec.process().as_ref(), wanted.console_socket.as_deref(), wanted.pid_file.as_deref())
}

/// Hands over what others wait for: the terminal, in the size that its process is to find, and the pid.
pub(super) fn hand_over(held: &Held, process: Option<&Process>, console_socket: Option<&Path>, pid_file: Option<&Path>) -> Result<(), Error> {
    if let Some(terminal) = &held.terminal {
        if let Some(process) = process {
            resize(process, terminal)?;
        }
        if let Some(socket) = console_socket {
            console::send(socket, b"/dev/pts/0", terminal)?;
        }
    }
    match pid_file {
        Some(path) => Ok(put(path, held.process.pid().to_string().as_bytes())?),
        None => Ok(()),
    }
}

/// Gives a terminal the size that its process is to find.
fn resize(process: &Process, terminal: &OwnedFd) -> Result<(), SysError> {
    let Some(size) = process.console_size() else { return Ok(()) };
    let letters = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    pty::set_size(terminal, Size { rows: letters(size.height()), columns: letters(size.width()) })
}

/// A listening socket in the container's folder.
fn open_door(path: &Path) -> Result<OwnedFd, SysError> {
    let what = || format!("listen at {}", path.display());
    let door = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).or_sys_with(what)?;
    let folder = console::folder_of(path)?;
    bind(door.as_raw_fd(), &console::address(&folder, path)?).or_sys_with(what)?;
    listen(&door, Backlog::new(1).or_sys_with(what)?).or_sys_with(what)?;
    Ok(door)
}
