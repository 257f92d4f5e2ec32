//! Capability sets: read, drop, set (capabilities(7)).

use serde::{Deserialize, Serialize};

/// The five capability sets of a thread, each a bit mask (bit N is capability N).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets {
    /// What the kernel checks.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What survives exec where the file agrees.
    pub inheritable: u64,
    /// What can ever be gained.
    pub bounding: u64,
    /// What survives exec of an ordinary file for a user other than root.
    pub ambient: u64,
}
