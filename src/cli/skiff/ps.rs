//! `skiff ps`: Docker's columns, filters and formats.

use super::format::List;
use super::{Outcome, boxed};
use crate::daemon::say::which::Filters;
use crate::daemon::say::words::{command, created_at, cut, rough, state, status};
use crate::engine::container::{Container, Status};
use crate::engine::network::Published;
use crate::engine::volume::Origin;
use crate::image::Store;
use crate::kernel::units;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

/// The columns when nothing is said.
macro_rules! usual {
    () => {
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
    };
}

// Options of `skiff ps`.
#[derive(Debug, Args)]
pub struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Only those that meet a condition, such as status=exited, name=web or label=team=blue
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Only the newest so many, running or not
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    last: Option<i64>,
    /// Only the newest, running or not
    #[arg(short, long)]
    latest: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// What each has written, and its image's size
    #[arg(short, long)]
    size: bool,
    /// Full ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON object a line, with numbers for programs
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The processes of each container as a tree, by their host pids
    #[arg(long, conflicts_with_all = ["format", "json", "quiet"])]
    tree: bool,
}

/// Lists them, newest first.
pub fn run(args: &Ps, root: &Path) -> Outcome {
    let filters = Filters::read(&args.filter, root).map_err(boxed)?;
    let mut shown: Vec<Container> = Container::all(root);
    let last = if args.latest { Some(1) } else { args.last.and_then(|n| usize::try_from(n).ok()) };
    let every = args.all || last.is_some() || filters.name_a_status();
    shown.retain(|c| (every || c.status() == Status::Running || c.status() == Status::Restarting) && filters.fit(c));
    shown.reverse();
    shown.truncate(last.unwrap_or(usize::MAX));
    if args.json {
        shown.iter().for_each(|container| println!("{}", describe(container)));
        return Ok(0);
    }
    if args.tree {
        return super::tree::print(&shown);
    }
    if args.quiet && args.format.as_deref().is_none_or(|f| f == "table") {
        shown.iter().for_each(|c| println!("{}", if args.no_trunc { c.id() } else { c.short_id() }));
        return Ok(0);
    }
    let sized = args.size || args.format.as_deref().is_some_and(|f| f.contains(".Size"));
    let rows = shown.iter().map(|c| with_size(row(c, args.no_trunc), c, sized)).collect::<Vec<_>>();
    let usual = if args.size { concat!(usual!(), "\t{{.Size}}") } else { usual!() };
    print!("{}", List { usual, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

/// What a line of `ps` can show.
pub const HEADS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Size", "SIZE"),
];

/// A container as a line of `ps`.
pub fn row(container: &Container, whole: bool) -> Value {
    let record = &container.record;
    // Asked once: it takes a look at the lock and at each hierarchy of cgroups.
    let word = state(container);
    let labels: Vec<String> = record.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mounts: Vec<String> = record.mounts.iter().map(|m| m.name.clone().unwrap_or_else(|| m.source.display().to_string())).collect();
    let mounts: Vec<String> = mounts.into_iter().map(|m| if whole { m } else { cut(&m, 15) }).collect();
    let networks: Vec<&str> = record.endpoints.iter().map(|e| e.network.as_str()).collect();
    json!({
        "ID": if whole { &record.id } else { container.short_id() },
        "Image": record.image,
        "Command": command(container, whole),
        "RunningFor": format!("{} ago", rough(record.created)),
        "CreatedAt": created_at(record.created),
        "Status": status(container, word),
        "State": word,
        "Ports": ports(&record.ports),
        "Names": record.name,
        "Labels": labels.join(","),
        "Mounts": mounts.join(","),
        "LocalVolumes": record.mounts.iter().filter(|m| m.kind == Origin::Volume).count().to_string(),
        "Networks": networks.join(","),
        "Size": "0B",
    })
}

fn with_size(mut row: Value, container: &Container, sized: bool) -> Value {
    if sized {
        let own = super::images::df::tree(&container.folder().join("upper"));
        let image = Store::open(container.store()).resolve(&container.record.image_digest).map_or(0, |i| i.unpacked_size());
        row["Size"] = format!("{} (virtual {})", units::docker_size(own), units::docker_size(own + image)).into();
    }
    row
}

/// `0.0.0.0:8080->80/tcp`; neighbours as one range.
fn ports(all: &[Published]) -> String {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|p| (p.protocol, p.address, p.port, p.host_port));
    let mut groups: Vec<(Published, Published)> = Vec::new();
    for port in sorted {
        let follows = |last: &Published| (last.address, last.protocol) == (port.address, port.protocol) && (u32::from(last.port) + 1, u32::from(last.host_port) + 1) == (port.port.into(), port.host_port.into());
        match groups.last_mut() {
            Some((_, last)) if follows(last) => *last = port,
            _ => groups.push((port, port)),
        }
    }
    let range = |from: u16, to: u16| if from == to { from.to_string() } else { format!("{from}-{to}") };
    let one = |(first, last): &(Published, Published)| format!("{}:{}->{}/{}", first.address, range(first.host_port, last.host_port), range(first.port, last.port), first.protocol);
    groups.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// One container as JSON, for programs.
fn describe(container: &Container) -> Value {
    let record = &container.record;
    json!({
        "ID": record.id,
        "Image": record.image,
        "Command": record.command,
        "Names": record.name,
        "State": state(container),
        "Status": status(container, state(container)),
        "Pid": record.pid,
        "ExitCode": record.exit_code,
        "CreatedAt": humantime::format_rfc3339_seconds(record.created).to_string(),
    })
}
