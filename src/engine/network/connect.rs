//! `network connect` and `disconnect`: a cable into a container that runs, and out again (setns(2)).
//!
//! The pair of veth is made from the host's namespace, one end straight into the container's; a child
//! of ours enters that, and gives it its address. What is changed is kept in the container's record,
//! and in what it was asked to be, so that its next start finds the same networks. See it live:
//! `skiff exec NAME ip address`.

use super::join::{Place, settle};
use super::{DEFAULT, Endpoint, Error, Network, Networks, etc, filter};
use crate::engine::container::{Container, Status};
use crate::engine::error::Error as Failed;
use crate::engine::request::Network as Asked;
use crate::engine::{events, life, run, start};
use crate::kernel::netlink::Socket;
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, address, link, visit::visit};
use nix::errno::Errno;
use std::fs::{self, File};
use std::os::fd::AsFd;

/// The last letter of a link's name is a digit that counts a container's networks.
const MOST: usize = 16;

/// Connects a container, running or not.
pub fn connect(mut container: Container, place: &Place) -> Result<(), Failed> {
    let network = find(&container, &place.network)?;
    let place = Place { network: network.name.clone(), ..place.clone() };
    if network.name == DEFAULT && !place.aliases.is_empty() {
        return Err(Error::NoAlias.into());
    }
    let is_running = matches!(container.status(), Status::Running | Status::Restarting);
    let connected = container.record.endpoints.iter().any(|e| e.id == network.id);
    let mut already = connected;
    change_request(&container, |places| {
        let asked = places.iter().any(|p| p.network == network.name || network.id.starts_with(&p.network));
        already |= asked && !is_running;
        if !asked && !connected {
            places.push(place.clone());
        }
    })?;
    if already {
        return Err(Error::Connected { container: container.name().to_owned(), network: network.name }.into());
    }
    if is_running {
        let plugged = plug(&mut container, &place);
        plugged.inspect_err(|_| drop(change_request(&container, |places| places.retain(|p| *p != place))))?;
    }
    Ok(())
}

/// Takes a container out of a network.
pub fn disconnect(mut container: Container, name: &str) -> Result<(), Failed> {
    let network = find(&container, name)?;
    let mut asked = false;
    change_request(&container, |places| {
        let before = places.len();
        places.retain(|p| p.network != network.name && !network.id.starts_with(&p.network));
        asked = places.len() < before;
    })?;
    let Some(endpoint) = container.record.endpoints.iter().find(|e| e.id == network.id).cloned() else {
        return if asked { Ok(()) } else { Err(Error::NotConnected { container: container.name().to_owned(), network: network.name }.into()) };
    };
    let first = container.record.endpoints.first() == Some(&endpoint);
    container.change(|record| record.endpoints.retain(|e| e.id != network.id))?;
    let outside = Socket::route()?;
    if let Some(cable) = link::named(&outside, &endpoint.link)? {
        link::remove(&outside, &cable)?;
    }
    Networks::open(container.store()).give_back(&endpoint, container.id());
    events::note(container.store(), &[events::connected("disconnect", &network.id, &network.name, container.id())]);
    let ports = container.record.ports.clone();
    if first && !ports.is_empty() {
        // They led there; another of its networks has them now.
        filter::unpublish(container.store(), &ports);
        if let Some(next) = container.record.endpoints.first() {
            filter::publish(container.store(), &ports, next.address.address)?;
        }
    }
    if let Some(gateway) = container.record.endpoints.iter().find_map(|e| e.gateway) {
        within(&container, |own| address::add_default_route(own, gateway).or_else(unless_there))?;
    }
    rewrite(&container, &endpoint, false)
}

fn find(container: &Container, name: &str) -> Result<Network, Error> {
    match name {
        DEFAULT => Networks::open(container.store()).default(),
        "host" | "none" => Err(Error::NotWith { container: container.name().to_owned(), network: name.to_owned() }),
        name => Networks::open(container.store()).find(name),
    }
}

