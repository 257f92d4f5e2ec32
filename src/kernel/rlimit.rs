//! Resource limits, clipped to what this process may set (getrlimit(2)).
//!
//! Mechanism: setrlimit(2). Each limit has a soft value, which counts, and a hard one, up to which
//! anyone may raise the soft one. Raising the hard one needs CAP_SYS_RESOURCE in the first user
//! namespace; root of a container, and of some clouds' machines, has not got it.
//! See it live: `cat /proc/PID/limits`.
//! Contract: acts on the calling process; its children inherit it.
//! Left out: prlimit(2) on other processes.

use crate::kernel::caps::{self, Sets};
use crate::kernel::{Explain, OrSys, SysError};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Every resource by Docker's name, which is the kernel's without RLIMIT_ and in lower case.
const RESOURCES: [(&str, Resource); 15] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// One limit. [`UNLIMITED`] stands for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Its name, such as `nofile`.
    pub name: String,
    /// What counts.
    pub soft: u64,
    /// How far the soft one may be raised.
    pub hard: u64,
}

/// No limit.
pub const UNLIMITED: u64 = RLIM_INFINITY;

/// A limit on the command line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadLimit {
    /// Not of the form.
    #[error("cannot read the limit `{0}`")]
    Form(String),
    /// No such resource.
    #[error("cannot limit `{0}`: there is no such resource")]
    Unknown(String),
    /// The soft value is above the hard one.
    #[error("cannot set {0}: its soft limit is above its hard limit")]
    Order(String),
}

impl Explain for BadLimit {
    fn why(&self) -> Option<String> {
        match self {
            Self::Unknown(_) => Some(format!("the kernel knows {}", RESOURCES.map(|(name, _)| name).join(", "))),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(name) => {
                let near = RESOURCES.iter().min_by_key(|(known, _)| strsim::damerau_levenshtein(known, name));
                format!("did you mean {}?", near.map_or("nofile", |(known, _)| known))
            }
            _ => "write NAME=SOFT:HARD or NAME=BOTH, such as nofile=1024:2048; -1 or unlimited for none".into(),
        })
    }
    fn exit_code(&self) -> u8 {
        125
    }
}

impl Rlimit {
    /// Reads `nofile=1024:2048`, `nofile=1024` or `core=unlimited`, as Docker's `--ulimit`.
    pub fn parse(text: &str) -> Result<Self, BadLimit> {
        let form = || BadLimit::Form(text.to_string());
        let (name, values) = text.split_once('=').ok_or_else(form)?;
        if resource(name).is_none() {
            return Err(BadLimit::Unknown(name.to_string()));
        }
        let number = |value: &str| match value {
            "-1" | "unlimited" => Ok(UNLIMITED),
            value => value.parse().map_err(|_| form()),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let limit = Self { name: name.to_string(), soft: number(soft)?, hard: number(hard)? };
        if limit.soft > limit.hard { Err(BadLimit::Order(limit.name)) } else { Ok(limit) }
    }

    /// The calling process's own limit of that name.
    pub fn current(name: &str) -> Result<Self, SysError> {
        let what = || format!("read the limit {name}");
        let resource = resource(name).ok_or_else(|| SysError::new(what(), Errno::EINVAL))?;
        let (soft, hard) = getrlimit(resource).or_sys_with(what)?;
        Ok(Self { name: name.to_string(), soft, hard })
    }

    /// What this process would get instead, if it may not have all of it.
    pub fn clipped(&self) -> Result<Option<Self>, SysError> {
        let ours = Self::current(&self.name)?;
        if self.hard <= ours.hard || may_raise()? {
            return Ok(None);
        }
        Ok(Some(Self { name: self.name.clone(), soft: self.soft.min(ours.hard), hard: ours.hard }))
    }

    /// Sets it, as far as this process may. Returns what was set instead, if that is less than asked.
    pub fn set(&self) -> Result<Option<Self>, SysError> {
        let what = || format!("set the limit {} to {}:{}", self.name, self.soft, self.hard);
        let resource = resource(&self.name).ok_or_else(|| SysError::new(what(), Errno::EINVAL))?;
        match setrlimit(resource, self.soft, self.hard) {
            Ok(()) => return Ok(None),
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(SysError::new(what(), errno)),
        }
        let ours = Self::current(&self.name)?;
        let clipped = Self { name: self.name.clone(), soft: self.soft.min(ours.hard), hard: self.hard.min(ours.hard) };
        setrlimit(resource, clipped.soft, clipped.hard).or_sys_with(what)?;
        Ok(Some(clipped))
    }
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: u64| if value == UNLIMITED { "unlimited".to_string() } else { value.to_string() };
        write!(f, "{}={}:{}", self.name, number(self.soft), number(self.hard))
    }
}

