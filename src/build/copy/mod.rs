//! COPY and ADD: files become a layer, without a container (Dockerfile reference, "COPY", "ADD").
//!
//! Three steps: [`gather`] finds what a source names and hashes it, which is all that the cache asks;
//! [`place`] says where each file goes in the stage as it is; [`pack`] writes the layer's tar. Nothing
//! is mounted and no file is made on the way, so an ordinary user can give files to any owner.

mod gather;
pub mod owner;
mod pack;
mod place;

pub use gather::{Found, Gathered, Missing, from_bytes, from_path, from_tree};
pub use pack::{clamp, materialize, write};
pub use place::{Placed, Where, directory, place};
