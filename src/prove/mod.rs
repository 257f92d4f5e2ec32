//! The contract every exercise is held to, and the typist who tries it out.
//!
//! Nothing here knows what makes an exercise pass. A case is typed into `drydock shell` on a real
//! terminal, the verdict is what `drydock check` says, and afterwards the host must be as before.

mod contract;
mod error;
pub mod host;
mod matrix;
mod prompt;
mod room;
mod stop;
pub mod transcript;
mod typist;

pub use contract::{Bench, Case};
pub use error::ProveError;
pub use matrix::{Lane, Matrix};
pub use room::{Learner, Room};
pub use stop::stop;
pub use typist::{After, Setting, Typist};
