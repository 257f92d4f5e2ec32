//! `--format`: Go templates over rows and documents, as Docker takes them, and its tables.
//!
//! A list's format is `table` (its usual columns), `table TEMPLATE` (columns of your own, a tab between
//! two), `json` (one object a line) or a template for each line. An inspection's is a template or
//! `json`. Beside Go's own functions (`index`, `len`, `range`, `printf`, …) there are Docker's: `json`,
//! `join`, `split`, `lower`, `upper`, `title`, `pad` and `truncate`.

use crate::kernel::Explain;
use gtmpl_ng::{Context, Func, FuncError, Template, Value as Go};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use thiserror::Error;

/// Members that are dictionaries: any key may be asked for, and the empty one is `map[]`.
const DICTIONARIES: [&str; 8] = ["Annotations", "ExposedPorts", "Healthcheck", "Labels", "Networks", "Options", "Ports", "Volumes"];

/// How Go prints a struct without members.
const EMPTY_STRUCT: &str = "{}";

/// A template that cannot be read or filled.
#[derive(Debug, Error)]
pub enum BadFormat {
    /// It is no template.
    #[error("the format {text:?} is not a template: {problem}")]
    Syntax {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It asks for something that is not there.
    #[error("the format {text:?} cannot be filled: {problem}")]
    Fill {
        /// As it was typed.
        text: String,
        /// What is wrong.
        problem: String,
        /// What there is.
        fields: Vec<String>,
    },
}

impl Explain for BadFormat {
    fn why(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some("a format is a Go template: text, and actions between {{ and }}".into()),
            Self::Fill { fields, .. } => (!fields.is_empty()).then(|| format!("there are: {}", fields.join(", "))),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some("--format '{{json .}}' shows all that there is".into()),
            Self::Fill { .. } => Some("names begin with a capital, as in {{.ID}}; {{json .}} shows all".into()),
        }
    }
    fn exit_code(&self) -> u8 {
        1
    }
}

/// The kinds of line that a list can be.
pub struct List<'a> {
    /// What `table` alone stands for.
    pub usual: &'a str,
    /// Fields that a line has, and what stands above each.
    pub heads: &'a [(&'a str, &'a str)],
}

impl List<'_> {
    /// All rows as text. Each is an object of the fields.
    pub fn print(&self, format: Option<&str>, rows: &[Value]) -> Result<String, BadFormat> {
        let format = format.unwrap_or("table");
        let own = format.strip_prefix("table").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\\']));
        match own.map(|rest| unescaped(rest.trim_start_matches([' ', '\t']))) {
            Some(columns) => {
                let columns = if columns.is_empty() { self.usual.to_owned() } else { columns };
                let head = self.heads.iter().map(|(field, head)| ((*field).to_owned(), Value::from(*head))).collect();
                let filled = Filled::read(&columns)?;
                let head = Value::Object(head);
                let lines = std::iter::once(&head).chain(rows).map(|row| filled.fill(row));
                Ok(aligned(&lines.collect::<Result<Vec<_>, _>>()?))
            }
            None => lines(format, rows),
        }
    }
}

/// A template or `json`, filled once for each value, a line each.
pub fn lines(format: &str, values: &[Value]) -> Result<String, BadFormat> {
    let mut text = String::new();
    let filled = Filled::read(&unescaped(format))?;
    for value in values {
        text += &filled.fill(value)?;
        text.push('\n');
    }
    Ok(text)
}

