//! From `POST /containers/create`'s document (Config, HostConfig, NetworkingConfig) to what the engine is
//! asked for. What the engine has not is an error if somebody may rely on it, else a warning: nothing is
//! passed over in silence.

use super::fault::Fault;
use crate::engine::container::Container;
use crate::engine::given;
use crate::engine::health::Check;
use crate::engine::limits::{Wanted, limits};
use crate::engine::network::{self, Lookup, Place, Published, Wish, etc};
use crate::engine::request::{Network, Request};
use crate::engine::{life, log};
use crate::kernel::cgroup::Amount;
use crate::kernel::ns::Ns;
use crate::kernel::userns::is_host_root;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

type Named = BTreeMap<String, Value>;

/// The document. `null` stands for what is not said.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Document {
    image: Option<String>,
    cmd: Option<Words>,
    entrypoint: Option<Words>,
    hostname: Option<String>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    tty: Option<bool>,
    open_stdin: Option<bool>,
    attach_stdin: Option<bool>,
    attach_stdout: Option<bool>,
    attach_stderr: Option<bool>,
    labels: Option<BTreeMap<String, String>>,
    exposed_ports: Option<Named>,
    volumes: Option<Named>,
    stop_signal: Option<String>,
    stop_timeout: Option<i64>,
    network_disabled: Option<bool>,
    healthcheck: Option<Health>,
    host_config: Option<Host>,
    networking_config: Option<Networking>,
    #[serde(flatten)]
    more: Named,
}

/// A list of words, or one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Words {
    Many(Vec<String>),
    One(String),
}

