//! Files as a container would see them, without a mount: layers, one over the other; or a folder, as
//! the context is.
//!
//! A name is looked up as overlay does it (Linux Documentation/filesystems/overlayfs.rst): the topmost
//! layer that has something of that name decides, a whiteout is nothing, an opaque folder hides what
//! lies lower. Every component is looked at before it is passed, so that a link in a layer never leads
//! to the host's files; links are followed here, within the tree.

use super::ignore::Ignore;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// A tree of files.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Lowest first.
    folders: Vec<PathBuf>,
    /// What a context leaves out; `None` for layers.
    context: Option<Ignore>,
}

/// Something in a tree.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub metadata: Metadata,
    /// Where it lies on the host.
    pub real: PathBuf,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Astray {
    /// It climbs out of the context.
    Outside,
    /// A link leads out of the context.
    Link(PathBuf, PathBuf),
    /// Links lead in a circle.
    Circle,
}

/// As many links as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

impl Tree {
    /// What layers show, lowest first.
    pub fn of_layers(folders: &[PathBuf]) -> Self {
        Self { folders: folders.to_vec(), context: None }
    }

    /// A folder without what is ignored.
    pub fn of_context(folder: &Path, ignore: Ignore) -> Self {
        Self { folders: vec![folder.to_owned()], context: Some(ignore) }
    }

    /// The layers' folders, lowest first.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// True for a context.
    pub fn is_context(&self) -> bool {
        self.context.is_some()
    }

    /// What is at `path`, relative to the root and free of links but for its last component.
    pub fn look(&self, path: &Path) -> Option<Node> {
        if self.context.as_ref().is_some_and(|i| i.excludes(&path.to_string_lossy())) {
            // A folder that is left out is still passed through where something in it was taken back.
            let back = self.context.as_ref().is_some_and(|i| i.may_take_back_below(&path.to_string_lossy()));
            return self.find(path).filter(|node| back && node.metadata.is_dir() && !self.list(path).is_empty());
        }
        self.find(path)
    }

    /// Whether something is at `path`, left out or not.
    pub fn is_there(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    fn find(&self, path: &Path) -> Option<Node> {
        let parts: Vec<Component<'_>> = path.components().filter(|c| matches!(c, Component::Normal(_))).collect();
        'layers: for folder in self.folders.iter().rev() {
            let mut real = folder.clone();
            if parts.is_empty() {
                return fs::symlink_metadata(&real).ok().map(|metadata| Node { metadata, real });
            }
            let mut opaque = false;
            for (i, part) in parts.iter().enumerate() {
                real.push(part);
                match fs::symlink_metadata(&real) {
                    Err(_) if opaque => return None,
                    Err(_) => continue 'layers,
                    Ok(metadata) if self.hides(&metadata) => return None,
                    Ok(metadata) if i + 1 == parts.len() => return Some(Node { metadata, real }),
                    Ok(metadata) if !metadata.is_dir() => return None,
                    Ok(_) => opaque |= self.is_opaque(&real),
                }
            }
        }
        None
    }

    /// A whiteout: overlay's mark for "removed".
    fn hides(&self, metadata: &Metadata) -> bool {
        self.context.is_none() && metadata.file_type().is_char_device() && metadata.rdev() == 0
    }

    fn is_opaque(&self, folder: &Path) -> bool {
        let marked = |space: &str| xattr::get(folder, format!("{space}.overlay.opaque")).ok().flatten().is_some_and(|v| v == b"y");
        self.context.is_none() && (marked("trusted") || marked("user"))
    }

    /// The names in a folder, sorted; of a context's, those that are not left out.
    pub fn list(&self, path: &Path) -> Vec<OsString> {
        let (mut names, mut hidden) = (BTreeSet::new(), BTreeSet::new());
        for folder in self.folders.iter().rev() {
            let alone = Self { folders: vec![folder.clone()], context: self.context.clone() };
            match alone.find(path) {
                Some(node) if node.metadata.is_dir() => {
                    for entry in fs::read_dir(&node.real).into_iter().flatten().flatten() {
                        let name = entry.file_name();
                        if hidden.contains(&name) {
                            continue;
                        }
                        if self.context.is_none() && entry.metadata().is_ok_and(|m| self.hides(&m)) {
                            hidden.insert(name);
                        } else {
                            names.insert(name);
                        }
                    }
                    // It, or a folder that it lies in, hides what lies lower.
                    if self.removed_in(folder, path) {
                        break;
                    }
                }
                Some(_) => break,
                // Removed here, or not known here: the whole tree's view decides which.
                None if self.removed_in(folder, path) => break,
                None => {}
            }
        }
        if let Some(ignore) = &self.context {
            names.retain(|name| {
                let below = path.join(name);
                let text = below.to_string_lossy();
                !ignore.excludes(&text) || (ignore.may_take_back_below(&text) && self.look(&below).is_some())
            });
        }
        names.into_iter().collect()
    }

