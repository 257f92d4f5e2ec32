//! Questions: as they are in quiz.yaml.

use crate::check::model::Text;
use serde::Deserialize;

/// A question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Stable, and unique in the course.
    pub id: String,
    /// The objective that it asks for.
    pub objective: String,
    /// What kind of answer it takes.
    pub kind: Kind,
    /// The question, Markdown.
    pub ask: String,
    /// Answers to choose from.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// The right number, or the texts that are right.
    pub answer: Option<Answer>,
    /// How far off a number may be.
    #[serde(default)]
    pub tolerance: f64,
    /// What is to be put in order, in the right order.
    #[serde(default)]
    pub items: Vec<String>,
    /// predict: what is then run.
    pub run: Option<String>,
    /// live: what reads the right answer.
    pub read: Option<String>,
    /// Why the right answer is right.
    pub because: Option<String>,
    /// Wrong answers that have an explanation of their own.
    #[serde(default)]
    pub wrong: Vec<Wrong>,
}

/// What kind of answer a question takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One choice.
    One,
    /// Several choices.
    Several,
    /// A number.
    Number,
    /// A word or two.
    Text,
    /// An order.
    Order,
    /// A guess; then the command is run.
    Predict,
    /// A fact of this machine.
    Live,
}

/// An answer to choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What it says.
    pub text: String,
    /// predict: what the command's output contains if this is right; the text itself if not given.
    pub output: Option<String>,
    /// Right or wrong.
    #[serde(default)]
    pub right: bool,
    /// Why.
    pub because: String,
}

/// The right answer of a number or text question.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// One.
    One(Text),
    /// Any of these.
    Any(Vec<Text>),
}

impl Answer {
    /// All that are right.
    pub fn all(&self) -> Vec<&str> {
        match self {
            Answer::One(text) => vec![&text.0],
            Answer::Any(texts) => texts.iter().map(|t| t.0.as_str()).collect(),
        }
    }
}

/// A wrong answer with an explanation of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// The answer.
    pub is: Text,
    /// Why it is wrong.
    pub because: String,
}
