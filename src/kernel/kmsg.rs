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

/// One kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomKill {
    /// Clock ticks (1/100 s) since boot.
    pub ticks: u64,
    /// The cgroup of the process that was killed.
    pub cgroup: String,
    /// Its pid on the host.
    pub pid: i32,
}

/// All kills that the kernel's log still holds. EPERM where it may not be read.
pub fn oom_kills() -> Result<Vec<OomKill>, SysError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let log = open("/dev/kmsg", flags, Mode::empty()).or_sys("open /dev/kmsg")?;
    let mut kills = Vec::new();
    let mut record = [0u8; 8192];
    loop {
        match nix::unistd::read(&log, &mut record) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(kills),
            Ok(n) => kills.extend(parse(&String::from_utf8_lossy(&record[..n]))),
            // Overwritten while we read: the next read goes on with what is there (EPIPE).
            Err(Errno::EPIPE | Errno::EINTR) => {}
            Err(e) => return Err(SysError::new("read /dev/kmsg", e)),
        }
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

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            parse(&text);
        }
    }
}
