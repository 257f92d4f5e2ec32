//! What a build is made from: the Dockerfile's text, the context's folder, what it leaves out.

use super::Error;
use super::ignore::Ignore;
use crate::image::layer::{self, Compression};
use crate::image::unpack;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest Dockerfile or `.dockerignore`, in bytes.
const LONGEST: u64 = 1 << 20;

/// Reads a Dockerfile; its name is what errors call it. One that lies in the context is read beneath it.
pub fn dockerfile(context: &Path, path: &Path) -> Result<String, Error> {
    match read(context, path)? {
        Some(bytes) => text(bytes, &path.display().to_string()),
        None => Err(Error::NoDockerfile { path: path.to_owned(), near: near(path) }),
    }
}

/// Reads a file, `None` where there is none. No link of the context leads to a file of the host: what is
/// named below the context is opened beneath it (openat2(2), RESOLVE_BENEATH). And whatever a link or an
/// archive makes of the name, it is a file with an end: no device, no pipe that nobody writes to.
fn read(context: &Path, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let unfit = |problem: String| Error::Unfit { path: path.to_owned(), problem };
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = match below(context, path) {
        None => open(path, flags, Mode::empty()),
        Some(inside) => {
            let root = open(context, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
            let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
            root.and_then(|root| openat2(root, &inside, OpenHow::new().flags(flags).resolve(resolve)))
        }
    };
    let file = match opened {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::EXDEV) => return Err(unfit("it is a link that leads out of the build context".into())),
        Err(errno) => return Err(SysError::new(format!("read {}", path.display()), errno).into()),
    };
    let shown = || format!("read {}", path.display());
    if !file.metadata().or_sys_with(shown)?.is_file() {
        return Err(unfit("it is no regular file".into()));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).or_sys_with(shown)?;
    if bytes.len() as u64 > LONGEST {
        return Err(unfit(format!("it is longer than {} KiB", LONGEST >> 10)));
    }
    Ok(Some(bytes))
}

/// The path below the context of what is named there, links not looked at.
fn below(context: &Path, path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    let whole = super::config::cleaned(&whole.to_string_lossy());
    Some(Path::new(&whole).strip_prefix(context).ok()?.to_owned())
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
        if let Some(bytes) = read(context, &path)? {
            return Ignore::parse(&String::from_utf8_lossy(&bytes)).map_err(|problem| Error::Unfit { path, problem });
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
    Compression::of(start) != Compression::None || is_tar(start)
}

/// True where these first bytes are a tar's. The oldest tars do not say "ustar": what all of them have is
/// the header's sum, as octal digits, in which its own field counts as spaces (tar(5)).
pub fn is_tar(start: &[u8]) -> bool {
    let Some(block) = start.get(..512) else { return false };
    let digits = String::from_utf8_lossy(&block[148..156]);
    let noted = u32::from_str_radix(digits.trim_matches([' ', '\0']), 8);
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { u32::from(b' ') } else { u32::from(*byte) }).sum();
    noted == Ok(sum)
}
