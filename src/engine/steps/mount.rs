//! Mount a file system inside the new root, or bind a path of the host there.
//!
//! See it live: `cat /proc/PID/mountinfo`. The mount is made detached and attached to a directory
//! that was opened inside the root, so that a symbolic link in the image cannot lead it out.
//! Options are mount(8)'s words, as the OCI runtime spec lists them.

use super::options::Options;
use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::engine::volume::copy;
use crate::kernel::mount::{self, attr};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The `mount` step; also `proc`, `dev`, `sys` and their like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, inside the root.
    pub target: PathBuf,
    /// File system type; `bind` for a path of the host.
    pub fstype: String,
    /// What is mounted: a path for a bind, else a label.
    pub source: String,
    /// Options as after `mount -o`.
    pub options: Vec<String>,
}

impl Mount {
    /// A mount of `fstype` at `target`.
    pub fn new(fstype: &str, target: &str, options: &[&str]) -> Self {
        Self {
            target: target.into(),
            fstype: fstype.into(),
            source: fstype.into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        }
    }

    /// The proc file system, as every container has it.
    pub fn proc() -> Self {
        Self::new("proc", "/proc", &["nosuid", "noexec", "nodev"])
    }

    fn is_bind(&self) -> bool {
        self.fstype == "bind" || self.options.iter().any(|o| o == "bind" || o == "rbind")
    }
}

impl Carry for Mount {
    fn about(&self) -> About {
        let target = self.target.display();
        let (name, why, man): (_, _, &[&str]) = match self.fstype.as_str() {
            _ if self.is_bind() => ("mount", "a file or directory of the host, seen inside at another place", &["mount(2)"]),
            "proc" => (
                "proc",
                "ps and top read /proc. It shows the pid namespace of the process that mounts it, so it is mounted by process 1",
                &["proc(5)", "pid_namespaces(7)"],
            ),
            "sysfs" => ("sys", "the kernel's view of devices; read-only, because it is one for the whole machine", &["sysfs(5)"]),
            "devpts" => ("devpts", "pseudo-terminals of the container's own, numbered from 0", &["pts(4)"]),
            "mqueue" => ("mqueue", "POSIX message queues of the ipc namespace", &["mq_overview(7)"]),
            "tmpfs" if self.target == PathBuf::from("/dev") => ("dev", "a /dev of its own; the host's would hand over its disks", &["tmpfs(5)"]),
            "tmpfs" => ("mount", "memory that is a directory; gone with the container", &["tmpfs(5)"]),
            _ => ("mount", "a part of the container's file system", &["mount(2)"]),
        };
        let what = if self.is_bind() { format!("bind {} at {target}", self.source) } else { format!("mount {} at {target}", self.fstype) };
        let options: Vec<&str> = self.options.iter().map(String::as_str).filter(|o| *o != "rbind" && *o != "bind").collect();
        let what = if options.is_empty() { what } else { format!("{what} ({})", options.join(",")) };
        let syscalls: &[&str] = if self.is_bind() {
            &["open_tree(OPEN_TREE_CLONE)", "openat2(RESOLVE_IN_ROOT)", "move_mount", "mount_setattr"]
        } else {
            &["fsopen", "fsconfig", "fsmount", "openat2(RESOLVE_IN_ROOT)", "move_mount"]
        };
        About { name, what, why, man, syscalls }
    }

    // ANCHOR: mount
    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, &format!("mount {} at {}", self.fstype, self.target.display()))?;
        let options = Options::of(&self.options);
        if self.is_bind() {
            return self.bind(&options, inside);
        }
        let shown = self.target.display().to_string();
        let (data, filled) = self.data(&options, inside)?;
        let made = mount::detached(&self.fstype, &self.source, &data, options.here.set & !if filled { attr::RDONLY } else { 0 }).map_err(|e| self.explain(e, inside))?;
        if filled {
            fill(&made, &self.target, inside)?;
            mount::change(&made, options.here, false, &shown)?;
        }
        let onto = self.place(inside)?;
        mount::attach(&made, onto, &shown)?;
        settle(&made, &options, &shown)?;
        if self.target.as_os_str() == "/proc" {
            self.check_is_ours(inside)?;
        }
        Ok(())
    }
    // ANCHOR_END: mount
}

impl Mount {
    /// A bind shows a file system that is mounted already: options of one mean nothing, as in mount(8).
    fn bind(&self, options: &Options, inside: &mut Inside) -> Result<(), StepError> {
        let shown = self.target.display().to_string();
        let source = PathBuf::from(&self.source);
        let tree = mount::clone_tree(None, &source, options.bind == Some(true))?;
        let is_dir = std::fs::metadata(&source).map(|m| m.is_dir()).unwrap_or(true);
        let root = inside.root()?;
        let onto = if is_dir { mount::make_dir_in_root(root, &self.target)? } else { mount::make_file_in_root(root, &self.target)? };
        mount::attach(&tree, onto, &shown)?;
        mount::change(&tree, options.here, false, &shown)?;
        // The propagation of a bind is its own: rprivate unless asked otherwise, as Docker does.
        if options.travels.is_empty() {
            mount::set_attributes(&tree, 0, mount::propagation::PRIVATE, true, &shown)?;
        }
        settle(&tree, options, &shown)
    }

