//! Images outside of a store: a folder or a tar in the OCI image layout's form, or Docker's archive.
//!
//! `docker save` and `skiff save` write a tar that is both: `index.json` leads to manifests by digest,
//! `manifest.json` lists config and layers by file name. Before Docker 25 there was only the second.
//! Nothing is taken on trust: every digest given here was hashed afresh from the bytes in the archive,
//! so a check can compare them.

use super::ahead;
use super::aside::fresh;
use super::error::at;
use super::layer::{self, Compression, Hashing, broken_tar, tar_of};
use super::meter::Metered;
use super::store::{check_digest, name_of, parse};
use super::{Error, Reference};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use oci_spec::image::{Arch, Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::thread;

/// The most that is read of one document.
const DOCUMENT_MAX: u64 = 4 << 20;
/// How much of a layer is searched at a time.
const PIECE: u64 = 256 << 10;
/// Where newer Docker writes an image's whole name.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An opened archive or layout.
#[derive(Debug)]
pub struct Archive {
    shown: String,
    members: Members,
}

#[derive(Debug)]
enum Members {
    Folder(PathBuf),
    Tar { file: File, at: BTreeMap<PathBuf, Member> },
}

#[derive(Debug, Clone)]
enum Member {
    Bytes { offset: u64, size: u64 },
    Link(PathBuf),
}

/// One image in an archive.
#[derive(Debug, Clone)]
pub struct Packed {
    /// `repository:tag`, for each name that it has in there.
    pub names: Vec<String>,
    /// Digest of its manifest; Docker's older archives have none.
    pub digest: Option<Digest>,
    /// Digest of its config: the image ID.
    pub id: Digest,
    /// The config.
    pub config: ImageConfiguration,
    /// Its layers, lowest first.
    pub layers: Vec<PackedLayer>,
    pub(super) manifest_bytes: Option<Vec<u8>>,
    pub(super) config_bytes: Vec<u8>,
}

/// One layer in an archive.
#[derive(Debug, Clone)]
pub struct PackedLayer {
    /// What the manifest calls it; a Docker archive's layers have only a file name.
    pub descriptor: Option<Descriptor>,
    /// What it unpacks to, as the config says.
    pub diff_id: Digest,
    pub(super) member: PathBuf,
}

/// A file in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFile {
    /// As the archive spells it, without `./` before it and `/` after.
    pub path: PathBuf,
    /// The type flag of tar(5): `0` file, `5` directory, `2` symbolic link, `1` hard link.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Where a link leads.
    pub link: Option<PathBuf>,
}

/// A line of Docker's manifest.json.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerLine {
    config: PathBuf,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<PathBuf>,
}

