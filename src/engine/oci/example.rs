//! A config.json to start from (`skiff oci spec`): a shell in a container of the usual kind.
//!
//! The same defaults as `skiff run` has, so that what is made of it by hand is like what that makes.

use super::error::Error;
use super::state::put;
use crate::engine::defaults;
use crate::kernel::caps;
use nix::errno::Errno;
use serde_json::{Value, json};
use std::path::Path;

/// Writes it into `bundle`; one that is there already stays.
pub fn write(bundle: &Path, rootless: bool) -> Result<(), Error> {
    let path = bundle.join("config.json");
    if path.exists() {
        return Err(super::error::refused(path.display().to_string(), "it is there already", "remove it first, or name another folder with --bundle"));
    }
    let mut text = serde_json::to_vec_pretty(&config(rootless)).map_err(|_| crate::kernel::SysError::new("write config.json", Errno::EINVAL))?;
    text.push(b'\n');
    Ok(put(&path, &text)?)
}

fn config(rootless: bool) -> Value {
    let mask = defaults::capability_mask();
    let names: Vec<String> = caps::NAMES.iter().filter(|name| caps::mask(name).is_some_and(|bit| bit & mask != 0)).map(|name| format!("CAP_{name}")).collect();
    let kinds = ["pid", "ipc", "uts", "mount", "cgroup"].into_iter().chain([if rootless { "user" } else { "network" }]);
    let namespaces: Vec<Value> = kinds.map(|kind| json!({ "type": kind })).collect();
    let mut linux = json!({
        "namespaces": namespaces,
        "maskedPaths": defaults::MASKED_PATHS,
        "readonlyPaths": defaults::READONLY_PATHS,
    });
    if rootless {
        linux["uidMappings"] = json!([{ "containerID": 0, "hostID": nix::unistd::geteuid().as_raw(), "size": 1 }]);
        linux["gidMappings"] = json!([{ "containerID": 0, "hostID": nix::unistd::getegid().as_raw(), "size": 1 }]);
    } else {
        linux["resources"] = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
    }
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": names, "effective": names, "permitted": names },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "skiff",
        "mounts": mounts(rootless),
        "linux": linux,
    })
}

fn mounts(rootless: bool) -> Value {
    let sys = if rootless {
        json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] })
    } else {
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] })
    };
    let mut list = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] }),
        json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] }),
        sys,
    ];
    if !rootless {
        list.push(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }));
    }
    list.into()
}
