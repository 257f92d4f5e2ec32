//! `skiff system df`: what images, containers, volumes and builds take on disk.
//!
//! An image's size is that of its files, as `skiff images` has it; the total counts a layer that
//! several images share once. Stored beside the unpacked layers are the compressed ones, which a
//! registry would send: `--verbose` says how much.

use super::super::format::List;
use super::super::{Outcome, boxed, ps};
use super::change::image_of;
use super::list::{ago, all};
use crate::daemon::say::which_images::Line;
use crate::build::cache;
use crate::engine::container::{Container, Status};
use crate::engine::volume::store::size;
use crate::engine::volume::{Volume, Volumes};
use crate::image::Store;
use crate::kernel::{Explain, units};
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

// Options of `skiff system df`.
#[derive(Debug, Args)]
pub struct Df {
    /// A line for each image and container
    #[arg(short, long)]
    verbose: bool,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    format: Option<String>,
}

/// Bytes that the store takes on disk.
pub(super) fn disk(store: &Store) -> u64 {
    tree(&store.layout()) + tree(&store.layout().with_file_name("layers"))
}

/// Bytes of all files below a folder, or of one file.
pub(in crate::cli::skiff) fn tree(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::read_dir(path).into_iter().flatten().flatten().map(|e| tree(&e.path())).sum(),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    }
}

/// Prints it.
pub fn df(args: &Df, root: &Path) -> Outcome {
    let store = Store::open(root);
    let used = Used::count(&store, root)?;
    if args.verbose { used.verbose(&store)? } else { print!("{}", used.summary(args.format.as_deref())?) }
    Ok(0)
}

struct Used {
    lines: Vec<Line>,
    containers: Vec<Container>,
    root: PathBuf,
    /// Containers by the digest of their image.
    users: HashMap<String, usize>,
    /// Each unpacked layer's size, and how many images have it.
    layers: BTreeMap<PathBuf, (u64, usize)>,
}

impl Used {
    fn count(store: &Store, root: &Path) -> Result<Self, Box<dyn Explain>> {
        let lines = all(store)?;
        let containers = Container::all(root);
        let mut users = HashMap::new();
        for image in containers.iter().filter_map(|c| image_of(root, &c.record).ok()) {
            *users.entry(image.digest.to_string()).or_default() += 1;
        }
        let mut layers: BTreeMap<PathBuf, (u64, usize)> = BTreeMap::new();
        for line in unique(&lines) {
            // One may have a layer twice.
            let own: BTreeMap<&PathBuf, u64> = line.image.layers.iter().zip(line.image.layer_sizes()).collect();
            for (dir, size) in own {
                let entry = layers.entry(dir.clone()).or_insert((size, 0));
                entry.1 += 1;
            }
        }
        Ok(Self { lines, containers, root: root.to_owned(), users, layers })
    }

    /// Bytes of an image's layers that other images have too.
    fn shared(&self, line: &Line) -> u64 {
        line.image.layers.iter().filter_map(|dir| self.layers.get(dir)).filter(|(_, images)| *images > 1).map(|(size, _)| size).sum()
    }