impl Archive {
    /// Opens a folder in the layout's form, or a tar: plain, gzip or zstd.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_in(path, &std::env::temp_dir())
    }

    /// As [`Archive::open`]; a compressed one is unpacked to a file without a name in `folder`.
    pub fn open_in(path: &Path, folder: &Path) -> Result<Self, Error> {
        let file = File::open(path).or_sys_with(|| at("open", path))?;
        let shown = path.display().to_string();
        if file.metadata().or_sys_with(|| at("read", path))?.is_dir() {
            return Ok(Self { shown, members: Members::Folder(path.to_owned()) });
        }
        let mut start = [0; 4];
        let plain = file.read_exact_at(&mut start, 0).is_err() || Compression::of(&start) == Compression::None;
        let file = if plain { file } else { spool(tar_of(file)?, folder)? };
        Self::of_tar(file, shown)
    }

    /// Reads an archive from a pipe. It is kept in a file without a name in `folder` for as long as it is open.
    pub fn from_pipe(from: impl Read + Send, folder: &Path) -> Result<Self, Error> {
        let tar = tar_of(from)?;
        Self::of_tar(spool(tar, folder)?, "standard input".to_owned())
    }

    /// Reads what a tar holds; `shown` is how errors call it.
    pub(super) fn of_tar(file: File, shown: String) -> Result<Self, Error> {
        let broken = |e: io::Error| broken_tar(&shown, &e);
        let mut at = BTreeMap::new();
        let (slice, meter) = Metered::new(Slice { file: &file, offset: 0, left: u64::MAX });
        meter.bound(0);
        let mut archive = tar::Archive::new(slice);
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            // What lies between is skipped, not read.
            meter.bound(0);
            let name = normal(&entry.path().map_err(broken)?);
            let link = entry.link_name().map_err(broken)?;
            let member = match (entry.header().entry_type(), link) {
                (tar::EntryType::Symlink, Some(to)) => Member::Link(normal(&name.parent().unwrap_or(Path::new("")).join(to))),
                (tar::EntryType::Link, Some(to)) => Member::Link(normal(&to)),
                _ => Member::Bytes { offset: entry.raw_file_position(), size: entry.size() },
            };
            at.insert(name, member);
        }
        Ok(Self { shown, members: Members::Tar { file, at } })
    }

    /// All images in it.
    pub fn images(&self) -> Result<Vec<Packed>, Error> {
        let docker = self.docker_lines()?;
        if !self.has("index.json") {
            return match docker {
                Some(lines) => lines.iter().map(|line| self.docker_image(line)).collect(),
                None => Err(Error::malformed(self.shown.clone(), "it has neither an index.json nor a manifest.json, so it is no image")),
            };
        }
        let index: ImageIndex = self.json(Path::new("index.json"))?;
        let mut images: Vec<Packed> = Vec::new();
        for line in index.manifests() {
            let mut image = self.oci_image(line, 0)?;
            image.names = name_in(line).into_iter().collect();
            match images.iter_mut().find(|i| i.digest == image.digest) {
                Some(same) => same.names.append(&mut image.names),
                None => images.push(image),
            }
        }
        // Tags that the index leaves out, as podman's archives do.
        for line in docker.iter().flatten() {
            let tags = line.repo_tags.iter().flatten().filter_map(|t| Some(Reference::from_str(t).ok()?.key()));
            let id = line.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(image) = images.iter_mut().find(|i| i.id.digest() == id) {
                image.names.extend(tags);
                image.names.sort();
                image.names.dedup();
            }
        }
        Ok(images)
    }

    /// Hashes a layer's tar: what its diff ID truly is.
    pub fn diff_id(&self, layer: &PackedLayer) -> Result<Digest, Error> {
        let tar = Hashing::new(tar_of(self.layer(layer)?)?);
        let (digest, _) = tar.finish().map_err(|e| Error::malformed(self.shown.clone(), e))?;
        Ok(digest)
    }

    /// Hashes all of an image's layers, as stored and unpacked, and compares.
    pub fn verify(&self, image: &Packed) -> Result<(), Error> {
        for layer in &image.layers {
            if let Some(descriptor) = &layer.descriptor {
                let (found, _) = Hashing::new(self.layer(layer)?).finish().or_sys_with(|| format!("read {}", self.shown))?;
                check_digest("layer", descriptor.digest(), &found)?;
            }
            check_digest("layer", &layer.diff_id, &self.diff_id(layer)?)?;
        }
        Ok(())
    }

    /// What a layer holds, in its own order.
    pub fn files(&self, layer: &PackedLayer) -> Result<Vec<LayerFile>, Error> {
        let broken = |e: io::Error| broken_tar(&self.shown, &e);
        let mut archive = tar::Archive::new(tar_of(self.layer(layer)?)?);
        let mut files = Vec::new();
        for entry in archive.entries().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            files.push(LayerFile {
                path: normal(&entry.path().map_err(broken)?),
                kind: char::from(entry.header().entry_type().as_byte()),
                mode: entry.header().mode().map_err(broken)? & 0o7777,
                size: entry.size(),
                link: entry.link_name().map_err(broken)?.map(|l| l.into_owned()),
            });
        }
        Ok(files)
    }

    /// The content of one file of a layer, up to 4 MiB of it; `None` where the layer has no such file.
    pub fn content(&self, layer: &PackedLayer, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let broken = |e: io::Error| broken_tar(&self.shown, &e);
        let wanted = normal(path);
        let mut archive = tar::Archive::new(tar_of(self.layer(layer)?)?);
        for entry in archive.entries().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            if normal(&entry.path().map_err(broken)?) == wanted {
                let mut bytes = Vec::new();
                entry.take(DOCUMENT_MAX).read_to_end(&mut bytes).map_err(broken)?;
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Where in an image a text stands: in its config, or in a layer's tar, a file's name or content.
    /// A file that is itself compressed is not looked into.
    pub fn holding(&self, image: &Packed, text: &str) -> Result<Option<String>, Error> {
        let stands_in = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        if text.is_empty() || stands_in(&image.config_bytes) {
            return Ok(Some("the config".into()));
        }
        for (number, layer) in image.layers.iter().enumerate() {
            let mut tar = tar_of(self.layer(layer)?)?;
            let mut bytes = Vec::new();
            loop {
                // What may be the beginning of it is looked at again with what follows.
                let kept = bytes.len().min(text.len() - 1);
                bytes.drain(..bytes.len() - kept);
                let read = tar.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(|e| broken_tar(&self.shown, &e))?;
                if stands_in(&bytes) {
                    return Ok(Some(format!("layer {} of {}", number + 1, image.layers.len())));
                }
                if read == 0 {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// A layer's bytes, as they are stored.
    pub(super) fn layer(&self, layer: &PackedLayer) -> Result<Box<dyn Read + Send + '_>, Error> {
        self.open_member(&layer.member)
    }

    fn docker_lines(&self) -> Result<Option<Vec<DockerLine>>, Error> {
        if self.has("manifest.json") { self.json(Path::new("manifest.json")).map(Some) } else { Ok(None) }
    }

    fn docker_image(&self, line: &DockerLine) -> Result<Packed, Error> {
        let config_bytes = self.document(&normal(&line.config))?;
        let config: ImageConfiguration = parse(&config_bytes, &format!("{} in {}", line.config.display(), self.shown))?;
        let layers = self.layers(&config, line.layers.iter().map(|m| (None, normal(m))).collect())?;
        let tags = line.repo_tags.iter().flatten();
        Ok(Packed {
            names: tags.map(|t| Reference::from_str(t).map(|r| r.key())).collect::<Result<_, _>>()?,
            digest: None,
            id: layer::digest(&config_bytes),
            config,
            layers,
            manifest_bytes: None,
            config_bytes,
        })
    }

    /// Follows a line of an index to its manifest; through another index to this machine's platform.
    fn oci_image(&self, line: &Descriptor, depth: u8) -> Result<Packed, Error> {
        let bytes = self.blob_document(line.digest())?;
        let is_index = matches!(line.media_type(), MediaType::ImageIndex)
            || line.media_type().to_string() == "application/vnd.docker.distribution.manifest.list.v2+json";
        if is_index {
            let index: ImageIndex = parse(&bytes, &format!("index {}", line.digest()))?;
            let ours = |d: &&Descriptor| {
                d.platform().as_ref().is_none_or(|p| *p.architecture() == Arch::default() && *p.os() == Os::Linux)
            };
            return match index.manifests().iter().find(ours) {
                Some(manifest) if depth < 4 => self.oci_image(manifest, depth + 1),
                Some(_) => Err(Error::malformed(format!("index {}", line.digest()), "indexes are nested too deep")),
                None => Err(Error::malformed(format!("index {}", line.digest()), format!("it has no image for linux/{}", Arch::default()))),
            };
        }
        let manifest: ImageManifest = parse(&bytes, &format!("manifest {}", line.digest()))?;
        let config_bytes = self.blob_document(manifest.config().digest())?;
        let config: ImageConfiguration = parse(&config_bytes, &format!("config {}", manifest.config().digest()))?;
        let members = manifest.layers().iter().map(|d| (Some(d.clone()), blob_member(d.digest()))).collect();
        let layers = self.layers(&config, members)?;
        let (digest, id) = (Some(line.digest().clone()), manifest.config().digest().clone());
        Ok(Packed { names: Vec::new(), digest, id, config, layers, manifest_bytes: Some(bytes), config_bytes })
    }

    fn layers(&self, config: &ImageConfiguration, members: Vec<(Option<Descriptor>, PathBuf)>) -> Result<Vec<PackedLayer>, Error> {
        let diff_ids = config.rootfs().diff_ids();
        if diff_ids.len() != members.len() {
            let problem = format!("its manifest has {} layers, and its config {} diff IDs", members.len(), diff_ids.len());
            return Err(Error::malformed(self.shown.clone(), problem));
        }
        let pairs = members.into_iter().zip(diff_ids);
        let layers = pairs.map(|((descriptor, member), diff_id)| {
            let diff_id = Digest::from_str(diff_id).map_err(|e| Error::malformed(self.shown.clone(), e))?;
            Ok(PackedLayer { descriptor, diff_id, member })
        });
        layers.collect()
    }

    /// A document named by its digest, hashed and compared.
    fn blob_document(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let bytes = self.document(&blob_member(digest))?;
        check_digest("blob", digest, &layer::digest(&bytes))?;
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, member: &Path) -> Result<T, Error> {
        parse(&self.document(member)?, &format!("{} in {}", member.display(), self.shown))
    }

    fn document(&self, member: &Path) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let what = || format!("{} in {}", member.display(), self.shown);
        self.open_member(member)?.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).or_sys_with(|| format!("read {}", what()))?;
        if bytes.len() as u64 > DOCUMENT_MAX {
            return Err(Error::malformed(what(), "it is longer than 4 MiB"));
        }
        Ok(bytes)
    }

    fn has(&self, member: &str) -> bool {
        match &self.members {
            Members::Folder(folder) => folder.join(member).is_file(),
            Members::Tar { at, .. } => at.contains_key(Path::new(member)),
        }
    }

    fn open_member(&self, member: &Path) -> Result<Box<dyn Read + Send + '_>, Error> {
        let missing = || SysError::new(format!("open {} in {}", member.display(), self.shown), Errno::ENOENT);
        match &self.members {
            Members::Folder(folder) => {
                let path = folder.join(member);
                Ok(Box::new(File::open(&path).or_sys_with(|| at("open", &path))?))
            }
            Members::Tar { file, at } => {
                let mut found = at.get(member);
                if let Some(Member::Link(to)) = found {
                    found = at.get(to);
                }
                match found {
                    Some(Member::Bytes { offset, size }) => Ok(Box::new(Slice { file, offset: *offset, left: *size })),
                    _ => Err(missing().into()),
                }
            }
        }
    }
}

/// A part of a file, read without moving the file's own position.
struct Slice<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

impl Seek for Slice<'_> {
    /// Forward and back within the file: what is skipped is not read.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        let to = to.ok_or(io::ErrorKind::InvalidInput)?;
        self.left = self.left.saturating_add(self.offset).saturating_sub(to);
        self.offset = to;
        Ok(to)
    }
}

