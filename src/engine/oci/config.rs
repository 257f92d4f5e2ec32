//! Reading a bundle's config.json, and saying no where saying nothing would be a lie (OCI runtime spec,
//! config.md).
//!
//! A runtime must refuse what it cannot do. Most of that shows itself when a step is carried out; here is
//! what would else be passed over in silence.

use super::error::{Error, refused};
use super::state::{check_id, document};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use std::path::{Component, Path, PathBuf};

/// Above the cgroups of containers whose config names none.
pub(super) const TOP: &str = "skiff-oci";

/// A bundle as `create` finds it.
#[derive(Debug)]
pub struct Bundle {
    /// Its folder, absolute and without links.
    pub at: PathBuf,
    /// Its config.
    pub spec: Spec,
    /// The container's root, absolute and without links.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Reads a bundle, and refuses what cannot be done.
    pub fn read(at: &Path) -> Result<Self, Error> {
        let missing = |path: &Path, e: std::io::Error| Error::Document { path: path.to_owned(), reason: e.to_string() };
        let at = std::fs::canonicalize(at).map_err(|e| missing(at, e))?;
        let spec: Spec = document(&at.join("config.json"))?;
        check(&spec)?;
        let root = spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default();
        if root.as_os_str().is_empty() {
            return Err(refused("root.path", "it is empty, and a container needs a root", "name the folder of its files, such as rootfs"));
        }
        let root = at.join(root);
        let rootfs = std::fs::canonicalize(&root).map_err(|e| missing(&root, e))?;
        if !rootfs.is_dir() {
            return Err(refused("root.path", format!("{} is no directory", rootfs.display()), "name the folder of its files"));
        }
        Ok(Self { at, spec, rootfs })
    }
}

/// Refuses what would else be passed over.
fn check(spec: &Spec) -> Result<(), Error> {
    let version = spec.version();
    if version.split('.').next() != Some("1") || version.split('.').count() < 3 {
        return Err(refused(format!("ociVersion {version:?}"), "this runtime follows version 1 of the spec", "\"ociVersion\": \"1.0.2\""));
    }
    let Some(linux) = spec.linux() else {
        return Err(refused("config.json", "it has no part `linux`", "skiff oci spec writes one that has"));
    };
    let namespaces = linux.namespaces().clone().unwrap_or_default();
    let mut seen = Vec::new();
    for namespace in &namespaces {
        if seen.contains(&namespace.typ()) {
            return Err(refused("linux.namespaces", format!("{:?} is listed twice", namespace.typ()), "list each kind once"));
        }
        seen.push(namespace.typ());
    }
    let has = |kind| seen.contains(&kind);
    if !has(LinuxNamespaceType::Mount) {
        return Err(refused("linux.namespaces", "without a mount namespace the container's mounts would be the host's", "add { \"type\": \"mount\" }"));
    }
    if linux.uid_mappings().as_ref().is_some_and(|m| !m.is_empty()) && !has(LinuxNamespaceType::User) {
        return Err(refused("linux.uidMappings", "they need a user namespace", "add { \"type\": \"user\" } to linux.namespaces"));
    }
    if linux.time_offsets().as_ref().is_some_and(|t| !t.is_empty()) && !has(LinuxNamespaceType::Time) {
        return Err(refused("linux.timeOffsets", "they need a time namespace", "add { \"type\": \"time\" } to linux.namespaces"));
    }
    let named = [("hostname", spec.hostname()), ("domainname", spec.domainname())].into_iter().find(|(_, name)| name.as_ref().is_some_and(|n| !n.is_empty()));
    if let Some((field, _)) = named.filter(|_| !has(LinuxNamespaceType::Uts)) {
        return Err(refused(field, "without a UTS namespace it would be the host's", "add { \"type\": \"uts\" } to linux.namespaces"));
    }
    if linux.intel_rdt().is_some() {
        return Err(refused("linux.intelRdt", "this runtime does not divide caches or memory bandwidth", "leave it out"));
    }
    if linux.mount_label().as_ref().is_some_and(|label| !label.is_empty()) {
        return Err(refused("linux.mountLabel", "this runtime sets no SELinux label", "leave it out, or --security-opt label=disable"));
    }
    if linux.net_devices().as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(refused("linux.netDevices", "this runtime moves no network devices", "move them in a createRuntime hook"));
    }
    let maps = |m: &oci_spec::runtime::Mount| m.uid_mappings().as_ref().is_some_and(|list| !list.is_empty()) || m.options().iter().flatten().any(|o| o == "idmap" || o == "ridmap");
    if spec.mounts().iter().flatten().any(maps) {
        return Err(refused("mounts[].uidMappings", "this runtime maps no ids in mounts", "leave them out"));
    }
    check_process(spec)
}

fn check_process(spec: &Spec) -> Result<(), Error> {
    let Some(process) = spec.process() else { return Ok(()) };
    if !process.cwd().is_absolute() {
        return Err(refused("process.cwd", "it must be absolute", "\"cwd\": \"/\""));
    }
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(refused("process.args", "it names no command", "\"args\": [\"sh\"]"));
    }
    let none = oci_spec::runtime::Capabilities::new();
    let inside = |caps: &oci_spec::runtime::LinuxCapabilities| caps.inheritable().as_ref().unwrap_or(&none).is_subset(caps.bounding().as_ref().unwrap_or(&none));
    if !process.capabilities().as_ref().is_none_or(inside) {
        return Err(refused("process.capabilities.inheritable: EPERM", "what the bounding set lacks cannot be inherited (capset(2))", "list it in process.capabilities.bounding too"));
    }
    check_labels(process.apparmor_profile().as_deref(), process.selinux_label().as_deref())
}

/// Labels of security modules, which no step sets.
pub(super) fn check_labels(apparmor: Option<&str>, selinux: Option<&str>) -> Result<(), Error> {
    if apparmor.is_some_and(|p| !p.is_empty() && p != "unconfined") {
        return Err(refused("process.apparmorProfile", "this runtime sets no AppArmor profile", "leave it out, or docker run --security-opt apparmor=unconfined"));
    }
    if selinux.is_some_and(|l| !l.is_empty()) {
        return Err(refused("process.selinuxLabel", "this runtime sets no SELinux label", "leave it out, or --security-opt label=disable"));
    }
    Ok(())
}

/// The cgroup that `linux.cgroupsPath` means, by its name below each hierarchy; one of our own choice
/// where it says nothing.
pub fn cgroup(spec: &Spec, id: &str, systemd: bool) -> Result<String, Error> {
    check_id(id)?;
    let by_systemd = |what: &str| {
        refused(
            what,
            "this runtime writes to the cgroup tree itself, and asks no systemd for a scope",
            "dockerd --exec-opt native.cgroupdriver=cgroupfs, podman --cgroup-manager cgroupfs, or SystemdCgroup = false for containerd",
        )
    };
    if systemd {
        return Err(by_systemd("--systemd-cgroup"));
    }
    let Some(path) = spec.linux().as_ref().and_then(|l| l.cgroups_path().clone()).filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(format!("{TOP}/{id}"));
    };
    let text = path.to_string_lossy();
    if !path.is_absolute() && text.matches(':').count() == 2 {
        return Err(by_systemd("a cgroupsPath of the form slice:prefix:name"));
    }
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(refused(format!("linux.cgroupsPath {text:?}"), "`..` would lead out of the tree", "a path such as /mine/web")),
        }
    }
    if parts.is_empty() {
        return Err(refused(format!("linux.cgroupsPath {text:?}"), "that is the root of the tree, whose limits are everybody's", "a path such as /mine/web"));
    }
    Ok(parts.join("/"))
}
