//! Layers that are kept although no image has them: what a build will take instead of doing a step again.
//!
//! A note in `images/.kept`, named as a writer's note of what it needs, holds a blob or an unpacked
//! layer; who removes what is unused looks there too. containerd keeps such notes in a database, as
//! leases with an end; here they stay until `builder prune` takes them away.
//!
//! See it live: `ls <root>/images/.kept`.

use super::collect::{self, Use, names_in};
use super::error::at;
use super::layer::Layer;
use super::store::{Image, Store};
use super::writer::Writer;
use super::Error;
use crate::kernel::OrSys;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifestBuilder, MediaType};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder of the notes.
pub(super) fn folder(store: &Store) -> PathBuf {
    store.layout().join(".kept")
}

impl Writer<'_> {
    /// Keeps a layer that this writer has brought or found, blob and directory, with or without an image.
    pub fn keep(&self, layer: &Layer) -> Result<(), Error> {
        let _lock = self.store.lock()?;
        let folder = folder(self.store);
        fs::create_dir_all(&folder).or_sys_with(|| at("create", &folder))?;
        for name in notes(self.store, layer) {
            let note = folder.join(name);
            File::create(&note).or_sys_with(|| at("create", &note))?;
        }
        Ok(())
    }
}

impl Store {
    /// Takes away the notes of all layers but `still`, and removes those that nothing uses now.
    pub fn keep_only(&self, still: &[Layer]) -> Result<(), Error> {
        let _lock = self.lock()?;
        let stay: BTreeSet<String> = still.iter().flat_map(|layer| notes(self, layer)).collect();
        let gone: BTreeSet<String> = names_in(&folder(self)).into_iter().filter(|name| !stay.contains(name)).collect();
        for name in &gone {
            let note = folder(self).join(name);
            fs::remove_file(&note).or_sys_with(|| at("remove", &note))?;
        }
        collect::release(self, &gone)
    }

    /// Where a layer is, or will be, as a directory.
    pub fn layer_dir(&self, layer: &Layer) -> PathBuf {
        self.root.join("layers").join(layer.diff_id.digest())
    }

    /// Layers as if they were an image already: a root for a container, with what is to be run in it.
    /// It has no manifest in the store, and so no digest of use.
    pub fn image_of(&self, layers: &[Layer], mut config: ImageConfiguration) -> Result<Image, Error> {
        let unfit = |e: oci_spec::OciSpecError| Error::malformed("the image that is being built", e);
        config.rootfs_mut().set_diff_ids(layers.iter().map(|l| l.diff_id.to_string()).collect());
        let id = super::layer::digest(serde_json::to_string(&config).unwrap_or_default().as_bytes());
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .config(Descriptor::new(MediaType::ImageConfig, 0, id.clone()))
            .layers(layers.iter().map(|l| l.descriptor.clone()).collect::<Vec<_>>())
            .build()
            .map_err(unfit)?;
        let dirs = layers.iter().map(|l| self.layer_dir(l)).collect();
        Ok(Image { root: self.root.clone(), layers: dirs, digest: id.clone(), id, config, manifest })
    }
}

fn notes(store: &Store, layer: &Layer) -> [String; 2] {
    let dir = store.layer_dir(layer);
    [Use::Blob(layer.descriptor.digest()).name(), Use::Layer(Path::new(&dir)).name()]
}
