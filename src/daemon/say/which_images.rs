//! Filters of images, as `--filter` and the API have them: which are meant. Keys and values are Docker's; several values of one
//! key are alternatives for `reference`, and must all hold for `label`.

use crate::image::{Error, Image, Store};
use std::time::{Duration, SystemTime};

/// A name and what it stands for.
#[derive(Debug)]
pub struct Line {
    /// `repository:tag`; `None` for an image that lost its name to another.
    pub name: Option<String>,
    /// The image.
    pub image: Image,
}

impl Line {
    /// `<none>` without a name.
    pub fn repository(&self) -> &str {
        self.name.as_deref().and_then(|n| n.rsplit_once(':')).map_or("<none>", |(repository, _)| repository)
    }
    /// `<none>` without a name.
    pub fn tag(&self) -> &str {
        self.name.as_deref().and_then(|n| n.rsplit_once(':')).map_or("<none>", |(_, tag)| tag)
    }
}

/// Every image by each of its names, newest first; of one that is damaged, `told` hears its name.
///
/// # Errors
/// What the store says of its index.
pub fn all(store: &Store, told: &dyn Fn(&str, &Error)) -> Result<Vec<Line>, Error> {
    let mut lines = Vec::new();
    for entry in store.entries()? {
        match store.image(&entry.digest) {
            Ok(image) => lines.push(Line { image, name: entry.name }),
            // One that is damaged must not hide the others.
            Err(error) => told(&entry.name.unwrap_or_else(|| entry.digest.to_string()), &error),
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.image.config.created().as_deref().and_then(time)));
    Ok(lines)
}

/// A config's RFC 3339 time, to the second.
pub fn time(created: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(created.get(..19).unwrap_or(created)).ok()
}

/// Conditions that an image must meet.
#[derive(Debug, Default)]
pub struct Filters {
    dangling: Option<bool>,
    labels: Vec<(bool, String, Option<String>)>,
    references: Vec<String>,
    before: Option<SystemTime>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Filters {
    /// Reads them; `name` is one reference more, given without its key.
    pub fn read(store: &Store, texts: &[String], name: Option<&str>) -> Result<Self, Error> {
        let mut filters = Self { references: name.map(str::to_owned).into_iter().collect(), ..Self::default() };
        for text in texts {
            let bad = |problem: &str| Error::BadFilter { text: text.clone(), problem: problem.to_owned() };
            let (key, value) = text.split_once('=').ok_or_else(|| bad("it is written KEY=VALUE"))?;
            let created = |name: &str| Ok::<_, Error>(store.resolve(name)?.config.created().as_deref().and_then(time));
            match key {
                "dangling" => filters.dangling = Some(truth(value).ok_or_else(|| bad("its value is true or false"))?),
                "label" | "label!" => {
                    let (name, value) = value.split_once('=').map_or((value, None), |(n, v)| (n, Some(v.to_owned())));
                    filters.labels.push((key == "label", name.to_owned(), value));
                }
                "reference" => filters.references.push(value.to_owned()),
                "before" => filters.before = created(value)?,
                "since" => filters.since = created(value)?,
                "until" => filters.until = Some(moment(value).ok_or_else(|| bad("its value is a time such as 2026-01-31T12:00:00, or an age such as 24h"))?),
                _ => return Err(bad("its key is one of dangling, label, reference, before, since, until")),
            }
        }
        Ok(filters)
    }

    /// Whether a line meets them all.
    pub fn fit(&self, line: &Line) -> bool {
        let created = line.image.config.created().as_deref().and_then(time);
        self.dangling.is_none_or(|wanted| wanted == line.name.is_none())
            && self.labels.iter().all(|label| has_label(line, label))
            && (self.references.is_empty() || self.references.iter().any(|r| line.name.as_deref().is_some_and(|n| is_meant(r, n))))
            && self.before.is_none_or(|limit| created < Some(limit))
            && self.since.is_none_or(|limit| created > Some(limit))
            && self.until.is_none_or(|limit| created < Some(limit))
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn has_label(line: &Line, (wanted, name, value): &(bool, String, Option<String>)) -> bool {
    let labels = line.image.config.config().as_ref().and_then(|c| c.labels().as_ref());
    let found = labels.and_then(|l| l.get(name)).is_some_and(|v| value.as_ref().is_none_or(|value| v == value));
    found == *wanted
}

/// A time, seconds since the epoch, or an age that is subtracted from now.
pub fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
    let age = humantime::parse_duration(text).ok().and_then(|age| SystemTime::now().checked_sub(age));
    let whole = if text.len() == 10 { format!("{text}T00:00:00") } else { text.trim_end_matches('Z').to_owned() };
    age.or_else(|| humantime::parse_rfc3339_weak(whole.get(..19)?).ok())
}

/// Whether a pattern means a name: with its tag, or without one whatever the tag. `*` is anything in
/// one part of the name, `?` one character of it (Go's path.Match).
fn is_meant(pattern: &str, name: &str) -> bool {
    let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
    glob(pattern.as_bytes(), name.as_bytes()) || glob(pattern.as_bytes(), repository.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).take_while(|i| *i == 0 || text[*i - 1] != b'/').any(|i| glob(rest, &text[i..])),
        ([b'?', rest @ ..], [c, text @ ..]) => *c != b'/' && glob(rest, text),
        ([b'\\', p, rest @ ..] | [p, rest @ ..], [c, text @ ..]) => p == c && glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_docker() {
        for (pattern, name, meant) in [
            ("web", "web:1", true), ("web:1", "web:1", true), ("web:*", "web:1", true), ("w*", "web:1", true), ("*:1", "web:1", true),
            ("web:2", "web:1", false), ("*", "team/web:1", false), ("*/*", "team/web:1", true), ("we?", "web:1", true), ("we", "web:1", false),
        ] {
            assert_eq!(is_meant(pattern, name), meant, "{pattern} {name}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        assert_eq!(moment("2001-09-09T01:46:40"), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)));
        assert_eq!(moment("2001-09-09T01:46:40Z"), moment("1000000000"));
        assert!(moment("24h").is_some_and(|m| m < SystemTime::now()));
        assert_eq!(moment("soon"), None);
    }
}
