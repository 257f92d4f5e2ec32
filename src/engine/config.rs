//! From Docker's options to an OCI runtime config (OCI runtime spec, config.md).
//!
//! The config is what containers are made of everywhere: runc, crun and youki take the same file.
//! It is kept as config.json beside the container's state; read it to see what an option became.

use super::defaults;
use super::error::Error;
use super::mounts;
use super::passwd;
use super::request::{Network, Request};
use super::seccomp;
use super::volume::MountPoint;
use crate::image::Image;
use crate::kernel::cgroup::device::{Kind, MKNOD, READ, Rule, WRITE};
use crate::kernel::cgroup::{Amount, Quota};
use crate::kernel::rlimit::{BadLimit, Rlimit};
use oci_spec::runtime::{
    LinuxBuilder, LinuxCpuBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxSeccomp, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, LinuxResourcesBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Process, ProcessBuilder,
    RootBuilder, Spec, SpecBuilder, User, UserBuilder,
};
use std::path::{Path, PathBuf};

/// Where a container's own files lie, and what it is called.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its folder, where resolv.conf, hosts and hostname lie.
    pub folder: &'a Path,
    /// Its volumes and the host's folders.
    pub mounts: &'a [MountPoint],
}

/// The config for what was asked, over this image.
pub fn config(request: &Request, image: &Image, names: &Names<'_>, rootless: bool) -> Result<Spec, Error> {
    let hostname = request.hostname.clone().unwrap_or_else(|| names.id[..12].to_owned());
    let mut spec = SpecBuilder::default()
        .version("1.2.0")
        .root(RootBuilder::default().path("rootfs").readonly(request.read_only).build().map_err(invalid)?)
        .mounts(mounts::mounts(request, names, rootless)?)
        .process(process(request, image, &hostname)?)
        .linux(linux(request)?)
        .build()
        .map_err(invalid)?;
    let annotations = mounts::annotations(names);
    if !annotations.is_empty() {
        spec.set_annotations(Some(annotations));
    }
    if !request.host_uts {
        spec.set_hostname(Some(hostname));
    }
    Ok(spec)
}

/// oci-spec's builders fail only where a required field is missing, which would be our own mistake.
pub(super) fn invalid(error: oci_spec::OciSpecError) -> Error {
    Error::Option { option: "the runtime config", value: error.to_string(), reason: "not a valid OCI config".into(), example: "report this" }
}

fn process(request: &Request, image: &Image, hostname: &str) -> Result<Process, Error> {
    let of_image = image.config.config().clone().unwrap_or_default();
    let mut args: Vec<String> = match &request.entrypoint {
        Some(empty) if empty.is_empty() => Vec::new(),
        Some(given) => vec![given.clone()],
        None => of_image.entrypoint().clone().unwrap_or_default(),
    };
    // A new entrypoint drops the image's command, as Docker does: it was meant for the old one.
    if !request.command.is_empty() {
        args.extend(request.command.clone());
    } else if request.entrypoint.is_none() {
        args.extend(of_image.cmd().clone().unwrap_or_default());
    }
    if request.init {
        args.splice(0..0, [super::init::PATH.to_owned(), "init".to_owned(), "--".to_owned()]);
    }
    let wanted = request.user.clone().or_else(|| of_image.user().clone()).unwrap_or_default();
    let who = passwd::resolve(&wanted, &image.dirs())?;
    let cwd = request.workdir.clone().or_else(|| of_image.working_dir().clone().filter(|w| !w.is_empty()).map(PathBuf::from));
    let base = if request.privileged { crate::kernel::caps::ALL } else { defaults::capability_mask() };
    let capabilities = defaults::capability_sets(defaults::capabilities(base, &request.cap_add, &request.cap_drop)?);
    ProcessBuilder::default()
        .terminal(request.tty)
        .user(user(&who)?)
        .env(environment(request, of_image.env().clone().unwrap_or_default(), &who, hostname))
        .args(args)
        .cwd(cwd.unwrap_or_else(|| "/".into()))
        .capabilities(capabilities)
        .no_new_privileges(request.no_new_privileges)
        .rlimits(request.ulimits.iter().map(|text| rlimit(text)).collect::<Result<Vec<_>, _>>()?)
        .build()
        .map_err(invalid)
}

/// `--ulimit nofile=1024:2048` as the OCI spells it.
fn rlimit(text: &str) -> Result<PosixRlimit, Error> {
    let limit = Rlimit::parse(text)?;
    let name = format!("RLIMIT_{}", limit.name.to_uppercase());
    let kind: PosixRlimitType = name.parse().map_err(|_| BadLimit::Unknown(limit.name))?;
    PosixRlimitBuilder::default().typ(kind).soft(limit.soft).hard(limit.hard).build().map_err(invalid)
}

