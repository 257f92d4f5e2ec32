//! The plan: an OCI runtime config as an ordered list of steps.
//!
//! Pure: it reads nothing and needs no privilege, so `--dry-run` works for anyone. The order is the
//! lesson. From top to bottom: what must be outside (the cgroup, while its directory can be seen),
//! who we are (user namespace), what we see (the other namespaces, each owned by that user
//! namespace), process 1, the file system while the host's paths still exist, pivot_root, what is
//! hidden in it, and last what we may do, each privilege given up after its last use.

use super::host::Host;
use super::mounts::COPY_UP;
use super::network::{Endpoint, Published};
use super::seccomp::Filter;
use super::namespaces;
use super::oci::state::{State, Status};
use super::step::{About, Carry, Step};
use super::steps::{
    await_start::AwaitStart, caps::Caps, cgroup::Cgroup, cgroupfs::CgroupFs, copy_up::CopyUp, cwd::Cwd, devices::Devices, exec::Exec, hooks::Hooks, hooks::Point, hostname::Hostname, loopback::Loopback, masks::Masks,
    mount::Mount, no_new_privs::NoNewPrivs, nodes::Nodes, oom_score::OomScore, pivot_root::PivotRoot, plug::Plug, read_only::ReadOnly,
    rlimits::Rlimits, rootfs::Rootfs, scheduling::Scheduling, rootfs::Source, seccomp::Seccomp, sysctl::Sysctl, tap::Tap, terminal::Terminal, unshare::Unshare, user::User,
};
use crate::kernel::ns::Ns;
use oci_spec::runtime::{Hook, LinuxResources, Process, Spec};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a config does not say, because it is not the container's to know.
#[derive(Debug, Clone)]
pub struct Place {
    /// The container's id, which names its cgroup.
    pub id: String,
    /// Where its root comes from.
    pub root: Source,
    /// Its places in networks.
    pub endpoints: Vec<Endpoint>,
    /// Without root, a tap device with these ports instead of a cable.
    pub tap: Option<Vec<Published>>,
    /// Its config's system call filter, compiled (see `engine::seccomp`).
    pub filter: Option<Filter>,
    /// The bundle of a container that others drive (see `engine::oci`): it waits to be started.
    pub bundle: Option<PathBuf>,
    /// pivot_root(2) is refused here: the root is moved instead.
    pub no_pivot: bool,
}

/// An ordered list of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The steps, first to last; the last is exec.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The steps that make a process into the container that `spec` describes, on this host.
    // ANCHOR: plan
    pub fn from_config(spec: &Spec, place: &Place, host: &Host) -> Self {
        let mut steps = Vec::new();
        let bundle = place.bundle.as_deref();
        let own = namespaces::of(spec, bundle.is_some());
        let has = |ns| own.iter().any(|u: &Unshare| u.ns == ns);

        // Once in a user namespace of its own it could not ask for this any more.
        steps.extend(spec.process().as_ref().map(priority).unwrap_or_default());
        // While the host's cgroup directories can be seen, and before the cgroup namespace, whose
        // root is where the process stands when it is made.
        let resources = spec.linux().as_ref().and_then(|l| l.resources().clone());
        if let Some(resources) = resources.or_else(|| bundle.map(|_| LinuxResources::default())) {
            steps.push(Step::Cgroup(if bundle.is_some() { Cgroup::from_oci(&resources).of_others() } else { Cgroup::from_oci(&resources) }));
        }
        steps.extend(namespaces::steps(spec, &own, host));
        let state = bundle.map(|bundle| State::creating(&place.id, bundle, spec));
        let hooks = |point: Point| hooks(spec, point, state.as_ref());
        steps.extend(hooks(Point::CreateRuntime));
        if let Some(name) = spec.hostname().as_ref().filter(|_| has(Ns::Uts)) {
            steps.push(Step::Hostname(Hostname { name: name.clone() }));
        }
        steps.extend(sysctl(spec));
        if own.iter().any(|u| u.ns == Ns::Net && (u.path.is_none() || bundle.is_none())) {
            steps.push(Step::Loopback(Loopback {}));
            let cables = place.endpoints.iter().cloned().enumerate();
            steps.extend(cables.map(|(n, endpoint)| Step::Plug(Plug { name: format!("eth{n}"), endpoint })));
            steps.extend(place.tap.clone().map(|ports| Step::Tap(Tap { ports })));
        }

        // The file system: sources on the host must still be reachable.
        steps.push(Step::Rootfs(Rootfs { source: place.root.clone() }));
        steps.extend(fresh_volumes(spec).map(Step::CopyUp));
        for mount in spec.mounts().iter().flatten().map(mount) {
            let is_dev = mount.target.as_os_str() == "/dev";
            match (mount.fstype.as_str(), &host.cgroups) {
                ("cgroup", Some(layout)) => steps.push(Step::CgroupFs(CgroupFs::new(&mount, layout))),
                ("cgroup", None) => {}
                _ => steps.push(Step::Mount(mount)),
            }
            if is_dev {
                steps.push(Step::Devices(Devices {}));
            }
        }
        steps.extend(spec.linux().as_ref().and_then(|l| l.devices().clone()).filter(|list| !list.is_empty()).map(|list| Step::Nodes(Nodes { list })));
        steps.extend(hooks(Point::CreateContainer));
        steps.push(Step::PivotRoot(PivotRoot { moved: place.no_pivot }));
        steps.extend(masks(spec).map(Step::Masks));

        // The process itself: privileges go in the order in which they are last needed.
        if let Some(process) = spec.process() {
            let read_only = spec.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false);
            steps.extend(bundle.and_then(|_| Scheduling::from_oci(process, spec)).map(Step::Scheduling));
            settle(process, read_only, place.filter.clone(), &mut steps);
        }
        if bundle.is_some() {
            wait_before_exec(&mut steps, hooks(Point::StartContainer));
        }
        Self { steps }
    }
    // ANCHOR_END: plan

    /// What each step is, in words.
    pub fn about(&self) -> Vec<About> {
        self.steps.iter().map(Carry::about).collect()
    }
}

