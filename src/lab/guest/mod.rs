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
}

/// Told by the name that the program was started by, which only the lab's archive has.
pub fn role() -> Option<Role> {
    let name = std::env::args_os().next()?;
    if name == super::pack::INIT && std::process::id() == 1 {
        Some(Role::Init)
    } else if name == super::pack::MODPROBE {
        Some(Role::Modprobe)
    } else {
        None
    }
}
