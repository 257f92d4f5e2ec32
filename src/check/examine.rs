//! From checks to a verdict.

use super::find;
use super::look::image::Saved;
use super::look::{self, Fact, Subject};
use super::machine::{Machine, Scene, Seen};
use super::model::{Check, Expect, Find};
use super::verdict::{Evidence, Outcome, Verdict};
use crate::kernel::{SysError, rlimit};
use std::collections::BTreeMap;

/// Descriptors that the widest look needs at once: a visit to another namespace, a layout's blobs.
const DESCRIPTORS: usize = 16;

/// Looks at everything that the checks name, once, and collects all evidence, not the first only.
pub fn examine(checks: &[Check], scene: &Scene) -> Verdict {
    // Without a free descriptor, what is there would look as if it were not.
    if let Err(error) = rlimit::spare(DESCRIPTORS) {
        return Verdict::of(checks.iter().map(|check| cramped(check, &error)).collect());
    }
    let machine = Machine::read(scene);
    let mut chosen: BTreeMap<&str, &Seen> = BTreeMap::new();
    let mut images: BTreeMap<&str, Saved> = BTreeMap::new();
    let mut evidence = Vec::new();
    for check in checks {
        match check.find {
            Find::Process => evidence.extend(of_processes(check, &machine, &mut chosen)),
            Find::Image => evidence.extend(of_image(check, &mut images)),
            _ => evidence.extend(of_thing(check, &machine, &chosen)),
        }
    }
    Verdict::of(evidence)
}

fn cramped(check: &Check, error: &SysError) -> Evidence {
    Evidence {
        check: check.id.clone(),
        outcome: Outcome::CannotTell,
        expected: format!("{DESCRIPTORS} free descriptors to look with"),
        found: error.to_string(),
        at: "/proc/self/limits, Max open files".into(),
        meaning: "too few files may be open at once here (RLIMIT_NOFILE), so nothing could be looked at".into(),
        next: Some("ulimit -n 1024".into()),
    }
}

/// A process that fits, and what was found out about it.
struct Candidate<'m> {
    seen: &'m Seen,
    evidence: Vec<Evidence>,
}

impl Candidate<'_> {
    fn count(&self, outcome: Outcome) -> usize {
        self.evidence.iter().filter(|e| e.outcome == outcome).count()
    }

    /// The lowest stands for all that were found: with several attempts lying about, one that is
    /// right is enough, so the question is whether *any* passes. Hence:
    ///
    /// 1. One that passed beats all.
    /// 2. One of which nothing is wrong, as far as can be seen, beats one that is wrong: it may be the
    ///    right one, and then "not yet" would be untrue. So a not-yet beats a cannot-tell only where
    ///    the other is wrong in something that can be seen: then both are "not yet".
    /// 3. Of several that are wrong, the one with the fewest wrongs, then with the fewest unknowns.
    fn rank(&self) -> (usize, usize, usize) {
        let (wrong, unknown) = (self.count(Outcome::NotYet), self.count(Outcome::CannotTell));
        let standing = if wrong > 0 { 2 } else { usize::from(unknown > 0) };
        (standing, wrong, unknown)
    }
}

fn of_processes<'m, 'c>(check: &'c Check, machine: &'m Machine, chosen: &mut BTreeMap<&'c str, &'m Seen>) -> Vec<Evidence> {
    let found = find::processes(machine, &check.conditions);
    let expected = find::in_words(&check.conditions);
    let (count, whole) = (found.fitting.len() as u64, found.hidden.is_empty());
    let judged = found.fitting.iter().map(|seen| {
        let subject = Subject::Process { seen, machine, chosen, count, whole };
        Candidate { seen, evidence: check.expect.iter().map(|e| judge(check, e, &subject)).collect() }
    });
    let Some(best) = judged.min_by_key(Candidate::rank) else {
        return vec![not_found(check, expected, found.hidden.first().copied())];
    };
    chosen.insert(&check.id, best.seen);
    // By rule 2 one that may not be read is as good as a cannot-tell; but only where its command
    // line is the wanted one. Without that, any stranger's container would be a candidate.
    if check.conditions.command.is_some()
        && let (Some(hidden), Some(wrong)) = (found.hidden.first(), best.evidence.iter().find(|e| e.outcome == Outcome::NotYet))
    {
        let mut evidence = unreadable(check, expected, hidden);
        evidence.found += &format!("; process {}, which can be read, is not it: {}, not {}", best.seen.pid(), wrong.found, wrong.expected);
        return vec![evidence];
    }
    let mut list = best.evidence;
    list.insert(
        0,
        Evidence {
            check: check.id.clone(),
            outcome: Outcome::Passed,
            expected,
            found: format!("process {}, `{}`", best.seen.pid(), best.seen.command),
            at: format!("/proc/{}", best.seen.pid()),
            meaning: String::new(),
            next: None,
        },
    );
    list
}

