//! What a source of COPY names: a file, the contents of a folder, all that a pattern matches.

use crate::build::glob;
use crate::build::ignore::Ignore;
use crate::build::tree::{Astray, Node, Tree};
use crate::image::layer::Hashing;
use crate::kernel::{OrSys, SysError};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One file, folder or link.
#[derive(Debug, Clone)]
pub enum Found {
    /// It lies in a tree.
    Node(Node),
    /// It stands in the Dockerfile.
    Bytes(Vec<u8>),
}

/// What one source is.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// Its own name, for a destination that is a folder.
    pub name: OsString,
    /// Where it lay in its tree (`--parents` keeps this).
    pub path: PathBuf,
    /// True for a folder: what is in it is copied, and not itself.
    pub is_folder: bool,
    /// What is copied, by its path below the source; a file's own is empty.
    pub entries: Vec<(PathBuf, Found)>,
}

/// Why a source cannot be had.
#[derive(Debug)]
pub enum Missing {
    /// Nothing has this name.
    NotFound,
    /// It is there, and `.dockerignore` leaves it out.
    Ignored,
    /// The way to it leads out.
    Astray(Astray),
    /// It cannot be read.
    System(SysError),
}

impl From<SysError> for Missing {
    fn from(error: SysError) -> Self {
        Self::System(error)
    }
}

/// A file that stands in the Dockerfile.
pub fn from_bytes(name: &str, content: Vec<u8>) -> Gathered {
    Gathered { name: name.into(), path: name.into(), is_folder: false, entries: vec![(PathBuf::new(), Found::Bytes(content))] }
}

/// All that `source` names in `tree`, without what `exclude` matches.
pub fn from_tree(tree: &Tree, source: &str, exclude: &Ignore) -> Result<Vec<Gathered>, Missing> {
    if !glob::is_pattern(source) {
        return Ok(vec![one(tree, Path::new(source), exclude)?]);
    }
    let mut found = Vec::new();
    let parts: Vec<&str> = source.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    expand(tree, PathBuf::new(), &parts, &mut found)?;
    found.iter().map(|path| one(tree, path, exclude)).collect()
}

/// What `source` names in `tree`, whatever signs are in it.
pub fn from_path(tree: &Tree, source: &str) -> Result<Gathered, Missing> {
    one(tree, Path::new(source), &Ignore::default())
}

/// Follows a pattern folder by folder.
fn expand(tree: &Tree, folder: PathBuf, parts: &[&str], found: &mut Vec<PathBuf>) -> Result<(), Missing> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(folder);
        return Ok(());
    };
    if *part == ".." {
        return Err(Missing::Astray(Astray::Outside));
    }
    let here = tree.resolve(&folder).map_err(Missing::Astray)?;
    let names = tree.list(&here).into_iter().filter(|name| glob::matches(part, &name.to_string_lossy()));
    for name in names {
        let path = folder.join(name);
        let is_folder = || tree.resolve(&path).ok().and_then(|p| tree.look(&p)).is_some_and(|n| n.metadata.is_dir());
        if rest.is_empty() || is_folder() {
            expand(tree, path, rest, found)?;
        }
    }
    Ok(())
}

fn one(tree: &Tree, source: &Path, exclude: &Ignore) -> Result<Gathered, Missing> {
    let path = tree.resolve(source).map_err(Missing::Astray)?;
    let Some(node) = tree.look(&path) else {
        let ignored = tree.is_context() && path.components().next().is_some() && tree.is_there(&path);
        return Err(if ignored { Missing::Ignored } else { Missing::NotFound });
    };
    let name = source.file_name().or(path.file_name()).unwrap_or_default().to_owned();
    let mut gathered = Gathered { name, path: path.clone(), is_folder: node.metadata.is_dir(), entries: Vec::new() };
    if gathered.is_folder {
        below(tree, &path, Path::new(""), exclude, &mut gathered.entries);
    } else {
        gathered.entries.push((PathBuf::new(), Found::Node(node)));
    }
    Ok(gathered)
}

fn below(tree: &Tree, root: &Path, folder: &Path, exclude: &Ignore, entries: &mut Vec<(PathBuf, Found)>) {
    for name in tree.list(&root.join(folder)) {
        let path = folder.join(name);
        let Some(node) = tree.look(&root.join(&path)) else { continue };
        let left_out = exclude.excludes(&path.to_string_lossy());
        let is_folder = node.metadata.is_dir();
        // Sockets are no content of an image.
        if !left_out && !node.metadata.file_type().is_socket() {
            entries.push((path.clone(), Found::Node(node)));
        }
        if is_folder && (!left_out || exclude.may_take_back_below(&path.to_string_lossy())) {
            below(tree, root, &path, exclude, entries);
        }
    }
}

impl Gathered {
    /// The digest of each file with its mode and owner, by its path; what time it has does not count.
    pub fn digests(&self, keep_owner: bool) -> Result<BTreeMap<String, String>, SysError> {
        let mut all = BTreeMap::new();
        for (path, found) in &self.entries {
            let shown = self.path.join(path).to_string_lossy().trim_end_matches('/').to_owned();
            all.insert(shown, found.digest(keep_owner)?);
        }
        if self.is_folder && all.is_empty() {
            all.insert(format!("{}/", self.path.display()), "an empty folder".into());
        }
        Ok(all)
    }
}

impl Found {
    fn digest(&self, keep_owner: bool) -> Result<String, SysError> {
        let node = match self {
            Self::Bytes(bytes) => return Ok(format!("file 644 0:0 {}", crate::image::layer::digest(bytes).digest())),
            Self::Node(node) => node,
        };
        let metadata = &node.metadata;
        // What a user who is not root has on the disk is root's in their images.
        let kept = keep_owner && nix::unistd::geteuid().is_root();
        let (uid, gid) = if kept { (metadata.uid(), metadata.gid()) } else { (0, 0) };
        let marks = format!("{:o} {uid}:{gid}", metadata.mode() & 0o7777);
        let kind = metadata.file_type();
        Ok(if kind.is_dir() {
            format!("folder {marks}")
        } else if kind.is_symlink() {
            let to = fs::read_link(&node.real).or_sys_with(|| format!("read the link {}", node.real.display()))?;
            format!("link {}", crate::image::layer::digest(to.as_os_str().as_bytes()).digest())
        } else if kind.is_file() {
            let file = File::open(&node.real).or_sys_with(|| format!("open {}", node.real.display()))?;
            let (digest, _) = Hashing::new(file).finish().or_sys_with(|| format!("read {}", node.real.display()))?;
            format!("file {marks} {}", digest.digest())
        } else {
            format!("device {marks} {}", metadata.rdev())
        })
    }
}
