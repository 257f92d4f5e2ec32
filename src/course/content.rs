//! Where the course's files come from: embedded in the binary, or a folder that an author works in.

use super::Error;
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};

static LESSONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/lessons");
static EXERCISES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/exercises");

/// The files of a course.
#[derive(Debug, Clone)]
pub enum Content {
    /// Those that the binary was built with.
    Embedded,
    /// `lessons/` and `exercises/` below this folder.
    Folder(PathBuf),
}

impl Content {
    /// The text of a file such as `lessons/course.yaml`.
    pub fn read(&self, path: &str) -> Result<String, Error> {
        let missing = |problem: String| Error::File { file: path.to_owned(), line: 0, problem };
        match self {
            Content::Embedded => {
                let file = embedded(path).and_then(|(dir, rest)| dir.get_file(rest));
                let text = file.and_then(include_dir::File::contents_utf8).ok_or_else(|| missing("no such file, or it is not UTF-8".into()))?;
                Ok(text.to_owned())
            }
            Content::Folder(folder) => std::fs::read_to_string(folder.join(path)).map_err(|e| missing(e.to_string())),
        }
    }

    /// Names of the folders in a folder, sorted.
    pub fn folders(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Content::Embedded => {
                let dir = embedded(path).and_then(|(dir, rest)| if rest.is_empty() { Some(dir) } else { dir.get_dir(rest) });
                let dirs = dir.into_iter().flat_map(Dir::dirs);
                dirs.filter_map(|d| Some(d.path().file_name()?.to_string_lossy().into_owned())).collect()
            }
            Content::Folder(folder) => {
                let entries = std::fs::read_dir(folder.join(path)).into_iter().flatten().flatten();
                entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect()
            }
        };
        names.sort();
        names
    }

    /// Writes the files of a folder below `path` into `to`: what an exercise starts with.
    pub fn copy_to(&self, path: &str, to: &Path) -> std::io::Result<()> {
        match self {
            Content::Embedded => {
                if let Some(dir) = embedded(path).and_then(|(dir, rest)| dir.get_dir(rest)) {
                    for file in dir.files() {
                        if let Some(name) = file.path().file_name() {
                            std::fs::write(to.join(name), file.contents())?;
                        }
                    }
                }
                Ok(())
            }
            Content::Folder(folder) => {
                for entry in std::fs::read_dir(folder.join(path)).into_iter().flatten().flatten() {
                    if entry.path().is_file() {
                        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Which embedded tree a path is in, and the rest of it.
fn embedded(path: &str) -> Option<(&'static Dir<'static>, &str)> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "lessons" => Some((&LESSONS, rest)),
        "exercises" => Some((&EXERCISES, rest)),
        _ => None,
    }
}
