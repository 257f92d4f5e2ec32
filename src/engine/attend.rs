//! Who waits for a container: the process that holds its lock (flock(2)).
//!
//! The kernel lets go of a lock when the last process that shares it ends, however it ends, so a free
//! one means that nobody looks after the container. See it live: `cat /proc/locks`, and the file
//! `lock` in the container's folder, which says who; at the end, how the command ended.

use super::container::{Container, Status};
use super::error::Error;
use crate::kernel::ns::Ns;
use crate::kernel::pidfd::{Pidfd, reap_any};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// Between two looks at a container that is being started.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Container {
    /// Takes the lock that says: somebody waits for this container.
    pub(super) fn lock(&mut self) -> Result<(), Error> {
        let path = self.folder().join("lock");
        let file = File::create(&path).or_sys_with(|| format!("make {}", path.display()))?;
        file.try_lock().map_err(|_| SysError::new(format!("lock {}", path.display()), Errno::EWOULDBLOCK))?;
        self.lock = Some(file);
        self.attend()
    }

    /// Writes into the lock who waits. The lock alone cannot tell: a process on its way to becoming
    /// the container holds it too, and for a moment outlives one that was killed.
    pub(super) fn attend(&self) -> Result<(), Error> {
        self.attend_with(None)
    }

    /// The same, with who takes over from us.
    pub(super) fn attend_with(&self, second: Option<i32>) -> Result<(), Error> {
        let own = std::process::id();
        let second = second.map(|pid| format!(" {pid}")).unwrap_or_default();
        Ok(self.write_lock(&format!("{own} {}{second}", Ns::Pid.inode(own as i32)?))?)
    }

    /// Leaves the exit code to those who wait for the lock: the rest may be removed by then (`--rm`).
    pub(super) fn tell_code(&self, code: i32) {
        let _ = self.write_lock(&format!("exit {code}"));
    }

    fn write_lock(&self, text: &str) -> Result<(), SysError> {
        use std::os::unix::fs::FileExt;
        let Some(file) = &self.lock else { return Ok(()) };
        file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0)).or_sys_with(|| format!("write {}/lock", self.folder().display()))
    }

    /// True when whoever waited has ended, while the lock is not free yet: that is a matter of moments.
    pub(super) fn is_abandoned(&self) -> bool {
        let text = fs::read_to_string(self.folder().join("lock")).unwrap_or_default();
        let numbers: Vec<u64> = text.split(' ').filter_map(|n| n.parse().ok()).collect();
        let [pid, namespace, others @ ..] = numbers.as_slice() else { return false };
        // A pid of another pid namespace says nothing here.
        let ours = Ns::Pid.inode(std::process::id() as i32) == Ok(*namespace);
        let is_over = |pid: &u64| i32::try_from(*pid).is_ok_and(|pid| Pidfd::open(pid).map_or(true, |process| process.is_over()));
        ours && is_over(pid) && others.iter().all(is_over)
    }

    /// Process 1, which may be another by now than when the record was read. Who is being started by
    /// somebody else has none yet: it is waited for, or a signal would be lost and the wait for the end
    /// be as long as the container lives.
    pub(super) fn process_by_now(&self) -> Option<Pidfd> {
        loop {
            match Self::open(self.store(), self.id()) {
                Ok(now) if now.status() == Status::Creating && now.record.pid == 0 && !now.is_abandoned() => std::thread::sleep(BETWEEN_LOOKS),
                Ok(now) => return Pidfd::open(now.record.pid).ok(),
                Err(_) => return Pidfd::open(self.record.pid).ok(),
            }
        }
    }

    /// Ends the wait: lets go of the lock, and only then of the pid of the process that has ended.
    /// Until then nobody can have taken that pid, so that no `kill` meets a stranger.
    pub(super) fn let_go(&mut self) {
        self.lock = None;
        while let Ok(Some(_)) = reap_any() {}
    }

    /// True while a process waits for this container: its lock is taken.
    pub fn is_attended(&self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        is_locked(&self.folder())
    }
}

/// True while somebody holds the lock in a container's folder. A fork shares the lock with its
/// parent, so that a monitor keeps it when the process that started it ends.
pub(super) fn is_locked(folder: &Path) -> bool {
    File::open(folder.join("lock")).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
