//! Saved images: an archive or a layout, every part of it hashed afresh.
//!
//! Names and tags are labels that any tool may write, so none is looked at. What counts is the
//! content: layers that hash to what the manifest and the config call them, files in those layers,
//! and the config itself (OCI image spec, image-layout.md and config.md).

use super::{Fact, file, misplaced};
use crate::check::model::{Assertion, Conditions, ConfigIs, Count, FileIs};
use crate::image::archive::{Archive, Packed};
use oci_spec::image::Config;
use std::path::Path;

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
        let path = conditions.archive.clone().or_else(|| conditions.layout.clone()).unwrap_or_default();
        let open = || {
            let archive = Archive::open(Path::new(&path))?;
            let image = archive.images()?.into_iter().next();
            image.as_ref().map(|image| archive.verify(image)).transpose()?;
            Ok::<_, crate::image::Error>((archive, image))
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

/// Reads what the assertion speaks of.
pub(in crate::check) fn look(that: &Assertion, saved: &Saved) -> Fact {
    match that {
        Assertion::Layers(wanted) => layers(wanted.count.as_ref(), saved),
        Assertion::File(wanted) if wanted.mode.is_some() || wanted.owner.is_some() => misplaced(that),
        Assertion::File(wanted) => in_layers(wanted, saved),
        Assertion::Config(wanted) => config(wanted, saved),
        other => misplaced(other),
    }
}

fn layers(count: Option<&Count>, saved: &Saved) -> Fact {
    let there = saved.image.layers.len() as u64;
    let words = |n: String| if n == "1" { "1 layer".to_owned() } else { format!("{n} layers") };
    let at = format!("the manifest in {}", saved.path);
    match count {
        Some(count) => Fact::is(count.fits(there), words(count.to_string()), words(there.to_string()), at),
        None => Fact::is(there > 0, "layers", words(there.to_string()), at),
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
