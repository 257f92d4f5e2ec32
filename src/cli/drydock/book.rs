//! `drydock book …`: the course as pages for a browser.

use super::{Outcome, boxed};
use crate::book;
use crate::course::Course;
use clap::Subcommand;
use std::path::PathBuf;

/// `drydock book …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum BookCommand {
    /// Build the book
    Build {
        /// The folder that it is built into; what is in it is replaced
        #[arg(short, long, value_name = "DIR", default_value = "drydock-book")]
        dest_dir: PathBuf,
    },
    /// What stock mdBook runs as a preprocessor: a book in on standard input, out on standard output
    #[command(hide = true)]
    Preprocess {
        /// mdBook asks first: `supports RENDERER`
        asked: Vec<String>,
    },
}

/// Runs it.
pub fn run(command: BookCommand, course: Course) -> Outcome {
    match command {
        BookCommand::Build { dest_dir } => {
            let index = book::build(course, &dest_dir).map_err(boxed)?;
            println!("built: {}", index.display());
        }
        // Every renderer is supported: lessons are Markdown.
        BookCommand::Preprocess { asked } if asked.first().is_some_and(|a| a == "supports") => {}
        BookCommand::Preprocess { .. } => book::preprocess(course, std::io::stdin().lock(), std::io::stdout().lock()).map_err(boxed)?,
    }
    Ok(0)
}
