//! The document of a container, as the API and `skiff inspect` have it: Docker's members, in Docker's order (Docker Engine API,
//! ContainerInspect). What Docker knows and the kernel or skiff has no such thing of stands at its zero.

use super::ordered::{Ordered, members};
use super::words::state;
use crate::engine::container::{Container, Status};
use crate::engine::{defaults, health};
use crate::engine::network::{Endpoint, Published};
use crate::engine::request::{Network, Request};
use crate::engine::start::request_of;
use crate::engine::volume::{MountPoint, Origin};
use crate::image::{Image, Store};
use crate::kernel::cgroup::Amount;
use crate::kernel::ns::Ns;
use serde_json::{Value, json};
use std::time::SystemTime;

/// The document of one container.
pub fn document(container: &Container) -> Ordered {
    let record = &container.record;
    let folder = container.folder();
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let request = request_of(container).unwrap_or_default();
    let image = Store::open(container.store()).resolve(&record.image_digest).ok();
    let (path, arguments) = record.command.split_first().map_or((String::new(), Vec::new()), |(p, a)| (p.clone(), a.to_vec()));
    members! {
        "Id": record.id.clone(),
        "Created": moment(Some(record.created)),
        "Path": path,
        "Args": arguments,
        "State": state_of(container),
        "Image": image.as_ref().map_or_else(|| record.image_digest.clone(), |i| i.id.to_string()),
        "ResolvConfPath": at("resolv.conf"),
        "HostnamePath": at("hostname"),
        "HostsPath": at("hosts"),
        "LogPath": at("log.json"),
        "OCIConfigPath": at("config.json"),
        "Name": format!("/{}", record.name),
        "RestartCount": record.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": Value::Null,
        "HostConfig": host_config(container, &request),
        "GraphDriver": graph(container, image.as_ref()),
        "Mounts": mounts(container),
        "Config": config(container, &request, image.as_ref()),
        "NetworkSettings": network(container, &request, image.as_ref()),
    }
}

/// As Go writes a time; its zero is the first second of the first year.
fn moment(time: Option<SystemTime>) -> String {
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| humantime::format_rfc3339_nanos(time).to_string())
}

fn state_of(container: &Container) -> Ordered {
    let record = &container.record;
    let status = container.status();
    let word = state(container);
    let runs = matches!(status, Status::Running | Status::Restarting);
    // Its monitor was killed, and the kernel killed it with that: nobody wrote down how it ended.
    let (code, finished) = if status == Status::Dead { (137, record.started) } else { (record.exit_code, record.finished) };
    let mut state = vec![
        ("Status", Ordered::from_any(word)),
        ("Running", Ordered::from_any(runs)),
        ("Paused", Ordered::from_any(word == "paused")),
        ("Restarting", Ordered::from_any(status == Status::Restarting)),
        ("OOMKilled", Ordered::from_any(record.oom_killed)),
        ("Dead", Ordered::from_any(false)),
        ("Pid", Ordered::from_any(if status.is_live() { record.pid } else { 0 })),
        ("ExitCode", Ordered::from_any(if status == Status::Running { 0 } else { code })),
        ("Error", Ordered::from_any(record.error.clone())),
        ("StartedAt", Ordered::from_any(moment(record.started))),
        ("FinishedAt", Ordered::from_any(moment(finished))),
    ];
    if let Some(report) = health::of(container) {
        let probe = |p: &health::Probe| members! { "Start": moment(Some(p.start)), "End": moment(Some(p.end)), "ExitCode": p.code, "Output": p.output.clone() };
        let log = Ordered::List(report.log.iter().map(probe).collect());
        state.push(("Health", members! { "Status": report.word(), "FailingStreak": report.failing, "Log": log }));
    }
    Ordered::Members(state)
}
fn amount(amount: Option<Amount>) -> i64 {
    match amount {
        None => 0,
        Some(Amount::Of(bytes)) => i64::try_from(bytes).unwrap_or(i64::MAX),
        Some(Amount::Unlimited) => -1,
    }
}

