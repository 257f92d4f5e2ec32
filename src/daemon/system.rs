//! The daemon itself: `_ping`, `version`, `info`, `events`, `system df`.

use super::Daemon;
use super::fault::Fault;
use super::http::{Asked, Reply, apart, bytes, json, streamed};
use super::logs::seconds;
use super::route::{NEWEST, OLDEST};
use super::say::event::Filters;
use super::say::which_images::all;
use super::say::words::state;
use crate::build::cache;
use crate::engine::container::Container;
use crate::engine::events::read::Reader;
use crate::engine::host::Host;
use crate::engine::stats::machine_memory;
use crate::engine::volume::Volumes;
use crate::engine::volume::store::size;
use crate::image::Store;
use crate::kernel::cgroup::Version;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// It is there. Builds go by the classic builder.
pub(super) fn ping() -> Response<Body> {
    let mut response = bytes(200, "text/plain; charset=utf-8", "OK");
    for (name, value) in [("builder-version", "1"), ("cache-control", "no-cache, no-store, must-revalidate"), ("pragma", "no-cache")] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// This machine's architecture in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What it is.
pub(super) fn version() -> Reply {
    let own = env!("CARGO_PKG_VERSION");
    let dotted = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let kernel = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let details = json!({ "ApiVersion": dotted(NEWEST), "MinAPIVersion": dotted(OLDEST), "Os": "linux", "Arch": architecture(), "KernelVersion": kernel });
    json(200, &json!({
        "Platform": { "Name": "skiff" },
        "Components": [{ "Name": "Engine", "Version": own, "Details": details }],
        "Version": own,
        "ApiVersion": dotted(NEWEST),
        "MinAPIVersion": dotted(OLDEST),
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": kernel,
    }))
}

/// The machine, and how much there is of what.
pub(super) async fn info(daemon: &Arc<Daemon>) -> Reply {
    let root = daemon.settings.root.clone();
    json(200, &apart(move || machine(&root)).await?)
}

fn machine(root: &Path) -> Result<Value, Fault> {
    let host = Host::read()?;
    let containers = Container::all(root);
    let count = |word: &str| containers.iter().filter(|c| state(c) == word).count();
    let (running, paused) = (count("running") + count("restarting"), count("paused"));
    let uname = nix::sys::utsname::uname().map_err(|e| Fault::new(500, e.to_string()))?;
    let text = |os: &std::ffi::OsStr| os.to_string_lossy().into_owned();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('=')).map(|v| v.trim_matches('"').to_owned());
    let version = host.cgroups.as_ref().map_or("", |layout| if layout.version() == Version::V2 { "2" } else { "1" });
    let security: Vec<&str> = ["name=seccomp,profile=default"].into_iter().chain(host.rootless.then_some("name=rootless")).collect();
    let mut all = json!({
        "ID": text(uname.nodename()),
        "Containers": containers.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": containers.len() - running - paused,
        "Images": Store::open(root).entries().map_or(0, |e| e.len()),
        "Driver": "overlay",
        "DriverStatus": [],
        "DockerRootDir": root.display().to_string(),
        "SystemTime": humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": version,
        "KernelVersion": text(uname.release()),
        "OperatingSystem": field("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
        "OSVersion": field("VERSION_ID").unwrap_or_default(),
        "OSType": "linux",
        "Architecture": text(uname.machine()),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": machine_memory(),
        "Name": text(uname.nodename()),
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "DefaultRuntime": "skiff",
        "Runtimes": { "skiff": { "path": "skiff" } },
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": { "InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": [] },
        "Plugins": { "Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": null, "Log": ["json-file", "none"] },
        "Swarm": { "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null },
    });
    let more = json!({
        "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true, "CPUSet": true, "PidsLimit": true,
        "IPv4Forwarding": true, "OomKillDisable": false,
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "skiff",
        "SecurityOptions": security,
        "Labels": [],
        "ExperimentalBuild": false,
        "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
        "Warnings": [],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    Ok(all)
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// What happens, and what has happened since a time.
pub(super) async fn events(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let filters = Filters::read(&asked.filters()?).map_err(|_| Fault::bad("invalid filter"))?;
    let since = asked.get("since").map(seconds).transpose()?.flatten();
    let until = asked.get("until").map(seconds).transpose()?.flatten();
    let (sender, response) = streamed("application/json");
    let mut heard = daemon.journal.listen();
    let root = daemon.settings.root.clone();
    tokio::spawn(async move {
        let (from, to) = (since.map(nanos), until.map(nanos));
        let fits = |event: &crate::engine::events::Event| from.is_none_or(|f| event.nanos >= f) && to.is_none_or(|t| event.nanos <= t) && filters.fit(event);
        let mut newest = 0;
        // Docker too shows what was only where a time says from when, or that it is over.
        if since.is_some() || until.is_some_and(|u| u <= SystemTime::now()) {
            let kept = apart(move || {
                let mut reader = Reader::from_the_beginning(&root);
                let mut kept = Vec::new();
                while let Ok(Some(event)) = reader.next() {
                    kept.push(event);
                }
                Ok(kept)
            });
            for event in kept.await.unwrap_or_default() {
                newest = event.nanos.max(newest);
                if fits(&event) && sender.send(line(&event)).await.is_err() {
                    return;
                }
            }
        }
        let left = until.map(|u| u.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        let over = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let event = tokio::select! {
                () = sender.closed() => return,
                () = &mut over => return,
                event = heard.next() => event,
            };
            let Ok(event) = event else { return };
            // What was read above may be heard again.
            if event.nanos > newest && fits(&event) && sender.send(line(&event)).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

fn line(event: &crate::engine::events::Event) -> axum::body::Bytes {
    let mut text = serde_json::to_vec(event).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// What everything takes on disk.
pub(super) async fn df(daemon: &Arc<Daemon>) -> Reply {
    let root = daemon.settings.root.clone();
    let document = apart(move || {
        let store = Store::open(&root);
        let containers = Container::all(&root);
        let lines = all(&store, &|_, _| ())?;
        let mut layers = std::collections::BTreeMap::new();
        lines.iter().for_each(|l| layers.extend(l.image.layers.iter().cloned().zip(l.image.layer_sizes())));
        let used = |digest: &str| containers.iter().filter(|c| c.record.image_digest == digest).count();
        let images: Vec<Value> = super::images::list_of(&lines).into_iter().map(|(digest, mut one)| {
            one["Containers"] = used(&digest).into();
            one
        }).collect();
        let volumes = Volumes::open(&root);
        let volume = |v: &crate::engine::volume::Volume| {
            let mut one = super::say::volume::describe(v, &volumes);
            one["UsageData"] = json!({ "Size": size(&volumes.data(&v.name)), "RefCount": volumes.users(&v.name).len() });
            one
        };
        let container = |c: &Container| json!({
            "Id": c.id(), "Names": [format!("/{}", c.name())], "Image": c.record.image, "ImageID": c.record.image_digest, "Command": c.record.command.join(" "),
            "Created": nanos(c.record.created) / 1_000_000_000, "SizeRw": size(&c.folder().join("upper")), "State": state(c), "Status": super::say::words::status(c, state(c)), "Labels": c.record.labels, "Ports": [], "Mounts": [],
        });
        let builds: Vec<Value> = cache::held(&root).filter(|(n, _)| *n > 0).map(|(n, bytes)| json!({ "ID": "builds", "Type": "regular", "Description": format!("{n} records"), "InUse": false, "Shared": false, "Size": bytes, "UsageCount": n })).into_iter().collect();
        Ok(json!({
            "LayersSize": layers.values().sum::<u64>(),
            "Images": images,
            "Containers": containers.iter().map(container).collect::<Vec<_>>(),
            "Volumes": volumes.all().iter().map(volume).collect::<Vec<_>>(),
            "BuildCache": builds,
            "BuilderSize": 0,
        }))
    });
    json(200, &document.await?)
}
