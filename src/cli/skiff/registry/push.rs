//! `skiff push`.

use super::progress::{Screen, Stream};
use super::{Outcome, boxed, settings};
use crate::image::registry::{Error, Settings, push as registry};
use crate::image::{Reference, Store};
use crate::kernel::Explain;
use clap::Args;
use std::path::Path;

// Options of `skiff push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Send all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print only the image's name
    #[arg(short, long)]
    quiet: bool,
    /// NAME[:TAG]
    name: String,
}

/// Sends an image, or all of its repository.
pub fn push(args: &Push, root: &Path) -> Outcome {
    let mut reference: Reference = args.name.parse().map_err(boxed::<crate::image::Error>)?;
    if reference.digest.is_some() {
        return Err(boxed(usage(args, "an image is pushed under a tag; its digest is computed, not given")));
    }
    let settings = settings().map_err(boxed)?;
    let mut tags = vec![reference.tag_or_latest().to_owned()];
    if args.all_tags {
        if reference.tag.is_some() {
            return Err(boxed(usage(args, "a tag means one image, --all-tags all of them")));
        }
        let entries = Store::open(root).entries().map_err(boxed)?;
        let names = entries.into_iter().filter_map(|e| e.name);
        tags = names.filter_map(|n| Some(n.strip_prefix(&reference.name())?.strip_prefix(':')?.to_owned())).collect();
    }
    let screen = Screen::new(Stream::Out);
    if !args.quiet {
        screen.line(&format!("The push refers to repository [{}]", repository(&reference)));
        if reference.tag.is_none() && !args.all_tags {
            screen.line("Using default tag: latest");
        }
    }
    if tags.is_empty() {
        return Err(boxed(Error::NotLocal { what: "repository", name: repository(&reference) }));
    }
    for tag in tags {
        reference.tag = Some(tag);
        one(args, root, &reference, &settings, &screen)?;
    }
    if args.quiet {
        println!("{}", super::pull::whole(&reference));
    }
    Ok(0)
}

fn one(args: &Push, root: &Path, reference: &Reference, settings: &Settings, screen: &Screen) -> Result<(), Box<dyn Explain>> {
    let store = Store::open(root);
    let image = store.resolve(&reference.key()).map_err(|error| match error {
        crate::image::Error::NotFound { .. } => boxed(Error::NotLocal { what: "image", name: reference.key() }),
        other => boxed(other),
    })?;
    let told = |progress| if args.quiet { } else { screen.push(&progress) };
    let pushed = registry::push(&store, &image, reference, settings, &told);
    screen.finish();
    let pushed = pushed.map_err(boxed)?;
    crate::daemon::say::event::moved(root, "push", &reference.key());
    if !args.quiet {
        screen.line(&format!("{}: digest: {} size: {}", reference.tag_or_latest(), pushed.digest, pushed.size));
    }
    Ok(())
}

fn usage(args: &Push, problem: &str) -> Error {
    Error::Usage { what: "the name", value: args.name.clone(), problem: problem.to_owned() }
}

/// The repository with all that Docker leaves out.
fn repository(reference: &Reference) -> String {
    let bare = Reference { tag: None, digest: None, ..reference.clone() };
    let whole = super::pull::whole(&bare);
    whole.strip_suffix(":latest").unwrap_or(&whole).to_owned()
}
