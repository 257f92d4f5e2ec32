//! From checks to a verdict.

use super::find;
use super::look::image::Saved;
use super::look::{self, Fact, Subject};
use super::machine::{Machine, Scene, Seen};
use super::model::{Check, Expect, Find};
use super::verdict::{Evidence, Outcome, Verdict};
use std::collections::BTreeMap;

/// Looks at everything that the checks name, once, and collects all evidence, not the first only.
pub fn examine(checks: &[Check], scene: &Scene) -> Verdict {
    let machine = Machine::read(scene);
    let mut chosen: BTreeMap<&str, &Seen> = BTreeMap::new();
    let mut evidence = Vec::new();
    for check in checks {
        match check.find {
            Find::Process => evidence.extend(of_processes(check, &machine, &mut chosen)),
            Find::Image => evidence.extend(of_image(check)),
            _ => evidence.extend(of_thing(check, &machine)),
        }
    }
    Verdict::of(evidence)
}

/// The process that meets the most expectations stands for all that were found: with several
/// attempts lying about, the best one is the answer.
fn of_processes<'m, 'c>(check: &'c Check, machine: &'m Machine, chosen: &mut BTreeMap<&'c str, &'m Seen>) -> Vec<Evidence> {
    let found = find::processes(machine, &check.conditions);
    let expected = find::in_words(&check.conditions);
    let Some(_) = found.fitting.first() else {
        return vec![not_found(check, &expected, &found)];
    };
    let count = found.fitting.len() as u64;
    let judged = found.fitting.iter().map(|seen| {
        let subject = Subject::Process { seen, machine, chosen, count };
        let list: Vec<Evidence> = check.expect.iter().map(|e| judge(check, e, &subject)).collect();
        (list.iter().filter(|e| e.outcome == Outcome::NotYet).count(), list, *seen)
    });
    let Some((_, mut list, best)) = judged.min_by_key(|(failures, ..)| *failures) else { return Vec::new() };
    chosen.insert(&check.id, best);
    list.insert(
        0,
        Evidence {
            check: check.id.clone(),
            outcome: Outcome::Passed,
            expected,
            found: format!("process {}, `{}`", best.pid(), best.command),
            at: format!("/proc/{}", best.pid()),
            meaning: String::new(),
            next: None,
        },
    );
    list
}

fn not_found(check: &Check, expected: &str, found: &find::Found<'_>) -> Evidence {
    let mut evidence = Evidence {
        check: check.id.clone(),
        outcome: Outcome::NotYet,
        expected: expected.to_owned(),
        found: "none".into(),
        at: "/proc, processes started since the exercise began".into(),
        meaning: check.none.clone().unwrap_or_else(|| "nothing of the kind runs now".into()),
        next: None,
    };
    if let Some(hidden) = found.hidden.first() {
        evidence.outcome = Outcome::CannotTell;
        evidence.found = format!("process {} may be it; it belongs to user {}", hidden.pid(), hidden.uid);
        evidence.at = format!("/proc/{}/ns", hidden.pid());
        evidence.meaning = "an ordinary user may not read the namespaces of another user's process (CAP_SYS_PTRACE is missing)".into();
        evidence.next = Some("sudo drydock check".into());
    }
    evidence
}

/// Anything but processes: a single thing, by path.
fn of_thing(check: &Check, machine: &Machine) -> Vec<Evidence> {
    let subject = Subject::Thing { check, machine };
    if check.expect.is_empty() {
        let exists = Expect { that: super::model::Assertion::Exists(true), meaning: check.none.clone(), next: None };
        return vec![judge(check, &exists, &subject)];
    }
    check.expect.iter().map(|e| judge(check, e, &subject)).collect()
}

/// A saved image: what is damaged or no image is told once, before anything is asked of it.
fn of_image(check: &Check) -> Vec<Evidence> {
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
            let judged = check.expect.iter().map(|e| told(check, e, look::image::look(&e.that, &saved)));
            std::iter::once(found).chain(judged).collect()
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