/// A file in `folder` that has no name any more: it is gone with whoever holds it.
pub(super) fn nameless(folder: &Path) -> Result<File, Error> {
    let path = fresh(folder);
    let file = File::options().read(true).write(true).create_new(true).open(&path).or_sys_with(|| at("create a file in", folder))?;
    fs::remove_file(&path).or_sys_with(|| at("remove", &path))?;
    Ok(file)
}

/// Copies a stream into a file that has no name any more, so that it can be read in any order.
fn spool(from: impl Read + Send, folder: &Path) -> Result<File, Error> {
    let mut file = nameless(folder)?;
    let spooled = thread::scope(|scope| {
        let (ahead, _) = ahead::read(scope, from, drop);
        layer::copy(ahead, &mut file)
    });
    match spooled {
        Ok(_) => Ok(file),
        Err(e) if e.raw_os_error().is_some() => Err(e).or_sys_with(|| at("write a file in", folder)).map_err(Into::into),
        Err(e) => Err(broken_tar("the archive", &e)),
    }
}

fn blob_member(digest: &Digest) -> PathBuf {
    Path::new("blobs").join(digest.algorithm().as_ref()).join(digest.digest())
}

/// The name that a line of index.json gives: Docker's whole one, or the layout's own if it is more than a tag.
fn name_in(line: &Descriptor) -> Option<String> {
    let whole = line.annotations().as_ref().and_then(|a| a.get(CONTAINERD_NAME)).map(String::as_str);
    let own = name_of(line).filter(|n| n.contains([':', '/']));
    Some(Reference::from_str(whole.or(own)?).ok()?.key())
}

/// A member's path without `.`, `..` and slashes at its ends: names are looked up, never opened.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts
}
