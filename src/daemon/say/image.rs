//! The document of an image, as the API and `skiff image inspect` have it: its members in Docker's order.

use crate::image::{Error, Image, Store};
use serde::Serialize;
use serde_json::Value;

/// An image's document (Docker Engine API, ImageInspect).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: String,
    created: Option<String>,
    author: String,
    config: Config,
    architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    os: String,
    size: u64,
    virtual_size: u64,
    graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    metadata: Value,
}

/// What to run and how, in Docker's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    hostname: &'static str,
    domainname: &'static str,
    user: Value,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    exposed_ports: Value,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Value,
    cmd: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    healthcheck: Value,
    image: &'static str,
    volumes: Value,
    working_dir: Value,
    entrypoint: Value,
    on_build: Value,
    labels: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    stop_signal: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    shell: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: Value,
    name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    r#type: String,
    layers: Vec<String>,
}

/// The document of one image.
pub fn document(store: &Store, image: &Image) -> Result<Document, Error> {
    let bytes = store.document_bytes(&image.id)?;
    // The config itself, not what a library knows of it: what others put there is shown too.
    let whole: Value = serde_json::from_slice(&bytes).map_err(|e| Error::malformed(format!("config {}", image.id), e))?;
    let text = |key: &str| whole[key].as_str().map(str::to_owned);
    let names = store.names_of(&image.digest)?;
    // What a registry has it as; where it was never pulled, or without an index, the manifest itself.
    let mut digests = store.pulled_as(&image.digest)?;
    for repository in names.iter().filter_map(|n| n.rsplit_once(':')).map(|(repository, _)| repository) {
        if !digests.iter().any(|d| d.split_once('@').is_some_and(|(r, _)| r == repository)) {
            digests.push(format!("{repository}@{}", image.digest));
        }
    }
    let history = whole["history"].as_array().and_then(|h| h.last()).cloned().unwrap_or_default();
    let size = image.unpacked_size();
    let (top, lower) = image.layers.split_last().map_or((None, &[] as &[_]), |(top, lower)| (Some(top), lower));
    let mut data = serde_json::json!({ "UpperDir": top });
    if !lower.is_empty() {
        data["LowerDir"] = lower.iter().rev().map(|d| d.display().to_string()).collect::<Vec<_>>().join(":").into();
    }
    Ok(Document {
        id: image.id.to_string(),
        repo_tags: names,
        repo_digests: digests,
        parent: "",
        comment: history["comment"].as_str().unwrap_or_default().to_owned(),
        created: text("created"),
        author: text("author").unwrap_or_default(),
        config: config(&whole["config"]),
        architecture: text("architecture").unwrap_or_default(),
        variant: text("variant"),
        os: text("os").unwrap_or_default(),
        size,
        virtual_size: size,
        graph_driver: GraphDriver { data, name: "overlay" },
        root_fs: RootFs { r#type: "layers".into(), layers: image.config.rootfs().diff_ids().clone() },
        metadata: Value::Object(serde_json::Map::new()),
    })
}

fn config(of: &Value) -> Config {
    let get = |key: &str| of.get(key).cloned().unwrap_or_default();
    let word = |key: &str| of.get(key).filter(|v| v.is_string()).cloned().unwrap_or_else(|| "".into());
    Config {
        hostname: "",
        domainname: "",
        user: word("User"),
        attach_stdin: false,
        attach_stdout: false,
        attach_stderr: false,
        exposed_ports: get("ExposedPorts"),
        tty: false,
        open_stdin: false,
        stdin_once: false,
        env: get("Env"),
        cmd: get("Cmd"),
        healthcheck: get("Healthcheck"),
        image: "",
        volumes: get("Volumes"),
        working_dir: word("WorkingDir"),
        entrypoint: get("Entrypoint"),
        on_build: get("OnBuild"),
        labels: get("Labels"),
        stop_signal: get("StopSignal"),
        shell: get("Shell"),
    }
}
