//! skiff's engine: what makes a process a container, as an ordered list of steps.
//!
//! Knows no lesson and draws nothing; progress is reported to the caller as values.

pub mod defaults;
pub mod inside;
pub mod seccomp;
pub mod step;
pub mod steps;
