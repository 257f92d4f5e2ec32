//! Changing the store: blobs come in under the digest of their bytes, then a name makes them an image.
//!
//! Several may write at once. Each notes in a folder of its own which blobs and layers it needs, those
//! that it brings and those that it found there, and nobody removes what a living writer has noted.
//! A writer that is dropped before it gave its manifest a name takes back every blob that it brought
//! and nobody else needs: a failed load leaves the store as it was.

use super::aside::{self, Aside, Workspace, fresh_name, remove_tree, write_whole};
use super::collect::{self, USES, Use, names_in};
use super::error::at;
use super::layer::{self, LayerWriter};
use super::store::{Image, Store, check_digest, name_of, named};
use super::{Error, layers};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use oci_spec::image::{Descriptor, Digest, ImageIndex, MediaType};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One of those who change the store, until it is dropped. May be shared by threads.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) store: &'a Store,
    shared: Arc<Shared>,
}

/// What a writer and the blobs that it writes have in common.
#[derive(Debug)]
struct Shared {
    store: Store,
    work: Workspace,
}

impl<'a> Writer<'a> {
    /// Makes the layout if it is not there, and removes what a dead writer left.
    pub(super) fn open(store: &'a Store) -> Result<Self, Error> {
        let layout = store.layout();
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).or_sys_with(|| at("create", &blobs))?;
        // An image's files are its users' matter: another's layer may hold a key, or a setuid program.
        fs::set_permissions(&layout, fs::Permissions::from_mode(0o700)).or_sys_with(|| at("protect", &layout))?;
        let lock = store.lock()?;
        let died = aside::bury(&layout.join(".aside"))?;
        let work = Workspace::make(&layout.join(".aside"), &fresh_name())?;
        let work = work.ok_or_else(|| SysError::new(at("lock a folder in", &layout), Errno::EBUSY))?;
        fs::create_dir(work.path().join(USES)).or_sys_with(|| at("create a folder in", work.path()))?;
        let version = layout.join("oci-layout");
        if !version.exists() {
            write_whole(work.path(), &version, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        if died {
            collect::sweep(store)?;
        }
        drop(lock);
        layers::sweep(&store.root.join("layers"))?;
        layers::settle(&store.root.join("layers"))?;
        Ok(Writer { store, shared: Arc::new(Shared { store: store.clone(), work }) })
    }

    /// A blob to be written. It may be sent to another thread, and outlive no store.
    pub fn blob(&self) -> Result<BlobWriter, Error> {
        let aside = Aside::new(self.shared.work.path())?;
        Ok(BlobWriter { aside, hasher: Sha256::new(), size: 0, shared: Arc::clone(&self.shared) })
    }

    /// Whether the store has this blob; if so, nobody removes it until this writer ends.
    pub fn has(&self, digest: &Digest) -> Result<bool, Error> {
        let _lock = self.store.lock()?;
        self.shared.claim(&Use::Blob(digest))?;
        Ok(self.store.blob_path(digest).exists())
    }

    /// A layer to be written, as tar.
    pub fn layer(&self) -> Result<LayerWriter, Error> {
        Ok(LayerWriter::new(self.blob()?))
    }

    /// Where to put a file for the time of this write.
    pub(super) fn aside(&self) -> PathBuf {
        self.shared.work.path().to_owned()
    }

    /// Stores some bytes.
    pub fn put(&self, bytes: &[u8], media_type: MediaType) -> Result<Descriptor, Error> {
        let mut blob = self.blob()?;
        blob.write_all(bytes).or_sys("write an image's document")?;
        blob.finish(media_type)
    }

    /// Stores what `from` holds if it hashes to what `descriptor` says.
    pub fn copy(&self, from: impl Read, descriptor: &Descriptor) -> Result<(), Error> {
        if self.has(descriptor.digest())? && is_of_size(&self.store.blob_path(descriptor.digest()), descriptor.size()) {
            return Ok(());
        }
        let mut blob = self.blob()?;
        let path = self.store.blob_path(descriptor.digest());
        // One byte more than promised is enough to show that it is another.
        layer::copy(from.take(descriptor.size().saturating_add(1)), &mut blob).or_sys_with(|| at("write", &path))?;
        blob.finish_as(descriptor)
    }

    /// Takes a file as the blob `digest`; whoever gives it has hashed and synced it.
    pub(super) fn adopt(&self, from: &Path, digest: &Digest) -> Result<(), Error> {
        let path = self.store.blob_path(digest);
        let _lock = self.store.lock()?;
        self.shared.claim(&Use::Blob(digest))?;
        let Ok(length) = fs::metadata(from).map(|m| m.len()) else {
            // Another writer of the same blob has taken the file already.
            return if path.exists() { Ok(()) } else { Err(SysError::new(at("open", from), nix::errno::Errno::ENOENT).into()) };
        };
        if is_of_size(&path, length) {
            let _ = fs::remove_file(from);
            return Ok(());
        }
        fs::rename(from, &path).or_sys_with(|| at("create", &path))?;
        aside::sync_parent(&path)
    }

    /// Notes that this writer needs the unpacked layer `dir`, which is there or will be.
    pub fn needs_layer(&self, dir: &Path) -> Result<(), Error> {
        let _lock = self.store.lock()?;
        self.shared.claim(&Use::Layer(dir))
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

    /// Unpacks one layer, from whatever holds its bytes; an image that has it will find it there.
    pub(super) fn unpack_layer(&self, diff_id: &Digest, from: impl Read + Send) -> Result<(), Error> {
        let folder = self.store.root.join("layers");
        let lock = self.store.lock()?;
        self.shared.claim(&Use::Layer(&folder.join(diff_id.digest())))?;
        drop(lock);
        layers::unpack(&folder, diff_id, from)
    }

    /// Unpacks the layers of an image that has no name yet: what is hostile or damaged shows now.
    pub fn unpack(&self, image: &Image) -> Result<(), Error> {
        let lock = self.store.lock()?;
        for dir in &image.layers {
            self.shared.claim(&Use::Layer(dir))?;
        }
        drop(lock);
        image.unpack()
    }

    /// Gives an image its names. Another image that had one keeps its place, nameless.
    pub fn name(&self, manifest: &Descriptor, names: &[String]) -> Result<(), Error> {
        if let Some(name) = names.iter().find(|name| name.starts_with("sha256:")) {
            let problem = "sha256: begins a digest, so it would be taken for an image ID".to_owned();
            return Err(Error::BadReference { text: name.clone(), problem });
        }
        let _lock = self.store.lock()?;
        collect::check_whole(self.store, manifest.digest())?;
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
        self.write_index(&index)
    }

    /// Takes one name away, or with `None` the image's line altogether. Gives what was removed with
    /// the last line: the digests that no other image uses.
    pub fn forget(&self, digest: &Digest, name: Option<&str>) -> Result<Vec<Digest>, Error> {
        let _lock = self.store.lock()?;
        let mut index = self.store.index()?;
        let mut lines = index.manifests().clone();
        lines.retain(|d| d.digest() != digest || name.is_some_and(|n| name_of(d) != Some(n)));
        index.set_manifests(lines);
        self.write_index(&index)?;
        if index.manifests().iter().any(|d| d.digest() == digest) {
            return Ok(Vec::new());
        }
        match self.store.image(digest) {
            Ok(image) => collect::remove_unused(self.store, &image),
            // Damaged: what it had besides, the next sweep finds.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Takes one name away and keeps the image, nameless if that was its last.
    pub fn untag(&self, image: &Image, name: &str) -> Result<(), Error> {
        let _lock = self.store.lock()?;
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

    fn write_index(&self, index: &ImageIndex) -> Result<(), Error> {
        let path = self.store.layout().join("index.json");
        let text = serde_json::to_vec(index).map_err(|e| Error::malformed("index.json", e))?;
        write_whole(&self.aside(), &path, &text)
    }
}

impl Shared {
    /// Notes that this writer needs something. The caller holds the store's lock.
    fn claim(&self, what: &Use<'_>) -> Result<(), Error> {
        let path = self.work.path().join(USES).join(what.name());
        File::create(&path).or_sys_with(|| at("create", &path))?;
        Ok(())
    }
}

impl Drop for Shared {
    /// Takes back what it brought and no image came to have.
    fn drop(&mut self) {
        let uses = self.work.path().join(USES);
        if let Ok(_lock) = self.store.lock() {
            let names = names_in(&uses);
            let _ = remove_tree(&uses);
            let _ = collect::release(&self.store, &names);
        }
    }
}

/// A blob being written: named by its digest when it is finished, gone when it is dropped before.
#[derive(Debug)]
pub struct BlobWriter {
    aside: Aside,
    hasher: Sha256,
    size: u64,
    shared: Arc<Shared>,
}

impl BlobWriter {
    /// Ends the blob: synced, and named by what it hashes to.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor, Error> {
        let digest = layer::digest_of(self.hasher);
        keep(self.aside, &self.shared, &digest, self.size)?;
        Ok(Descriptor::new(media_type, self.size, digest))
    }

    /// Ends the blob if it is the one that `descriptor` promised.
    pub fn finish_as(self, descriptor: &Descriptor) -> Result<(), Error> {
        let found = layer::digest_of(self.hasher);
        check_digest("blob", descriptor.digest(), &found)?;
        keep(self.aside, &self.shared, &found, self.size)
    }
}

/// Whether a blob is there and not cut off, as a failing disk may have left it.
fn is_of_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|m| m.len() == size)
}

/// Gives a written blob its name. If the same bytes are there already, the ones written aside go.
fn keep(aside: Aside, shared: &Shared, digest: &Digest, size: u64) -> Result<(), Error> {
    let path = shared.store.blob_path(digest);
    // Before the lock: others need not wait for the disk.
    aside.sync()?;
    let _lock = shared.store.lock()?;
    shared.claim(&Use::Blob(digest))?;
    if !is_of_size(&path, size) {
        aside.keep(&path)?;
    }
    Ok(())
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

