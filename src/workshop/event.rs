//! What a learner's machine tells the hub: each kind of fact, and nothing beside these.
//!
//! Events carry a number of their own machine's, from 1, without gaps. Whatever arrives twice or in another
//! order is known by (learner, number), so that sending again is always safe. Texts are bounded here, at
//! both ends: the hub believes nobody.

use serde::{Deserialize, Serialize};

/// The longest text that is taken, in characters.
pub const TEXT: usize = 300;
/// The longest nick, in characters.
pub const NICK: usize = 32;

/// One fact with its number and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number on the learner's machine, from 1.
    pub seq: u64,
    /// Milliseconds since 1970 by the learner's clock.
    pub at: i64,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fact {
    /// The learner is at this part of a chapter.
    At {
        /// The chapter's short name.
        chapter: String,
        /// Index of the part; 0 is the opening.
        part: usize,
    },
    /// An exercise was begun, or begun anew.
    Begun {
        /// `chapter/exercise`.
        exercise: String,
    },
    /// A check was asked for.
    Verdict {
        /// `chapter/exercise`.
        exercise: String,
        /// How it stands.
        stand: Stand,
        /// The check that stands in the way, by its id; empty where none does.
        #[serde(default)]
        check: String,
        /// What that means, with names of drawn values instead of the values.
        #[serde(default)]
        reason: String,
    },
    /// An exercise was passed.
    Passed {
        /// `chapter/exercise`.
        exercise: String,
    },
    /// Hints of an exercise were seen.
    Hints {
        /// `chapter/exercise`.
        exercise: String,
        /// How many so far.
        seen: usize,
    },
    /// A question was answered.
    Answered {
        /// Its id.
        question: String,
        /// The last answer was right.
        right: bool,
        /// Times asked so far.
        tries: u32,
    },
    /// The instructor's question was answered.
    Reply {
        /// The number that the hub gave to it.
        ask: u64,
        /// The choices taken.
        #[serde(default)]
        taken: Vec<usize>,
        /// What was typed.
        #[serde(default)]
        text: String,
    },
    /// Help is wanted, or no more.
    Hand {
        /// It is up.
        up: bool,
        /// What about, if it was said.
        #[serde(default)]
        about: String,
    },
    /// The learner has left the class.
    Left,
}

/// How an exercise stands after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// It is done.
    Passed,
    /// It is not.
    NotYet,
    /// It cannot be seen there.
    CannotTell,
}

impl Fact {
    /// The same with every text within bounds and on one line.
    pub fn bounded(self) -> Self {
        let line = |text: String| one_line(&text, TEXT);
        match self {
            Self::At { chapter, part } => Self::At { chapter: line(chapter), part: part.min(1000) },
            Self::Begun { exercise } => Self::Begun { exercise: line(exercise) },
            Self::Verdict { exercise, stand, check, reason } => Self::Verdict { exercise: line(exercise), stand, check: line(check), reason: line(reason) },
            Self::Passed { exercise } => Self::Passed { exercise: line(exercise) },
            Self::Hints { exercise, seen } => Self::Hints { exercise: line(exercise), seen: seen.min(100) },
            Self::Answered { question, right, tries } => Self::Answered { question: line(question), right, tries: tries.min(1 << 20) },
            Self::Reply { ask, taken, text } => Self::Reply { ask, taken: taken.into_iter().take(26).collect(), text: line(text) },
            Self::Hand { up, about } => Self::Hand { up, about: line(about) },
            Self::Left => Self::Left,
        }
    }
}

/// Text on one line, without what acts on a terminal or turns letters round, no longer than `most`.
pub fn one_line(text: &str, most: usize) -> String {
    let acts = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let clean: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !acts(*c)).take(most).collect();
    clean.trim().to_owned()
}

/// Milliseconds since 1970 by this machine's clock.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
