//! `base`: the image that needs no network, made at first use from this machine's own tools.
//!
//! With busybox (a static one for preference) it is that one binary and a link for each of its
//! applets. Without, it is the host's own programs with the libraries that they need. Either way it
//! is a proper OCI image of three layers, and the same machine always makes the same digest: entries
//! are sorted, owners are root, and the only time in it is that of the shell's own file.

mod closure;
mod contents;
mod tree;

use super::layer::LayerWriter;
use super::store::Store;
use super::writer::Writer;
use super::{Error, layer};
use crate::kernel::OrSys;
use oci_spec::image::{Arch, Descriptor, Digest, MediaType};
use std::io::Write;
use std::path::PathBuf;
use tree::Tree;

/// What the store calls it.
pub const NAME: &str = "base:latest";

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
    let contents = contents::of_this_machine()?;
    let writer = store.write()?;
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

fn store_layer(writer: &Writer<'_>, part: &Part, time: u64) -> Result<layer::Layer, Error> {
    let mut tar = tar::Builder::new(writer.layer()?);
    part.tree.write(&mut tar, time)?;
    let mut layer: LayerWriter = tar.into_inner().or_sys("write a layer of base")?;
    layer.flush().or_sys("write a layer of base")?;
    layer.finish()
}

/// The config as JSON; its members are sorted, so that the bytes are always the same.
fn config(contents: &Contents, layers: &[layer::Layer]) -> serde_json::Value {
    let created = rfc3339(contents.time);
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

/// Seconds since the epoch as `2023-01-05T00:00:00Z` (RFC 3339), by the proleptic Gregorian calendar.
pub fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of the year 0, so that a leap day is the last of its year.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(super::rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::rfc3339(1_795_242_600), "2026-11-21T06:30:00Z");
    }
}
