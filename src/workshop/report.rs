//! What a workshop came to: by learner, exercise, question and objective; as a page, CSV, JSON and JUnit.
//!
//! Of a question: its difficulty is the share of those who had it right at the first try; its discrimination
//! is the correlation of that with the share that the same learner had right of all others (the corrected
//! point-biserial of classical test theory: above 0.2 it tells who knows from who does not, below 0 it is
//! probably wrong itself). Fewer than five answers tell nothing, and none is given.
//!
//! What this proves: that somebody with this learner's secret sent it. A learner is root on their own machine
//! and can send whatever they like; it is a teaching aid and no certificate.

use super::Error;
use super::hub::class::Class;
use super::hub::learner::{Learner, Work};
use super::program::Program;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

const PAGE: &str = include_str!("report.html.tera");
/// Fewer answers than this tell nothing of a question.
const ENOUGH: usize = 5;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page of its own.
    Html,
    /// One line a learner and exercise.
    Csv,
    /// All of it.
    Json,
    /// A suite a learner, a case an exercise.
    Junit,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Ok(match name {
            "html" => Self::Html,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "xml" => Self::Junit,
            _ => return Err(()),
        })
    }
}

impl Format {
    /// How its files' names end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Junit => "xml",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Junit => "application/xml",
        }
    }
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The workshop's title.
    pub title: String,
    /// The day that the first learner joined.
    pub day: String,
    /// By learner.
    pub learners: Vec<ByLearner>,
    /// By exercise.
    pub exercises: Vec<ByExercise>,
    /// By question; those that nobody answered are left out.
    pub questions: Vec<ByQuestion>,
    /// By objective.
    pub objectives: Vec<ByObjective>,
}

/// One learner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByLearner {
    /// Their name in the class.
    pub nick: String,
    /// Exercises passed.
    pub passed: usize,
    /// Exercises begun.
    pub begun: usize,
    /// Checks asked for.
    pub checks: u32,
    /// Hints taken.
    pub hints: usize,
    /// Questions answered, and those right at the first try.
    pub answered: usize,
    /// Right at the first try.
    pub right: usize,
    /// Each exercise that was touched.
    pub exercises: Vec<Done>,
}

/// What a learner did of an exercise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    /// `chapter/exercise`.
    pub exercise: String,
    /// passed, not yet, cannot tell, begun.
    pub stand: &'static str,
    /// When it was begun, as 2026-11-22T10:00:00Z by the hub's clock.
    pub begun: Option<String>,
    /// When it was passed.
    pub passed: Option<String>,
    /// Seconds between the two.
    pub seconds: Option<i64>,
    /// Checks asked for.
    pub checks: u32,
    /// Hints taken.
    pub hints: usize,
    /// Why it was not passed, where the last check said so.
    pub reason: Option<String>,
}

