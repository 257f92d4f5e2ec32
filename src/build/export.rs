//! The end of a build: config and manifest into the store, and the names.

use super::Error;
use super::solve::{Build, Built};
use super::step::State;
use crate::image::layer;
use oci_spec::image::{Descriptor, Digest, MediaType};
use std::str::FromStr;

/// Makes an image of a state, and names it.
pub(super) fn export(build: &Build<'_>, state: &State) -> Result<Built, Error> {
    let shown = build.show("exporting to image".into());
    let made = image(build, state).inspect_err(|error| shown.failed(error))?;
    shown.note(format!("writing image {} done", made.id));
    for tag in &build.options.tags {
        shown.note(format!("naming to {} done", tag.key()));
    }
    shown.done();
    Ok(made)
}

fn image(build: &Build<'_>, state: &State) -> Result<Built, Error> {
    let diff_ids: Vec<String> = state.layers.iter().map(|l| l.diff_id.to_string()).collect();
    let mut config = state.config.clone();
    let labels = build.options.labels.iter().map(|(k, v)| (k.clone(), v.clone().into()));
    if !build.options.labels.is_empty() {
        config.add("Labels", labels.collect());
    }
    let created = build.options.epoch.map_or(state.created, |epoch| epoch.min(state.created.max(0)).max(0));
    let document = config.document(created, &diff_ids).to_string();
    let id = layer::digest(document.as_bytes());
    let names: Vec<String> = build.options.tags.iter().map(crate::image::Reference::key).collect();
    if is_there(build, &id, &names)? {
        return Ok(Built { id });
    }
    let writer = build.store.write()?;
    for layer in &state.layers {
        writer.has(layer.descriptor.digest())?;
    }
    let config = writer.put(document.as_bytes(), MediaType::ImageConfig)?;
    let layers: Vec<Descriptor> = state.layers.iter().map(|l| l.descriptor.clone()).collect();
    let manifest = writer.manifest(&config, &layers)?;
    writer.name(&manifest, &names)?;
    Ok(Built { id })
}

/// True where the very image has these names already: nothing needs to be written.
fn is_there(build: &Build<'_>, id: &Digest, names: &[String]) -> Result<bool, Error> {
    if names.is_empty() {
        return Ok(build.store.blob_path(id).exists() && build.store.resolve(id.as_ref()).is_ok());
    }
    let same = |name: &String| build.store.resolve(name).is_ok_and(|image| image.id == *id);
    Ok(Digest::from_str(id.as_ref()).is_ok() && names.iter().all(same))
}
