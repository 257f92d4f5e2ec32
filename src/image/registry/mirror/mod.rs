//! Images under Docker Hub's names that were made on this machine, for a class without a network.
//!
//! A mirror is asked for `library/nginx` as the Hub would be; real Docker does so with
//! `--registry-mirror`. What it has: the images of this machine's own store that bear such a name, and
//! a few that are made when they are first asked for: `hello-world` of a program of ours, others of
//! Debian's packages. They behave as the official ones do (entrypoint, ports, variables) and are not
//! those: their label `org.opencontainers.image.vendor` says who made them.

mod debian;
pub mod hello;
mod recipes;

use super::Error;
use super::server::{Document, Shown};
use crate::image::layer::Layer;
use crate::image::writer::Writer;
use crate::image::{Image, Reference, Store};
use oci_spec::image::{Arch, Digest, MediaType};
use recipes::Recipe;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;

/// When all that is made here says it was made, so that the same packages make the same image.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// Who is told what is being made.
pub type Told = Box<dyn Fn(&str) + Send + Sync>;

/// The images of a store that have one of Docker Hub's names.
pub struct Local {
    store: Store,
}

/// Images that are made when they are asked for, and kept in a store of their own.
pub struct Made {
    store: Store,
    told: Told,
    /// Two who ask for one image at once get the same one; and the Debian below them is made once.
    turn: Mutex<Option<debian::Base>>,
}

impl Local {
    /// Shows the store below `root`.
    pub fn new(root: &Path) -> Self {
        Self { store: Store::open(root) }
    }
}

impl Made {
    /// Keeps what it makes below `root`.
    pub fn new(root: &Path, told: Told) -> Self {
        Self { store: Store::open(root), told, turn: Mutex::new(None) }
    }
}

impl Shown for Local {
    fn by_tag(&self, repository: &str, tag: &str) -> Result<Option<Document>, Error> {
        stored(&self.store, short(repository), tag)
    }
    fn open(&self, digest: &Digest) -> Option<(File, u64)> {
        open(&self.store, digest)
    }
    fn list(&self) -> Vec<(String, Vec<String>)> {
        let entries = self.store.entries().unwrap_or_default();
        let names = entries.iter().filter_map(|e| Reference::from_str(e.name.as_deref()?).ok()).filter(|r| r.registry.is_none());
        names.map(|r| (long(&r.repository), vec![r.tag_or_latest().to_owned()])).collect()
    }
}

impl Shown for Made {
    fn by_tag(&self, repository: &str, tag: &str) -> Result<Option<Document>, Error> {
        let name = short(repository);
        let recipe = recipes::find(name);
        if name != hello::NAME && recipe.is_none() {
            return Ok(None);
        }
        let mut base = self.turn.lock().map_err(|_| Error::CannotMake { name: name.to_owned(), problem: "another image failed badly".into() })?;
        if let Some(document) = stored(&self.store, name, tag)? {
            return Ok(Some(document));
        }
        match recipe {
            None if tag == "latest" => drop(hello::make(&self.store, hello::Made::ForMirror)?),
            None => return Err(no_tag(name, tag, &["latest".to_owned()])),
            Some(recipe) => make(&self.store, recipe, tag, &mut base, &self.told)?,
        }
        stored(&self.store, name, tag)
    }
    fn open(&self, digest: &Digest) -> Option<(File, u64)> {
        open(&self.store, digest)
    }
    fn list(&self) -> Vec<(String, Vec<String>)> {
        recipes::names().chain([hello::NAME]).map(|name| (long(name), vec!["latest".to_owned()])).collect()
    }
}

/// Makes an image of a recipe, unless it has another version than the tag means.
fn make(store: &Store, recipe: &Recipe, tag: &str, base: &mut Option<debian::Base>, told: &Told) -> Result<(), Error> {
    let fetched = debian::fetch(recipe, tag, told)?;
    let tags = recipe.tags(&fetched.version);
    let writer = store.write()?;
    let layers = debian::layers(&writer, recipe, &fetched, base, told)?;
    let config = json!({
        "Env": recipe.environment(&fetched.version),
        "Entrypoint": recipe.entrypoint,
        "Cmd": recipe.command,
        "ExposedPorts": members(recipe.ports),
        "Volumes": members(recipe.volumes),
        "WorkingDir": recipe.workdir,
        "StopSignal": recipe.stop_signal,
    });
    let history = [format!("skiff: Debian's {}", debian::BASE.join(" ")), format!("skiff: {} {} and what it needs", recipe.package, fetched.version)];
    let names: Vec<String> = tags.iter().map(|t| format!("{}:{t}", recipe.name)).collect();
    let version = fetched.version.as_str();
    keep(&writer, &names, config, version, &layers, &history)?;
    told(&format!("made {}, of {} {version}", names.join(", "), recipe.package));
    Ok(())
}

/// An image of finished layers: its config, its manifest, its names.
fn keep(writer: &Writer<'_>, names: &[String], mut config: Value, version: &str, layers: &[Layer], history: &[String]) -> Result<Image, Error> {
    if let Some(members) = config.as_object_mut() {
        members.retain(|_, v| !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()) && v.as_object().is_none_or(|o| !o.is_empty()) && v != "");
    }
    config["Labels"] = json!({
        "org.opencontainers.image.vendor": "skiff, which made it on this machine",
        "org.opencontainers.image.version": version,
    });
    let history: Vec<Value> = history.iter().map(|by| json!({ "created": CREATED, "created_by": by })).collect();
    let document = json!({
        "architecture": Arch::default(),
        "os": "linux",
        "created": CREATED,
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|l| l.diff_id.to_string()).collect::<Vec<_>>() },
        "history": history,
    });
    let layers: Vec<_> = layers.iter().map(|l| l.descriptor.clone()).collect();
    let config = writer.put(document.to_string().as_bytes(), MediaType::ImageConfig)?;
    let manifest = writer.manifest(&config, &layers)?;
    let image = writer.store.image(manifest.digest())?;
    writer.name(&manifest, names)?;
    Ok(image)
}

/// `["80/tcp"]` as the keys of an object, as a config has them.
fn members(keys: &[&str]) -> Value {
    keys.iter().map(|k| ((*k).to_owned(), json!({}))).collect::<serde_json::Map<_, _>>().into()
}

fn no_tag(name: &str, tag: &str, there: &[String]) -> Error {
    let problem = format!("this machine makes {}", there.iter().map(|t| format!("{name}:{t}")).collect::<Vec<_>>().join(", "));
    Error::CannotMake { name: format!("{name}:{tag}"), problem }
}

fn stored(store: &Store, name: &str, tag: &str) -> Result<Option<Document>, Error> {
    let key = format!("{name}:{tag}");
    let entry = store.entries()?.into_iter().find(|e| e.name.as_deref() == Some(&key));
    entry.map(|e| Ok(Document { media_type: store.image(&e.digest)?.media_type().to_string(), digest: e.digest })).transpose()
}

fn open(store: &Store, digest: &Digest) -> Option<(File, u64)> {
    let file = store.blob(digest).ok()?;
    let size = file.metadata().ok()?.len();
    Some((file, size))
}

/// `nginx` of `library/nginx`.
fn short(repository: &str) -> &str {
    repository.strip_prefix("library/").unwrap_or(repository)
}

fn long(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("library/{name}") }
}