    /// True where one layer takes away `path`, or a folder that it lies in.
    fn removed_in(&self, folder: &Path, path: &Path) -> bool {
        let mut real = folder.to_owned();
        for part in path.components().filter(|c| matches!(c, Component::Normal(_))) {
            real.push(part);
            match fs::symlink_metadata(&real) {
                Ok(metadata) if self.hides(&metadata) || !metadata.is_dir() => return true,
                Ok(_) if self.is_opaque(&real) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Follows all links in `path`, its last component's too. What is not there stays as it is written.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Astray> {
        self.follow(path, true)
    }

    /// As [`Tree::resolve`], but for the last component.
    pub fn resolve_parents(&self, path: &Path) -> Result<PathBuf, Astray> {
        self.follow(path, false)
    }

    fn follow(&self, path: &Path, last: bool) -> Result<PathBuf, Astray> {
        let mut waiting: VecDeque<OsString> = parts(path);
        let (mut here, mut links) = (PathBuf::new(), 0);
        while let Some(part) = waiting.pop_front() {
            if part == ".." {
                if !here.pop() && self.is_context() {
                    return Err(Astray::Outside);
                }
                continue;
            }
            here.push(&part);
            if !last && waiting.is_empty() {
                break;
            }
            let Some(node) = self.find(&here).filter(|n| n.metadata.is_symlink()) else { continue };
            let Ok(to) = fs::read_link(&node.real) else { continue };
            links += 1;
            if links > LINKS {
                return Err(Astray::Circle);
            }
            let link = here.clone();
            here.pop();
            if to.is_absolute() {
                if self.is_context() {
                    return Err(Astray::Link(link, to));
                }
                here = PathBuf::new();
            }
            let climbs = parts(&to).iter().take_while(|p| *p == "..").count();
            if self.is_context() && climbs > here.components().count() {
                return Err(Astray::Link(link, to));
            }
            for part in parts(&to).into_iter().rev() {
                waiting.push_front(part);
            }
        }
        Ok(here)
    }
}

/// A path's parts without `/` and `.`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Astray, Tree};
    use crate::build::ignore::Ignore;
    use nix::sys::stat::{Mode, SFlag, mknod};
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    fn layers(names: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<PathBuf> = names.iter().map(|n| dir.path().join(n)).collect();
        all.iter().for_each(|l| fs::create_dir(l).unwrap());
        (dir, all)
    }

    fn file(layer: &Path, name: &str) {
        fs::create_dir_all(layer.join(name).parent().unwrap()).unwrap();
        fs::write(layer.join(name), layer.file_name().unwrap().to_str().unwrap()).unwrap();
    }

    #[test]
    fn layers_are_seen_as_overlay_shows_them() {
        let (_dir, all) = layers(&["low", "middle", "top"]);
        for name in ["a/b/c", "a/gone", "a/over", "x/y/z", "kept"] {
            file(&all[0], name);
        }
        file(&all[1], "x/y/new");
        xattr::set(all[1].join("x"), "user.overlay.opaque", b"y").unwrap();
        file(&all[2], "a/over");
        mknod(&all[2].join("a/gone"), SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        file(&all[2], "kept2");
        let tree = Tree::of_layers(&all);
        let names = |path: &str| tree.list(Path::new(path));
        let of = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(names(""), of(&["a", "kept", "kept2", "x"]));
        assert_eq!(names("a"), of(&["b", "over"]));
        assert_eq!(names("x/y"), of(&["new"]), "an opaque folder above hides what lies lower");
        let real = |path: &str| tree.look(Path::new(path)).map(|n| n.real.strip_prefix(all[0].parent().unwrap()).unwrap().to_owned());
        assert_eq!(real("a/over"), Some("top/a/over".into()));
        assert_eq!(real("a/b/c"), Some("low/a/b/c".into()));
        assert_eq!((real("a/gone"), real("x/y/z"), real("a/over/below")), (None, None, None));
    }

    #[test]
    fn links_are_followed_within_the_tree() {
        let (_dir, all) = layers(&["low", "top"]);
        file(&all[0], "real/f");
        symlink("/real", all[0].join("absolute")).unwrap();
        symlink("../../../../real", all[0].join("climbing")).unwrap();
        symlink("circle", all[0].join("circle")).unwrap();
        // A link below, a folder of the same name on top: nothing of the link is passed.
        symlink("/etc", all[0].join("both")).unwrap();
        fs::create_dir(all[1].join("both")).unwrap();
        let tree = Tree::of_layers(&all);
        let resolved = |path: &str| tree.resolve(Path::new(path));
        assert_eq!(resolved("/absolute/f"), Ok("real/f".into()));
        assert_eq!(resolved("climbing/f"), Ok("real/f".into()));
        assert_eq!(resolved("nothing/../climbing/new"), Ok("real/new".into()));
        assert_eq!(resolved("circle/x"), Err(Astray::Circle));
        assert!(tree.look(Path::new("both/passwd")).is_none());
        let context = Tree::of_context(&all[0], Ignore::default());
        assert_eq!(context.resolve(Path::new("../x")), Err(Astray::Outside));
        assert_eq!(context.resolve(Path::new("absolute/f")), Err(Astray::Link("absolute".into(), "/real".into())));
        assert!(matches!(context.resolve(Path::new("climbing")), Err(Astray::Link(..))));
    }
}
