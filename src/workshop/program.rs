//! The plan with what the course says of it: exercises in order, titles, questions that can be asked of all.

use super::{Error, Plan};
use crate::course::quiz::{Kind, Question};
use crate::course::template::{Facts, Values};
use crate::course::{Course, slug};
use std::collections::BTreeMap;

/// What the hub knows of the course.
#[derive(Debug)]
pub struct Program {
    /// What stands above the board.
    pub title: String,
    /// The plan's chapters in order.
    pub chapters: Vec<Chapter>,
    /// All their exercises in order.
    pub exercises: Vec<Exercise>,
    /// All their questions, with their texts filled in for this machine.
    pub questions: Vec<Asked>,
    by_exercise: BTreeMap<String, usize>,
    by_question: BTreeMap<String, usize>,
}

/// A chapter of the plan.
#[derive(Debug)]
pub struct Chapter {
    /// Its number, such as `03`.
    pub number: String,
    /// Its short name.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Minutes by the plan.
    pub minutes: u32,
    /// The class waits before it.
    pub gate: bool,
    /// Minutes of the plan before it.
    pub before: u32,
    /// Parts of its lesson.
    pub parts: usize,
    /// Objectives: id and words.
    pub objectives: Vec<(String, String)>,
}

/// An exercise of the plan.
#[derive(Debug)]
pub struct Exercise {
    /// `chapter/exercise`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Index of its chapter in the plan.
    pub chapter: usize,
    /// The objective that it shows.
    pub objective: String,
}

/// A question of the plan.
#[derive(Debug)]
pub struct Asked {
    /// The question, filled in.
    pub question: Question,
    /// Index of its chapter in the plan.
    pub chapter: usize,
}

impl Asked {
    /// It can be asked of a whole class: its answer is the same for everybody and needs no machine.
    pub fn suits_all(&self) -> bool {
        matches!(self.question.kind, Kind::One | Kind::Several | Kind::Number | Kind::Text) || (self.question.kind == Kind::Predict && !self.question.choices.is_empty())
    }
}

impl Program {
    /// Reads the chapters of a plan.
    pub fn of(plan: &Plan, course: &Course, facts: &Facts) -> Result<Self, Error> {
        let mut program = Self { title: plan.title.clone(), chapters: Vec::new(), exercises: Vec::new(), questions: Vec::new(), by_exercise: BTreeMap::new(), by_question: BTreeMap::new() };
        let mut before = 0;
        for (at, stage) in plan.chapters.iter().enumerate() {
            let chapter = course.chapter(&stage.chapter)?;
            let front = &chapter.lesson.front;
            program.chapters.push(Chapter {
                number: chapter.folder.split('-').next().unwrap_or_default().to_owned(),
                slug: slug(&chapter.folder).to_owned(),
                title: front.title.clone(),
                minutes: stage.minutes,
                gate: stage.gate,
                before,
                parts: chapter.lesson.parts.len(),
                objectives: front.objectives.iter().map(|o| (o.id.clone(), o.text.clone())).collect(),
            });
            before += stage.minutes;
            for name in &chapter.exercises {
                let (id, source) = course.exercise_source(&format!("{}/{name}", chapter.slug()))?;
                program.by_exercise.insert(id.clone(), program.exercises.len());
                program.exercises.push(Exercise { id, title: source.title, chapter: at, objective: source.objective });
            }
            let file = format!("lessons/{}/quiz.yaml", chapter.folder);
            for question in chapter.quiz {
                program.by_question.insert(question.id.clone(), program.questions.len());
                program.questions.push(Asked { question: filled(question, facts, &file)?, chapter: at });
            }
        }
        Ok(program)
    }

    /// Index of an exercise.
    pub fn exercise(&self, id: &str) -> Option<usize> {
        self.by_exercise.get(id).copied()
    }

    /// Index of a question.
    pub fn question(&self, id: &str) -> Option<usize> {
        self.by_question.get(id).copied()
    }

    /// Index of a chapter.
    pub fn chapter(&self, slug: &str) -> Option<usize> {
        self.chapters.iter().position(|c| c.slug == slug)
    }

    /// Minutes of the whole plan.
    pub fn minutes(&self) -> u32 {
        self.chapters.last().map_or(0, |c| c.before + c.minutes)
    }
}

/// A question with this machine's facts in its texts.
fn filled(mut question: Question, facts: &Facts, file: &str) -> Result<Question, Error> {
    let values = Values::of(facts);
    question.ask = values.render(&question.ask, file, 0)?;
    for choice in &mut question.choices {
        choice.text = values.render(&choice.text, file, 0)?;
    }
    Ok(question)
}
