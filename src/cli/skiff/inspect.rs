//! `skiff inspect`: a container's document, or an image's; or what the kernel says of a container.

use super::format::inspection;
use crate::daemon::say;
use crate::daemon::say::image::document as image_document;
use crate::daemon::say::ordered::Ordered;
use super::kernel;
use super::{Outcome, boxed};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::image::Store;
use crate::kernel::Explain;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::Path;

// Options of `skiff inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// What the container is in the kernel: namespaces, mounts, cgroup, ids, capabilities
    #[arg(long)]
    kernel: bool,
    /// A Go template, such as '{{.Config.Env}}' or '{{json .RootFS}}'; or json
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "kernel")]
    format: Option<String>,
    /// Only a container, or only an image; otherwise whichever has the name, a container first
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// Containers or images, by name or id
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Container,
    Image,
}

/// Either document.
#[derive(Serialize)]
#[serde(untagged)]
enum Document {
    Container(Ordered),
    Image(Box<say::image::Document>),
}

/// Prints a JSON array, or with --kernel the view of the container's process 1.
pub fn run(args: &Inspect, root: &Path) -> Outcome {
    if args.kernel {
        for name in &args.names {
            Container::find(root, name).and_then(|c| kernel::print(&c)).map_err(boxed)?;
        }
        return Ok(0);
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.names {
        match find(args.kind, name, root) {
            Ok(document) => found.push(document),
            Err(error) => missing.push(error),
        }
    }
    // As Docker does: first what is there, then what is not.
    let code = missing.last().map_or(0, |error| error.exit_code());
    print!("{}", inspection(args.format.as_deref(), &found).map_err(boxed)?);
    missing.iter().for_each(|error| crate::cli::error::show(error.as_ref()));
    Ok(code)
}

fn find(kind: Option<Kind>, name: &str, root: &Path) -> Result<Document, Box<dyn Explain>> {
    let store = Store::open(root);
    let image = || store.resolve(name).map_err(boxed).and_then(|image| image_document(&store, &image).map_err(boxed));
    if kind == Some(Kind::Image) {
        return image().map(|d| Document::Image(Box::new(d)));
    }
    match Container::find(root, name) {
        Ok(container) => Ok(Document::Container(say::container::document(&container))),
        Err(error @ Error::NoContainer { .. }) if kind.is_none() => image().map(|d| Document::Image(Box::new(d))).map_err(|_| boxed(error)),
        Err(error) => Err(boxed(error)),
    }
}