/// CAP_SYS_RESOURCE counts here only in the first user namespace, which maps every id to itself.
fn may_raise() -> Result<bool, SysError> {
    let map = std::fs::read_to_string("/proc/self/uid_map").or_sys("read /proc/self/uid_map")?;
    Ok(Sets::of_self()?.can(caps::SYS_RESOURCE) && map.split_whitespace().eq(["0", "0", "4294967295"]))
}

fn resource(name: &str) -> Option<Resource> {
    RESOURCES.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}

/// Makes sure that `count` more descriptors can be had now. EMFILE where this process may have no
/// more (`ulimit -n`, RLIMIT_NOFILE), ENFILE where the machine has none left.
pub fn spare(count: usize) -> Result<(), SysError> {
    let one = || std::fs::File::open("/proc").map_err(|e| SysError::new("open a file", super::error::errno_of(&e)));
    let all: Result<Vec<_>, SysError> = std::iter::repeat_with(one).take(count).collect();
    all.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(name: &str, soft: u64, hard: u64) -> Rlimit {
        Rlimit { name: name.into(), soft, hard }
    }

    #[test]
    fn limits_are_read_as_docker_writes_them() {
        assert_eq!(Rlimit::parse("nofile=1024:2048"), Ok(limit("nofile", 1024, 2048)));
        assert_eq!(Rlimit::parse("nproc=64"), Ok(limit("nproc", 64, 64)));
        assert_eq!(Rlimit::parse("core=0:unlimited"), Ok(limit("core", 0, UNLIMITED)));
        assert_eq!(Rlimit::parse("core=-1"), Ok(limit("core", UNLIMITED, UNLIMITED)));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert_eq!(Rlimit::parse("nofile"), Err(BadLimit::Form("nofile".into())));
        assert_eq!(Rlimit::parse("nofile=lots"), Err(BadLimit::Form("nofile=lots".into())));
        assert_eq!(Rlimit::parse("nofile=9:8"), Err(BadLimit::Order("nofile".into())));
        let unknown = Rlimit::parse("nofiles=9").expect_err("no such resource");
        assert_eq!(unknown.hint().as_deref(), Some("did you mean nofile?"));
    }

    #[test]
    fn a_limit_beyond_reach_is_clipped_and_said() {
        // Only lowered limits of little use to the other tests, which share this process.
        let before = Rlimit::current("msgqueue").expect("getrlimit");
        let lower = limit("msgqueue", before.hard / 4, before.hard / 2);
        assert_eq!(lower.set(), Ok(None));
        assert_eq!(Rlimit::current("msgqueue"), Ok(lower.clone()));
        let beyond = limit("msgqueue", before.hard, before.hard);
        let foretold = beyond.clipped().expect("readable");
        let done = beyond.set().expect("clipped or set");
        assert_eq!(done, foretold);
        match done {
            None => assert_eq!(Rlimit::current("msgqueue"), Ok(beyond)), // with CAP_SYS_RESOURCE
            Some(clipped) => {
                assert_eq!(clipped, limit("msgqueue", lower.hard, lower.hard));
                assert_eq!(Rlimit::current("msgqueue"), Ok(clipped));
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z=:0-9-]{0,20}") {
            if let Ok(limit) = Rlimit::parse(&text) {
                prop_assert!(limit.soft <= limit.hard);
                prop_assert_eq!(Rlimit::parse(&limit.to_string()), Ok(limit));
            }
        }
    }
}
