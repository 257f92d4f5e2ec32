//! Holding a process still between two steps.
//!
//! The process that becomes the container talks to whoever waits for it over one pair of
//! SOCK_SEQPACKET sockets (unix(7)): each message is one packet of JSON, descriptors travel beside
//! it (SCM_RIGHTS). In a straight `run` it only speaks when it forks, opens a terminal or fails, and
//! the socket closes by itself when exec succeeds. Held, it waits here for its next step.

mod held;
pub mod keeper;
mod wire;

pub use held::{Held, Outliving, Started, follow_start, spawn_held, spawn_outliving, spawn_straight};
pub use wire::{Reply, Request, Upstream};
