//! `base`: the image that needs no network, made at first use from this machine's own tools.
//!
//! With busybox (a static one for preference) it is that one binary and a link for each of its
//! applets. Without, it is the host's own programs with the libraries that they need. Either way it
//! is a proper OCI image of three layers, and the same machine always makes the same digest: entries
//! are sorted, owners are root, and the only time in it is that of the shell's own file.

mod closure;
mod contents;
mod tree;

use super::archive::Archive;
use super::aside::Lock;
use super::layer::LayerWriter;
use super::save;
use super::store::Store;
use super::writer::Writer;
use super::{Error, layer};
use crate::kernel::OrSys;
use oci_spec::image::{Arch, Descriptor, Digest, MediaType};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tree::Tree;

/// What the store calls it.
pub const NAME: &str = "base:latest";

/// A ready-made `base`, as `skiff save` writes it: whoever packs a machine may put one there.
pub const SHIPPED: &str = "/usr/share/skiff/base.tar";

/// The PATH of a container made from it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What happens while `base` is made, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Which shell and tools it is made of.
    MadeFrom {
        /// busybox, or the host's sh.
        program: PathBuf,
        /// How many commands there will be.
        commands: usize,
    },
    /// A layer is in the store.
    Layer {
        /// What the layer holds.
        what: String,
        /// Its diff ID.
        diff_id: Digest,
        /// Bytes as stored.
        size: u64,
    },
    /// The image is whole.
    Made {
        /// Digest of its manifest.
        digest: Digest,
    },
}

/// One layer of `base`, before it is bytes.
struct Part {
    /// For the image's history.
    what: String,
    tree: Tree,
}

/// What `base` will be.
struct Contents {
    parts: Vec<Part>,
    program: PathBuf,
    commands: usize,
    /// Seconds since the epoch: when the shell's file was made.
    time: u64,
}

/// Makes `base` and stores it, unless another process did meanwhile.
pub fn make(store: &Store, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
    if Path::new(SHIPPED).exists() {
        let loaded = save::load(store, &Archive::open(Path::new(SHIPPED))?)?;
        loaded.iter().for_each(|(image, _)| progress(Progress::Made { digest: image.digest.clone() }));
        return Ok(());
    }
    let contents = contents::of_this_machine()?;
    let writer = store.write()?;
    // Others may write meanwhile, but not make the same once more.
    let _turn = Lock::exclusive(&store.layout().join(".base.lock"))?;
    if store.entries()?.iter().any(|e| e.name.as_deref() == Some(NAME)) {
        return Ok(());
    }
    progress(Progress::MadeFrom { program: contents.program.clone(), commands: contents.commands });
    let mut layers = Vec::new();
    for part in &contents.parts {
        let stored = store_layer(&writer, part, contents.time)?;
        let size = stored.descriptor.size();
        progress(Progress::Layer { what: part.what.clone(), diff_id: stored.diff_id.clone(), size });
        layers.push(stored);
    }
    let config = writer.put(config(&contents, &layers).to_string().as_bytes(), MediaType::ImageConfig)?;
    let descriptors: Vec<Descriptor> = layers.iter().map(|l| l.descriptor.clone()).collect();
    let manifest = writer.manifest(&config, &descriptors)?;
    writer.name(&manifest, &[NAME.to_owned()])?;
    progress(Progress::Made { digest: manifest.digest().clone() });
    Ok(())
}

/// A tar of this machine's programs below /usr, with the libraries that they need, for a machine that
/// has the files of `base` already: those in `richer` whatever `base` has, and of the usual tools
/// those that are not among `there`, the names of the programs that it has.
pub fn programs_with_libraries(richer: &[&str], there: &BTreeSet<String>) -> Result<Vec<u8>, Error> {
    let missing = contents::TOOLS.iter().filter(|name| !there.contains(**name) && !richer.contains(name));
    let names: Vec<&str> = richer.iter().chain(missing).copied().collect();
    let mut bytes = Vec::new();
    contents::of_programs(&names)?.write(&mut tar::Builder::new(&mut bytes), 0)?;
    Ok(bytes)
}

fn store_layer(writer: &Writer<'_>, part: &Part, time: u64) -> Result<layer::Layer, Error> {
    let mut tar = tar::Builder::new(writer.layer()?);
    part.tree.write(&mut tar, time)?;
    let mut layer: LayerWriter = tar.into_inner().or_sys("write a layer of base")?;
    layer.flush().or_sys("write a layer of base")?;
    layer.finish()
}

/// The config as JSON; its members are sorted, so that the bytes are always the same.
fn config(contents: &Contents, layers: &[layer::Layer]) -> serde_json::Value {
    let created = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(contents.time)).to_string();
    let history: Vec<_> = contents
        .parts
        .iter()
        .map(|part| serde_json::json!({ "created": created, "created_by": format!("skiff: {}", part.what) }))
        .chain([serde_json::json!({ "created": created, "created_by": "skiff: CMD [\"/bin/sh\"]", "empty_layer": true })])
        .collect();
    serde_json::json!({
        "architecture": Arch::default(),
        "os": "linux",
        "created": created,
        "config": { "Env": [PATH], "Cmd": ["/bin/sh"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|l| l.diff_id.to_string()).collect::<Vec<_>>() },
        "history": history,
    })
}