/// What an inspection prints: the template's lines, or an indented array as Docker writes it.
pub fn inspection(format: Option<&str>, values: &[impl Serialize]) -> Result<String, BadFormat> {
    match format {
        // Into a value, from what is JSON already: it cannot fail.
        Some(format) => lines(format, &values.iter().map(|v| serde_json::to_value(v).unwrap_or_default()).collect::<Vec<_>>()),
        None => {
            let mut bytes = Vec::new();
            let style = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut to = serde_json::Serializer::with_formatter(&mut bytes, style);
            let _ = values.serialize(&mut to);
            bytes.push(b'\n');
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

/// `\t` and `\n` as a shell hands them on.
fn unescaped(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// A template that was read.
enum Filled {
    /// Only `json` of the whole, or of a member of it: in the document's own order.
    Json(Vec<String>),
    Template { text: String, template: Box<Template> },
}

impl Filled {
    fn read(text: &str) -> Result<Self, BadFormat> {
        if let Some(path) = json_alone(text) {
            return Ok(Self::Json(path));
        }
        let mut template = Template::default();
        template.add_funcs(FUNCTIONS);
        match template.parse(text) {
            Ok(()) => Ok(Self::Template { text: text.to_owned(), template: Box::new(template) }),
            Err(e) => Err(BadFormat::Syntax { text: text.to_owned(), problem: said(&e) }),
        }
    }

    fn fill(&self, value: &Value) -> Result<String, BadFormat> {
        match self {
            Self::Json(path) => match path.iter().try_fold(value, |v, name| v.get(name)) {
                Some(found) => Ok(found.to_string()),
                None => {
                    let text = format!("{{{{json .{}}}}}", path.join("."));
                    let problem = format!("there is no field {}", path.join("."));
                    Err(BadFormat::Fill { text, problem, fields: fields_of(value) })
                }
            },
            Self::Template { text, template } => template
                .render(&Context::from(go_of(None, value)))
                .map_err(|e| BadFormat::Fill { text: text.clone(), problem: said(&e), fields: fields_of(value) }),
        }
    }
}

/// The path in `json`, `{{json .}}` or `{{json .A.B}}`.
fn json_alone(text: &str) -> Option<Vec<String>> {
    if text == "json" {
        return Some(Vec::new());
    }
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("json")?;
    let path = inner.strip_prefix([' ', '\t'])?.trim().strip_prefix('.')?;
    let words = path.split('.').filter(|_| !path.is_empty());
    let is_word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    words.map(|w| is_word(w).then(|| w.to_owned())).collect()
}

fn fields_of(value: &Value) -> Vec<String> {
    value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
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

/// Docker's columns: each at least ten wide, three spaces apart, the last not padded.
fn aligned(lines: &[String]) -> String {
    let cells: Vec<Vec<&str>> = lines.iter().map(|l| l.split('\t').collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    // A cell that ends its line takes no part: nothing stands beside it.
    let width = |i: usize| cells.iter().filter(|c| c.len() > i + 1).map(|c| (c[i].chars().count() + 3).max(10)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        for (i, cell) in row.iter().enumerate() {
            let space = if i + 1 < row.len() { widths[i].saturating_sub(cell.chars().count()) } else { 0 };
            text += cell;
            text += &" ".repeat(space);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(format: &str, value: Value) -> String {
        lines(format, &[value]).unwrap_or_else(|e| format!("{e}; {}", e.why().unwrap_or_default()))
    }

    #[test]
    fn dockers_functions_do_what_dockers_do() {
        let v = json!({ "Env": ["A=1", "B=2"], "Name": "hello world", "Labels": null, "Cmd": null, "N": 1200, "Up": true });
        assert_eq!(filled("{{join .Env \", \"}}", v.clone()), "A=1, B=2\n");
        assert_eq!(filled("{{upper .Name}} {{title .Name}} {{truncate .Name 5}}|{{pad .Name 1 2}}|", v.clone()), "HELLO WORLD Hello World hello| hello world  |\n");
        assert_eq!(filled("{{.Env}} {{.Cmd}} {{.Labels}} {{.N}} {{.Up}}", v.clone()), "[A=1 B=2] [] map[] 1200 true\n");
        assert_eq!(filled("{{range .Env}}{{println .}}{{end}}", v.clone()), "A=1\nB=2\n\n");
        assert_eq!(filled("{{index .Env 1}} {{len .Env}} {{json .Env}}{{json .Cmd}}", v.clone()), "B=2 2 [\"A=1\",\"B=2\"]null\n");
        assert_eq!(filled("{{index (split .Name \" \") 1}}", v.clone()), "world\n");
        assert_eq!(filled("{{if .Up}}up{{else}}down{{end}}", v.clone()), "up\n");
        assert_eq!(filled("{{json .Cmd}}", v.clone()), "null\n");
        assert_eq!(filled("{{with .Labels}}{{.}}{{else}}none{{end}}", v), "none\n");
    }

    #[test]
    fn what_is_wrong_with_a_format_is_named() {
        let v = json!({ "ID": "a", "Size": 1 });
        assert_eq!(filled("{{.Id}}", v.clone()), "the format \"{{.Id}}\" cannot be filled: there is no field Id; there are: ID, Size");
        assert_eq!(filled("{{json .Id}}", v.clone()), "the format \"{{json .Id}}\" cannot be filled: there is no field Id; there are: ID, Size");
        assert!(filled("{{.ID", v.clone()).starts_with("the format \"{{.ID\" is not a template: "), "{}", filled("{{.ID", v));
    }

    #[test]
    fn columns_stand_as_dockers() {
        let list = List { usual: "{{.A}}\t{{.B}}\t{{.C}}", heads: &[("A", "REPOSITORY"), ("B", "TAG"), ("C", "SIZE")] };
        let rows = [json!({ "A": "web", "B": "1", "C": "5MB" })];
        assert_eq!(list.print(None, &rows).unwrap(), "REPOSITORY   TAG       SIZE\nweb          1         5MB\n");
        assert_eq!(list.print(Some("table {{.C}}\\t{{.A}}"), &rows).unwrap(), "SIZE      REPOSITORY\n5MB       web\n");
        assert_eq!(list.print(Some("{{.C}}\\t{{.A}}"), &rows).unwrap(), "5MB\tweb\n");
        assert_eq!(list.print(Some("json"), &rows).unwrap(), "{\"A\":\"web\",\"B\":\"1\",\"C\":\"5MB\"}\n");
    }
}
