//! `skiff rmi` and `skiff image prune`: names go, and with the last one the image. Words are Docker's.

use super::super::{Outcome, boxed};
use super::change::image_of;
use crate::daemon::say::which_images::Filters;
use super::list::all;
use crate::daemon::say::which_images::Line;
use crate::engine::container::{Container, Status};
use crate::image::{Error, Image, Reference, Store};
use crate::kernel::{Explain, units};
use clap::Args;
use std::collections::HashSet;
use std::path::Path;

// Options of `skiff rmi`.
#[derive(Debug, Args)]
pub struct Rmi {
    /// Take all its names away, even if a container uses it; the layers that the container is made of stay
    #[arg(short, long)]
    force: bool,
    /// Images, by name or ID
    #[arg(required = true)]
    images: Vec<String>,
}

// Options of `skiff image prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

impl Rmi {
    /// These, if nothing uses them.
    pub(in super::super) fn of(images: Vec<String>) -> Self {
        Self { force: false, images }
    }
}

/// Removes images; goes on after an error, as Docker does.
pub fn rmi(args: &Rmi, root: &Path) -> Outcome {
    let mut code = 0;
    for name in &args.images {
        if let Err(error) = remove(root, name, args.force) {
            crate::cli::error::show(error.as_ref());
            code = 1;
        }
    }
    Ok(code)
}

fn remove(root: &Path, asked: &str, force: bool) -> Result<(), Box<dyn Explain>> {
    let store = Store::open(root);
    let image = match store.resolve(asked) {
        Err(error) if !matches!(error, Error::NotFound { .. } | Error::Ambiguous { .. }) => return remove_damaged(&store, asked, error),
        found => found.map_err(boxed)?,
    };
    let names = store.names_of(&image.digest).map_err(boxed)?;
    let key = asked.parse::<Reference>().ok().map(|r| r.key()).filter(|k| names.contains(k));
    let short = &image.id.digest()[..12];
    let conflict = |what: String, because: String, hint: String| Err(boxed(Error::Conflict { what, because, hint }));
    let in_several = names.iter().map(|n| n.rsplit_once(':').map_or(n.as_str(), |(r, _)| r)).collect::<HashSet<_>>().len() > 1;
    if key.is_none() && in_several && !force {
        let hint = format!("name the one to remove ({}), or --force to remove all", names.join(", "));
        return conflict(format!("delete {short} (must be forced)"), "image is referenced in multiple repositories".into(), hint);
    }
    let by_name = key.is_some();
    let going: Vec<String> = key.map_or_else(|| names.clone(), |k| vec![k]);
    let is_last = going.len() == names.len();
    let user = Container::all(root).into_iter().find(|c| image_of(root, &c.record).is_ok_and(|i| i.digest == image.digest));
    if let Some(container) = user.as_ref().filter(|_| is_last && !force) {
        let (id, hint) = (container.short_id(), format!("`skiff rm {}` first", container.name()));
        let running = matches!(container.status(), Status::Running | Status::Creating);
        if by_name {
            let what = format!("remove repository reference {asked:?} (must force)");
            return conflict(what, format!("container {id} is using its referenced image {short}"), hint);
        }
        let (can, state) = if running { ("cannot be forced", "running") } else { ("must be forced", "stopped") };
        return conflict(format!("delete {short} ({can})"), format!("image is being used by {state} container {id}"), hint);
    }
    for line in take((root, &store), &image, &going, is_last && user.is_none())? {
        println!("{line}");
    }
    Ok(())
}

/// Takes a name away whose image cannot be read.
fn remove_damaged(store: &Store, asked: &str, error: Error) -> Result<(), Box<dyn Explain>> {
    let key = asked.parse::<Reference>().map(|r| r.key()).unwrap_or_default();
    let of_that_name = |e: &crate::image::store::Entry| e.name.as_deref() == Some(key.as_str()) || e.digest.as_ref() == asked;
    let Some(entry) = store.entries().map_err(boxed)?.into_iter().find(of_that_name) else { return Err(boxed(error)) };
    store.write().and_then(|writer| writer.forget(&entry.digest, entry.name.as_deref())).map_err(boxed)?;
    println!("Untagged: {}", entry.name.unwrap_or_else(|| entry.digest.to_string()));
    Ok(())
}

/// Takes names away, and with the last one the image, unless a container has its layers. Gives what
/// was done, a line each: the image's ID before the digests of its layers.
fn take((root, store): (&Path, &Store), image: &Image, names: &[String], whole: bool) -> Result<Vec<String>, Box<dyn Explain>> {
    let writer = store.write().map_err(boxed)?;
    let mut lines: Vec<String> = names.iter().map(|name| format!("Untagged: {name}")).collect();
    if whole {
        let mut gone = writer.forget(&image.digest, None).map_err(boxed)?;
        let of_layers: Vec<_> = image.manifest.layers().iter().rev().map(|l| l.digest().clone()).collect();
        lines.push(format!("Deleted: {}", image.id));
        gone.retain(|digest| of_layers.contains(digest));
        gone.reverse();
        lines.extend(gone.iter().map(|digest| format!("Deleted: {digest}")));
    } else {
        for name in names {
            writer.untag(image, name).map_err(boxed)?;
        }
    }
    let id: &str = image.id.as_ref();
    names.iter().for_each(|_| crate::daemon::say::event::image(root, "untag", id, id));
    if whole {
        crate::daemon::say::event::image(root, "delete", id, id);
    }
    Ok(lines)
}

/// Removes images that nobody needs.
pub fn prune(args: &Prune, root: &Path) -> Outcome {
    let store = Store::open(root);
    let filters = Filters::read(&store, &args.filter, None).map_err(boxed)?;
    let what = if args.all { "all images without at least one container associated to them" } else { "all dangling images" };
    if !args.force && !agreed(&format!("WARNING! This will remove {what}.")) {
        return Ok(0);
    }
    let users: HashSet<String> =
        Container::all(root).iter().filter_map(|c| Some(image_of(root, &c.record).ok()?.digest.to_string())).collect();
    let mut lines: Vec<Line> = all(&store)?;
    lines.retain(|line| filters.fit(line) && !users.contains(line.image.digest.as_ref()) && (args.all || line.name.is_none()));
    let (mut said, mut freed, mut seen) = (Vec::new(), 0, HashSet::new());
    for line in lines {
        if !seen.insert(line.image.digest.to_string()) {
            continue;
        }
        let names = store.names_of(&line.image.digest).map_err(boxed)?;
        let before = super::df::disk(&store);
        said.extend(take((root, &store), &line.image, &names, true)?);
        freed += before.saturating_sub(super::df::disk(&store));
    }
    if !said.is_empty() {
        println!("Deleted Images:");
        // Docker writes these small here, and large in rmi.
        said.iter().for_each(|line| println!("{}", line.replacen('U', "u", 1).replacen('D', "d", 1)));
        println!();
    }
    println!("Total reclaimed space: {}", units::docker_size(freed));
    Ok(0)
}

/// Docker's question. Whatever is not a yes is a no.
pub(in super::super) fn agreed(warning: &str) -> bool {
    println!("{warning}");
    crate::cli::out::agreed("Are you sure you want to continue?")
}
