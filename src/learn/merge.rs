//! One learner at two desks: the host and the lab. What was passed at either counts at both.

use super::progress::{InHand, Place, Record};
use std::collections::BTreeMap;

/// Which desk a record comes from, seen from the one that takes it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The host's, when the lab boots: its seed and its place are the learner's.
    Host,
    /// The lab's, while it runs: where the learner is now.
    Lab,
}

/// Takes over what `other` knows. Nothing that was passed, answered or seen is ever lost.
///
/// The exercise in hand belongs to a kernel: ticks since its boot, its namespaces. So it is not
/// carried over; `begin` says which exercise is to be begun here, if another one.
pub fn take_over(own: &mut Record, other: Record, from: From) -> Option<String> {
    for (id, when) in other.passed {
        let kept = own.passed.entry(id).or_insert(when);
        *kept = (*kept).min(when);
    }
    most(&mut own.hints, other.hints);
    for (id, answered) in other.answers {
        let kept = own.answers.entry(id).or_default();
        // The later one is the one with more tries.
        if answered.tries >= kept.tries {
            *kept = answered;
        }
    }
    let begin = match from {
        From::Host => {
            own.seed = other.seed;
            other.exercise.map(|e: InHand| e.id).filter(|id| own.exercise.as_ref().is_none_or(|e| e.id != *id))
        }
        From::Lab => None,
    };
    own.place = other.place.or(own.place.take() as Option<Place>);
    begin
}

fn most(own: &mut BTreeMap<String, usize>, other: BTreeMap<String, usize>) {
    for (id, count) in other {
        let kept = own.entry(id).or_default();
        *kept = (*kept).max(count);
    }
}
