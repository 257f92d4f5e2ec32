//! `skiff network …` and `skiff port`: Docker's words and columns.

use super::format::{self, List};
use super::ps::created_at;
use super::settings::pair;
use super::which::{conditions, has_label};
use super::{Outcome, boxed, each, show};
use crate::engine::container::Container;
use crate::engine::network::{self, Network, Networks, Place, Wanted};
use crate::kernel::address::Net;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

/// The subcommands about networks.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make a network: a bridge, and addresses for the containers on it
    Create(Create),
    /// Connect a container to a network, while it runs too
    Connect(Connect),
    /// Take a container out of a network
    Disconnect(Disconnect),
    /// List networks
    #[command(alias = "list")]
    Ls(Ls),
    /// Show all that is known of networks
    Inspect(Inspect),
    /// Remove networks
    #[command(alias = "remove")]
    Rm(Rm),
    /// Remove the networks that no container uses
    Prune(Prune),
}

// Options of `skiff network create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its addresses, such as 10.200.0.0/16; a free subnet is taken where none is named
    #[arg(long, value_name = "SUBNET")]
    subnet: Option<Net>,
    /// The bridge's own address
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<Ipv4Addr>,
    /// No way out, and none in
    #[arg(long)]
    internal: bool,
    /// A label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The kind of network: there is one
    #[arg(short, long, default_value = "bridge", value_parser = ["bridge"])]
    driver: String,
    /// Its name
    name: String,
}

// Options of `skiff network connect`.
#[derive(Debug, Args)]
pub struct Connect {
    /// A further name for it in the network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// An address of the network, instead of the next free one
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// The network
    network: String,
    /// The container
    container: String,
}

// Options of `skiff network disconnect`.
#[derive(Debug, Args)]
pub struct Disconnect {
    /// Docker's word for a container that does not answer; here nobody has to
    #[arg(short, long)]
    force: bool,
    /// The network
    network: String,
    /// The container
    container: String,
}

// Options of `skiff network ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Full ids
    #[arg(long)]
    no_trunc: bool,
    /// Only some: name=PART, id=PART, driver=KIND, label=KEY[=VALUE], type=custom|builtin, dangling=true
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

// Options of `skiff network inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names or ids
    #[arg(required = true)]
    names: Vec<String>,
}

// Options of `skiff network rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// One that is not there is no error
    #[arg(short, long)]
    force: bool,
    /// Names or ids
    #[arg(required = true)]
    names: Vec<String>,
}

// Options of `skiff network prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

// Options of `skiff port`.
#[derive(Debug, Args)]
pub struct Port {
    /// The container
    name: String,
    /// One port of it, such as 80 or 53/udp
    port: Option<String>,
}

/// Runs it. Docker's code for an error here is 1.
pub fn run(command: &Command, root: &Path) -> Outcome {
    let networks = Networks::open(root);
    let done = match command {
        Command::Create(args) => create(args, &networks),
        Command::Connect(args) => connect(args, root),
        Command::Disconnect(args) => {
            let found = Container::find(root, &args.container).map_err(boxed);
            found.and_then(|c| network::connect::disconnect(c, &args.network).map(|()| 0).map_err(boxed))
        }
        Command::Ls(args) => ls(args, &networks),
        Command::Inspect(args) => inspect(args, &networks, root),
        Command::Rm(args) => each(&args.names, |name| match networks.find(name) {
            Err(network::Error::NotFound { .. }) if matches!(name, "host" | "none") => Err(network::Error::Predefined { name: name.to_owned() }.into()),
            Err(network::Error::NotFound { .. }) if args.force => Ok(()),
            found => Ok(networks.remove(&found?)?),
        }),
        Command::Prune(args) => prune(args, &networks),
    };
    // Whoever asks about networks finds them whole.
    let done = done.and_then(|code| network::join::mend(root).map(|()| code).map_err(boxed));
    done.or_else(|error| {
        show(error.as_ref());
        Ok(1)
    })
}

fn create(args: &Create, networks: &Networks) -> Outcome {
    let wanted = Wanted { name: args.name.clone(), subnet: args.subnet, gateway: args.gateway, internal: args.internal, labels: args.label.iter().map(|text| pair(text)).collect() };
    println!("{}", networks.create(&wanted).map_err(boxed)?.id);
    Ok(0)
}

fn connect(args: &Connect, root: &Path) -> Outcome {
    let place = Place { network: args.network.clone(), address: args.ip, aliases: args.alias.clone() };
    let container = Container::find(root, &args.container).map_err(boxed)?;
    network::connect::connect(container, &place).map(|()| 0).map_err(boxed)
}

/// A line of the list. Two are there without anything being made: no network, and the host's own.
struct Row {
    id: String,
    name: String,
    driver: &'static str,
    internal: bool,
    created: Option<std::time::SystemTime>,
    labels: BTreeMap<String, String>,
    used: bool,
}

