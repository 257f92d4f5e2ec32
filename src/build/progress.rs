//! What a build tells of its way, as values.

use std::time::Duration;

/// Something that happened. Steps are numbered in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step begins.
    Started {
        /// Its number, from 1.
        step: usize,
        /// `[build 2/4] RUN make`.
        name: String,
    },
    /// A command wrote something.
    Output {
        /// The step.
        step: usize,
        /// When, since the step began.
        after: Duration,
        /// What; lines, or pieces of one.
        bytes: Vec<u8>,
    },
    /// Something was done.
    Note {
        /// The step.
        step: usize,
        /// A line.
        text: String,
    },
    /// Its result was there.
    Cached {
        /// The step.
        step: usize,
    },
    /// It is done.
    Done {
        /// The step.
        step: usize,
        /// How long it took.
        took: Duration,
    },
    /// It failed.
    Failed {
        /// The step.
        step: usize,
        /// Why.
        problem: String,
    },
    /// Something that is likely a mistake.
    Warning {
        /// What.
        text: String,
    },
}
