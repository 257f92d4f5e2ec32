//! `skiff save`, `load` and `import`: images as files.

use super::super::{Outcome, boxed};
use crate::image::{Error, Store, save as store};
use crate::kernel::{Explain, OrSys};
use clap::Args;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read};
use std::path::{Path, PathBuf};

// Options of `skiff save`.
#[derive(Debug, Args)]
pub struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The images
    #[arg(required = true)]
    images: Vec<String>,
}

// Options of `skiff load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Read this tar archive or folder instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

// Options of `skiff import`.
#[derive(Debug, Args)]
pub struct Import {
    /// A word about it, for its history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Set the config too, by a Dockerfile instruction such as 'ENV NAME=value'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// The tar archive; - is standard input
    file: PathBuf,
    /// The image's name
    name: Option<String>,
}

/// Writes images to an archive.
pub fn save(args: &Save, root: &Path) -> Outcome {
    let mut images = Vec::new();
    let opened = Store::open(root);
    for name in &args.images {
        images.push(super::with_name(&opened, super::find(root, name)?, name)?);
    }
    let Some(path) = &args.output else {
        if std::io::stdout().is_terminal() {
            return Err(boxed(Error::Terminal));
        }
        store::save(&opened, &images, BufWriter::new(std::io::stdout().lock())).map_err(boxed)?;
        return Ok(0);
    };
    store::save_file(&opened, &images, path).map_err(boxed)?;
    Ok(0)
}

/// Reads images from an archive.
pub fn load(args: &Load, root: &Path) -> Outcome {
    if args.input.is_none() && std::io::stdin().is_terminal() {
        return Err(boxed(Error::Terminal));
    }
    for (image, names) in store::load_from(&Store::open(root), args.input.as_deref()).map_err(boxed)? {
        crate::daemon::say::event::image(root, "load", image.id.as_ref(), image.id.as_ref());
        if args.quiet {
            continue;
        }
        if names.is_empty() {
            println!("Loaded image ID: {}", image.id);
        }
        for name in names {
            println!("Loaded image: {name}");
        }
    }
    Ok(0)
}

/// Makes an image from a root filesystem.
pub fn import(args: &Import, root: &Path) -> Outcome {
    let name = super::new_name(args.name.as_deref())?;
    let from: Box<dyn Read + Send> = if args.file == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(open(&args.file)?) };
    let comment = args.message.clone().unwrap_or_else(|| format!("Imported from {}", args.file.display()));
    let config = super::change::instructions(&args.change).map_err(boxed)?;
    let image = store::import(&Store::open(root), from, name.as_ref(), &comment, &config).map_err(boxed)?;
    crate::daemon::say::event::image(root, "import", image.id.as_ref(), &name.map_or_else(|| image.id.to_string(), |n| n.key()));
    println!("{}", image.id);
    Ok(0)
}

fn open(path: &Path) -> Result<File, Box<dyn Explain>> {
    File::open(path).or_sys_with(|| format!("open {}", path.display())).map_err(boxed)
}
