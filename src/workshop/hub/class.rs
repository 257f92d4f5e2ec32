//! The class: what learners' events and the instructor's acts fold to.
//!
//! Pure: no clock, no socket, no database. The hub folds what was kept when it starts, and each new one
//! after it was written down; so a hub that was killed knows afterwards what it knew before.

use super::keep::Kept;
use super::learner::Learner;
use crate::course::quiz::{Kind, Question};
use crate::learn::answer;
use crate::workshop::event::{Event, Fact};
use crate::workshop::inbox::{Ask, Closed, Inbox, Message, Timer};
use crate::workshop::program::Program;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Messages that a learner gets at most.
const MESSAGES: usize = 10;

/// What the instructor does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// The clock of the plan starts, from zero.
    Begin,
    /// A message to all.
    Message {
        /// Its words.
        text: String,
    },
    /// The big timer.
    Timer {
        /// How long, from now; 0 takes it away.
        minutes: u32,
        /// What for.
        #[serde(default)]
        label: String,
    },
    /// A question to all: one of the course's, or the instructor's own.
    Ask {
        /// The course's, by its id.
        #[serde(default)]
        question: Option<String>,
        /// The instructor's own words.
        #[serde(default)]
        text: String,
        /// Its choices; none where something is typed.
        #[serde(default)]
        choices: Vec<String>,
    },
    /// Nobody can answer any more, and all hear what was right.
    Close,
    /// A gate is opened.
    Open {
        /// The chapter's short name.
        chapter: String,
    },
    /// A learner's hand is taken down: help has come.
    Lower {
        /// The learner's id.
        learner: String,
    },
    /// A learner is taken out of the class.
    Remove {
        /// The learner's id.
        learner: String,
    },
}

/// A question that was asked of all.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Its number.
    pub id: u64,
    /// The course's question, where it is one.
    pub question: Option<usize>,
    /// Its words.
    pub text: String,
    /// Its choices.
    pub choices: Vec<String>,
    /// When it was closed.
    pub closed: Option<i64>,
    /// By learner: the event's number, choices taken, text typed.
    pub replies: BTreeMap<usize, (u64, Vec<usize>, String)>,
}

/// The whole class.
#[derive(Debug, Default)]
pub struct Class {
    /// Learners in the order that they joined.
    pub learners: Vec<Learner>,
    /// When the plan's clock was started.
    pub began: Option<i64>,
    /// All messages.
    pub messages: Vec<Message>,
    /// The timer that runs.
    pub timer: Option<Timer>,
    /// Questions to all, the open one last.
    pub polls: Vec<Poll>,
    /// The number of the last act.
    pub acts: u64,
    /// Learners whose row has changed since it was drawn.
    pub changed: BTreeSet<usize>,
    by_id: HashMap<String, usize>,
    nicks: HashSet<String>,
    opened: BTreeSet<String>,
    lowered: HashMap<usize, i64>,
}

impl Class {
    /// The class that was kept. Acts speak of learners, and replies of questions that an act asked.
    pub fn of(kept: Kept, program: &Program) -> Self {
        let mut class = Self::default();
        for (id, nick, joined, browser) in kept.learners {
            class.join(id, nick, joined, browser);
        }
        for (id, at, act) in kept.acts {
            // Its number is taken, though this version may not know it.
            class.acts = class.acts.max(id);
            if let Ok(act) = serde_json::from_str(&act) {
                class.act(id, at, act, program);
            }
        }
        for (id, event, received) in kept.events {
            if let Some(at) = class.find(&id) {
                class.event(at, &event, received, program);
            }
        }
        class
    }

    /// Index of a learner.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Takes a nick that nobody has: the one wished for, or with a number behind it.
    pub fn take_nick(&mut self, wished: &str) -> String {
        let is_free = |nick: &String| !self.nicks.contains(&nick.to_lowercase());
        let numbered = (2..).map(|n| format!("{wished} {n}"));
        let nick = std::iter::once(wished.to_owned()).chain(numbered).find(is_free).unwrap_or_default();
        self.nicks.insert(nick.to_lowercase());
        nick
    }

    /// Gives a nick back that could not be written down.
    pub fn free_nick(&mut self, nick: &str) {
        self.nicks.remove(&nick.to_lowercase());
    }

    /// Takes a learner in. Whoever is in already, by another connection of theirs, stays who they are.
    pub fn join(&mut self, id: String, nick: String, joined: i64, browser: bool) -> usize {
        if let Some(at) = self.find(&id) {
            return at;
        }
        let at = self.learners.len();
        self.nicks.insert(nick.to_lowercase());
        self.by_id.insert(id.clone(), at);
        self.learners.push(Learner::new(id, nick, joined, browser));
        self.changed.insert(at);
        at
    }

    /// Folds a learner's event in.
    pub fn event(&mut self, at: usize, event: &Event, received: i64, program: &Program) {
        let Some(learner) = self.learners.get_mut(at) else { return };
        if let (Fact::Reply { ask, taken, text }, false) = (&event.fact, learner.has(event.seq)) {
            let open = |poll: &&mut Poll| poll.id == *ask && poll.closed.is_none_or(|closed| received <= closed);
            if let Some(poll) = self.polls.iter_mut().rev().find(open) {
                let reply = (event.seq, taken.iter().copied().filter(|i| *i < poll.choices.len()).collect(), text.clone());
                let kept = poll.replies.entry(at).or_insert_with(|| reply.clone());
                if kept.0 < reply.0 {
                    *kept = reply;
                }
            }
        }
        learner.fold(event, received, program);
        if learner.hand.as_ref().is_some_and(|(_, up)| self.lowered.get(&at).is_some_and(|lowered| up <= lowered)) {
            learner.hand = None;
        }
        self.changed.insert(at);
    }

