//! Verdicts over live kernel state. Changes nothing, knows no engine.
//!
//! A [`Check`] is data, from an exercise's YAML: *find* something by what the kernel shows of it, and
//! *expect* something of what was found. [`examine`] reads /proc, the cgroup file systems, mounts and
//! links, and gives a [`Verdict`]: passed, not yet, or cannot tell here, always with evidence: what
//! was expected, what was found, where it was read, what that means.
//!
//! So it does not matter how somebody got there (`unshare`, `skiff`, `docker`, `podman`), and printing
//! the right words gets nobody anywhere. To add an assertion: a file in `look/`, a variant in
//! [`model::Assertion`], a line in `look::look`.

mod examine;
mod find;
mod look;
mod machine;
mod scalar;
mod suits;
pub mod record;
pub mod witness;
mod way;
pub mod model;
mod verdict;

pub use examine::examine;
pub use machine::{Scene, own_namespaces};
pub use model::Check;
pub use suits::problems;
pub use verdict::{Evidence, Outcome, Verdict};
