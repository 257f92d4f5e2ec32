//! `skiff inspect`: the record, the config, and what the kernel says.

use super::{Outcome, boxed, ps};
use super::show;
use crate::engine::container::{Container, Status};
use crate::engine::enter::config_of;
use crate::engine::error::Error;
use crate::kernel::view::View;
use clap::Args;
use std::path::Path;

/// Options of `skiff inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// What the container is in the kernel: namespaces, mounts, cgroup, ids, capabilities
    #[arg(long)]
    kernel: bool,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

/// Prints a JSON array, or with --kernel the view of the container's process 1.
pub fn run(args: &Inspect, root: &Path) -> Outcome {
    let found: Vec<Container> =
        args.containers.iter().map(|name| Container::find(root, name)).collect::<Result<_, _>>().map_err(boxed)?;
    if args.kernel {
        for container in &found {
            kernel(container).map_err(boxed)?;
        }
        return Ok(0);
    }
    let all: Vec<serde_json::Value> = found
        .iter()
        .map(|container| {
            let mut entry = ps::describe(container);
            entry["Path"] = container.folder().to_string_lossy().into();
            entry["OOMKilled"] = container.record.oom_killed.into();
            entry["Config"] = config_of(container).ok().and_then(|c| serde_json::to_value(c).ok()).unwrap_or_default();
            entry
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
    Ok(0)
}

fn kernel(container: &Container) -> Result<(), Error> {
    if container.record.pid == 0 || !matches!(container.status(), Status::Running | Status::Creating) {
        return Err(Error::NotRunning { name: container.name().to_owned() });
    }
    let view = View::of(container.record.pid)?;
    let own = View::of(std::process::id() as i32)?;
    show::view(&view, &own);
    Ok(())
}
