//! `skiff build`: from a Dockerfile and a folder to an image (Dockerfile reference).
//!
//! In reading order: [`dockerfile`] (what is written), [`expand`], [`ignore`], [`glob`] (words and
//! names), [`stage`] (what is needed of it), [`tree`] (files as a container would see them), [`copy`]
//! and [`run`] (the two ways to a layer), [`cache`] and [`explain`] (what need not be done again),
//! [`config`] (what an image says of itself), and [`solve`], which puts them to work.
//!
//! An image is built as it will be stored: a list of layers and a config. RUN adds what a container's
//! upper directory holds, COPY writes its tar directly, everything else changes the config. Draws
//! nothing: progress goes to the caller as [`Event`]s. BuildKit does the same on a graph of operations
//! that any front end can send; here the Dockerfile is the only one.

pub mod cache;
pub mod config;
pub mod copy;
pub mod dockerfile;
pub mod error;
pub mod expand;
pub mod explain;
mod export;
mod fetch;
pub mod glob;
mod halt;
mod instruct;
pub mod ignore;
mod mounts;
mod progress;
pub mod run;
pub mod solve;
pub mod source;
pub mod stage;
mod step;
mod step_copy;
mod step_run;
mod traces;
pub mod tree;
mod triggers;

pub use error::Error;
pub use halt::Halt;
pub use progress::Event;

use crate::image::Reference;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What `skiff build` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The skiff root.
    pub root: PathBuf,
    /// This program, for the containers of RUN.
    pub program: PathBuf,
    /// The context's folder.
    pub context: PathBuf,
    /// Under which name this build is remembered for `--explain`.
    pub remembered_as: String,
    /// What the context leaves out.
    pub ignore: ignore::Ignore,
    /// `-t`.
    pub tags: Vec<Reference>,
    /// `--target`.
    pub target: Option<String>,
    /// `--build-arg`.
    pub args: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--network`: that of RUN, where the instruction says no other.
    pub network: run::Net,
    /// `--add-host`: names and their addresses.
    pub hosts: Vec<(String, String)>,
    /// `--secret`: by id, the content.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// SOURCE_DATE_EPOCH: no time in the image is later, in seconds since the epoch.
    pub epoch: Option<i64>,
    /// `--explain`.
    pub explain: bool,
}