// ANCHOR: settle
/// The steps about the process: terminal, user, capabilities, filter, exec.
pub(super) fn settle(process: &Process, read_only: bool, filter: Option<Filter>, steps: &mut Vec<Step>) {
    steps.push(Step::Terminal(Terminal { tty: process.terminal().unwrap_or(false) }));
    steps.push(Step::Cwd(Cwd { path: process.cwd().clone() }));
    if read_only {
        steps.push(Step::ReadOnly(ReadOnly {}));
    }
    if let Some(limits) = process.rlimits().as_ref().filter(|limits| !limits.is_empty()) {
        steps.push(Step::Rlimits(Rlimits::from_oci(limits)));
    }
    let no_new_privs = process.no_new_privileges().unwrap_or(false);
    if no_new_privs {
        steps.push(Step::NoNewPrivs(NoNewPrivs {}));
    }
    let user = process.user();
    steps.push(Step::User(User { uid: user.uid(), gid: user.gid(), groups: user.additional_gids().clone().unwrap_or_default(), umask: user.umask() }));
    // Before the capabilities go: without no_new_privs a filter needs CAP_SYS_ADMIN.
    steps.extend(filter.map(|filter| Step::Seccomp(Seccomp { filter })));
    steps.extend(process.capabilities().as_ref().map(|c| Step::Caps(Caps::from_oci(c))));
    steps.push(Step::Exec(Exec {
        argv: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
    }));
}
// ANCHOR_END: settle

/// What decides when it runs and when it is killed.
fn priority(process: &Process) -> Vec<Step> {
    process.oom_score_adj().map(|adjust| Step::OomScore(OomScore { adjust })).into_iter().collect()
}

/// The kernel parameters; the domain name is one of them, and has a field of its own.
fn sysctl(spec: &Spec) -> Option<Step> {
    let mut values: BTreeMap<String, String> = spec.linux().as_ref().and_then(|l| l.sysctl().clone()).unwrap_or_default().into_iter().collect();
    values.extend(spec.domainname().iter().filter(|name| !name.is_empty()).map(|name| ("kernel.domainname".to_owned(), name.clone())));
    (!values.is_empty()).then_some(Step::Sysctl(Sysctl { values }))
}

/// The hooks of one point, where there are any.
// prestart is deprecated, and still what many network plugins use.
#[allow(deprecated)]
fn hooks(spec: &Spec, point: Point, state: Option<&State>) -> Option<Step> {
    let (hooks, state) = (spec.hooks().as_ref()?, state?);
    let list: Vec<Hook> = match point {
        Point::CreateRuntime => hooks.prestart().iter().chain(hooks.create_runtime()).flatten().cloned().collect(),
        Point::CreateContainer => hooks.create_container().clone().unwrap_or_default(),
        Point::StartContainer => hooks.start_container().clone().unwrap_or_default(),
    };
    let status = if point == Point::StartContainer { Status::Created } else { Status::Creating };
    let own = spec.process().as_ref().and_then(|p| p.env().clone()).filter(|_| point == Point::StartContainer);
    let env = own.unwrap_or_default();
    (!list.is_empty()).then(|| Step::Hooks(Hooks { point, list, state: State { status, ..state.clone() }, env }))
}

/// Puts the wait for `start` right before exec, and the last hooks between them.
fn wait_before_exec(steps: &mut Vec<Step>, hooks: Option<Step>) {
    let last = steps.pop_if(|last| matches!(last, Step::Exec(_)));
    let exec = last.as_ref().and_then(|step| if let Step::Exec(exec) = step { Some(exec.clone()) } else { None });
    steps.push(Step::AwaitStart(AwaitStart { exec }));
    steps.extend(hooks);
    steps.extend(last);
}

fn mount(entry: &oci_spec::runtime::Mount) -> Mount {
    let fstype = entry.typ().clone().unwrap_or_else(|| "bind".into());
    Mount {
        target: entry.destination().clone(),
        source: entry.source().clone().unwrap_or_else(|| PathBuf::from(&fstype)).to_string_lossy().into_owned(),
        options: entry.options().clone().unwrap_or_default(),
        fstype,
    }
}

/// The volumes that take the image's files if they are empty (see `engine::mounts`).
fn fresh_volumes(spec: &Spec) -> impl Iterator<Item = CopyUp> {
    let mut found: Vec<CopyUp> = spec.annotations().iter().flatten().filter_map(|(key, volume)| {
        Some(CopyUp { target: key.strip_prefix(COPY_UP)?.into(), volume: volume.clone() })
    }).collect();
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found.into_iter()
}

fn masks(spec: &Spec) -> Option<Masks> {
    let linux = spec.linux().as_ref()?;
    let paths = |list: &Option<Vec<String>>| list.iter().flatten().map(PathBuf::from).collect::<Vec<_>>();
    let masks = Masks { masked: paths(linux.masked_paths()), read_only: paths(linux.readonly_paths()) };
    (!masks.masked.is_empty() || !masks.read_only.is_empty()).then_some(masks)
}
