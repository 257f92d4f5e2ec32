//! Why a step was, or was not, taken from the cache: its ingredients beside those of the last build.

use super::cache::{Ingredient, NotFound, Record, Remembered};
use std::collections::BTreeMap;

/// The most changed files that are named one by one.
const NAMED: usize = 5;

/// The step of the last build that stood in this one's place: of the same words, else of the same number.
pub fn before<'a>(record: &'a Record, place: &str, now: &Remembered) -> Option<&'a Remembered> {
    let stage = place.rsplit_once(' ').map_or(place, |(stage, _)| stage);
    let same_words = || {
        let of_stage = record.iter().filter(|(other, _)| other.rsplit_once(' ').is_some_and(|(s, _)| s == stage));
        of_stage.map(|(_, r)| r).find(|r| r.instruction == now.instruction)
    };
    record.get(place).filter(|r| r.instruction == now.instruction).or_else(same_words).or_else(|| record.get(place))
}

/// Why a step had to be done, a line a reason.
pub fn missed(before: Option<&Remembered>, now: &Remembered, why: NotFound, no_cache: bool) -> Vec<String> {
    if no_cache {
        return vec!["--no-cache was given".into()];
    }
    let Some(before) = before else { return vec!["no build of this step is on record".into()] };
    if before.key == now.key {
        return vec![match why {
            NotFound::Gone => "nothing changed, but its layer was removed from the store since".into(),
            NotFound::Never => "nothing changed, but its result is not in the cache any more".into(),
        }];
    }
    let reasons = differences(&before.ingredients, &now.ingredients);
    if reasons.is_empty() { vec!["the order of its parts changed".into()] } else { reasons }
}

/// What a step that was taken from the cache is known by.
pub fn taken(now: &Remembered, created: i64) -> String {
    let files = now.ingredients.iter().filter(|(name, _)| name.starts_with("file ")).count();
    let sources = match files {
        0 => String::new(),
        1 => ", its source".into(),
        n => format!(", its {n} source files"),
    };
    format!("its instruction{sources} and what it stands on are those of {}", super::config::time(created))
}

fn differences(before: &[Ingredient], now: &[Ingredient]) -> Vec<String> {
    let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) = (before.iter().cloned().collect(), now.iter().cloned().collect());
    let mut reasons = Vec::new();
    let mut files = Vec::new();
    // Other words may lead elsewhere: that they are others is reason enough.
    let reworded = was.get("instruction") != is.get("instruction");
    for (name, value) in now {
        match was.get(name) {
            Some(old) if old == value => {}
            _ if name == "destination" && reworded => {}
            old => match name.strip_prefix("file ") {
                Some(path) => files.push(file(path, old.map(String::as_str), Some(value))),
                None => reasons.push(other(name, old.map(String::as_str), Some(value))),
            },
        }
    }
    for (name, value) in before.iter().filter(|(name, _)| !is.contains_key(name)) {
        match name.strip_prefix("file ") {
            Some(path) => files.push(file(path, Some(value), None)),
            None => reasons.push(other(name, Some(value), None)),
        }
    }
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    if more > 0 {
        files.push(format!("and {more} more of its sources"));
    }
    reasons.extend(files);
    reasons
}

fn other(name: &str, was: Option<&str>, is: Option<&str>) -> String {
    match (name, was, is) {
        ("parent", ..) => "what it stands on changed".into(),
        ("destination" | "owner", Some(was), Some(is)) => format!("its {name} changed: is {is}, was {was}"),
        ("instruction", Some(was), _) => format!("its instruction changed: was {was}"),
        (name, Some(was), Some(is)) => format!("{name} changed: is {is:?}, was {was:?}"),
        (name, None, Some(is)) => format!("{name} is new: {is:?}"),
        (name, Some(was), None) => format!("{name} is gone: was {was:?}"),
        (name, None, None) => name.into(),
    }
}

fn file(path: &str, was: Option<&str>, is: Option<&str>) -> String {
    match (was, is) {
        (Some(was), Some(is)) => {
            let ((was_kind, was_content), (kind, content)) = (split(was), split(is));
            if content != was_content && kind == was_kind {
                return format!("its content changed: {path} sha256 {} was {}", short(content), short(was_content));
            }
            if content == was_content {
                return format!("its mode or owner changed: {path} is {kind}, was {was_kind}");
            }
            format!("its content changed: {path} is a {is}, was a {was}", is = shown(kind, content), was = shown(was_kind, was_content))
        }
        (None, Some(_)) => format!("its content changed: {path} is new"),
        (Some(_), None) => format!("its content changed: {path} is gone"),
        (None, None) => path.into(),
    }
}

/// `file 644 0:0 9f86…`: what it is, and the digest.
fn split(text: &str) -> (&str, &str) {
    text.rsplit_once(' ').filter(|(_, digest)| digest.len() == 64).unwrap_or((text, ""))
}

fn short(digest: &str) -> String {
    format!("{}…", digest.get(..12).unwrap_or(digest))
}

fn shown(kind: &str, content: &str) -> String {
    if content.is_empty() { kind.into() } else { format!("{kind} of sha256 {}", short(content)) }
}
