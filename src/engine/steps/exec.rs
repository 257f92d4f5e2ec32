//! Become the command (execve(2)): the last step, after which nothing of skiff is left in the process.
//!
//! The command is looked for in the container's own PATH, by the container's user. Descriptors from
//! 3 on are closed by the exec itself: one that pointed to a directory of the host would be a way
//! out (CVE-2024-21626). Exit codes follow the shell: 127 not found, 126 found but not to be run.

use crate::engine::init;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, SysError, mount, pidfd, sealed};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{SFlag, fstat, makedev};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The `exec` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<String>,
}

impl Carry for Exec {
    fn about(&self) -> About {
        About {
            name: "exec",
            what: format!("become {}", self.argv.join(" ")),
            why: "everything before this shaped the process; exec keeps all of it and only exchanges the program",
            man: &["execve(2)", "close_range(2)"],
            syscalls: &["dup2", "close_range(CLOSE_RANGE_CLOEXEC)", "execve"],
        }
    }

    // ANCHOR: exec
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        let program = self.program(inside)?;
        let argv = strings(&self.argv)?;
        let env = strings(&self.env)?;
        take_stdio(inside)?;
        // Asked for again: the kernel forgot it when the user changed. Whoever waits for the command
        // is the one that cleans up after it, so it does not outlive them.
        if inside.outlives { pidfd::outlive_parent() } else { pidfd::die_with_parent(Signal::SIGKILL) }?;
        if !inside.filtered {
            pidfd::close_on_exec_from(3 + inside.preserved)?;
        }
        keep_open(inside.preserved)?;
        self.signals()?;
        let path = CString::new(program.as_os_str().as_encoded_bytes()).map_err(|_| self.failed(Errno::EINVAL))?;
        let Err(errno) = nix::unistd::execve(&path, &argv, &env);
        Err(self.failed(errno))
    }
    // ANCHOR_END: exec
}

impl Exec {
    /// The program's file, if it may be run; to be asked by the user and in the root that will run it.
    pub(super) fn program(&self, inside: &Inside) -> Result<PathBuf, StepError> {
        let program = self.find()?;
        self.spare_our_own(&program, inside)?;
        Ok(program)
    }

    /// Where the command lies: as given if it has a `/`, else the first match in PATH that may be run.
    fn find(&self) -> Result<PathBuf, StepError> {
        let Some(name) = self.argv.first().filter(|n| !n.is_empty()) else {
            return Err(StepError::from(SysError::new("run nothing", Errno::EINVAL))
                .because("the image names no command and none was given")
                .try_this("name one after the image: skiff run IMAGE COMMAND"));
        };
        if name.contains('/') {
            return Ok(name.into());
        }
        let path = self.env.iter().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut refused = Errno::ENOENT;
        for folder in path.split(':').filter(|f| !f.is_empty()) {
            let candidate = Path::new(folder).join(name);
            if candidate.is_dir() {
                continue;
            }
            match nix::unistd::access(&candidate, nix::unistd::AccessFlags::X_OK) {
                Ok(()) => return Ok(candidate),
                Err(Errno::EACCES) => refused = Errno::EACCES,
                Err(_) => {}
            }
        }
        Err(self.failed(refused))
    }

    /// A command that leads back to skiff's own file would put that file into the container's hands
    /// (CVE-2019-5736).
    fn spare_our_own(&self, program: &Path, inside: &Inside) -> Result<(), StepError> {
        let exposed = match inside.program {
            Some(own) => sealed::exposed_by(program, own),
            None => Ok(false),
        };
        match exposed {
            Ok(false) => Ok(()),
            Ok(true) => Err(StepError::from(SysError::new(format!("run {}", program.display()), Errno::EPERM))
                .because("it leads to the program of skiff itself, on the host, which a container must not get hold of")
                .try_this("name a program of the image")),
            Err(errno) => Err(StepError::from(SysError::new(format!("run {}", program.display()), errno))
                .because("root in the container may run this file and not read it, so skiff cannot see whether it leads back to skiff's own program")
                .try_this("chmod +r it in the image")),
        }
    }

