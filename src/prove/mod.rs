//! The contract every exercise is held to, and the typist who tries it out.
//!
//! Nothing here knows what makes an exercise pass. A case is typed into a real shell on a real
//! terminal, the verdict is what `drydock check` says, and afterwards the host must be as before.

mod error;
mod prompt;
pub mod transcript;
mod typist;

pub use error::ProveError;
pub use typist::{After, Setting, Typist};
