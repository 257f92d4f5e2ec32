//! A small filesystem in memory, written as a tar whose bytes depend on nothing but its content.

use crate::image::Error;
use crate::image::error::at;
use crate::kernel::OrSys;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// Directories, files and links, by path from the root, sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory { mode: u32 },
    /// Content made here.
    Text(Vec<u8>),
    /// Content of a file of the host.
    Copy { from: PathBuf, mode: u32 },
    Link(PathBuf),
}

impl Tree {
    /// All of another tree that is not here yet.
    pub(super) fn add(&mut self, other: Tree) {
        for (path, node) in other.nodes {
            self.nodes.entry(path).or_insert(node);
        }
    }

    /// A directory, with those above it.
    pub(super) fn directory(&mut self, path: impl AsRef<Path>, mode: u32) {
        let path = relative(path.as_ref());
        self.above(&path);
        self.nodes.insert(path, Node::Directory { mode });
    }

    /// A file that may be read by all.
    pub(super) fn text(&mut self, path: impl AsRef<Path>, text: &str) {
        let path = relative(path.as_ref());
        self.above(&path);
        self.nodes.insert(path, Node::Text(text.as_bytes().to_vec()));
    }

    /// A file of the host, elsewhere.
    pub(super) fn copy(&mut self, from: &Path, to: impl AsRef<Path>, mode: u32) {
        let path = relative(to.as_ref());
        self.above(&path);
        self.nodes.insert(path, Node::Copy { from: from.to_owned(), mode });
    }

    /// A symbolic link; what is there already stays.
    pub(super) fn link(&mut self, path: impl AsRef<Path>, to: impl Into<PathBuf>) {
        let path = relative(path.as_ref());
        self.above(&path);
        self.nodes.entry(path).or_insert(Node::Link(to.into()));
    }

    /// A file of the host at its own path, with each symbolic link on the way to it, so that every
    /// name by which the host knows it is good here too. Links between directories go to `links`.
    pub(super) fn mirror(&mut self, path: &Path, mode: u32, links: &mut Tree) -> Result<(), Error> {
        let mut at_now = PathBuf::from("/");
        let mut left: Vec<PathBuf> = parts(path);
        let mut hops = 0;
        while let Some(part) = left.pop() {
            if part == Path::new("..") {
                at_now.pop();
                continue;
            }
            let here = at_now.join(&part);
            let kind = fs::symlink_metadata(&here).or_sys_with(|| at("read", &here))?.file_type();
            if kind.is_symlink() {
                hops += 1;
                if hops > 40 {
                    return Err(Error::NoBase { problem: format!("{} is a circle of links", path.display()) });
                }
                let to = fs::read_link(&here).or_sys_with(|| at("read", &here))?;
                if here.is_dir() { links.link(&here, &to) } else { self.link(&here, &to) }
                if to.is_absolute() {
                    at_now = PathBuf::from("/");
                }
                left.extend(parts(&to));
            } else {
                at_now = here;
            }
        }
        self.copy(&at_now, &at_now, mode);
        Ok(())
    }

    /// True if something is at `path`.
    pub(super) fn has(&self, path: impl AsRef<Path>) -> bool {
        self.nodes.contains_key(&relative(path.as_ref()))
    }

    /// How many entries there are that are not directories.
    pub(super) fn files(&self) -> usize {
        self.nodes.values().filter(|n| !matches!(n, Node::Directory { .. })).count()
    }

    /// Writes it: sorted, owned by root, all with the same time.
    pub(super) fn write(&self, tar: &mut tar::Builder<impl Write>, time: u64) -> Result<(), Error> {
        for (path, node) in &self.nodes {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            header.set_mode(0o644);
            let written = match node {
                Node::Directory { mode } => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    tar.append_data(&mut header, path.join(""), std::io::empty())
                }
                Node::Text(text) => {
                    header.set_size(text.len() as u64);
                    tar.append_data(&mut header, path, text.as_slice())
                }
                Node::Copy { from, mode } => {
                    let file = File::open(from).or_sys_with(|| at("open", from))?;
                    header.set_mode(*mode);
                    header.set_size(file.metadata().or_sys_with(|| at("read", from))?.len());
                    tar.append_data(&mut header, path, file)
                }
                Node::Link(to) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, path, to)
                }
            };
            written.or_sys_with(|| format!("write {} into a layer of base", path.display()))?;
        }
        tar.finish().or_sys("write a layer of base")?;
        Ok(())
    }

    fn above(&mut self, path: &Path) {
        for folder in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            self.nodes.entry(folder.to_owned()).or_insert(Node::Directory { mode: 0o755 });
        }
    }
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// The components of a path, last first, without the root.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    let mut parts: Vec<PathBuf> = named.map(|c| PathBuf::from(c.as_os_str())).collect();
    parts.reverse();
    parts
}
