//! The store: an OCI image layout under `<root>/images`, and unpacked layers under `<root>/layers`.
//!
//! ```text
//! images/oci-layout           the layout's version
//! images/index.json           one entry a name: the digest of its manifest
//! images/blobs/sha256/<hex>   manifests, configs, layers; each named by what it hashes to
//! layers/<diff ID>/           a layer's files, unpacked once, the lower directories of overlay
//! ```
//!
//! Reading takes no lock: every file is written aside and renamed, so it is whole or not there.
//! Writers take turns (flock(2) on `images/.lock`); what lies in `images/.aside` when the lock is
//! had was left by one that died, and is removed.

use super::aside::{Aside, Lock, write_whole};
use super::error::at;
use super::layer::{self, Hashing, LayerWriter};
use super::{Error, Progress, Reference, base, unpack};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest, MediaType,
};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most that is read of an index, a manifest or a config.
const DOCUMENT_MAX: u64 = 4 << 20;

/// The images under one skiff root.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// One image, its documents read.
#[derive(Debug, Clone)]
pub struct Image {
    root: PathBuf,
    /// The layers' directories, lowest first; there once [`Image::layer_dirs`] or [`Store::obtain`] said so.
    pub layers: Vec<PathBuf>,
    /// Digest of the manifest: what a registry calls the image.
    pub digest: Digest,
    /// Digest of the config: the image ID.
    pub id: Digest,
    /// What to run and how, and the layers' diff IDs.
    pub config: ImageConfiguration,
    /// Where config and layers are, by digest.
    pub manifest: ImageManifest,
}

/// A line of the index: a name, if it has one, and the manifest it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `repository:tag`; `None` for an image whose name went to another.
    pub name: Option<String>,
    /// Digest of the manifest.
    pub digest: Digest,
}

impl Store {
    /// The store under `root`. Nothing is made until something is written.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The OCI image layout.
    pub fn layout(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Where a blob is.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.layout().join("blobs/sha256").join(digest.digest())
    }

    /// The image called `reference`: a name, `name@digest`, or the beginning of an image ID.
    /// Reads three small files; hashes and unpacks nothing.
    pub fn resolve(&self, reference: &str) -> Result<Image, Error> {
        let index = self.index()?;
        // An ID may have upper case nowhere and colons only after sha256, so a name never looks like it by accident.
        let parsed = match Reference::from_str(reference) {
            Err(_) if reference.starts_with("sha256:") => None,
            other => Some(other?),
        };
        if let Some(parsed) = &parsed
            && let Some(digest) = find(&index, parsed)
        {
            return self.image(&digest);
        }
        if let Some(image) = self.by_id(&index, reference.trim_start_matches("sha256:"))? {
            return Ok(image);
        }
        let key = parsed.map_or_else(|| reference.to_owned(), |r| if r.digest.is_some() { r.to_string() } else { r.key() });
        let nearest = nearest(&key, names(&index));
        Err(Error::NotFound { reference: key, nearest })
    }

    /// As [`Store::resolve`], ready to be run: `base` is made if it is not there yet, and the layers
    /// are unpacked if they never were.
    pub fn obtain(&self, reference: &str, progress: &mut dyn FnMut(Progress)) -> Result<Image, Error> {
        let image = match self.resolve(reference) {
            Err(Error::NotFound { reference, .. }) if reference == base::NAME => {
                base::make(self, progress)?;
                self.resolve(base::NAME)
            }
            other => other,
        }?;
        image.layer_dirs()?;
        Ok(image)
    }

    /// The image whose manifest has this digest.
    pub fn image(&self, digest: &Digest) -> Result<Image, Error> {
        let manifest: ImageManifest = self.document(digest, "manifest")?;
        let id = manifest.config().digest().clone();
        let config: ImageConfiguration = self.document(&id, "config")?;
        let (stored, diff_ids) = (manifest.layers().len(), config.rootfs().diff_ids());
        if stored != diff_ids.len() {
            let problem = format!("it has {stored} layers, and its config {} diff IDs", diff_ids.len());
            return Err(Error::malformed(format!("manifest {digest}"), problem));
        }
        let layers = diff_ids.iter().map(|diff_id| Ok(self.root.join("layers").join(sha256(diff_id, &id)?.digest())));
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(Image { root: self.root.clone(), layers, digest: digest.clone(), id, config, manifest })
    }

