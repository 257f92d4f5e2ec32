//! An image on its way out: layers first, three at a time, then the config, then the manifest under its tag.
//!
//! A blob that the registry has is not sent; one that it has in another repository from which an
//! image here came is mounted from there. Bytes are sent as they are stored, so the digest stays what
//! it is. An upload that breaks off begins anew: what a registry keeps of half a one differs too much.

use super::client::{Call, Client};
use super::http::Body;
use super::settings::Settings;
use super::{Error, auth};
use crate::image::{Image, Reference, Store};
use crate::kernel::OrSys;
use oci_spec::image::{Descriptor, Digest};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many layers go at once.
const AT_ONCE: usize = 3;
/// How often one is sent at most.
const ATTEMPTS: u32 = 5;

/// What happens during a push, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A layer went a step on.
    Layer {
        /// The first twelve digits of its diff ID, as Docker has it here.
        id: String,
        /// What happened.
        step: Step,
    },
}

/// A step of a layer on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It will be looked for.
    Preparing,
    /// It is going.
    Pushing {
        /// Bytes that have gone.
        done: u64,
        /// Bytes that it has.
        total: u64,
    },
    /// It broke off, and goes again.
    Retrying(String),
    /// The registry had it.
    Exists,
    /// The registry had it in that repository.
    Mounted(String),
    /// It is there.
    Pushed,
}

/// What stands in the registry now.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
}

/// Sends an image to the repository that `reference` names, under its tag.
pub fn push(store: &Store, image: &Image, reference: &Reference, settings: &Settings, told: &(dyn Fn(Progress) + Sync)) -> Result<Pushed, Error> {
    let client = Client::connect(&settings.origin(reference), settings)?;
    let elsewhere = elsewhere(store, reference)?;
    let going = Going { store, client: &client, elsewhere, told };
    going.layers(image)?;
    let config = image.manifest.config();
    going.blob(config, &|_| ())?;
    let bytes = store.document_bytes(&image.digest)?;
    let media_type = image.media_type().to_string();
    let call = Call {
        method: "PUT",
        path: client.path(&format!("manifests/{}", reference.tag_or_latest())),
        headers: vec![("content-type", media_type)],
        body: Body::Bytes(&bytes),
        scope: going.scope(None),
    };
    let response = client.call(&call)?;
    if response.status().as_u16() != 201 {
        return Err(client.refusal(&format!("write the manifest of {}", reference.key()), "push", response));
    }
    let theirs = response.headers().get("docker-content-digest").and_then(|h| h.to_str().ok()).map(str::to_owned);
    if let Some(theirs) = theirs.filter(|t| *t != image.digest.as_ref()) {
        return Err(Error::content("the registry's answer", format!("it has kept {theirs}, and was sent {}", image.digest)));
    }
    Ok(Pushed { digest: image.digest.clone(), size: bytes.len() as u64 })
}

/// In which other repositories of the same registry a blob is, by the names of the images here.
fn elsewhere(store: &Store, target: &Reference) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    for entry in store.entries()? {
        let Some(name) = entry.name.as_deref().and_then(|n| Reference::from_str(n).ok()) else { continue };
        // A name without a registry may be of this machine alone.
        if name.registry != target.registry || name.registry.is_none() || name.repository == target.repository {
            continue;
        }
        for layer in store.image(&entry.digest)?.manifest.layers() {
            found.insert(layer.digest().to_string(), name.repository.clone());
        }
    }
    Ok(found)
}

struct Going<'a> {
    store: &'a Store,
    client: &'a Client,
    elsewhere: BTreeMap<String, String>,
    told: &'a (dyn Fn(Progress) + Sync),
}

