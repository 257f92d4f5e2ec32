//! Process 1 of the guest: mounts, modules, the disk, the agent; then it buries orphans until the
//! agent ends, and powers off (reboot(2)).
//!
//! The kernel's first root, rootfs, cannot be pivoted away from (pivot_root(2)), and an engine must:
//! so the root is bound once over itself, which copies nothing. What the learner makes goes to the
//! disk, bound where it is looked for: /root and /var/lib/skiff.

use super::modprobe;
use crate::kernel::pidfd::{self, Fork};
use crate::kernel::{OrSys, SysError};
use crate::lab::pack::MODPROBE;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The guest's name.
const HOSTNAME: &str = "lab";

/// Where the disk is mounted.
const DISK: &str = "/disk";

/// Plays init; never returns. What goes wrong is said on the console. `agent` is what opens sessions.
pub fn init(agent: impl FnOnce() -> Result<(), SysError>) -> ! {
    if let Err(error) = set_up().and_then(|()| run(agent)) {
        let _ = writeln!(std::io::stderr(), "drydock: {error}");
    }
    power_off()
}

fn set_up() -> Result<(), SysError> {
    own_root()?;
    let none = MsFlags::empty();
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    attach("proc", "proc", "/proc", quiet, "")?;
    attach("sysfs", "sysfs", "/sys", quiet, "")?;
    attach("devtmpfs", "devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=755")?;
    folder("/dev/pts")?;
    attach("devpts", "devpts", "/dev/pts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, "gid=5,mode=620,ptmxmode=666")?;
    folder("/dev/shm")?;
    attach("tmpfs", "tmpfs", "/dev/shm", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777")?;
    attach("tmpfs", "tmpfs", "/run", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=755")?;
    attach("cgroup2", "cgroup2", "/sys/fs/cgroup", quiet, "")?;
    for (link, to) in [("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"), ("/dev/stderr", "/proc/self/fd/2")] {
        let _ = std::os::unix::fs::symlink(to, link);
    }
    write("/proc/sys/kernel/modprobe", MODPROBE)?;
    modprobe::load_at_boot()?;
    delegate()?;
    keep_on_disk(none)?;
    crate::lab::share::mount_in_guest();
    nix::unistd::sethostname(HOSTNAME).or_sys("set the hostname")?;
    write("/etc/hostname", &format!("{HOSTNAME}\n"))?;
    write("/etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {HOSTNAME}\n"))?;
    crate::kernel::net::loopback_up()
}

/// Binds the root over itself and moves it on top: from here on it has a parent.
fn own_root() -> Result<(), SysError> {
    let nothing = None::<&str>;
    mount(Some("/"), "/host", nothing, MsFlags::MS_BIND, nothing).or_sys("bind the root")?;
    std::env::set_current_dir("/host").or_sys("enter the root")?;
    mount(Some("."), "/", nothing, MsFlags::MS_MOVE, nothing).or_sys("move the root")?;
    nix::unistd::chroot(".").or_sys("enter the root")?;
    std::env::set_current_dir("/").or_sys("enter the root")
}

fn attach(kind: &str, source: &str, at: &str, flags: MsFlags, options: &str) -> Result<(), SysError> {
    mount(Some(source), at, Some(kind), flags, Some(options)).or_sys_with(|| format!("mount {kind} on {at}"))
}

fn folder(path: &str) -> Result<(), SysError> {
    std::fs::create_dir_all(path).or_sys_with(|| format!("make {path}"))
}

fn write(path: &str, text: &str) -> Result<(), SysError> {
    std::fs::write(path, text).or_sys_with(|| format!("write {path}"))
}

/// Every controller that there is, for the groups below: what systemd does on a whole machine.
fn delegate() -> Result<(), SysError> {
    let there = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").or_sys("read which controllers there are")?;
    for controller in there.split_whitespace() {
        // One at a time: what one refuses (cpu, with realtime processes) is no matter to the others.
        let _ = std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", format!("+{controller}"));
    }
    Ok(())
}

/// Mounts the disk, and binds what is kept to where it belongs.
fn keep_on_disk(flags: MsFlags) -> Result<(), SysError> {
    attach("ext4", "/dev/vda", DISK, flags | MsFlags::MS_NOATIME, "discard")?;
    for (kept, at) in [("root", "/root"), ("skiff", "/var/lib/skiff")] {
        let kept = format!("{DISK}/{kept}");
        folder(&kept)?;
        folder(at)?;
        mount(Some(kept.as_str()), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).or_sys_with(|| format!("bind {kept} on {at}"))?;
    }
    Ok(())
}

/// Forks the agent, which needs no exec (a tenth of a second in software), and waits for it and for
/// every orphan that comes our way.
fn run(agent: impl FnOnce() -> Result<(), SysError>) -> Result<(), SysError> {
    let agent = match pidfd::fork()? {
        Fork::Child => {
            let result = std::env::set_current_dir("/root").or_sys("enter /root").and_then(|()| agent());
            if let Err(error) = &result {
                let _ = writeln!(std::io::stderr(), "drydock: {error}");
            }
            pidfd::exit_now(i32::from(result.is_err()))
        }
        Fork::Parent(pid) => pid,
    };
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, 0)) if pid.as_raw() == agent => return Ok(()),
            Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..))) if pid.as_raw() == agent => {
                let _ = writeln!(std::io::stderr(), "drydock: the agent ended: {status:?}");
                return Ok(());
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(SysError::new("wait for the agent", errno)),
        }
    }
}

/// Ends every process, politely and then not; puts the disk in order; switches off.
fn power_off() -> ! {
    for (signal, patience) in [(Signal::SIGTERM, Duration::from_millis(1500)), (Signal::SIGKILL, Duration::from_secs(3))] {
        let _ = kill(Pid::from_raw(-1), signal);
        let end = Instant::now() + patience;
        // Every other process is a child of ours by the time its parent has ended.
        while Instant::now() < end {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(_) => break,
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(5)),
                Ok(_) => {}
            }
        }
    }
    for at in ["/root", "/var/lib/skiff", DISK] {
        let _ = umount2(Path::new(at), MntFlags::MNT_DETACH);
    }
    nix::unistd::sync();
    let _ = reboot(RebootMode::RB_POWER_OFF);
    // Where the kernel cannot: QEMU ends at a restart (-no-reboot).
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    pidfd::exit_now(0)
}
