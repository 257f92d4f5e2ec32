//! Changing the store: blobs come in under the digest of their bytes, then a name makes them an image.
//!
//! One writer at a time (flock(2) on `images/.lock`). A writer that is dropped before it gave its
//! manifest a name takes back every blob that it brought: a failed load leaves the store as it was.

use super::aside::{Aside, Lock, write_whole};
use super::error::at;
use super::layer::{self, Hashing, LayerWriter};
use super::store::{Image, Store, check_digest, name_of, named};
use super::{Error, unpack};
use crate::kernel::OrSys;
use oci_spec::image::{Descriptor, Digest, ImageIndex, MediaType};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;

/// The right to change the store, until it is dropped.
#[derive(Debug)]
pub struct Writer<'a> {
    store: &'a Store,
    /// Blobs that came in and belong to no named image yet.
    unnamed: Rc<RefCell<Vec<PathBuf>>>,
    /// Layers that were unpacked for it.
    unpacked: RefCell<Vec<Digest>>,
    _lock: Lock,
}

impl<'a> Writer<'a> {
    /// Takes the writers' lock, and makes the layout if it is not there.
    pub(super) fn open(store: &'a Store) -> Result<Self, Error> {
        let layout = store.layout();
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).or_sys_with(|| at("create", &blobs))?;
        let lock = Lock::exclusive(&layout.join(".lock"))?;
        let aside = layout.join(".aside");
        // It is there only while somebody writes: the writer before has died.
        let died = aside.exists();
        if died {
            fs::remove_dir_all(&aside).or_sys_with(|| at("remove", &aside))?;
        }
        fs::create_dir(&aside).or_sys_with(|| at("create", &aside))?;
        let version = layout.join("oci-layout");
        if !version.exists() {
            write_whole(&aside, &version, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        let writer = Writer { store, unnamed: Rc::default(), unpacked: RefCell::default(), _lock: lock };
        if died {
            writer.sweep()?;
        }
        Ok(writer)
    }

    /// Removes blobs and layers that no image uses: what a writer brought that never came to name it.
    fn sweep(&self) -> Result<(), Error> {
        let images: Result<Vec<Image>, Error> = self.store.entries()?.iter().map(|e| self.store.image(&e.digest)).collect();
        // Where an image cannot be read, nobody knows what it uses.
        let Ok(images) = images else { return Ok(()) };
        let used: BTreeSet<PathBuf> = images.iter().flat_map(blobs_of).map(|d| self.store.blob_path(&d)).collect();
        let unpacked: BTreeSet<&PathBuf> = images.iter().flat_map(|i| &i.layers).collect();
        let layers = self.store.root.join("layers");
        for path in paths_in(&self.store.layout().join("blobs/sha256")).filter(|p| !used.contains(p)) {
            fs::remove_file(&path).or_sys_with(|| at("remove", &path))?;
        }
        for path in paths_in(&layers).filter(|p| !unpacked.contains(p)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Ok(diff_id) = Digest::from_str(&format!("sha256:{name}")) {
                unpack::remove(&layers, &diff_id)?;
            }
        }
        Ok(())
    }

    /// A blob to be written.
    pub fn blob(&self) -> Result<BlobWriter, Error> {
        let blobs = self.store.layout().join("blobs/sha256");
        let unnamed = Rc::clone(&self.unnamed);
        Ok(BlobWriter { aside: Aside::new(&self.aside())?, hasher: Sha256::new(), size: 0, blobs, unnamed })
    }

    /// A layer to be written, as tar.
    pub fn layer(&self) -> Result<LayerWriter, Error> {
        Ok(LayerWriter::new(self.blob()?))
    }

    /// Where to put a file for the time of this write.
    pub(super) fn aside(&self) -> PathBuf {
        self.store.layout().join(".aside")
    }

    /// Stores some bytes.
    pub fn put(&self, bytes: &[u8], media_type: MediaType) -> Result<Descriptor, Error> {
        let mut blob = self.blob()?;
        blob.write_all(bytes).or_sys("write an image's document")?;
        blob.finish(media_type)
    }

    /// Stores what `from` holds if it hashes to what `descriptor` says.
    pub fn copy(&self, from: impl Read, descriptor: &Descriptor) -> Result<(), Error> {
        let path = self.store.blob_path(descriptor.digest());
        if path.exists() {
            return Ok(());
        }
        let mut aside = Aside::new(&self.aside())?;
        let mut hashing = Hashing::new(from.take(descriptor.size().saturating_add(1)));
        io::copy(&mut hashing, &mut aside).or_sys_with(|| at("write", &path))?;
        let (found, _) = hashing.finish().or_sys("read a blob")?;
        check_digest("blob", descriptor.digest(), &found)?;
        aside.keep(&path)?;
        self.unnamed.borrow_mut().push(path);
        Ok(())
    }

    /// Stores the manifest of a config and its layers.
    pub fn manifest(&self, config: &Descriptor, layers: &[Descriptor]) -> Result<Descriptor, Error> {
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest,
            "config": config,
            "layers": layers,
        });
        self.put(document.to_string().as_bytes(), MediaType::ImageManifest)
    }

    /// Unpacks the layers of an image that has no name yet: what is hostile or damaged shows now.
    pub fn unpack(&self, image: &Image) -> Result<(), Error> {
        let new = image.layers.iter().zip(image.config.rootfs().diff_ids()).filter(|(dir, _)| !dir.is_dir());
        self.unpacked.borrow_mut().extend(new.filter_map(|(_, diff_id)| Digest::from_str(diff_id).ok()));
        image.layer_dirs()?;
        Ok(())
    }

    /// Gives an image its names. Another image that had one keeps its place, nameless.
    pub fn name(&self, manifest: &Descriptor, names: &[String]) -> Result<(), Error> {
        let mut index = self.store.index()?;
        let entries = index.manifests().clone();
        let taken = |d: &Descriptor| name_of(d).is_some_and(|n| names.iter().any(|name| name == n));
        let (lost, mut kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(taken);
        for name in names {
            kept.push(named(manifest, Some(name)));
        }
        if names.is_empty() {
            kept.push(named(manifest, None));
        }
        for old in lost {
            if !kept.iter().any(|d| d.digest() == old.digest()) {
                kept.push(named(&old, None));
            }
        }
        // An image with a name needs no nameless line.
        let has_name: BTreeSet<String> = kept.iter().filter(|d| name_of(d).is_some()).map(|d| d.digest().to_string()).collect();
        let mut nameless = BTreeSet::new();
        kept.retain(|d| {
            let digest = d.digest().to_string();
            name_of(d).is_some() || (!has_name.contains(&digest) && nameless.insert(digest))
        });
        index.set_manifests(kept);
        self.write_index(&index)?;
        self.unnamed.borrow_mut().clear();
        self.unpacked.borrow_mut().clear();
        Ok(())
    }

    /// Takes one name away, or with `None` the image's line altogether. Gives what was removed with
    /// the last line: the digests that no other image uses.
    pub fn forget(&self, digest: &Digest, name: Option<&str>) -> Result<Vec<Digest>, Error> {
        let mut index = self.store.index()?;
        let mut lines = index.manifests().clone();
        lines.retain(|d| d.digest() != digest || name.is_some_and(|n| name_of(d) != Some(n)));
        index.set_manifests(lines);
        self.write_index(&index)?;
        if index.manifests().iter().any(|d| d.digest() == digest) {
            return Ok(Vec::new());
        }
        self.collect(&self.store.image(digest)?)
    }

    /// Takes one name away and keeps the image, nameless if that was its last.
    pub fn untag(&self, image: &Image, name: &str) -> Result<(), Error> {
        let mut index = self.store.index()?;
        let Some(line) = index.manifests().iter().find(|d| name_of(d) == Some(name)).cloned() else { return Ok(()) };
        let mut lines = index.manifests().clone();
        lines.retain(|d| name_of(d) != Some(name));
        if !lines.iter().any(|d| *d.digest() == image.digest) {
            lines.push(named(&line, None));
        }
        index.set_manifests(lines);
        self.write_index(&index)
    }

    /// Removes what only `image` used: its documents, layers, and their unpacked directories.
    fn collect(&self, image: &Image) -> Result<Vec<Digest>, Error> {
        let others: Vec<Image> = self.store.entries()?.iter().map(|e| self.store.image(&e.digest)).collect::<Result<_, _>>()?;
        let used: BTreeSet<String> = others.iter().flat_map(blobs_of).map(|d| d.to_string()).collect();
        let gone: Vec<Digest> = blobs_of(image).into_iter().filter(|d| !used.contains(d.as_ref())).collect();
        let diff_ids = |i: &Image| i.config.rootfs().diff_ids().clone();
        let used_diffs: BTreeSet<String> = others.iter().flat_map(diff_ids).collect();
        let layers = self.store.root.join("layers");
        for diff_id in diff_ids(image).iter().filter(|d| !used_diffs.contains(*d)) {
            if let Ok(diff_id) = Digest::from_str(diff_id) {
                unpack::remove(&layers, &diff_id)?;
            }
        }
        for digest in &gone {
            let path = self.store.blob_path(digest);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).or_sys_with(|| at("remove", &path)).map_err(Into::into),
                _ => {}
            }
        }
        Ok(gone)
    }

    fn write_index(&self, index: &ImageIndex) -> Result<(), Error> {
        let path = self.store.layout().join("index.json");
        let text = serde_json::to_vec(index).map_err(|e| Error::malformed("index.json", e))?;
        write_whole(&self.aside(), &path, &text)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        for path in self.unnamed.borrow().iter() {
            let _ = fs::remove_file(path);
        }
        for diff_id in self.unpacked.borrow().iter() {
            let _ = unpack::remove(&self.store.root.join("layers"), diff_id);
        }
        let _ = fs::remove_dir_all(self.aside());
    }
}

/// A blob being written: named by its digest when it is finished, gone when it is dropped before.
#[derive(Debug)]
pub struct BlobWriter {
    aside: Aside,
    hasher: Sha256,
    size: u64,
    blobs: PathBuf,
    unnamed: Rc<RefCell<Vec<PathBuf>>>,
}

impl BlobWriter {
    /// Ends the blob: synced, and named by what it hashes to.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor, Error> {
        let digest = layer::digest_of(self.hasher);
        let path = self.blobs.join(digest.digest());
        // The same bytes are there already: the ones written aside go.
        if !path.exists() {
            self.aside.keep(&path)?;
            self.unnamed.borrow_mut().push(path);
        }
        Ok(Descriptor::new(media_type, self.size, digest))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.aside.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.aside.flush()
    }
}

fn paths_in(folder: &std::path::Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path())
}

fn blobs_of(image: &Image) -> Vec<Digest> {
    let layers = image.manifest.layers().iter().map(|d| d.digest().clone());
    layers.chain([image.digest.clone(), image.id.clone()]).collect()
}