impl Going<'_> {
    /// What a token must be good for: this repository, and one to mount from.
    fn scope(&self, from: Option<&str>) -> String {
        let own = format!("repository:{}:pull,push", self.client.repository);
        from.map_or(own.clone(), |from| format!("{own} repository:{from}:pull"))
    }

    fn layers(&self, image: &Image) -> Result<(), Error> {
        let mut all: Vec<(&Descriptor, &str)> = Vec::new();
        for (layer, diff_id) in image.manifest.layers().iter().zip(image.config.rootfs().diff_ids()) {
            if !all.iter().any(|(l, _)| l.digest() == layer.digest()) {
                all.push((layer, diff_id.trim_start_matches("sha256:")));
            }
        }
        let say = |diff_id: &str, step: Step| (self.told)(Progress::Layer { id: diff_id.chars().take(12).collect(), step });
        all.iter().for_each(|(_, diff_id)| say(diff_id, Step::Preparing));
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(all.len()) {
                scope.spawn(|| {
                    while let Some((layer, diff_id)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.blob(layer, &|step| say(diff_id, step))
                            && let Ok(mut failed) = failed.lock()
                        {
                            failed.get_or_insert(error);
                            next.store(all.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        failed.into_inner().ok().flatten().map_or(Ok(()), Err)
    }

    /// Sends one blob, unless the registry has it.
    fn blob(&self, blob: &Descriptor, say: &(dyn Fn(Step) + Sync)) -> Result<(), Error> {
        let head = Call {
            method: "HEAD",
            path: self.client.path(&format!("blobs/{}", blob.digest())),
            headers: Vec::new(),
            body: Body::None,
            scope: self.scope(None),
        };
        let response = self.client.call(&head)?;
        match response.status().as_u16() {
            200 => {
                say(Step::Exists);
                return Ok(());
            }
            404 => {}
            _ => return Err(self.client.refusal(&format!("look for blob {}", blob.digest()), "push", response)),
        }
        let mut attempt = 1;
        loop {
            match self.send(blob, say) {
                Err(error) if attempt < ATTEMPTS && error.is_unreachable() => {
                    say(Step::Retrying(error.to_string()));
                    self.client.http.wait(attempt);
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// One upload: mounted, or begun and sent whole.
    fn send(&self, blob: &Descriptor, say: &(dyn Fn(Step) + Sync)) -> Result<(), Error> {
        let from = self.elsewhere.get(blob.digest().as_ref());
        let query = from.map(|from| format!("?mount={}&from={}", auth::escaped(blob.digest().as_ref()), auth::escaped(from)));
        let begin = Call {
            method: "POST",
            path: format!("{}{}", self.client.path("blobs/uploads/"), query.unwrap_or_default()),
            headers: Vec::new(),
            body: Body::Bytes(&[]),
            scope: self.scope(from.map(String::as_str)),
        };
        let response = self.client.call(&begin)?;
        match (response.status().as_u16(), from) {
            (201, Some(from)) => {
                say(Step::Mounted(from.clone()));
                return Ok(());
            }
            (202, _) => {}
            _ => return Err(self.client.refusal("begin an upload", "push", response)),
        }
        let nowhere = || Error::content("the registry's answer", "it takes an upload and does not say where");
        let location = self.client.location(&response).ok_or_else(nowhere)?;
        drop(response);
        let file = self.store.blob(blob.digest())?;
        let size = file.metadata().or_sys_with(|| format!("read blob {}", blob.digest()))?.len();
        let sent = |done: u64| say(Step::Pushing { done, total: size });
        let put = Call {
            method: "PUT",
            path: format!("{location}{}digest={}", if location.contains('?') { '&' } else { '?' }, auth::escaped(blob.digest().as_ref())),
            headers: vec![("content-type", "application/octet-stream".to_owned())],
            body: Body::File(&file, size, &sent),
            scope: self.scope(from.map(String::as_str)),
        };
        let response = self.client.call(&put)?;
        if response.status().as_u16() != 201 {
            return Err(self.client.refusal(&format!("write blob {}", blob.digest()), "push", response));
        }
        say(Step::Pushed);
        Ok(())
    }
}