    /// The directory that it will cover. A link where /proc or /sys should be would have them mounted
    /// elsewhere, and the masks that follow could be led to another place than they (CVE-2023-27561).
    fn place(&self, inside: &mut Inside) -> Result<OwnedFd, StepError> {
        let root = inside.root()?;
        if ["proc", "sysfs"].contains(&self.fstype.as_str()) && [Path::new("/proc"), Path::new("/sys")].contains(&self.target.as_path()) {
            match mount::open_in_root(root, &self.target, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0) {
                Err(e) if matches!(e.errno, Errno::ENOTDIR | Errno::ELOOP) => {
                    return Err(StepError::from(SysError::new(format!("mount {} at {}: it must be mounted on ordinary directory", self.fstype, self.target.display()), e.errno))
                        .because("the image has something else there, such as a symbolic link, which would lead what is mounted elsewhere")
                        .try_this("give the image a directory of that name"));
                }
                _ => {}
            }
        }
        Ok(mount::make_dir_in_root(root, &self.target)?)
    }

    /// What the file system itself reads; and whether a new tmpfs is to begin with what the root has there.
    fn data(&self, options: &Options, inside: &mut Inside) -> Result<(Vec<String>, bool), StepError> {
        let mut data = options.data.clone();
        if self.fstype != "tmpfs" {
            return Ok((data, false));
        }
        let there = mount::open_in_root(inside.root()?, &self.target, libc::O_PATH | libc::O_DIRECTORY, 0).ok();
        // It looks as the directory did that it covers, unless its mode is asked for.
        if let Some(there) = there.as_ref().filter(|_| !data.iter().any(|word| word.starts_with("mode="))) {
            let mode = fstat(there).or_sys_with(|| format!("look at {}", self.target.display()))?.st_mode & 0o7777;
            data.push(format!("mode={mode:o}"));
        }
        Ok((data, options.copy_up && there.is_some()))
    }

    /// A /proc that shows another pid namespace than the next process will live in is the classic
    /// mistake; the kernel accepts it without a word, so say it here.
    fn check_is_ours(&self, inside: &mut Inside) -> Result<(), StepError> {
        if inside.own.contains(&Ns::Pid) && !inside.forked {
            let here = mount::open_in_root(inside.root()?, &self.target, libc::O_PATH | libc::O_DIRECTORY, 0)?;
            nix::unistd::fchdir(&here).or_sys("enter the new /proc")?;
            mount::detach_here()?;
            return Err(StepError::from(SysError::new("use this /proc", Errno::EINVAL))
                .because(
                    "the kernel mounted it, and it shows the host's processes: proc shows the pid namespace of the process that \
                     mounts it, and this one still lives in the old one. It was taken off again",
                )
                .try_this("first: skiff step fork; the child lives in the new pid namespace"));
        }
        Ok(())
    }

    fn explain(&self, error: SysError, inside: &Inside) -> StepError {
        let errno = error.errno;
        let step = StepError::from(error);
        match (errno, self.fstype.as_str()) {
            (Errno::EPERM, "proc") if !inside.own.contains(&Ns::Pid) => step
                .because("proc needs CAP_SYS_ADMIN in the user namespace that owns the pid namespace, and this process still lives in the host's")
                .try_this("first: skiff step unshare pid, then skiff step fork"),
            (Errno::EPERM, "proc") if !inside.forked => step
                .because("this process still lives in the old pid namespace: only a child is born into the new one")
                .try_this("first: skiff step fork"),
            (Errno::EPERM, "proc") => step
                .because("parts of the /proc outside are hidden by other mounts (we run in a container), and the kernel does not let them be uncovered")
                .try_this("give that container --security-opt systempaths=unconfined"),
            (Errno::EPERM, "sysfs") => step
                .because("sysfs needs CAP_SYS_ADMIN in the user namespace that owns the network namespace")
                .try_this("make a network namespace after the user namespace: skiff step unshare net"),
            (Errno::EPERM, _) => step
                .because("needs CAP_SYS_ADMIN in the user namespace that owns the mount namespace")
                .try_this("make the mount namespace after the user namespace; see user_namespaces(7)"),
            _ => step,
        }
    }
}

/// What is changed once it is in its place.
fn settle(made: &OwnedFd, options: &Options, shown: &str) -> Result<(), StepError> {
    mount::change(made, options.below, true, shown)?;
    for (travels, recursive) in &options.travels {
        mount::set_attributes(made, 0, *travels, *recursive, shown)?;
    }
    Ok(())
}

/// Copies what the root has at `target` into a file system that is not attached yet (`tmpcopyup`).
fn fill(made: &OwnedFd, target: &Path, inside: &mut Inside) -> Result<(), StepError> {
    let from = mount::open_in_root(inside.root()?, target, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let to = mount::open_in_root(made, Path::new("."), libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    Ok(copy::tree(from, to)?)
}
