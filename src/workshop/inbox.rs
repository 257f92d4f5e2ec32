//! What the hub tells a learner: messages, the timer, the question that is asked of all, how far the class is.

use serde::{Deserialize, Serialize};

/// The hub's answer to whatever a learner sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inbox {
    /// The title of the workshop.
    pub title: String,
    /// The name that the learner has in the class.
    pub nick: String,
    /// Milliseconds since 1970 by the hub's clock.
    pub now: i64,
    /// The last messages to all, oldest first.
    pub messages: Vec<Message>,
    /// The big timer, if it runs.
    pub timer: Option<Timer>,
    /// The question that is open.
    pub ask: Option<Ask>,
    /// The question that was closed last.
    pub answer: Option<Closed>,
    /// The first chapter that the class waits before.
    pub gate: Option<String>,
    /// The learner's hand is up.
    pub hand: bool,
}

/// A message to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// When, by the hub's clock.
    pub at: i64,
    /// Its words.
    pub text: String,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// What it is for.
    pub label: String,
    /// When it ends, by the hub's clock.
    pub ends: i64,
}

/// A question to all. What is right stays with the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its number.
    pub id: u64,
    /// Several choices may be taken.
    pub several: bool,
    /// The question, Markdown.
    pub text: String,
    /// Choices; none where something is typed.
    pub choices: Vec<String>,
    /// The learner has answered it.
    pub replied: bool,
}

/// What was right, once nobody can answer any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The number of the question.
    pub id: u64,
    /// What was right, and why.
    pub right: Vec<String>,
    /// The learner's own answer was right; none if there was none.
    pub own: Option<bool>,
}
