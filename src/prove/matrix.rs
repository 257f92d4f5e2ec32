//! The matrix of the contract: each exercise against the ways in which the course may be run.
//!
//! A row is an exercise, and each way has three columns: untouched it was refused, its solutions passed,
//! its wrong answers were refused. A number counts what was tried and came out as it must; `1/2` says
//! that one of two did not, which is a false verdict (or something left behind); `-` that none could be
//! tried there.

use super::Case;
use std::collections::BTreeMap;
use std::fmt;

/// A way to run the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// As root on this host.
    Root,
    /// As an ordinary user on this host.
    Rootless,
    /// As root of the lab VM.
    Lab,
}

impl Lane {
    /// All, in the order of the columns.
    pub const ALL: [Self; 3] = [Self::Root, Self::Rootless, Self::Lab];

    /// Above its columns.
    pub fn title(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Rootless => "rootless",
            Self::Lab => "lab",
        }
    }
}

/// How many of a kind were tried, and how many of them came out wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    tried: u32,
    wrong: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { tried: 0, .. } => out.pad("-"),
            Self { tried, wrong: 0 } => out.pad(&tried.to_string()),
            Self { tried, wrong } => out.pad(&format!("{}/{tried}", tried.saturating_sub(*wrong))),
        }
    }
}

/// The kinds of cases, in the order of the columns.
const KINDS: [&str; 3] = ["untouched", "solution", "wrong"];

/// All that came out.
#[derive(Debug, Default)]
pub struct Matrix {
    /// Exercises in the order in which they were first met.
    rows: Vec<(String, BTreeMap<Lane, [Tally; 3]>)>,
    skipped: BTreeMap<String, u32>,
    missing: Vec<(Lane, String)>,
}

impl Matrix {
    /// Notes how a case came out.
    pub fn note(&mut self, lane: Lane, case: &Case) {
        if let Some(why) = case.got.strip_prefix("skipped: ") {
            // What is lacking stands before the colon.
            let need = why.split(':').next().unwrap_or(why);
            *self.skipped.entry(format!("{} in {}", need, lane.title())).or_default() += 1;
            if case.ok {
                self.row(&case.exercise, lane);
                return;
            }
        }
        let (named, is_reset) = case.case.strip_prefix("reset after ").map_or((case.case.as_str(), false), |rest| (rest, true));
        let Some(kind) = KINDS.iter().position(|k| named.split(' ').next() == Some(k)) else { return };
        let tally = &mut self.row(&case.exercise, lane)[kind];
        // What is left behind counts against the case that left it.
        tally.tried += u32::from(!is_reset);
        tally.wrong += u32::from(!case.ok);
    }

    /// Notes that a way could not be gone at all, and why.
    pub fn leave_out(&mut self, lane: Lane, why: String) {
        self.missing.push((lane, why));
    }

    /// How many verdicts were false.
    pub fn false_verdicts(&self) -> u32 {
        self.tallies().map(|t| t.wrong).sum()
    }

    fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.rows.iter().flat_map(|(_, lanes)| lanes.values().flatten())
    }

    fn row(&mut self, exercise: &str, lane: Lane) -> &mut [Tally; 3] {
        let at = self.rows.iter().position(|(id, _)| id == exercise).unwrap_or_else(|| {
            self.rows.push((exercise.to_owned(), BTreeMap::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(lane).or_default()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(id, _)| id.len()).max().unwrap_or(0).max(8) + 2;
        let heads: Vec<String> = Lane::ALL.iter().map(|l| format!("{:<13}", l.title())).collect();
        writeln!(out, "{:width$}{}", "", heads.join(" ").trim_end())?;
        let heads = ["un  sol wrong"; 3].join(" ");
        writeln!(out, "{:width$}{heads}", "exercise")?;
        for (id, lanes) in &self.rows {
            let cells = |lane: &Lane| match lanes.get(lane) {
                Some([untouched, solutions, wrong]) => format!("{untouched:<4}{solutions:<4}{wrong:<6}"),
                None => format!("{:<4}{:<4}{:<6}", "-", "-", "-"),
            };
            writeln!(out, "{id:width$}{}", Lane::ALL.iter().map(cells).collect::<String>().trim_end())?;
        }
        let tried: u32 = self.tallies().map(|t| t.tried).sum();
        writeln!(out, "\n{tried} cases tried, {} false", self.false_verdicts())?;
        for (what, times) in &self.skipped {
            writeln!(out, "not tried: {times} that need {what}")?;
        }
        for (lane, why) in &self.missing {
            writeln!(out, "not tried at all: {}: {why}", lane.title())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, got: &str, ok: bool) -> Case {
        let text = format!(r#"{{"exercise":"one/sleeper","case":"{name}","expected":"passed","got":"{got}","ok":{ok}}}"#);
        serde_json::from_str(&text).expect("a case")
    }

    #[test]
    fn what_came_out_is_counted_by_kind_and_way() {
        let mut matrix = Matrix::default();
        for (name, got, ok) in [
            ("untouched", "not yet", true),
            ("solution plain", "passed", true),
            ("reset after solution plain", "clean", true),
            ("solution docker", "skipped: docker: no daemon", true),
            ("wrong faked", "passed", false),
            ("wrong other", "not yet: so", true),
            ("reset after wrong other", "clean", true),
        ] {
            matrix.note(Lane::Root, &case(name, got, ok));
        }
        matrix.note(Lane::Lab, &case("untouched", "not yet", true));
        matrix.leave_out(Lane::Rootless, "nobody may run this program".into());
        assert_eq!(
            matrix.to_string(),
            "             root          rootless      lab\n\
             exercise     un  sol wrong un  sol wrong un  sol wrong\n\
             one/sleeper  1   1   1/2   -   -   -     1   -   -\n\
             \n\
             5 cases tried, 1 false\n\
             not tried: 1 that need docker in root\n\
             not tried at all: rootless: nobody may run this program\n"
        );
        assert_eq!(matrix.false_verdicts(), 1);
    }

    #[test]
    fn what_a_case_leaves_behind_counts_against_it() {
        let mut matrix = Matrix::default();
        matrix.note(Lane::Root, &case("solution plain", "passed", true));
        matrix.note(Lane::Root, &case("reset after solution plain", "left behind: process 7", false));
        assert!(matrix.to_string().contains("one/sleeper  -   0/1 -"), "{matrix}");
    }
}
