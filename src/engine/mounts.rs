//! The mounts of a container, in the order in which they are made (OCI runtime spec, config.md,
//! "Mounts"): the kernel's own file systems, the three files of /etc, then what was asked for.

use super::config::{Names, invalid};
use super::error::Error;
use super::request::{Network, Request};
use oci_spec::runtime::{Mount, MountBuilder};
use std::collections::HashMap;
use std::path::Path;

/// The key of an annotation of the OCI config, with a place inside behind it; its value is the volume
/// that takes the image's files from there. The config alone must say it, since a container starts from
/// that; other runtimes pass it over.
pub(super) const COPY_UP: &str = "skiff.copy-up:";

/// Those annotations.
pub(super) fn annotations(names: &Names<'_>) -> HashMap<String, String> {
    let copied = names.mounts.iter().filter(|m| m.copy);
    copied.filter_map(|m| Some((format!("{COPY_UP}{}", m.target.display()), m.name.clone()?))).collect()
}

/// What is mounted for what was asked, outer directories before those that lie in them.
pub(super) fn mounts(request: &Request, names: &Names<'_>, rootless: bool) -> Result<Vec<Mount>, Error> {
    let mut list = Vec::new();
    let mut add = |kind: &str, source: &str, target: &Path, options: &[&str]| add_to(&mut list, kind, source, target, options);
    let sealed: &[&str] = &["nosuid", "noexec", "nodev"];
    if request.host_pid && rootless {
        add("bind", "/proc", Path::new("/proc"), &["rbind"])?;
    } else {
        add("proc", "proc", Path::new("/proc"), sealed)?;
    }
    add("tmpfs", "tmpfs", Path::new("/dev"), &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"])?;
    add("devpts", "devpts", Path::new("/dev/pts"), &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"])?;
    // A user namespace without a network namespace of its own may not mount sysfs.
    if rootless && request.network == Network::Host {
        add("bind", "/sys", Path::new("/sys"), &["rbind", "rro", "rnosuid", "rnoexec", "rnodev"])?;
    } else {
        let sys: &[&str] = if request.privileged { sealed } else { &["nosuid", "noexec", "nodev", "ro"] };
        add("sysfs", "sysfs", Path::new("/sys"), sys)?;
        add("cgroup", "cgroup", Path::new("/sys/fs/cgroup"), if request.privileged { sealed } else { &["ro", "nosuid", "noexec", "nodev"] })?;
    }
    if request.host_ipc {
        // Not every host has mounted its queues: what it lacks cannot be shared.
        for place in ["/dev/mqueue", "/dev/shm"].map(Path::new).into_iter().filter(|p| p.exists()) {
            add("bind", &place.to_string_lossy(), place, &["rbind"])?;
        }
    } else {
        add("mqueue", "mqueue", Path::new("/dev/mqueue"), sealed)?;
        add("tmpfs", "shm", Path::new("/dev/shm"), &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])?;
    }
    let ours = list.len();
    let mut add = |kind: &str, source: &str, target: &Path, options: &[&str]| add_to(&mut list, kind, source, target, options);
    for name in ["resolv.conf", "hostname", "hosts"] {
        let source = names.folder.join(name);
        add("bind", &source.to_string_lossy(), &Path::new("/etc").join(name), &["bind"])?;
    }
    for volume in &request.tmpfs {
        let mut options = vec!["nosuid", "nodev", "noexec"];
        options.extend(volume.options.iter().map(String::as_str));
        add("tmpfs", "tmpfs", &volume.target, &options)?;
    }
    for mount in names.mounts {
        let mut options = vec!["rbind"];
        options.extend(mount.read_only.then_some("rro"));
        options.extend(mount.propagation.as_deref());
        add("bind", &mount.source.to_string_lossy(), &mount.target, &options)?;
    }
    // The outer ones first, or they would cover those that lie in them; else as they were asked for.
    list[ours..].sort_by_key(|mount| mount.destination().components().count());
    if request.init {
        add_to(&mut list, "bind", &request.program.to_string_lossy(), Path::new(super::init::PATH), &["bind", "ro"])?;
    }
    Ok(list)
}

fn add_to(list: &mut Vec<Mount>, kind: &str, source: &str, target: &Path, options: &[&str]) -> Result<(), Error> {
    let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
    list.push(MountBuilder::default().typ(kind).source(source).destination(target).options(options).build().map_err(invalid)?);
    Ok(())
}
