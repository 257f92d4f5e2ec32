//! Ctrl-C and its kin, as something that can be polled: whoever waits notices, and tidies up.

use super::ProveError;
use crate::kernel::OrSys;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::sync::Arc;

/// Holds back SIGINT, SIGTERM and SIGHUP from their usual effect; readable once one has come. It is
/// never read, so that it stays readable.
pub fn stop() -> Result<Arc<SignalFd>, ProveError> {
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    set.thread_block().or_sys("block signals")?;
    let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).or_sys("open a signalfd")?;
    Ok(Arc::new(fd))
}
