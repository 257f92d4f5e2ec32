//! Where the course's files come from: embedded in the binary, or a folder that an author works in.

use super::Error;
use include_dir::{Dir, include_dir};
use std::path::PathBuf;

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

    /// The files right in a folder, each with its name: what an exercise starts with. None where there is
    /// no such folder.
    pub fn files(&self, path: &str) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
        match self {
            Content::Embedded => {
                let dir = embedded(path).and_then(|(dir, rest)| dir.get_dir(rest));
                let files = dir.into_iter().flat_map(Dir::files);
                Ok(files.filter_map(|f| Some((f.path().file_name()?.into(), f.contents().to_vec()))).collect())
            }
            Content::Folder(folder) => {
                let entries = std::fs::read_dir(folder.join(path)).into_iter().flatten().flatten();
                entries.filter(|e| e.path().is_file()).map(|e| Ok((e.file_name().into(), std::fs::read(e.path())?))).collect()
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
