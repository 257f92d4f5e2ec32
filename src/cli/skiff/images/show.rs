//! `skiff image show`: an image taken apart for people, and where each part is as a file.
//!
//! Every part is shown with the path under which it can be opened, from skiff's root and shortened to
//! twelve digits and a `*` that any shell completes, so that the lines fit into 80 columns.

use super::super::{Outcome, boxed};
use crate::cli::out::{visible, width};
use crate::image::changes::Kind;
use crate::image::look::{self, Difference, Layer, Step};
use crate::image::{Image, Store};
use crate::kernel::{Explain, units};
use clap::Args;
use colored::{ColoredString, Colorize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// How many paths of a layer are shown, the largest.
const FEW: usize = 4;
/// How many of a comparison.
const SOME: usize = 16;

/// Columns before each fact: a digest of 71 characters fits beside it.
const INDENT: usize = 9;

// Options of `skiff image show`.
#[derive(Debug, Args)]
pub struct Show {
    /// All files of each layer, not only the largest
    #[arg(long)]
    files: bool,
    /// Compare two images: their layers, configs and files
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "image")]
    diff: Vec<String>,
    /// Everything, for programs
    #[arg(long)]
    json: bool,
    /// The image, by name or ID
    #[arg(required_unless_present = "diff")]
    image: Option<String>,
}

/// Draws one image, or the difference of two.
pub fn show(args: &Show, root: &Path) -> Outcome {
    let store = Store::open(root);
    if let [old, new] = args.diff.as_slice() {
        return compare(args, root, old, new);
    }
    let name = args.image.as_deref().unwrap_or_default();
    let image = super::find(root, name)?;
    let steps = look::steps(&store, &image).map_err(boxed)?;
    let names = store.names_of(&image.digest).map_err(boxed)?;
    if args.json {
        let whole = json!({
            "Names": names,
            "Manifest": { "Digest": image.digest.to_string(), "File": store.blob_path(&image.digest) },
            "Config": { "Digest": image.id.to_string(), "File": store.blob_path(&image.id), "Document": image.config },
            "Steps": steps,
        });
        println!("{}", serde_json::to_string_pretty(&whole).unwrap_or_default());
        return Ok(0);
    }
    documents(&store, &image, &names, root)?;
    layers(&image, &steps, args.files);
    Ok(0)
}

/// A line with what it is about before it, indented under that.
fn fact(lead: &str, text: &str) {
    println!("{}{text}", format!("{lead:<INDENT$}").bold());
}

/// The name, the manifest and the config: what leads to what.
fn documents(store: &Store, image: &Image, names: &[String], root: &Path) -> Result<(), Box<dyn Explain>> {
    let blob = |hex: &str| format!("images/blobs/sha256/{}*", &hex[..12]);
    let size = |digest| store.document_bytes(digest).map(|bytes| units::docker_size(bytes.len() as u64)).map_err(boxed);
    println!("All paths are below {}", root.display());
    println!("Go there to open them; the shell completes each *.\n");
    fact("name", &if names.is_empty() { "none: it went to another image".into() } else { names.join(", ") });
    fact("", "images/index.json says which manifest has this name");
    println!();
    fact("manifest", &image.digest.as_ref().cyan().to_string());
    fact("", &format!("{}  json, {}", blob(image.digest.digest()), size(&image.digest)?));
    fact("", "what a registry calls the image; it lists the config and the layers");
    println!();
    fact("config", &image.id.as_ref().cyan().to_string());
    fact("", &format!("{}  json, {}", blob(image.id.digest()), size(&image.id)?));
    fact("", "the image ID; it says what to run, and what each layer unpacks to");
    let config = &image.config;
    let platform = format!("{}/{}", config.os(), config.architecture());
    fact("", &format!("{}, made {}", visible(&platform), super::list::ago(config.created().as_deref()).replacen('L', "l", 1)));
    for line in settings(image) {
        fact("", &cut(&line, width().saturating_sub(INDENT)));
    }
    println!();
    Ok(())
}

