//! Where each copied file goes in the stage as it is: into a folder or to a name, through the links
//! that the stage has, with the folders above it.

use super::gather::{Found, Gathered};
use super::owner::Chmod;
use crate::build::tree::{Node, Tree};
use nix::unistd::geteuid;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What to do with what was gathered.
#[derive(Debug, Clone, Default)]
pub struct Where {
    /// The destination, absolute.
    pub to: PathBuf,
    /// It was written with a `/` at its end, or there are several sources.
    pub is_folder: bool,
    /// `--chown`.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--parents`.
    pub parents: bool,
    /// Keeps the owners that the files have: from a stage, and from an archive.
    pub keep_owner: bool,
    /// It comes out of an archive: `--chown` and `--chmod` are not for its members, its hard links stay
    /// ones, and its folders take the place of links.
    pub archive: bool,
}

/// A file of the new layer.
#[derive(Debug, Clone)]
pub struct Placed {
    /// What it holds; `None` for a folder that only leads to others.
    pub what: Option<Found>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since the epoch.
    pub time: i64,
    /// Where its extended attributes are.
    pub real: Option<PathBuf>,
    /// One of several names of a file, which stay that.
    pub hard: bool,
}

impl Placed {
    fn is_folder(&self) -> bool {
        match &self.what {
            None => true,
            Some(Found::Node(node)) => node.metadata.is_dir(),
            Some(Found::Bytes(_)) => false,
        }
    }
}

/// The layer's files by their path, folders above them included. `Err` says in words why one cannot be there.
pub fn place(stage: &Tree, sources: &[Gathered], to: &Where) -> Result<BTreeMap<PathBuf, Placed>, String> {
    let mut layer = BTreeMap::new();
    let base = stage.resolve(&to.to).map_err(|_| format!("{}: too many links", to.to.display()))?;
    let existing = stage.look(&base);
    let is_folder = to.is_folder || existing.as_ref().is_some_and(|n| n.metadata.is_dir());
    if let Some(node) = existing.filter(|n| is_folder && !n.metadata.is_dir()) {
        let kind = if node.metadata.is_file() { "a file" } else { "no folder" };
        return Err(format!("cannot copy to non-directory: {} is {kind}", to.to.display()));
    }
    for source in sources {
        let mut target = base.clone();
        if to.parents {
            let shown = source.path.parent().filter(|_| !source.is_folder).map_or(source.path.clone(), Path::to_path_buf);
            target = target.join(shown);
        }
        if !source.is_folder && (is_folder || to.parents) {
            target = target.join(&source.name);
        }
        if source.is_folder {
            folder(stage, &target, None, to, &mut layer)?;
        }
        for (path, found) in &source.entries {
            let target = if path.as_os_str().is_empty() { target.clone() } else { target.join(path) };
            add(stage, &target, found, to, &mut layer)?;
        }
    }
    lead(stage, &mut layer, to.owner)?;
    Ok(layer)
}

/// A layer with one folder more: WORKDIR's. Empty where the stage has it.
pub fn directory(stage: &Tree, path: &Path) -> Result<BTreeMap<PathBuf, Placed>, String> {
    let mut layer = BTreeMap::new();
    let target = stage.resolve(path).map_err(|_| format!("{}: too many links", path.display()))?;
    match stage.look(&target) {
        Some(node) if node.metadata.is_dir() => return Ok(layer),
        Some(_) => return Err(format!("{} is a file of the image, and no folder", path.display())),
        None => {}
    }
    layer.insert(target, Placed { what: None, mode: 0o755, uid: 0, gid: 0, time: 0, real: None, hard: false });
    lead(stage, &mut layer, None)?;
    Ok(layer)
}

