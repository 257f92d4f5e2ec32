//! The image that a command names, from wherever it can be had: the store, this machine, a registry.
//!
//! `run`, `create` and `build` ask here. `base` is made of this machine's own tools, never pulled.
//! `hello-world` is pulled like any other; where no registry can be reached it is made here too, and
//! whoever asked is told that it is not Docker Hub's.

use super::manifest::Platform;
use super::mirror::hello;
use super::pull::{self, Progress};
use super::settings::Settings;
use super::Error;
use crate::image::{self, Image, Reference, Store, base};
use std::str::FromStr;

/// What can be made where no registry is.
const HELLO: &str = "hello-world:latest";

/// When a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Each time.
    Always,
    /// Where the image is not here.
    #[default]
    Missing,
    /// Not at all.
    Never,
}

/// What happens until the image is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is not in the store: this name will be pulled.
    NotHere(String),
    /// A pull goes on.
    Pull(Progress),
    /// What the tag stood for, and whether it was here already.
    Pulled {
        /// The name that it has now.
        name: String,
        /// The digest that the registry has for it.
        digest: String,
        /// It was here already.
        up_to_date: bool,
    },
    /// No registry could be reached, for this reason: the image was made here.
    MadeHere {
        /// Its name.
        name: String,
        /// Why it was not pulled.
        problem: String,
    },
    /// `base` is being made.
    Base(base::Progress),
}

/// Finds, makes or pulls an image, ready to be run. Settings are read only where a registry is asked.
pub fn obtain(
    store: &Store,
    name: &str,
    policy: Policy,
    platform: Option<&Platform>,
    settings: &dyn Fn() -> Result<Settings, Error>,
    told: &(dyn Fn(Event) + Sync),
) -> Result<Image, Error> {
    let here = store.obtain(name, &mut |p| told(Event::Base(p)));
    let pulls = match (policy, &here) {
        (Policy::Never, _) | (Policy::Missing, Ok(_)) => None,
        // Neither an ID nor this machine's own image is in any registry.
        (_, Ok(image)) if is_id_of(name, image) => None,
        (_, Ok(_) | Err(image::Error::NotFound { .. })) => Reference::from_str(name).ok().filter(|r| r.key() != base::NAME),
        _ => None,
    };
    let Some(reference) = pulls else { return Ok(here?) };
    let nearest = match &here {
        Err(image::Error::NotFound { nearest, .. }) => {
            told(Event::NotHere(shown(&reference)));
            nearest.clone()
        }
        _ => None,
    };
    let platform = platform.cloned().unwrap_or_else(Platform::here);
    let pulled = settings().and_then(|s| pull::pull(store, &reference, &platform, &s, &|p| told(Event::Pull(p))));
    match pulled {
        Ok(pulled) => {
            told(Event::Pulled { name: shown(&reference), digest: pulled.digest.to_string(), up_to_date: pulled.up_to_date });
            Ok(pulled.image)
        }
        Err(pull) if pull.is_unreachable() && reference.digest.is_none() && reference.key() == HELLO => {
            let image = hello::make(store, hello::Made::ForRun)?;
            told(Event::MadeHere { name: hello::NAME.into(), problem: pull.to_string() });
            image.layer_dirs()?;
            Ok(image)
        }
        Err(pull) => Err(Error::NotHere { pull: Box::new(pull), nearest }),
    }
}

/// The name with its tag, or with the digest in its place.
pub fn shown(reference: &Reference) -> String {
    match &reference.digest {
        Some(digest) => format!("{}@{digest}", reference.name()),
        None => reference.key(),
    }
}

/// True if an image was asked for by the beginning of its ID.
fn is_id_of(name: &str, image: &Image) -> bool {
    let hex = name.trim_start_matches("sha256:");
    hex.len() >= 2 && (image.id.digest().starts_with(hex) || image.digest.digest() == hex)
}
