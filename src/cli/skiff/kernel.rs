//! `skiff inspect --kernel`: what a container is to the kernel, each fact beside where it can be read.
//!
//! Nothing here comes from the container's record but the names to look under: which cgroup, which
//! cable, which ports. What is shown was read just now from /proc, from the cgroup's files, by netlink
//! from both ends of the cable, and from the packet filter's sets.

use super::show::say;
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::host::layout;
use crate::engine::network::filter;
use crate::engine::steps::cgroup;
use crate::kernel::address::{self, Net};
use crate::kernel::cgroup::{Cgroup, Controller, Layout};
use crate::kernel::link::{self, Link};
use crate::kernel::netlink::Socket;
use crate::kernel::ns::Ns;
use crate::kernel::proc::Process;
use crate::kernel::units;
use crate::kernel::view::{View, in_words};
use crate::kernel::visit::visit;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// Prints it all.
pub fn print(container: &Container) -> Result<(), Error> {
    if container.record.pid == 0 || !container.status().is_live() {
        return Err(Error::NotRunning { name: container.name().to_owned() });
    }
    let pid = container.record.pid;
    let (view, own) = (View::of(pid)?, View::of(std::process::id() as i32)?);
    let process = Process::open(pid)?;
    let parent = process.parent().unwrap_or(0);
    say!("container {} ({})", container.name(), container.short_id());
    say!("  process {pid} here, {} inside", view.pids.last().copied().unwrap_or_default());
    wrapped("  command ", &process.argv().unwrap_or_default().join(" "));
    say!("  parent  {parent}, which waits for its end");
    view.hostname.iter().for_each(|name| say!("  hostname {name}"));
    namespaces(&view, &own);
    groups(container)?;
    network(container, &view, &own);
    identity(&view);
    mounts(&view);
    Ok(())
}

fn heading(text: &str, read: &str) {
    say!();
    say!("{text:<42}{read}");
}

fn wrapped(lead: &str, text: &str) {
    let indent = " ".repeat(lead.len());
    let width = textwrap::termwidth().clamp(40, 100);
    let options = textwrap::Options::new(width).initial_indent(lead).subsequent_indent(&indent).word_splitter(textwrap::WordSplitter::NoHyphenation);
    say!("{}", textwrap::fill(text, options));
}

fn namespaces(view: &View, own: &View) {
    heading("namespaces       its own   the host's", &format!("readlink /proc/{}/ns/*", view.pid));
    for kind in Ns::ALL {
        let Some(inode) = view.namespaces.get(&kind) else { continue };
        match own.namespaces.get(&kind) {
            Some(host) if host == inode => say!("  {:<9} {:>12}   {host}", kind.to_string(), "shared"),
            Some(host) => say!("  {:<9} {inode:>12}   {host}", kind.to_string()),
            None => say!("  {:<9} {inode:>12}   (may not be read)", kind.to_string()),
        }
    }
}

/// A controller, its file in v1 and in v2, and whether it is a number of bytes.
const FILES: [(Controller, &str, &str, bool); 10] = [
    (Controller::Memory, "memory.limit_in_bytes", "memory.max", true),
    (Controller::Memory, "memory.memsw.limit_in_bytes", "memory.swap.max", true),
    (Controller::Memory, "memory.usage_in_bytes", "memory.current", true),
    (Controller::Cpu, "cpu.cfs_quota_us", "cpu.max", false),
    (Controller::Cpu, "cpu.cfs_period_us", "", false),
    (Controller::Cpu, "cpu.shares", "cpu.weight", false),
    (Controller::Pids, "pids.max", "pids.max", false),
    (Controller::Pids, "pids.current", "pids.current", false),
    (Controller::Freezer, "freezer.state", "", false),
    (Controller::Cpuacct, "cpuacct.usage", "", false),
];

fn groups(container: &Container) -> Result<(), Error> {
    let layout = layout()?;
    let Some(group) = Cgroup::open(&layout, &cgroup::name(container.id()))? else {
        heading("cgroup: none of its own", &format!("/proc/{}/cgroup", container.record.pid));
        return Ok(());
    };
    heading("cgroup", &format!("/proc/{}/cgroup", container.record.pid));
    say!("  {}", group.name());
    for (controller, old, new, bytes) in FILES {
        let name = if layout.is_v1(controller) { old } else { new };
        value(&layout, &group, controller, name, bytes);
    }
    if let Some(at) = group.unified() {
        file(at, &layout, None, "cgroup.events", false);
        file(at, &layout, None, "cgroup.freeze", false);
    }
    Ok(())
}

fn value(layout: &Layout, group: &Cgroup, controller: Controller, name: &str, bytes: bool) {
    if let Some(at) = group.directory(controller).filter(|_| !name.is_empty()) {
        file(at, layout, Some(controller), name, bytes);
    }
}