/// A list, or null where it is empty, as Docker has most of its lists.
fn list(all: &[String]) -> Value {
    if all.is_empty() { Value::Null } else { json!(all) }
}

fn host_config(container: &Container, request: &Request) -> Ordered {
    let record = &container.record;
    let limits = &request.limits;
    let read_only = |is: bool| if is { ":ro" } else { "" };
    let paths = request.binds.iter().map(|b| format!("{}:{}{}", b.source.display(), b.target.display(), read_only(b.read_only)));
    let named = request.volumes.iter().filter_map(|v| Some(format!("{}:{}{}", v.name.as_ref()?, v.target.display(), read_only(v.read_only))));
    let binds: Vec<String> = paths.chain(named).collect();
    let shared = |is: bool| if is { "host" } else { "" };
    let security: Vec<String> = request.no_new_privileges.then(|| "no-new-privileges".to_owned()).into_iter().collect();
    let nano = limits.cpus.and_then(|q| q.cpus()).map_or(0, |cpus| (cpus * 1e9).round() as i64);
    let hidden = |paths: &[&str]| if request.privileged || request.unmasked { Value::Null } else { json!(paths) };
    members! {
        "Binds": list(&binds),
        "ContainerIDFile": "",
        "LogConfig": members! { "Type": if request.log.none { "none" } else { "json-file" }, "Config": log_options(request) },
        "NetworkMode": network_mode(&request.network),
        "PortBindings": bindings(&wished_ports(request)),
        "RestartPolicy": members! { "Name": record.restart.name(), "MaximumRetryCount": record.restart.most() },
        "AutoRemove": record.auto_remove,
        "VolumesFrom": list(&request.volumes_from),
        "CapAdd": list(&request.cap_add),
        "CapDrop": list(&request.cap_drop),
        "CgroupnsMode": if request.privileged { "host" } else { "private" },
        "Dns": json!([]),
        "DnsOptions": json!([]),
        "DnsSearch": json!([]),
        "ExtraHosts": Value::Null,
        "GroupAdd": Value::Null,
        "IpcMode": if request.host_ipc { "host" } else { "private" },
        "Cgroup": "",
        "PidMode": shared(request.host_pid),
        "Privileged": request.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": request.read_only,
        "SecurityOpt": list(&security),
        "Tmpfs": request.tmpfs.iter().map(|t| (t.target.display().to_string(), json!(t.options.join(",")))).collect::<serde_json::Map<_, _>>(),
        "UTSMode": shared(request.host_uts),
        "UsernsMode": "",
        "ShmSize": 67_108_864,
        "Init": request.init,
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "Memory": amount(limits.memory),
        "NanoCpus": nano,
        "CgroupParent": "",
        "BlkioWeight": limits.io_weight.unwrap_or(0),
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpusetCpus": limits.cpuset.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "Devices": json!([]),
        "MemoryReservation": amount(limits.memory_reservation),
        "MemorySwap": amount(limits.memory_swap),
        "OomKillDisable": false,
        "PidsLimit": limits.pids.map_or(Value::Null, |p| json!(amount(Some(p)))),
        "Ulimits": list(&request.ulimits),
        "MaskedPaths": hidden(&defaults::MASKED_PATHS),
        "ReadonlyPaths": hidden(&defaults::READONLY_PATHS),
    }
}

fn log_options(request: &Request) -> Value {
    let mut all = serde_json::Map::new();
    if request.log.max_size > 0 {
        all.insert("max-size".into(), request.log.max_size.to_string().into());
    }
    if request.log.max_file > 0 {
        all.insert("max-file".into(), request.log.max_file.to_string().into());
    }
    all.into()
}

/// The network as `--network` named it.
pub fn network_mode(network: &Network) -> String {
    match network {
        Network::None => "none".into(),
        Network::Host => "host".into(),
        Network::Joined(wish) => wish.places.first().map(|p| p.network.clone()).unwrap_or_default(),
        Network::At(path) => format!("container:{}", path.display()),
    }
}