    /// All lines of the index, sorted by name.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let index = self.index()?;
        let mut entries: Vec<Entry> =
            index.manifests().iter().map(|d| Entry { name: name_of(d).map(str::to_owned), digest: d.digest().clone() }).collect();
        entries.sort_by(|a, b| (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)));
        Ok(entries)
    }

    /// The names of an image, sorted.
    pub fn names_of(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        Ok(self.entries()?.into_iter().filter(|e| e.digest == *digest).filter_map(|e| e.name).collect())
    }

    /// Opens a blob to be read as it is stored.
    pub fn blob(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.blob_path(digest);
        Ok(File::open(&path).or_sys_with(|| at("open", &path))?)
    }

    /// The exact bytes of a manifest or config.
    pub fn document_bytes(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        read_document(&self.blob_path(digest))
    }

    /// Takes the writers' lock, and makes the layout if it is not there.
    pub fn write(&self) -> Result<Writer<'_>, Error> {
        let layout = self.layout();
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).or_sys_with(|| at("create", &blobs))?;
        let lock = Lock::exclusive(&layout.join(".lock"))?;
        let aside = layout.join(".aside");
        match fs::remove_dir_all(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(SysError::new(at("remove", &aside), Errno::EBUSY).into()),
            _ => {}
        }
        fs::create_dir(&aside).or_sys_with(|| at("create", &aside))?;
        let writer = Writer { store: self, _lock: lock };
        let version = layout.join("oci-layout");
        if !version.exists() {
            write_whole(&aside, &version, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Ok(writer)
    }

    fn index(&self) -> Result<ImageIndex, Error> {
        let path = self.layout().join("index.json");
        if !path.try_exists().or_sys_with(|| at("open", &path))? {
            return Ok(ImageIndex::default());
        }
        parse(&read_document(&path)?, &path.display().to_string())
    }

    fn document<T: DeserializeOwned>(&self, digest: &Digest, kind: &str) -> Result<T, Error> {
        parse(&self.document_bytes(digest)?, &format!("{kind} {digest}"))
    }

    /// The only image whose ID begins with `hex`.
    fn by_id(&self, index: &ImageIndex, hex: &str) -> Result<Option<Image>, Error> {
        if hex.is_empty() || !hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
            return Ok(None);
        }
        let digests: BTreeSet<&str> = index.manifests().iter().map(|d| d.digest().as_ref()).collect();
        let mut found: Vec<Image> = Vec::new();
        for digest in digests {
            let digest = Digest::from_str(digest).map_err(|e| Error::malformed("index.json", e))?;
            let image = self.image(&digest)?;
            if (image.id.digest().starts_with(hex) || digest.digest() == hex) && !found.iter().any(|f| f.id == image.id) {
                found.push(image);
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => Err(Error::Ambiguous { id: hex.to_owned(), count }),
        }
    }
}

impl Image {
    /// The layers' directories, lowest first. A layer that no image needed before is unpacked now;
    /// otherwise this costs one stat(2) a layer.
    pub fn layer_dirs(&self) -> Result<&[PathBuf], Error> {
        for i in (0..self.layers.len()).filter(|i| !self.layers[*i].is_dir()) {
            let diff_id = sha256(&self.config.rootfs().diff_ids()[i], &self.id)?;
            let blob = Store::open(&self.root).blob(self.manifest.layers()[i].digest())?;
            unpack::layer(&self.root.join("layers"), &diff_id, blob)?;
        }
        Ok(&self.layers)
    }

    /// Bytes of the stored layers together.
    pub fn size(&self) -> u64 {
        self.manifest.layers().iter().map(Descriptor::size).sum()
    }
}

