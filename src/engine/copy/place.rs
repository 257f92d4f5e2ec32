//! What lies at a path, and under which name a copy arrives there: the rules of `docker cp`.

use std::fs;
use std::path::{Path, PathBuf};

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, and not even the folder that it would lie in.
    Nowhere,
    /// Nothing, but the folder that it would lie in is there.
    Absent,
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

impl Kind {
    /// Looks; at what a link leads to if `follow`, and where the path ends in a slash.
    pub fn of(path: &Path, follow: bool) -> Self {
        let follow = follow || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        match found {
            Ok(metadata) if metadata.is_dir() => Kind::Folder,
            Ok(_) => Kind::File,
            Err(_) => {
                let above = parent(path);
                if above.is_dir() { Kind::Absent } else { Kind::Nowhere }
            }
        }
    }

    /// One letter, to be told by a visitor.
    pub fn letter(self) -> &'static str {
        match self {
            Kind::Nowhere => "n",
            Kind::Absent => "a",
            Kind::Folder => "d",
            Kind::File => "f",
        }
    }

    /// The letter's meaning.
    pub fn from_letter(letter: &str) -> Self {
        match letter {
            "d" => Kind::Folder,
            "f" => Kind::File,
            "a" => Kind::Absent,
            _ => Kind::Nowhere,
        }
    }
}

/// The folder that a path lies in; `.` for a bare name.
pub fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => ".".into(),
        Some(above) => above.to_owned(),
        None => "/".into(),
    }
}

/// The last part of a path; `.` for what has none, such as `/` and `..`.
pub fn base(path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| ".".into(), PathBuf::from)
}

/// Where a copy is unpacked, and under which name it comes there; or what is wrong.
///
/// `contents` says that the source was written with `/.` at its end.
pub fn arrival(source: (&Path, Kind), contents: bool, target: (&Path, Kind)) -> Result<(PathBuf, PathBuf), &'static str> {
    let (from, what) = source;
    let (to, there) = target;
    let whole = (to.to_owned(), if contents { ".".into() } else { base(from) });
    let renamed = (parent(to), base(to));
    let wants_folder = to.as_os_str().as_encoded_bytes().ends_with(b"/");
    match (what, there) {
        (_, Kind::Folder) => Ok(whole),
        (_, Kind::Nowhere) => Err("no such directory"),
        (Kind::Folder, Kind::File) => Err("cannot copy directory"),
        (Kind::Folder, Kind::Absent) => Ok(renamed),
        (_, Kind::Absent) if wants_folder => Err("the destination directory must exist"),
        (_, Kind::File) if wants_folder => Err("not a directory"),
        _ => Ok(renamed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_arrives_where_docker_puts_it() {
        let at = |from: &str, what, contents, to: &str, there| arrival((Path::new(from), what), contents, (Path::new(to), there));
        let ok = |folder: &str, name: &str| Ok((PathBuf::from(folder), PathBuf::from(name)));
        use Kind::{Absent, File, Folder, Nowhere};
        assert_eq!(at("/a/x", File, false, "/b", Folder), ok("/b", "x"));
        assert_eq!(at("/a/x", File, false, "/b/y", Absent), ok("/b", "y"));
        assert_eq!(at("/a/x", File, false, "/b/y", File), ok("/b", "y"));
        assert_eq!(at("/a/x", File, false, "/b/y/", Absent), Err("the destination directory must exist"));
        assert_eq!(at("/a", Folder, false, "/b", Folder), ok("/b", "a"));
        assert_eq!(at("/a", Folder, true, "/b", Folder), ok("/b", "."));
        assert_eq!(at("/a", Folder, false, "/b/c", Absent), ok("/b", "c"));
        assert_eq!(at("/a", Folder, true, "c", Absent), ok(".", "c"));
        assert_eq!(at("/a", Folder, false, "/b/y", File), Err("cannot copy directory"));
        assert_eq!(at("/a", File, false, "/b/y/z", Nowhere), Err("no such directory"));
    }
}
