//! A whole image: its manifest, then three layers at a time, each unpacked while it comes.
//!
//! Until the last byte is checked nothing of it has a name: layers wait beside the store and are renamed
//! into it together. What fails takes back what it brought.

use super::blob::{self, Coming};
use super::client::Client;
use super::manifest::{self, DOCUMENT_MAX, Found, Platform};
use super::obtain::shown;
use super::settings::Settings;
use super::Error;
use crate::image::store::{check_digest, parse};
use crate::image::writer::Writer;
use crate::image::{Image, Reference, Store, layer, layers};
use crate::kernel::OrSys;
use oci_spec::image::{Descriptor, Digest, ImageConfiguration};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How many layers come at once, as in Docker.
const AT_ONCE: usize = 3;

/// What happens during a pull, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The registry has answered.
    Pulling {
        /// Tag or digest.
        what: String,
        /// The repository's name there.
        repository: String,
    },
    /// One layer went a step on.
    Layer {
        /// The first twelve digits of its digest.
        id: String,
        /// What happened.
        step: Step,
    },
}

/// A step in the life of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is in the store.
    Exists,
    /// It will be fetched.
    Pending,
    /// It is its turn later.
    Waiting,
    /// It is coming.
    Downloading {
        /// Bytes that are here.
        done: u64,
        /// Bytes that it has.
        total: u64,
    },
    /// It broke off, and is asked for again.
    Retrying {
        /// How long was waited.
        after: Duration,
        /// What broke it off.
        problem: String,
    },
    /// Its digest is being compared.
    Verifying,
    /// It is here and whole.
    Downloaded,
    /// It is becoming a directory.
    Extracting,
    /// It is unpacked.
    Complete,
}

/// What a pull brought.
#[derive(Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// What the tag stands for in the registry: the digest of the index, where there is one.
    pub digest: Digest,
    /// It was here already, under this name.
    pub up_to_date: bool,
}

/// Fetches an image, and gives it the name by which it was asked for.
pub fn pull(store: &Store, reference: &Reference, platform: &Platform, settings: &Settings, told: &(dyn Fn(Progress) + Sync)) -> Result<Pulled, Error> {
    let (client, found) = find(reference, platform, settings)?;
    let what = reference.digest.as_ref().map_or_else(|| reference.tag_or_latest().to_owned(), ToString::to_string);
    told(Progress::Pulling { what, repository: client.repository.clone() });
    let mut names: Vec<String> = if reference.digest.is_some() { Vec::new() } else { vec![reference.key()] };
    let before = names.first().and_then(|name| store.resolve(name).ok());
    let up_to_date = before.is_some_and(|image| image.digest == *found.descriptor.digest());
    let config = config(store, &client, &found)?;
    let (os, architecture) = (config.1.os().to_string(), config.1.architecture().to_string());
    // An image without an index is for one platform; another was asked for in so many words.
    if *platform != Platform::here() && (os != platform.os || architecture != platform.architecture) {
        let there = vec![Platform { os, architecture, variant: config.1.variant().clone() }.to_string()];
        return Err(Error::NoPlatform { reference: shown(reference), wanted: platform.to_string(), there });
    }
    // The index is not kept; that it is what this image was pulled by is.
    if found.digest != *found.descriptor.digest() {
        names.push(format!("{}@{}", reference.name(), found.digest));
    }
    let quiet = |_| ();
    let image = bring(store, &client, &found, &config, &names, if up_to_date { &quiet } else { told })?;
    Ok(Pulled { image, digest: found.digest, up_to_date })
}

/// All tags of a repository.
pub fn tags(reference: &Reference, settings: &Settings) -> Result<Vec<String>, Error> {
    ask(reference, settings, |client| client.tags())
}

/// Asks the mirrors, then the registry.
pub(super) fn find(reference: &Reference, platform: &Platform, settings: &Settings) -> Result<(Client, Found), Error> {
    let wanted = reference.digest.as_ref().map_or_else(|| reference.tag_or_latest().to_owned(), ToString::to_string);
    let shown = if reference.digest.is_some() { reference.to_string() } else { reference.key() };
    ask(reference, settings, |client| manifest::find(client, &wanted, &shown, platform))
}

