//! Values drawn for one learner: names, limits, ports that nobody can copy from a neighbour.
//!
//! A draw depends on the learner's seed, the exercise and the value's name, and on nothing else: the
//! same learner always gets the same values. Two words of one exercise are never the same: a check
//! that finds the one where the other should be would be wrong for that learner alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How a value is drawn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Draw {
    /// `word`: an invented name of two words.
    Word(Word),
    /// One of these.
    From(From),
    /// A whole number between two, both included.
    Range(Range),
}

/// The word `word`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// An invented name of two words.
    Word,
}

/// `{ from: [...] }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// The choices.
    pub from: Vec<serde_json::Value>,
}

/// `{ range: [low, high] }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Lowest and highest.
    pub range: (u64, u64),
}

const COLOURS: [&str; 24] = [
    "amber", "azure", "bronze", "cobalt", "copper", "coral", "crimson", "ebony", "golden", "indigo", "ivory", "jade", "lemon", "maroon",
    "ochre", "olive", "pearl", "ruby", "russet", "scarlet", "silver", "teal", "umber", "violet",
];

const ANIMALS: [&str; 24] = [
    "badger", "bison", "crane", "curlew", "dolphin", "eider", "falcon", "gannet", "heron", "ibex", "kestrel", "lynx", "marten", "newt",
    "osprey", "otter", "petrel", "plover", "puffin", "seal", "stoat", "tern", "walrus", "wren",
];

/// What an exercise draws for this learner, by name. Its words are all different.
pub fn draw_all(draws: &BTreeMap<String, Draw>, seed: &str, exercise: &str) -> BTreeMap<String, serde_json::Value> {
    let mut drawn = BTreeMap::new();
    for (name, draw) in draws {
        let mut value = draw.draw(seed, exercise, name);
        // There are 576 words; an exercise has a handful.
        for again in 1.. {
            if !matches!(draw, Draw::Word(_)) || drawn.values().all(|taken| *taken != value) {
                break;
            }
            value = draw.draw(seed, exercise, &format!("{name}\n{again}"));
        }
        drawn.insert(name.clone(), value);
    }
    drawn
}

impl Draw {
    /// The value for this learner.
    fn draw(&self, seed: &str, exercise: &str, name: &str) -> serde_json::Value {
        let hash = Sha256::digest(format!("{seed}\n{exercise}\n{name}").as_bytes());
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| hash[at + i]));
        let pick = |at: usize, count: usize| (number(at) % count.max(1) as u64) as usize;
        match self {
            Draw::Word(_) => format!("{}-{}", COLOURS[pick(0, COLOURS.len())], ANIMALS[pick(8, ANIMALS.len())]).into(),
            Draw::From(from) => from.from.get(pick(0, from.from.len())).cloned().unwrap_or_default(),
            Draw::Range(Range { range: (low, high) }) => (low + number(0) % (high.saturating_sub(*low) + 1)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_exercise_differ_for_every_learner_and_stay_the_same_for_one() {
        let draws: BTreeMap<String, Draw> = ["name", "text", "secret"].into_iter().map(|name| (name.into(), Draw::Word(Word::Word))).collect();
        for seed in (0..2000).map(|n: u32| n.to_string()) {
            let drawn = draw_all(&draws, &seed, "dockerfile/left-out");
            let different: std::collections::BTreeSet<_> = drawn.values().map(ToString::to_string).collect();
            assert_eq!(different.len(), 3, "seed {seed}: {drawn:?}");
            assert_eq!(drawn, draw_all(&draws, &seed, "dockerfile/left-out"));
        }
    }
}
