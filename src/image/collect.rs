//! What may be removed from a store: blobs and unpacked layers that no image has and no writer needs.
//!
//! All of this is done under the store's lock, under which also every name is given and every need is
//! noted: what is found unused here cannot come into use meanwhile.

use super::error::at;
use super::store::{Image, Store};
use super::{Error, kept, layers};
use crate::kernel::OrSys;
use oci_spec::image::Digest;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Where a writer notes what it needs, in its own folder.
pub(super) const USES: &str = "uses";

/// Something that a writer needs.
pub(super) enum Use<'a> {
    /// A blob, by its digest.
    Blob(&'a Digest),
    /// An unpacked layer, by its directory.
    Layer(&'a Path),
}

impl Use<'_> {
    /// What the note is called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Blob(digest) => format!("blob-{}", digest.digest()),
            Self::Layer(dir) => format!("layer-{}", dir.file_name().unwrap_or_default().display()),
        }
    }
}

/// The names in a folder.
pub(super) fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// What images have and writers need, by the names of notes; false beside it if an image cannot be read,
/// of which nobody knows what else it has.
fn used(store: &Store) -> Result<(BTreeSet<String>, bool), Error> {
    let (mut used, mut all_known) = (BTreeSet::new(), true);
    for entry in store.entries()? {
        match store.image(&entry.digest) {
            Ok(image) => used.extend(parts_of(&image)),
            Err(_) => {
                used.insert(Use::Blob(&entry.digest).name());
                all_known = false;
            }
        }
    }
    used.extend(names_in(&kept::folder(store)));
    let aside = store.layout().join(".aside");
    for writer in names_in(&aside) {
        used.extend(names_in(&aside.join(writer).join(USES)));
    }
    Ok((used, all_known))
}

fn parts_of(image: &Image) -> Vec<String> {
    let blobs = blobs_of(image).map(|d| Use::Blob(d).name());
    blobs.chain(image.layers.iter().map(|dir| Use::Layer(dir).name())).collect()
}

fn blobs_of(image: &Image) -> impl Iterator<Item = &Digest> {
    image.manifest.layers().iter().map(|d| d.digest()).chain([&image.digest, &image.id])
}

/// Removes those of `names` that nothing uses any more.
pub(super) fn release(store: &Store, names: &BTreeSet<String>) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let (used, all_known) = used(store)?;
    if !all_known {
        return Ok(());
    }
    names.iter().filter(|n| !used.contains(*n)).try_for_each(|name| remove(store, name))
}

/// Removes every blob and layer that nothing uses: what a writer brought that died before it named it.
pub(super) fn sweep(store: &Store) -> Result<(), Error> {
    let Ok((used, true)) = used(store) else { return Ok(()) };
    let blobs = names_in(&store.layout().join("blobs/sha256")).into_iter().map(|hex| format!("blob-{hex}"));
    let dirs: Vec<_> = layers::all(&store.root.join("layers")).collect();
    let all = blobs.chain(dirs.iter().map(|dir| Use::Layer(dir).name()));
    all.filter(|name| !used.contains(name)).try_for_each(|name| remove(store, &name))
}

/// Removes what only `image` used, whose line in the index is gone; gives the digests of the blobs.
pub(super) fn remove_unused(store: &Store, image: &Image) -> Result<Vec<Digest>, Error> {
    let (used, all_known) = used(store)?;
    if !all_known {
        return Ok(Vec::new());
    }
    for name in parts_of(image).iter().filter(|n| !used.contains(*n)) {
        remove(store, name)?;
    }
    Ok(blobs_of(image).filter(|d| !used.contains(&Use::Blob(d).name())).cloned().collect())
}

fn remove(store: &Store, name: &str) -> Result<(), Error> {
    match name.split_once('-') {
        Some(("layer", diff_id)) => layers::remove(&store.root.join("layers"), diff_id),
        Some((_, hex)) => {
            let path = store.layout().join("blobs/sha256").join(hex);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).or_sys_with(|| at("remove", &path)).map_err(Into::into),
                _ => Ok(()),
            }
        }
        None => Ok(()),
    }
}

/// All blobs of an image that is to get a name must be there: one that this writer found and did not
/// note may have gone with the image that it belonged to.
pub(super) fn check_whole(store: &Store, manifest: &Digest) -> Result<(), Error> {
    let image = store.image(manifest)?;
    match blobs_of(&image).find(|digest| !store.blob_path(digest).exists()) {
        None => Ok(()),
        Some(gone) => Err(Error::malformed(format!("manifest {manifest}"), format!("its blob {gone} was removed meanwhile"))),
    }
}
