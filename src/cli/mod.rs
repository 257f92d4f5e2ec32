//! The two command lines. The only place that prints, asks and draws.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod drydock;
pub mod error;
pub mod out;
pub mod skiff;
pub mod usage;
