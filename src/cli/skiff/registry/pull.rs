//! `skiff pull`.

use super::progress::{Screen, Stream};
use super::{Outcome, boxed, settings};
use crate::image::registry::manifest::Platform;
use crate::image::registry::obtain::shown;
use crate::image::registry::{Error, Settings, pull as registry};
use crate::image::{Reference, Store};
use crate::kernel::Explain;
use clap::Args;
use std::path::Path;

// Options of `skiff pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Fetch all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// For another machine, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE", value_parser = super::platform)]
    platform: Option<Platform>,
    /// Print only the image's name
    #[arg(short, long)]
    quiet: bool,
    /// NAME[:TAG|@DIGEST]
    name: String,
}

/// Fetches an image, or all that have another tag.
pub fn pull(args: &Pull, root: &Path) -> Outcome {
    let mut reference: Reference = args.name.parse().map_err(boxed::<crate::image::Error>)?;
    if reference.name() == "scratch" {
        let problem = "it is a reserved name: FROM scratch begins with nothing, and there is no such image".to_owned();
        return Err(boxed(crate::image::Error::BadReference { text: args.name.clone(), problem }));
    }
    let settings = settings().map_err(boxed)?;
    if !args.all_tags {
        if reference.tag.is_none() && reference.digest.is_none() && !args.quiet {
            println!("Using default tag: latest");
        }
        one(args, root, &reference, &settings)?;
        println!("{}", whole(&reference));
        return Ok(0);
    }
    if reference.tag.is_some() || reference.digest.is_some() {
        let problem = "a tag or a digest means one image, --all-tags all of them".to_owned();
        return Err(boxed(Error::Usage { what: "the name", value: args.name.clone(), problem }));
    }
    for tag in registry::tags(&reference, &settings).map_err(boxed)? {
        reference.tag = Some(tag);
        one(args, root, &reference, &settings)?;
    }
    reference.tag = None;
    let named = whole(&reference);
    println!("{}", named.strip_suffix(":latest").unwrap_or(&named));
    Ok(0)
}

fn one(args: &Pull, root: &Path, reference: &Reference, settings: &Settings) -> Result<(), Box<dyn Explain>> {
    let screen = Screen::new(Stream::Out);
    let platform = args.platform.clone().unwrap_or_else(Platform::here);
    let told = |progress| if args.quiet { } else { screen.pull(&progress) };
    let pulled = registry::pull(&Store::open(root), reference, &platform, settings, &told);
    screen.finish();
    let pulled = pulled.map_err(boxed)?;
    crate::daemon::say::event::moved(root, "pull", &reference.key());
    if !args.quiet {
        screen.pulled(&shown(reference), pulled.digest.as_ref(), pulled.up_to_date);
    }
    Ok(())
}

/// The name with all that Docker leaves out.
pub(super) fn whole(reference: &Reference) -> String {
    let name = shown(reference);
    match &reference.registry {
        Some(_) => name,
        None if reference.repository.contains('/') => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}
