//! mdBook as a library: nobody has to install it.

use super::{BookError, Drydock, Reader};
use crate::course::Course;
use crate::kernel::OrSys;
use include_dir::{Dir, include_dir};
use mdbook_driver::MDBook;
use std::path::{Path, PathBuf};

static BOOK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/book");
/// The engine's source, which the book quotes by anchors.
static ENGINE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/engine");

/// What only served pages have, by the setting that takes it.
const LIVE: [(&str, &str); 2] = [("output.html.additional-js", "theme/live.js"), ("output.html.additional-css", "theme/live.css")];

/// The text of a file below book/ that the binary carries.
pub(super) fn carried(path: &str) -> Result<&'static str, BookError> {
    let text = BOOK.get_file(path).and_then(include_dir::File::contents_utf8);
    text.ok_or_else(|| BookError::Mdbook(format!("book/{path} is missing from this program, or is not UTF-8")))
}

/// A folder that is gone when this is dropped.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Builds the book for `reader` into `to`. Gives the path of its first page.
pub fn build(course: Course, to: &Path, reader: Reader) -> Result<PathBuf, BookError> {
    let told = |e: mdbook_preprocessor::errors::Error| BookError::Mdbook(format!("{e:#}"));
    let aside = Aside(std::env::temp_dir().join(format!("drydock-book-{}", std::process::id())));
    let root = aside.0.join("book");
    unpack(&BOOK, &root)?;
    unpack(&ENGINE, &aside.0.join("src/engine"))?;
    let text = std::fs::read_to_string(root.join("book.toml")).or_sys("read book.toml")?;
    let mut config: mdbook_preprocessor::config::Config = text.parse().map_err(told)?;
    // The preprocessor is put in as a value; as a command it would run a second time.
    config.set("preprocessor", serde_json::json!({})).map_err(told)?;
    if reader.is_served {
        for (setting, file) in LIVE {
            let mut files: Vec<String> = config.get(setting).map_err(told)?.unwrap_or_default();
            files.push(file.into());
            config.set(setting, files).map_err(told)?;
        }
    }
    let to = std::path::absolute(to).or_sys_with(|| format!("find {}", to.display()))?;
    config.build.build_dir.clone_from(&to);
    let mut book = MDBook::load_with_config(&root, config).map_err(told)?;
    book.with_preprocessor(Drydock::of(course, reader)?);
    book.build().map_err(told)?;
    Ok(to.join("index.html"))
}

fn unpack(dir: &Dir<'_>, to: &Path) -> Result<(), BookError> {
    std::fs::create_dir_all(to).or_sys_with(|| format!("make {}", to.display()))?;
    for file in dir.files() {
        let path = to.join(file.path().file_name().unwrap_or_default());
        std::fs::write(&path, file.contents()).or_sys_with(|| format!("write {}", path.display()))?;
    }
    for below in dir.dirs() {
        unpack(below, &to.join(below.path().file_name().unwrap_or_default()))?;
    }
    Ok(())
}
