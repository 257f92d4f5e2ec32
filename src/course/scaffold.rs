//! What a new chapter, exercise or question begins as: a small one that works, to be changed.
//!
//! An author sees a whole example pass the contract first, and then makes it their own; a form with holes
//! would teach less and be wrong from the start. Nothing that is there is written over.

use super::error::Error;
use super::load::Course;
use super::quiz::Kind;
use super::{Content, slug};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const LESSON: &str = include_str!("scaffold/lesson.md");
const NOTES: &str = include_str!("scaffold/notes.md");
const EXERCISE: &str = include_str!("scaffold/exercise.yaml");
const ORDER: &str = "lessons/course.yaml";

/// A folder in which a course is written.
pub struct Author {
    folder: PathBuf,
    /// Paths that were written, below the folder.
    pub written: Vec<String>,
}

impl Author {
    /// Writes below `folder`, which has `lessons/` and `exercises/`, or will have them.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), written: Vec::new() }
    }

    /// A chapter with a step, an exercise and a question, as the last one; with it a course where there is none.
    pub fn chapter(&mut self, name: &str, title: Option<&str>) -> Result<(), Error> {
        let name = named(name)?;
        let order = fs::read_to_string(self.folder.join(ORDER)).unwrap_or_else(|_| "title: A course\nchapters:\n".into());
        let folders: Vec<String> = if self.folder.join(ORDER).exists() { self.course()?.folders } else { Vec::new() };
        if let Some(taken) = folders.iter().find(|f| slug(f) == name) {
            return Err(Error::Taken { what: format!("chapter {taken}") });
        }
        let last = folders.iter().filter_map(|f| f.split('-').next()?.parse::<u32>().ok()).max().unwrap_or(0);
        let chapter = format!("{:02}-{name}", last + 1);
        let title = title.map_or_else(|| spoken(name), str::to_owned);
        let filled = |text: &str| text.replace("TITLE", &title).replace("SLUG", name);
        self.create(&format!("lessons/{chapter}/lesson.md"), &filled(LESSON))?;
        self.create(&format!("lessons/{chapter}/quiz.yaml"), &question(&format!("{name}-first-1"), "first", Kind::One))?;
        self.create(&format!("lessons/{chapter}/notes.md"), &filled(NOTES))?;
        self.create(&format!("exercises/{chapter}/first/exercise.yaml"), &EXERCISE.replace("TITLE", "The first").replace("OBJECTIVE", "first"))?;
        // Last: a chapter that is in the order is whole.
        self.replace(ORDER, &format!("{}\n  - {chapter}\n", order.trim_end()))?;
        let now = self.course()?.folders;
        if !now.contains(&chapter) {
            return Err(Error::File { file: ORDER.into(), line: 0, problem: "expected the chapters last, one a line".into() });
        }
        Ok(())
    }

    /// An exercise `chapter/name`, with a place before the lesson's quiz.
    pub fn exercise(&mut self, id: &str, title: Option<&str>) -> Result<(), Error> {
        let course = self.course()?;
        let (chapter, name) = id.split_once('/').ok_or_else(|| Error::BadName { name: id.to_owned(), expected: "CHAPTER/NAME" })?;
        let (chapter, name) = (course.chapter(chapter)?, named(name)?);
        let path = format!("lessons/{}/lesson.md", chapter.folder);
        if chapter.exercises.iter().any(|e| e == name) {
            return Err(Error::Taken { what: format!("exercise {}/{name}", chapter.slug()) });
        }
        let objective = chapter.lesson.front.objectives.first().map_or("first", |o| &o.id);
        let title = title.map_or_else(|| spoken(name), str::to_owned);
        self.create(&format!("exercises/{}/{name}/exercise.yaml", chapter.folder), &EXERCISE.replace("TITLE", &title).replace("OBJECTIVE", objective))?;
        let lesson = course.content.read(&path)?;
        let place = format!("## Exercise: {name}\n");
        let text = match lesson.rfind("\n## Quiz") {
            Some(at) => format!("{}\n\n{place}{}", lesson[..at].trim_end(), &lesson[at..]),
            None => format!("{}\n\n{place}", lesson.trim_end()),
        };
        self.replace(&path, &text)
    }

    /// A question of this kind at the end of a chapter's quiz.
    pub fn question(&mut self, chapter: &str, id: &str, kind: Kind) -> Result<(), Error> {
        let course = self.course()?;
        let (chapter, id) = (course.chapter(chapter)?, named(id)?);
        let mut all = course.folders.iter().filter_map(|f| course.chapter(f).ok()).flat_map(|c| c.quiz);
        if all.any(|q| q.id == id) {
            return Err(Error::Taken { what: format!("question {id}") });
        }
        let path = format!("lessons/{}/quiz.yaml", chapter.folder);
        let objective = chapter.lesson.front.objectives.first().map_or("first", |o| &o.id);
        let before = course.content.read(&path)?;
        let before = before.trim_end();
        let before = if before.is_empty() || before == "[]" { String::new() } else { format!("{before}\n\n") };
        self.replace(&path, &format!("{before}{}", question(id, objective, kind)))
    }

    fn course(&self) -> Result<Course, Error> {
        Course::load(Content::Folder(self.folder.clone()))
    }

    /// Writes a file that must be new.
    fn create(&mut self, path: &str, text: &str) -> Result<(), Error> {
        let at = self.folder.join(path);
        let failed = |e: std::io::Error| Error::File { file: path.to_owned(), line: 0, problem: format!("cannot be written: {e}") };
        fs::create_dir_all(at.parent().unwrap_or(&self.folder)).map_err(failed)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&at).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        self.written.push(path.to_owned());
        Ok(())
    }

    /// Writes a file anew: aside first, so that it is never half there.
    fn replace(&mut self, path: &str, text: &str) -> Result<(), Error> {
        let at = self.folder.join(path);
        let aside = at.with_extension("new");
        let failed = |e: std::io::Error| Error::File { file: path.to_owned(), line: 0, problem: format!("cannot be written: {e}") };
        fs::write(&aside, text).and_then(|()| fs::rename(&aside, &at)).map_err(failed)?;
        self.written.push(path.to_owned());
        Ok(())
    }
}