/// The first place that has an answer. Where the last one cannot be reached, what a mirror said matters more.
fn ask<T, R: FromAnswer<T>>(reference: &Reference, settings: &Settings, question: impl Fn(&Client) -> Result<T, Error>) -> Result<R, Error> {
    let mut said: Option<Error> = None;
    for endpoint in settings.endpoints(reference)? {
        let answer = Client::connect(&endpoint, settings).and_then(|client| question(&client).map(|found| (client, found)));
        match answer {
            Ok((client, found)) => return Ok(R::of(client, found)),
            Err(error) if endpoint.mirror => {
                if said.as_ref().is_none_or(Error::is_unreachable) {
                    said = Some(error);
                }
            }
            Err(error) => {
                let mirrors = said.filter(|s| error.is_unreachable() && !s.is_unreachable());
                return Err(mirrors.unwrap_or(error));
            }
        }
    }
    Err(said.unwrap_or_else(|| Error::content("the name", "no registry goes with it")))
}

/// With the client that had the answer, or without.
trait FromAnswer<T> {
    fn of(client: Client, found: T) -> Self;
}
impl FromAnswer<Found> for (Client, Found) {
    fn of(client: Client, found: Found) -> Self {
        (client, found)
    }
}
impl FromAnswer<Vec<String>> for Vec<String> {
    fn of(_: Client, found: Vec<String>) -> Self {
        found
    }
}

/// Fetches what is not here yet, and makes it an image. What a failed pull brought goes with its writer.
fn bring(
    store: &Store,
    client: &Client,
    found: &Found,
    config: &(Vec<u8>, ImageConfiguration),
    names: &[String],
    told: &(dyn Fn(Progress) + Sync),
) -> Result<Image, Error> {
    let writer = store.write()?;
    let incoming = store.layout().join(".incoming");
    fs::create_dir_all(&incoming).or_sys_with(|| format!("create {}", incoming.display()))?;
    let layers = Layers::new(&writer, found, &config.1, &incoming)?;
    let done = layers.fetch(client, told).and_then(|()| name(&writer, found, &config.0, &layers, names));
    if done.is_err() {
        layers.coming.iter().for_each(Coming::discard);
    }
    // Only when it is empty: another pull may have its layers there.
    let _ = fs::remove_dir(&incoming);
    done
}

/// The config's bytes, and what they say.
fn config(store: &Store, client: &Client, found: &Found) -> Result<(Vec<u8>, ImageConfiguration), Error> {
    let (descriptor, what) = (found.manifest.config(), format!("config {}", found.manifest.config().digest()));
    let bytes = match store.document_bytes(descriptor.digest()) {
        Ok(bytes) => bytes,
        Err(_) => {
            let response = client.get(&format!("blobs/{}", descriptor.digest()), Vec::new())?;
            if response.status().as_u16() != 200 {
                return Err(client.refusal(&format!("read {what}"), "pull", response));
            }
            client.read(&what, response, descriptor.size().min(DOCUMENT_MAX))?
        }
    };
    check_digest("config", descriptor.digest(), &layer::digest(&bytes))?;
    let config: ImageConfiguration = parse(&bytes, &what)?;
    let (there, diff_ids) = (found.manifest.layers().len(), config.rootfs().diff_ids().len());
    if there != diff_ids {
        return Err(Error::content(what, format!("it has {diff_ids} diff IDs, and the manifest {there} layers")));
    }
    Ok((bytes, config))
}

/// The layers of one image on their way.
struct Layers<'a> {
    writer: &'a Writer<'a>,
    /// Those that are not in the store, each once.
    coming: Vec<Coming>,
    /// All of them, lowest first: what it is, what it unpacks to.
    all: Vec<(Descriptor, Digest)>,
    /// The first thing that went wrong.
    failed: Mutex<Option<Error>>,
    stop: AtomicBool,
}