    /// Folds an act of the instructor's in.
    pub fn act(&mut self, id: u64, at: i64, act: Act, program: &Program) {
        self.acts = self.acts.max(id);
        match act {
            Act::Begin => self.began = Some(at),
            Act::Message { text } => self.messages.push(Message { id, at, text }),
            Act::Timer { minutes: 0, .. } => self.timer = None,
            Act::Timer { minutes, label } => self.timer = Some(Timer { label, ends: at + i64::from(minutes) * 60_000 }),
            Act::Ask { question, text, choices } => self.ask(id, at, question, (text, choices), program),
            Act::Close => self.close(at),
            Act::Open { chapter } => drop(self.opened.insert(chapter)),
            Act::Lower { learner } => {
                if let Some(index) = self.find(&learner) {
                    self.lowered.insert(index, at);
                    self.learners[index].hand = None;
                    self.changed.insert(index);
                }
            }
            Act::Remove { learner } => {
                if let Some(index) = self.find(&learner) {
                    self.learners[index].removed = true;
                    self.changed.insert(index);
                }
            }
        }
    }

    fn ask(&mut self, id: u64, at: i64, question: Option<String>, own: (String, Vec<String>), program: &Program) {
        self.close(at);
        let question = question.and_then(|id| program.question(&id));
        let (text, choices) = match question {
            Some(index) => {
                let asked = &program.questions[index].question;
                (asked.ask.trim().to_owned(), asked.choices.iter().map(|c| c.text.trim().to_owned()).collect())
            }
            None => own,
        };
        self.polls.push(Poll { id, question, text, choices, closed: None, replies: BTreeMap::new() });
    }

    fn close(&mut self, at: i64) {
        if let Some(poll) = self.polls.last_mut() {
            poll.closed.get_or_insert(at);
        }
    }

    /// The open question.
    pub fn open_poll(&self) -> Option<&Poll> {
        self.polls.last().filter(|p| p.closed.is_none())
    }

    /// The first chapter whose gate is shut.
    pub fn gate<'p>(&self, program: &'p Program) -> Option<&'p str> {
        program.chapters.iter().find(|c| c.gate && !self.opened.contains(&c.slug)).map(|c| c.slug.as_str())
    }

    /// What a learner is told.
    pub fn inbox(&self, at: usize, now: i64, program: &Program) -> Inbox {
        let learner = self.learners.get(at);
        let ask = self.open_poll().map(|poll| Ask {
            id: poll.id,
            several: poll.question.is_some_and(|q| program.questions[q].question.kind == Kind::Several),
            text: poll.text.clone(),
            choices: poll.choices.clone(),
            replied: poll.replies.contains_key(&at),
        });
        let closed = self.polls.last().filter(|p| p.closed.is_some());
        Inbox {
            title: program.title.clone(),
            nick: learner.map(|l| l.nick.clone()).unwrap_or_default(),
            now,
            messages: self.messages[self.messages.len().saturating_sub(MESSAGES)..].to_vec(),
            timer: self.timer.clone(),
            ask,
            answer: closed.and_then(|poll| poll.told(at, program)),
            gate: self.gate(program).map(str::to_owned),
            hand: learner.is_some_and(|l| l.hand.is_some()),
        }
    }
}

impl Poll {
    /// Was this reply right? None where nothing is.
    pub fn is_right(&self, reply: &(u64, Vec<usize>, String), program: &Program) -> Option<bool> {
        let question = &program.questions.get(self.question?)?.question;
        Some(if question.choices.is_empty() {
            let right = texts(question);
            answer::typed(question, &reply.2, &right.iter().map(String::as_str).collect::<Vec<_>>()).right
        } else {
            answer::choices(question, &reply.1, None).right
        })
    }

    /// What is said when it is closed.
    fn told(&self, at: usize, program: &Program) -> Option<Closed> {
        let question = &program.questions.get(self.question?)?.question;
        let mut right: Vec<String> = question.choices.iter().filter(|c| c.right).map(|c| format!("{}: {}", c.text.trim(), c.because.trim())).collect();
        if question.choices.is_empty() {
            right.extend(texts(question).first().cloned());
            right.extend(question.because.clone());
        }
        Some(Closed { id: self.id, right, own: self.replies.get(&at).and_then(|reply| self.is_right(reply, program)) })
    }

    /// How often each answer was given: its words, how many, and whether it is right.
    pub fn spread(&self, program: &Program) -> Vec<(String, usize, Option<bool>)> {
        let question = self.question.and_then(|q| program.questions.get(q)).map(|a| &a.question);
        if !self.choices.is_empty() {
            let count = |i: usize| self.replies.values().filter(|r| r.1.contains(&i)).count();
            let right = |i: usize| question.map(|q| q.choices.get(i).is_some_and(|c| c.right));
            return self.choices.iter().enumerate().map(|(i, text)| (text.clone(), count(i), right(i))).collect();
        }
        let mut counts: BTreeMap<String, (usize, Option<bool>)> = BTreeMap::new();
        for reply in self.replies.values() {
            let entry = counts.entry(reply.2.to_lowercase()).or_insert_with(|| (0, self.is_right(reply, program)));
            entry.0 += 1;
        }
        let mut all: Vec<_> = counts.into_iter().map(|(text, (count, right))| (text, count, right)).collect();
        all.sort_by_key(|(text, count, _)| (std::cmp::Reverse(*count), text.clone()));
        all.truncate(12);
        all
    }
}

fn texts(question: &Question) -> Vec<String> {
    question.answer.iter().flat_map(|a| a.all()).map(str::to_owned).collect()
}
