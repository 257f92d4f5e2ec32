//! A volume that stands for another file system: `-o type=tmpfs -o device=tmpfs -o o=size=64m`.
//!
//! It is mounted at the volume's `_data` on the host when the first container that has it starts, and
//! unmounted when the last one ends, so that all of them see the same. Options are mount(8)'s words.
//! See it live: `grep volumes /proc/self/mountinfo`. Root's alone. Left out: addresses by name (nfs).

use super::{Error, MountPoint, Volume, Volumes};
use crate::engine::container::{Container, Status};
use crate::engine::steps::options::Options;
use crate::kernel::{OrSys, SysError, mount, mountinfo};
use nix::mount::{MntFlags, umount2};
use std::path::Path;

/// Refuses options that mean nothing.
pub(super) fn check(volume: &Volume) -> Result<(), Error> {
    let bad = |problem: String| Err(Error::BadOption { name: volume.name.clone(), problem });
    if let Some(key) = volume.options.keys().find(|k| !["type", "device", "o"].contains(&k.as_str())) {
        return bad(format!("invalid option: {key:?}"));
    }
    if !volume.options.is_empty() && volume.options.get("device").is_none_or(String::is_empty) {
        return bad("missing device in volume options".into());
    }
    if volume.options.contains_key("device") && !volume.options.contains_key("type") && !binds(volume) {
        return bad("missing required option: \"type\"".into());
    }
    Ok(())
}

fn options(volume: &Volume) -> Vec<String> {
    volume.options.get("o").map(|o| o.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect()).unwrap_or_default()
}

fn binds(volume: &Volume) -> bool {
    options(volume).iter().any(|o| o == "bind" || o == "rbind")
}

/// Before a container starts: what its volumes stand for is mounted, if it is not yet.
pub fn ready(root: &Path, mounts: &[MountPoint]) -> Result<(), Error> {
    let volumes = Volumes::open(root);
    for name in mounts.iter().filter(|m| m.device).filter_map(|m| m.name.as_ref()) {
        let _turn = volumes.lock()?;
        let volume = volumes.find(name)?;
        let data = volumes.data(name);
        if !is_mounted(&data)? {
            attach(&volume, &data).map_err(|error| Error::Mount { name: name.clone(), error })?;
        }
    }
    Ok(())
}

fn attach(volume: &Volume, data: &Path) -> Result<(), SysError> {
    let asked = Options::of(&options(volume));
    let device = volume.options.get("device").map(String::as_str).unwrap_or_default();
    let made = if binds(volume) {
        mount::clone_tree(None, Path::new(device), asked.bind == Some(true))?
    } else {
        mount::detached(volume.options.get("type").map(String::as_str).unwrap_or_default(), device, &asked.data, asked.here.set)?
    };
    let shown = data.display().to_string();
    let onto = std::fs::File::open(data).or_sys_with(|| format!("open {shown}"))?;
    mount::attach(&made, onto, &shown)?;
    if !binds(volume) {
        return Ok(());
    }
    let travels = asked.travels.last().map_or(mount::propagation::PRIVATE, |(kind, _)| *kind);
    mount::set_attributes(&made, 0, travels, true, &shown)?;
    mount::change(&made, asked.here, true, &shown)
}

/// After a container has ended: unmounts what no running container has any more.
pub fn released(root: &Path, mounts: &[MountPoint], id: &str) {
    let volumes = Volumes::open(root);
    for name in mounts.iter().filter(|m| m.device).filter_map(|m| m.name.as_ref()) {
        let Ok(_turn) = volumes.lock() else { continue };
        let _ = volumes.find(name).and_then(|volume| idle_but(root, &volume, Some(id)));
    }
}

/// Unmounts it if no running container has it.
pub(super) fn idle(root: &Path, volume: &Volume) -> Result<(), Error> {
    idle_but(root, volume, None)
}

fn idle_but(root: &Path, volume: &Volume, but: Option<&str>) -> Result<(), Error> {
    let volumes = Volumes::open(root);
    let others = volumes.users(&volume.name).into_iter().filter(|id| Some(id.as_str()) != but);
    let runs = |id: String| Container::find(root, &id).is_ok_and(|c| matches!(c.status(), Status::Creating | Status::Running));
    if others.into_iter().any(runs) { Ok(()) } else { unmount(&volumes.data(&volume.name)) }
}

/// Unmounts all that lies there; no error if nothing does.
pub(super) fn unmount(data: &Path) -> Result<(), Error> {
    while is_mounted(data)? {
        umount2(data, MntFlags::MNT_DETACH).or_sys_with(|| format!("unmount {}", data.display()))?;
    }
    Ok(())
}

fn is_mounted(data: &Path) -> Result<bool, SysError> {
    // As the kernel shows it: without the links on the way.
    let Ok(real) = data.canonicalize() else { return Ok(false) };
    Ok(mountinfo::of(std::process::id() as i32)?.iter().any(|m| m.target == real))
}
