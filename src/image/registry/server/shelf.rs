//! What the registry keeps, under `<root>/registry`: blobs as the store has them, and small files.
//!
//! ```text
//! blobs/sha256/<hex>                           layers, configs, manifests
//! repositories/<name>/_manifests/<hex>         its content is the manifest's media type
//! repositories/<name>/_tags/<tag>              its content is a digest
//! uploads/<id>                                 what is coming in
//! ```
//!
//! A name's parts never begin with `_`, so the three kinds cannot clash. It is apart from the engine's
//! own names on purpose: `skiff rmi` takes nothing out of a registry, and who may push to it cannot
//! change what `skiff run` starts here. Every file is written aside and renamed.

use crate::image::aside::write_whole;
use crate::image::error::at;
use crate::image::{Error, layer};
use crate::kernel::OrSys;
use oci_spec::image::Digest;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The folder, opened.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    root: PathBuf,
}

/// A manifest, its bytes and what it is.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Shelf {
    /// Makes the folders. What an earlier server left half-uploaded goes.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let shelf = Self { root: root.to_owned() };
        let uploads = shelf.uploads();
        if uploads.exists() {
            fs::remove_dir_all(&uploads).or_sys_with(|| at("remove", &uploads))?;
        }
        for folder in [uploads, shelf.root.join("blobs/sha256"), shelf.root.join("repositories")] {
            fs::create_dir_all(&folder).or_sys_with(|| at("create", &folder))?;
        }
        Ok(shelf)
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.digest())
    }

    /// A blob and its size in bytes.
    pub(super) fn blob(&self, digest: &Digest) -> Option<(File, u64)> {
        let file = File::open(self.blob_path(digest)).ok()?;
        let size = file.metadata().ok()?.len();
        Some((file, size))
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.root.join("repositories").join(name)
    }

    /// True if something was pushed there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.repository(name).join("_manifests").is_dir()
    }

    /// What a tag stands for.
    pub(super) fn tag(&self, name: &str, tag: &str) -> Option<Digest> {
        let text = fs::read_to_string(self.repository(name).join("_tags").join(tag)).ok()?;
        Digest::from_str(text.trim()).ok()
    }

    /// A manifest of this repository.
    pub(super) fn manifest(&self, name: &str, digest: &Digest) -> Option<Stored> {
        let media_type = fs::read_to_string(self.repository(name).join("_manifests").join(digest.digest())).ok()?;
        let bytes = fs::read(self.blob_path(digest)).ok()?;
        Some(Stored { digest: digest.clone(), media_type, bytes })
    }

    /// Keeps a manifest whose parts are here, and gives it a tag.
    pub(super) fn put_manifest(&self, name: &str, tag: Option<&str>, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = layer::digest(bytes);
        let (manifests, tags) = (self.repository(name).join("_manifests"), self.repository(name).join("_tags"));
        for folder in [&manifests, &tags] {
            fs::create_dir_all(folder).or_sys_with(|| at("create", folder))?;
        }
        write_whole(&self.uploads(), &self.blob_path(&digest), bytes)?;
        write_whole(&self.uploads(), &manifests.join(digest.digest()), media_type.as_bytes())?;
        if let Some(tag) = tag {
            write_whole(&self.uploads(), &tags.join(tag), digest.as_ref().as_bytes())?;
        }
        Ok(digest)
    }

    /// Takes a tag away; false if there is none.
    pub(super) fn remove_tag(&self, name: &str, tag: &str) -> Result<bool, Error> {
        removed(&self.repository(name).join("_tags").join(tag))
    }

    /// Takes a manifest away with the tags that stand for it, and the blobs that no other one needs.
    pub(super) fn remove_manifest(&self, name: &str, digest: &Digest) -> Result<bool, Error> {
        let Some(stored) = self.manifest(name, digest) else { return Ok(false) };
        for tag in self.tags(name).iter().filter(|t| self.tag(name, t).as_ref() == Some(digest)) {
            self.remove_tag(name, tag)?;
        }
        removed(&self.repository(name).join("_manifests").join(digest.digest()))?;
        let mut going = parts(&stored.bytes);
        going.insert(digest.to_string());
        for (name, digest) in self.manifests() {
            if let Some(other) = self.manifest(&name, &digest) {
                going.remove(digest.as_ref());
                going.retain(|d| !parts(&other.bytes).contains(d));
            }
        }
        for digest in going.iter().filter_map(|d| Digest::from_str(d).ok()) {
            removed(&self.blob_path(&digest))?;
        }
        Ok(true)
    }

    /// Takes a blob away; false if there is none.
    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<bool, Error> {
        removed(&self.blob_path(digest))
    }

    /// The tags of a repository, sorted.
    pub(super) fn tags(&self, name: &str) -> Vec<String> {
        names_in(&self.repository(name).join("_tags"))
    }

    /// All repositories that hold something, sorted.
    pub(super) fn repositories(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.root.join("repositories"), "", &mut found);
        found.sort();
        found
    }

    /// All manifests: repository and digest.
    fn manifests(&self) -> Vec<(String, Digest)> {
        let of = |name: String| {
            let all = names_in(&self.repository(&name).join("_manifests"));
            all.into_iter().filter_map(move |hex| Some((name.clone(), Digest::from_str(&format!("sha256:{hex}")).ok()?)))
        };
        self.repositories().into_iter().flat_map(of).collect()
    }

    /// The manifests of a repository that say that they are about `subject`.
    pub(super) fn referrers(&self, name: &str, subject: &Digest) -> Vec<Stored> {
        let all = self.manifests().into_iter().filter(|(n, _)| n == name).filter_map(|(n, d)| self.manifest(&n, &d));
        let about = |stored: &Stored| {
            let document: Value = serde_json::from_slice(&stored.bytes).unwrap_or_default();
            document.pointer("/subject/digest").and_then(Value::as_str) == Some(subject.as_ref())
        };
        all.filter(about).collect()
    }
}

/// The digests that a manifest or an index names.
pub(super) fn parts(bytes: &[u8]) -> BTreeSet<String> {
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let lists = ["layers", "manifests"].into_iter().filter_map(|list| document.get(list)?.as_array()).flatten();
    lists.chain(document.get("config")).filter_map(|d| Some(d.get("digest")?.as_str()?.to_owned())).collect()
}

fn removed(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        other => Ok(other.or_sys_with(|| at("remove", path)).map(|()| true)?),
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn collect(folder: &Path, above: &str, found: &mut Vec<String>) {
    for part in names_in(folder) {
        if part == "_manifests" && !names_in(&folder.join(&part)).is_empty() {
            found.push(above.to_owned());
        } else if !part.starts_with('_') {
            collect(&folder.join(&part), &if above.is_empty() { part.clone() } else { format!("{above}/{part}") }, found);
        }
    }
}