/// One exercise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByExercise {
    /// `chapter/exercise`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How many touched it.
    pub begun: usize,
    /// How many passed it.
    pub passed: usize,
    /// Minutes from its beginning to its pass: the median.
    pub minutes: Option<f64>,
    /// Checks that a learner asked for: the mean.
    pub checks: f64,
    /// Hints that a learner took: the mean.
    pub hints: f64,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByQuestion {
    /// Its id.
    pub id: String,
    /// Its beginning.
    pub text: String,
    /// How many answered it.
    pub answered: usize,
    /// Share that was right at the first try, 0 to 1.
    pub difficulty: f64,
    /// -1 to 1; none where too few answered.
    pub discrimination: Option<f64>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByObjective {
    /// The chapter's title.
    pub chapter: String,
    /// In words.
    pub text: String,
    /// Tried: exercises begun and questions answered, of all learners.
    pub of: usize,
    /// Of these passed, and right at the first try.
    pub right: usize,
}

impl Report {
    /// Of a class.
    pub fn of(class: &Class, program: &Program) -> Self {
        let learners: Vec<&Learner> = class.learners.iter().filter(|l| !l.removed).collect();
        Self {
            title: program.title.clone(),
            day: learners.iter().map(|l| l.joined).min().map(|at| time(at).chars().take(10).collect()).unwrap_or_default(),
            learners: learners.iter().map(|l| by_learner(l, program)).collect(),
            exercises: (0..program.exercises.len()).map(|e| by_exercise(e, &learners, program)).collect(),
            questions: (0..program.questions.len()).filter_map(|q| by_question(q, &learners, program)).collect(),
            objectives: by_objective(&learners, program),
        }
    }

    /// In a format.
    pub fn text(&self, format: Format) -> Result<String, Error> {
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Format::Csv => self.csv(),
            Format::Junit => self.junit(),
            Format::Html => {
                let page = tera::Context::from_serialize(self).and_then(|context| tera::Tera::one_off(PAGE, &context, true));
                page.map_err(|e| Error::Course(crate::course::Error::File { file: "report.html.tera".into(), line: 0, problem: e.to_string() }))?
            }
        })
    }

    /// RFC 4180.
    fn csv(&self) -> String {
        let mut out = String::from("learner,exercise,stand,begun,passed,seconds,checks,hints,reason\r\n");
        for learner in &self.learners {
            for done in &learner.exercises {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                let seconds = done.seconds.map(|s| s.to_string()).unwrap_or_default();
                let fields = [&learner.nick, &done.exercise, done.stand, &text(&done.begun), &text(&done.passed), &seconds, &done.checks.to_string(), &done.hints.to_string(), &text(&done.reason)];
                let _ = write!(out, "{}\r\n", fields.map(field).join(","));
            }
        }
        out
    }

    /// As a classroom's autograder reads it: github.com/testmoapp/junitxml describes what they agree on.
    fn junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(out, "<testsuites name=\"{}\">", xml(&self.title));
        for learner in &self.learners {
            let done: BTreeMap<&str, &Done> = learner.exercises.iter().map(|d| (d.exercise.as_str(), d)).collect();
            let failures = done.values().filter(|d| d.passed.is_none()).count();
            let (tests, skipped) = (self.exercises.len(), self.exercises.len() - done.len());
            let _ = writeln!(out, "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">", xml(&learner.nick));
            for exercise in &self.exercises {
                let (chapter, name) = exercise.id.split_once('/').unwrap_or(("", &exercise.id));
                let work = done.get(exercise.id.as_str());
                let seconds = work.and_then(|d| d.seconds).unwrap_or(0);
                let head = format!("    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds}\"", xml(chapter), xml(name));
                let _ = match work {
                    None => writeln!(out, "{head}><skipped/></testcase>"),
                    Some(d) if d.passed.is_some() => writeln!(out, "{head}/>"),
                    Some(d) => writeln!(out, "{head}><failure message=\"{}\"/></testcase>", xml(d.reason.as_deref().unwrap_or(d.stand))),
                };
            }
            out.push_str("  </testsuite>\n");
        }
        out + "</testsuites>\n"
    }
}

/// A field in quotes; what a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection).
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t']) { "'" } else { "" };
    if guard.is_empty() && !text.contains([',', '"', '\n', '\r']) { text.to_owned() } else { format!("\"{guard}{}\"", text.replace('"', "\"\"")) }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn time(at: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.max(0).cast_unsigned());
    humantime::format_rfc3339_seconds(at).to_string()
}

fn seconds(work: &Work) -> Option<i64> {
    Some((work.passed? - work.begun?).max(0) / 1000)
}

fn by_learner(learner: &Learner, program: &Program) -> ByLearner {
    let done = |(e, work): (&usize, &Work)| Done {
        exercise: program.exercises[*e].id.clone(),
        stand: match learner.sign(*e) {
            '+' => "passed",
            'x' => "not yet",
            '?' => "cannot tell",
            _ => "begun",
        },
        begun: work.begun.map(time),
        passed: work.passed.map(time),
        seconds: seconds(work),
        checks: work.checks,
        hints: work.hints,
        reason: learner.reason.as_ref().filter(|r| r.exercise == *e && work.passed.is_none()).map(|r| r.text.clone()),
    };
    let works = learner.work.values();
    ByLearner {
        nick: learner.nick.clone(),
        passed: works.clone().filter(|w| w.passed.is_some()).count(),
        begun: works.len(),
        checks: works.clone().map(|w| w.checks).sum(),
        hints: works.map(|w| w.hints).sum(),
        answered: learner.answers.len(),
        right: learner.answers.values().filter(|a| a.first).count(),
        exercises: learner.work.iter().map(done).collect(),
    }
}

