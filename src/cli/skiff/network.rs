//! `skiff network …` and `skiff port`: Docker's words and columns.

use super::format::{self, List};
use super::settings::pair;
use super::{Outcome, boxed, each, show};
use crate::daemon::say::network::{Row, describe, fits, rows};
use crate::daemon::say::which::conditions;
use crate::daemon::say::words::created_at;
use crate::engine::container::Container;
use crate::engine::network::{self, Networks, Place, Wanted};
use crate::kernel::address::Net;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
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
