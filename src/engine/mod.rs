//! skiff's engine: what makes a process a container, as an ordered list of steps.
//!
//! In reading order: [`step`] and [`steps`] (what can be done to a process), [`plan`] (which of them,
//! in which order), [`inside`] (what the process carries along), [`hold`] (running it straight, or
//! still between two steps), then around it [`config`] (from Docker's options to an OCI config),
//! [`container`] (what is kept on disk), [`run`], [`enter`], [`life`] and [`init`].
//!
//! Knows no lesson and draws nothing; progress is reported to the caller as values.

pub mod attach;
mod attend;
pub mod byhand;
pub mod config;
pub mod container;
pub mod copy;
pub mod defaults;
pub mod enter;
pub mod error;
pub mod events;
pub mod find;
pub mod given;
pub mod health;
pub mod hold;
pub mod host;
pub mod init;
pub mod input;
pub mod inside;
mod kept;
pub mod keys;
pub mod life;
pub mod limits;
pub mod log;
pub mod monitor;
mod mounts;
pub mod names;
mod namespaces;
pub mod network;
pub mod oci;
pub mod passwd;
pub mod pause;
pub mod plan;
pub mod record;
pub mod relay;
pub mod request;
pub mod restart;
pub mod run;
pub mod seccomp;
pub mod start;
pub mod stats;
pub mod step;
pub mod steps;
pub mod stepwise;
pub mod top;
pub mod update;
mod userland;
pub mod visit;
pub mod volume;

pub use error::Error;
