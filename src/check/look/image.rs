//! Images outside of an engine: an archive, a layout, or one in a registry; every part hashed afresh.
//!
//! Names and tags are labels that any tool may write, so none is looked at. What counts is the
//! content: layers that hash to what the manifest and the config call them, files in those layers,
//! and the config itself (OCI image spec, image-layout.md and config.md).

use super::{Fact, file, misplaced};
use crate::check::model::{Assertion, Conditions, ConfigIs, FileIs, Kinship, Layers, Shared};
use crate::image::Reference;
use crate::image::archive::{Archive, Packed};
use crate::image::registry::layout;
use oci_spec::image::Config;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// An image whose hashes are right.
pub(in crate::check) struct Saved {
    /// Where it lies.
    pub path: String,
    archive: Archive,
    image: Packed,
}

impl Saved {
    /// Opens what the conditions name, and hashes all of it; the error says what is wrong with it.
    pub(in crate::check) fn open(conditions: &Conditions) -> Result<Self, (String, String)> {
        let path = conditions.archive.clone().or_else(|| conditions.layout.clone()).or_else(|| conditions.registry.clone()).unwrap_or_default();
        let open = || {
            let archive = match &conditions.registry {
                Some(name) => layout::fetch(&Reference::from_str(name)?, &std::env::temp_dir())?,
                None => Archive::open(Path::new(&path))?,
            };
            let image = archive.images()?.into_iter().next();
            image.as_ref().map(|image| archive.verify(image)).transpose()?;
            Ok::<_, Box<dyn std::error::Error>>((archive, image))
        };
        match open() {
            Ok((archive, Some(image))) => Ok(Self { path, archive, image }),
            Ok((_, None)) => Err((path, "an archive without an image in it".into())),
            Err(error) => Err((path, error.to_string())),
        }
    }

    /// The image ID, for evidence.
    pub(in crate::check) fn id(&self) -> String {
        self.image.id.to_string()
    }
}

/// Reads what the assertion speaks of; `others` are the images that checks above it found.
pub(in crate::check) fn look(that: &Assertion, saved: &Saved, others: &BTreeMap<&str, Saved>) -> Fact {
    match that {
        Assertion::Layers(wanted) => layers(wanted, saved),
        Assertion::File(wanted) if wanted.mode.is_some() || wanted.owner.is_some() => misplaced(that),
        Assertion::File(wanted) => in_layers(wanted, saved),
        Assertion::Config(wanted) => config(wanted, saved),
        Assertion::Shared(wanted) => shared(wanted, saved, others),
        Assertion::Image(Kinship::SameAs(id)) => kin(id, true, saved, others),
        Assertion::Image(Kinship::DiffersFrom(id)) => kin(id, false, saved, others),
        Assertion::Nowhere(text) => nowhere(&text.0, saved),
        other => misplaced(other),
    }
}

fn layers(wanted: &Layers, saved: &Saved) -> Fact {
    let there = saved.image.layers.len() as u64;
    let words = |n: String| if n == "1" { "1 layer".to_owned() } else { format!("{n} layers") };
    let at = format!("the manifest in {}", saved.path);
    let mut facts = Vec::new();
    if let Some(bytes) = &wanted.bytes {
        let files = saved.image.layers.iter().map(|layer| saved.archive.files(layer));
        let sizes = files.map(|files| files.map(|list| list.iter().map(|f| f.size).sum::<u64>()));
        let expected = format!("layers of {bytes} bytes, unpacked");
        facts.push(match sizes.sum::<Result<u64, _>>() {
            Ok(sum) => Fact::is(bytes.fits(sum), expected, format!("{sum} bytes"), format!("the layers in {}", saved.path)),
            Err(error) => Fact::is(false, expected, error.to_string(), format!("the layers in {}", saved.path)),
        });
    }
    match &wanted.count {
        Some(count) => facts.push(Fact::is(count.fits(there), words(count.to_string()), words(there.to_string()), at)),
        None if facts.is_empty() => facts.push(Fact::is(there > 0, "layers", words(there.to_string()), at)),
        None => {}
    }
    Fact::all(facts)
}

/// The same image as another, or not: by the digest of the config, which names all the rest.
fn kin(id: &str, same: bool, saved: &Saved, others: &BTreeMap<&str, Saved>) -> Fact {
    let Some(other) = others.get(id) else {
        return Fact::is(false, format!("the image that `{id}` finds"), "there is none", saved.path.clone());
    };
    let word = if same { "the image that is" } else { "another image than" };
    let expected = format!("{word} {}, {}", other.path, other.id());
    Fact::is((saved.image.id == other.image.id) == same, expected, saved.id(), saved.path.clone())
}

