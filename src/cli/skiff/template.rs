//! Go templates: what `--format` takes beyond single fields. Docker's functions beside Go's own.
//!
//! In the whole program only (see `whole.rs`): the library brings regular expressions along.

use super::format::{BadFormat, Filler, fields_of};
use gtmpl_ng::{Context, Func, FuncError, Template, Value as Go};
use serde_json::Value;
use std::collections::HashMap;

/// Members that are dictionaries: any key may be asked for, and the empty one is `map[]`.
const DICTIONARIES: [&str; 9] = ["Annotations", "Attributes", "ExposedPorts", "Healthcheck", "Labels", "Networks", "Options", "Ports", "Volumes"];

/// How Go prints a struct without members.
const EMPTY_STRUCT: &str = "{}";

/// Reads a template; what comes back fills it.
pub fn read(text: &str) -> Result<Filler, BadFormat> {
    let mut template = Template::default();
    template.add_funcs(FUNCTIONS);
    template.parse(text).map_err(|e| BadFormat::Syntax { text: text.to_owned(), problem: said(&e) })?;
    let text = text.to_owned();
    Ok(Box::new(move |value| {
        let filled = template.render(&Context::from(go_of(None, value)));
        filled.map_err(|e| BadFormat::Fill { text: text.clone(), problem: said(&e), fields: fields_of(value) })
    }))
}

/// What the template's library says, without the values that it quotes.
fn said(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    if let Some(name) = text.split("no field `").nth(1).and_then(|rest| rest.split('`').next()) {
        return format!("there is no field {name}");
    }
    let last = text.lines().map(|l| l.trim_start_matches("caused by: ").trim()).rfind(|l| !l.is_empty()).unwrap_or_default();
    // `template: NAME:LINE:COLUMN:LENGTH:` stands before it.
    let rest = last.strip_prefix("template: ").and_then(|l| l.splitn(5, ':').nth(4)).unwrap_or(last);
    rest.trim().to_owned()
}

/// JSON as Go would have it: an absent list is `[]`, an absent dictionary `map[]`.
fn go_of(name: Option<&str>, value: &Value) -> Go {
    let is_dictionary = name.is_some_and(|n| DICTIONARIES.contains(&n));
    match value {
        Value::Null if is_dictionary => Go::Map(HashMap::new()),
        Value::Null => Go::Array(Vec::new()),
        Value::Bool(b) => Go::from(*b),
        Value::String(s) => Go::from(s.as_str()),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Go::from(i),
            (None, Some(u)) => Go::from(u),
            (None, None) => Go::from(n.as_f64().unwrap_or_default()),
        },
        Value::Array(all) => Go::Array(all.iter().map(|v| go_of(None, v)).collect()),
        Value::Object(all) => {
            let member = |k: &str, v: &Value| match v {
                // A port or a volume has nothing to say but that it is there: Go's empty struct.
                Value::Object(nothing) if is_dictionary && nothing.is_empty() => Go::from(EMPTY_STRUCT),
                other => go_of(Some(k), other),
            };
            let members = all.iter().map(|(k, v)| (k.clone(), member(k, v))).collect();
            if is_dictionary { Go::Map(members) } else { Go::Object(members) }
        }
    }
}

fn json_of(value: &Go) -> Value {
    match value {
        Go::Bool(b) => Value::from(*b),
        Go::String(s) if s == EMPTY_STRUCT => Value::Object(serde_json::Map::new()),
        Go::String(s) => Value::from(s.as_str()),
        Go::Number(n) => serde_json::from_str(&n.to_string()).unwrap_or(Value::Null),
        Go::Array(all) if !all.is_empty() => all.iter().map(json_of).collect(),
        Go::Object(all) | Go::Map(all) if !all.is_empty() => {
            Value::Object(all.iter().map(|(k, v)| (k.clone(), json_of(v))).collect())
        }
        // An absent list and an empty one look alike by now; most in Docker's documents are absent.
        _ => Value::Null,
    }
}

const FUNCTIONS: &[(&str, Func)] = &[
    ("json", |a| Ok(Go::from(json_of(nth(a, 0)?).to_string()))),
    ("join", |a| Ok(Go::from(list(nth(a, 0)?)?.join(&string(nth(a, 1)?))))),
    ("split", |a| {
        let (text, by) = (string(nth(a, 0)?), string(nth(a, 1)?));
        Ok(Go::Array(text.split(by.as_str()).map(Go::from).collect()))
    }),
    ("lower", |a| Ok(Go::from(string(nth(a, 0)?).to_lowercase()))),
    ("upper", |a| Ok(Go::from(string(nth(a, 0)?).to_uppercase()))),
    ("title", |a| Ok(Go::from(title(&string(nth(a, 0)?))))),
    ("pad", |a| {
        let spaces = |n| Ok::<_, FuncError>(" ".repeat(number(nth(a, n)?).min(1 << 12)));
        let text = string(nth(a, 0)?);
        Ok(Go::from(if text.is_empty() { text } else { [spaces(1)?, text, spaces(2)?].concat() }))
    }),
    ("truncate", |a| Ok(Go::from(string(nth(a, 0)?).chars().take(number(nth(a, 1)?)).collect::<String>()))),
];

fn nth(arguments: &[Go], n: usize) -> Result<&Go, FuncError> {
    arguments.get(n).ok_or_else(|| FuncError::Generic(format!("the function needs {} arguments", n + 1)))
}

fn string(value: &Go) -> String {
    value.to_string()
}

fn number(value: &Go) -> usize {
    value.to_string().parse().unwrap_or(0)
}

fn list(value: &Go) -> Result<Vec<String>, FuncError> {
    match value {
        Go::Array(all) => Ok(all.iter().map(string).collect()),
        other => Err(FuncError::Generic(format!("join needs a list, and {other} is none"))),
    }
}

/// Each word with a capital.
fn title(text: &str) -> String {
    let mut at_start = true;
    let capital = |c: char| {
        let up = at_start;
        at_start = !c.is_alphanumeric();
        if up { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(capital).collect()
}
