//! Who looks after the monitor: a second process, its child, which takes over when it is killed.
//!
//! The container dies with its parent, the monitor (PR_SET_PDEATHSIG), whatever killed that. Where a
//! policy says that it is to come back, somebody must be there to do it. The second is a fork of the
//! first, made once the command runs: it shares the lock, so that the container is never taken for an
//! abandoned one, and it has the read ends of the container's pipes, so that what was written last is
//! not lost. It waits for one thing, the monitor's end, by a pidfd; then it goes on in the monitor's
//! place, and makes a second of its own. Meanwhile it runs the health checks, if there are any. When it is the second that is killed, the monitor makes
//! another. See it live: `pgrep -P MONITOR`, and the pids in the container's file `lock`.
//!
//! Left out: both killed at once. `skiff system resume` brings back what such a blow, or a reboot, ended.

use super::checks::ends_within;
use super::{Monitor, Running};
use crate::engine::container::{Container, Status};
use crate::engine::relay;
use crate::engine::restart::Policy;
use crate::kernel::SysError;
use crate::kernel::pidfd::{self, Fork, Pidfd};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use std::os::fd::AsFd;

/// The second process, as the monitor sees it.
pub(super) struct Watch {
    process: Pidfd,
}

impl Watch {
    /// Tells its end.
    pub(super) fn fd(&self) -> PollFd<'_> {
        PollFd::new(self.process.as_fd(), PollFlags::POLLIN)
    }

    /// Ends it, before the monitor does what it need not see.
    pub(super) fn end(self) {
        let _ = self.process.signal(Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// Exit code of a command that died with its monitor, or that nobody waited for.
const KILLED: i32 = 128 + Signal::SIGKILL as i32;

impl Monitor<'_> {
    /// Relays and waits until the command ends: its exit code.
    pub(super) fn attend_to(&mut self, running: &mut Running) -> i32 {
        loop {
            if let Some(old) = self.around.watch.take() {
                old.end();
            }
            let record = &self.prepared.container.record;
            if record.restart != Policy::No || record.health.is_some() {
                match self.be_watched() {
                    // From here on this is the second process.
                    Ok(None) => return self.take_over(running),
                    Ok(watch) => self.around.watch = watch,
                    // Not to be had: the container runs without.
                    Err(_) => {}
                }
                let _ = self.prepared.container.attend_with(self.around.watch.as_ref().map(|w| w.process.pid()));
            }
            match relay::until(&running.started.process, &mut self.signals, &mut running.streams, &mut None, &mut self.around) {
                Ok(false) => {}
                Ok(true) => return running.started.process.ended().map_or(255, pidfd::exit_code),
                Err(_) => return 255,
            }
        }
    }

    /// Makes the second process. In it, comes back with `None` once the monitor has ended.
    fn be_watched(&mut self) -> Result<Option<Watch>, SysError> {
        let own = Pidfd::open(std::process::id() as i32)?;
        match pidfd::fork()? {
            Fork::Parent(pid) => Ok(Some(Watch { process: Pidfd::open(pid)? })),
            Fork::Child => {
                // The monitor keeps the published ports, and gives them up between two runs.
                self.prepared.held.clear();
                self.check_until_the_end_of(&own);
                Ok(None)
            }
        }
    }

    /// The monitor was killed, and the command with it: what it wrote last, and how it ended.
    fn take_over(&mut self, running: &mut Running) -> i32 {
        let container = &mut self.prepared.container;
        if let Ok(now) = Container::open(container.store(), container.id()) {
            container.record = now.record;
        }
        let _ = container.attend();
        if container.record.status == Status::Restarting {
            return container.record.exit_code;
        }
        let _ = ends_within(&running.started.process, None);
        relay::drain(&mut running.streams, &mut vec![0; 64 * 1024], &mut self.around);
        KILLED
    }
}