fn graph(container: &Container, image: Option<&Image>) -> Ordered {
    let folder = container.folder();
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let lower: Vec<String> = image.iter().flat_map(|i| i.layers.iter().rev()).map(|d| d.display().to_string()).collect();
    members! {
        "Data": members! { "LowerDir": lower.join(":"), "MergedDir": at("rootfs"), "UpperDir": at("upper"), "WorkDir": at("work") },
        "Name": "overlay",
    }
}

fn mount(mount: &MountPoint) -> Ordered {
    let volume = mount.kind == Origin::Volume;
    let mut all = vec![("Type", Ordered::Plain(if volume { "volume" } else { "bind" }.into()))];
    if let Some(name) = &mount.name {
        all.push(("Name", Ordered::Plain(name.clone().into())));
    }
    let rest = [
        ("Source", json!(mount.source)),
        ("Destination", json!(mount.target)),
        ("Mode", if mount.read_only { "ro".into() } else if volume { "z".into() } else { "".into() }),
        ("RW", json!(!mount.read_only)),
        ("Propagation", if volume { "".into() } else { json!(mount.propagation.as_deref().unwrap_or("rprivate")) }),
    ];
    if volume {
        all.push(("Driver", Ordered::Plain("local".into())));
    }
    all.extend(rest.into_iter().map(|(name, value)| (name, Ordered::Plain(value))));
    // Docker has the driver behind the destination.
    if volume {
        let driver = all.remove(2);
        all.insert(4, driver);
    }
    Ordered::Members(all)
}

fn config(container: &Container, request: &Request, image: Option<&Image>) -> Ordered {
    let of_image = image.and_then(|i| i.config.config().clone()).unwrap_or_default();
    let mut env = of_image.env().clone().unwrap_or_default();
    for setting in &request.env {
        let name = setting.split('=').next();
        match env.iter_mut().find(|e| e.split('=').next() == name) {
            Some(there) => *there = setting.clone(),
            None => env.push(setting.clone()),
        }
    }
    let own = |given: Option<String>, image: Option<String>| given.or(image).unwrap_or_default();
    let command = match (&request.command, &request.entrypoint) {
        (given, _) if !given.is_empty() => given.clone(),
        (_, None) => of_image.cmd().clone().unwrap_or_default(),
        _ => Vec::new(),
    };
    let entrypoint = request.entrypoint.clone().map_or_else(|| of_image.entrypoint().clone().unwrap_or_default(), |e| vec![e]);
    let keys = |all: &Option<Vec<String>>| all.as_ref().map_or(Value::Null, |all| all.iter().map(|k| (k.clone(), json!({}))).collect::<serde_json::Map<_, _>>().into());
    let mut all = vec![
        ("Hostname", json!(request.hostname.clone().unwrap_or_else(|| container.short_id().to_owned()))),
        ("Domainname", json!("")),
        ("User", json!(own(request.user.clone(), of_image.user().clone()))),
        ("AttachStdin", json!(request.interactive && !request.detach)),
        ("AttachStdout", json!(!request.detach)),
        ("AttachStderr", json!(!request.detach)),
    ];
    if of_image.exposed_ports().is_some() {
        all.push(("ExposedPorts", keys(of_image.exposed_ports())));
    }
    all.extend([
        ("Tty", json!(request.tty)),
        ("OpenStdin", json!(request.interactive)),
        ("StdinOnce", json!(request.interactive && !request.detach)),
        ("Env", list(&env)),
        ("Cmd", list(&command)),
    ]);
    all.extend(container.record.health.as_ref().map(|check| ("Healthcheck", json!(check))));
    all.extend([
        ("Image", json!(container.record.image)),
        ("Volumes", keys(of_image.volumes())),
        ("WorkingDir", json!(own(request.workdir.as_ref().map(|w| w.display().to_string()), of_image.working_dir().clone()))),
        ("Entrypoint", list(&entrypoint)),
        ("OnBuild", Value::Null),
        ("Labels", json!(container.record.labels)),
    ]);
    all.extend(container.record.stop_signal.as_ref().map(|signal| ("StopSignal", json!(signal))));
    all.extend(container.record.stop_timeout.map(|seconds| ("StopTimeout", json!(seconds))));
    Ordered::Members(all.into_iter().map(|(name, value)| (name, Ordered::Plain(value))).collect())
}

