//! Two records of one learner: whatever order they come in, and whatever the other side claims.

use drydock::course::{Content, Course};
use drydock::learn::merge::{sane, take_over};
use drydock::learn::progress::{Record, parse};
use serde_json::json;

fn record(more: serde_json::Value) -> Record {
    let mut all = json!({ "version": 1, "seed": "00", "place": null, "exercise": null });
    for (key, value) in more.as_object().expect("members") {
        all[key] = value.clone();
    }
    parse(&all.to_string()).expect("a record")
}

fn at(seconds: u64) -> serde_json::Value {
    json!({ "secs_since_epoch": seconds, "nanos_since_epoch": 0 })
}

fn in_hand(id: &str) -> serde_json::Value {
    json!({ "id": id, "since_ticks": 1, "boot": "another" })
}

#[test]
fn nothing_is_lost_whoever_comes_first_and_the_same_again_changes_nothing() {
    let host = record(json!({
        "passed": { "namespaces/hostname": at(5), "cgroups/frozen": at(9) },
        "hints": { "namespaces/hostname": 2 },
        "answers": { "a": { "tries": 1, "right": true }, "b": { "tries": 3, "right": false } },
    }));
    let lab = record(json!({
        "passed": { "namespaces/hostname": at(7) },
        "hints": { "namespaces/hostname": 1, "cgroups/frozen": 1 },
        "answers": { "a": { "tries": 1, "right": false }, "b": { "tries": 1, "right": true } },
    }));
    let (mut one, mut other) = (host.clone(), lab.clone());
    take_over(&mut one, lab.clone());
    take_over(&mut other, host);
    assert_eq!(one, other);
    let once = one.clone();
    take_over(&mut one, lab);
    assert_eq!(one, once);
    assert!(one.answers.values().all(|a| a.right));
}

#[test]
fn the_later_place_wins_and_brings_its_exercise_along() {
    let place = |chapter: &str, seconds: u64| json!({ "chapter": chapter, "part": 3, "since": at(seconds) });
    let mut host = record(json!({ "place": place("namespaces", 5), "exercise": in_hand("namespaces/hostname") }));
    let lab = record(json!({ "place": place("cgroups", 8), "exercise": in_hand("cgroups/frozen") }));
    assert_eq!(take_over(&mut host, lab.clone()), Some("cgroups/frozen".into()));
    assert_eq!(host.place.as_ref().map(|p| p.chapter.as_str()), Some("cgroups"));
    // An older one, come late, moves nothing; nor does one of a file that had no time yet.
    let late = record(json!({ "place": place("namespaces", 6), "exercise": in_hand("namespaces/own-proc") }));
    assert_eq!(take_over(&mut host, late), None);
    let old = record(json!({ "place": { "chapter": "namespaces", "part": 1 }, "exercise": in_hand("namespaces/own-proc") }));
    assert_eq!(take_over(&mut host, old), None);
    assert_eq!(host.place.map(|p| p.chapter), Some("cgroups".into()));
}

#[test]
fn what_the_course_does_not_know_is_not_taken_over() {
    let course = Course::load(Content::Embedded).expect("it is built in");
    let claimed = record(json!({
        "passed": { "no/such": at(1), "namespaces/hostname": at(1) },
        "hints": { "namespaces/hostname": u64::MAX, "no/such": 1 },
        "answers": { "no-such-question": { "tries": u32::MAX, "right": true } },
        "place": { "chapter": "namespaces", "part": u64::MAX, "since": at(99_999_999_999) },
        "exercise": in_hand("../../etc"),
    }));
    let record = sane(claimed, &course);
    assert_eq!(record.passed.keys().collect::<Vec<_>>(), ["namespaces/hostname"]);
    let (_, source) = course.exercise_source("namespaces/hostname").expect("it is there");
    assert_eq!(record.hints.values().collect::<Vec<_>>(), [&source.hints.len()]);
    assert!(record.answers.is_empty() && record.exercise.is_none());
    let place = record.place.expect("the chapter is known");
    assert_eq!(place.part, course.chapter("namespaces").expect("it is there").lesson.parts.len());
    assert!(place.since <= std::time::SystemTime::now());
    assert!(sane(self::record(json!({ "place": { "chapter": "no-such", "part": 0 } })), &course).place.is_none());
}
