//! The lab: a small Linux VM with a whole kernel of its own, in which the course runs as root.
//!
//! ```text
//! drydock lab ──unix socket──> keeper ──a virtio port per session──> guest: agent ── shell, skiff …
//!                                └─ QEMU, its child
//! ```
//!
//! The parts in reading order: [`vmlinuz`] finds a kernel and [`fetch`] gets one; [`modules`] puts
//! its modules in order; [`pack`] writes the initramfs ([`cpio`]); [`disk`] is what is kept;
//! [`qemu`] starts the machine, and tries KVM before it believes in it; [`keeper`] stays with it and
//! joins terminals to it by frames ([`wire`]); [`client`] is a terminal; [`guest`] is what runs
//! inside. Nothing needs root on the host, and the guest has no way out but its ports.

pub mod client;
pub mod compare;
pub mod copy;
pub mod cpio;
mod disk;
pub mod error;
pub mod fetch;
pub mod guest;
pub mod keeper;
mod modules;
mod pack;
pub mod place;
pub mod qemu;
mod relay;
pub mod share;
mod vmlinuz;
pub mod wire;

pub use disk::taken as disk_taken;
pub use error::Error;
pub use keeper::{Keep, Said};
pub use place::Place;
