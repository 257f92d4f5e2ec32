//! `skiff diff`, `commit`, `export` and `tag`: containers become images and archives, images get names.

use super::super::{Outcome, boxed};
use crate::engine::container::{Container, Record};
use crate::cli::out::visible;
use crate::image::changes;
use crate::image::save::{self, Commit as With};
use crate::image::{Error, Image, Reference, Store};
use crate::kernel::Explain;
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

// Options of `skiff diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The container, by name or id
    container: String,
}

// Options of `skiff commit`.
#[derive(Debug, Args)]
pub struct Commit {
    /// Who made it
    #[arg(short, long)]
    author: Option<String>,
    /// Why it was made
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Change the config too, by a Dockerfile instruction such as 'CMD ["sh"]'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Stop the container's processes meanwhile; as in Docker, where it is the default. skiff never does: it reads a file only if it is the one that it looked at
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide = true)]
    pause: Option<bool>,
    /// The container, by name or id
    container: String,
    /// The new image's name
    name: Option<String>,
}

// Options of `skiff export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The container, by name or id
    container: String,
}

// Options of `skiff tag`.
#[derive(Debug, Args)]
pub struct Tag {
    /// The image, by name or ID
    source: String,
    /// Its further name
    target: String,
}

/// Lists what a container changed.
pub fn diff(args: &Diff, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    let image = image_of(root, &container.record)?;
    for change in changes::list(&container.folder().join("upper"), &image.layers).map_err(boxed)? {
        let path = change.path.display().to_string();
        // A script gets the name as it is, as from ls(1).
        let shown = if std::io::stdout().is_terminal() { visible(&path) } else { path.as_str().into() };
        println!("{} {shown}", change.kind.letter());
    }
    Ok(0)
}

/// Writes a container's whole tree, its image's files and its own, as a tar archive.
pub fn export(args: &Export, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    let mut layers = image_of(root, &container.record)?.layers;
    layers.push(container.folder().join("upper"));
    match &args.output {
        Some(path) => save::export_file(&layers, path),
        None if std::io::stdout().is_terminal() => Err(Error::Terminal),
        None => changes::write_tree(&layers, BufWriter::with_capacity(1 << 17, std::io::stdout().lock())),
    }
    .map_err(boxed)?;
    container.say("export", []);
    Ok(0)
}

/// Makes an image from a container's changes.
pub fn commit(args: &Commit, root: &Path) -> Outcome {
    let name = super::new_name(args.name.as_deref())?;
    let container = Container::find(root, &args.container).map_err(boxed)?;
    let parent = image_of(root, &container.record)?;
    let config = instructions(&args.change).map_err(boxed)?;
    let with = With {
        author: args.author.clone(),
        message: args.message.clone(),
        command: container.record.command.clone(),
        config,
    };
    let made = save::commit(&Store::open(root), &parent, &container.folder().join("upper"), name.as_ref(), &with).map_err(boxed)?;
    let (id, named) = (made.id.to_string(), name.map(|n| n.key()).unwrap_or_default());
    container.say("commit", [("comment", args.message.as_deref().unwrap_or_default()), ("imageID", id.as_str()), ("imageRef", named.as_str())]);
    println!("{}", made.id);
    Ok(0)
}

/// The image that a container was made from, whatever its name stands for by now.
pub(in super::super) fn image_of(root: &Path, record: &Record) -> Result<Image, Box<dyn Explain>> {
    let store = Store::open(root);
    store.resolve(&record.image_digest).or_else(|_| store.resolve(&record.image)).map_err(boxed)
}

/// What several set, in their order.
pub(super) fn instructions(texts: &[String]) -> Result<Vec<(String, Value)>, Error> {
    texts.iter().map(|text| instruction(text)).collect()
}

/// What a Dockerfile instruction sets in an image's config (OCI image spec, config.md).
fn instruction(text: &str) -> Result<(String, Value), Error> {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    let problem = |problem: &str| Error::BadInstruction { text: text.to_owned(), problem: problem.to_owned() };
    if rest.is_empty() {
        return Err(problem("there is nothing after the instruction's name"));
    }
    let one = |key: &str, value: Value| Ok((key.to_owned(), value));
    match word.to_ascii_uppercase().as_str() {
        "CMD" => one("Cmd", argv(rest)),
        "ENTRYPOINT" => one("Entrypoint", argv(rest)),
        "WORKDIR" => one("WorkingDir", rest.into()),
        "USER" => one("User", rest.into()),
        "STOPSIGNAL" => one("StopSignal", rest.into()),
        "ENV" if rest.split_once('=').is_none_or(|(name, _)| name.is_empty()) => Err(problem("it is written ENV NAME=value")),
        "ENV" => one("Env", rest.into()),
        "LABEL" => match rest.split_once('=') {
            Some((name, value)) => one("Labels", json!({ name: value.trim_matches('"') })),
            None => Err(problem("it is written LABEL name=value")),
        },
        "EXPOSE" => {
            let port = if rest.contains('/') { rest.to_owned() } else { format!("{rest}/tcp") };
            one("ExposedPorts", json!({ port: {} }))
        }
        "VOLUME" => one("Volumes", json!({ rest: {} })),
        _ => Err(problem("only CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR change a config")),
    }
}

/// `["a", "b"]` as it stands; anything else goes through a shell.
fn argv(text: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => json!(words),
        Err(_) => json!(["/bin/sh", "-c", text]),
    }
}

/// Gives an image another name.
pub fn tag(args: &Tag, root: &Path) -> Outcome {
    let target: Reference = args.target.parse().map_err(boxed::<Error>)?;
    if target.digest.is_some() {
        return Err(boxed(Error::BadReference { text: args.target.clone(), problem: "a digest is computed, not given".into() }));
    }
    let image = super::find(root, &args.source)?;
    save::tag(&Store::open(root), &image, &target).map_err(boxed)?;
    crate::daemon::say::event::image(root, "tag", image.id.as_ref(), &target.key());
    Ok(0)
}
