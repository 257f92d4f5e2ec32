//! Images on skiff's command line: what is there, what it is made of, in and out of files.

pub(super) mod change;
pub mod df;
pub mod document;
mod files;
mod list;
pub(super) mod remove;
mod show;

use super::{Outcome, boxed};
use crate::image::{Image, Reference, Store};
use crate::kernel::Explain;
use clap::Subcommand;
use std::path::Path;

/// The subcommands about images; their words and options are Docker's.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Images {
    /// List images
    Images(list::Images),
    /// Look after images: ls, inspect, rm, prune, and the rest by their other names
    #[command(subcommand)]
    Image(Box<Group>),
    /// Show the layers of an image, the newest first
    History(list::History),
    /// List what a container changed over its image: A added, C changed, D deleted
    Diff(change::Diff),
    /// Make an image from a container's changes
    Commit(change::Commit),
    /// Write a container's whole filesystem as a tar archive
    Export(change::Export),
    /// Give an image another name
    Tag(change::Tag),
    /// Remove images
    Rmi(remove::Rmi),
    /// Write images to a tar archive: an OCI image layout that Docker reads too
    Save(files::Save),
    /// Read images from a tar archive or an OCI image layout
    Load(files::Load),
    /// Make an image from a tar archive of a root filesystem
    Import(files::Import),
}

/// `skiff image …`: the same commands, and those that have no short name.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Group {
    /// List images
    #[command(visible_alias = "list")]
    Ls(list::Images),
    /// Build an image from a Dockerfile
    Build(Box<super::build::Build>),
    /// Fetch an image from a registry
    Pull(super::registry::pull::Pull),
    /// Send an image to a registry
    Push(super::registry::push::Push),
    /// Show the layers of an image, the newest first
    History(list::History),
    /// Draw an image: its manifest, its config, and what each layer adds, changes and removes
    Show(show::Show),
    /// Show all that an image says of itself, as JSON
    Inspect(document::Inspect),
    /// Give an image another name
    Tag(change::Tag),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(remove::Rmi),
    /// Remove images that nobody needs
    Prune(remove::Prune),
    /// Write images to a tar archive: an OCI image layout that Docker reads too
    Save(files::Save),
    /// Read images from a tar archive or an OCI image layout
    Load(files::Load),
    /// Make an image from a tar archive of a root filesystem
    Import(files::Import),
}

/// Runs it. Docker's code 125 is for `run` alone: here an error is 1.
pub fn run(command: Images, root: &Path) -> Outcome {
    let done = match command {
        Images::Images(args) => list::images(&args, root),
        Images::Image(command) => group(*command, root),
        Images::History(args) => list::history(&args, root),
        Images::Diff(args) => change::diff(&args, root),
        Images::Commit(args) => change::commit(&args, root),
        Images::Export(args) => change::export(&args, root),
        Images::Tag(args) => change::tag(&args, root),
        Images::Rmi(args) => remove::rmi(&args, root),
        Images::Save(args) => files::save(&args, root),
        Images::Load(args) => files::load(&args, root),
        Images::Import(args) => files::import(&args, root),
    };
    done.or_else(|error| {
        crate::cli::error::show(error.as_ref());
        Ok(1)
    })
}

fn group(command: Group, root: &Path) -> Outcome {
    match command {
        Group::Ls(args) => list::images(&args, root),
        Group::History(args) => list::history(&args, root),
        Group::Build(args) => super::build::run(*args, root),
        Group::Pull(args) => super::registry::pull::pull(&args, root),
        Group::Push(args) => super::registry::push::push(&args, root),
        Group::Show(args) => show::show(&args, root),
        Group::Inspect(args) => document::inspect(&args, root),
        Group::Tag(args) => change::tag(&args, root),
        Group::Rm(args) => remove::rmi(&args, root),
        Group::Prune(args) => remove::prune(&args, root),
        Group::Save(args) => files::save(&args, root),
        Group::Load(args) => files::load(&args, root),
        Group::Import(args) => files::import(&args, root),
    }
}

/// The image that a person named; `base` is made if it is not there yet.
fn find(root: &Path, name: &str) -> Result<Image, Box<dyn Explain>> {
    super::run::find_image(root, name)
}

/// The name under which to store what is being made.
fn new_name(text: Option<&str>) -> Result<Option<Reference>, Box<dyn Explain>> {
    text.map(str::parse).transpose().map_err(boxed::<crate::image::Error>)
}

/// An image with the name that it was asked for by; none if it was asked for by its ID.
fn with_name(store: &Store, image: Image, asked: &str) -> Result<(Image, Option<String>), Box<dyn Explain>> {
    let names = store.names_of(&image.digest).map_err(boxed)?;
    let key = asked.parse::<Reference>().ok().map(|r| r.key());
    let name = names.into_iter().find(|n| Some(n) == key.as_ref());
    Ok((image, name))
}
