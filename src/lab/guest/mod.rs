//! What runs inside: init, which sets the machine up and buries orphans; the agent, which opens
//! sessions on the ports; and what the kernel runs to load a module.

pub mod agent;
pub mod init;
pub mod modprobe;
mod session;
mod transfer;

/// What a program of this name, run by the guest's kernel, is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Process 1.
    Init,
    /// The module loader.
    Modprobe,
    /// The engine: there is one program in the archive, under both names, because each megabyte of
    /// it costs the boot time.
    Skiff,
}

/// What `skiff run --init` puts in front of a container's command.
const CONTAINERS_INIT: &str = "/dev/init";

/// Told by the name that the program was started by: in the lab's archive, or by the engine that hands
/// a command over.
pub fn role() -> Option<Role> {
    let name = std::env::args_os().next()?;
    if name == super::pack::INIT && std::process::id() == 1 {
        Some(Role::Init)
    } else if name == super::pack::MODPROBE {
        Some(Role::Modprobe)
    } else if name == CONTAINERS_INIT || std::path::Path::new(&name).file_name().is_some_and(|f| f == "skiff") {
        Some(Role::Skiff)
    } else {
        None
    }
}
