//! Images into and out of the store: `save`, `load`, `import`, `commit`.
//!
//! What `save` writes is both an OCI image layout and Docker's archive, so Docker, podman and skopeo
//! all take it, and the manifest's digest stays what it was.

use super::aside::Aside;
use super::archive::{Archive, CONTAINERD_NAME, Packed, PackedLayer};
use super::layer::{Compression, LayerWriter, copy, tar_of};
use super::store::{named, parse};
use super::writer::Writer;
use super::{Error, Image, Reference, Store, changes};
use crate::kernel::OrSys;
use oci_spec::image::{Arch, Descriptor, ImageIndex, ImageManifest, MediaType};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::SystemTime;

/// Writes images with the names they are to have, as one tar.
pub fn save(store: &Store, images: &[(Image, Option<String>)], to: impl Write) -> Result<(), Error> {
    let mut tar = tar::Builder::new(to);
    let mut index = ImageIndex::default();
    let (mut lines, mut docker, mut written) = (Vec::new(), Vec::<Value>::new(), BTreeSet::new());
    for (image, name) in images {
        let documents = [&image.digest, &image.id].into_iter().chain(image.manifest.layers().iter().map(Descriptor::digest));
        for digest in documents.filter(|d| written.insert(d.to_string())) {
            let mut blob = store.blob(digest)?;
            let size = blob.metadata().or_sys_with(|| format!("read blob {digest}"))?.len();
            append(&mut tar, &format!("blobs/sha256/{}", digest.digest()), size, &mut blob)?;
        }
        let size = store.document_bytes(&image.digest)?.len() as u64;
        lines.push(line(&Descriptor::new(image.media_type(), size, image.digest.clone()), name.as_deref()));
        note_for_docker(&mut docker, image, name.as_deref());
    }
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(lines);
    // Through a value, whose members are sorted: the same images make the same archive.
    let index = serde_json::to_value(&index).map_err(|e| Error::malformed("index.json", e))?.to_string().into_bytes();
    for (member, bytes) in [
        ("index.json", index),
        ("manifest.json", Value::from(docker).to_string().into_bytes()),
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
    ] {
        append(&mut tar, member, bytes.len() as u64, &mut bytes.as_slice())?;
    }
    let mut to = tar.into_inner().or_sys("write the archive")?;
    to.flush().or_sys("write the archive")?;
    Ok(())
}

/// As [`save`], to a file that is there whole or not at all.
pub fn save_file(store: &Store, images: &[(Image, Option<String>)], path: &Path) -> Result<(), Error> {
    let mut aside = aside_for(path)?;
    save(store, images, io::BufWriter::new(&mut aside))?;
    aside.keep(path)
}

/// Writes the tree of a container to a file that is there whole or not at all: its layers, lowest first.
pub fn export_file(layers: &[PathBuf], path: &Path) -> Result<(), Error> {
    let mut aside = aside_for(path)?;
    changes::write_tree(layers, io::BufWriter::with_capacity(1 << 17, &mut aside))?;
    aside.keep(path)
}

/// A file that is to be renamed to `path`: which would put it in the place of a device, /dev/null say.
fn aside_for(path: &Path) -> Result<Aside, Error> {
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(Error::NotAFile(path.to_owned()));
    }
    Aside::new(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Gives a stored image one name more.
pub fn tag(store: &Store, image: &Image, name: &Reference) -> Result<(), Error> {
    let writer = store.write()?;
    let size = store.document_bytes(&image.digest)?.len() as u64;
    writer.name(&Descriptor::new(image.media_type(), size, image.digest.clone()), &[name.key()])
}

fn append(tar: &mut tar::Builder<impl Write>, member: &str, size: u64, from: &mut dyn Read) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, member, from).or_sys("write the archive")?;
    Ok(())
}

/// A line of index.json: the layout's own name, and the one that newer Docker looks for.
fn line(manifest: &Descriptor, name: Option<&str>) -> Descriptor {
    let mut line = named(manifest, name);
    if let (Some(annotations), Some(name)) = (line.annotations().clone(), name) {
        let whole = if Reference::from_str(name).is_ok_and(|r| r.registry.is_some()) {
            name.to_owned()
        } else if name.contains('/') {
            format!("docker.io/{name}")
        } else {
            format!("docker.io/library/{name}")
        };
        let mut annotations = annotations;
        annotations.insert(CONTAINERD_NAME.to_owned(), whole);
        line.set_annotations(Some(annotations));
    }
    line
}

