//! What a build is made from: the Dockerfile's text, the context's folder, what it leaves out.

use super::Error;
use super::ignore::Ignore;
use crate::image::layer::{self, Compression};
use crate::image::unpack;
use crate::kernel::OrSys;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads a Dockerfile; its name is what errors call it.
pub fn dockerfile(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NoDockerfile { path: path.to_owned(), near: near(path) },
        _ => crate::kernel::SysError::new(format!("read {}", path.display()), crate::kernel::error::errno_of(&e)).into(),
    })?;
    text(bytes, &path.display().to_string())
}

/// A Dockerfile's bytes as text.
pub fn text(bytes: Vec<u8>, name: &str) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        Error::Dockerfile { shown: format!("{name}:{line}: it is not text (UTF-8)"), expected: None }
    })
}

/// `Dockerfile.txt`, `dockerfile`: what somebody may have meant.
fn near(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name()?.to_string_lossy().to_lowercase();
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut fits: Vec<String> = names
        .filter(|n| strsim::damerau_levenshtein(&n.to_lowercase(), &wanted) <= 2 || n.to_lowercase().contains(&wanted) || n == "Containerfile")
        .collect();
    fits.sort();
    fits.into_iter().next()
}

/// What the context leaves out: `Dockerfile.dockerignore` beside the Dockerfile, else `.dockerignore`.
pub fn ignore(context: &Path, dockerfile: Option<&Path>) -> Result<Ignore, Error> {
    let of_file = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in of_file.into_iter().chain([context.join(".dockerignore")]) {
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(Ignore::parse(&String::from_utf8_lossy(&bytes))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e).or_sys_with(|| format!("read {}", path.display())).map_err(Into::into),
        }
    }
    Ok(Ignore::default())
}

/// Unpacks a context that came as an archive, compressed or not.
pub fn unpack_context(folder: &Path, archive: impl Read + Send) -> Result<(), Error> {
    Ok(unpack::tree(folder, layer::tar_of(archive)?)?)
}

/// True where these first bytes are an archive's and not a Dockerfile's.
pub fn is_archive(start: &[u8]) -> bool {
    Compression::of(start) != Compression::None || start.get(257..262) == Some(b"ustar")
}
