//! One step of a stage: looked up by its key, or done; shown, remembered, noted in the history.

use super::cache::{self, Ingredient, LayerNote, Made, Remembered};
use super::dockerfile::{Dockerfile, Fault, Instruction};
use super::solve::Build;
use super::{Error, Event, explain};
use crate::image::layer::Layer;
use crate::image::{self};
use std::collections::BTreeMap;
use std::time::Instant;

/// A stage on its way.
#[derive(Debug, Clone)]
pub struct State {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// What the image will say of itself.
    pub config: super::config::Config,
    /// The ARGs that it has so far; a stage that begins with this one has them too.
    pub args: Vec<(String, String)>,
    /// When its last layer was made, in seconds since the epoch.
    pub created: i64,
}

impl State {
    /// One value for all the layers.
    pub fn parent(&self) -> Ingredient {
        let ids: Vec<String> = self.layers.iter().map(|l| l.diff_id.to_string()).collect();
        ("parent".into(), image::layer::digest(ids.join("\n").as_bytes()).digest().to_owned())
    }
}

/// Where an instruction stands: in which file, in which stage, the how-manieth.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The Dockerfile, or a base image's ONBUILD.
    pub file: &'a Dockerfile,
    /// The instruction.
    pub instruction: &'a Instruction,
    /// Its stage.
    pub stage: usize,
    /// Its number among the stage's steps, from 1.
    pub number: usize,
}

impl At<'_> {
    /// An error of the instruction.
    pub fn wrong(&self, problem: impl Into<String>) -> Error {
        self.fault(Fault::at(self.instruction.line.whole_span(), problem))
    }

    /// An error of one of its words.
    pub fn wrong_word(&self, at: usize, length: usize, problem: impl Into<String>) -> Fault {
        Fault::at(self.instruction.line.span(at, at + length), problem)
    }

    /// `Dockerfile:3:1`, and the line.
    pub fn place(&self) -> String {
        Fault::at(self.instruction.line.whole_span(), String::new()).shown(&self.file.name, &self.file.text).replacen(": \n", "\n", 1)
    }

    /// A fault as an error.
    pub fn fault(&self, fault: Fault) -> Error {
        Error::fault(&fault, &self.file.name, &self.file.text)
    }

    /// A word with its variables replaced.
    pub fn expand(&self, text: &str, variables: &Variables) -> Result<String, Error> {
        super::expand::word(text, self.file.escape, &|name| variables.get(name)).map_err(|problem| self.wrong(problem))
    }
}

/// What names stand for at one place of a stage.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// ENV, which goes before ARG.
    pub env: Vec<(String, String)>,
    /// ARG, in the order of their declaration.
    pub args: Vec<(String, String)>,
}

impl Variables {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<String> {
        let find = |list: &[(String, String)]| list.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        find(&self.env).or_else(|| find(&self.args))
    }

    /// The ARGs that no ENV hides.
    pub fn visible_args(&self) -> BTreeMap<String, String> {
        self.args.iter().filter(|(n, _)| !self.env.iter().any(|(e, _)| e == n)).cloned().collect()
    }
}

/// A step that is shown.
pub struct Shown<'a> {
    build: &'a Build<'a>,
    /// Its number.
    pub step: usize,
    /// Since when.
    pub began: Instant,
}

impl Shown<'_> {
    /// Tells something.
    pub fn note(&self, text: impl Into<String>) {
        self.build.tell(Event::Note { step: self.step, text: text.into() });
    }

    /// Passes on what a command wrote.
    pub fn output(&self, bytes: &[u8]) {
        self.build.tell(Event::Output { step: self.step, after: self.began.elapsed(), bytes: bytes.to_vec() });
    }

    /// It is done.
    pub fn done(&self) {
        self.build.tell(Event::Done { step: self.step, took: self.began.elapsed() });
    }

    fn cached(&self) {
        self.build.tell(Event::Cached { step: self.step });
    }

    /// It failed.
    pub fn failed(&self, error: &Error) {
        let problem = match error {
            Error::Interrupted | Error::Elsewhere => "context canceled".to_owned(),
            Error::Run { command, code, .. } => format!("process {command:?} did not complete successfully: exit code: {code}"),
            other => other.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        self.build.tell(Event::Failed { step: self.step, problem });
    }
}

/// A step before it is known whether it must be done.
pub struct Wanted {
    /// As it is shown behind its number.
    pub shown: String,
    /// What its key is made of.
    pub ingredients: Vec<Ingredient>,
    /// For the history.
    pub by: String,
}

impl<'a> Build<'a> {
    /// Begins to show a step.
    pub fn show(&'a self, name: String) -> Shown<'a> {
        let step = self.number();
        self.tell(Event::Started { step, name });
        Shown { build: self, step, began: Instant::now() }
    }

    /// Takes a step from the cache, or does it: the state has its layer afterwards.
    pub fn step(&'a self, at: At<'_>, state: &mut State, mut wanted: Wanted, make: impl FnOnce(&Shown<'_>) -> Result<Option<Layer>, Error>) -> Result<(), Error> {
        self.halt.check()?;
        if let Some(epoch) = self.options.epoch {
            wanted.ingredients.push(("SOURCE_DATE_EPOCH".into(), epoch.to_string()));
        }
        let name = format!("{} {}", self.prefix(at.stage, at.number), wanted.shown);
        let now = Remembered { instruction: wanted.shown.clone(), key: cache::key(&wanted.ingredients), ingredients: wanted.ingredients };
        let place = format!("{} {}", self.stages.stages[at.stage].shown(), at.number);
        let shown = self.show(name);
        let found = self.cache.find(&self.store, &now.key);
        let made = match found {
            Ok(made) if !self.options.no_cache => {
                if self.options.explain {
                    shown.note(format!("cached: {}", explain::taken(&now, made.created)));
                }
                self.remember(place, now);
                shown.cached();
                made
            }
            found => {
                if self.options.explain {
                    let why = found.err().unwrap_or(cache::NotFound::Never);
                    let before = explain::before(&self.record, &place, &now);
                    explain::missed(before, &now, why, self.options.no_cache).iter().for_each(|r| shown.note(format!("not cached: {r}")));
                }
                let layer = make(&shown).inspect_err(|error| shown.failed(error))?;
                let made = Made { layer: layer.as_ref().map(LayerNote::of), created: self.now(), instruction: wanted.shown };
                self.cache.note(&now.key, &made)?;
                self.remember(place, now);
                shown.done();
                made
            }
        };
        let layer = made.layer.as_ref().and_then(LayerNote::layer);
        if layer.is_some() {
            state.created = made.created;
        }
        state.config.note(state.created, &wanted.by, layer.is_some());
        state.layers.extend(layer);
        Ok(())
    }
}
