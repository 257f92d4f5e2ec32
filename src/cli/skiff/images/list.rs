//! `skiff images` and `skiff history`: Docker's columns.

use super::super::format::{List, lines};
use super::super::{Outcome, boxed};
use crate::cli::out::visible;
use crate::daemon::say::which_images::{self, Filters, Line, time};
use crate::daemon::say::words;
use crate::image::{Image, Store};
use crate::kernel::{Explain, units};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

// Options of `skiff images`.
#[derive(Debug, Args)]
#[command(after_help = "SIZE is that of the image's files, unpacked, as in Docker: every layer in full, also those that \
    other images share. What is stored and sent is smaller, since it is compressed: see `skiff image show`, `skiff system df -v`.")]
pub struct Images {
    /// All images; as in Docker, where it adds the intermediate ones of old builds, which skiff has not
    #[arg(short, long)]
    all: bool,
    /// Only image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Full IDs
    #[arg(long)]
    no_trunc: bool,
    /// Also the digests of the manifests
    #[arg(long)]
    digests: bool,
    /// Only some: dangling=true, label=KEY[=VALUE], reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON object a line, with numbers and whole digests for programs
    #[arg(long)]
    json: bool,
    /// Only this repository, or this name and tag; * and ? stand for anything
    name: Option<String>,
}

// Options of `skiff history`.
#[derive(Debug, Args)]
pub struct History {
    /// Sizes and times for people; --human=false for bytes and RFC 3339
    #[arg(short = 'H', long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    human: bool,
    /// Only image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Full IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// A Go template for each line, `table TEMPLATE`, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// The image
    image: String,
}

/// Lists the images.
pub fn images(args: &Images, root: &Path) -> Outcome {
    let store = Store::open(root);
    let filters = Filters::read(&store, &args.filter, args.name.as_deref()).map_err(boxed)?;
    let lines = all(&store)?.into_iter().filter(|line| filters.fit(line)).collect::<Vec<_>>();
    if args.json {
        lines.iter().for_each(|line| println!("{}", describe(line)));
        return Ok(0);
    }
    let id = |image: &Image| if args.no_trunc { image.id.to_string() } else { image.id.digest()[..12].to_owned() };
    if args.quiet && args.format.as_deref().is_none_or(|f| f == "table") {
        let mut seen = Vec::new();
        for line in lines.iter().filter(|line| !args.filter.is_empty() || !seen_before(&mut seen, &line.image)) {
            println!("{}", id(&line.image));
        }
        return Ok(0);
    }
    let digest = if args.digests { "\t{{.Digest}}" } else { "" };
    let usual = format!("{{{{.Repository}}}}\t{{{{.Tag}}}}{digest}\t{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}");
    let rows: Vec<Value> = lines.iter().map(|line| row(line, &id(&line.image))).collect();
    print!("{}", List { usual: &usual, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}

fn seen_before(seen: &mut Vec<String>, image: &Image) -> bool {
    let id = image.id.to_string();
    seen.contains(&id) || {
        seen.push(id);
        false
    }
}

const HEADS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
];

fn row(line: &Line, id: &str) -> Value {
    let created = line.image.config.created();
    let size = units::docker_size(line.image.unpacked_size());
    json!({
        "Repository": line.repository(),
        "Tag": line.tag(),
        "Digest": line.image.digest.to_string(),
        "ID": id,
        "CreatedSince": ago(created.as_deref()),
        "CreatedAt": created.as_deref().and_then(time).map_or_else(|| "N/A".to_owned(), words::created_at),
        "Size": size,
        "VirtualSize": size,
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Containers": "N/A",
    })
}

/// Every image by each of its names, newest first; one that is damaged is told of.
pub(super) fn all(store: &Store) -> Result<Vec<Line>, Box<dyn Explain>> {
    let damaged = |name: &str, error: &crate::image::Error| {
        let error = error.to_string();
        eprintln!("note: the image {name} is damaged ({}); `skiff rmi {name}` takes it away, `skiff pull` or `skiff load` brings it back", visible(&error));
    };
    which_images::all(store, &damaged).map_err(boxed)
}

fn describe(line: &Line) -> Value {
    json!({
        "Repository": line.repository(),
        "Tag": line.tag(),
        "ID": line.image.id.to_string(),
        "Digest": line.image.digest.to_string(),
        "CreatedAt": line.image.config.created(),
        "Size": line.image.unpacked_size(),
        "StoredSize": line.image.size(),
        "Layers": line.image.config.rootfs().diff_ids(),
    })
}

/// Lists what an image was made by, the last first.
pub fn history(args: &History, root: &Path) -> Outcome {
    let image = super::find(root, &args.image)?;
    let mut sizes = image.layer_sizes().into_iter();
    let mut entries = Vec::new();
    for entry in image.config.history().iter().flatten() {
        // An entry that only set the config has no layer.
        entries.push((entry, if entry.empty_layer() == Some(true) { 0 } else { sizes.next().unwrap_or(0) }));
    }
    entries.reverse();
    let id = if args.no_trunc { image.id.to_string() } else { image.id.digest()[..12].to_owned() };
    let rows: Vec<Value> = entries.iter().enumerate().map(|(i, (entry, size))| {
        let created = entry.created().as_deref();
        let command = entry.created_by().clone().unwrap_or_default();
        json!({
            "ID": if i == 0 { &id } else { "<missing>" },
            "CreatedSince": if args.human { ago(created) } else { created.unwrap_or("N/A").to_owned() },
            "CreatedAt": created.unwrap_or("N/A"),
            "CreatedBy": if args.no_trunc || args.json { command } else { short(&command.replace('\t', " ")) },
            "Size": if args.json { json!(size) } else if args.human { units::docker_size(*size).into() } else { size.to_string().into() },
            "Comment": entry.comment().as_deref().unwrap_or_default(),
        })
    }).collect();
    if args.json {
        print!("{}", lines("json", &rows).map_err(boxed)?);
    } else if args.quiet {
        rows.iter().for_each(|row| println!("{}", row["ID"].as_str().unwrap_or_default()));
    } else {
        let when = if args.human { "{{.CreatedSince}}" } else { "{{.CreatedAt}}" };
        let usual = format!("{{{{.ID}}}}\t{when}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}");
        let heads = &[("ID", "IMAGE"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT"), ("CreatedBy", "CREATED BY"), ("Size", "SIZE"), ("Comment", "COMMENT")];
        print!("{}", List { usual: &usual, heads }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    }
    Ok(0)
}

/// At most 45 characters, as Docker cuts it.
fn short(text: &str) -> String {
    if text.chars().count() <= 45 { text.to_owned() } else { text.chars().take(44).chain(['…']).collect() }
}

/// `2 days ago`, from a config's RFC 3339 time.
pub(super) fn ago(created: Option<&str>) -> String {
    created.and_then(time).map_or_else(|| "N/A".into(), |time| format!("{} ago", words::rough(time)))
}
