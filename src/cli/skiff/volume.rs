//! `skiff volume …`: Docker's words and columns.

use super::format::{self, List};
use super::images::remove::agreed;
use super::settings::pair;
use crate::daemon::say::volume::{Filters, describe, unused};
use super::{Outcome, boxed, show};
use crate::engine::find::fresh_id;
use crate::engine::volume::{Error, Volume, Volumes};
use crate::kernel::units::docker_size;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The subcommands about volumes.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make a volume
    Create(Create),
    /// List volumes
    #[command(alias = "list")]
    Ls(Ls),
    /// Show all that is known of volumes
    Inspect(Inspect),
    /// Remove volumes with what is in them
    #[command(alias = "remove")]
    Rm(Rm),
    /// Remove the volumes that no container has
    Prune(Prune),
}

// Options of `skiff volume create`.
#[derive(Debug, Args)]
pub struct Create {
    /// A label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The driver: there is one
    #[arg(short, long, default_value = "local", value_parser = ["local"])]
    driver: String,
    /// What is mounted there, as mount(8) has it: type=TYPE, device=DEVICE, o=OPTIONS
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// Its name; an id is drawn where there is none
    name: Option<String>,
}

// Options of `skiff volume ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only names
    #[arg(short, long)]
    quiet: bool,
    /// Only some: dangling=true, driver=local, label=KEY[=VALUE], name=PART
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

// Options of `skiff volume inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names
    #[arg(required = true)]
    names: Vec<String>,
}

// Options of `skiff volume rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// One that is not there is no error
    #[arg(short, long)]
    force: bool,
    /// Names
    #[arg(required = true)]
    names: Vec<String>,
}

// Options of `skiff volume prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Also those that have a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only some: all=true, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Runs it. Docker's code for an error here is 1.
pub fn run(command: &Command, root: &Path) -> Outcome {
    let volumes = Volumes::open(root);
    let done = match command {
        Command::Create(args) => create(args, &volumes),
        Command::Ls(args) => ls(args, &volumes),
        Command::Inspect(args) => inspect(args, &volumes),
        Command::Rm(args) => super::each(&args.names, |name| match volumes.remove(name) {
            Err(Error::NotFound { .. }) if args.force => Ok(()),
            other => Ok(other.map(drop)?),
        }),
        Command::Prune(args) => prune(args, &volumes),
    };
    done.or_else(|error| {
        show(error.as_ref());
        Ok(1)
    })
}

fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    texts.iter().map(|text| pair(text)).collect()
}

fn create(args: &Create, volumes: &Volumes) -> Outcome {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => fresh_id().map_err(boxed)?,
    };
    let wanted = Volume { labels: pairs(&args.label), options: pairs(&args.opt), anonymous: args.name.is_none(), ..Volume::new(&name) };
    println!("{}", volumes.create(&wanted).map_err(boxed)?.name);
    Ok(0)
}

fn ls(args: &Ls, volumes: &Volumes) -> Outcome {
    let filters = Filters::read(&args.filter, &["dangling", "driver", "label", "name"]).map_err(boxed)?;
    let mut all = volumes.all();
    all.retain(|v| filters.fit(v, || !volumes.users(&v.name).is_empty()));
    if args.quiet {
        all.iter().for_each(|v| println!("{}", v.name));
        return Ok(0);
    }
    let labels = |v: &Volume| v.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let row = |v: &Volume| {
        json!({
            "Driver": "local", "Name": v.name, "Scope": "local", "Labels": labels(v),
            "Mountpoint": volumes.data(&v.name), "Links": "N/A", "Size": "N/A",
        })
    };
    let rows: Vec<Value> = all.iter().map(row).collect();
    let heads = &[
        ("Driver", "DRIVER"), ("Name", "VOLUME NAME"), ("Scope", "SCOPE"), ("Labels", "LABELS"), ("Mountpoint", "MOUNTPOINT"), ("Links", "LINKS"), ("Size", "SIZE"),
    ];
    print!("{}", List { usual: "{{.Driver}}\t{{.Name}}", heads }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

fn inspect(args: &Inspect, volumes: &Volumes) -> Outcome {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.names {
        match volumes.find(name) {
            Ok(volume) => found.push(describe(&volume, volumes)),
            Err(error) => missing.push(error),
        }
    }
    // As Docker does: first what is there, then what is not.
    print!("{}", format::inspection(args.format.as_deref(), &found).map_err(boxed)?);
    missing.iter().for_each(|error| show(error));
    Ok(u8::from(!missing.is_empty()))
}

fn prune(args: &Prune, volumes: &Volumes) -> Outcome {
    let filters = Filters::read(&args.filter, &["all", "label", "label!"]).map_err(boxed)?;
    let all = args.all || filters.is("all", "true") || filters.is("all", "1");
    let which = if all { "all local" } else { "anonymous local" };
    if !args.force && !agreed(&format!("WARNING! This will remove {which} volumes not used by at least one container.")) {
        return Ok(0);
    }
    let (gone, bytes) = unused(volumes, |v| (all || v.anonymous) && filters.fit(v, || false)).map_err(boxed)?;
    said(&gone);
    println!("Total reclaimed space: {}", docker_size(bytes));
    Ok(0)
}

/// Their names, as a prune lists them.
pub fn said(gone: &[String]) {
    if !gone.is_empty() {
        println!("Deleted Volumes:");
        gone.iter().for_each(|name| println!("{name}"));
        println!();
    }
}