/// The right to change the store, until it is dropped.
#[derive(Debug)]
pub struct Writer<'a> {
    store: &'a Store,
    _lock: Lock,
}

impl Writer<'_> {
    /// A blob to be written.
    pub fn blob(&self) -> Result<BlobWriter, Error> {
        let layout = self.store.layout();
        Ok(BlobWriter { aside: Aside::new(&self.aside())?, hasher: Sha256::new(), size: 0, blobs: layout.join("blobs/sha256") })
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
        aside.keep(&path)
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
        self.write_index(&index)
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

/// A blob being written: named by its digest when it is finished, gone when it is dropped before.
#[derive(Debug)]
pub struct BlobWriter {
    aside: Aside,
    hasher: Sha256,
    size: u64,
    blobs: PathBuf,
}

impl BlobWriter {
    /// Ends the blob: synced, and named by what it hashes to.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor, Error> {
        let digest = layer::digest_of(self.hasher);
        self.aside.keep(&self.blobs.join(digest.digest()))?;
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

/// Reads a JSON document, and no more of it than one should have.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).or_sys_with(|| at("open", path))?;
    let mut bytes = Vec::new();
    file.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).or_sys_with(|| at("read", path))?;
    if bytes.len() as u64 > DOCUMENT_MAX {
        return Err(Error::malformed(path.display().to_string(), "it is longer than 4 MiB"));
    }
    Ok(bytes)
}

/// Parses a JSON document.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed(what, e))
}

/// Content must hash to what it is called.
pub(super) fn check_digest(what: &str, expected: &Digest, found: &Digest) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let what = format!("{what} {}", &expected.digest()[..expected.digest().len().min(12)]);
    Err(Error::WrongDigest { what, expected: expected.to_string(), found: found.to_string() })
}

/// A diff ID, which names a directory: 64 hexadecimal digits and nothing else.
fn sha256(diff_id: &str, config: &Digest) -> Result<Digest, Error> {
    let digest = Digest::from_str(diff_id).ok().filter(|_| diff_id.starts_with("sha256:"));
    digest.ok_or_else(|| Error::malformed(format!("config {config}"), format!("{diff_id:?} is not a sha256 digest")))
}

/// The name that a line of the index gives its manifest.
pub(super) fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ANNOTATION_REF_NAME).map(String::as_str)
}

fn names(index: &ImageIndex) -> impl Iterator<Item = &str> {
    index.manifests().iter().filter_map(name_of)
}

/// A line of the index.
pub(super) fn named(manifest: &Descriptor, name: Option<&str>) -> Descriptor {
    let mut line = Descriptor::new(manifest.media_type().clone(), manifest.size(), manifest.digest().clone());
    line.set_annotations(name.map(|n| HashMap::from([(ANNOTATION_REF_NAME.to_owned(), n.to_owned())])));
    line
}

fn find(index: &ImageIndex, reference: &Reference) -> Option<Digest> {
    let by_name = |d: &&Descriptor| name_of(d) == Some(reference.key().as_str());
    let by_digest = |d: &&Descriptor| {
        let same_repository = |name: &str| name.rsplit_once(':').is_some_and(|(repository, _)| repository == reference.name());
        Some(d.digest()) == reference.digest.as_ref() && name_of(d).is_none_or(same_repository)
    };
    let mut lines = index.manifests().iter();
    let line = if reference.digest.is_some() { lines.find(by_digest) } else { lines.find(by_name) };
    line.map(|d| d.digest().clone())
}

/// The stored name spelled most like `key`, if it is near; `base` counts as stored.
fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let candidates = names.chain([base::NAME]).map(|name| (strsim::damerau_levenshtein(name, key), name));
    let (distance, name) = candidates.min()?;
    let short = name.strip_suffix(":latest").unwrap_or(name);
    (distance > 0 && distance <= 1 + short.len() / 3).then(|| short.to_owned())
}

fn blobs_of(image: &Image) -> Vec<Digest> {
    let layers = image.manifest.layers().iter().map(|d| d.digest().clone());
    layers.chain([image.digest.clone(), image.id.clone()]).collect()
}
