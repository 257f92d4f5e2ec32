//! Which cgroup hierarchies this host has, and where this process may make children (cgroups(7)).
//!
//! Mechanism: `/proc/self/mountinfo` says where each hierarchy is mounted, `/proc/self/cgroup` where
//! this process is in each, `cgroup.controllers` what v2 offers.
//! See it live: `findmnt -t cgroup,cgroup2` and `cat /proc/self/cgroup`.
//! Contract: read it before the mounts of a container hide the host's; it never changes anything.

use super::Error;
use crate::kernel::{OrSys, SysError};
use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// What kind of host this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// One tree, all controllers in it.
    V2,
    /// A tree for each controller.
    V1,
    /// v1 trees for the controllers, and a v2 tree beside them.
    Hybrid,
}

/// A part of the kernel that limits one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// CPU time: quota and weight.
    Cpu,
    /// CPU time used; v1 only, part of `cpu` in v2.
    Cpuacct,
    /// Which CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Block devices; `blkio` in v1, `io` in v2.
    Io,
    /// The number of processes and threads.
    Pids,
    /// Access to device nodes; v1 only, a BPF program in v2.
    Devices,
    /// Stopping all at once; v1 only, a file of every v2 cgroup.
    Freezer,
    /// Huge pages.
    Hugetlb,
    /// The class of packets, for tc(8); v1 only.
    NetCls,
    /// The priority of packets; v1 only.
    NetPrio,
    /// InfiniBand and its like.
    Rdma,
}

impl Controller {
    /// Every controller that this engine knows.
    pub const ALL: [Self; 12] = [
        Self::Cpu, Self::Cpuacct, Self::Cpuset, Self::Memory, Self::Io, Self::Pids, Self::Devices, Self::Freezer, Self::Hugetlb, Self::NetCls,
        Self::NetPrio, Self::Rdma,
    ];

    /// Its name in a v1 mount or a v2 `cgroup.controllers`.
    pub fn name(self, v1: bool) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Io if v1 => "blkio",
            Self::Io => "io",
            Self::Pids => "pids",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::Rdma => "rdma",
        }
    }

    /// The one of this name, in either version.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "blkio" => Some(Self::Io),
            other => Self::ALL.into_iter().find(|c| c.name(false) == other),
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name(false))
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// This process's own cgroup in it, as a directory.
    pub own: PathBuf,
    /// What it controls: mounted with (v1) or offered by its root (v2).
    pub controllers: BTreeSet<Controller>,
    /// True for v1.
    pub v1: bool,
}

/// The host's hierarchies, read once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The v2 tree, alone or beside v1.
    pub unified: Option<Hierarchy>,
    /// The v1 trees that have a controller this engine knows.
    pub v1: Vec<Hierarchy>,
}

