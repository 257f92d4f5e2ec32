//! What becomes of a signal that somebody sends to a process: SigBlk, SigIgn and SigCgt of
//! /proc/PID/status (proc_pid_status(5), signal(7)).
//!
//! Process 1 of a PID namespace has no default action: what it neither handles nor holds back, to
//! read it with sigwait(3) or a signalfd, the kernel throws away (pid_namespaces(7)). SIGKILL and
//! SIGSTOP from outside its namespace always arrive, so they are not asked about.
//!
//! An init spends its life in sigwait, and for as long the kernel shows what it waits for as not
//! blocked: then the system call itself is asked.

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::SignalName;
use crate::kernel::proc::Process;

/// Between two calls a process that waits for signals shows neither; so often is it looked at.
const LOOKS: usize = 20;

/// Do these signals reach it?
pub(super) fn heeds(wanted: &[SignalName], seen: &Seen) -> Fact {
    let at = format!("SigBlk, SigIgn, SigCgt in /proc/{0}/status, and /proc/{0}/syscall", seen.pid());
    let Ok(process) = seen.process() else { return Fact::is(false, "signals", "the process has just ended", at) };
    let one = |signal: &SignalName| {
        let expected = format!("{} reaches it", signal.0);
        for _ in 1..LOOKS {
            match fate(&process, *signal) {
                Some((true, fate)) => return Fact::is(true, expected, format!("{} {fate}", signal.0), at.clone()),
                Some((false, _)) => std::thread::yield_now(),
                None => break,
            }
        }
        match fate(&process, *signal) {
            Some((so, fate)) => Fact::is(so, expected, format!("{} {fate}", signal.0), at.clone()),
            None => Fact::unknown(expected, "not readable", at.clone()),
        }
    };
    Fact::all(wanted.iter().map(one).collect())
}

/// Whether it reaches the process, and what becomes of it. `None` where that may not be seen.
fn fate(process: &Process, signal: SignalName) -> Option<(bool, &'static str)> {
    let status = process.status().ok()?;
    let bit = 1u64 << (signal.0 as i32 - 1);
    let is_in = |field: &str| status.mask(field) & bit != 0;
    let numbers = status.numbers("NSpid");
    Some(if is_in("SigIgn") {
        (false, "is ignored")
    } else if is_in("SigCgt") {
        (true, "has a handler")
    } else if is_in("SigBlk") {
        (true, "is held back, to be read")
    } else if numbers.len() < 2 || numbers.last() != Some(&1) {
        (true, "has its default action")
    } else if awaits(process, bit)? {
        (true, "is waited for")
    } else {
        (false, "has no handler, and this is process 1: the kernel throws it away")
    })
}

/// Whether it waits for this signal now. Who may look at it and not trace it (a Yama of 1) is told
/// by wchan that it waits for signals, if not for which.
fn awaits(process: &Process, bit: u64) -> Option<bool> {
    match process.awaited_signals() {
        Ok(mask) => Some(mask & bit != 0),
        Err(_) => process.text("wchan").ok().filter(|place| place != "0").map(|place| place.contains("sigtimedwait")),
    }
}
