//! One file as it was read: its text, to say where something stands, and its tree.

use super::error::Fault;
use super::locate;
use super::merge::Tag;
use super::validate::Wrong;
use crate::kernel::{OrSys, SysError};
use serde_yaml::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A compose file.
#[derive(Debug, Clone)]
pub struct Document {
    /// Absolute; `-` for standard input.
    pub path: PathBuf,
    /// As it is called in messages.
    pub shown: String,
    /// Its text.
    pub text: String,
}

/// A tree, and the tags that stood in it.
pub type Tagged = (Value, Vec<(Vec<String>, Tag)>);

impl Document {
    /// Reads a file; `-` is standard input.
    pub fn read(path: &Path) -> Result<Self, SysError> {
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).or_sys("read standard input")?;
            return Ok(Self { path: path.to_owned(), shown: "(standard input)".into(), text });
        }
        let text = std::fs::read_to_string(path).or_sys_with(|| format!("read {}", path.display()))?;
        let near = std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
        let shown = near.unwrap_or_else(|| path.to_owned()).display().to_string();
        Ok(Self { path: path.to_owned(), shown, text })
    }

    /// The tree, with anchors and `<<` put in.
    pub fn tree(&self) -> Result<Tagged, Fault> {
        let not_yaml = |e: serde_yaml::Error| {
            let place = e.location().map_or_else(|| self.shown.clone(), |l| format!("{}:{}", self.shown, l.line()));
            let said = e.to_string();
            let what = said.split(" at line ").next().unwrap_or(&said).to_owned();
            let hint = match &said {
                said if said.contains("duplicate") => "a mapping has each key once",
                said if said.contains("more than one document") => "a file for each part between `---`, and -f for each file",
                said if said.contains("repetition limit") => "fewer anchors that hold anchors",
                _ => "what belongs together stands equally far in, by blanks and not by tabs",
            };
            Fault { place, what: format!("this is not YAML: {what}"), why: None, hint: Some(hint.into()) }
        };
        let mut tree: Value = serde_yaml::from_str(&self.text).map_err(not_yaml)?;
        if tree.is_null() {
            return Err(Fault { place: self.shown.clone(), what: "empty compose file".into(), why: None, hint: Some("services: {web: {image: base}}".into()) });
        }
        let mut tags = Vec::new();
        untag(&mut tree, &mut Vec::new(), &mut tags).map_err(|w| self.fault(&w))?;
        tree.apply_merge().map_err(|e| Fault { place: self.shown.clone(), what: format!("a `<<` cannot be followed: {e}"), why: None, hint: Some("<<: *anchor, of a mapping".into()) })?;
        Ok((tree, tags))
    }

    /// How deep a path is found here, and where.
    fn place(&self, path: &[String]) -> (usize, String) {
        match locate::line(&self.text, path) {
            Some((line, depth)) => (depth, format!("{}:{line}", self.shown)),
            None => (0, self.shown.clone()),
        }
    }

    /// What is wrong in it, with its line.
    pub fn fault(&self, wrong: &Wrong) -> Fault {
        Fault { place: self.place(&wrong.path).1, what: wrong.what.clone(), why: None, hint: wrong.hint.clone() }
    }
}

/// Where a path stands: the last of the files that has most of it.
pub fn place(documents: &[Document], path: &[String]) -> String {
    let places = documents.iter().map(|d| d.place(path));
    places.max_by_key(|(depth, _)| *depth).map(|(_, place)| place).unwrap_or_default()
}

/// Takes `!reset` and `!override` out, and notes where they stood.
fn untag(value: &mut Value, path: &mut Vec<String>, tags: &mut Vec<(Vec<String>, Tag)>) -> Result<(), Wrong> {
    if let Value::Tagged(tagged) = value {
        let tag = match tagged.tag.to_string().as_str() {
            "!reset" => Tag::Reset,
            "!override" => Tag::Override,
            other => return Err(Wrong { path: path.clone(), what: format!("there is no tag {other}"), hint: Some("!reset takes a value of the file below away, !override replaces it".into()) }),
        };
        tags.push((path.clone(), tag));
        let inner = std::mem::take(&mut tagged.value);
        *value = inner;
    }
    match value {
        Value::Mapping(mapping) => {
            for (key, inner) in mapping.iter_mut() {
                path.push(key.as_str().unwrap_or_default().to_owned());
                untag(inner, path, tags)?;
                path.pop();
            }
        }
        Value::Sequence(items) => {
            for (nth, item) in items.iter_mut().enumerate() {
                path.push(nth.to_string());
                untag(item, path, tags)?;
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}
