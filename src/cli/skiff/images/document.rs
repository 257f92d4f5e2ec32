//! `skiff image inspect`: an image as Docker's JSON.

use super::super::format::inspection;
use super::super::{Outcome, boxed};
use crate::daemon::say::image::document;
use crate::image::Store;
use clap::Args;
use std::path::Path;

// Options of `skiff image inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A Go template, such as '{{.Config.Env}}' or '{{json .RootFS}}'; or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Images, by name or ID
    #[arg(required = true)]
    images: Vec<String>,
}

/// Prints the documents of images; what is not there is said after those that are, as Docker does.
pub fn inspect(args: &Inspect, root: &Path) -> Outcome {
    let store = Store::open(root);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.images {
        match super::find(root, name).and_then(|image| document(&store, &image).map_err(boxed)) {
            Ok(document) => found.push(document),
            Err(error) => missing.push(error),
        }
    }
    print!("{}", inspection(args.format.as_deref(), &found).map_err(boxed)?);
    missing.iter().for_each(|error| crate::cli::error::show(error.as_ref()));
    Ok(u8::from(!missing.is_empty()))
}