fn wished_ports(request: &Request) -> Vec<Published> {
    if let Network::Joined(wish) = &request.network { wish.ports.clone() } else { Vec::new() }
}

/// `"80/tcp": [{ "HostIp": …, "HostPort": … }]`.
fn bindings(ports: &[Published]) -> Value {
    let mut all = serde_json::Map::new();
    for port in ports {
        let entry = all.entry(format!("{}/{}", port.port, port.protocol)).or_insert_with(|| json!([]));
        if let Some(list) = entry.as_array_mut() {
            list.push(json!({ "HostIp": port.address.to_string(), "HostPort": port.host_port.to_string() }));
        }
    }
    all.into()
}

fn network(container: &Container, request: &Request, image: Option<&Image>) -> Ordered {
    let record = &container.record;
    let runs = container.status() == Status::Running;
    let mut ports = bindings(&record.ports);
    let exposed = image.and_then(|i| i.config.config().clone()).and_then(|c| c.exposed_ports().clone()).unwrap_or_default();
    if let (Some(all), true) = (ports.as_object_mut(), runs) {
        for port in exposed {
            let port = if port.contains('/') { port } else { format!("{port}/tcp") };
            all.entry(port).or_insert(Value::Null);
        }
    }
    let first = record.endpoints.first();
    let key = if runs { Ns::Net.path(record.pid).display().to_string() } else { String::new() };
    let Ordered::Members(of_first) = endpoint(first) else { return Ordered::Plain(Value::Null) };
    let mut all = vec![
        ("Bridge", Ordered::Plain("".into())),
        ("SandboxID", Ordered::Plain("".into())),
        ("Ports", Ordered::Plain(ports)),
        ("SandboxKey", Ordered::Plain(key.into())),
    ];
    all.extend(of_first.into_iter().filter(|(name, _)| !matches!(*name, "IPAMConfig" | "Links" | "Aliases" | "NetworkID" | "DriverOpts")));
    all.push(("Networks", networks(container, request)));
    Ordered::Members(all)
}

/// The networks that a container is in, or will be in once it runs, by name.
pub fn networks(container: &Container, request: &Request) -> Ordered {
    let mut all: Vec<(String, Ordered)> = container.record.endpoints.iter().map(|e| (e.network.clone(), endpoint(Some(e)))).collect();
    match &request.network {
        Network::None | Network::Host => all.push((network_mode(&request.network), endpoint(None))),
        Network::Joined(wish) if all.is_empty() => all.extend(wish.places.iter().map(|p| (p.network.clone(), endpoint(None)))),
        _ => {}
    }
    Ordered::Named(all)
}

/// What is mounted in a container, beside its root.
pub fn mounts(container: &Container) -> Ordered {
    Ordered::List(container.record.mounts.iter().map(mount).collect())
}

fn endpoint(of: Option<&Endpoint>) -> Ordered {
    let mac = |e: &Endpoint| e.mac.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
    members! {
        "IPAMConfig": Value::Null,
        "Links": Value::Null,
        "Aliases": Value::Null,
        "NetworkID": of.map(|e| e.id.clone()).unwrap_or_default(),
        "EndpointID": of.map(|e| e.link.clone()).unwrap_or_default(),
        "Gateway": of.and_then(|e| e.gateway).map(|g| g.to_string()).unwrap_or_default(),
        "IPAddress": of.map(|e| e.address.address.to_string()).unwrap_or_default(),
        "IPPrefixLen": of.map_or(0, |e| e.address.length),
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": of.map(mac).unwrap_or_default(),
        "DriverOpts": Value::Null,
    }
}
