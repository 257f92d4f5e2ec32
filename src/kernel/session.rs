//! A program in a session and on a terminal of its own (setsid(2), tty_ioctl(4), credentials(7)).
//!
//! What a login does for a shell: a new session, the terminal as its controlling one, the same
//! terminal as standard input, output and error. Job control and Ctrl-C then work as they do for a
//! person. See it live: `ps -o pid,sid,tty,tpgid`. Contract: the caller keeps the master and reads
//! it; dropping the master hangs the session up (SIGHUP).
//! Bigger programs (login(1), sshd) also write utmp and change the terminal's owner.
#![allow(unsafe_code)]

use super::{OrSys, SysError, mount, pty};
use nix::mount::MsFlags;
use nix::sys::signal::{SigSet, Signal};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Starts `command` as the leader of a new session whose controlling terminal is `slave`.
pub fn start(command: &mut Command, slave: OwnedFd) -> Result<Child, SysError> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let input = slave.try_clone().or_sys("keep the terminal")?;
    let output = slave.try_clone().or_sys("keep the terminal")?;
    command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(slave));
    let become_leader = || {
        nix::unistd::setsid()?;
        // Whoever starts a session may read signals from a descriptor, and so have them blocked.
        SigSet::empty().thread_set_mask()?;
        pty::make_controlling(std::io::stdin()).map_err(|e| std::io::Error::from(e.errno))
    };
    // SAFETY: between fork and exec it makes three system calls; the only memory it asks for is
    // the name of a failed call, in a child that then writes the errno and exits.
    unsafe { command.pre_exec(become_leader) };
    command.spawn().or_sys_with(|| format!("run {shown} on a terminal"))
}

/// Has the kernel kill `command`'s process when the calling thread ends, however it ends
/// (PR_SET_PDEATHSIG, set between fork and exec).
pub fn ends_with_us(command: &mut Command) {
    gets_at_our_end(command, Signal::SIGKILL);
}

/// Has the kernel hang up on `command`'s process when the calling thread ends: an interactive shell then
/// ends too, whatever it is doing, which the hang-up of its terminal does not reach while another process
/// group is in front.
pub fn hangs_up_with_us(command: &mut Command) {
    gets_at_our_end(command, Signal::SIGHUP);
}

fn gets_at_our_end(command: &mut Command, signal: Signal) {
    let ask = move || super::pidfd::die_with_parent(signal).map_err(|e| std::io::Error::from(e.errno));
    // SAFETY: between fork and exec it makes one system call; memory is asked for only to name a
    // failure, in a child that then writes the errno and exits.
    unsafe { command.pre_exec(ask) };
}

/// Asks the scheduler to run the calling process before others: nice -10 (setpriority(2)), for which it
/// needs CAP_SYS_NICE. A refusal changes nothing.
pub fn goes_first() {
    // SAFETY: it takes three numbers and touches no memory of ours.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
}

/// Starts `command` in a session of its own, without a terminal: what closes ours does not reach it.
/// Descriptors that we were started with stay behind too: a lock of the shell's must not outlive it.
pub fn detached(command: &mut Command) {
    let leave = || {
        super::pidfd::close_on_exec_from(3).map_err(|e| std::io::Error::from(e.errno))?;
        Ok(nix::unistd::setsid().map(drop)?)
    };
    // SAFETY: between fork and exec it makes two system calls.
    unsafe { command.pre_exec(leave) };
}

/// Has `command` see `folder` read-only, by a bind mount in a mount namespace of its own
/// (mount_namespaces(7)); where we are not root, in a user namespace that maps only ourselves.
pub fn sees_read_only(command: &mut Command, folder: &std::path::Path) {
    let folder = folder.to_owned();
    let cover = move || {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if !uid.is_root() {
            super::ns::unshare(super::ns::Ns::User).map_err(|e| std::io::Error::from(e.errno))?;
            let own = |outside| super::userns::IdRange { inside: 0, outside, count: 1 };
            super::userns::write_own_single_maps(own(uid.as_raw()), own(gid.as_raw())).map_err(|e| std::io::Error::from(e.errno))?;
        }
        super::ns::unshare(super::ns::Ns::Mnt).map_err(|e| std::io::Error::from(e.errno))?;
        let none = None::<&str>;
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        // With all that is mounted below it, and whatever flags those mounts have.
        let tree = mount::clone_tree(None, &folder, true).map_err(|e| std::io::Error::from(e.errno))?;
        mount::set_attributes(&tree, mount::attr::RDONLY, 0, true, "the share").map_err(|e| std::io::Error::from(e.errno))?;
        let at = std::fs::File::open(&folder)?;
        mount::attach(&tree, &at, "the share").map_err(|e| std::io::Error::from(e.errno))?;
        Ok(())
    };
    // SAFETY: our process has one thread when it is called (the caller's contract), so the child may
    // ask for memory: no lock of the allocator was left held by another.
    unsafe { command.pre_exec(cover) };
}
