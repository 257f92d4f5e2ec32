//! A file's tree beside its schema: what is unknown or of another shape is an error that says where;
//! what is known and not done is a warning. Values that came as text, from a variable, become what
//! their key wants.

use super::error::nearest;
use super::schema::{Key, Shape};
use crate::engine::health::nanos;
use crate::kernel::units;
use serde_yaml::{Mapping, Value};

/// What is wrong, and on which path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Keys from the top, and places in lists.
    pub path: Vec<String>,
    /// In words.
    pub what: String,
    /// What to try.
    pub hint: Option<String>,
}

/// A path as it is said: `services.web.ports[0]`.
pub fn dotted(path: &[String]) -> String {
    let mut said = String::new();
    for part in path {
        match part.parse::<usize>() {
            Ok(nth) => said += &format!("[{nth}]"),
            Err(_) if said.is_empty() => said += part,
            Err(_) => said += &format!(".{part}"),
        }
    }
    said
}

/// What is known, and not done: its path, and why.
pub type Idle = (Vec<String>, &'static str);

/// Looks through a tree; what was not heeded is added to `idle`.
pub fn validate(tree: &mut Value, shape: &Shape, idle: &mut Vec<Idle>) -> Result<(), Wrong> {
    Walk { path: Vec::new(), idle }.value(tree, shape)
}

struct Walk<'a> {
    path: Vec<String>,
    idle: &'a mut Vec<Idle>,
}

impl Walk<'_> {
    fn wrong(&self, what: impl Into<String>) -> Wrong {
        let subject = if self.path.is_empty() { "the file".to_owned() } else { dotted(&self.path) };
        Wrong { path: self.path.clone(), what: format!("{subject} {}", what.into()), hint: None }
    }

    fn below(&mut self, part: impl Into<String>, value: &mut Value, shape: &Shape) -> Result<(), Wrong> {
        self.path.push(part.into());
        self.value(value, shape)?;
        self.path.pop();
        Ok(())
    }

    fn value(&mut self, value: &mut Value, shape: &Shape) -> Result<(), Wrong> {
        match shape {
            Shape::Any => Ok(()),
            Shape::Object(_) | Shape::Map(_) | Shape::Pairs | Shape::Command | Shape::List(_) | Shape::Either(..) if value.is_null() => Ok(()),
            Shape::Object(keys) => self.object(value, keys),
            Shape::Map(inner) => self.map(value, inner),
            Shape::List(inner) => self.list(value, inner),
            Shape::Either(structured, plain) => self.value(value, if value.is_mapping() || value.is_sequence() && !matches!(plain, Shape::List(_)) { structured } else { plain }),
            Shape::Command | Shape::Texts if value.is_sequence() => self.list(value, &Shape::Text),
            Shape::Command | Shape::Texts => self.scalar(value, &Shape::Text).map_err(|_| self.wrong("must be a text or a list of texts")),
            Shape::Pairs if value.is_sequence() => self.list(value, &Shape::Text),
            Shape::Pairs => self.pairs(value),
            scalar => self.scalar(value, scalar),
        }
    }

    fn object(&mut self, value: &mut Value, keys: &[Key]) -> Result<(), Wrong> {
        for (name, inner) in self.mapping(value)? {
            let Some(key) = keys.iter().find(|k| k.name == name) else {
                if name.starts_with("x-") {
                    continue;
                }
                let near = nearest(&name, keys.iter().map(|k| k.name)).map(|near| format!("did you mean {near}?"));
                let all = || format!("it may have: {}", keys.iter().filter(|k| k.idle.is_none()).map(|k| k.name).collect::<Vec<_>>().join(", "));
                let unknown = self.wrong(format!("has no key {name:?}"));
                let path = [self.path.clone(), vec![name]].concat();
                return Err(Wrong { path, hint: Some(near.unwrap_or_else(all)), ..unknown });
            };
            if let Some(why) = key.idle {
                self.idle.push(([self.path.clone(), vec![name]].concat(), why));
                continue;
            }
            self.below(name, inner, key.shape)?;
        }
        Ok(())
    }

    fn map(&mut self, value: &mut Value, inner: &Shape) -> Result<(), Wrong> {
        self.mapping(value)?.into_iter().try_for_each(|(name, value)| self.below(name, value, inner))
    }

    fn pairs(&mut self, value: &mut Value) -> Result<(), Wrong> {
        if !value.is_mapping() {
            return Err(self.wrong("must be a mapping or a list of NAME=VALUE"));
        }
        self.mapping(value)?.into_iter().filter(|(_, v)| !v.is_null()).try_for_each(|(name, value)| self.below(name, value, &Shape::Text))
    }

    fn list(&mut self, value: &mut Value, inner: &Shape) -> Result<(), Wrong> {
        let kind = kind(value);
        let Some(items) = value.as_sequence_mut() else { return Err(self.wrong(format!("must be a list, not {kind}"))) };
        items.iter_mut().enumerate().try_for_each(|(nth, item)| self.below(nth.to_string(), item, inner))
    }

    /// The members of a mapping; its keys become texts.
    fn mapping<'v>(&self, value: &'v mut Value) -> Result<Vec<(String, &'v mut Value)>, Wrong> {
        let kind = kind(value);
        let Some(mapping) = value.as_mapping_mut() else { return Err(self.wrong(format!("must be a mapping, not {kind}"))) };
        let plain = std::mem::take(mapping).into_iter().map(|(k, v)| Ok((text(&k).ok_or_else(|| self.wrong("has a key that is no text"))?, v)));
        let plain: Vec<(String, Value)> = plain.collect::<Result<_, Wrong>>()?;
        *mapping = plain.into_iter().map(|(k, v)| (Value::String(k), v)).collect::<Mapping>();
        Ok(mapping.iter_mut().map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), v)).collect())
    }

    fn scalar(&self, value: &mut Value, shape: &Shape) -> Result<(), Wrong> {
        let found = kind(value);
        let must = |what: &str| self.wrong(format!("must be {what}, not {found}"));
        let Some(said) = text(value) else {
            return Err(must(match shape {
                Shape::Whole | Shape::Number => "a number",
                Shape::Flag => "true or false",
                _ => "a text",
            }));
        };
        let not = |what: &str| self.wrong(format!("must be {what}, not {said:?}"));
        *value = match shape {
            Shape::Whole => Value::from(said.parse::<i64>().map_err(|_| not("a whole number"))?),
            Shape::Number => match (said.parse::<i64>(), said.parse::<f64>()) {
                (Ok(whole), _) => Value::from(whole),
                (_, Ok(number)) if number.is_finite() => Value::from(number),
                _ => return Err(not("a number")),
            },
            Shape::Flag => Value::from(match said.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => true,
                "false" | "no" | "off" | "n" => false,
                _ => return Err(not("true or false")),
            }),
            // YAML's own octal, 0o440, is a number by now; 0440 is a text to it.
            Shape::Mode if value.is_u64() => Value::String(format!("0{:o}", value.as_u64().unwrap_or_default())),
            // -1, for what has no limit.
            Shape::Size if said != "-1" && units::bytes(&said).is_err() => return Err(not("a size, such as 64m")),
            Shape::Duration if nanos(&said).is_none() => return Err(not("a time, such as 30s or 1m30s")),
            Shape::Word(words) if !words.contains(&said.as_str()) => {
                let hint = nearest(&said, words.iter().copied()).map(|near| format!("did you mean {near}?"));
                return Err(Wrong { hint, ..not(&format!("one of {}", words.join(", "))) });
            }
            _ => Value::String(said),
        };
        Ok(())
    }
}