impl<'a> Layers<'a> {
    fn new(writer: &'a Writer<'a>, found: &Found, config: &ImageConfiguration, incoming: &Path) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (layer, diff_id) in found.manifest.layers().iter().zip(config.rootfs().diff_ids()) {
            let diff_id = Digest::from_str(diff_id).ok().filter(|d| d.as_ref().starts_with("sha256:"));
            let diff_id = diff_id.ok_or_else(|| Error::content("the config", "one of its diff IDs is no sha256 digest"))?;
            all.push((layer.clone(), diff_id));
        }
        let (mut seen, mut coming) = (BTreeSet::new(), Vec::new());
        for (layer, _) in all.iter().filter(|(l, _)| seen.insert(l.digest().to_string())) {
            if !writer.has(layer.digest())? {
                coming.push(Coming::new(layer, incoming));
            }
        }
        Ok(Self { writer, coming, all, failed: Mutex::default(), stop: AtomicBool::new(false) })
    }

    /// Fetches three at a time, in the image's order, and unpacks them while they come.
    fn fetch(&self, client: &Client, told: &(dyn Fn(Progress) + Sync)) -> Result<(), Error> {
        self.announce(told);
        let (next, unpacked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let unpackers = std::thread::available_parallelism().map_or(1, usize::from).min(AT_ONCE);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(self.coming.len()) {
                scope.spawn(|| {
                    while let Some(coming) = self.coming.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.fetch_one(client, coming, told);
                    }
                });
            }
            for _ in 0..unpackers.min(self.all.len()) {
                scope.spawn(|| {
                    while let Some((layer, diff_id)) = self.all.get(unpacked.fetch_add(1, Ordering::Relaxed)) {
                        self.unpack(layer, diff_id, told).unwrap_or_else(|error| self.fail(error));
                    }
                });
            }
        });
        match self.failed.lock().ok().and_then(|mut f| f.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn fetch_one(&self, client: &Client, coming: &Coming, told: &(dyn Fn(Progress) + Sync)) {
        if self.stop.load(Ordering::Relaxed) {
            return coming.break_off();
        }
        let stored = self.writer.store.blob_path(coming.layer.digest());
        blob::fetch(client, coming, &stored, &self.stop, told).unwrap_or_else(|error| self.fail(error));
    }

    fn announce(&self, told: &(dyn Fn(Progress) + Sync)) {
        for (layer, _) in &self.all {
            let missing = self.coming.iter().any(|c| c.layer.digest() == layer.digest());
            told(progress(layer, if missing { Step::Pending } else { Step::Exists }));
        }
        for coming in self.coming.iter().skip(AT_ONCE) {
            told(progress(&coming.layer, Step::Waiting));
        }
    }

    fn unpack(&self, layer: &Descriptor, diff_id: &Digest, told: &(dyn Fn(Progress) + Sync)) -> Result<(), Error> {
        let folder = self.writer.store.root.join("layers");
        self.writer.needs_layer(&folder.join(diff_id.digest()))?;
        let coming = self.coming.iter().find(|c| c.layer.digest() == layer.digest());
        // Where it will never come, its own thread says why.
        if self.stop.load(Ordering::Relaxed) || coming.is_some_and(|c| !c.begins()) {
            return Ok(());
        }
        if coming.is_some() {
            told(progress(layer, Step::Extracting));
        }
        match coming.filter(|c| !c.is_stored()) {
            Some(coming) => layers::unpack(&folder, diff_id, coming.reader()?)?,
            None => layers::unpack(&folder, diff_id, self.writer.store.blob(layer.digest())?)?,
        }
        if coming.is_some_and(Coming::ends_well) {
            told(progress(layer, Step::Complete));
        }
        Ok(())
    }

    /// The first error is the one that matters; the others follow from it.
    fn fail(&self, error: Error) {
        if let Ok(mut failed) = self.failed.lock()
            && failed.is_none()
        {
            *failed = Some(error);
        }
        self.stop.store(true, Ordering::Relaxed);
        self.coming.iter().for_each(Coming::break_off);
    }
}

/// All that came becomes an image.
fn name(writer: &Writer<'_>, found: &Found, config: &[u8], layers: &Layers<'_>, names: &[String]) -> Result<Image, Error> {
    for coming in layers.coming.iter().filter(|c| !c.is_stored()) {
        writer.adopt(&coming.path, coming.layer.digest())?;
    }
    writer.put(config, found.manifest.config().media_type().clone())?;
    writer.put(&found.bytes, found.descriptor.media_type().clone())?;
    let image = writer.store.image(found.descriptor.digest())?;
    writer.unpack(&image)?;
    writer.name(&found.descriptor, names)?;
    Ok(image)
}

fn progress(layer: &Descriptor, step: Step) -> Progress {
    Progress::Layer { id: layer.digest().digest()[..12].to_owned(), step }
}