/// Layers under the same diff IDs, from the lowest up: what one build took from the other's cache.
fn shared(wanted: &Shared, saved: &Saved, others: &BTreeMap<&str, Saved>) -> Fact {
    let Some(other) = others.get(wanted.with.as_str()) else {
        return Fact::is(false, format!("the image that `{}` finds", wanted.with), "there is none", saved.path.clone());
    };
    let pairs = saved.image.layers.iter().zip(&other.image.layers);
    let same = pairs.take_while(|(a, b)| a.diff_id == b.diff_id).count() as u64;
    let at = format!("the diff IDs in both configs, and {}", saved.path);
    let mut facts = Vec::new();
    if let Some(count) = &wanted.layers {
        let expected = format!("{count} layers, from the lowest up, that are those of {}", other.path);
        facts.push(Fact::is(count.fits(same), expected, format!("{same} of {}", saved.image.layers.len()), at.clone()));
    }
    if let Some(path) = &wanted.file {
        let holds = |layer| saved.archive.content(layer, Path::new(path)).is_ok_and(|file| file.is_some());
        let layer = saved.image.layers.iter().rposition(holds).map(|n| n as u64 + 1);
        let expected = format!("the layer with {path} among the first {same}, which are those of {}", other.path);
        let found = layer.map_or_else(|| "no layer has such a file".into(), |n| format!("it is layer {n}"));
        facts.push(Fact::is(layer.is_some_and(|n| n <= same), expected, found, at));
    }
    Fact::all(facts)
}

/// Every layer counts, also where a higher one hides or deletes the file.
fn nowhere(text: &str, saved: &Saved) -> Fact {
    let expected = format!("{text:?} in no layer and not in the config");
    match saved.archive.holding(&saved.image, text) {
        Ok(None) => Fact::is(true, expected, "it is not there", saved.path.clone()),
        Ok(Some(place)) => Fact::is(false, expected, format!("it is in {place}"), saved.path.clone()),
        Err(error) => Fact::is(false, expected, error.to_string(), saved.path.clone()),
    }
}

/// A file as a container of the image would see it: the uppermost layer that speaks of it counts.
fn in_layers(wanted: &FileIs, saved: &Saved) -> Fact {
    let path = Path::new(wanted.path.trim_start_matches('/'));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let whiteout = path.with_file_name(format!(".wh.{name}"));
    for (number, layer) in saved.image.layers.iter().enumerate().rev() {
        let at = format!("layer {} of {}, in {}", number + 1, saved.image.layers.len(), saved.path);
        match saved.archive.content(layer, path) {
            Ok(Some(_)) if wanted.absent => return Fact::is(false, file::expectation(wanted), "it is there", at),
            Ok(Some(bytes)) => return file::content(bytes.as_slice(), wanted, at),
            Ok(None) => {}
            Err(error) => return Fact::is(false, file::expectation(wanted), error.to_string(), at),
        }
        if saved.archive.content(layer, &whiteout).is_ok_and(|w| w.is_some()) {
            return Fact::is(wanted.absent, file::expectation(wanted), "a whiteout: deleted", at);
        }
    }
    Fact::is(wanted.absent, file::expectation(wanted), "no layer has such a file", format!("the layers in {}", saved.path))
}

fn config(wanted: &ConfigIs, saved: &Saved) -> Fact {
    let none = Config::default();
    let there = saved.image.config.config().as_ref().unwrap_or(&none);
    let at = || format!("the config in {}", saved.path);
    let mut facts = Vec::new();
    for (name, value) in &wanted.env {
        let set = there.env().iter().flatten().find_map(|e| e.split_once('=').filter(|(n, _)| n == name).map(|(_, v)| v));
        let found = set.map_or_else(|| format!("no {name} in Env"), |v| format!("{name}={v}"));
        facts.push(Fact::is(set == Some(value), format!("Env {name}={value}"), found, at()));
    }
    for (key, value) in &wanted.labels {
        let set = there.labels().as_ref().and_then(|l| l.get(key));
        facts.push(Fact::is(set == Some(value), format!("label {key}={value}"), set.map_or("no such label", String::as_str), at()));
    }
    for (key, wanted, found) in [("Cmd", &wanted.cmd, there.cmd()), ("Entrypoint", &wanted.entrypoint, there.entrypoint())] {
        if wanted.is_some() {
            facts.push(Fact::is(wanted == found, format!("{key} {wanted:?}"), format!("{found:?}"), at()));
        }
    }
    for (key, wanted, found) in [("User", &wanted.user, there.user()), ("WorkingDir", &wanted.workdir, there.working_dir())] {
        if let Some(wanted) = wanted {
            facts.push(Fact::is(found.as_ref() == Some(wanted), format!("{key} {wanted}"), found.clone().unwrap_or_default(), at()));
        }
    }
    Fact::all(facts)
}
