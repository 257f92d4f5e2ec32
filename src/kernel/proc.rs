//! What /proc shows of a process (proc(5)).
//!
//! The folder is opened once and read through that descriptor: if the process ends, reads fail
//! with ESRCH, and never tell of another process that got the same pid. Permission is told apart
//! from absence: an ordinary user may not read the namespaces of root's processes (ptrace(2)).

use super::ns::Ns;
use super::{SysError, error::errno_of};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

/// A process, as /proc shows it. Reading is lazy: each call reads one file.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    dir: File,
}

/// A process to come back to, without a descriptor held meanwhile: a pid, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its pid here.
    pub pid: i32,
    /// Clock ticks (1/100 s) since boot.
    pub start: u64,
}

impl Identity {
    /// Opens it again. ESRCH when another process has got its pid.
    pub fn open(self) -> Result<Process, SysError> {
        let process = Process::open(self.pid)?;
        let same = process.start()? == self.start;
        if same { Ok(process) } else { Err(SysError::new(format!("read /proc/{}", self.pid), Errno::ESRCH)) }
    }
}

/// The fields of /proc/PID/status that this project reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// All fields, by name.
    fields: BTreeMap<String, String>,
}

impl Process {
    /// Opens process `pid`. ENOENT when there is none.
    pub fn open(pid: i32) -> Result<Self, SysError> {
        let path = format!("/proc/{pid}");
        let dir = File::open(&path).map_err(|e| SysError::new(format!("read {path}"), errno_of(&e)))?;
        Ok(Self { pid, dir })
    }

    /// This process.
    pub fn current() -> Result<Self, SysError> {
        Self::open(std::process::id() as i32)
    }