/// Docker's older list: one line an image, with all its names.
fn note_for_docker(lines: &mut Vec<Value>, image: &Image, name: Option<&str>) {
    let config = format!("blobs/sha256/{}", image.id.digest());
    let tags: Vec<&str> = name.into_iter().collect();
    if let Some(line) = lines.iter_mut().find(|l| l["Config"] == config.as_str()) {
        if let Some(list) = line["RepoTags"].as_array_mut() {
            list.extend(tags.into_iter().map(Value::from));
        }
        return;
    }
    let layers: Vec<String> = image.manifest.layers().iter().map(|d| format!("blobs/sha256/{}", d.digest().digest())).collect();
    lines.push(json!({ "Config": config, "RepoTags": tags, "Layers": layers }));
}

/// Stores all images of an archive; gives their digests and names. Every digest is checked and every
/// layer unpacked before an image gets its name.
pub fn load(store: &Store, archive: &Archive) -> Result<Vec<(Image, Vec<String>)>, Error> {
    load_with(store, &store.write()?, archive)
}

/// As [`load`], from a file or folder, or with `None` from standard input. What cannot be read in any
/// order is kept meanwhile in the store's own filesystem.
pub fn load_from(store: &Store, path: Option<&Path>) -> Result<Vec<(Image, Vec<String>)>, Error> {
    let writer = store.write()?;
    let archive = match path {
        Some(path) => Archive::open_in(path, &writer.aside()),
        None => Archive::from_pipe(io::stdin(), &writer.aside()),
    }?;
    load_with(store, &writer, &archive)
}

fn load_with(store: &Store, writer: &Writer<'_>, archive: &Archive) -> Result<Vec<(Image, Vec<String>)>, Error> {
    let images = archive.images()?;
    let mut loaded = Vec::new();
    for packed in &images {
        let manifest = store_packed(writer, archive, packed)?;
        writer.name(&manifest, &packed.names)?;
        loaded.push((store.image(manifest.digest())?, packed.names.clone()));
    }
    Ok(loaded)
}

/// Stores the blobs of an image, and unpacks its layers at the same time: the disk takes the ones while
/// the processor makes the others.
fn store_packed(writer: &Writer<'_>, archive: &Archive, packed: &Packed) -> Result<Descriptor, Error> {
    let layers = thread::scope(|scope| {
        let unpacked = scope.spawn(|| packed.layers.iter().try_for_each(|layer| writer.unpack_layer(&layer.diff_id, archive.layer(layer)?)));
        let stored = packed.layers.iter().map(|layer| store_layer(writer, archive, layer)).collect::<Result<Vec<_>, _>>();
        let unpacked = unpacked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What is wrong with the bytes explains what is wrong with the files.
        let stored = stored?;
        unpacked.map(|()| stored)
    })?;
    let config = writer.put(&packed.config_bytes, MediaType::ImageConfig)?;
    match &packed.manifest_bytes {
        Some(bytes) => {
            let manifest: ImageManifest = parse(bytes, "the manifest")?;
            writer.put(bytes, manifest.media_type().clone().unwrap_or(MediaType::ImageManifest))
        }
        None => writer.manifest(&config, &layers),
    }
}

fn store_layer(writer: &Writer<'_>, archive: &Archive, layer: &PackedLayer) -> Result<Descriptor, Error> {
    if let Some(descriptor) = &layer.descriptor {
        writer.copy(archive.layer(layer)?, descriptor)?;
        return Ok(descriptor.clone());
    }
    let mut bytes = archive.layer(layer)?;
    let mut start = Vec::with_capacity(4);
    bytes.by_ref().take(4).read_to_end(&mut start).or_sys("read a layer")?;
    let Some(kind) = Compression::of(&start).layer_type() else {
        let mut gzipped = writer.layer()?;
        copy(&mut tar_of(archive.layer(layer)?)?, &mut gzipped).or_sys("write a layer")?;
        return Ok(gzipped.finish()?.descriptor);
    };
    let mut blob = writer.blob()?;
    blob.write_all(&start).or_sys("write a layer")?;
    copy(&mut bytes, &mut blob).or_sys("write a layer")?;
    blob.finish(kind)
}

