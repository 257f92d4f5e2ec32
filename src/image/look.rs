//! What is in an image: what each layer does to the files below it, and how two images differ.
//!
//! A layer is read where it lies unpacked, as overlay means it (see [`changes`]); two images are
//! compared as the trees that a container would see (see [`merged`]). Two files are the same if type,
//! mode, owner and content are; a time alone is no difference.

use super::changes::{self, Kind};
use super::error::at;
use super::{Error, Image, merged};
use crate::kernel::OrSys;
use oci_spec::image::{Descriptor, MediaType};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One step of an image's making: an instruction, and its layer if it made one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Step {
    /// What made it, as the config's history has it; empty where nobody said.
    pub instruction: String,
    /// Its layer.
    pub layer: Option<Layer>,
}

/// A layer of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Layer {
    /// Digest of the stored bytes.
    pub digest: String,
    /// Digest of the tar inside.
    pub diff_id: String,
    /// `gzip`, `zstd` or `tar`.
    pub stored_as: &'static str,
    /// Bytes as stored.
    pub stored_size: u64,
    /// Bytes of its files.
    pub size: u64,
    /// The stored file.
    pub blob: PathBuf,
    /// The folder with its files.
    pub folder: PathBuf,
    /// What it does to the files below it, sorted by path.
    pub files: Vec<Difference>,
}

/// A path that is another than below, or than in another image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// From the image's root.
    pub path: PathBuf,
    /// Bytes, of a file; of what was removed, what it had.
    pub size: u64,
    /// A directory.
    pub folder: bool,
}

/// The steps of an image's making, the first first. Layers that the history leaves out come last.
pub fn steps(store: &super::Store, image: &Image) -> Result<Vec<Step>, Error> {
    image.layer_dirs()?;
    let sizes = image.layer_sizes();
    let mut layers = (0..image.layers.len()).map(|i| layer(store, image, i, sizes[i]));
    let mut steps = Vec::new();
    for entry in image.config.history().iter().flatten() {
        let layer = if entry.empty_layer() == Some(true) { None } else { layers.next().transpose()? };
        let comment = entry.comment().clone().filter(|_| entry.created_by().as_deref().is_none_or(str::is_empty));
        let instruction = comment.or(entry.created_by().clone()).unwrap_or_default();
        steps.push(Step { instruction, layer });
    }
    for rest in layers {
        steps.push(Step { instruction: String::new(), layer: Some(rest?) });
    }
    Ok(steps)
}

fn layer(store: &super::Store, image: &Image, number: usize, size: u64) -> Result<Layer, Error> {
    let descriptor: &Descriptor = &image.manifest.layers()[number];
    let folder = image.layers[number].clone();
    let below = &image.layers[..number];
    let files = changes::list(&folder, below)?.into_iter().map(|change| {
        let relative = change.path.strip_prefix("/").unwrap_or(&change.path);
        let metadata = match change.kind {
            Kind::Deleted => changes::below(relative, below),
            _ => fs::symlink_metadata(folder.join(relative)).ok(),
        };
        let folder = metadata.as_ref().is_some_and(Metadata::is_dir);
        Difference { kind: change.kind, size: metadata.filter(|m| !m.is_dir()).map_or(0, |m| m.len()), path: change.path, folder }
    });
    Ok(Layer {
        digest: descriptor.digest().to_string(),
        diff_id: image.config.rootfs().diff_ids()[number].clone(),
        stored_as: stored_as(descriptor.media_type()),
        stored_size: descriptor.size(),
        size,
        blob: store.blob_path(descriptor.digest()),
        files: files.collect(),
        folder,
    })
}

fn stored_as(kind: &MediaType) -> &'static str {
    match kind.to_string() {
        kind if kind.ends_with("gzip") => "gzip",
        kind if kind.ends_with("zstd") => "zstd",
        _ => "tar",
    }
}

/// How the tree of `new` differs from that of `old`, sorted by path.
pub fn compare(old: &Image, new: &Image) -> Result<Vec<Difference>, Error> {
    let before = tree(old)?;
    let mut after = tree(new)?;
    let mut found = Vec::new();
    let difference = |kind, path: &Path, metadata: &Metadata| {
        let size = if metadata.is_dir() { 0 } else { metadata.len() };
        Difference { kind, path: Path::new("/").join(path), size, folder: metadata.is_dir() }
    };
    for (path, (source, metadata)) in &before {
        match after.remove(path) {
            None => found.push(difference(Kind::Deleted, path, metadata)),
            Some((other, now)) if !same(source, metadata, &other, &now)? => found.push(difference(Kind::Changed, path, &now)),
            Some(_) => {}
        }
    }
    found.extend(after.iter().map(|(path, (_, metadata))| difference(Kind::Added, path, metadata)));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

type Tree = BTreeMap<PathBuf, (PathBuf, Metadata)>;

fn tree(image: &Image) -> Result<Tree, Error> {
    let layers = image.layer_dirs()?;
    let mut tree = Tree::new();
    merged::walk(layers, &mut |found| {
        tree.insert(found.path.to_owned(), (layers[found.layer].join(found.path), found.metadata.clone()));
        Ok(())
    })?;
    Ok(tree)
}

fn same(one: &Path, a: &Metadata, other: &Path, b: &Metadata) -> Result<bool, Error> {
    // A layer that both have.
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Ok(true);
    }
    if (a.mode(), a.uid(), a.gid(), a.rdev()) != (b.mode(), b.uid(), b.gid(), b.rdev()) {
        return Ok(false);
    }
    if a.is_symlink() {
        let read = |path: &Path| fs::read_link(path).or_sys_with(|| at("read", path));
        return Ok(read(one)? == read(other)?);
    }
    Ok(!a.is_file() || (a.len() == b.len() && same_bytes(one, other)?))
}

fn same_bytes(one: &Path, other: &Path) -> Result<bool, Error> {
    let open = |path: &Path| File::open(path).or_sys_with(|| at("open", path));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        for (file, bytes) in [(&mut one, &mut a), (&mut other, &mut b)] {
            bytes.clear();
            file.by_ref().take(1 << 16).read_to_end(bytes).or_sys("read a file of a layer")?;
        }
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}
