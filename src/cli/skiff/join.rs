//! `--network`, `-p`, `--dns` and their like: how a container is connected, as Docker's command line has it.

use crate::engine::container::Container;
use crate::engine::network::{self, Lookup, Place, Published, Wish, etc};
use crate::engine::request::Network;
use crate::engine::{Error, life};
use crate::kernel::ns::Ns;
use crate::kernel::userns::is_host_root;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// What of the command line says it; the same for `run` and `create`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Joining {
    /// none, host, bridge, a network's name, or container:NAME [default: bridge; none without root]
    #[arg(long, alias = "net", value_name = "NETWORK")]
    network: Vec<String>,
    /// Publish a port of the container on the host
    #[arg(short, long, value_name = "[ADDRESS:][HOSTPORT:]PORT[/udp]")]
    publish: Vec<String>,
    /// Publish all ports that the image or --expose names, each on a port that is free
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// A port that it serves, for -P
    #[arg(long, value_name = "PORT[/udp]")]
    expose: Vec<String>,
    /// An address of the network, instead of the next free one
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// A further name for it in its networks
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// Who is asked for names of the world, instead of those whom the host asks
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// A domain in which short names are tried; . for none
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// A word for the options of resolv.conf(5), such as ndots:2
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// A line more in /etc/hosts; the address host-gateway is the host
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
}

impl Joining {
    /// The network that was asked for.
    pub fn asked(&self, root: &Path) -> Result<Network, Error> {
        let mut ports = Vec::new();
        for text in &self.publish {
            ports.extend(Published::parse(text)?);
        }
        for text in &self.expose {
            Published::parse(text)?;
        }
        let publishes = self.publish_all || !ports.is_empty();
        let alone = match self.network.as_slice() {
            // A bridge on the host is root's to make.
            [] if !publishes && self.ip.is_none() && !is_host_root() => Some(Network::None),
            [one] if one == "none" => Some(Network::None),
            [one] if one == "host" => Some(Network::Host),
            [one] => match one.strip_prefix("container:") {
                Some(name) => Some(Network::At(Ns::Net.path(life::process(&Container::find(root, name)?)?.pid()))),
                None => None,
            },
            _ => None,
        };
        if let Some(alone) = alone {
            return match ports.first() {
                // With the host's network there is nothing to publish, and Docker says so and goes on.
                Some(port) if alone != Network::Host => Err(network::Error::NowhereToPublish { port: *port }.into()),
                _ => Ok(alone),
            };
        }
        let mut places = self.network.iter().map(|text| place(text)).collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            places.push(Place { network: network::DEFAULT.into(), ..Place::default() });
        }
        places[0].address = self.ip.or(places[0].address);
        places.iter_mut().for_each(|p| p.aliases.extend(self.network_alias.clone()));
        if places.iter().any(|p| p.network == network::DEFAULT && !p.aliases.is_empty()) {
            return Err(network::Error::NoAlias.into());
        }
        Ok(Network::Joined(Wish { places, ports, exposed: self.expose.clone(), all_exposed: self.publish_all }))
    }

    /// How it is to find names.
    pub fn lookup(&self, root: &Path) -> Result<Lookup, Error> {
        let like = match self.network.as_slice() {
            [one] => one.strip_prefix("container:").map(|name| Container::find(root, name)).transpose()?.map(|c| c.id().to_owned()),
            _ => None,
        };
        let hosts = self.add_host.iter().map(|text| added(text)).collect::<Result<_, _>>()?;
        Ok(Lookup { servers: self.dns.clone(), search: self.dns_search.clone(), options: self.dns_option.clone(), hosts, like })
    }
}

/// One `--network`: a name, or `name=NAME,alias=…,ip=…`.
fn place(text: &str) -> Result<Place, Error> {
    if !text.contains('=') {
        return Ok(Place { network: text.to_owned(), ..Place::default() });
    }
    let bad = |reason: &str| Error::Option { option: "--network", value: text.to_owned(), reason: reason.to_owned(), example: "--network name=blue,alias=db,ip=10.200.0.5" };
    let mut place = Place::default();
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("name", name)) => place.network = name.to_owned(),
            Some(("alias", alias)) => place.aliases.push(alias.to_owned()),
            Some(("ip", address)) => place.address = Some(address.parse().map_err(|_| bad("ip is an IPv4 address"))?),
            _ => return Err(bad("its fields are name, alias and ip")),
        }
    }
    if place.network.is_empty() { Err(bad("it has no name")) } else { Ok(place) }
}

/// One `--add-host`. A name has no colon, an IPv6 address may have many.
fn added(text: &str) -> Result<(String, String), Error> {
    let bad = |reason: &str| Error::Option { option: "--add-host", value: text.to_owned(), reason: reason.to_owned(), example: "--add-host db:10.0.0.5" };
    let (name, address) = text.split_once([':', '=']).ok_or_else(|| bad("it is NAME:ADDRESS"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(bad("it has no name"));
    }
    if address != etc::HOST_GATEWAY && address.parse::<IpAddr>().is_err() {
        return Err(bad(&format!("invalid IP address in add-host: {address:?}")));
    }
    Ok((name.to_owned(), address.to_owned()))
}
