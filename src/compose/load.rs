//! From files to one tree: find them, fill in variables, hold them against the schema, spell them out,
//! follow `extends` and `include`, and merge one over the other (Compose specification).
//!
//! The order matters: variables are filled in before anything is understood, so that one may stand for
//! a number; a file is found valid before it is merged, so that what is wrong is said with its line.

use super::document::{self, Document};
use super::dotenv;
use super::error::{Error, Fault};
use super::interpolate::{Problem, Variables};
use super::merge::{Tag, merge, objects, remove};
use super::normal::{self, Object};
use super::schema::FILE;
use super::short::resolved;
use super::validate::{Wrong, dotted, validate};
use serde_json::Value as Json;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the command line says of a project.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `-f`; those of the folder where there are none.
    pub files: Vec<PathBuf>,
    /// `-p`.
    pub name: Option<String>,
    /// `--profile`.
    pub profiles: Vec<String>,
    /// `--env-file`; `.env` where there are none.
    pub env_files: Vec<PathBuf>,
    /// `--project-directory`.
    pub folder: Option<PathBuf>,
    /// Leave variables as they stand.
    pub keep_variables: bool,
}

/// All files as one tree, and what was found on the way.
#[derive(Debug)]
pub struct Loaded {
    /// Spelled out and merged; names and defaults are not filled in.
    pub tree: Object,
    /// The files, to say where something stands.
    pub documents: Vec<Document>,
    /// The files of the project itself.
    pub files: Vec<PathBuf>,
    /// The project's folder.
    pub folder: PathBuf,
    /// The project's name.
    pub name: String,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// The environment, with that of `.env`.
    pub environment: BTreeMap<String, String>,
}