/// The system call filter: none for `--privileged`, as Docker does.
fn seccomp(request: &Request) -> Result<Option<LinuxSeccomp>, Error> {
    let capabilities = defaults::capabilities(defaults::capability_mask(), &request.cap_add, &request.cap_drop)?;
    if request.privileged { Ok(None) } else { seccomp::asked(&request.seccomp, capabilities) }
}

/// A user as the OCI spells it.
pub(super) fn user(who: &passwd::Who) -> Result<User, Error> {
    // The primary group among the others too: a set-group-ID program would else get rid of it, and
    // with it of what it is denied (CVE-2022-36109).
    let groups: Vec<u32> = std::iter::once(who.gid).chain(who.groups.iter().copied().filter(|g| *g != who.gid)).collect();
    UserBuilder::default().uid(who.uid).gid(who.gid).additional_gids(groups).build().map_err(invalid)
}

/// The image's variables, then the asked ones over them; PATH, HOME, HOSTNAME and TERM as Docker sets them.
fn environment(request: &Request, of_image: Vec<String>, who: &passwd::Who, hostname: &str) -> Vec<String> {
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    env.push(format!("HOSTNAME={hostname}"));
    if request.tty {
        env.push("TERM=xterm".into());
    }
    for setting in of_image.into_iter().chain(request.env.iter().cloned()) {
        let name = setting.split('=').next().unwrap_or_default().to_owned();
        env.retain(|e| e.split('=').next() != Some(name.as_str()));
        env.push(setting);
    }
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", who.home));
    }
    env
}

fn linux(request: &Request) -> Result<oci_spec::runtime::Linux, Error> {
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(request)?)
        .resources(resources(request)?)
        .rootfs_propagation("rprivate")
        .build()
        .map_err(invalid)?;
    let open = request.privileged || request.unmasked;
    linux.set_seccomp(seccomp(request)?);
    linux.set_masked_paths(if open { None } else { Some(defaults::MASKED_PATHS.map(String::from).to_vec()) });
    linux.set_readonly_paths(if open { None } else { Some(defaults::READONLY_PATHS.map(String::from).to_vec()) });
    Ok(linux)
}

/// Limits and device rules as the OCI spells them.
fn resources(request: &Request) -> Result<LinuxResources, Error> {
    let limits = &request.limits;
    let bytes = |amount: Amount| match amount {
        Amount::Of(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
        Amount::Unlimited => -1,
    };
    let mut all = LinuxResourcesBuilder::default().build().map_err(invalid)?;
    if limits.memory.is_some() || limits.memory_swap.is_some() {
        let mut memory = LinuxMemoryBuilder::default().build().map_err(invalid)?;
        memory.set_limit(limits.memory.map(bytes));
        memory.set_swap(limits.memory_swap.map(bytes));
        all.set_memory(Some(memory));
    }
    if limits.cpus.is_some() || limits.cpu_shares.is_some() {
        let mut cpu = LinuxCpuBuilder::default().build().map_err(invalid)?;
        if let Some(Quota { micros, period }) = limits.cpus {
            cpu.set_quota(Some(bytes(micros)));
            cpu.set_period(Some(period));
        }
        cpu.set_shares(limits.cpu_shares);
        all.set_cpu(Some(cpu));
    }
    if let Some(pids) = limits.pids {
        all.set_pids(Some(LinuxPidsBuilder::default().limit(bytes(pids)).build().map_err(invalid)?));
    }
    if !request.privileged {
        all.set_devices(Some(defaults::device_rules().iter().map(device).collect::<Result<_, _>>()?));
    }
    Ok(all)
}

fn device(rule: &Rule) -> Result<LinuxDeviceCgroup, Error> {
    let kind = match rule.kind {
        Kind::All => LinuxDeviceType::A,
        Kind::Char => LinuxDeviceType::C,
        Kind::Block => LinuxDeviceType::B,
    };
    let access: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')].into_iter().filter(|(bit, _)| rule.access & bit != 0).map(|(_, c)| c).collect();
    let mut entry = LinuxDeviceCgroupBuilder::default().allow(rule.allow).typ(kind).access(access).build().map_err(invalid)?;
    entry.set_major(rule.major.map(i64::from));
    entry.set_minor(rule.minor.map(i64::from));
    Ok(entry)
}

fn namespaces(request: &Request) -> Result<Vec<LinuxNamespace>, Error> {
    use LinuxNamespaceType as Kind;
    let wanted = [
        (Kind::Mount, true),
        (Kind::Uts, !request.host_uts),
        (Kind::Ipc, !request.host_ipc),
        (Kind::Network, request.network != Network::Host),
        (Kind::Pid, !request.host_pid),
        (Kind::Cgroup, !request.privileged),
    ];
    let made = wanted.into_iter().filter(|(_, wanted)| *wanted);
    made.map(|(kind, _)| {
        let mut namespace = LinuxNamespaceBuilder::default().typ(kind).build().map_err(invalid)?;
        if let (Kind::Network, Network::At(path)) = (kind, &request.network) {
            namespace.set_path(Some(path.clone()));
        }
        Ok(namespace)
    })
    .collect()
}
