//! Loading: the order of the chapters, and each chapter's files when they are wanted.

use super::content::Content;
use super::error::{Error, nearest};
use super::exercise::{self, Exercise, yaml_error};
use super::lesson::{Lesson, PartKind};
use super::quiz::Question;
use super::template::{Facts, Values};
use serde::Deserialize;

/// The course: its order. Chapters are read when they are asked for, so that a check of one
/// exercise reads one file.
#[derive(Debug, Clone)]
pub struct Course {
    /// Where the files are.
    pub content: Content,
    /// Its title.
    pub title: String,
    /// Folders of the chapters, such as `03-namespaces`, in order.
    pub folders: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    title: String,
    chapters: Vec<String>,
}

/// One chapter, read.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// Its folder, such as `03-namespaces`.
    pub folder: String,
    /// Its lesson.
    pub lesson: Lesson,
    /// Slugs of its exercises, in the lesson's order.
    pub exercises: Vec<String>,
    /// Its quiz.
    pub quiz: Vec<Question>,
}

impl Chapter {
    /// Its short name, such as `namespaces`.
    pub fn slug(&self) -> &str {
        slug(&self.folder)
    }
}

/// `namespaces` of `03-namespaces`.
pub fn slug(folder: &str) -> &str {
    folder.split_once('-').filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit())).map_or(folder, |(_, slug)| slug)
}

impl Course {
    /// Reads lessons/course.yaml.
    pub fn load(content: Content) -> Result<Self, Error> {
        let file = "lessons/course.yaml";
        let order: Order = serde_yaml::from_str(&content.read(file)?).map_err(|e| yaml_error(file, &e))?;
        Ok(Self { content, title: order.title, folders: order.chapters })
    }

    /// The folder of a chapter, by folder, slug, or number.
    pub fn folder(&self, name: &str) -> Result<&str, Error> {
        let number = name.parse::<u32>().ok();
        let found = self.folders.iter().find(|f| {
            f.as_str() == name || slug(f) == name || number.is_some() && f.split('-').next().and_then(|n| n.parse().ok()) == number
        });
        found.map(String::as_str).ok_or_else(|| {
            let near = nearest(name, self.folders.iter().map(|f| slug(f)));
            Error::Unknown { kind: "chapter", name: name.to_owned(), near, all: self.folders.clone() }
        })
    }

    /// Reads a chapter.
    pub fn chapter(&self, name: &str) -> Result<Chapter, Error> {
        let folder = self.folder(name)?.to_owned();
        let lesson = self.lesson(&folder)?;
        let file = format!("lessons/{folder}/quiz.yaml");
        let quiz = serde_yaml::from_str(&self.content.read(&file)?).map_err(|e| yaml_error(&file, &e))?;
        let exercises = lesson.parts.iter().filter_map(|p| if let PartKind::Exercise(slug) = &p.kind { Some(slug.clone()) } else { None });
        Ok(Chapter { exercises: exercises.collect(), lesson, quiz, folder })
    }

    /// Reads a chapter's lesson alone.
    pub fn lesson(&self, folder: &str) -> Result<Lesson, Error> {
        let file = format!("lessons/{folder}/lesson.md");
        Lesson::parse(&file, &self.content.read(&file)?)
    }

    /// The file of an exercise `chapter/exercise`, by slugs.
    pub fn exercise_file(&self, id: &str) -> Result<String, Error> {
        let unknown = |near| Error::Unknown { kind: "exercise", name: id.to_owned(), near, all: self.exercise_ids() };
        let Some((chapter, exercise)) = id.split_once('/') else {
            let all = self.exercise_ids();
            let same = all.iter().find(|i| i.split('/').nth(1) == Some(id));
            return match same {
                Some(full) => self.exercise_file(full),
                None => Err(unknown(nearest(id, all.iter().filter_map(|i| i.split('/').nth(1))))),
            };
        };
        let folder = self.folder(chapter)?;
        let there = self.content.folders(&format!("exercises/{folder}"));
        if !there.iter().any(|e| e == exercise) {
            let near = nearest(exercise, there.iter().map(String::as_str)).map(|e| format!("{chapter}/{e}"));
            return Err(unknown(near));
        }
        Ok(format!("exercises/{folder}/{exercise}/exercise.yaml"))
    }

    /// `chapter/exercise` of all exercises, in the course's order.
    pub fn exercise_ids(&self) -> Vec<String> {
        let of = |folder: &String| {
            let lesson = self.lesson(folder).ok();
            let parts = lesson.map(|l| l.parts).unwrap_or_default();
            parts.into_iter().filter_map(|p| if let PartKind::Exercise(e) = p.kind { Some(format!("{}/{e}", slug(folder))) } else { None }).collect::<Vec<_>>()
        };
        self.folders.iter().flat_map(of).collect()
    }

    /// An exercise as its file has it, with its full id.
    pub fn exercise_source(&self, id: &str) -> Result<(String, exercise::Source), Error> {
        let file = self.exercise_file(id)?;
        let source = exercise::Source::parse(&file, &self.content.read(&file)?)?;
        let mut parts = file.split('/').skip(1);
        let (folder, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Ok((format!("{}/{name}", slug(folder)), source))
    }

    /// An exercise filled in for a learner with this seed, working in `work`.
    pub fn exercise(&self, id: &str, facts: &Facts, seed: &str, work: &str) -> Result<Exercise, Error> {
        let (id, source) = self.exercise_source(id)?;
        let values = Values::of(facts).with(&source.drawn(&id, seed), work);
        source.fill(&id, &self.exercise_file(&id)?, &values)
    }
}