/// What it was asked to be, with other networks.
fn change_request(container: &Container, change: impl FnOnce(&mut Vec<Place>)) -> Result<(), Failed> {
    let mut request = start::request_of(container)?;
    match &mut request.network {
        Asked::Joined(wish) => change(&mut wish.places),
        // It shares somebody's network, or was to have none: there is nothing to plug a cable into.
        Asked::Host => return Err(Error::NotWith { container: container.name().to_owned(), network: "host".into() }.into()),
        Asked::None => return Err(Error::Private { container: container.name().to_owned() }.into()),
        Asked::At(_) => return Err(Error::Shares { container: container.name().to_owned() }.into()),
    }
    Ok(run::keep_request(container, &request)?)
}

fn plug(container: &mut Container, place: &Place) -> Result<(), Failed> {
    let taken: Vec<usize> = container.record.endpoints.iter().filter_map(|e| usize::from_str_radix(e.link.get(14..)?, 16).ok()).collect();
    let nth = (0..MOST).find(|n| !taken.contains(n)).ok_or_else(|| SysError::new(format!("give {} one network more", container.name()), Errno::EMFILE))?;
    let endpoint = settle(container.store(), place, container.id(), nth)?;
    let pid = life::process(container)?.pid();
    let cabled = (|| -> Result<(), Failed> {
        let outside = Socket::route()?;
        let bridge = link::named(&outside, &endpoint.bridge)?.ok_or_else(|| SysError::new(format!("find the bridge {}", endpoint.bridge), Errno::ENODEV))?;
        let path = Ns::Net.path(pid);
        let there = File::open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        let name = format!("eth{nth}");
        link::add_veth(&outside, &endpoint.link, bridge.index, &link::End { name: &name, namespace: there.as_fd(), mac: endpoint.mac })?;
        within(container, |own| {
            let end = link::named(own, &name)?.ok_or_else(|| SysError::new(format!("find {name}"), Errno::ENODEV))?;
            link::set_up(own, &end)?;
            address::add(own, end.index, endpoint.address)?;
            endpoint.gateway.map_or(Ok(()), |g| address::add_default_route(own, g).or_else(unless_there))
        })
    })();
    if let Err(error) = cabled {
        Networks::open(container.store()).give_back(&endpoint, container.id());
        return Err(error);
    }
    container.change(|record| record.endpoints.push(endpoint.clone()))?;
    events::note(container.store(), &[events::connected("connect", &endpoint.id, &endpoint.network, container.id())]);
    rewrite(container, &endpoint, true)
}

/// The first network that has a way out keeps it.
fn unless_there(error: SysError) -> Result<(), SysError> {
    if error.errno == Errno::EEXIST { Ok(()) } else { Err(error) }
}

/// Does something with the links of a container, from inside its network namespace.
fn within(container: &Container, act: impl FnOnce(&Socket) -> Result<(), SysError>) -> Result<(), Failed> {
    let pid = life::process(container)?.pid();
    let said = visit(pid, Ns::Net, || {
        let done = Socket::route().and_then(|own| act(&own));
        // Never empty, or it could not be told from a visit that failed.
        Some(done.map_or_else(|e| format!("{} {}", e.errno as i32, e.what), |()| "done".into()))
    });
    match said.as_deref().map(|said| said.split_once(' ')) {
        Some(None) => Ok(()),
        Some(Some((errno, what))) => Err(SysError::new(what, Errno::from_raw(errno.parse().unwrap_or(0))).into()),
        None => Err(SysError::new(format!("enter the network of {}", container.name()), Errno::EPERM).into()),
    }
}

/// Its /etc/hosts and /etc/resolv.conf: written in place, since what is bound over the image's own is
/// the file and not its name; and what was added by hand inside stays.
fn rewrite(container: &Container, endpoint: &Endpoint, joined: bool) -> Result<(), Failed> {
    let (folder, address) = (container.folder(), endpoint.address.address.to_string());
    let hosts = fs::read_to_string(folder.join("hosts")).unwrap_or_default();
    let hostname = fs::read_to_string(folder.join("hostname")).unwrap_or_default();
    let mut text: String = hosts.lines().filter(|l| l.split_whitespace().next() != Some(&address)).map(|l| format!("{l}\n")).collect();
    if joined {
        text.push_str(&format!("{address}\t{}\n", hostname.trim()));
    }
    let resolv = etc::resolv(&container.record.lookup, false, &container.record.endpoints);
    for (name, text) in [("hosts", text), ("resolv.conf", resolv)] {
        fs::write(folder.join(name), text).or_sys_with(|| format!("write {}", folder.join(name).display()))?;
    }
    Ok(())
}