/// A config's settings, a line each, in the words of a Dockerfile.
fn settings(image: &Image) -> Vec<String> {
    let config = serde_json::to_value(image.config.config()).unwrap_or_default();
    let words = [("Env", "ENV"), ("Labels", "LABEL"), ("ExposedPorts", "EXPOSE"), ("Volumes", "VOLUME"), ("WorkingDir", "WORKDIR"), ("User", "USER"),
        ("StopSignal", "STOPSIGNAL"), ("Entrypoint", "ENTRYPOINT"), ("Cmd", "CMD")];
    let mut lines = Vec::new();
    for (key, word) in words {
        match &config[key] {
            Value::String(text) if !text.is_empty() => lines.push(format!("{word} {text}")),
            Value::Array(all) if key == "Env" => lines.extend(all.iter().filter_map(Value::as_str).map(|v| format!("{word} {v}"))),
            list @ Value::Array(all) if !all.is_empty() => lines.push(format!("{word} {list}")),
            Value::Object(all) if key == "Labels" => lines.extend(all.iter().map(|(k, v)| format!("{word} {k}={}", v.as_str().unwrap_or_default()))),
            Value::Object(all) => lines.extend(all.keys().map(|k| format!("{word} {k}"))),
            _ => {}
        }
    }
    lines
}

fn layers(image: &Image, steps: &[Step], all: bool) {
    let (size, stored) = (units::docker_size(image.unpacked_size()), units::docker_size(image.size()));
    fact("layers", &format!("{}: {size} of files, stored in {stored}", image.layers.len()));
    fact("", "each lies over those before it; a container's own comes on top");
    let mut number = 0;
    for step in steps {
        println!();
        match &step.layer {
            Some(layer) => {
                number += 1;
                of_layer(number, &step.instruction, layer, all);
            }
            None => println!("{}{}", "   -     ".dimmed(), cut(&instruction(&step.instruction), width().saturating_sub(INDENT))),
        }
        if step.layer.is_none() {
            fact("", "set in the config only: no layer");
        }
    }
}

fn of_layer(number: usize, made_by: &str, layer: &Layer, all: bool) {
    let made_by = if made_by.is_empty() { "(its history does not say what made it)".to_owned() } else { instruction(made_by) };
    println!("{}{}", format!("{number:>4}     ").bold(), cut(&made_by, width().saturating_sub(INDENT)));
    fact("", &layer.digest.cyan().to_string());
    let (blob, folder) = (short(&layer.digest), short(&layer.diff_id));
    fact("", &format!("images/blobs/sha256/{blob}*  {}, {}", layer.stored_as, units::docker_size(layer.stored_size)));
    fact("", &format!("layers/{folder}*               its files, {}", units::docker_size(layer.size)));
    fact("", &counts(&layer.files));
    files(&layer.files, if all { usize::MAX } else { FEW }, all);
}

fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    &hex[..12.min(hex.len())]
}

/// `adds 402 files and 5 folders, changes 1, removes 2`.
fn counts(files: &[Difference]) -> String {
    let count = |kind, folder| files.iter().filter(|f| f.kind == kind && f.folder == folder).count();
    let mut parts = Vec::new();
    // A folder of the image that has changed is one that something was put into: told by what that is.
    for (kind, verb) in [(Kind::Added, "adds"), (Kind::Changed, "changes"), (Kind::Deleted, "removes")] {
        let folders = if kind == Kind::Changed { 0 } else { count(kind, true) };
        match (count(kind, false), folders) {
            (0, 0) => {}
            (n, 0) => parts.push(format!("{verb} {}", units::counted(n, "file"))),
            (0, n) => parts.push(format!("{verb} {}", units::counted(n, "folder"))),
            (n, m) => parts.push(format!("{verb} {} and {}", units::counted(n, "file"), units::counted(m, "folder"))),
        }
    }
    if parts.is_empty() { "changes no file".into() } else { parts.join(", ") }
}