/// A name is a folder's and part of an id: small letters, digits, hyphens.
fn named(name: &str) -> Result<&str, Error> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let plain = !name.is_empty() && name.len() <= 40 && name.bytes().all(is_plain) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if plain { Ok(name) } else { Err(Error::BadName { name: name.to_owned(), expected: "small letters, digits and hyphens, a letter first" }) }
}

/// `own-proc` as a title: `Own proc`.
fn spoken(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// A question of this kind, whole.
fn question(id: &str, objective: &str, kind: Kind) -> String {
    let (word, rest) = match kind {
        Kind::One => ("one", CHOICES.to_owned()),
        Kind::Several => ("several", CHOICES.replace("{ text: \"only its owner\", because", "{ text: \"its owner\", right: true, because")),
        Kind::Number => ("number", "  answer: 644\n  tolerance: 0\n  because: \"Read and write is 6, read alone is 4.\"\n  wrong:\n    - { is: 600, because: \"That leaves nothing to the others.\" }\n".into()),
        Kind::Text => ("text", "  answer: [\"chmod 644\", \"chmod 0644\"]\n  because: \"Three digits: the owner, the group, the others.\"\n  wrong:\n    - { is: \"chmod 600\", because: \"That leaves nothing to the others.\" }\n".into()),
        Kind::Order => ("order", "  items:\n    - \"open(2)\"\n    - \"write(2)\"\n    - \"close(2)\"\n  because: \"Each needs the descriptor that open gave.\"\n".into()),
        Kind::Predict => (
            "predict",
            "  run: \"umask 077; : > berth; stat -c %a berth\"\n  choices:\n    - { text: \"600\", right: true, because: \"What umask names is taken away.\" }\n    - { text: \"644\", because: \"It would be, with umask 022.\" }\n".into(),
        ),
        Kind::Live => ("live", "  read: \"umask | tail -c 4\"\n  because: \"Each process has its own, from its parent.\"\n".into()),
    };
    format!("- id: {id}\n  objective: {objective}\n  kind: {word}\n  ask: |\n    A file has mode 0644. Who may read it?\n{rest}")
}

const CHOICES: &str = "  choices:
    - { text: \"everybody who gets as far as its folder\", right: true, because: \"The last digit is 4, read, for all others; the folders on the way have a say too.\" }
    - { text: \"only its owner\", because: \"The owner may write as well: that is the 6. The 4 twice is for the group and the others.\" }
    - { text: \"nobody, until it is made executable\", because: \"Execution is another bit, 1, and reading does not need it.\" }
";
