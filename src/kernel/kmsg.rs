//! Kernel messages about processes that were killed for want of memory (/dev/kmsg, printk).
//!
//! The counters of a cgroup go with the cgroup; the kernel's log stays. A record is
//! `priority,sequence,microseconds since boot,flags;text`, one a read(2) (Documentation/ABI/testing/dev-kmsg).
//! See it live: `dmesg | grep oom-kill`. Reading it needs CAP_SYSLOG where kernel.dmesg_restrict is 1.
//! The buffer is a ring: what was long ago may be gone, so that silence proves nothing.

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomKill {
    /// Clock ticks (1/100 s) since boot, without those that the machine slept.
    pub ticks: u64,
    /// The cgroup of the process that was killed.
    pub cgroup: String,
    /// Its pid on the host.
    pub pid: i32,
}

/// What the log still holds.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The kills.
    pub kills: Vec<OomKill>,
    /// Clock ticks (1/100 s) since boot from which on it is whole: 0 when nothing was overwritten yet.
    pub since: u64,
}

/// Clock ticks (1/100 s) that this machine has slept since boot: the log's clock stands still then,
/// and that by which processes start goes on (clock_gettime(2), CLOCK_MONOTONIC and CLOCK_BOOTTIME).
pub fn slept() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    let ticks = |clock| clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 100 + t.tv_nsec() as u64 / 10_000_000);
    let monotonic = ticks(ClockId::CLOCK_MONOTONIC);
    ticks(ClockId::CLOCK_BOOTTIME).saturating_sub(monotonic)
}

/// All kills that the kernel's log still holds. EPERM where it may not be read.
pub fn oom_kills() -> Result<Past, SysError> {
    let log = open_log()?;
    let mut past = Past::default();
    let mut first = true;
    loop {
        match read_one(&log)? {
            Next::Nothing => return Ok(past),
            Next::Record(record) => {
                if std::mem::take(&mut first) {
                    past.since = oldest(&record);
                }
                past.kills.extend(parse(&record));
            }
            // Overwritten while we read: the next read goes on with what is there.
            Next::Overwritten => past.since = u64::MAX,
        }
    }
}

/// The log from now on; it can be polled.
#[derive(Debug)]
pub struct Follower(OwnedFd);

/// What a follower reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A kill.
    Kill(OomKill),
    /// Records were overwritten before they were read.
    Lost,
}

impl Follower {
    /// Opens the log at its end. EPERM where it may not be read.
    pub fn open() -> Result<Self, SysError> {
        let log = open_log()?;
        nix::unistd::lseek(&log, 0, nix::unistd::Whence::SeekEnd).or_sys("go to the end of /dev/kmsg")?;
        Ok(Self(log))
    }

    /// The next thing told, if one has arrived.
    pub fn next(&self) -> Option<Told> {
        loop {
            match read_one(&self.0).ok()? {
                Next::Nothing => return None,
                Next::Overwritten => return Some(Told::Lost),
                Next::Record(record) => {
                    if let Some(kill) = parse(&record) {
                        return Some(Told::Kill(kill));
                    }
                }
            }
        }
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

enum Next {
    Record(String),
    Overwritten,
    Nothing,
}

fn open_log() -> Result<OwnedFd, SysError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    open("/dev/kmsg", flags, Mode::empty()).or_sys("open /dev/kmsg")
}

fn read_one(log: &OwnedFd) -> Result<Next, SysError> {
    let mut record = [0u8; 8192];
    loop {
        match nix::unistd::read(log, &mut record) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(Next::Nothing),
            Ok(n) => return Ok(Next::Record(String::from_utf8_lossy(&record[..n]).into_owned())),
            Err(Errno::EPIPE) => return Ok(Next::Overwritten),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(SysError::new("read /dev/kmsg", e)),
        }
    }
}

/// From when on the log is whole, told by its oldest record: from the beginning when that is number 0.
fn oldest(record: &str) -> u64 {
    let mut numbers = record.split(',').skip(1).map(|n| n.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(0), _) => 0,
        (_, Some(micros)) => micros / 10_000,
        _ => u64::MAX,
    }
}

/// A record of the form `…;oom-kill:constraint=…,task_memcg=/web,task=tail,pid=71,uid=0`.
fn parse(record: &str) -> Option<OomKill> {
    let (head, text) = record.split_once(';')?;
    let fields = text.lines().next()?.strip_prefix("oom-kill:")?;
    let field = |name: &str| fields.split(',').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(OomKill { ticks: micros / 10_000, cgroup: field("task_memcg")?.to_owned(), pid: field("pid")?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_kill_is_read_out_of_its_record() {
        let record = "6,1042,81230000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/web,task_memcg=/web,task=tail,pid=71,uid=0\n";
        assert_eq!(parse(record), Some(OomKill { ticks: 8123, cgroup: "/web".into(), pid: 71 }));
        assert_eq!(parse("6,1,1,-;usb 1-1: new device\n"), None);
    }

    #[test]
    fn the_oldest_record_tells_how_far_back_the_log_is_whole() {
        assert_eq!(oldest("6,0,81230000,-;Linux version 6.1\n"), 0);
        assert_eq!(oldest("6,1042,81230000,-;usb 1-1\n"), 8123);
        assert_eq!(oldest("nonsense"), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            parse(&text);
            oldest(&text);
        }
    }
}
