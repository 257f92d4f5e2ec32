//! Pages with something alive in them: who may see them, a real terminal, checks as they change.
//!
//! | file | what it is |
//! |---|---|
//! | [`server`] | takes an address, serves until it is interrupted |
//! | [`door`] | the token in the address, Host and Origin |
//! | [`files`] | a folder's pages, files that the program carries; what a page may load |
//! | [`terminal`] | a shell's terminal over a WebSocket |
//! | [`seat`] | where the learner works: on this machine, or in the lab |
//! | [`feed`] | the learner's record and verdicts, as events |
//!
//! Nothing here knows what a lesson is: the book and the workshop do, and bring their own routes.

pub mod door;
pub mod error;
pub mod feed;
pub mod files;
pub mod seat;
pub mod server;
pub mod terminal;

pub use door::Door;
pub use error::WebError;
pub use feed::Feed;
pub use seat::Seat;
pub use terminal::Terminals;
