//! Uid and gid maps: which ids of a user namespace are which ids outside (user_namespaces(7)).
//!
//! See them live: `cat /proc/PID/uid_map`. A map is written once. Without CAP_SETUID in the parent
//! namespace the kernel accepts one line, for the writer's own id, and only after setgroups was
//! denied; the set-user-ID programs newuidmap and newgidmap write more where /etc/subuid grants it.

use super::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};

/// One line of a map: `count` ids from `inside` on are the ids from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id as seen in the namespace.
    pub inside: u32,
    /// First id as seen by the parent namespace.
    pub outside: u32,
    /// How many ids in a row.
    pub count: u32,
}

impl std::fmt::Display for IdRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

fn text(map: &[IdRange]) -> String {
    map.iter().map(|line| format!("{line}\n")).collect()
}

/// True for root of the host. Root of a user namespace is no more than the user who made it:
/// its uid_map(5) is not the whole range onto itself (user_namespaces(7)).
pub fn is_host_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map");
    nix::unistd::geteuid().is_root() && map.is_ok_and(|m| m.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Writes both maps of process `pid` from a process that may (CAP_SETUID and CAP_SETGID in the
/// parent namespace). A map is written by one write(2), or the kernel refuses the second.
pub fn write_maps(pid: i32, uids: &[IdRange], gids: &[IdRange]) -> Result<(), SysError> {
    for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text(map)).or_sys_with(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Writes the maps that anyone may write: one id each, the caller's own.
pub fn write_own_single_maps(uid: IdRange, gid: IdRange) -> Result<(), SysError> {
    // Without this an unprivileged process could drop a group that denies it a file.
    std::fs::write("/proc/self/setgroups", "deny").or_sys("deny setgroups in the new user namespace")?;
    std::fs::write("/proc/self/uid_map", text(&[uid])).or_sys("write /proc/self/uid_map")?;
    std::fs::write("/proc/self/gid_map", text(&[gid])).or_sys("write /proc/self/gid_map")
}

/// Has newuidmap and newgidmap write the maps of process `pid`, from outside its namespace.
pub fn write_granted_maps(pid: i32, uids: &[IdRange], gids: &[IdRange]) -> Result<(), SysError> {
    for (program, map) in [("newuidmap", uids), ("newgidmap", gids)] {
        let numbers = map.iter().flat_map(|r| [r.inside, r.outside, r.count]).map(|n| n.to_string());
        let status = Command::new(program)
            .arg(pid.to_string())
            .args(numbers)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .or_sys_with(|| format!("run {program}"))?;
        if !status.success() {
            return Err(SysError::new(format!("write the map of process {pid} with {program}"), Errno::EPERM));
        }
    }
    Ok(())
}

/// The range of ids that /etc/subuid or /etc/subgid grants to a user, if the file names one
/// (subuid(5)): by name or by number.
pub fn granted_range(file: &str, name: &str, id: u32) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        if owner != name && owner.parse::<u32>().ok() != Some(id) {
            return None;
        }
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