impl Loaded {
    /// Something is wrong with the files together.
    pub fn fault(&self, path: &[&str], what: impl Into<String>) -> Fault {
        let path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
        Fault { place: document::place(&self.documents, &path), what: what.into(), why: None, hint: None }
    }
}

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] = ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Loads a project's files.
pub fn load(options: &Options, outer: &BTreeMap<String, String>) -> Result<Loaded, Error> {
    let here = std::env::current_dir().unwrap_or_default();
    let asked = env_files(options, outer)?;
    let beside = |files: &[PathBuf]| files.first().filter(|f| *f != Path::new("-")).and_then(|f| resolved(&f.display().to_string(), &here).parent().map(Path::to_owned));
    let given = options.folder.as_ref().map(|f| resolved(&f.display().to_string(), &here));
    // COMPOSE_FILE may stand in the .env of the folder where we are: that one counts too.
    let near = given.clone().or_else(|| beside(&options.files)).unwrap_or_else(|| here.clone());
    let mut environment = if asked.is_empty() { usual(&near, outer)? } else { environment(&asked, outer)? };
    let mut files = options.files.clone();
    if let Some(list) = environment.get("COMPOSE_FILE").filter(|_| files.is_empty()) {
        let separator = environment.get("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
        files = list.split(separator).filter(|f| !f.is_empty()).map(PathBuf::from).collect();
    }
    if files.is_empty() {
        files = found(&near)?;
    }
    let files: Vec<PathBuf> = files.into_iter().map(|f| if f == Path::new("-") { f } else { resolved(&f.display().to_string(), &here) }).collect();
    if let Some(path) = files.iter().find(|f| *f != Path::new("-") && !readable(f)) {
        return Err(Error::Missing { path: path.clone(), whose: if options.files.is_empty() { "COMPOSE_FILE".into() } else { "-f".into() } });
    }
    let folder = given.or_else(|| beside(&files)).unwrap_or(here);
    if asked.is_empty() && folder != near {
        environment = usual(&folder, &environment)?;
    }
    let documents = files.iter().map(|f| Document::read(f)).collect::<Result<Vec<_>, _>>()?;
    let name = name(options, &environment, &documents, &folder)?;
    environment.insert("COMPOSE_PROJECT_NAME".into(), name.clone());
    let mut loader = Loader { environment, keep_variables: options.keep_variables, documents: Vec::new(), warnings: Vec::new(), unset: BTreeSet::new(), open: Vec::new() };
    let mut tree = Object::new();
    for document in documents {
        let (over, tags) = loader.whole(document, &folder)?;
        merge(&mut tree, over, &tags);
    }
    let Loader { environment, documents, warnings, .. } = loader;
    Ok(Loaded { tree, documents, files, folder, name, warnings, environment })
}

/// Something that can be read: a file, or what stands for one (`/dev/null`, a shell's `<(…)`).
pub fn readable(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// The folder's own files, or those of the nearest folder above that has any.
fn found(from: &Path) -> Result<Vec<PathBuf>, Error> {
    let first = |folder: &Path, names: &[&str]| names.iter().map(|n| folder.join(n)).find(|p| p.is_file());
    for folder in from.ancestors() {
        if let Some(file) = first(folder, &NAMES) {
            return Ok(std::iter::once(file).chain(first(folder, &OVERRIDES)).collect());
        }
    }
    Err(Error::NoFile { folder: from.to_owned() })
}

/// The files of variables that were asked for by name.
fn env_files(options: &Options, outer: &BTreeMap<String, String>) -> Result<Vec<PathBuf>, Error> {
    let mut files = options.env_files.clone();
    if let Some(list) = outer.get("COMPOSE_ENV_FILES").filter(|_| files.is_empty()) {
        files = list.split(',').filter(|f| !f.is_empty()).map(PathBuf::from).collect();
    }
    match files.iter().find(|f| !readable(f)) {
        Some(path) => Err(Error::Missing { path: path.clone(), whose: "--env-file".into() }),
        None => Ok(files),
    }
}

/// With the variables of a folder's `.env`, if it has one and that is wanted.
fn usual(folder: &Path, outer: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    let own = folder.join(".env");
    let unwanted = outer.get("COMPOSE_DISABLE_ENV_FILE").is_some_and(|v| matches!(v.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    if unwanted || !readable(&own) { Ok(outer.clone()) } else { environment(&[own], outer) }
}

/// What variables are filled in from: files of variables, and over them what is there already.
fn environment(files: &[PathBuf], outer: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    for file in files {
        let known = |name: &str| outer.get(name).or_else(|| all.get(name)).cloned();
        let read = variables(file, &known)?;
        all.extend(read);
    }
    all.extend(outer.clone());
    Ok(all)
}

/// The variables of one file.
pub fn variables(file: &Path, outer: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, Error> {
    let document = Document::read(file)?;
    dotenv::read(&document.text, outer).map_err(|bad| {
        let place = format!("{}:{}", document.shown, bad.line);
        Fault { place, what: bad.problem, why: None, hint: Some("a line is NAME=value; quotes keep blanks, # and $ as they are".into()) }.into()
    })
}

/// The project's name: as it was asked for, of the environment, of the files, or of the folder.
fn name(options: &Options, environment: &BTreeMap<String, String>, documents: &[Document], folder: &Path) -> Result<String, Error> {
    let mut name = options.name.clone().or_else(|| environment.get("COMPOSE_PROJECT_NAME").cloned()).filter(|n| !n.is_empty());
    for document in documents.iter().rev() {
        let said = document.tree()?.0.get("name").and_then(Value::as_str).map(str::to_owned);
        if let (None, Some(text)) = (&name, said) {
            let lookup = |name: &str| environment.get(name).cloned();
            name = Variables::new(&lookup).expand(&text).ok();
        }
    }
    let of_folder = || {
        let base = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        plain.trim_start_matches(['-', '_']).to_owned()
    };
    let name = name.unwrap_or_else(of_folder);
    check_name(&name).map(|()| name)
}

/// Small letters, digits, and after the first `-` and `_`.
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if name.is_empty() || !fits || name.starts_with(['-', '_']) { Err(Error::BadName { name: name.to_owned() }) } else { Ok(()) }
}

struct Loader {
    environment: BTreeMap<String, String>,
    keep_variables: bool,
    documents: Vec<Document>,
    warnings: Vec<String>,
    /// Variables that were told of.
    unset: BTreeSet<String>,
    /// The services and files that are being followed: `extends` and `include` may lead in a circle.
    open: Vec<(PathBuf, String)>,
}

type Tags = Vec<(Vec<String>, Tag)>;
type Part = (Object, Tags);

impl Loader {
    /// A file with all that it extends and includes.
    fn whole(&mut self, document: Document, folder: &Path) -> Result<Part, Error> {
        let (mut tree, tags) = self.part(&document, folder)?;
        self.documents.push(document.clone());
        // A service that is taken away need not be one.
        for (path, _) in tags.iter().filter(|(path, tag)| *tag == Tag::Reset && path.len() == 2) {
            remove(&mut tree, path);
        }
        let names: Vec<String> = tree.get("services").and_then(Json::as_object).into_iter().flatten().map(|(name, _)| name.clone()).collect();
        for name in names {
            let service = self.service(&document, (&tree, &tags), &name, folder)?;
            tree["services"][&name] = Json::Object(service);
        }
        if let Some(Json::Array(list)) = tree.remove("include") {
            let mut below = Object::new();
            for (nth, item) in list.iter().enumerate() {
                self.include(&document, item, nth, folder, &mut below)?;
            }
            for (name, _) in tree.get("services").and_then(Json::as_object).into_iter().flatten() {
                if below.get("services").is_some_and(|s| s.get(name).is_some()) {
                    let path = vec!["services".to_owned(), name.clone()];
                    return Err(document.fault(&Wrong { path, what: format!("services.{name} conflicts with imported resource"), hint: Some("a file over both may change it: -f this.yaml -f that.yaml".into()) }).into());
                }
            }
            objects(&mut below, tree);
            tree = below;
        }
        Ok((tree, tags))
    }

    /// One file by itself, valid and spelled out.
    fn part(&mut self, document: &Document, folder: &Path) -> Result<Part, Error> {
        let (mut tree, tags) = document.tree()?;
        if !self.keep_variables {
            self.fill(document, &mut tree, &mut Vec::new())?;
        }
        let mut idle = Vec::new();
        validate(&mut tree, &FILE, &mut idle).map_err(|w| document.fault(&w))?;
        for (path, why) in idle {
            let fault = document.fault(&Wrong { what: format!("{} is not heeded: {why}", dotted(&path)), path, hint: None });
            self.warn(fault.to_string());
        }
        let json = serde_json::to_value(&tree).map_err(|e| document.fault(&Wrong { path: Vec::new(), what: e.to_string(), hint: None }))?;
        let Json::Object(mut tree) = json else { return Ok((Object::new(), tags)) };
        normal::file(&mut tree, folder).map_err(|w| document.fault(&w))?;
        Ok((tree, tags))
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn fill(&mut self, document: &Document, value: &mut Value, path: &mut Vec<String>) -> Result<(), Fault> {
        match value {
            Value::String(text) => *text = self.expanded(document, text, path)?,
            Value::Mapping(mapping) => {
                for (key, inner) in mapping.iter_mut() {
                    path.push(key.as_str().unwrap_or_default().to_owned());
                    self.fill(document, inner, path)?;
                    path.pop();
                }
            }
            Value::Sequence(items) => {
                for (nth, item) in items.iter_mut().enumerate() {
                    path.push(nth.to_string());
                    self.fill(document, item, path)?;
                    path.pop();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn expanded(&mut self, document: &Document, text: &str, path: &[String]) -> Result<String, Fault> {
        if !text.contains('$') {
            return Ok(text.to_owned());
        }
        let lookup = |name: &str| self.environment.get(name).cloned();
        let mut variables = Variables::new(&lookup);
        let expanded = variables.expand(text);
        let unset = variables.unset;
        let fault = |what: String| document.fault(&Wrong { path: path.to_vec(), what, hint: None });
        for name in unset {
            if self.unset.insert(name.clone()) {
                self.warnings.push(fault(format!("the {name:?} variable is not set, defaulting to a blank string")).to_string());
            }
        }
        expanded.map_err(|problem| match problem {
            Problem::Syntax => fault(format!("invalid interpolation format for {}: {text:?}", dotted(path))).try_this("a $ that is meant as such is written $$; a variable ${NAME}, ${NAME:-default} or ${NAME:?message}"),
            Problem::Required { ref name, .. } => {
                fault(format!("{}: {}", dotted(path), dotenv::said(&problem))).try_this(format!("{name}=… skiff compose …, or a line {name}=… in the file .env"))
            }
        })
    }

    /// A service with what it extends.
    fn service(&mut self, document: &Document, (tree, tags): (&Object, &Tags), name: &str, folder: &Path) -> Result<Object, Error> {
        let path = ["services".to_owned(), name.to_owned()];
        let fault = |what: String, hint: &str| document.fault(&Wrong { path: path.to_vec(), what, hint: Some(hint.to_owned()) });
        let Some(Json::Object(mut own)) = tree.get("services").and_then(|s| s.get(name)).cloned() else {
            return Err(fault(format!("services.{name} says nothing"), "image: NAME, or build: FOLDER").into());
        };
        let Some(Json::Object(extends)) = own.remove("extends") else { return Ok(own) };
        let of = extends.get("service").and_then(Json::as_str).ok_or_else(|| fault(format!("services.{name}.extends names no service"), "extends: {service: base}"))?.to_owned();
        let here = (document.path.clone(), name.to_owned());
        if self.open.contains(&here) {
            let way: Vec<&str> = self.open.iter().map(|(_, name)| name.as_str()).chain([name]).collect();
            return Err(fault(format!("services extend each other in a circle: {}", way.join(" -> ")), "one of them must stand by itself").into());
        }
        self.open.push(here);
        let base = match extends.get("file").and_then(Json::as_str).map(|file| resolved(file, folder)) {
            None if tree.get("services").is_some_and(|s| s.get(&of).is_some()) => self.service(document, (tree, tags), &of, folder)?,
            None => return Err(fault(format!("services.{name} extends {of:?}, which is not there"), "extends names a service of this file, or of the one that `file:` names").into()),
            Some(file) if !readable(&file) => return Err(Error::Missing { path: file, whose: format!("services.{name}.extends") }),
            Some(file) => {
                let other = Document::read(&file)?;
                let folder = file.parent().unwrap_or(folder).to_owned();
                let (tree, tags) = self.part(&other, &folder)?;
                if tree.get("services").is_none_or(|s| s.get(&of).is_none()) {
                    return Err(fault(format!("services.{name} extends {of:?}, which is not in {}", other.shown), "see which services the file has").into());
                }
                let base = self.service(&other, (&tree, &tags), &of, &folder)?;
                self.documents.push(other);
                base
            }
        };
        self.open.pop();
        let mut merged = base;
        // What a tag says of the file below it says of the service below, too.
        let here = |path: &Vec<String>| path.strip_prefix(&["services".to_owned(), name.to_owned()][..]).map(<[String]>::to_vec);
        let tags: Tags = tags.iter().filter_map(|(path, tag)| Some((here(path)?, *tag))).collect();
        merge(&mut merged, own, &tags);
        Ok(merged)
    }

    fn include(&mut self, document: &Document, item: &Json, nth: usize, folder: &Path, into: &mut Object) -> Result<(), Error> {
        let paths = |value: &Json| match value {
            Json::Array(list) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            other => other.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
        };
        let files = if item.is_object() { paths(&item["path"]) } else { paths(item) };
        let files: Vec<PathBuf> = files.iter().map(|f| resolved(f, folder)).collect();
        // The first is the one that is meant, the others are over it: it says where paths begin.
        let own = item.get("project_directory").and_then(Json::as_str).map(|f| resolved(f, folder));
        let own = own.or_else(|| files.first().and_then(|f| f.parent()).map(Path::to_owned)).unwrap_or_else(|| folder.to_owned());
        let asked: Vec<PathBuf> = item.get("env_file").map(paths).unwrap_or_default().iter().map(|f| resolved(f, folder)).collect();
        if let Some(path) = asked.iter().find(|f| !readable(f)) {
            return Err(Error::Missing { path: path.clone(), whose: "include".into() });
        }
        let inner = if asked.is_empty() { usual(&own, &self.environment)? } else { environment(&asked, &self.environment)? };
        let outer = std::mem::replace(&mut self.environment, inner);
        let mut tree = Object::new();
        for path in files {
            if !readable(&path) {
                return Err(Error::Missing { path, whose: "include".into() });
            }
            if self.open.iter().any(|(open, _)| *open == path) {
                let wrong = Wrong { path: vec!["include".into(), nth.to_string()], what: format!("{} includes itself", path.display()), hint: None };
                return Err(document.fault(&wrong).into());
            }
            self.open.push((path.clone(), String::new()));
            let (over, tags) = self.whole(Document::read(&path)?, &own)?;
            self.open.pop();
            merge(&mut tree, over, &tags);
        }
        self.environment = outer;
        objects(into, tree);
        Ok(())
    }
}