/// Makes an image of one layer from a tar of a whole root filesystem, gzipped or not; `changes` set
/// members of its config, as in [`Commit`].
pub fn import(store: &Store, from: impl Read + Send, name: Option<&Reference>, comment: &str, changes: &[(String, Value)]) -> Result<Image, Error> {
    let writer = store.write()?;
    let mut layer = writer.layer()?;
    copy_tar(tar_of(from)?, &mut layer)?;
    let layer = layer.finish()?;
    let created = now();
    let mut config = json!({
        "architecture": Arch::default(),
        "os": "linux",
        "created": created,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id.to_string()] },
        "history": [{ "created": created, "comment": comment }],
    });
    for (key, value) in changes {
        change(&mut config["config"], key, value);
    }
    finish(store, &writer, &config, std::slice::from_ref(&layer.descriptor), name)
}

/// A tar must end well: what is cut short is not stored.
fn copy_tar(mut tar: impl Read, layer: &mut LayerWriter) -> Result<(), Error> {
    let copied = io::copy(&mut tar, layer).map_err(|e| Error::malformed("the archive", e))?;
    if copied == 0 {
        return Err(Error::malformed("the archive", "it is empty"));
    }
    Ok(())
}

/// What `commit` sets beside the layer.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Who made it.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// The command that the container ran, for the history.
    pub command: Vec<String>,
    /// Changes of the config by Dockerfile instruction: `CMD`, `ENV` and their like.
    pub config: Vec<(String, Value)>,
}

/// Makes an image from a container's image and its upper directory: one layer more.
pub fn commit(store: &Store, parent: &Image, upper: &Path, name: Option<&Reference>, with: &Commit) -> Result<Image, Error> {
    let writer = store.write()?;
    let mut layer = writer.layer()?;
    changes::write_layer(upper, &mut layer)?;
    let layer = layer.finish()?;
    let mut config: Value = parse(&store.document_bytes(&parent.id)?, &format!("config {}", parent.id))?;
    let created = now();
    config["created"] = created.clone().into();
    if let Some(author) = &with.author {
        config["author"] = author.clone().into();
    }
    let mut entry = json!({ "created": created, "created_by": with.command.join(" ") });
    for (key, value) in [("author", &with.author), ("comment", &with.message)] {
        if let Some(value) = value {
            entry[key] = value.clone().into();
        }
    }
    push(&mut config["history"], entry);
    push(&mut config["rootfs"]["diff_ids"], layer.diff_id.to_string().into());
    for (key, value) in &with.config {
        change(&mut config["config"], key, value);
    }
    let mut layers = parent.manifest.layers().clone();
    layers.push(layer.descriptor.clone());
    finish(store, &writer, &config, &layers, name)
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(items) => items.push(item),
        None => *list = Value::from(vec![item]),
    }
}

/// Sets a member of the config; an environment variable takes the place of the one with its name.
fn change(config: &mut Value, key: &str, value: &Value) {
    match (key, value.as_str()) {
        ("Env", Some(setting)) => {
            let name = setting.split('=').next().unwrap_or_default();
            let same = |v: &Value| v.as_str().is_some_and(|s| s.split('=').next() == Some(name));
            if let Some(list) = config["Env"].as_array_mut() {
                list.retain(|v| !same(v));
            }
            push(&mut config["Env"], setting.into());
        }
        // Labels, ports and volumes add up.
        _ if value.is_object() && config[key].is_object() => {
            for (name, value) in value.as_object().into_iter().flatten() {
                config[key][name] = value.clone();
            }
        }
        _ => config[key] = value.clone(),
    }
}

fn finish(store: &Store, writer: &Writer<'_>, config: &Value, layers: &[Descriptor], name: Option<&Reference>) -> Result<Image, Error> {
    let config = writer.put(config.to_string().as_bytes(), MediaType::ImageConfig)?;
    let manifest = writer.manifest(&config, layers)?;
    let image = store.image(manifest.digest())?;
    writer.unpack(&image)?;
    let names: Vec<String> = name.map(Reference::key).into_iter().collect();
    writer.name(&manifest, &names)?;
    Ok(image)
}

/// The time now, as a config has it.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
