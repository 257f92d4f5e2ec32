//! One view of a process: everything that a container step can change, read from outside.
//!
//! `skiff step`, `skiff inspect --kernel`, the doctor and the checks look at processes through this
//! one window. Two views of the same process, before and after a step, differ in exactly what the
//! step did. What may not be read (another user's process) is absent, not guessed.
//! The hostname has no file in /proc/PID; a child enters the UTS namespace and asks (setns(2)).

use super::caps::{self, Sets};
use super::mountinfo::Mount;
use super::ns::Ns;
use super::proc::Process;
use super::SysError;
use std::collections::BTreeMap;

/// What a process is in the kernel's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Its pid here.
    pub pid: i32,
    /// Its pid in each nested pid namespace, outermost first.
    pub pids: Vec<u32>,
    /// Inode of each namespace that may be read.
    pub namespaces: BTreeMap<Ns, u64>,
    /// Inode of the pid namespace that its children will be in.
    pub pid_for_children: Option<u64>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Its cgroup in each hierarchy: controllers, path.
    pub cgroups: Vec<(String, String)>,
    /// Real, effective, saved and file-system user id.
    pub uids: Vec<u32>,
    /// The same for groups.
    pub gids: Vec<u32>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// User ids of its user namespace: inside, outside, count.
    pub uid_map: Vec<(u32, u32, u32)>,
    /// Its capability sets.
    pub capabilities: Sets,
    /// True when exec can give it no more privilege.
    pub no_new_privs: bool,
    /// 0 none, 1 strict, 2 filter.
    pub seccomp: u32,
    /// The hostname that it sees, where its UTS namespace may be entered.
    pub hostname: Option<String>,
    /// Links of its network namespace.
    pub links: Vec<String>,
    /// Its soft limit on open files.
    pub nofile: Option<String>,
}

impl View {
    /// Looks at process `pid`. Fails only when there is none; what may not be read is left empty.
    pub fn of(pid: i32) -> Result<Self, SysError> {
        let process = Process::open(pid)?;
        let status = process.status()?;
        let mut namespaces = BTreeMap::new();
        for kind in Ns::ALL {
            if let Ok(inode) = process.ns(kind) {
                namespaces.insert(kind, inode);
            }
        }
        let next = std::fs::metadata(format!("/proc/{pid}/ns/pid_for_children")).ok();
        Ok(Self {
            pid,
            pids: status.numbers("NSpid"),
            namespaces,
            pid_for_children: next.map(|m| std::os::unix::fs::MetadataExt::ino(&m)),
            mounts: process.mounts().unwrap_or_default(),
            cgroups: process.cgroups().unwrap_or_default(),
            uids: status.numbers("Uid"),
            gids: status.numbers("Gid"),
            groups: status.numbers("Groups"),
            uid_map: process.id_map("uid_map").unwrap_or_default(),
            capabilities: status.capabilities(),
            no_new_privs: status.get("NoNewPrivs") == "1",
            seccomp: status.get("Seccomp").parse().unwrap_or(0),
            hostname: super::visit::hostname(pid),
            links: links(&process),
            nofile: nofile(&process),
        })
    }

    /// The view as lines of text, one fact each, in a fixed order: what a difference is made of.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("pid {}", numbers(&self.pids))];
        lines.extend(self.namespaces.iter().map(|(kind, inode)| format!("namespace {kind} {inode}")));
        if let Some(inode) = self.pid_for_children
            && self.namespaces.get(&Ns::Pid) != Some(&inode)
        {
            lines.push(format!("namespace pid for children {inode}"));
        }
        lines.extend(self.cgroup_lines());
        lines.extend(self.hostname.iter().map(|name| format!("hostname {name}")));
        lines.push(format!("uid {}", numbers(&self.uids)));
        lines.push(format!("gid {}", numbers(&self.gids)));
        lines.extend(self.uid_map.iter().map(|(inside, outside, count)| format!("uid_map {inside} {outside} {count}")));
        let sets = &self.capabilities;
        for (name, mask) in [
            ("effective", sets.effective),
            ("permitted", sets.permitted),
            ("inheritable", sets.inheritable),
            ("bounding", sets.bounding),
            ("ambient", sets.ambient),
        ] {
            lines.push(format!("capabilities {name} {}", in_words(mask)));
        }
        lines.push(format!("no_new_privs {}", u8::from(self.no_new_privs)));
        lines.push(format!("seccomp {}", ["none", "strict", "filter"].get(self.seccomp as usize).unwrap_or(&"?")));
        lines.extend(self.nofile.iter().map(|n| format!("limit open files {n}")));
        lines.extend(self.links.iter().map(|link| format!("link {link}")));
        // Sorted: a copied mount namespace lists the same mounts in another order.
        let mut mounts: Vec<String> = self.mounts.iter().map(mount_line).collect();
        mounts.sort();
        lines.extend(mounts);
        lines
    }

    /// Hierarchies that agree share a line: v1 has a dozen of them.
    fn cgroup_lines(&self) -> Vec<String> {
        let mut by_path: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (controllers, path) in &self.cgroups {
            by_path.entry(path).or_default().push(if controllers.is_empty() { "v2" } else { controllers });
        }
        by_path.into_iter().map(|(path, names)| format!("cgroup {path} ({})", names.join(" "))).collect()
    }
}

fn numbers(list: &[u32]) -> String {
    let mut list = list.to_vec();
    list.dedup();
    list.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// `all 41`, `none`, or the names.
pub fn in_words(mask: u64) -> String {
    match mask & caps::ALL {
        0 => "none".into(),
        caps::ALL => format!("all {}", caps::NAMES.len()),
        some if some.count_ones() > 20 => {
            format!("all but {}", caps::names(caps::ALL & !some).iter().map(|n| short(n)).collect::<Vec<_>>().join(" "))
        }
        some => caps::names(some).iter().map(|n| short(n)).collect::<Vec<_>>().join(" "),
    }
}

fn short(name: &str) -> String {
    name.strip_prefix("CAP_").unwrap_or(name).to_ascii_lowercase()
}

fn mount_line(mount: &Mount) -> String {
    let bind = if mount.root.as_os_str() == "/" { String::new() } else { format!(" of {}", mount.root.display()) };
    let shared = if mount.propagation.is_empty() { String::new() } else { format!(" [{}]", mount.propagation.join(" ")) };
    format!("mount {} {}{bind} ({}){shared}", mount.target.display(), mount.fstype, mount.options.join(","))
}

/// Names of the links in its network namespace (/proc/PID/net/dev shows that process's namespace).
pub fn links(process: &Process) -> Vec<String> {
    let text = process.text("net/dev").unwrap_or_default();
    text.lines().skip(2).filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned())).collect()
}

fn nofile(process: &Process) -> Option<String> {
    let text = process.text("limits").ok()?;
    let line = text.lines().find(|l| l.starts_with("Max open files"))?;
    line.split_whitespace().nth(3).map(String::from)
}