/// A file's first line, or all of a short one, and the hierarchy that it lies in.
fn file(at: &Path, layout: &Layout, controller: Option<Controller>, name: &str, bytes: bool) {
    let Ok(text) = std::fs::read_to_string(at.join(name)) else { return };
    let text = text.trim().replace('\n', ", ");
    let shown = match text.parse::<u64>() {
        // v1's way to say that there is no limit: the largest number of whole pages.
        Ok(number) if bytes && number > i64::MAX as u64 - (1 << 20) => format!("{number} (none)"),
        Ok(number) if bytes => units::both(number),
        _ => text,
    };
    let hierarchy = controller.and_then(|c| layout.directory(c)).map(Path::to_path_buf);
    let mount = hierarchy.or_else(|| layout.unified.as_ref().map(|h| h.mount.clone())).unwrap_or_default();
    say!("  {name:<27} {shown:<25} {}", mount.display());
}

/// The links of a namespace with their addresses.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ends {
    links: Vec<Link>,
    addresses: Vec<(u32, Net)>,
}

fn ends() -> Option<Ends> {
    let socket = Socket::route().ok()?;
    Some(Ends { links: link::list(&socket).ok()?, addresses: address::links(&socket).ok()? })
}

fn network(container: &Container, view: &View, own: &View) {
    heading("network", &format!("nsenter -t {} -n ip address", view.pid));
    if view.namespaces.get(&Ns::Net) == own.namespaces.get(&Ns::Net) {
        say!("  the host's own");
        return;
    }
    let seen = visit(view.pid, Ns::Net, || serde_json::to_string(&ends()?).ok());
    let inside: Ends = seen.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let outside = ends().unwrap_or_default();
    for link in &inside.links {
        let addresses: Vec<String> = inside.addresses.iter().filter(|(index, _)| *index == link.index).map(|(_, net)| net.to_string()).collect();
        let state = if link.up { "up" } else { "down" };
        say!("  {:<6} {:<20} {state}", link.name, addresses.join(" "));
        // The other end says by its own `peer` which of ours it hangs on.
        let other = link.peer.and_then(|peer| outside.links.iter().find(|o| o.index == peer && o.peer == Some(link.index)));
        if let Some(other) = other {
            let bridge = other.master.and_then(|m| outside.links.iter().find(|o| o.index == m));
            let gateway = bridge.and_then(|b| outside.addresses.iter().find(|(index, _)| *index == b.index));
            let bridge = bridge.map(|b| format!(", in {}", b.name)).unwrap_or_default();
            say!("         the other end here: {}{bridge}{}", other.name, gateway.map(|(_, net)| format!(" ({net})")).unwrap_or_default());
        }
    }
    let rules = filter::elements(container.store(), &container.record.endpoints, &container.record.ports).unwrap_or_default();
    if let Some((table, elements)) = rules {
        say!("  rules: nft list table ip {table}");
        elements.iter().for_each(|line| say!("    {line}"));
    }
}

fn identity(view: &View) {
    heading("identity and privileges", &format!("/proc/{}/status", view.pid));
    let list = |numbers: &[u32]| {
        let mut numbers = numbers.to_vec();
        numbers.dedup();
        numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    };
    say!("  uid {}, gid {}, groups {}", list(&view.uids), list(&view.gids), if view.groups.is_empty() { "none".into() } else { list(&view.groups) });
    for (inside, outside, count) in &view.uid_map {
        let note = if (*inside, *outside, *count) == (0, 0, u32::MAX) { ": everybody is who they are" } else { "" };
        say!("  uid_map  {inside} inside is {outside} here, {count} in a row{note}");
    }
    let sets = &view.capabilities;
    let all = [("effective", sets.effective), ("permitted", sets.permitted), ("inheritable", sets.inheritable), ("bounding", sets.bounding), ("ambient", sets.ambient)];
    let mut told: Vec<(u64, Vec<&str>)> = Vec::new();
    for (name, mask) in all {
        match told.iter_mut().find(|(other, _)| *other == mask) {
            Some((_, names)) => names.push(name),
            None => told.push((mask, vec![name])),
        }
    }
    for (mask, names) in told {
        wrapped("  capabilities ", &format!("{}: {}", names.join(", "), in_words(mask)));
    }
    say!("  no_new_privs {}", u8::from(view.no_new_privs));
    say!("  seccomp      {}", ["none", "strict", "filter"].get(view.seccomp as usize).unwrap_or(&"?"));
}

fn mounts(view: &View) {
    heading("mounts", &format!("/proc/{}/mountinfo", view.pid));
    for mount in &view.mounts {
        let target = mount.target.display().to_string();
        // Of a bind mount the interesting part is what of the host it shows.
        let of = if mount.root.as_os_str() == "/" { String::new() } else { format!("of {}", shortened(&mount.root.display().to_string())) };
        let options: Vec<&str> = mount.options.iter().map(String::as_str).filter(|o| !matches!(*o, "relatime")).collect();
        let line = format!("  {target:<22} {:<9} {}", mount.fstype, options.join(","));
        if line.chars().count() + 1 + of.chars().count() <= textwrap::termwidth() {
            say!("{}", format!("{line} {of}").trim_end());
        } else {
            say!("{line}");
            say!("  {:<22} {of}", "");
        }
    }
}

/// A path with each id of 64 digits as its first twelve: what is behind them is the same container.
fn shortened(path: &str) -> String {
    let short = |part: &str| if part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()) { format!("{}…", &part[..12]) } else { part.to_owned() };
    path.split('/').map(short).collect::<Vec<_>>().join("/")
}
