//! Kernel parameters of the container's own namespaces (sysctl(8), proc_sys(5)).
//!
//! Mechanism: a write to a file below /proc/sys. The kernel looks the value up in the namespaces of
//! the process that opens the file, so the host's /proc serves: it is known to be the real one, and
//! the container's is not there yet (CVE-2025-52881 is what a false one can do).
//! See it live: `nsenter -t PID -n sysctl net.ipv4.ip_forward`.
//! Contract: after the namespaces, before the root is exchanged. What belongs to no namespace of the
//! container would be set for the whole machine, and is refused.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `sysctl` step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// Names such as `net.ipv4.ip_forward`, and what they are to be.
    pub values: BTreeMap<String, String>,
}

/// The namespace that a parameter belongs to; `None` for one of the whole machine.
fn owner(name: &str) -> Option<Ns> {
    match name {
        "kernel/domainname" | "kernel/hostname" => Some(Ns::Uts),
        "kernel/msgmax" | "kernel/msgmnb" | "kernel/msgmni" | "kernel/sem" | "kernel/shmall" | "kernel/shmmax" | "kernel/shmmni"
        | "kernel/shm_rmid_forced" | "kernel/msg_next_id" | "kernel/sem_next_id" | "kernel/shm_next_id" => Some(Ns::Ipc),
        _ if name.starts_with("fs/mqueue/") => Some(Ns::Ipc),
        _ if name.starts_with("net/") => Some(Ns::Net),
        _ if name.starts_with("user/") => Some(Ns::User),
        _ => None,
    }
}

/// `net.ipv4.ip_forward` as `net/ipv4/ip_forward`. Where a slash comes first, slashes divide and dots
/// belong to names, as sysctl(8) has it: `net/ipv4/conf/eth0.1/forwarding`.
fn path(name: &str) -> Result<String, StepError> {
    let path = match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'/' => name.to_owned(),
        _ => name.replace('.', "/"),
    };
    if path.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(StepError::from(SysError::new(format!("set {name}"), Errno::EINVAL)).because("this is no parameter's name"));
    }
    Ok(path)
}

impl Carry for Sysctl {
    fn about(&self) -> About {
        About {
            name: "sysctl",
            what: format!("set {}", self.values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")),
            why: "some of the kernel's parameters exist once for each namespace, and programs rely on their values",
            man: &["proc_sys(5)", "sysctl(8)"],
            syscalls: &["openat", "write"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        for (name, value) in &self.values {
            let path = path(name)?;
            match owner(&path) {
                Some(ns) if inside.own.contains(&ns) => {}
                Some(ns) => inside.must_own(ns, &format!("set {name}"))?,
                None => {
                    return Err(StepError::from(SysError::new(format!("set {name}"), Errno::EPERM))
                        .because("it belongs to no namespace: the change would be the whole machine's")
                        .try_this("set it on the host"));
                }
            }
            let file = format!("/proc/sys/{path}");
            // Never O_CREAT: a name that the kernel does not know stays unknown.
            let mut opened = std::fs::OpenOptions::new().write(true).open(&file).or_sys_with(|| format!("set {name}"))?;
            std::io::Write::write_all(&mut opened, value.as_bytes()).or_sys_with(|| format!("set {name} to {value}"))?;
        }
        Ok(())
    }
}
