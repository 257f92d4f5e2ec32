//! `skiff cp`: files between the host and a container, which need not run.

use super::{Outcome, boxed};
use crate::engine::container::Container;
use crate::engine::copy::pack::{pack, unpack};
use crate::engine::copy::place::{Kind, arrival, base};
use crate::engine::copy::{Visit, Work};
use crate::engine::error::Error;
use crate::engine::relay;
use crate::kernel::{OrSys, SysError};
use clap::Args;
use nix::errno::Errno;
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

// Options of `skiff cp`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff cp [OPTIONS] <CONTAINER>:<PATH> <PATH>|-\n       skiff cp [OPTIONS] <PATH>|- <CONTAINER>:<PATH>")]
pub struct Cp {
    /// Keep the owners of the files
    #[arg(short, long)]
    pub(super) archive: bool,
    /// Copy what a link leads to, if the source is one
    #[arg(short = 'L', long)]
    pub(super) follow_link: bool,
    /// CONTAINER:PATH, a path of the host, or - for a tar archive on standard input
    pub(super) source: String,
    /// The same; - is a tar archive on standard output
    pub(super) target: String,
}

/// Either end of a copy.
enum End<'a> {
    Inside(&'a str, PathBuf),
    Host(&'a str),
}

impl<'a> End<'a> {
    /// A path with a `/` or `.` at its beginning is the host's, whatever it has in it.
    fn read(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((name, path)) if !text.starts_with(['/', '.']) && !name.is_empty() => End::Inside(name, Path::new("/").join(path)),
            _ => End::Host(text),
        }
    }
}

/// Copies.
pub fn run(args: &Cp, root: &Path) -> Outcome {
    let copied = match (End::read(&args.source), End::read(&args.target)) {
        (End::Inside(name, path), End::Host(to)) => Container::find(root, name).and_then(|c| out(args, &c, &path, to)),
        (End::Host(from), End::Inside(name, path)) => Container::find(root, name).and_then(|c| into(args, &c, from, &path)),
        (End::Inside(..), End::Inside(..)) => Err(bad("copying between containers is not supported", "by way of the host: skiff cp one:/x - | skiff cp - two:/")),
        (End::Host(_), End::Host(_)) => Err(bad("must specify at least one container source", "skiff cp NAME:/etc/hosts .")),
    };
    copied.map(|()| 0).map_err(boxed)
}

fn bad(what: &str, hint: &'static str) -> Error {
    Error::Copy { what: what.to_owned(), hint }
}

/// `x/.` means what is in `x`.
fn is_contents(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/.")
}

/// What lies at a path inside.
fn look(container: &Container, path: &Path, follow: bool) -> Result<Kind, Error> {
    let work: Work<'_> = Box::new(move || Ok(Kind::of(path, follow).letter().to_owned()));
    Ok(Kind::from_letter(&Visit::begin(container, work)?.end()?))
}

fn out(args: &Cp, container: &Container, path: &Path, to: &str) -> Result<(), Error> {
    let contents = is_contents(path);
    let kind = look(container, path, args.follow_link || contents)?;
    if !matches!(kind, Kind::Folder | Kind::File) {
        let what = format!("Could not find the file {} in container {}", path.display(), container.name());
        return Err(bad(&what, "skiff exec NAME ls, or skiff diff NAME, shows what is there"));
    }
    let target = Path::new(to);
    let (folder, name) = match to {
        "-" => (PathBuf::new(), if contents { ".".into() } else { base(path) }),
        _ => arrival((path, kind), contents, (target, Kind::of(target, true))).map_err(|problem| bad(&format!("cannot copy to {to}: {problem}"), "the folder that it is to lie in must be there"))?,
    };
    let (read, write) = relay::pipe()?;
    let (mine, theirs) = (Held::new(read), Held::new(write));
    let owners = args.archive || to == "-";
    let follow = args.follow_link;
    let work: Work<'_> = Box::new(|| {
        mine.close();
        let followed = if follow { std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() };
        pack(&followed, &name, owners, theirs.take()?).map(|()| String::new())
    });
    let visit = Visit::begin(container, work)?;
    theirs.close();
    let mut from = mine.take()?;
    let unpacked = if to == "-" {
        std::io::copy(&mut from, &mut std::io::stdout().lock()).map(drop).or_sys("write to standard output").map_err(Error::from)
    } else {
        unpack(&folder, args.archive, &mut from).map_err(Error::from)
    };
    // Or the other would wait for ever for us to read.
    drop(from);
    let packed = visit.end();
    unpacked.and(packed.map(drop))
}

fn into(args: &Cp, container: &Container, from: &str, path: &Path) -> Result<(), Error> {
    let there = look(container, path, true)?;
    let source = Path::new(from);
    let (folder, name) = if from == "-" {
        if there != Kind::Folder {
            return Err(bad(&format!("destination \"{}:{}\" must be a directory", container.name(), path.display()), "an archive is unpacked into a folder"));
        }
        (path.to_owned(), PathBuf::new())
    } else {
        let kind = Kind::of(source, args.follow_link || is_contents(source));
        if !matches!(kind, Kind::Folder | Kind::File) {
            return Err(bad(&format!("lstat {from}: no such file or directory"), "the source is a path of the host"));
        }
        let problem = |problem: &str| bad(&format!("cannot copy to {}:{}: {problem}", container.name(), path.display()), "the folder that it is to lie in must be there");
        arrival((source, kind), is_contents(source), (path, there)).map_err(problem)?
    };
    let (read, write) = relay::pipe()?;
    let (theirs, mine) = (Held::new(read), Held::new(write));
    let work: Work<'_> = Box::new(|| {
        mine.close();
        let mut stream = theirs.take()?;
        unpack(&folder, true, &mut stream)?;
        // What stands behind the archive's end is read too, or the writer would be told of a broken pipe.
        std::io::copy(&mut stream, &mut std::io::sink()).or_sys("read the archive")?;
        Ok(String::new())
    });
    let visit = Visit::begin(container, work)?;
    theirs.close();
    let packed = feed(args, source, &name, mine.take()?);
    // If it failed, that is why we could not go on.
    visit.end()?;
    packed
}

/// An end of a pipe. Both processes have both; each lets go of the other's, or the stream had no end.
struct Held(RefCell<Option<File>>);

impl Held {
    fn new(fd: OwnedFd) -> Self {
        Self(RefCell::new(Some(fd.into())))
    }
    fn close(&self) {
        drop(self.0.borrow_mut().take());
    }
    fn take(&self) -> Result<File, SysError> {
        self.0.borrow_mut().take().ok_or_else(|| SysError::new("copy", Errno::EBADF))
    }
}

fn feed(args: &Cp, source: &Path, name: &Path, mut to: File) -> Result<(), Error> {
    if source.as_os_str() != "-" {
        let followed = if args.follow_link { std::fs::canonicalize(source).or_sys_with(|| format!("follow {}", source.display()))? } else { source.to_owned() };
        return Ok(pack(&followed, name, args.archive, to)?);
    }
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = std::io::stdin().read(&mut buffer).or_sys("read standard input")?;
        if n == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..n]).or_sys("copy standard input")?;
    }
}