    /// Its pid here.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()))
    }

    fn failed(&self, name: &str, error: &std::io::Error) -> SysError {
        SysError::new(format!("read /proc/{}/{name}", self.pid), errno_of(error))
    }

    /// A file of its folder, as bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, SysError> {
        let mut bytes = Vec::new();
        let read = File::open(self.path(name)).and_then(|mut f| f.read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|e| self.failed(name, &e))
    }

    /// A file of its folder, as text.
    pub fn text(&self, name: &str) -> Result<String, SysError> {
        self.bytes(name).map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    fn strings(&self, name: &str) -> Result<Vec<String>, SysError> {
        let bytes = self.bytes(name)?;
        let parts = bytes.split(|b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
        Ok(parts.filter(|p| !p.is_empty()).collect())
    }

    /// Its arguments; empty for kernel threads and zombies.
    pub fn argv(&self) -> Result<Vec<String>, SysError> {
        self.strings("cmdline")
    }

    /// Its environment as it was at exec. EACCES for other people's processes.
    pub fn environ(&self) -> Result<Vec<String>, SysError> {
        self.strings("environ")
    }

    /// The status file.
    pub fn status(&self) -> Result<Status, SysError> {
        Ok(Status::parse(&self.text("status")?))
    }

    /// The inode of one of its namespaces. EACCES for other people's processes.
    pub fn ns(&self, ns: Ns) -> Result<u64, SysError> {
        let name = format!("ns/{}", ns.name());
        std::fs::metadata(self.path(&name)).map(|m| m.ino()).map_err(|e| self.failed(&name, &e))
    }

    /// Where a link of its folder leads: `root`, `cwd`, `exe`.
    pub fn link(&self, name: &str) -> Result<PathBuf, SysError> {
        std::fs::read_link(self.path(name)).map_err(|e| self.failed(name, &e))
    }

    /// Its open descriptors: number, and what each leads to. EACCES for other people's processes.
    pub fn descriptors(&self) -> Result<Vec<(i32, String)>, SysError> {
        let entries = std::fs::read_dir(self.path("fd")).map_err(|e| self.failed("fd", &e))?;
        let one = |e: std::fs::DirEntry| Some((e.file_name().to_str()?.parse().ok()?, std::fs::read_link(e.path()).ok()?.to_string_lossy().into_owned()));
        Ok(entries.flatten().filter_map(one).collect())
    }

    /// Its mounts.
    pub fn mounts(&self) -> Result<Vec<super::mountinfo::Mount>, SysError> {
        Ok(super::mountinfo::parse(&self.text("mountinfo")?))
    }

    /// Its cgroup in each hierarchy: controllers (empty for v2) and path.
    pub fn cgroups(&self) -> Result<Vec<(String, String)>, SysError> {
        let text = self.text("cgroup")?;
        Ok(text.lines().filter_map(|l| l.split_once(':')?.1.split_once(':')).map(|(c, p)| (c.to_owned(), p.to_owned())).collect())
    }

    /// `uid_map` or `gid_map`: (inside, outside as the reader sees it, count).
    pub fn id_map(&self, name: &str) -> Result<Vec<(u32, u32, u32)>, SysError> {
        let text = self.text(name)?;
        Ok(text
            .lines()
            .filter_map(|l| {
                let mut n = l.split_whitespace().map(str::parse::<u32>);
                Some((n.next()?.ok()?, n.next()?.ok()?, n.next()?.ok()?))
            })
            .collect())
    }

    /// When it started, in clock ticks (1/100 s) since boot.
    pub fn start(&self) -> Result<u64, SysError> {
        self.stat(19)
    }

    /// Its parent's pid.
    pub fn parent(&self) -> Result<i32, SysError> {
        self.stat(1).map(|n| n as i32)
    }

    /// The signals that it waits for in this moment, as a mask: those of rt_sigtimedwait(2), which
    /// sigwait(3) is too. While it waits the kernel does not show them as blocked. Read from its
    /// registers and memory (proc_pid_syscall(5)), which takes the right to trace it. 0 where it is
    /// in no such call.
    pub fn awaited_signals(&self) -> Result<u64, SysError> {
        let text = self.text("syscall")?;
        let mut words = text.split_whitespace();
        let number = words.next().and_then(|n| n.parse().ok());
        let set = words.next().and_then(|a| u64::from_str_radix(a.trim_start_matches("0x"), 16).ok());
        let (Some(libc::SYS_rt_sigtimedwait), Some(address)) = (number, set) else { return Ok(0) };
        let mut mask = [0; 8];
        let read = File::open(self.path("mem")).and_then(|mem| mem.read_exact_at(&mut mask, address));
        read.map(|()| u64::from_ne_bytes(mask)).map_err(|e| self.failed("mem", &e))
    }

    /// A numeric field of stat, counted from the state, which follows the last `)`.
    fn stat(&self, index: usize) -> Result<u64, SysError> {
        let text = self.text("stat")?;
        let after = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let field = after.split_whitespace().nth(index).and_then(|f| f.parse().ok());
        field.ok_or_else(|| SysError::new(format!("read /proc/{}/stat", self.pid), Errno::EBADMSG))
    }
}

impl Status {
    /// Parses the text of a status file.
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned()));
        Self { fields: fields.collect() }
    }

    /// A field's text, such as `Seccomp`.
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// The numbers of a field: real, effective, saved and file-system id for `Uid`; one for each pid
    /// namespace, outermost first, for `NSpid`.
    pub fn numbers(&self, field: &str) -> Vec<u32> {
        self.get(field).split_whitespace().filter_map(|n| n.parse().ok()).collect()
    }

    /// A hexadecimal mask, such as `CapEff`.
    pub fn mask(&self, field: &str) -> u64 {
        u64::from_str_radix(self.get(field), 16).unwrap_or(0)
    }

    /// The five capability sets.
    pub fn capabilities(&self) -> super::caps::Sets {
        super::caps::Sets {
            effective: self.mask("CapEff"),
            permitted: self.mask("CapPrm"),
            inheritable: self.mask("CapInh"),
            bounding: self.mask("CapBnd"),
            ambient: self.mask("CapAmb"),
        }
    }
}

/// All pids that /proc shows now; none where it cannot be read.
pub fn pids() -> Vec<i32> {
    try_pids().unwrap_or_default()
}

/// All pids that /proc shows now. EMFILE without a free descriptor.
pub fn try_pids() -> Result<Vec<i32>, SysError> {
    let entries = std::fs::read_dir("/proc").map_err(|e| SysError::new("read /proc", errno_of(&e)))?;
    Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
}

/// The mark of this boot: another kernel, or the same one started anew, has another.
pub fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}