/// A scalar as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tag",
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::FILE;
    use super::*;

    fn checked(text: &str) -> Result<(Value, Vec<String>), String> {
        let mut tree: Value = serde_yaml::from_str(text).expect("YAML");
        let mut idle = Vec::new();
        validate(&mut tree, &FILE, &mut idle).map_err(|w| format!("{} ({})", w.what, w.hint.unwrap_or_default()))?;
        Ok((tree, idle.into_iter().map(|(path, _)| path.join(".")).collect()))
    }

    fn wrong(service: &str) -> String {
        checked(&format!("services:\n  web: {{{service}}}\n")).expect_err(service)
    }

    #[test]
    fn what_is_unknown_or_of_another_shape_is_named_with_its_path() {
        for (service, said) in [
            ("imge: a", "services.web has no key \"imge\" (did you mean image?)"),
            ("ports: 80", "services.web.ports must be a list, not a number ()"),
            ("tty: perhaps", "services.web.tty must be true or false, not \"perhaps\" ()"),
            ("image: [a]", "services.web.image must be a text, not a list ()"),
            ("image: ", "services.web.image must be a text, not nothing ()"),
            ("environment: 5", "services.web.environment must be a mapping or a list of NAME=VALUE ()"),
            ("environment: {A: [1]}", "services.web.environment.A must be a text, not a list ()"),
            ("mem_limit: much", "services.web.mem_limit must be a size, such as 64m, not \"much\" ()"),
            ("stop_grace_period: 10", "services.web.stop_grace_period must be a time, such as 30s or 1m30s, not \"10\" ()"),
            ("command: {a: b}", "services.web.command must be a text or a list of texts ()"),
            ("depends_on: {db: {condition: service_heathy}}", "services.web.depends_on.db.condition must be one of service_started, service_healthy, service_completed_successfully, not \"service_heathy\" (did you mean service_healthy?)"),
            ("ports: [{target: x}]", "services.web.ports[0].target must be a whole number, not \"x\" ()"),
        ] {
            assert_eq!(wrong(service), said);
        }
        assert_eq!(checked("service: {}").unwrap_err(), "the file has no key \"service\" (did you mean services?)");
        assert_eq!(checked("services: []").unwrap_err(), "services must be a mapping, not a list ()");
    }

    #[test]
    fn what_is_known_and_not_done_is_told_and_what_is_ones_own_is_not() {
        let (_, idle) = checked("version: '3'\nx-own: 1\nservices:\n  web:\n    x-mine: {a: b}\n    devices: [a]\n    deploy: {mode: global}\n").unwrap();
        assert_eq!(idle, ["version", "services.web.devices", "services.web.deploy.mode"]);
    }

    #[test]
    fn what_came_as_text_becomes_what_its_key_wants() {
        let (tree, _) = checked("services:\n  web: {tty: 'true', scale: '2', cpus: '0.5', environment: {A: 1, B: true, C: 1.50, D: }, ports: [80], mem_limit: 64}\n").unwrap();
        let web = &tree["services"]["web"];
        assert_eq!((web["tty"].as_bool(), web["scale"].as_i64(), web["cpus"].as_f64()), (Some(true), Some(2), Some(0.5)));
        assert_eq!(serde_yaml::to_string(&web["environment"]).unwrap(), "A: '1'\nB: 'true'\nC: '1.5'\nD: null\n");
        assert_eq!((web["ports"][0].as_str(), web["mem_limit"].as_str()), (Some("80"), Some("64")));
    }
}
