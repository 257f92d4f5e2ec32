//! Ending a build early: Ctrl-C, or another stage's failure.

use super::Error;
use crate::kernel::pidfd::Pidfd;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether to go on, and whom to end otherwise.
#[derive(Debug, Default)]
pub struct Halt {
    interrupted: AtomicBool,
    stopped: AtomicBool,
    fetching: AtomicBool,
    next: AtomicU64,
    children: Mutex<BTreeMap<u64, Pidfd>>,
}

impl Halt {
    /// Somebody wants the build to end.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.stop();
    }

    /// True while nothing is done but to wait for a registry: then a program can simply end, as `pull` does.
    pub fn is_fetching(&self) -> bool {
        self.fetching.load(Ordering::SeqCst)
    }

    pub(super) fn set_fetching(&self, is: bool) {
        self.fetching.store(is, Ordering::SeqCst);
    }

    /// Ends what runs; nothing new is begun.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // Its container dies with it.
            let _ = child.signal(Signal::SIGKILL);
        }
    }

    /// Asked before each step.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.interrupted.load(Ordering::SeqCst) {
            return Err(Error::Interrupted);
        }
        if self.stopped.load(Ordering::SeqCst) { Err(Error::Elsewhere) } else { Ok(()) }
    }

    /// Notes a child for as long as the answer lives. By pidfd: a pid could be another's by then.
    pub(super) fn watch(&self, child: u32) -> Result<Watched<'_>, Error> {
        let process = Pidfd::open(child.cast_signed())?;
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        self.children.lock().unwrap_or_else(PoisonError::into_inner).insert(number, process);
        // It may have been missed by a stop meanwhile.
        if self.stopped.load(Ordering::SeqCst) {
            self.stop();
        }
        Ok(Watched { halt: self, number })
    }
}

/// A child that a halt would end.
pub(super) struct Watched<'a> {
    halt: &'a Halt,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.halt.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
