//! The learner's side: progress, the exercise in hand, reset, quiz, doctor, rendering for a terminal.
//!
//! Nothing here prints; `cli` does. State is one file in the learner's own home, also under sudo.

pub mod answer;
pub mod ask;
pub mod doctor;
pub mod error;
pub mod exam;
pub mod facts;
pub mod home;
pub mod leitner;
pub mod merge;
pub mod placement;
pub mod progress;
pub mod render;
pub mod report;
pub mod reset;
pub mod shell;
pub mod terminal;
pub mod watch;

pub use error::Error;
pub use home::Home;
pub use progress::Progress;
