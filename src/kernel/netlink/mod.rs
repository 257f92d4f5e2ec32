//! Netlink: messages to the kernel's network and packet filter, and its answers (netlink(7)).
//!
//! A message is a header of 16 bytes, a struct that its type asks for, and attributes, each with a
//! length, a type and a value that may be attributes again; all padded to 4 bytes. [`Message`] writes
//! one, [`Socket`] sends it and reads what comes back. A socket belongs to the network namespace in
//! which it was made, wherever its owner goes: so one process can speak to two at once.
//!
//! See it live: `strace -e sendto,sendmsg ip link`. Bigger libraries have a type for each message;
//! here are the few that an engine sends, in [`super::link`], [`super::address`] and [`super::nft`].

mod message;
mod socket;

pub use message::{Message, attributes, half, text, word};
pub use socket::Socket;

/// Bytes of a message's header (struct nlmsghdr).
pub const HEADER: usize = 16;