fn rows(networks: &Networks) -> Result<Vec<Row>, network::Error> {
    let of = |n: Network| Row { used: !networks.users(&n).is_empty(), id: n.id, name: n.name, driver: "bridge", internal: n.internal, created: Some(n.created), labels: n.labels };
    let alone = |name: &str, driver, digit: char| Row { id: digit.to_string().repeat(64), name: name.into(), driver, internal: false, created: None, labels: BTreeMap::new(), used: true };
    let mut all: Vec<Row> = networks.all()?.into_iter().map(of).collect();
    all.extend([alone("host", "host", '1'), alone("none", "null", '0')]);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Whether a line meets all conditions; of several names or ids one is enough.
fn fits(row: &Row, filters: &[(&str, &str)]) -> bool {
    let builtin = matches!(row.name.as_str(), "bridge" | "host" | "none");
    let any = |key: &str, part_of: &str| {
        let mut wanted = filters.iter().filter(|(k, _)| *k == key).peekable();
        wanted.peek().is_none() || wanted.any(|(_, value)| part_of.contains(value))
    };
    let holds = |(key, value): &(&str, &str)| match *key {
        "driver" => row.driver == *value,
        "type" => (*value == "builtin") == builtin,
        "dangling" => matches!(*value, "true" | "1") == (!builtin && !row.used),
        "label" => has_label(&row.labels, value),
        _ => true,
    };
    any("name", &row.name) && any("id", &row.id) && filters.iter().all(holds)
}

fn ls(args: &Ls, networks: &Networks) -> Outcome {
    let wanted = conditions(&args.filter, &["name", "id", "driver", "label", "type", "dangling", "scope"]).map_err(boxed)?;
    let whole = args.no_trunc;
    let short = |id: &str| if whole { id.to_owned() } else { id[..12.min(id.len())].to_owned() };
    let mut all = rows(networks).map_err(boxed)?;
    all.retain(|row| fits(row, &wanted));
    if args.quiet {
        all.iter().for_each(|n| println!("{}", short(&n.id)));
        return Ok(0);
    }
    let labels = |n: &Row| n.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let row = |n: &Row| {
        json!({
            "ID": short(&n.id), "Name": n.name, "Driver": n.driver, "Scope": "local", "IPv6": "false", "Internal": n.internal.to_string(),
            "CreatedAt": n.created.map(created_at).unwrap_or_default(), "Labels": labels(n),
        })
    };
    let rows: Vec<Value> = all.iter().map(row).collect();
    let heads = &[
        ("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("Scope", "SCOPE"), ("IPv6", "IPV6"), ("Internal", "INTERNAL"),
        ("CreatedAt", "CREATED AT"), ("Labels", "LABELS"),
    ];
    let usual = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
    print!("{}", List { usual, heads }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

fn inspect(args: &Inspect, networks: &Networks, root: &Path) -> Outcome {
    let (mut shown, mut missing) = (Vec::new(), Vec::new());
    for name in &args.names {
        match networks.find(name) {
            Ok(network) => shown.push(describe(&network, root)),
            Err(error) => missing.push(error),
        }
    }
    // As Docker does: first what is there, then what is not.
    print!("{}", format::inspection(args.format.as_deref(), &shown).map_err(boxed)?);
    missing.iter().for_each(|error| show(error));
    Ok(u8::from(!missing.is_empty()))
}

/// One network, as Docker has it.
fn describe(network: &Network, root: &Path) -> Value {
    let containers: BTreeMap<String, Value> = Container::all(root)
        .into_iter()
        .flat_map(|c| c.record.endpoints.clone().into_iter().map(move |e| (c.record.clone(), e)))
        .filter(|(_, e)| e.id == network.id)
        .map(|(record, e)| {
            let mac: Vec<String> = e.mac.iter().map(|b| format!("{b:02x}")).collect();
            (record.id, json!({ "Name": record.name, "EndpointID": e.link, "MacAddress": mac.join(":"), "IPv4Address": e.address.to_string(), "IPv6Address": "" }))
        })
        .collect();
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": humantime::format_rfc3339_nanos(network.created).to_string(),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Config": [{ "Subnet": network.subnet.to_string(), "Gateway": network.gateway.to_string() }] },
        "Internal": network.internal,
        "Containers": containers,
        "Options": { "com.docker.network.bridge.name": network.bridge },
        "Labels": network.labels,
    })
}

fn prune(args: &Prune, networks: &Networks) -> Outcome {
    if !args.force && !super::images::remove::agreed("WARNING! This will remove all networks that no container uses.") {
        return Ok(0);
    }
    let gone = networks.prune().map_err(boxed)?;
    if !gone.is_empty() {
        println!("Deleted Networks:");
        gone.iter().for_each(|name| println!("{name}"));
    }
    Ok(0)
}

/// `80/tcp -> 0.0.0.0:8080`, as Docker prints it.
pub fn port(args: &Port, root: &Path) -> Outcome {
    let container = Container::find(root, &args.name).map_err(boxed)?;
    let shown: Vec<_> = match &args.port {
        None => container.record.ports.iter().map(|p| format!("{}/{} -> {}:{}", p.port, p.protocol, p.address, p.host_port)).collect(),
        Some(wanted) => {
            let wanted = if wanted.contains('/') { wanted.clone() } else { format!("{wanted}/tcp") };
            let these = container.record.ports.iter().filter(|p| format!("{}/{}", p.port, p.protocol) == wanted);
            let these: Vec<String> = these.map(|p| format!("{}:{}", p.address, p.host_port)).collect();
            if these.is_empty() {
                return Err(boxed(network::Error::NotPublished { port: wanted, container: container.name().to_owned() }));
            }
            these
        }
    };
    shown.iter().for_each(|line| println!("{line}"));
    Ok(0)
}
