//! `skiff stats`: what containers use, live.

use super::format::List;
use super::{Outcome, boxed};
use crate::engine::container::{Container, Status};
use crate::engine::stats::{Reading, read};
use crate::kernel::units;
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

// Options of `skiff stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Print once and end
    #[arg(long)]
    no_stream: bool,
    /// Full ids
    #[arg(long)]
    no_trunc: bool,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Containers, by name or id [default: those that run]
    containers: Vec<String>,
}

const HEADS: &[(&str, &str)] = &[
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const USUAL: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// Prints a table every second, until it is interrupted.
pub fn run(args: &Stats, root: &Path) -> Outcome {
    let mut before: HashMap<String, Reading> = readings(&chosen(args, root)?);
    loop {
        std::thread::sleep(Duration::from_millis(if args.no_stream { 500 } else { 1000 }));
        let containers = chosen(args, root)?;
        let now = readings(&containers);
        let rows: Vec<Value> = containers.iter().map(|c| row(c, args, now.get(c.id()), before.get(c.id()))).collect();
        let text = List { usual: USUAL, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?;
        // As Docker does: each table in the place of the one before.
        let clear = if args.no_stream { "" } else { "\x1b[2J\x1b[H" };
        if write!(std::io::stdout(), "{clear}{text}").and_then(|()| std::io::stdout().flush()).is_err() || args.no_stream {
            return Ok(0);
        }
        before = now;
    }
}

fn chosen(args: &Stats, root: &Path) -> Result<Vec<Container>, Box<dyn crate::kernel::Explain>> {
    if !args.containers.is_empty() {
        return args.containers.iter().map(|name| Container::find(root, name).map_err(boxed)).collect();
    }
    let mut all = Container::all(root);
    all.retain(|c| args.all || c.status() == Status::Running);
    all.reverse();
    Ok(all)
}

fn readings(containers: &[Container]) -> HashMap<String, Reading> {
    containers.iter().filter_map(|c| Some((c.id().to_owned(), read(c)?))).collect()
}

fn row(container: &Container, args: &Stats, now: Option<&Reading>, before: Option<&Reading>) -> Value {
    let id = if args.no_trunc { container.id() } else { container.short_id() };
    let percent = |part: f64| format!("{part:.2}%");
    let binary = |bytes: u64| units::binary(bytes).replace(' ', "");
    let both = |(a, b): (u64, u64)| format!("{} / {}", units::docker_size(a), units::docker_size(b));
    let cpu = now.zip(before).map_or(0.0, |(now, before)| now.cpu_percent(before));
    let (memory, limit) = now.map_or((0, 0), |r| (r.memory, r.memory_limit));
    json!({
        "Container": id,
        "ID": id,
        "Name": container.name(),
        "CPUPerc": percent(cpu),
        "MemUsage": format!("{} / {}", binary(memory), binary(limit)),
        "MemPerc": percent(if limit == 0 { 0.0 } else { memory as f64 / limit as f64 * 100.0 }),
        "NetIO": both(now.map_or((0, 0), |r| r.network)),
        "BlockIO": both(now.map_or((0, 0), |r| r.block)),
        "PIDs": now.map_or(0, |r| r.pids).to_string(),
    })
}