    fn summary(&self, format: Option<&str>) -> Result<String, Box<dyn Explain>> {
        let images = unique(&self.lines);
        let in_use = |line: &&&Line| self.users.contains_key(line.image.digest.as_ref());
        let total: u64 = self.layers.values().map(|(size, _)| size).sum();
        let needed: BTreeMap<_, _> = images.iter().filter(in_use).flat_map(|l| l.image.layers.iter().zip(l.image.layer_sizes())).collect();
        let free = total.saturating_sub(needed.values().sum());
        let running = |c: &&Container| matches!(c.status(), Status::Running | Status::Creating);
        let size = |c: &Container| tree(&c.folder().join("upper"));
        let all: u64 = self.containers.iter().map(size).sum();
        let ended: u64 = self.containers.iter().filter(|c| !running(c)).map(size).sum();
        let row = |kind: &str, count: usize, active: usize, size: u64, free: u64| {
            let percent = (free * 100).checked_div(size).map(|p| format!(" ({p}%)")).unwrap_or_default();
            json!({
                "Type": kind,
                "TotalCount": count.to_string(),
                "Active": active.to_string(),
                "Size": units::docker_size(size),
                "Reclaimable": format!("{}{percent}", units::docker_size(free)),
            })
        };
        // All of it can be had back, and a build that goes on has what it needs.
        let (records, kept) = cache::held(&self.root).unwrap_or_default();
        let mut builds = row("Build Cache", records, 0, kept, kept);
        builds["Reclaimable"] = builds["Size"].clone();
        let (volumes, in_use_too, in_volumes, unused) = crate::daemon::say::volume::used(&self.root);
        let rows = [
            row("Images", images.len(), images.iter().filter(in_use).count(), total, free),
            row("Containers", self.containers.len(), self.containers.iter().filter(running).count(), all, ended),
            row("Local Volumes", volumes, in_use_too, in_volumes, unused),
            builds,
        ];
        let heads = &[("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"), ("Reclaimable", "RECLAIMABLE")];
        let usual = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
        List { usual, heads }.print(format, &rows).map_err(boxed)
    }

    fn verbose(&self, store: &Store) -> Result<(), Box<dyn Explain>> {
        println!("Images space usage:\n");
        let row = |line: &Line| {
            let (repository, tag) = line.name.as_deref().and_then(|n| n.rsplit_once(':')).unwrap_or(("<none>", "<none>"));
            let (size, shared) = (line.image.unpacked_size(), self.shared(line));
            json!({
                "R": repository, "T": tag, "I": &line.image.id.digest()[..12],
                "C": ago(line.image.config.created().as_deref()),
                "S": units::docker_size(size), "H": units::docker_size(shared),
                "U": units::docker_size(size.saturating_sub(shared)), "B": units::docker_size(line.image.size()),
                "N": self.users.get(line.image.digest.as_ref()).copied().unwrap_or(0).to_string(),
            })
        };
        let heads = &[
            ("R", "REPOSITORY"), ("T", "TAG"), ("I", "IMAGE ID"), ("C", "CREATED"), ("S", "SIZE"), ("H", "SHARED SIZE"), ("U", "UNIQUE SIZE"),
            ("B", "STORED SIZE"), ("N", "CONTAINERS"),
        ];
        let usual = "{{.R}}\t{{.T}}\t{{.I}}\t{{.C}}\t{{.S}}\t{{.H}}\t{{.U}}\t{{.B}}\t{{.N}}";
        let rows: Vec<Value> = self.lines.iter().map(row).collect();
        print!("{}", List { usual, heads }.print(None, &rows).map_err(boxed)?);
        println!("\nContainers space usage:\n");
        let row = |c: &Container| {
            let mut row = ps::row(c, false);
            row["Size"] = units::docker_size(tree(&c.folder().join("upper"))).into();
            row
        };
        let rows: Vec<Value> = self.containers.iter().map(row).collect();
        let usual = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
        print!("{}", List { usual, heads: ps::HEADS }.print(None, &rows).map_err(boxed)?);
        println!("\nLocal Volumes space usage:\n");
        let volumes = Volumes::open(&self.root);
        let row = |v: &Volume| json!({ "V": v.name, "L": volumes.users(&v.name).len().to_string(), "S": units::docker_size(size(&volumes.data(&v.name))) });
        let rows: Vec<Value> = volumes.all().iter().map(row).collect();
        let heads = &[("V", "VOLUME NAME"), ("L", "LINKS"), ("S", "SIZE")];
        print!("{}", List { usual: "{{.V}}\t{{.L}}\t{{.S}}", heads }.print(None, &rows).map_err(boxed)?);
        println!("\nBuild cache usage: {}", units::docker_size(cache::held(&self.root).unwrap_or_default().1));
        println!("\nOn disk, images as stored and unpacked: {}", units::docker_size(disk(store)));
        Ok(())
    }
}

/// Each image once, whatever its names.
fn unique(lines: &[Line]) -> Vec<&Line> {
    let mut seen = std::collections::HashSet::new();
    lines.iter().filter(|l| seen.insert(l.image.digest.to_string())).collect()
}