fn by_exercise(exercise: usize, learners: &[&Learner], program: &Program) -> ByExercise {
    let works: Vec<&Work> = learners.iter().filter_map(|l| l.work.get(&exercise)).collect();
    let mean = |sum: f64| if works.is_empty() { 0.0 } else { round(sum / works.len() as f64) };
    let mut times: Vec<i64> = works.iter().filter_map(|w| seconds(w)).collect();
    times.sort_unstable();
    let told = &program.exercises[exercise];
    ByExercise {
        id: told.id.clone(),
        title: told.title.clone(),
        begun: works.len(),
        passed: works.iter().filter(|w| w.passed.is_some()).count(),
        minutes: times.get(times.len() / 2).map(|s| round(*s as f64 / 60.0)),
        checks: mean(works.iter().map(|w| f64::from(w.checks)).sum()),
        hints: mean(works.iter().map(|w| w.hints as f64).sum()),
    }
}

fn by_question(question: usize, learners: &[&Learner], program: &Program) -> Option<ByQuestion> {
    // Right or not, and the share that the same learner had right of all others.
    let pairs: Vec<(f64, Option<f64>)> = learners.iter().filter_map(|l| {
        let own = l.answers.get(&question)?.first;
        let others: Vec<bool> = l.answers.iter().filter(|(q, _)| **q != question).map(|(_, a)| a.first).collect();
        let share = others.iter().filter(|r| **r).count() as f64 / others.len() as f64;
        Some((f64::from(u8::from(own)), (!others.is_empty()).then_some(share)))
    }).collect();
    if pairs.is_empty() {
        return None;
    }
    let told = &program.questions[question].question;
    let compared: Vec<(f64, f64)> = pairs.iter().filter_map(|(own, rest)| Some((*own, (*rest)?))).collect();
    Some(ByQuestion {
        id: told.id.clone(),
        text: super::event::one_line(&told.ask, 100),
        answered: pairs.len(),
        difficulty: round(pairs.iter().map(|p| p.0).sum::<f64>() / pairs.len() as f64),
        discrimination: correlation(&compared).map(round),
    })
}

/// Pearson's; none where there are too few, or one side is the same for all.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < ENOUGH {
        return None;
    }
    let count = pairs.len() as f64;
    let (x, y) = (pairs.iter().map(|p| p.0).sum::<f64>() / count, pairs.iter().map(|p| p.1).sum::<f64>() / count);
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let (both, xs, ys) = (sum(&|p| (p.0 - x) * (p.1 - y)), sum(&|p| (p.0 - x).powi(2)), sum(&|p| (p.1 - y).powi(2)));
    (xs > 1e-9 && ys > 1e-9).then(|| both / (xs * ys).sqrt())
}

fn by_objective(learners: &[&Learner], program: &Program) -> Vec<ByObjective> {
    let mut all = Vec::new();
    for (at, chapter) in program.chapters.iter().enumerate() {
        for (id, text) in &chapter.objectives {
            let exercises = program.exercises.iter().enumerate().filter(|(_, e)| e.chapter == at && e.objective == *id);
            let works = exercises.flat_map(|(e, _)| learners.iter().filter_map(move |l| l.work.get(&e)).map(|w| w.passed.is_some()));
            let questions = program.questions.iter().enumerate().filter(|(_, q)| q.chapter == at && q.question.objective == *id);
            let answers = questions.flat_map(|(q, _)| learners.iter().filter_map(move |l| l.answers.get(&q)).map(|a| a.first));
            let came: Vec<bool> = works.chain(answers).collect();
            if !came.is_empty() {
                all.push(ByObjective { chapter: chapter.title.clone(), text: text.clone(), of: came.len(), right: came.iter().filter(|r| **r).count() });
            }
        }
    }
    all
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_the_better_ones_miss_discriminates_the_wrong_way_round() {
        let with = |pairs: &[(f64, f64)]| correlation(pairs).map(round);
        assert_eq!(with(&[(1.0, 0.9), (1.0, 0.8), (0.0, 0.3), (0.0, 0.2), (0.0, 0.4)]), Some(0.97));
        assert_eq!(with(&[(0.0, 0.9), (0.0, 0.8), (1.0, 0.3), (1.0, 0.2), (1.0, 0.4)]), Some(-0.97));
        assert_eq!(with(&[(1.0, 0.9); 5]), None, "all alike");
        assert_eq!(with(&[(1.0, 0.9), (0.0, 0.1)]), None, "too few");
    }

    #[test]
    fn a_spreadsheet_takes_no_nick_for_a_formula() {
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(field("ada"), "ada");
    }
}
