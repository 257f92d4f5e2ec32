//! OCI content: references, the store, layers. Knows no process (OCI image spec, image-layout).
//!
//! An image is three kinds of file, each named by the sha256 of its own bytes: a *manifest* that
//! lists a *config* (what to run, and the diff IDs of the layers) and *layers* (tar archives, mostly
//! gzipped). [`Store`] keeps them in the OCI image layout's form under `<root>/images`, and unpacks
//! a layer once, to `<root>/layers/<diff ID>`, for every image and container that uses it.
//!
//! See it live: `cat <root>/images/index.json`, then follow the digests into `blobs/sha256`.

mod ahead;
mod aside;
pub mod archive;
pub mod base;
pub mod changes;
mod collect;
pub mod error;
pub mod layer;
pub mod kept;
mod layers;
pub mod look;
pub mod merged;
mod meter;
pub mod pax;
pub mod reference;
pub mod registry;
pub mod save;
mod sparse;
pub mod store;
pub mod unpack;
pub mod writer;

pub use base::Progress;
pub use error::Error;
pub use reference::Reference;
pub use store::{Image, Store};
