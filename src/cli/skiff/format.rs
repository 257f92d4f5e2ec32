//! `--format`: Go templates over rows and documents, as Docker takes them, and its tables.
//!
//! A list's format is `table` (its usual columns), `table TEMPLATE` (columns of your own, a tab between
//! two), `json` (one object a line) or a template for each line. An inspection's is a template or
//! `json`. A table is for people, so nothing in it acts on their terminal; the others are exact. Beside Go's own functions (`index`, `len`, `range`, `printf`, …) there are Docker's: `json`,
//! `join`, `split`, `lower`, `upper`, `title`, `pad` and `truncate`.

use super::whole;
use crate::cli::out::visible;
use crate::kernel::Explain;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

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
    /// It is more than fields, and the program that reads those is not there.
    #[error(transparent)]
    Apart(#[from] whole::Apart),
}

impl Explain for BadFormat {
    fn why(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some("a format is a Go template: text, and actions between {{ and }}".into()),
            Self::Apart(apart) => apart.why(),
            Self::Fill { fields, .. } => (!fields.is_empty()).then(|| format!("there are: {}", fields.join(", "))),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some("--format '{{json .}}' shows all that there is".into()),
            Self::Apart(apart) => apart.hint(),
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
                let fill = read(&columns)?;
                let head = Value::Object(head);
                let lines = std::iter::once(&head).chain(rows).map(|row| fill(row).map(|line| visible(&line).into_owned()));
                Ok(aligned(&lines.collect::<Result<Vec<_>, _>>()?))
            }
            None => lines(format, rows),
        }
    }
}

/// A template or `json`, filled once for each value, a line each.
pub fn lines(format: &str, values: &[Value]) -> Result<String, BadFormat> {
    let mut text = String::new();
    let fill = read(&unescaped(format))?;
    for value in values {
        text += &fill(value)?;
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

/// A template that was read: it makes a line of a value.
pub type Filler = Box<dyn Fn(&Value) -> Result<String, BadFormat>>;

/// Reads a template. What only names fields, as Docker's own tables do, is filled here.
fn read(text: &str) -> Result<Filler, BadFormat> {
    let text = text.to_owned();
    if let Some(path) = json_alone(&text) {
        // In the document's own order.
        return Ok(Box::new(move |value| match path.iter().try_fold(value, |v, name| v.get(name)) {
            Some(found) => Ok(found.to_string()),
            None => Err(no_field(&format!("{{{{json .{}}}}}", path.join(".")), &path.join("."), value)),
        }));
    }
    let Some(pieces) = pieces(&text) else { return whole::template(&text) };
    Ok(Box::new(move |value| {
        let mut line = String::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => line += text,
                Piece::Field(name) => match value.get(name) {
                    Some(Value::String(text)) => line += text,
                    Some(field @ (Value::Number(_) | Value::Bool(_))) => line += &field.to_string(),
                    Some(_) => return whole::template(&text)?(value),
                    None => return Err(no_field(&text, name, value)),
                },
            }
        }
        Ok(line)
    }))
}

fn no_field(text: &str, name: &str, value: &Value) -> BadFormat {
    BadFormat::Fill { text: text.to_owned(), problem: format!("there is no field {name}"), fields: fields_of(value) }
}

enum Piece {
    Text(String),
    Field(String),
}

/// A template's pieces, if it is made of text and of single fields.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}")?;
        let name = inside.trim().strip_prefix('.').filter(|name| is_word(name))?;
        // `{{-` and `-}}` are no field's, so they end up with the library.
        pieces.extend([Piece::Text(before.to_owned()), Piece::Field(name.to_owned())]);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Some(pieces)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The path in `json`, `{{json .}}` or `{{json .A.B}}`.
fn json_alone(text: &str) -> Option<Vec<String>> {
    if text == "json" {
        return Some(Vec::new());
    }
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("json")?;
    let path = inner.strip_prefix([' ', '\t'])?.trim().strip_prefix('.')?;
    let words = path.split('.').filter(|_| !path.is_empty());
    words.map(|w| is_word(w).then(|| w.to_owned())).collect()
}

pub(super) fn fields_of(value: &Value) -> Vec<String> {
    value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
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
        whole::is(super::super::ALL);
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
