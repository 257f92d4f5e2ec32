//! The Docker Engine API over the same engine.

pub mod say;
