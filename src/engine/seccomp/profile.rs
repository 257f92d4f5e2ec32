//! Docker's profile format, and what of it applies to one container.
//!
//! Mechanism: JSON. Docker's format is the OCI's with conditions on top: a group of calls can ask
//! for capabilities, a kernel version or a machine. Once those are decided, an OCI `linux.seccomp`
//! is left, which runc, crun and this engine's own compiler all take.
//! See it live: `linux.seccomp` in the file that `skiff inspect -f '{{.OCIConfigPath}}' NAME` names.
//! Contract: pure.
//! Left out: Docker's oldest format, with one `name` for each entry.

use super::Error;
use super::syscalls::Abi;
use crate::kernel::caps;
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall};
use serde::Deserialize;
use std::path::PathBuf;

/// The profile that a container gets unless it asks for another: equal in effect to Docker's.
pub const DEFAULT: &str = include_str!("default.json");

/// A profile as Docker's `--security-opt seccomp=FILE` takes it. A plain OCI one is read as well.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Vec<Arch>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    flags: Vec<LinuxSeccompFilterFlag>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    #[serde(default)]
    syscalls: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Conditions,
    #[serde(default)]
    excludes: Conditions,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Conditions {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// The container and the host that a profile is decided for.
#[derive(Debug, Clone, Copy)]
pub struct For<'a> {
    /// The mask of the container's bounding capabilities.
    pub capabilities: u64,
    /// The kernel's release, such as `6.1.0-18-amd64`.
    pub kernel: &'a str,
    /// The machine.
    pub abi: Abi,
}

impl Profile {
    /// Reads a profile.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|e| Error::Profile(e.to_string()))
    }

    /// What is left of it for one container: every condition decided.
    pub fn decide(&self, wanted: For<'_>) -> Result<LinuxSeccomp, Error> {
        let mut syscalls = Vec::new();
        for group in &self.syscalls {
            if group.includes.all_hold(wanted)? && !group.excludes.any_holds(wanted)? {
                let mut call = LinuxSyscall::default();
                call.set_names(group.names.clone());
                call.set_action(group.action);
                call.set_errno_ret(group.errno_ret);
                call.set_args(group.args.clone().filter(|args| !args.is_empty()));
                syscalls.push(call);
            }
        }
        let mut decided = LinuxSeccomp::default();
        decided.set_default_action(self.default_action);
        decided.set_default_errno_ret(self.default_errno_ret);
        decided.set_architectures(Some(self.architectures(wanted.abi)).filter(|list| !list.is_empty()));
        decided.set_flags(Some(self.flags.clone()).filter(|list| !list.is_empty()));
        decided.set_listener_path(self.listener_path.clone());
        decided.set_listener_metadata(self.listener_metadata.clone());
        decided.set_syscalls(Some(syscalls));
        Ok(decided)
    }

    fn architectures(&self, abi: Abi) -> Vec<Arch> {
        let of_map = self.arch_map.iter().find(|map| Abi::from_oci(map.architecture) == Some(abi));
        match of_map {
            Some(map) => std::iter::once(map.architecture).chain(map.sub_architectures.iter().flatten().copied()).collect(),
            None => self.architectures.clone(),
        }
    }
}

impl Conditions {
    fn all_hold(&self, wanted: For<'_>) -> Result<bool, Error> {
        let has = |name: &String| holds_capability(name, wanted);
        let kernel = self.min_kernel.as_deref().map_or(Ok(true), |min| at_least(wanted.kernel, min))?;
        let machine = self.arches.is_empty() || self.arches.iter().any(|arch| arch == wanted.abi.go_name());
        Ok(kernel && machine && self.caps.iter().map(has).collect::<Result<Vec<_>, _>>()?.iter().all(|held| *held))
    }

    fn any_holds(&self, wanted: For<'_>) -> Result<bool, Error> {
        let has = |name: &String| holds_capability(name, wanted);
        let kernel = self.min_kernel.as_deref().map_or(Ok(false), |min| at_least(wanted.kernel, min))?;
        let machine = self.arches.iter().any(|arch| arch == wanted.abi.go_name());
        Ok(kernel || machine || self.caps.iter().map(has).collect::<Result<Vec<_>, _>>()?.contains(&true))
    }
}

fn holds_capability(name: &str, wanted: For<'_>) -> Result<bool, Error> {
    let mask = caps::mask(name).ok_or_else(|| Error::Profile(format!("there is no capability named {name}")))?;
    Ok(wanted.capabilities & mask == mask)
}

/// Whether a release such as `6.1.0-18-amd64` is at least `4.8`.
fn at_least(release: &str, min: &str) -> Result<bool, Error> {
    let numbers = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
    };
    let wanted = numbers(min).ok_or_else(|| Error::Profile(format!("minKernel is `{min}`, not a version such as 4.8")))?;
    Ok(numbers(release).is_none_or(|running| running >= wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(capabilities: u64, abi: Abi) -> LinuxSeccomp {
        Profile::parse(DEFAULT).expect("our own").decide(For { capabilities, kernel: "6.1.0", abi }).expect("our own")
    }

    fn actions(seccomp: &LinuxSeccomp, name: &str) -> Vec<LinuxSeccompAction> {
        let calls = seccomp.syscalls().iter().flatten();
        calls.filter(|call| call.names().iter().any(|n| n == name)).map(|call| call.action()).collect()
    }

    #[test]
    fn capabilities_open_what_they_are_needed_for() {
        use LinuxSeccompAction::{ScmpActAllow as Allow, ScmpActErrno as Errno};
        let plain = decide(0, Abi::X86_64);
        assert_eq!(actions(&plain, "mount"), []);
        assert_eq!(actions(&plain, "clone3"), [Errno]);
        let admin = decide(1 << caps::SYS_ADMIN, Abi::X86_64);
        assert_eq!(actions(&admin, "mount"), [Allow]);
        assert_eq!(actions(&admin, "clone3"), [Allow]);
        assert_eq!(actions(&admin, "clone"), [Allow]);
    }

    #[test]
    fn the_machine_decides_its_own_calls_and_sub_architectures() {
        assert_eq!(actions(&decide(0, Abi::X86_64), "arch_prctl").len(), 1);
        assert_eq!(actions(&decide(0, Abi::Aarch64), "arch_prctl").len(), 0);
        let list = decide(0, Abi::X86_64).architectures().clone().expect("three");
        assert_eq!(list, [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]);
    }

    #[test]
    fn a_kernel_version_is_compared_by_number() {
        assert_eq!(at_least("4.19.0-26-amd64", "4.8").ok(), Some(true));
        assert_eq!(at_least("4.4.302", "4.8").ok(), Some(false));
        assert_eq!(at_least("6.18", "4.8").ok(), Some(true));
        assert!(at_least("6.1", "new").is_err());
    }

    #[test]
    fn a_broken_profile_says_where() {
        let Err(Error::Profile(text)) = Profile::parse("{\n \"defaultAction\": \"SCMP_ACT_MAYBE\" }") else {
            panic!("it is refused")
        };
        assert!(text.contains("SCMP_ACT_MAYBE") && text.contains("line 2"), "{text}");
    }
}
