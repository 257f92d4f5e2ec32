//! The store: an OCI image layout under `<root>/images`, and unpacked layers under `<root>/layers`.
//!
//! ```text
//! images/oci-layout           the layout's version
//! images/index.json           one entry a name: the digest of its manifest
//! images/blobs/sha256/<hex>   manifests, configs, layers; each named by what it hashes to
//! layers/<diff ID>/           a layer's files, unpacked once, the lower directories of overlay
//! ```
//!
//! Both folders are their owner's alone (mode 0700), as Docker's data root is.
//!
//! Reading takes no lock: every file is written aside and renamed, so it is whole or not there.
//! Several may write at once: each works in a folder of its own in `images/.aside`, where it also
//! notes what it needs, and takes `images/.lock` (flock(2)) only for the moment in which a name is
//! given or something is removed. What one left that died is removed by the next.

use super::aside::Lock;
use super::error::at;
use super::writer::Writer;
use super::{Error, Progress, Reference, base, layers};
use crate::kernel::OrSys;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest, MediaType,
};
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The most that is read of an index, a manifest or a config.
const DOCUMENT_MAX: u64 = 4 << 20;

/// The images under one skiff root.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) root: PathBuf,
}

/// One image, its documents read.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) root: PathBuf,
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

    /// As [`Store::resolve`], if all its layers are unpacked already.
    pub fn ready(&self, reference: &str) -> Option<Image> {
        self.resolve(reference).ok().filter(|image| image.layers.iter().all(|dir| layers::is_whole(dir)))
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

    /// All lines of the index, sorted by name. An image that has only the name `repository@digest` by
    /// which it was pulled is one without a name.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let index = self.index()?;
        let tagged = |d: &Descriptor| name_of(d).filter(|n| !n.contains('@')).map(str::to_owned);
        let mut entries: Vec<Entry> = Vec::new();
        for (line, name) in index.manifests().iter().map(|d| (d, tagged(d))) {
            let other = |d: &Descriptor| d.digest() == line.digest() && tagged(d).is_some();
            let said = || entries.iter().any(|e| e.name.is_none() && e.digest == *line.digest());
            if name.is_some() || !(index.manifests().iter().any(other) || said()) {
                entries.push(Entry { name, digest: line.digest().clone() });
            }
        }
        entries.sort_by(|a, b| (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)));
        Ok(entries)
    }

    /// The names of an image, sorted.
    pub fn names_of(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        Ok(self.entries()?.into_iter().filter(|e| e.digest == *digest).filter_map(|e| e.name).collect())
    }

    /// As what an image was pulled whose registry has it in an index: `repository@digest` of that.
    pub fn pulled_as(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        let index = self.index()?;
        let lines = index.manifests().iter().filter(|d| d.digest() == digest).filter_map(name_of);
        Ok(lines.filter(|n| n.contains('@')).map(str::to_owned).collect())
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

    /// The right to change the store: waits for the writer before, and makes the layout if it is not there.
    pub fn write(&self) -> Result<Writer<'_>, Error> {
        Writer::open(self)
    }

    /// Held while a name is given or something is removed.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        Lock::exclusive(&self.layout().join(".lock"))
    }

    /// Removes what a process left that was killed while it changed the store or unpacked a layer.
    pub fn sweep(&self) -> Result<(), Error> {
        if self.layout().join(".aside").exists() {
            self.write()?;
        }
        super::registry::blob::sweep(&self.layout().join(".incoming"));
        layers::sweep(&self.root.join("layers"))
    }

    pub(super) fn index(&self) -> Result<ImageIndex, Error> {
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
            // A damaged one has no ID that could be read.
            let Ok(image) = self.image(&digest) else { continue };
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
        for i in (0..self.layers.len()).filter(|i| !layers::is_whole(&self.layers[*i])) {
            let (diff_id, blob) = self.layer(i)?;
            layers::unpack_and_sync(&self.root.join("layers"), &diff_id, blob)?;
        }
        Ok(&self.layers)
    }

    /// The layers' directories as an overlay takes them, of an image that is unpacked: from
    /// [`Store::obtain`], [`Store::ready`], or after [`Image::layer_dirs`].
    ///
    /// Two instructions that change the same, such as nothing at all, make one layer that the image has
    /// twice, and the kernel takes no directory twice (ELOOP). All that the lower one shows, adds or
    /// hides, the upper one does again, so that alone is left.
    pub fn dirs(&self) -> Vec<PathBuf> {
        let layers = self.layers.iter().enumerate();
        layers.filter(|(at, dir)| !self.layers[at + 1..].contains(dir)).map(|(_, dir)| dir.clone()).collect()
    }

    /// A layer's diff ID, and its stored bytes.
    fn layer(&self, number: usize) -> Result<(Digest, File), Error> {
        let diff_id = sha256(&self.config.rootfs().diff_ids()[number], &self.id)?;
        Ok((diff_id, Store::open(&self.root).blob(self.manifest.layers()[number].digest())?))
    }

    /// Unpacks what is not there, and waits for no disk.
    pub(super) fn unpack(&self) -> Result<(), Error> {
        for i in (0..self.layers.len()).filter(|i| !layers::is_whole(&self.layers[*i])) {
            let (diff_id, blob) = self.layer(i)?;
            layers::unpack(&self.root.join("layers"), &diff_id, blob)?;
        }
        Ok(())
    }

    /// The manifest's own media type: OCI's, or Docker's older one.
    pub(super) fn media_type(&self) -> MediaType {
        self.manifest.media_type().clone().unwrap_or(MediaType::ImageManifest)
    }

    /// Bytes of the stored layers together: what a registry would send.
    pub fn size(&self) -> u64 {
        self.manifest.layers().iter().map(Descriptor::size).sum()
    }

    /// Bytes of the files in each layer, lowest first: what Docker calls their sizes. Of a layer that was
    /// never unpacked it is what is stored.
    pub fn layer_sizes(&self) -> Vec<u64> {
        let stored = self.manifest.layers().iter().map(Descriptor::size);
        self.layers.iter().zip(stored).map(|(dir, stored)| layers::size(dir).unwrap_or(stored)).collect()
    }

    /// Bytes of the files in all layers together: Docker's SIZE.
    pub fn unpacked_size(&self) -> u64 {
        self.layer_sizes().iter().sum()
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
pub(super) fn sha256(diff_id: &str, config: &Digest) -> Result<Digest, Error> {
    let digest = Digest::from_str(diff_id).ok().filter(|_| diff_id.starts_with("sha256:"));
    digest.ok_or_else(|| Error::malformed(format!("config {config}"), format!("{diff_id:?} is not a sha256 digest")))
}

/// The name that a line of the index gives its manifest.
pub(super) fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ANNOTATION_REF_NAME).map(String::as_str)
}

fn names(index: &ImageIndex) -> impl Iterator<Item = &str> {
    index.manifests().iter().filter_map(name_of).filter(|n| !n.contains('@'))
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
    let line = match &reference.digest {
        None => lines.find(by_name),
        Some(digest) => {
            let pulled_as = format!("{}@{digest}", reference.name());
            lines.find(|d| by_digest(d) || name_of(d) == Some(pulled_as.as_str()))
        }
    };
    line.map(|d| d.digest().clone())
}

/// The stored name spelled most like `key`, if it is near; `base` counts as stored. Another tag of the
/// same repository is near.
fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let repository = |name: &'a str| name.rsplit_once(':').map_or(name, |(repository, _)| repository);
    let asked = key.rsplit_once(':').map_or(key, |(repository, _)| repository);
    let distance = |name: &'a str| match strsim::damerau_levenshtein(name, key) {
        _ if repository(name) == asked => 1,
        other => other,
    };
    let (distance, name) = names.chain([base::NAME]).map(|name| (distance(name), name)).min()?;
    let short = name.strip_suffix(":latest").unwrap_or(name);
    (distance > 0 && distance <= 1 + short.len() / 3).then(|| short.to_owned())
}