    /// Ignored signals and the mask survive exec (signal(7)); a program expects neither from us. Our
    /// own init does: what came before it holds signals back would be lost, for it is process 1.
    fn signals(&self) -> Result<(), StepError> {
        crate::kernel::signal::default_all();
        let held = if self.argv.first().is_some_and(|a| a == init::PATH) { SigSet::all() } else { SigSet::empty() };
        Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&held), None).or_sys("set the signal mask")?)
    }

    fn failed(&self, errno: Errno) -> StepError {
        let name = self.argv.first().map_or("", String::as_str);
        let error = StepError::from(SysError::new(format!("run {name}"), errno));
        match errno {
            Errno::ENOENT if name.contains('/') => error
                .because("there is no such file in the container, or the interpreter or loader that it names is missing")
                .try_this("look: skiff run IMAGE ls -l PATH"),
            Errno::ENOENT if name.starts_with('-') => error
                .because("what follows the image is the command, and this looks like an option of skiff's")
                .try_this("options stand before the image: skiff run --rm IMAGE COMMAND"),
            Errno::ENOENT => error
                .because("no folder of the container's PATH has a program of that name")
                .try_this("see what it has: skiff run IMAGE ls /bin"),
            Errno::EACCES => error
                .because("the file is there, and this user may not execute it (no x bit, a directory, or a noexec mount)")
                .try_this("chmod +x it in the image, or run it through its interpreter"),
            Errno::ENOEXEC => error.because("the file is neither a program for this machine nor a script with a #! line").try_this("run it through its interpreter"),
            Errno::ENOMEM => error
                .because("process 1 of the new pid namespace has ended, and the kernel makes no more processes in it (pid_namespaces(7))")
                .try_this("fork before exec: skiff step undo, then skiff step fork"),
            _ => error,
        }
    }
}

fn strings(list: &[String]) -> Result<Vec<CString>, StepError> {
    list.iter()
        .map(|s| CString::new(s.as_str()).map_err(|_| SysError::new(format!("pass {s:?} with a NUL byte"), Errno::EINVAL).into()))
        .collect()
}

/// The descriptors that were handed over with the container, to its command.
fn keep_open(count: u32) -> Result<(), StepError> {
    for fd in 3..3 + count.cast_signed() {
        pidfd::pass_through_exec(fd).or_sys_with(|| format!("hand over descriptor {fd}"))?;
    }
    Ok(())
}

/// Puts the descriptors that were sent along at 0, 1 and 2.
fn take_stdio(inside: &mut Inside) -> Result<(), StepError> {
    let fds = std::mem::take(&mut inside.stdio);
    let [input, output, error] = fds.as_slice() else { return Ok(()) };
    if is_null(input) {
        own_null_as_input(inside)?;
    } else {
        nix::unistd::dup2_stdin(input.as_fd()).or_sys("take standard input")?;
    }
    nix::unistd::dup2_stdout(output.as_fd()).or_sys("take standard output")?;
    nix::unistd::dup2_stderr(error.as_fd()).or_sys("take standard error")?;
    // A terminal that came along becomes the controlling one, where the session has none yet:
    // Ctrl-C works. Where it has one, or leads no session, nothing is lost.
    if nix::unistd::isatty(input.as_fd()).unwrap_or(false) {
        let _ = nix::unistd::setsid();
        let _ = crate::kernel::pty::make_controlling(input.as_fd());
    }
    Ok(())
}

fn is_null(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR && s.st_rdev == makedev(1, 3))
}

/// The container's own /dev/null as standard input, where the host's was given: through
/// /proc/self/fd/0 root inside could take that from every user of the host (chmod(2)). Where it
/// has none, a pipe that has ended.
fn own_null_as_input(inside: &mut Inside) -> Result<(), StepError> {
    // First, so that there is room for what follows however low RLIMIT_NOFILE is by now.
    nix::unistd::close(0).or_sys("let go of standard input")?;
    let mut open = |flags| -> Result<Option<OwnedFd>, SysError> { Ok(mount::open_in_root(inside.root()?, Path::new("/dev/null"), flags, 0).ok().filter(is_null)) };
    // Looked at before it is opened for reading: what a container put there may be a FIFO.
    let own = if open(libc::O_PATH)?.is_some() { open(libc::O_RDWR | libc::O_NONBLOCK)? } else { None };
    let own = match own {
        Some(own) => own,
        None => nix::unistd::pipe2(OFlag::O_CLOEXEC).or_sys("make a pipe")?.0,
    };
    if own.as_raw_fd() != 0 {
        return Ok(nix::unistd::dup2_stdin(own.as_fd()).or_sys("take standard input")?);
    }
    fcntl(&own, FcntlArg::F_SETFD(FdFlag::empty())).or_sys("take standard input")?;
    // It is standard input now, and stays open.
    let _ = own.into_raw_fd();
    Ok(())
}