fn not_found(check: &Check, expected: String, hidden: Option<&Seen>) -> Evidence {
    if let Some(hidden) = hidden {
        return unreadable(check, expected, hidden);
    }
    Evidence {
        check: check.id.clone(),
        outcome: Outcome::NotYet,
        expected,
        found: "none".into(),
        at: "/proc, processes started since the exercise began".into(),
        meaning: check.none.clone().unwrap_or_else(|| "nothing of the kind runs now".into()),
        next: None,
    }
}

/// One that may be it.
fn unreadable(check: &Check, expected: String, hidden: &Seen) -> Evidence {
    Evidence {
        check: check.id.clone(),
        outcome: Outcome::CannotTell,
        expected,
        found: format!("process {} may be it; it belongs to user {}", hidden.pid(), hidden.uid),
        at: format!("/proc/{}/ns", hidden.pid()),
        meaning: "an ordinary user may not read the namespaces of another user's process (CAP_SYS_PTRACE is missing)".into(),
        next: Some("sudo drydock check".into()),
    }
}

/// Anything but processes: a thing by its path, or what fits.
fn of_thing(check: &Check, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Vec<Evidence> {
    let subject = Subject::Thing { check, machine, chosen };
    if check.expect.is_empty() {
        let exists = Expect { that: super::model::Assertion::Exists(true), meaning: check.none.clone(), next: None };
        return vec![judge(check, &exists, &subject)];
    }
    check.expect.iter().map(|e| judge(check, e, &subject)).collect()
}

/// A saved image: what is damaged or no image is told once, before anything is asked of it.
fn of_image<'c>(check: &'c Check, images: &mut BTreeMap<&'c str, Saved>) -> Vec<Evidence> {
    let evidence = |outcome, found: String, at: String, meaning: String| Evidence {
        check: check.id.clone(),
        outcome,
        expected: "an image whose parts hash to what they are called".into(),
        found,
        at,
        meaning,
        next: None,
    };
    match Saved::open(&check.conditions) {
        Err((path, problem)) => {
            let meaning = check.none.clone().unwrap_or_else(|| format!("{path} is no image"));
            vec![evidence(Outcome::NotYet, problem, path, meaning)]
        }
        Ok(saved) => {
            let found = evidence(Outcome::Passed, format!("image {}", saved.id()), saved.path.clone(), String::new());
            let judged = check.expect.iter().map(|e| told(check, e, look::image::look(&e.that, &saved, images)));
            let evidence = std::iter::once(found).chain(judged).collect();
            images.insert(&check.id, saved);
            evidence
        }
    }
}

fn judge(check: &Check, expect: &Expect, subject: &Subject<'_>) -> Evidence {
    told(check, expect, look::look(&expect.that, subject))
}

/// A fact, with what the author says of it.
fn told(check: &Check, expect: &Expect, fact: Fact) -> Evidence {
    let Fact { outcome, expected, found, at, hint } = fact;
    let meaning = match outcome {
        Outcome::Passed => String::new(),
        Outcome::NotYet => expect.meaning.clone().unwrap_or_else(|| format!("{}: not as it should be", check.id)),
        Outcome::CannotTell => "this cannot be seen from here".into(),
    };
    let next = if outcome == Outcome::Passed { None } else { hint.or_else(|| expect.next.clone()) };
    Evidence { check: check.id.clone(), outcome, expected, found, at, meaning, next }
}