/// Paths with their letters: the largest first, or all of them by name.
fn files(all: &[Difference], most: usize, folders: bool) {
    let mut shown: Vec<&Difference> = all.iter().filter(|f| folders || !f.folder || f.kind == Kind::Deleted).collect();
    if shown.len() > most {
        // Removals are few and tell much: they come before what is merely small.
        shown.sort_by_key(|f| std::cmp::Reverse((f.kind == Kind::Deleted, f.size)));
    }
    let rest = shown.len().saturating_sub(most);
    for file in shown.iter().take(most) {
        let slash = if file.folder { "/" } else { "" };
        let size = if file.folder { String::new() } else { units::docker_size(file.size) };
        let path = cut(&format!("{}{slash}", file.path.display()), width().saturating_sub(INDENT + 12));
        println!("{:INDENT$}{} {size:>8}  {path}", "", letter(file.kind));
    }
    if rest > 0 {
        fact("", &format!("… and {rest} more; --files shows all"));
    }
}

fn letter(kind: Kind) -> ColoredString {
    let letter = kind.letter().to_string();
    match kind {
        Kind::Added => letter.green(),
        Kind::Changed => letter.yellow(),
        Kind::Deleted => letter.red(),
    }
}

/// An instruction as a Dockerfile has it: older builders wrote the shell command that they ran.
fn instruction(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.strip_suffix("# buildkit").map_or(text.as_str(), str::trim_end).to_owned();
    match text.strip_prefix("/bin/sh -c ") {
        Some(rest) => rest.strip_prefix("#(nop) ").map_or_else(|| format!("RUN {rest}"), |said| said.trim().to_owned()),
        None => text,
    }
}

/// At most so many columns, and nothing in them that acts on the terminal.
fn cut(text: &str, columns: usize) -> String {
    let text = visible(text).replace('\n', "\\n").replace('\t', "\\t");
    if text.chars().count() <= columns { text } else { text.chars().take(columns.saturating_sub(1)).chain(['…']).collect() }
}

fn compare(args: &Show, root: &Path, old: &str, new: &str) -> Outcome {
    let (a, b) = (super::find(root, old)?, super::find(root, new)?);
    let found = look::compare(&a, &b).map_err(boxed)?;
    let (before, after) = (whole(&a), whole(&b));
    let gone: Vec<&String> = before.difference(&after).collect();
    let come: Vec<&String> = after.difference(&before).collect();
    let set = |image: &Image| image.config.rootfs().diff_ids().iter().cloned().collect::<BTreeSet<_>>();
    let (below, above) = (set(&a), set(&b));
    if args.json {
        let only = |x: &BTreeSet<String>, y: &BTreeSet<String>| x.difference(y).cloned().collect::<Vec<_>>();
        let layers = json!({ "Shared": below.intersection(&above).collect::<Vec<_>>(), "OnlyOld": only(&below, &above), "OnlyNew": only(&above, &below) });
        let whole = json!({ "Old": a.id.to_string(), "New": b.id.to_string(), "Layers": layers, "Config": { "Removed": gone, "Added": come }, "Files": found });
        println!("{}", serde_json::to_string_pretty(&whole).unwrap_or_default());
        return Ok(0);
    }
    fact("old", &format!("{}  {}  {old}", short(a.id.as_ref()).cyan(), units::docker_size(a.unpacked_size())));
    fact("new", &format!("{}  {}  {new}", short(b.id.as_ref()).cyan(), units::docker_size(b.unpacked_size())));
    println!();
    let only = |x: &BTreeSet<String>, y: &BTreeSet<String>| x.difference(y).count();
    fact("layers", &format!("{} in both, {} only in the old, {} in the new", below.intersection(&above).count(), only(&below, &above), only(&above, &below)));
    println!();
    fact("config", if gone.is_empty() && come.is_empty() { "the same settings" } else { "- only in the old, + only in the new" });
    gone.iter().for_each(|line| fact("", &format!("{} {}", "-".red(), visible(line))));
    come.iter().for_each(|line| fact("", &format!("{} {}", "+".green(), visible(line))));
    println!();
    fact("files", &match counts(&found) {
        none if found.is_empty() => none.replace("changes no file", "the same"),
        some => format!("the new {some}"),
    });
    files(&found, if args.files { usize::MAX } else { SOME }, args.files);
    Ok(0)
}

/// What two configs are compared by.
fn whole(image: &Image) -> BTreeSet<String> {
    settings(image).into_iter().chain([format!("platform {}/{}", image.config.os(), image.config.architecture())]).collect()
}
