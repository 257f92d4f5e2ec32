//! `skiff compose`: an application of several containers, as one file says it (Compose specification).
//!
//! In reading order: [`load`] (from files to one tree: [`interpolate`], [`schema`] and [`validate`],
//! [`normal`], [`merge`]), [`project`] and [`model`] (the tree held together, and read), then what is
//! done with it: [`service`] (from a service to the engine's request), [`found`] (what there is, by its
//! labels), [`up`], [`wait`] and [`stop`].
//!
//! There is no state of its own: containers, networks and volumes carry labels that say which project
//! and service they belong to, and a hash of what they were made from. So `up` can be said again and
//! again, and changes what the file changed. See it live: `skiff inspect -f '{{json .Config.Labels}}' NAME`.
//!
//! Draws nothing: progress goes to the caller as [`Event`]s. Docker Compose does more: `watch`, models,
//! providers, and most of what is for clusters; the schema names what is not done here.

mod document;
mod dotenv;
pub mod error;
pub mod found;
pub mod graph;
pub mod interpolate;
pub mod labels;
pub mod load;
mod locate;
pub mod merge;
pub mod model;
mod normal;
pub mod place;
pub mod project;
pub mod schema;
pub mod service;
mod short;
pub mod stop;
pub mod turn;
pub mod up;
pub mod validate;
pub mod wait;

pub use error::Error;
pub use found::Event;
pub use load::Options;
pub use project::Project;