impl Words {
    fn list(self) -> Vec<String> {
        match self {
            Words::Many(all) => all,
            Words::One(one) => vec![one],
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Health {
    test: Option<Vec<String>>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    retries: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Networking {
    endpoints_config: Option<BTreeMap<String, Option<Endpoint>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Endpoint {
    pub aliases: Option<Vec<String>>,
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<Ipam>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ipam {
    #[serde(rename = "IPv4Address")]
    pub address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Host {
    binds: Option<Vec<String>>,
    mounts: Option<Vec<Value>>,
    tmpfs: Option<BTreeMap<String, String>>,
    volumes_from: Option<Vec<String>>,
    network_mode: Option<String>,
    port_bindings: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    publish_all_ports: Option<bool>,
    auto_remove: Option<bool>,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    dns: Option<Vec<String>>,
    dns_options: Option<Vec<String>>,
    dns_search: Option<Vec<String>>,
    extra_hosts: Option<Vec<String>>,
    privileged: Option<bool>,
    readonly_rootfs: Option<bool>,
    security_opt: Option<Vec<String>>,
    pid_mode: Option<String>,
    ipc_mode: Option<String>,
    #[serde(rename = "UTSMode")]
    uts_mode: Option<String>,
    userns_mode: Option<String>,
    init: Option<bool>,
    ulimits: Option<Vec<Ulimit>>,
    log_config: Option<Logging>,
    #[serde(flatten)]
    resources: Resources,
}

/// Limits, as `update` has them too.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Resources {
    memory: Option<i64>,
    memory_swap: Option<i64>,
    memory_reservation: Option<i64>,
    nano_cpus: Option<i64>,
    cpu_period: Option<i64>,
    cpu_quota: Option<i64>,
    cpu_shares: Option<i64>,
    cpuset_cpus: Option<String>,
    cpuset_mems: Option<String>,
    pids_limit: Option<i64>,
    blkio_weight: Option<u64>,
    pub restart_policy: Option<Restart>,
    #[serde(flatten)]
    more: Named,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Binding {
    host_ip: Option<String>,
    host_port: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Restart {
    name: Option<String>,
    maximum_retry_count: Option<u32>,
}

impl Restart {
    /// As the engine has it; none where nothing is said.
    pub fn policy(&self) -> Result<Option<crate::engine::restart::Policy>, Fault> {
        let Some(name) = self.name.as_deref().filter(|n| !n.is_empty()) else { return Ok(None) };
        let count = self.maximum_retry_count.filter(|n| *n > 0).map(|n| format!(":{n}")).unwrap_or_default();
        format!("{name}{count}").parse().map(Some).map_err(|e: String| Fault::bad(e))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Ulimit {
    name: String,
    soft: i64,
    hard: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Logging {
    r#type: String,
    config: Option<BTreeMap<String, String>>,
}

/// What somebody relies on who asks for it.
const REFUSED: &[&str] = &[
    "Devices", "DeviceRequests", "DeviceCgroupRules", "GroupAdd", "Sysctls", "CgroupParent", "Runtime", "Isolation", "StorageOpt", "VolumeDriver", "Links", "OomScoreAdj", "ContainerIDFile",
    "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "BlkioWeightDevice", "CpuRealtimePeriod", "CpuRealtimeRuntime",
];
/// What clients say whatever they mean, or what says nothing here.
const PLAIN: &[&str] = &["ConsoleSize", "MaskedPaths", "ReadonlyPaths", "StdinOnce", "OnBuild", "ArgsEscaped", "MemorySwappiness", "Cgroup", "CgroupnsMode", "Shell"];

fn means_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(n) => n.as_f64().is_some_and(|n| n == 0.0 || n == -1.0),
        Value::String(text) => matches!(text.as_str(), "" | "default" | "runc"),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
    }
}

fn left_over(more: &Named, warnings: &mut Vec<String>) -> Result<(), Fault> {
    for (name, _) in more.iter().filter(|(name, value)| !means_nothing(value) && !PLAIN.contains(&name.as_str())) {
        if name == "ShmSize" && more[name].as_u64() == Some(64 << 20) {
            continue;
        }
        if REFUSED.contains(&name.as_str()) {
            return Err(Fault::bad(format!("skiff cannot heed {name}")));
        }
        warnings.push(format!("{name} is not heeded by skiff"));
    }
    Ok(())
}

impl Resources {
    /// As the engine has them.
    pub fn limits(&self) -> Result<crate::kernel::cgroup::Limits, Fault> {
        let memory = self.memory.filter(|m| *m > 0).map(|m| format!("{m}b"));
        let swap = self.memory_swap.filter(|m| *m != 0).map(|m| if m < 0 { "-1".to_owned() } else { format!("{m}b") });
        let nano = self.nano_cpus.filter(|n| *n > 0).map(|n| n as f64 / 1e9);
        let quota = self.cpu_quota.filter(|q| *q > 0).map(|q| q as f64 / self.cpu_period.filter(|p| *p > 0).unwrap_or(100_000) as f64);
        let cpus = nano.or(quota).map(|c| c.to_string());
        let shares = self.cpu_shares.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        let pids = self.pids_limit.filter(|p| *p != 0);
        let mut limits = limits(&Wanted { memory: memory.as_deref(), memory_swap: swap.as_deref(), cpus: cpus.as_deref(), cpu_shares: shares, pids })?;
        limits.memory_reservation = self.memory_reservation.and_then(|m| u64::try_from(m).ok()).filter(|m| *m > 0).map(Amount::Of);
        limits.cpuset = self.cpuset_cpus.clone().filter(|s| !s.is_empty());
        limits.cpuset_mems = self.cpuset_mems.clone().filter(|s| !s.is_empty());
        limits.io_weight = self.blkio_weight.filter(|w| *w > 0);
        Ok(limits)
    }
}

/// What is asked for, and what is to be said about it.
pub(super) fn request(document: Document, name: Option<&str>, root: &Path) -> Result<(Request, Vec<String>), Fault> {
    let mut warnings = Vec::new();
    let host = document.host_config.unwrap_or_default();
    left_over(&document.more, &mut warnings)?;
    left_over(&host.resources.more, &mut warnings)?;
    let image = document.image.filter(|i| !i.is_empty()).ok_or_else(|| Fault::bad("no image specified"))?;
    let mut words = document.cmd.map(Words::list).unwrap_or_default();
    let mut entrypoint = document.entrypoint.map(Words::list).map(Vec::into_iter);
    let first = entrypoint.as_mut().and_then(|all| all.next());
    // The rest of the entrypoint is what the command begins with.
    words = entrypoint.into_iter().flatten().chain(words).collect();
    let attached = [document.attach_stdin, document.attach_stdout, document.attach_stderr].contains(&Some(true));
    let mut request = Request {
        image,
        command: words,
        entrypoint: first,
        name: name.map(|n| n.trim_start_matches('/').to_owned()),
        hostname: document.hostname.filter(|h| !h.is_empty()),
        env: document.env.unwrap_or_default(),
        workdir: document.working_dir.filter(|w| !w.is_empty()).map(Into::into),
        user: document.user.filter(|u| !u.is_empty()),
        tty: document.tty.unwrap_or(false),
        interactive: document.open_stdin.unwrap_or(false),
        detach: !attached,
        labels: document.labels.unwrap_or_default(),
        stop_signal: document.stop_signal.filter(|s| !s.is_empty()),
        stop_timeout: document.stop_timeout,
        remove: host.auto_remove.unwrap_or(false),
        cap_add: host.cap_add.clone().unwrap_or_default(),
        cap_drop: host.cap_drop.clone().unwrap_or_default(),
        privileged: host.privileged.unwrap_or(false),
        read_only: host.readonly_rootfs.unwrap_or(false),
        init: host.init.unwrap_or(false),
        ulimits: host.ulimits.iter().flatten().map(|u| format!("{}={}:{}", u.name, u.soft, u.hard)).collect(),
        limits: host.resources.limits()?,
        ..Request::default()
    };
    if let Some(dir) = request.workdir.as_ref().filter(|d| !d.is_absolute()) {
        return Err(Fault::bad(format!("the working directory '{}' is invalid, it needs to be an absolute path", dir.display())));
    }
    if let Some(signal) = &request.stop_signal {
        life::signal_number(signal)?;
    }
    if let Some(health) = document.healthcheck {
        request.health = Check { test: health.test.unwrap_or_default(), interval: health.interval, timeout: health.timeout, start_period: health.start_period, retries: health.retries };
    }
    shared(&host, &mut request)?;
    mounts(&host, document.volumes.unwrap_or_default(), &mut request)?;
    let endpoints = document.networking_config.and_then(|n| n.endpoints_config).unwrap_or_default();
    let exposed: Vec<String> = document.exposed_ports.unwrap_or_default().into_keys().collect();
    let alone = document.network_disabled.unwrap_or(false);
    request.lookup = lookup(&host)?;
    request.network = if alone { Network::None } else { joined(&host, endpoints, exposed, root, &mut request)? };
    Ok((request, warnings))
}

/// What it shares with the host, and how it is kept from it.
fn shared(host: &Host, request: &mut Request) -> Result<(), Fault> {
    let is = |mode: &Option<String>, what: &str| match mode.as_deref() {
        None | Some("" | "private" | "shareable") => Ok(false),
        Some("host") => Ok(true),
        Some(other) => Err(Fault::bad(format!("skiff cannot heed {what} {other:?}"))),
    };
    request.host_pid = is(&host.pid_mode, "PidMode")?;
    request.host_ipc = is(&host.ipc_mode, "IpcMode")?;
    request.host_uts = is(&host.uts_mode, "UTSMode")?;
    is(&host.userns_mode, "UsernsMode")?;
    for option in host.security_opt.iter().flatten() {
        // A client sends a profile's content, not its name.
        if option.strip_prefix("seccomp=").is_some_and(|text| text.starts_with('{')) {
            return Err(Fault::bad("skiff cannot heed a seccomp profile over the API: `skiff run --security-opt seccomp=FILE` can"));
        }
        request.secure(option)?;
    }
    if let Some(restart) = &host.resources.restart_policy {
        request.restart = restart.policy()?.unwrap_or_default();
    }
    if request.remove && request.restart != crate::engine::restart::Policy::No {
        return Err(Fault::bad("can't create 'AutoRemove' container with restart policy"));
    }
    if let Some(logging) = &host.log_config {
        let driver = if logging.r#type.is_empty() { "json-file" } else { &logging.r#type };
        if !matches!(driver, "json-file" | "local" | "none") {
            return Err(Fault::bad(format!("logger: no log driver named '{driver}' is registered")));
        }
        let options: Vec<String> = logging.config.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        request.log = log::Options::read(driver, &options)?;
    }
    Ok(())
}

fn mounts(host: &Host, anonymous: Named, request: &mut Request) -> Result<(), Fault> {
    let binds = host.binds.iter().flatten().cloned();
    binds.chain(anonymous.into_keys()).try_for_each(|text| given::volume(&text, request))?;
    for (target, options) in host.tmpfs.iter().flatten() {
        request.tmpfs.push(given::tmpfs(&format!("{target}:{options}"))?);
    }
    for mount in host.mounts.iter().flatten() {
        given::mount(&as_flag(mount)?, request)?;
    }
    request.volumes_from = host.volumes_from.clone().unwrap_or_default();
    Ok(())
}

/// One of `Mounts` as `--mount` has it.
fn as_flag(mount: &Value) -> Result<String, Fault> {
    let quoted = |name: &str, value: &str| format!("\"{name}={value}\"");
    let mut fields = Vec::new();
    for (name, field) in [("Type", "type"), ("Source", "source"), ("Target", "target")] {
        fields.extend(mount[name].as_str().filter(|v| !v.is_empty()).map(|value| quoted(field, value)));
    }
    if mount["ReadOnly"].as_bool() == Some(true) {
        fields.push("readonly".into());
    }
    fields.extend(mount["BindOptions"]["Propagation"].as_str().filter(|v| !v.is_empty()).map(|v| quoted("bind-propagation", v)));
    let volume = &mount["VolumeOptions"];
    if volume["NoCopy"].as_bool() == Some(true) {
        fields.push("volume-nocopy".into());
    }
    let pairs = |of: &Value, field: &str| -> Vec<String> { of.as_object().into_iter().flatten().map(|(n, v)| quoted(field, &format!("{n}={}", v.as_str().unwrap_or_default()))).collect() };
    fields.extend(pairs(&volume["Labels"], "volume-label"));
    fields.extend(pairs(&volume["DriverConfig"]["Options"], "volume-opt"));
    fields.extend(volume["DriverConfig"]["Name"].as_str().filter(|v| !v.is_empty()).map(|v| quoted("volume-driver", v)));
    fields.extend(mount["TmpfsOptions"]["SizeBytes"].as_u64().filter(|n| *n > 0).map(|n| format!("tmpfs-size={n}")));
    fields.extend(mount["TmpfsOptions"]["Mode"].as_u64().filter(|n| *n > 0).map(|n| format!("tmpfs-mode={n:o}")));
    if fields.iter().any(|f| f[1..f.len() - 1].contains('"')) {
        return Err(Fault::bad("invalid mount config: a quotation mark in it"));
    }
    Ok(fields.join(","))
}

fn lookup(host: &Host) -> Result<Lookup, Fault> {
    let servers = host.dns.iter().flatten().map(|text| text.parse().map_err(|_| Fault::bad(format!("{text} is not an ip address")))).collect::<Result<_, _>>()?;
    let line = |text: &String| {
        let (name, address) = text.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(|| Fault::bad(format!("bad format for add-host: {text:?}")))?;
        let plain = address.trim_matches(['[', ']']);
        if plain != etc::HOST_GATEWAY && plain.parse::<std::net::IpAddr>().is_err() {
            return Err(Fault::bad(format!("invalid IP address in add-host: {address:?}")));
        }
        Ok((name.to_owned(), plain.to_owned()))
    };
    let hosts = host.extra_hosts.iter().flatten().map(line).collect::<Result<_, _>>()?;
    Ok(Lookup { servers, search: host.dns_search.clone().unwrap_or_default(), options: host.dns_options.clone().unwrap_or_default(), hosts, like: None })
}

/// A place in a network, as an endpoint's settings say it.
pub(super) fn place(network: &str, endpoint: Option<Endpoint>) -> Result<Place, Fault> {
    let endpoint = endpoint.unwrap_or_default();
    let address = endpoint.ipam_config.and_then(|i| i.address).filter(|a| !a.is_empty());
    let address = address.map(|a| a.parse().map_err(|_| Fault::bad(format!("invalid IPv4 address: {a}")))).transpose()?;
    Ok(Place { network: network.to_owned(), address, aliases: endpoint.aliases.unwrap_or_default() })
}

fn joined(host: &Host, mut endpoints: BTreeMap<String, Option<Endpoint>>, exposed: Vec<String>, root: &Path, request: &mut Request) -> Result<Network, Fault> {
    let mut ports = Vec::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        for binding in bindings.iter().flatten() {
            let address = binding.host_ip.as_deref().unwrap_or_default();
            // All addresses: of those that speak IPv6 there are none here.
            let address = if address == "::" { "" } else { address };
            let given = binding.host_port.as_deref().unwrap_or_default();
            ports.extend(Published::parse(&format!("{address}:{given}:{port}"))?);
        }
    }
    let publishes = !ports.is_empty() || host.publish_all_ports == Some(true);
    let mode = host.network_mode.as_deref().filter(|m| !m.is_empty() && *m != "default").unwrap_or(network::DEFAULT);
    match mode {
        "none" => return Ok(Network::None),
        "host" => return Ok(Network::Host),
        // A bridge on the host is root's to make.
        network::DEFAULT if !publishes && !is_host_root() => return Ok(Network::None),
        other => {
            if let Some(name) = other.strip_prefix("container:") {
                let with = Container::find(root, name)?;
                request.lookup.like = Some(with.id().to_owned());
                return Ok(Network::At(Ns::Net.path(life::process(&with)?.pid())));
            }
        }
    }
    let settings = endpoints.remove(mode).or_else(|| endpoints.remove("default")).flatten();
    let mut places = vec![place(mode, settings)?];
    for (name, endpoint) in endpoints {
        places.push(place(&name, endpoint)?);
    }
    if places.iter().any(|p| p.network == network::DEFAULT && !p.aliases.is_empty()) {
        return Err(Fault::bad("network-scoped alias is supported only for containers in user defined networks"));
    }
    Ok(Network::Joined(Wish { places, ports, exposed, all_exposed: host.publish_all_ports == Some(true) }))
}