fn add(stage: &Tree, target: &Path, found: &Found, to: &Where, layer: &mut BTreeMap<PathBuf, Placed>) -> Result<(), String> {
    let (mut mode, mut uid, mut gid, time, real) = match found {
        Found::Bytes(_) => (0o644, 0, 0, 0, None),
        Found::Node(node) => {
            let (uid, gid) = if to.keep_owner && geteuid().is_root() { (node.metadata.uid(), node.metadata.gid()) } else { (0, 0) };
            (node.metadata.mode() & 0o7777, uid, gid, node.metadata.mtime(), Some(node.real.clone()))
        }
    };
    let is_dir = matches!(found, Found::Node(n) if n.metadata.is_dir());
    if let Some(there) = stage.look(target) {
        let shown = Path::new("/").join(target);
        match (is_dir, there.metadata.is_dir()) {
            (true, false) if !to.archive => return Err(format!("cannot copy to non-directory: {}", shown.display())),
            (false, true) => return Err(format!("cannot replace to directory {} with file", shown.display())),
            _ => {}
        }
    }
    // An earlier source of the same COPY may have put something else there.
    if let Some(there) = layer.get(target).filter(|there| there.is_folder() != is_dir) {
        let kind = if there.is_folder() { "a folder" } else { "no folder" };
        return Err(format!("cannot copy two things to {}: another source has {kind} there", Path::new("/").join(target).display()));
    }
    if let Some(owner) = to.owner.filter(|_| !to.archive) {
        (uid, gid) = owner;
    }
    if let Some(chmod) = &to.chmod
        && !to.archive
        && !matches!(found, Found::Node(n) if n.metadata.is_symlink())
    {
        mode = chmod.apply(mode, is_dir);
    }
    let hard = to.archive && matches!(found, Found::Node(n) if n.metadata.is_file() && n.metadata.nlink() > 1);
    layer.insert(target.to_owned(), Placed { what: Some(found.clone()), mode, uid, gid, time, real, hard });
    Ok(())
}

/// The destination folder itself: as it is, or made new.
fn folder(stage: &Tree, target: &Path, node: Option<&Node>, to: &Where, layer: &mut BTreeMap<PathBuf, Placed>) -> Result<(), String> {
    if target.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(there) = stage.look(target) {
        if !there.metadata.is_dir() {
            return Err(format!("cannot copy to non-directory: {}", Path::new("/").join(target).display()));
        }
        layer.insert(target.to_owned(), as_it_is(&there));
        return Ok(());
    }
    let (uid, gid) = to.owner.unwrap_or((0, 0));
    let time = node.map_or(0, |n| n.metadata.mtime());
    layer.insert(target.to_owned(), Placed { what: None, mode: 0o755, uid, gid, time, real: None, hard: false });
    Ok(())
}

fn as_it_is(node: &Node) -> Placed {
    let (uid, gid) = if geteuid().is_root() { (node.metadata.uid(), node.metadata.gid()) } else { (0, 0) };
    Placed { what: None, mode: node.metadata.mode() & 0o7777, uid, gid, time: node.metadata.mtime(), real: Some(node.real.clone()), hard: false }
}

/// Adds the folders above: those of the stage as they are there, since overlay takes a folder's mode
/// from the topmost layer that has it; new ones with the newest time of what is copied, so that the
/// same files always make the same layer.
fn lead(stage: &Tree, layer: &mut BTreeMap<PathBuf, Placed>, owner: Option<(u32, u32)>) -> Result<(), String> {
    let newest = layer.values().map(|p| p.time).max().unwrap_or(0);
    let paths: Vec<PathBuf> = layer.keys().cloned().collect();
    for path in paths {
        for above in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            match layer.get(above) {
                Some(there) if there.is_folder() => continue,
                Some(_) => return Err(format!("cannot copy to non-directory: {}", Path::new("/").join(above).display())),
                None => {}
            }
            let (uid, gid) = owner.unwrap_or((0, 0));
            let new = Placed { what: None, mode: 0o755, uid, gid, time: newest, real: None, hard: false };
            let placed = match stage.look(above) {
                Some(node) if node.metadata.is_dir() => as_it_is(&node),
                Some(_) => return Err(format!("cannot copy to non-directory: {}", Path::new("/").join(above).display())),
                None => new,
            };
            layer.insert(above.to_owned(), placed);
        }
    }
    for placed in layer.values_mut().filter(|p| p.what.is_none() && p.time == 0 && p.real.is_none()) {
        placed.time = newest;
    }
    Ok(())
}
