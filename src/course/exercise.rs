//! An exercise: as it is in its YAML, and as it is for one learner.

use super::Error;
use super::draws::{Draw, draw_all};
use super::template::Values;
use crate::check::Check;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An exercise as its file has it; texts are still templates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its title.
    pub title: String,
    /// The objective that it shows.
    pub objective: String,
    /// Minutes that it takes.
    pub minutes: u32,
    /// What to reach, not how; Markdown.
    pub goal: String,
    /// What the host must allow.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Values drawn per learner.
    #[serde(default)]
    pub draws: BTreeMap<String, Draw>,
    /// All that it may leave on the host.
    #[serde(default)]
    pub touches: Touches,
    /// What must be so; filled in before it is parsed.
    pub checks: serde_yaml::Value,
    /// From a question to nearly the command.
    pub hints: Vec<String>,
    /// Ways that pass.
    pub solutions: Vec<Attempt>,
    /// Ways that do not.
    pub wrong: Vec<Attempt>,
    /// Shown once it is passed; Markdown.
    pub explain: String,
    /// `lab`: runs in the lab VM unless asked otherwise.
    #[serde(default, rename = "where")]
    pub place: Option<String>,
}

/// What an exercise may leave on the host, and `reset` removes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Touches {
    /// Processes started below the learner's shell, or found by its checks.
    pub processes: bool,
    /// Paths below each hierarchy.
    pub cgroups: Vec<String>,
    /// Names of containers.
    pub containers: Vec<String>,
    /// Names of images.
    pub images: Vec<String>,
    /// Names of volumes. Those without a name go with their containers.
    pub volumes: Vec<String>,
    /// Names of compose projects: their containers, networks and volumes.
    pub projects: Vec<String>,
    /// Files and folders.
    pub files: Vec<String>,
    /// Names of an engine's networks. They go after the containers on them.
    pub networks: Vec<String>,
    /// Network links.
    pub links: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
}

/// Something that can be typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Its name.
    pub name: String,
    /// What it needs of the host beyond the exercise's own needs.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Lines typed into the learner's shell.
    #[serde(rename = "type")]
    pub typed: String,
    /// Lines typed into a second terminal, after the first.
    pub second: Option<String>,
    /// wrong: a part of the meaning that must be shown.
    pub refused: Option<String>,
}

/// An exercise for one learner: everything filled in.
#[derive(Debug, Clone)]
pub struct Exercise {
    /// `chapter/exercise`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The objective that it shows.
    pub objective: String,
    /// Minutes that it takes.
    pub minutes: u32,
    /// What to reach; Markdown.
    pub goal: String,
    /// What the host must allow.
    pub needs: Vec<String>,
    /// All that it may leave.
    pub touches: Touches,
    /// What must be so.
    pub checks: Vec<Check>,
    /// Tiers of hints.
    pub hints: Vec<String>,
    /// Ways that pass.
    pub solutions: Vec<Attempt>,
    /// Ways that do not.
    pub wrong: Vec<Attempt>,
    /// Shown once it is passed.
    pub explain: String,
}

impl Source {
    /// Parses an exercise's file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        serde_yaml::from_str(text).map_err(|e| yaml_error(file, &e))
    }

    /// The draws of a learner with this seed.
    pub fn drawn(&self, id: &str, seed: &str) -> BTreeMap<String, serde_json::Value> {
        draw_all(&self.draws, seed, id)
    }

    /// Fills everything in. `values` holds facts, draws and work folder.
    pub fn fill(&self, id: &str, file: &str, values: &Values) -> Result<Exercise, Error> {
        let text = |t: &str| values.render(t, file, 0);
        let list = |l: &[String]| l.iter().map(|t| text(t)).collect::<Result<Vec<_>, _>>();
        let attempt = |a: &Attempt| -> Result<Attempt, Error> {
            Ok(Attempt {
                name: a.name.clone(),
                needs: a.needs.clone(),
                typed: text(&a.typed)?,
                second: a.second.as_deref().map(text).transpose()?,
                refused: a.refused.as_deref().map(text).transpose()?,
            })
        };
        let attempts = |l: &[Attempt]| l.iter().map(attempt).collect::<Result<Vec<_>, _>>();
        let mut checks = self.checks.clone();
        fill_value(&mut checks, &text)?;
        Ok(Exercise {
            id: id.to_owned(),
            title: text(&self.title)?,
            objective: self.objective.clone(),
            minutes: self.minutes,
            goal: text(&self.goal)?,
            needs: self.needs.clone(),
            touches: Touches {
                processes: self.touches.processes,
                cgroups: list(&self.touches.cgroups)?,
                containers: list(&self.touches.containers)?,
                images: list(&self.touches.images)?,
                volumes: list(&self.touches.volumes)?,
                projects: list(&self.touches.projects)?,
                files: list(&self.touches.files)?,
                networks: list(&self.touches.networks)?,
                links: list(&self.touches.links)?,
                mounts: list(&self.touches.mounts)?,
            },
            checks: serde_yaml::from_value(checks).map_err(|e| Error::File { file: file.to_owned(), line: 0, problem: format!("checks: {e}") })?,
            hints: list(&self.hints)?,
            solutions: attempts(&self.solutions)?,
            wrong: attempts(&self.wrong)?,
            explain: text(&self.explain)?,
        })
    }
}

/// Fills in every text of a YAML value.
fn fill_value(value: &mut serde_yaml::Value, text: &impl Fn(&str) -> Result<String, Error>) -> Result<(), Error> {
    match value {
        serde_yaml::Value::String(s) => *s = text(s)?,
        serde_yaml::Value::Sequence(list) => list.iter_mut().try_for_each(|v| fill_value(v, text))?,
        serde_yaml::Value::Mapping(map) => map.values_mut().try_for_each(|v| fill_value(v, text))?,
        _ => {}
    }
    Ok(())
}

/// A YAML error with its line.
pub(super) fn yaml_error(file: &str, error: &serde_yaml::Error) -> Error {
    Error::File { file: file.to_owned(), line: error.location().map_or(0, |l| l.line()), problem: error.to_string() }
}
