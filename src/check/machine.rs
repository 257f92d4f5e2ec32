//! The machine as it is while a verdict is found: every process, looked at once.

use crate::kernel::cgroup::Layout;
use crate::kernel::ns::Ns;
use crate::kernel::SysError;
use crate::kernel::proc::{Identity, Process, pids};
use crate::kernel::visit;
use std::collections::{BTreeMap, HashMap};
use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;

/// Where and since when somebody has been at work.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Clock ticks since boot when the exercise began; what started earlier does not count.
    pub since_ticks: u64,
    /// The nonce in the learner's shell's environment (DRYDOCK_SHELL).
    pub shell: Option<String>,
    /// What the witness writes.
    pub record: Option<PathBuf>,
    /// The host's namespaces, as they were when the exercise began: whoever asks for a check may
    /// have moved since. Empty: our own are meant.
    pub host: BTreeMap<Ns, u64>,
    /// The learner's user id; root's examiner may look on somebody else's behalf.
    pub learner: u32,
}

/// All that is read once for a verdict.
pub(super) struct Machine {
    /// Processes that count, oldest first.
    pub processes: Vec<Seen>,
    /// Our own namespaces: what "the host's" means.
    pub host: BTreeMap<Ns, u64>,
    /// Where the control groups are.
    pub layout: Option<Layout>,
    /// The scene.
    pub scene: Scene,
    hostnames: RefCell<HashMap<u64, Option<String>>>,
}

/// One process.
pub(super) struct Seen {
    /// Which one. No descriptor is held for it: there may be more processes than descriptors.
    identity: Identity,
    /// Its command line, words joined by a space.
    pub command: String,
    /// Its user id as seen from here.
    pub uid: u32,
    ns: OnceCell<BTreeMap<Ns, u64>>,
}

impl Seen {
    /// Its namespaces; those that may not be read are missing.
    pub fn namespaces(&self) -> &BTreeMap<Ns, u64> {
        self.ns.get_or_init(|| {
            let Ok(process) = self.process() else { return BTreeMap::new() };
            Ns::ALL.into_iter().filter_map(|ns| Some((ns, process.ns(ns).ok()?))).collect()
        })
    }

    /// True when its namespaces may not be read from here.
    pub fn is_hidden(&self) -> bool {
        self.namespaces().is_empty()
    }

    /// Its folder in /proc. ESRCH when it has ended.
    pub fn process(&self) -> Result<Process, SysError> {
        self.identity.open()
    }

    /// Its pid here.
    pub fn pid(&self) -> i32 {
        self.identity.pid
    }
}

impl Machine {
    /// Reads /proc once.
    pub fn read(scene: &Scene) -> Self {
        let own = std::process::id() as i32;
        let mut processes: Vec<Seen> = pids().into_iter().filter(|pid| *pid != own).filter_map(|pid| seen(pid, scene)).collect();
        processes.sort_by_key(Seen::pid);
        let host = if scene.host.is_empty() { own_namespaces() } else { scene.host.clone() };
        Self { processes, host, layout: Layout::read().ok(), scene: scene.clone(), hostnames: RefCell::default() }
    }

    /// The hostname that a process sees; each UTS namespace is asked once.
    pub fn hostname(&self, seen: &Seen) -> Option<String> {
        let uts = *seen.namespaces().get(&Ns::Uts)?;
        self.hostnames.borrow_mut().entry(uts).or_insert_with(|| visit::hostname(seen.pid())).clone()
    }
}

/// The namespaces of this process, by inode.
pub fn own_namespaces() -> BTreeMap<Ns, u64> {
    let own = std::process::id() as i32;
    Ns::ALL.into_iter().filter_map(|ns| Some((ns, ns.inode(own).ok()?))).collect()
}

/// A process that started since the exercise began, and is no kernel thread or zombie.
fn seen(pid: i32, scene: &Scene) -> Option<Seen> {
    use std::os::unix::fs::MetadataExt;
    let process = Process::open(pid).ok()?;
    let start = process.start().ok()?;
    if start < scene.since_ticks {
        return None;
    }
    let argv = process.argv().ok().filter(|a| !a.is_empty())?;
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    Some(Seen { command: argv.join(" "), identity: Identity { pid, start }, uid, ns: OnceCell::new() })
}
