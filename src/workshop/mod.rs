//! A class on a local network: one hub on the instructor's machine, no accounts, no cloud.
//!
//! A learner's `drydock` keeps what it has to say in a file beside their progress ([`member`]) and a
//! process of its own carries it to the hub ([`carry`]), so that no command ever waits for the network.
//! The hub ([`hub`]) writes each event down before it answers for it, and shows the class on a board.
//! Nothing here prints; `cli` does.

pub mod carry;
pub mod code;
pub mod error;
pub mod event;
pub mod hub;
pub mod inbox;
pub mod member;
pub mod plan;
pub mod program;
pub mod report;
pub mod tls;

pub use code::{Address, JoinCode};
pub use error::Error;
pub use event::{Event, Fact, Stand};
pub use member::Member;
pub use plan::Plan;
pub use program::Program;
