//! The command has ended: is it started again, and when (`--restart`).

use super::{Monitor, Running};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::network::join;
use crate::engine::{life, run, start};
use crate::kernel::{OrSys, SysError, pidfd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

impl Monitor<'_> {
    /// Starts the command again if the policy says so. `None` when the container's life is over, and
    /// all is cleaned up.
    pub(super) fn again(&mut self, code: i32, ran: Duration) -> Option<Running> {
        let container = &mut self.prepared.container;
        // `update` and `rename` may have been by.
        if let Ok(now) = Container::open(container.store(), container.id()) {
            container.record = now.record;
        }
        let policy = container.record.restart;
        if !policy.wants_again(code, container.record.restarts) || container.is_halted() {
            return self.over(code);
        }
        let oom = life::oom_killed(container.id());
        container.say_ended(code, oom);
        container.release();
        // Free for others meanwhile, as the addresses are.
        self.prepared.held.clear();
        let _ = container.set_ended(code, oom, true);
        // Its pid stands nowhere any more.
        while let Ok(Some(_)) = pidfd::reap_any() {}
        let stopped = pause(container, self.backoff.next(ran)).unwrap_or(true);
        if stopped {
            return self.over(code);
        }
        match self.once_more() {
            Ok(running) => Some(running),
            Err(error) => {
                self.end_watch();
                run::abandon(&mut self.prepared.container, true, &error);
                self.prepared.container.let_go();
                None
            }
        }
    }

    fn once_more(&mut self) -> Result<Running, Error> {
        let host = Host::read()?;
        // Not what was asked for first: `update` may have changed it.
        let asked = start::request_of(&self.prepared.container)?;
        let made = start::ready(&mut self.prepared.container, &asked, &host)?;
        (self.prepared.plan, self.prepared.held) = (made.plan, made.held);
        self.start(false)
    }

    /// The container's life is over.
    fn over(&mut self, code: i32) -> Option<Running> {
        self.end_watch();
        join::unplug(&self.prepared.container.record.endpoints);
        let _ = run::finish(&mut self.prepared.container, code);
        None
    }

    fn end_watch(&mut self) {
        if let Some(watch) = self.around.watch.take() {
            watch.end();
        }
    }
}

/// Waits; true if somebody stopped or removed the container meanwhile.
fn pause(container: &Container, wait: Duration) -> Result<bool, SysError> {
    let end = Instant::now() + wait;
    let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_sys("watch the container's folder")?;
    news.add_watch(&container.folder(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE_SELF).or_sys("watch the container's folder")?;
    loop {
        if container.is_halted() {
            return Ok(true);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // A millisecond more, or it would turn round and round in the last one.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(news.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) | Ok(_) => drop(news.read_events()),
            Err(errno) => return Err(SysError::new("wait to start the container again", errno)),
        }
    }
}