impl Layout {
    /// Reads the layout of this host, as this process sees it.
    pub fn read() -> Result<Self, Error> {
        let mountinfo = read("/proc/self/mountinfo")?;
        let own = read("/proc/self/cgroup")?;
        Self::parse(&mountinfo, &own, |mount| {
            std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    /// The layout that these two texts describe; `offered` reads a v2 root's `cgroup.controllers`.
    pub fn parse(mountinfo: &str, own: &str, offered: impl Fn(&Path) -> String) -> Result<Self, Error> {
        let own = own_paths(own);
        let (mut unified, mut v1) = (None, Vec::new());
        let mut seen = BTreeSet::new();
        for mount in mountinfo.lines().filter_map(CgroupMount::parse) {
            if mount.kind == "cgroup2" {
                let controllers = offered(&mount.at).split_whitespace().filter_map(Controller::from_name).collect();
                let path = own.get("").map_or("/", String::as_str);
                unified.get_or_insert(mount.hierarchy(path, controllers, false));
                continue;
            }
            let controllers: BTreeSet<_> = mount.options.split(',').filter_map(Controller::from_name).collect();
            // A hierarchy can be mounted twice; the first place is as good as any.
            if controllers.is_empty() || !controllers.iter().all(|c| seen.insert(*c)) {
                continue;
            }
            let path = controllers.iter().find_map(|c| own.get(c.name(true))).map_or("/", String::as_str);
            v1.push(mount.hierarchy(path, controllers, true));
        }
        if unified.is_none() && v1.is_empty() {
            return Err(Error::NotMounted);
        }
        Ok(Self { unified, v1 })
    }

    /// v2, v1 or both.
    pub fn version(&self) -> Version {
        match (&self.unified, self.v1.is_empty()) {
            (Some(_), true) => Version::V2,
            (Some(_), false) => Version::Hybrid,
            (None, _) => Version::V1,
        }
    }

    /// The hierarchy in which a controller lives.
    pub fn hierarchy(&self, controller: Controller) -> Option<&Hierarchy> {
        self.v1.iter().chain(&self.unified).find(|h| h.controllers.contains(&controller))
    }

    /// The directory at the top of a controller's hierarchy, such as `/sys/fs/cgroup/memory`.
    pub fn directory(&self, controller: Controller) -> Option<&Path> {
        self.hierarchy(controller).map(|h| h.mount.as_path())
    }

    /// True when a controller is governed by v1 files here.
    pub fn is_v1(&self, controller: Controller) -> bool {
        self.hierarchy(controller).is_none_or(|h| h.v1)
    }

    /// True when swap can be limited: v1 shows it at the root, v2 in any child.
    pub fn counts_swap(&self) -> bool {
        let Some(memory) = self.hierarchy(Controller::Memory) else { return false };
        if memory.v1 {
            return memory.mount.join("memory.memsw.limit_in_bytes").exists();
        }
        let children = std::fs::read_dir(&memory.mount).into_iter().flatten().flatten();
        let mut limited = children.map(|c| c.path()).filter(|c| c.join("memory.max").exists()).peekable();
        // Without a single child there is nothing to look at; swap has been counted by default since 5.8.
        limited.peek().is_none() || limited.any(|c| c.join("memory.swap.max").exists())
    }
}

impl Hierarchy {
    /// The directory below which this process may make cgroups: the top for root, the highest
    /// delegated ancestor of the own cgroup otherwise.
    pub fn base(&self) -> Result<PathBuf, Error> {
        if writable(&self.mount) {
            return Ok(self.mount.clone());
        }
        let mut delegated = None;
        for directory in self.own.ancestors().take_while(|d| d.starts_with(&self.mount)) {
            if !(writable(directory) && writable(&directory.join("cgroup.procs"))) {
                break;
            }
            delegated = Some(directory.to_path_buf());
        }
        delegated.ok_or_else(|| Error::NotDelegated { at: self.own.clone(), v1: self.v1 })
    }
}

/// Whether this process may create entries in, or write to, `path`, with its effective ids.
fn writable(path: &Path) -> bool {
    nix::unistd::eaccess(path, AccessFlags::W_OK).is_ok()
}

fn read(path: &str) -> Result<String, SysError> {
    std::fs::read_to_string(path).or_sys_with(|| format!("read {path}"))
}

/// `/proc/PID/cgroup` as controller name to path; the v2 line has the empty name.
fn own_paths(text: &str) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        if let (Some(controllers), Some(path)) = (fields.next(), fields.next()) {
            paths.extend(controllers.split(',').map(|c| (c.to_string(), path.to_string())));
        }
    }
    paths
}

/// A line of mountinfo that mounts a cgroup hierarchy.
struct CgroupMount<'a> {
    root: &'a str,
    at: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> CgroupMount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut fields = filesystem.split(' ');
        let kind = fields.next().filter(|kind| matches!(*kind, "cgroup" | "cgroup2"))?;
        let options = fields.nth(1)?;
        let mut fields = mount.split(' ').skip(3);
        Some(Self { root: fields.next()?, at: PathBuf::from(fields.next()?), kind, options })
    }

    /// `own` is relative to the cgroup namespace's root; a bind mount shows only what is below `root`.
    fn hierarchy(self, own: &str, controllers: BTreeSet<Controller>, v1: bool) -> Hierarchy {
        let below = own.strip_prefix(self.root.trim_end_matches('/')).unwrap_or(own);
        let own = self.at.join(below.trim_start_matches('/'));
        Hierarchy { mount: self.at, own, controllers, v1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
23 1 0:21 / /proc rw,relatime - proc proc rw
";
    const OWN: &str = "4:memory:/a/b\n2:cpu,cpuacct:/\n9:name=systemd:/x\n0::/own\n";

    #[test]
    fn a_hybrid_host_has_v1_controllers_and_an_empty_unified_tree() {
        let layout = Layout::parse(HYBRID, OWN, |_| "hugetlb\n".into()).expect("hierarchies");
        assert_eq!(layout.version(), Version::Hybrid);
        assert_eq!(layout.directory(Controller::Memory), Some(Path::new("/sys/fs/cgroup/memory")));
        assert_eq!(layout.directory(Controller::Io), Some(Path::new("/sys/fs/cgroup/blkio")));
        assert_eq!(layout.directory(Controller::Cpuacct), layout.directory(Controller::Cpu));
        assert_eq!(layout.directory(Controller::Pids), None);
        assert!(layout.is_v1(Controller::Memory));
        let memory = layout.hierarchy(Controller::Memory).expect("there");
        assert_eq!(memory.own, Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(layout.unified.expect("there").own, Path::new("/sys/fs/cgroup/unified/own"));
    }

    #[test]
    fn a_v2_host_offers_what_cgroup_controllers_says() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let layout = Layout::parse(mounts, "0::/user.slice\n", |_| "cpuset cpu io memory pids".into()).expect("v2");
        assert_eq!(layout.version(), Version::V2);
        assert_eq!(layout.directory(Controller::Io), Some(Path::new("/sys/fs/cgroup")));
        assert!(!layout.is_v1(Controller::Memory));
        assert_eq!(layout.directory(Controller::Devices), None);
    }

    #[test]
    fn without_any_hierarchy_that_is_said() {
        let nothing = Layout::parse("23 1 0:21 / /proc rw - proc proc rw\n", "0::/\n", |_| String::new());
        assert!(matches!(nothing, Err(Error::NotMounted)));
    }

    #[test]
    fn a_bind_mounted_part_of_a_tree_is_taken_off_the_own_path() {
        let mounts = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let layout = Layout::parse(mounts, "4:memory:/docker/abc/x\n", |_| String::new()).expect("v1");
        assert_eq!(layout.version(), Version::V1);
        assert_eq!(layout.v1[0].own, Path::new("/sys/fs/cgroup/memory/x"));
    }
}
