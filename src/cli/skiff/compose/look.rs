//! `skiff compose ps`, `ls`, `images`, `top` and `port`.

use super::super::format::List;
use super::super::images::change::image_of;
use super::super::{Outcome, boxed, ps as plain, top as processes};
use super::Session;
use crate::compose::error::Error;
use crate::compose::found::{Found, projects};
use crate::compose::labels;
use crate::engine::health;
use crate::image::Reference;
use crate::kernel::units::docker_size;
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

// Options of `skiff compose ps`.
#[derive(Debug, Args)]
pub struct Ps {
    /// Also those that do not run, and those of `compose run`
    #[arg(short, long)]
    all: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Only the names of the services
    #[arg(long)]
    services: bool,
    /// Only those in this state: created, restarting, running, paused, exited
    #[arg(long, value_name = "STATE")]
    status: Vec<String>,
    /// Only some: status=STATE
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Full commands
    #[arg(long)]
    no_trunc: bool,
    /// The services; all
    wanted: Vec<String>,
}

// Options of `skiff compose ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Also those whose containers do not run
    #[arg(short, long)]
    all: bool,
    /// Only names
    #[arg(short, long)]
    quiet: bool,
    /// Only some: name=PART
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// table or json
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
}

// Options of `skiff compose images`.
#[derive(Debug, Args)]
pub struct Images {
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// table or json
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose top`.
#[derive(Debug, Args)]
pub struct Top {
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose port`.
#[derive(Debug, Args)]
pub struct Port {
    /// tcp or udp
    #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
    protocol: String,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    index: u32,
    /// The service
    service: String,
    /// The port in the container
    port: u16,
}

/// What a line of `ps` can show.
const HEADS: &[(&str, &str)] = &[
    ("Name", "NAME"), ("Names", "NAMES"), ("Image", "IMAGE"), ("Command", "COMMAND"), ("Service", "SERVICE"), ("RunningFor", "CREATED"), ("Status", "STATUS"), ("Ports", "PORTS"),
    ("ID", "CONTAINER ID"), ("Project", "PROJECT"), ("State", "STATE"), ("Health", "HEALTH"), ("ExitCode", "EXIT CODE"), ("CreatedAt", "CREATED AT"), ("Labels", "LABELS"), ("Networks", "NETWORKS"), ("Mounts", "MOUNTS"),
];

/// Lists containers.
pub fn ps(session: &Session<'_>, args: &Ps) -> Outcome {
    let mut states: Vec<&str> = args.status.iter().map(String::as_str).collect();
    for filter in &args.filter {
        let bad = || boxed(Error::Option { option: "--filter", value: filter.clone(), reason: "it is status=STATE".into() });
        states.push(filter.strip_prefix("status=").ok_or_else(bad)?);
    }
    let mut all = session.containers(&args.wanted, args.all)?;
    all.retain(|f| match states.as_slice() {
        [] => args.all || matches!(crate::daemon::say::words::state(&f.container), "running" | "restarting" | "paused"),
        states => states.contains(&crate::daemon::say::words::state(&f.container)),
    });
    all.sort_by(|a, b| a.container.name().cmp(b.container.name()));
    if args.quiet {
        all.iter().for_each(|f| println!("{}", f.container.id()));
        return Ok(0);
    }
    if args.services {
        all.iter().map(|f| &f.service).collect::<BTreeSet<_>>().into_iter().for_each(|s| println!("{s}"));
        return Ok(0);
    }
    let rows: Vec<Value> = all.iter().map(|f| row(f, args.no_trunc, args.format.as_deref() == Some("json"))).collect();
    let usual = "{{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}";
    print!("{}", List { usual, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

fn row(found: &Found, whole: bool, full_id: bool) -> Value {
    let mut row = plain::row(&found.container, whole);
    let record = &found.container.record;
    if full_id {
        row["ID"] = json!(record.id);
    }
    row["Name"] = json!(record.name);
    row["Service"] = json!(found.service);
    row["Project"] = json!(found.label(labels::PROJECT));
    row["ExitCode"] = json!(record.exit_code);
    row["Health"] = json!(health::of(&found.container).filter(|_| found.is_live()).map_or("", |report| report.word()));
    let publisher = |p: &crate::engine::network::Published| json!({ "URL": p.address.to_string(), "TargetPort": p.port, "PublishedPort": p.host_port, "Protocol": p.protocol.to_string() });
    row["Publishers"] = record.ports.iter().map(publisher).collect();
    row
}

/// Lists projects.
pub fn ls(session: &Session<'_>, args: &Ls) -> Outcome {
    let mut rows = Vec::new();
    for (name, all) in projects(session.root) {
        let part = |f: &String| f.strip_prefix("name=").is_none_or(|part| name.contains(part));
        let live = all.iter().any(|f| f.is_live());
        if !(args.all || live) || !args.filter.iter().all(part) {
            continue;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter().filter(|f| args.all || f.is_live()).for_each(|f| *counts.entry(crate::daemon::say::words::state(&f.container)).or_default() += 1);
        let status: Vec<String> = counts.iter().map(|(state, count)| format!("{state}({count})")).collect();
        // Containers of one project may have been made from one file and from two.
        let files: BTreeSet<&str> = all.iter().flat_map(|f| f.label(labels::FILES).split(',')).collect();
        rows.push(json!({ "Name": name, "Status": status.join(", "), "ConfigFiles": files.into_iter().collect::<Vec<_>>().join(",") }));
    }
    if args.quiet {
        rows.iter().filter_map(|r| r["Name"].as_str()).for_each(|name| println!("{name}"));
    } else if args.format == "json" {
        println!("{}", Value::Array(rows));
    } else {
        let heads = &[("Name", "NAME"), ("Status", "STATUS"), ("ConfigFiles", "CONFIG FILES")];
        print!("{}", List { usual: "{{.Name}}\t{{.Status}}\t{{.ConfigFiles}}", heads }.print(None, &rows).map_err(boxed)?);
    }
    Ok(0)
}

/// Lists the containers' images.
pub fn images(session: &Session<'_>, args: &Images) -> Outcome {
    let mut all = session.containers(&args.services, false)?;
    all.sort_by(|a, b| a.container.name().cmp(b.container.name()));
    let (mut rows, mut ids) = (Vec::new(), BTreeSet::new());
    for found in &all {
        let image = image_of(session.root, &found.container.record)?;
        let named = found.container.record.image.parse::<Reference>().ok();
        ids.insert(image.id.digest().to_owned());
        rows.push(json!({
            "ContainerName": found.container.name(),
            "Repository": named.as_ref().map_or_else(|| "<none>".to_owned(), crate::image::registry::obtain::shown).split(':').next().unwrap_or_default(),
            "Tag": named.as_ref().map_or("<none>", |r| r.tag_or_latest()),
            "ID": image.id.digest()[..12],
            "Size": docker_size(image.unpacked_size()),
        }));
    }
    if args.quiet {
        ids.iter().for_each(|id| println!("{id}"));
    } else if args.format == "json" {
        println!("{}", Value::Array(rows));
    } else {
        let heads = &[("ContainerName", "CONTAINER"), ("Repository", "REPOSITORY"), ("Tag", "TAG"), ("ID", "IMAGE ID"), ("Size", "SIZE")];
        let usual = "{{.ContainerName}}\t{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Size}}";
        print!("{}", List { usual, heads }.print(None, &rows).map_err(boxed)?);
    }
    Ok(0)
}

/// Shows processes, container by container.
pub fn top(session: &Session<'_>, args: &Top) -> Outcome {
    for found in session.containers(&args.services, false)?.iter().filter(|f| f.is_live()) {
        println!("{}", found.container.name());
        processes::run(&processes::Top::of(found.container.id()), session.root)?;
        println!();
    }
    Ok(0)
}

/// Prints where a port is published.
pub fn port(session: &Session<'_>, args: &Port) -> Outcome {
    let found = session.running(&args.service, args.index)?;
    let record = &found.container.record;
    match record.ports.iter().find(|p| p.port == args.port && p.protocol.to_string() == args.protocol) {
        Some(port) => {
            println!("{}:{}", port.address, port.host_port);
            Ok(0)
        }
        None => Err(boxed(crate::engine::network::Error::NotPublished { port: format!("{}/{}", args.port, args.protocol), container: record.name.clone() })),
    }
}
