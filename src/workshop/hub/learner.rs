//! One learner as the hub sees them: what their events fold to, whatever order they come in.
//!
//! What was passed stays passed; of everything else the event with the highest number counts.

use crate::workshop::event::{Event, Fact, Stand};
use crate::workshop::program::Program;
use std::collections::{BTreeMap, BTreeSet};

/// A learner.
#[derive(Debug, Clone, Default)]
pub struct Learner {
    /// Their id.
    pub id: String,
    /// Their name in the class.
    pub nick: String,
    /// When they joined, by the hub's clock, in ms as all times here.
    pub joined: i64,
    /// They have a browser alone.
    pub browser: bool,
    /// They left.
    pub left: bool,
    /// The instructor took them out.
    pub removed: bool,
    /// When something came from them last.
    pub seen: i64,
    /// Where they are: chapter and part.
    pub place: Option<(usize, usize)>,
    /// What they are at, and since when.
    pub doing: Option<(Doing, i64)>,
    /// Why the last check said "not yet".
    pub reason: Option<Reason>,
    /// What they did of each exercise.
    pub work: BTreeMap<usize, Work>,
    /// How they answered each question.
    pub answers: BTreeMap<usize, Answer>,
    /// What they want help for, and since when.
    pub hand: Option<(String, i64)>,
    /// Numbers that were folded: all up to here, and some above.
    upto: u64,
    above: BTreeSet<u64>,
    latest: Latest,
}

/// The number of the event that each of these comes from.
#[derive(Debug, Clone, Copy, Default)]
struct Latest {
    place: u64,
    doing: u64,
    reason: u64,
    hand: u64,
    left: u64,
}

/// What a learner is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// A part of a chapter.
    Reading(usize, usize),
    /// An exercise.
    Exercise(usize),
}

/// Why not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The exercise.
    pub exercise: usize,
    /// The check in it.
    pub check: String,
    /// What it means.
    pub text: String,
}

/// What was done of an exercise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// When it was begun first.
    pub begun: Option<i64>,
    /// When it was passed first.
    pub passed: Option<i64>,
    /// The last check's answer, and its number.
    pub stand: Option<(u64, Stand)>,
    /// How often it was checked.
    pub checks: u32,
    /// How many hints were seen.
    pub hints: usize,
}

/// How a question was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Times.
    pub tries: u32,
    /// The last one was right.
    pub right: bool,
    /// The first one was right.
    pub first: bool,
}

impl Learner {
    /// Somebody who has just joined.
    pub fn new(id: String, nick: String, joined: i64, browser: bool) -> Self {
        Self { id, nick, joined, browser, seen: joined, ..Self::default() }
    }

    /// True where an event of this number was folded already.
    pub fn has(&self, seq: u64) -> bool {
        seq <= self.upto || self.above.contains(&seq)
    }

    fn note(&mut self, seq: u64) {
        self.above.insert(seq);
        while self.above.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
    }

    /// Folds one event in; what comes again changes nothing.
    pub fn fold(&mut self, event: &Event, received: i64, program: &Program) {
        if self.has(event.seq) {
            return;
        }
        self.note(event.seq);
        self.seen = self.seen.max(received);
        let (seq, at) = (event.seq, event.at);
        match &event.fact {
            Fact::At { chapter, part } => {
                let Some(chapter) = program.chapter(chapter) else { return };
                if seq > self.latest.place {
                    (self.latest.place, self.place) = (seq, Some((chapter, *part)));
                }
                self.is_at(seq, Doing::Reading(chapter, *part), at);
            }
            Fact::Hand { up, about } if seq > self.latest.hand => (self.latest.hand, self.hand) = (seq, up.then(|| (about.clone(), received))),
            Fact::Left => self.latest.left = self.latest.left.max(seq),
            Fact::Answered { question, right, tries } => self.answered(program.question(question), *right, *tries),
            Fact::Begun { exercise } | Fact::Verdict { exercise, .. } | Fact::Passed { exercise } | Fact::Hints { exercise, .. } => {
                if let Some(exercise) = program.exercise(exercise) {
                    self.worked(exercise, event);
                }
            }
            Fact::Hand { .. } | Fact::Reply { .. } => {}
        }
        // Whoever says something after leaving has come back.
        self.left = self.latest.left > 0 && self.latest.left == self.upto.max(self.above.last().copied().unwrap_or(0));
    }

    fn is_at(&mut self, seq: u64, doing: Doing, at: i64) {
        if seq <= self.latest.doing {
            return;
        }
        self.latest.doing = seq;
        if self.doing.is_none_or(|(before, _)| before != doing) {
            self.doing = Some((doing, at));
        }
    }

    fn worked(&mut self, exercise: usize, event: &Event) {
        let (seq, at) = (event.seq, event.at);
        let work = self.work.entry(exercise).or_default();
        let earliest = |kept: Option<i64>| Some(kept.map_or(at, |k| k.min(at)));
        match &event.fact {
            Fact::Begun { .. } => work.begun = earliest(work.begun),
            Fact::Hints { seen, .. } => work.hints = work.hints.max(*seen),
            Fact::Passed { .. } => work.passed = earliest(work.passed),
            Fact::Verdict { stand, check, reason, .. } => {
                work.checks += 1;
                if *stand == Stand::Passed {
                    work.passed = earliest(work.passed);
                }
                if work.stand.is_none_or(|(before, _)| before < seq) {
                    work.stand = Some((seq, *stand));
                }
                if seq > self.latest.reason {
                    self.latest.reason = seq;
                    self.reason = (*stand != Stand::Passed).then(|| Reason { exercise, check: check.clone(), text: reason.clone() });
                }
            }
            _ => return,
        }
        if matches!(event.fact, Fact::Begun { .. } | Fact::Verdict { .. }) {
            self.is_at(seq, Doing::Exercise(exercise), at);
        }
    }

    fn answered(&mut self, question: Option<usize>, right: bool, tries: u32) {
        let Some(question) = question else { return };
        let answer = self.answers.entry(question).or_default();
        answer.first |= right && tries <= 1;
        if tries >= answer.tries {
            (answer.tries, answer.right) = (tries, right);
        }
    }

    /// One sign for each exercise: `+` passed, `x` not yet, `?` cannot tell, `>` begun, `.` untouched.
    pub fn sign(&self, exercise: usize) -> char {
        match self.work.get(&exercise) {
            Some(Work { passed: Some(_), .. }) => '+',
            Some(Work { stand: Some((_, Stand::CannotTell)), .. }) => '?',
            Some(Work { stand: Some(_), .. }) => 'x',
            Some(Work { begun: Some(_), .. }) => '>',
            _ => '.',
        }
    }

    /// Minutes of the plan that lie behind them.
    pub fn position(&self, program: &Program) -> f64 {
        let Some((chapter, part)) = self.place else { return 0.0 };
        let Some(stage) = program.chapters.get(chapter) else { return 0.0 };
        let share = (part as f64 / stage.parts.max(1) as f64).min(1.0);
        f64::from(stage.before) + f64::from(stage.minutes) * share
    }

    /// Why they are stuck: the last "not yet" of the exercise that they are at.
    pub fn stuck(&self) -> Option<&Reason> {
        let reason = self.reason.as_ref()?;
        let at = self.doing.is_some_and(|(doing, _)| doing == Doing::Exercise(reason.exercise));
        (at && self.sign(reason.exercise) != '+').then_some(reason)
    }
}
