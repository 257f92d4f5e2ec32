//! `skiff images` and `skiff history`: Docker's columns.

use super::super::{Outcome, boxed, ps, show};
use crate::image::{Image, Store};
use crate::kernel::{Explain, units};
use clap::Args;
use std::path::Path;

/// Options of `skiff images`.
#[derive(Debug, Args)]
pub struct Images {
    /// Only image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Full IDs
    #[arg(long)]
    no_trunc: bool,
    /// Also the digests of the manifests
    #[arg(long)]
    digests: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only this repository, or this name and tag
    name: Option<String>,
}

/// Options of `skiff history`.
#[derive(Debug, Args)]
pub struct History {
    /// Only image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Full IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// The image
    image: String,
}

struct Line {
    repository: String,
    tag: String,
    image: Image,
}

/// Lists the images.
pub fn images(args: &Images, root: &Path) -> Outcome {
    let lines = lines(root, args.name.as_deref())?;
    let id = |image: &Image| if args.no_trunc { image.id.to_string() } else { image.id.digest()[..12].to_owned() };
    if args.json {
        for line in &lines {
            println!("{}", describe(line));
        }
        return Ok(0);
    }
    if args.quiet {
        let mut seen = Vec::new();
        for line in &lines {
            if !seen.contains(&&line.image.id) {
                println!("{}", id(&line.image));
                seen.push(&line.image.id);
            }
        }
        return Ok(0);
    }
    let rows = lines.iter().map(|line| {
        let mut row = vec![line.repository.clone(), line.tag.clone()];
        if args.digests {
            row.push(line.image.digest.to_string());
        }
        row.extend([id(&line.image), ago(line.image.config.created().as_deref()), units::docker_size(line.image.size())]);
        row
    });
    let mut head = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    if args.digests {
        head.insert(2, "DIGEST");
    }
    print!("{}", show::table(&head, &rows.collect::<Vec<_>>()));
    Ok(0)
}

fn lines(root: &Path, wanted: Option<&str>) -> Result<Vec<Line>, Box<dyn Explain>> {
    let store = Store::open(root);
    let mut lines = Vec::new();
    for entry in store.entries().map_err(boxed)? {
        let (repository, tag) = match entry.name.as_deref().and_then(|n| n.rsplit_once(':')) {
            Some((repository, tag)) => (repository.to_owned(), tag.to_owned()),
            None => ("<none>".to_owned(), "<none>".to_owned()),
        };
        if wanted.is_none_or(|w| w == repository || Some(w) == entry.name.as_deref()) {
            lines.push(Line { repository, tag, image: store.image(&entry.digest).map_err(boxed)? });
        }
    }
    Ok(lines)
}

fn describe(line: &Line) -> serde_json::Value {
    serde_json::json!({
        "Repository": line.repository,
        "Tag": line.tag,
        "ID": line.image.id.to_string(),
        "Digest": line.image.digest.to_string(),
        "CreatedAt": line.image.config.created(),
        "Size": line.image.size(),
        "Layers": line.image.config.rootfs().diff_ids(),
    })
}

/// Lists what an image was made by, the last first.
pub fn history(args: &History, root: &Path) -> Outcome {
    let image = super::find(root, &args.image)?;
    let mut sizes = image.manifest.layers().iter().map(oci_spec::image::Descriptor::size);
    let mut rows = Vec::new();
    for entry in image.config.history().iter().flatten() {
        // An entry that only set the config has no layer.
        let size = if entry.empty_layer() == Some(true) { 0 } else { sizes.next().unwrap_or(0) };
        rows.push((entry, size));
    }
    rows.reverse();
    let id = if args.no_trunc { image.id.to_string() } else { image.id.digest()[..12].to_owned() };
    if args.quiet {
        println!("{id}");
        return Ok(0);
    }
    let mut table = Vec::new();
    for (i, (entry, size)) in rows.into_iter().enumerate() {
        let created_by = entry.created_by().clone().unwrap_or_default();
        if args.json {
            let created = entry.created();
            println!("{}", serde_json::json!({ "CreatedAt": created, "CreatedBy": created_by, "Size": size, "Comment": entry.comment() }));
            continue;
        }
        table.push(vec![
            if i == 0 { id.clone() } else { "<missing>".into() },
            ago(entry.created().as_deref()),
            if args.no_trunc { created_by } else { short(&created_by) },
            units::docker_size(size),
            entry.comment().clone().unwrap_or_default(),
        ]);
    }
    if !args.json {
        print!("{}", show::table(&["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], &table));
    }
    Ok(0)
}

/// At most 45 characters, as Docker cuts it.
fn short(text: &str) -> String {
    if text.chars().count() <= 45 { text.to_owned() } else { text.chars().take(44).chain(['…']).collect() }
}

/// `2 days ago`, from a config's RFC 3339 time.
fn ago(created: Option<&str>) -> String {
    match created.and_then(|c| humantime::parse_rfc3339_weak(c.get(..19).unwrap_or(c)).ok()) {
        Some(time) => format!("{} ago", ps::rough(time)),
        None => "N/A".into(),
    }
}
