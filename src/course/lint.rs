//! What a file of the course must have, found before a learner does.

use super::error::Error;
use super::exercise::Source;
use super::lesson::{Lesson, PartKind, blocks};
use super::load::{Chapter, Course, slug};
use super::quiz::{Kind, Question};
use super::template::{Facts, Values};
use std::collections::BTreeSet;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where it is the whole file.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line.max(1), self.message)
    }
}

struct Lint<'a> {
    course: &'a Course,
    hosts: &'a [Facts],
    found: Vec<Finding>,
    ids: BTreeSet<String>,
}

/// Reads every file and collects all that is wrong; every text must render on each of `hosts`.
pub fn lint(course: &Course, hosts: &[Facts]) -> Vec<Finding> {
    let mut lint = Lint { course, hosts, found: Vec::new(), ids: BTreeSet::new() };
    for folder in &course.folders {
        match course.chapter(folder) {
            Ok(chapter) => lint.chapter(&chapter),
            Err(error) => lint.error(error),
        }
    }
    lint.found.sort();
    lint.found
}

impl Lint<'_> {
    fn say(&mut self, file: &str, line: usize, message: impl Into<String>) {
        self.found.push(Finding { file: file.to_owned(), line, message: message.into() });
    }

    fn error(&mut self, error: Error) {
        match error {
            Error::File { file, line, problem } => self.say(&file, line, problem),
            other => self.say("lessons/course.yaml", 0, other.to_string()),
        }
    }

    fn chapter(&mut self, chapter: &Chapter) {
        let file = format!("lessons/{}/lesson.md", chapter.folder);
        let objectives: BTreeSet<&str> = chapter.lesson.front.objectives.iter().map(|o| o.id.as_str()).collect();
        self.lesson(&file, chapter);
        let mut shown = BTreeSet::new();
        let there = self.course.content.folders(&format!("exercises/{}", chapter.folder));
        for name in &there {
            let path = format!("exercises/{}/{name}/exercise.yaml", chapter.folder);
            if !chapter.exercises.contains(name) {
                self.say(&path, 0, format!("the lesson has no place for it: expected `## Exercise: {name}` in {file}"));
            }
            let read = self.course.content.read(&path).and_then(|text| Source::parse(&path, &text));
            match read {
                Ok(source) => {
                    if !objectives.contains(source.objective.as_str()) {
                        self.say(&path, 0, format!("objective {:?} is none of the lesson's", source.objective));
                    }
                    shown.insert(source.objective.clone());
                    self.exercise(&path, &format!("{}/{name}", slug(&chapter.folder)), &source);
                }
                Err(error) => self.error(error),
            }
        }
        for name in chapter.exercises.iter().filter(|n| !there.contains(n)) {
            self.say(&file, 0, format!("`## Exercise: {name}` has no folder exercises/{}/{name}", chapter.folder));
        }
        let quiz = format!("lessons/{}/quiz.yaml", chapter.folder);
        for question in &chapter.quiz {
            self.question(&quiz, question, &objectives);
            shown.insert(question.objective.clone());
        }
        for missing in objectives.iter().filter(|o| !shown.contains(**o)) {
            self.say(&file, 1, format!("objective {missing:?} is shown by no exercise and asked by no question"));
        }
        for (count, least, what) in [(there.len(), 4, "exercises"), (chapter.quiz.len(), 8, "questions"), (chapter.lesson.steps().count(), 6, "guided steps")] {
            if count < least {
                self.say(&file, 0, format!("{count} {what}; expected {least} or more"));
            }
        }
        if self.course.content.read(&format!("lessons/{}/notes.md", chapter.folder)).is_err() {
            self.say(&format!("lessons/{}/notes.md", chapter.folder), 0, "no speaker notes");
        }
    }

    fn lesson(&mut self, file: &str, chapter: &Chapter) {
        let lesson = &chapter.lesson;
        if lesson.front.slug != chapter.slug() {
            self.say(file, 1, format!("slug {:?}; expected {:?}, as its folder says", lesson.front.slug, chapter.slug()));
        }
        if !lesson.parts.iter().any(|p| p.kind == PartKind::Quiz) {
            self.say(file, 0, "no place for the quiz: expected `## Quiz`");
        }
        self.references(file, lesson);
        for facts in self.hosts {
            let values = Values::of(facts);
            for part in &lesson.parts {
                if let Err(error) = values.render(&part.text, file, part.line) {
                    self.error(error);
                }
            }
        }
        for part in &lesson.parts {
            self.blocks(file, part.line, &part.text);
        }
    }

    /// Sources that the text names exist.
    fn references(&mut self, file: &str, lesson: &Lesson) {
        for part in &lesson.parts {
            for (offset, line) in part.text.lines().enumerate() {
                for reference in line.split("[^").skip(1).filter_map(|r| r.split_once(']').map(|(id, _)| id)) {
                    if !lesson.front.sources.iter().any(|s| s.id == reference) {
                        self.say(file, part.line + offset + 1, format!("source {reference:?} is not in the front matter"));
                    }
                }
            }
        }
    }

    /// Diagrams fit a terminal and have a text alternative; an output follows what printed it.
    fn blocks(&mut self, file: &str, line: usize, text: &str) {
        let mut before = String::new();
        for block in blocks(text) {
            let line = line + block.line;
            if block.info.starts_with("diagram") {
                if !block.info.contains("alt=\"") {
                    self.say(file, line, "a diagram without a text alternative: expected ```diagram alt=\"…\"");
                }
                if let Some(wide) = block.text.lines().find(|l| l.chars().count() > 76) {
                    self.say(file, line, format!("a diagram {} columns wide; 76 fit a terminal", wide.chars().count()));
                }
            }
            if block.info.starts_with("output") && !before.starts_with("sh") && !before.starts_with("output") {
                self.say(file, line, "an output that follows no ```sh block");
            }
            before = block.info;
        }
    }

    fn exercise(&mut self, file: &str, id: &str, source: &Source) {
        if source.hints.len() != 3 {
            self.say(file, 0, format!("{} hints; expected 3 tiers", source.hints.len()));
        }
        if source.solutions.len() < 2 {
            self.say(file, 0, "fewer than 2 solutions");
        }
        if source.wrong.len() < 2 {
            self.say(file, 0, "fewer than 2 wrong answers");
        }
        if !source.wrong.iter().any(|w| w.name == "faked-output") {
            self.say(file, 0, "no wrong answer `faked-output`");
        }
        for wrong in source.wrong.iter().filter(|w| w.refused.is_none()) {
            self.say(file, 0, format!("wrong answer {:?} does not say what it is `refused:` with", wrong.name));
        }
        self.expectations(file, source);
        let mut senseless = BTreeSet::new();
        for facts in self.hosts {
            let values = Values::of(facts).with(&source.drawn(id, "lint"), "/tmp/work");
            match source.fill(id, file, &values) {
                Err(error) => return self.error(error),
                Ok(exercise) => {
                    for problem in crate::check::problems(&exercise.checks) {
                        if senseless.insert(problem.clone()) {
                            self.say(file, 0, problem);
                        }
                    }
                    let meanings: Vec<String> = exercise.checks.iter().flat_map(|c| c.none.iter().cloned().chain(c.expect.iter().filter_map(|e| e.meaning.clone()))).collect();
                    for refused in exercise.wrong.iter().filter_map(|w| w.refused.as_ref()) {
                        if !meanings.iter().any(|m| m.contains(refused.as_str())) {
                            return self.say(file, 0, format!("`refused: {refused}` is part of no check's meaning"));
                        }
                    }
                }
            }
        }
    }

    /// Each entry of `expect` makes one assertion; a misspelt word beside it would be passed over.
    fn expectations(&mut self, file: &str, source: &Source) {
        let entries = source.checks.as_sequence().into_iter().flatten().filter_map(|c| c.get("expect")?.as_sequence()).flatten();
        for entry in entries.filter_map(serde_yaml::Value::as_mapping) {
            let words: Vec<&str> = entry.keys().filter_map(serde_yaml::Value::as_str).filter(|k| !matches!(*k, "meaning" | "next")).collect();
            if words.len() != 1 {
                self.say(file, 0, format!("an entry of `expect` makes one assertion, beside `meaning` and `next`; this one has {words:?}"));
            }
        }
    }

    fn question(&mut self, file: &str, question: &Question, objectives: &BTreeSet<&str>) {
        let id = &question.id;
        if !self.ids.insert(id.clone()) {
            self.say(file, 0, format!("question {id}: this id is taken"));
        }
        if !objectives.contains(question.objective.as_str()) {
            self.say(file, 0, format!("question {id}: objective {:?} is none of the lesson's", question.objective));
        }
        let right = question.choices.iter().filter(|c| c.right).count();
        let problem = match question.kind {
            Kind::One if right != 1 => Some("one choice must be right"),
            Kind::Several if right == 0 || right == question.choices.len() => Some("some choices must be right and some wrong"),
            Kind::Number | Kind::Text if question.answer.is_none() => Some("no answer"),
            Kind::Order if question.items.len() < 3 => Some("fewer than 3 items to put in order"),
            Kind::Predict if question.run.is_none() => Some("nothing to run"),
            Kind::Predict if right != 1 && question.answer.is_none() => Some("one choice must be right, or an answer given"),
            Kind::Live if question.read.is_none() => Some("nothing reads the answer"),
            _ if question.choices.is_empty() && question.because.is_none() => Some("no explanation"),
            _ => None,
        };
        if let Some(problem) = problem {
            self.say(file, 0, format!("question {id}: {problem}"));
        }
        let mut reasons = BTreeSet::new();
        for choice in &question.choices {
            if !reasons.insert(choice.because.trim()) {
                self.say(file, 0, format!("question {id}: two choices share one explanation"));
            }
        }
    }
}
