//! `skiff info` and `skiff version`: what this is, and what it runs on.

use super::format::lines;
use crate::daemon::say::words::state;
use super::{Outcome, boxed};
use crate::engine::container::Container;
use crate::engine::host::Host;
use crate::engine::stats::machine_memory;
use crate::image::Store;
use crate::kernel::cgroup::Version;
use crate::kernel::units;
use clap::Args;
use serde_json::json;
use std::path::Path;

// Options of `skiff info`.
#[derive(Debug, Args)]
pub struct Info {
    /// A Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

// Options of `skiff version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// A Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Shows the machine and the store.
pub fn info(args: &Info, root: &Path) -> Outcome {
    let host = Host::read().map_err(boxed)?;
    let containers = Container::all(root);
    let count = |word: &str| containers.iter().filter(|c| state(c) == word).count();
    let (running, paused) = (count("running") + count("restarting"), count("paused"));
    let images = Store::open(root).entries().map(|e| e.len()).unwrap_or(0);
    let kernel = nix::sys::utsname::uname().map_err(|e| boxed(crate::kernel::SysError::new("name the kernel", e)))?;
    let text = |os: &std::ffi::OsStr| os.to_string_lossy().into_owned();
    let version = host.cgroups.as_ref().map_or("none", |layout| match layout.version() {
        Version::V2 => "2",
        _ => "1",
    });
    let security: Vec<&str> = ["name=seccomp,profile=default"].into_iter().chain(host.rootless.then_some("name=rootless")).collect();
    let all = json!({
        "Containers": containers.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": containers.len() - running - paused,
        "Images": images,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Driver": "overlay",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": version,
        "SecurityOptions": security,
        "KernelVersion": text(kernel.release()),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": text(kernel.machine()),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": machine_memory(),
        "Name": text(kernel.nodename()),
        "DockerRootDir": root.display().to_string(),
    });
    if let Some(format) = &args.format {
        print!("{}", lines(format, std::slice::from_ref(&all)).map_err(boxed)?);
        return Ok(0);
    }
    let of = |key: &str| all[key].as_str().map_or_else(|| all[key].to_string(), str::to_owned);
    println!("Server:");
    for (lead, key) in [(" Containers", "Containers"), ("  Running", "ContainersRunning"), ("  Paused", "ContainersPaused"), ("  Stopped", "ContainersStopped"), (" Images", "Images"), (" Server Version", "ServerVersion"), (" Storage Driver", "Driver"), (" Logging Driver", "LoggingDriver"), (" Cgroup Driver", "CgroupDriver"), (" Cgroup Version", "CgroupVersion")] {
        println!("{lead}: {}", of(key));
    }
    println!(" Security Options:");
    for option in security {
        println!("  {}", option.trim_start_matches("name=").split(',').next().unwrap_or_default());
    }
    for (lead, key) in [(" Kernel Version", "KernelVersion"), (" Operating System", "OperatingSystem"), (" OSType", "OSType"), (" Architecture", "Architecture"), (" CPUs", "NCPU")] {
        println!("{lead}: {}", of(key));
    }
    println!(" Total Memory: {}\n Name: {}\n Skiff Root Dir: {}", units::binary(machine_memory()).replace(' ', ""), of("Name"), root.display());
    Ok(0)
}

fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned())
}

/// Shows what this is.
pub fn version(args: &VersionArgs) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let arch = std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64");
    // One program is both: there is no daemon.
    let part = json!({ "Version": version, "Os": "linux", "Arch": arch });
    let all = json!({ "Client": part, "Server": part });
    match &args.format {
        Some(format) => print!("{}", lines(format, std::slice::from_ref(&all)).map_err(boxed)?),
        None => println!("Client:\n Version:           {version}\n OS/Arch:           linux/{arch}\n\nServer: skiff itself; there is no daemon\n Version:           {version}"),
    }
    Ok(0)
}
