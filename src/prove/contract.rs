//! The contract of an exercise: untouched it is not passed, each solution passes it, each wrong
//! answer is refused for the reason that its author gave, and a reset leaves nothing.

use super::host::{self, Picture};
use super::prompt;
use super::room::{Learner, Room};
use super::{ProveError, Setting, Typist};
use crate::check::{Outcome, Verdict};
use crate::course::exercise::Attempt;
use crate::course::{Course, Exercise};
use crate::learn::{doctor, progress::Record};
use nix::sys::signalfd::SignalFd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How one case came out: a line of `drydock course test --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// `chapter/exercise`.
    pub exercise: String,
    /// Which case.
    pub case: String,
    /// What had to come out.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// The two agree, or the case cannot run here.
    pub ok: bool,
    /// For a failure: the verdict and the terminals.
    #[serde(skip)]
    pub detail: String,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// What is needed to prove exercises.
pub struct Bench<'c> {
    /// The course.
    pub course: &'c Course,
    /// Its folder, where it is not the built-in one.
    pub folder: Option<PathBuf>,
    /// The program `drydock`.
    pub drydock: PathBuf,
    /// Readable once somebody wants to stop.
    pub stop: Option<Arc<SignalFd>>,
    /// Where a docker daemon listens that may be used (DRYDOCK_DOCKER_HOST).
    pub docker: Option<String>,
    /// A skip is a failure (DRYDOCK_MUST_RUN=1).
    pub must_run: bool,
    /// Of an exercise's wrong answers only the first is tried.
    pub brief: bool,
    /// The longest wait for a verdict that does not come at once, and for what was ended to be gone.
    /// Whoever is on time never waits so long: generous, for an emulated processor on a busy machine.
    pub patience: Duration,
}

/// What a typed attempt must lead to.
enum Wanted<'a> {
    Passed,
    Refused(&'a str),
}

/// What a typed attempt led to.
struct Tried {
    verdict: String,
    reset: Result<(), Vec<String>>,
    screens: String,
}

impl Bench<'_> {
    /// All cases of these exercises; `told` hears of each as it ends. True where all are as they must be.
    pub fn prove(&self, ids: &[String], told: &mut dyn FnMut(&Case)) -> Result<bool, ProveError> {
        host::adopt_orphans()?;
        let report = doctor::Report::make();
        let store = self.room("store")?;
        store.make_base();
        let mut all = true;
        for id in ids {
            let room = self.room(id)?;
            room.furnish(&store);
            let mut tell = |case: Case| {
                all &= case.ok;
                told(&case);
            };
            self.exercise(id, &room, &report, &mut tell)?;
        }
        Ok(all)
    }

    /// The whole course in order by one learner, twice.
    pub fn in_order(&self, ids: &[String], told: &mut dyn FnMut(&Case)) -> Result<bool, ProveError> {
        host::adopt_orphans()?;
        let report = doctor::Report::make();
        let room = self.room("whole-course")?;
        let learner = room.learner("home");
        let mut all = true;
        for time in ["first", "second"] {
            for id in ids {
                let exercise = self.begin(&learner, id)?;
                let way = exercise.solutions.iter().find(|s| self.missing(&exercise.needs, s, &report).is_none());
                let Some(way) = way else {
                    let case = self.skipped(id, &format!("in order, {time} time"), "passed", "no solution can run here");
                    all &= case.ok;
                    told(&case);
                    continue;
                };
                let begun = Instant::now();
                let tried = self.attempt(&room, &learner, &exercise, way, &Wanted::Passed)?;
                let got = tried.reset.as_ref().map_or_else(|left| format!("{}, then {}", tried.verdict, left.join("; ")), |()| tried.verdict.clone());
                let case = case(id, format!("in order, {time} time"), "passed", got, tried.screens, begun);
                all &= case.ok;
                told(&case);
            }
        }
        Ok(all)
    }

    fn room(&self, name: &str) -> Result<Room, ProveError> {
        Room::make(name, &self.drydock, self.docker.clone(), self.folder.clone())
    }

    fn exercise(&self, id: &str, room: &Room, report: &doctor::Report, tell: &mut dyn FnMut(Case)) -> Result<(), ProveError> {
        let begun = Instant::now();
        let learner = room.learner("untouched");
        let exercise = self.begin(&learner, id)?;
        let verdict = verdict(&learner)?;
        tell(case(id, "untouched".into(), "not yet", word(&verdict).into(), shown(&verdict), begun));
        let solutions = exercise.solutions.iter().map(|s| ("solution", s.name.clone()));
        let most = if self.brief { 1 } else { usize::MAX };
        let wrong = exercise.wrong.iter().take(most).map(|w| ("wrong", w.name.clone()));
        for (number, (kind, name)) in solutions.chain(wrong).enumerate() {
            let begun = Instant::now();
            // A learner of its own for each case: other draws, another beginning.
            let learner = room.learner(&format!("home-{number}"));
            let exercise = self.begin(&learner, id)?;
            let list = if kind == "solution" { &exercise.solutions } else { &exercise.wrong };
            let Some(attempt) = list.iter().find(|a| a.name == name) else { continue };
            let label = format!("{kind} {name}");
            let refused = attempt.refused.clone().unwrap_or_default();
            let (wanted, expected) = match kind {
                "solution" => (Wanted::Passed, "passed".to_owned()),
                _ => (Wanted::Refused(&refused), format!("not yet: {refused}")),
            };
            if let Some(missing) = self.missing(&exercise.needs, attempt, report) {
                tell(self.skipped(id, &label, &expected, &missing));
                continue;
            }
            match self.attempt(room, &learner, &exercise, attempt, &wanted) {
                Ok(tried) => {
                    tell(case(id, label.clone(), &expected, tried.verdict, tried.screens.clone(), begun));
                    let got = tried.reset.map_or_else(|left| left.join("; "), |()| "clean".into());
                    tell(case(id, format!("reset after {label}"), "clean", got, tried.screens, begun));
                }
                Err(ProveError::Interrupted) => return Err(ProveError::Interrupted),
                Err(error) => {
                    let screen = error.screen().unwrap_or_default().to_owned();
                    tell(case(id, label, &expected, error.to_string(), screen, begun));
                    let _ = learner.drydock(&["reset"]);
                }
            }
            host::end_all();
        }
        Ok(())
    }

    /// Begins the exercise, and fills it in for this learner.
    fn begin(&self, learner: &Learner<'_>, id: &str) -> Result<Exercise, ProveError> {
        learner.must(&["start", id])?;
        let file = learner.home.join("progress.json");
        let text = std::fs::read_to_string(&file).map_err(|e| ProveError::Text(format!("{}: {e}", file.display())))?;
        let record: Record = serde_json::from_str(&text).map_err(|e| ProveError::Text(format!("{}: {e}", file.display())))?;
        let work = learner.home.join("work").join(id.replace('/', "-")).display().to_string();
        self.course.exercise(id, &crate::learn::facts::read(), &record.seed, &work).map_err(|e| ProveError::Text(e.to_string()))
    }

    /// What the attempt needs and this machine lacks.
    fn missing(&self, needs: &[String], attempt: &Attempt, report: &doctor::Report) -> Option<String> {
        needs.iter().chain(&attempt.needs).find_map(|need| match need.as_str() {
            "docker" if self.docker.is_some() => None,
            "docker" => Some("docker: DRYDOCK_DOCKER_HOST names no daemon that may be used".into()),
            // By sudo a learner can type it. Here nobody types the password, and an ordinary user's
            // examiner could only say of root's processes that it cannot tell.
            "root" if !nix::unistd::geteuid().is_root() => Some("root: these tests run as an ordinary user".into()),
            other => doctor::met(other, report).err(),
        })
    }

    fn skipped(&self, id: &str, label: &str, expected: &str, why: &str) -> Case {
        let ok = !self.must_run || why.starts_with("docker") || why.starts_with("root:");
        Case {
            exercise: id.to_owned(),
            case: label.to_owned(),
            expected: expected.to_owned(),
            got: format!("skipped: {why}"),
            ok,
            detail: String::new(),
            took: Duration::ZERO,
        }
    }

    /// Types it, asks for the verdict, resets, and looks at what is left.
    fn attempt(&self, room: &Room, learner: &Learner<'_>, exercise: &Exercise, attempt: &Attempt, wanted: &Wanted<'_>) -> Result<Tried, ProveError> {
        let files: Vec<PathBuf> = exercise.touches.files.iter().map(PathBuf::from).collect();
        let before = Picture::take(&files);
        let setting = Setting { stop: self.stop.clone(), ..Setting::default() };
        let mut shells = vec![learner.shell(setting.clone())?];
        let mut known = living();
        shells[0].lines(&attempt.typed)?;
        if let Some(second) = &attempt.second {
            let others = living();
            let mut typist = learner.shell(setting)?;
            known.extend(living().difference(&others));
            typist.lines(second)?;
            shells.push(typist);
        }
        shells.iter_mut().try_for_each(Typist::settle)?;
        let verdict = await_verdict(learner, &mut shells, wanted, self.patience)?;
        let said = told(&verdict, wanted);
        let containers = room.containers();
        learner.must(&["reset"])?;
        let mut left = outlived(&known, &mut shells, self.patience)?;
        let again = self::verdict(learner)?;
        if again.outcome == Outcome::Passed {
            left.push("after the reset it is still passed".into());
        }
        let screens: Vec<String> = shells.iter().map(Typist::screen).collect();
        drop(shells);
        left.extend(before.left(&files, &containers, self.patience));
        Ok(Tried {
            verdict: said,
            reset: if left.is_empty() { Ok(()) } else { Err(left) },
            screens: format!("{}\n{}", shown(&verdict), screens.join("\n-- second terminal\n")),
        })
    }
}

fn case(id: &str, label: String, expected: &str, got: String, detail: String, begun: Instant) -> Case {
    let ok = got == expected;
    Case { exercise: id.to_owned(), case: label, expected: expected.to_owned(), got, ok, detail, took: begun.elapsed() }
}

fn living() -> BTreeSet<i32> {
    prompt::family(nix::unistd::getpid().as_raw()).iter().map(|l| l.pid).collect()
}

/// What was typed and still runs after the reset, while the terminals are still open.
fn outlived(known: &BTreeSet<i32>, shells: &mut [Typist], patience: Duration) -> Result<Vec<String>, ProveError> {
    let end = Instant::now() + patience;
    loop {
        let left: Vec<i32> = living().difference(known).copied().collect();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        if Instant::now() > end {
            return Ok(left.into_iter().map(|pid| format!("left behind: {}", host::process(pid))).collect());
        }
        shells.iter_mut().try_for_each(|s| s.look_on(Duration::from_millis(20)))?;
    }
}

/// `drydock check --json`.
fn verdict(learner: &Learner<'_>) -> Result<Verdict, ProveError> {
    let (_, text) = learner.drydock(&["check", "--json"])?;
    let line = text.lines().find(|l| l.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|_| ProveError::Command { command: "drydock check --json".into(), output: text })
}

/// Asks until the verdict is the wanted one; what was started takes a moment to get going.
fn await_verdict(learner: &Learner<'_>, shells: &mut [Typist], wanted: &Wanted<'_>, patience: Duration) -> Result<Verdict, ProveError> {
    let end = Instant::now() + patience;
    loop {
        let verdict = verdict(learner)?;
        let decided = match wanted {
            Wanted::Passed => verdict.outcome == Outcome::Passed,
            Wanted::Refused(reason) => verdict.outcome == Outcome::Passed || verdict.outcome == Outcome::NotYet && says(&verdict, reason),
        };
        if decided || Instant::now() > end {
            return Ok(verdict);
        }
        shells.iter_mut().try_for_each(|s| s.look_on(Duration::from_millis(60)))?;
    }
}

/// The reason is in the meaning of something that is not so.
fn says(verdict: &Verdict, reason: &str) -> bool {
    verdict.evidence.iter().any(|e| e.outcome == Outcome::NotYet && e.meaning.contains(reason))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.outcome {
        Outcome::Passed => "passed",
        Outcome::NotYet => "not yet",
        Outcome::CannotTell => "cannot tell here",
    }
}

/// The verdict in the words of what was expected.
fn told(verdict: &Verdict, wanted: &Wanted<'_>) -> String {
    let meanings: Vec<&str> = verdict.evidence.iter().filter(|e| e.outcome == verdict.outcome).map(|e| e.meaning.trim()).collect();
    match (wanted, verdict.outcome) {
        (_, Outcome::Passed) => "passed".into(),
        (Wanted::Refused(reason), Outcome::NotYet) if says(verdict, reason) => format!("not yet: {reason}"),
        _ => format!("{}: {}", word(verdict), meanings.join("; ")),
    }
}

/// All evidence that is not as it should be.
fn shown(verdict: &Verdict) -> String {
    let bad = verdict.evidence.iter().filter(|e| e.outcome != Outcome::Passed);
    bad.map(|e| format!("{}: {}\n  expected  {}\n  found     {}, in {}\n", e.check, e.meaning, e.expected, e.found, e.at)).collect()
}
