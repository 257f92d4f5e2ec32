//! An image's config as instructions change it (OCI image spec, config.md; Docker's own members beside:
//! Healthcheck, OnBuild, Shell).
//!
//! Kept as the JSON document that it will be, so that members nobody here knows stay as they were.

use super::dockerfile::{Command, Flag, Health};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document, and what of it was said in this stage.
#[derive(Debug, Clone)]
pub struct Config {
    doc: Value,
    cmd_is_ours: bool,
}

/// PATH, where an image sets none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Config {
    /// Of an image that begins with nothing.
    pub fn scratch(architecture: &str) -> Self {
        let doc = json!({ "architecture": architecture, "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] }, "history": [] });
        Self { doc, cmd_is_ours: false }.with_path()
    }

    /// `ENV PATH=/x:$PATH` must find one, as it does in Docker.
    fn with_path(mut self) -> Self {
        if !self.env().iter().any(|(name, _)| name == "PATH") {
            self.set_env("PATH", PATH);
        }
        self
    }

    /// Of a base image; PATH is set, as commands need it.
    pub fn of(doc: Value) -> Self {
        let mut config = Self { doc, cmd_is_ours: false };
        if !config.doc["config"].is_object() {
            config.doc["config"] = json!({});
        }
        if !config.doc["history"].is_array() {
            config.doc["history"] = json!([]);
        }
        config.with_path()
    }

    /// A stage goes on where another ended: its CMD is inherited like a base image's.
    pub fn inherited(mut self) -> Self {
        self.cmd_is_ours = false;
        self
    }

    fn run(&mut self) -> &mut Map<String, Value> {
        if !self.doc["config"].is_object() {
            self.doc["config"] = json!({});
        }
        // It is an object now.
        match &mut self.doc["config"] {
            Value::Object(map) => map,
            _ => unreachable!("made an object above"),
        }
    }

    fn texts(&self, key: &str) -> Vec<String> {
        let list = self.doc["config"][key].as_array();
        list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.doc["config"][key].as_str().unwrap_or_default()
    }

    /// `NAME=value`, in order.
    pub fn env(&self) -> Vec<(String, String)> {
        let pair = |s: String| s.split_once('=').map_or((s.clone(), String::new()), |(n, v)| (n.to_owned(), v.to_owned()));
        self.texts("Env").into_iter().map(pair).collect()
    }

    /// Sets a variable; one that there is keeps its place.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let mut env = self.env();
        match env.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => pair.1 = value.to_owned(),
            None => env.push((name.to_owned(), value.to_owned())),
        }
        let list: Vec<String> = env.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        self.run().insert("Env".into(), json!(list));
    }

    /// Where commands run.
    pub fn workdir(&self) -> &str {
        match self.text("WorkingDir") {
            "" => "/",
            path => path,
        }
    }

    /// Sets it; gives the whole path. A relative one goes on from the last.
    pub fn set_workdir(&mut self, path: &str) -> String {
        let whole = cleaned(&if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.workdir()) });
        self.run().insert("WorkingDir".into(), json!(whole));
        whole
    }

    /// Who commands run as.
    pub fn user(&self) -> &str {
        self.text("User")
    }

    /// What the shell form runs in.
    pub fn shell(&self) -> Vec<String> {
        match self.texts("Shell") {
            empty if empty.is_empty() => vec!["/bin/sh".into(), "-c".into()],
            words => words,
        }
    }

    /// The words that a command is.
    pub fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) if text.is_empty() => Vec::new(),
            Command::Shell(text) => self.shell().into_iter().chain([text.clone()]).collect(),
        }
    }

    /// Sets a member to a value.
    pub fn set(&mut self, key: &str, value: Value) {
        self.run().insert(key.to_owned(), value);
    }

    /// Adds members to an object: labels, ports, volumes.
    pub fn add(&mut self, key: &str, members: BTreeMap<String, Value>) {
        let entry = self.run().entry(key).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        for (name, value) in members {
            entry[name] = value;
        }
    }

    /// CMD.
    pub fn set_cmd(&mut self, command: &Command) {
        let words = self.argv(command);
        self.set("Cmd", json!(words));
        self.cmd_is_ours = true;
    }

    /// ENTRYPOINT. The base image's CMD was meant for the old one.
    pub fn set_entrypoint(&mut self, command: &Command) {
        let words = self.argv(command);
        self.set("Entrypoint", json!(words));
        if !self.cmd_is_ours {
            self.run().remove("Cmd");
        }
    }

    /// HEALTHCHECK. `Err` says what is wrong with a flag.
    pub fn set_health(&mut self, health: &Health) -> Result<(), (Flag, String)> {
        let Health::Check(flags, command) = health else {
            self.set("Healthcheck", json!({ "Test": ["NONE"] }));
            return Ok(());
        };
        let test = match command {
            Command::Exec(words) => std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect::<Vec<_>>(),
            Command::Shell(text) => vec!["CMD-SHELL".into(), text.clone()],
        };
        let mut check = json!({ "Test": test });
        for flag in flags {
            let value = flag.value.as_deref().unwrap_or_default();
            let wrong = |problem: &str| (flag.clone(), format!("--{}={value}: {problem}", flag.name));
            match flag.name.as_str() {
                "retries" => check["Retries"] = json!(value.parse::<u32>().map_err(|_| wrong("not a number"))?),
                name => {
                    let nanos = nanoseconds(value).ok_or_else(|| wrong("not a duration such as 30s or 1m30s"))?;
                    if nanos != 0 && nanos < 1_000_000 {
                        return Err(wrong("a duration is at least one millisecond"));
                    }
                    let key = match name {
                        "interval" => "Interval",
                        "timeout" => "Timeout",
                        "start-period" => "StartPeriod",
                        _ => "StartInterval",
                    };
                    check[key] = json!(nanos);
                }
            }
        }
        self.set("Healthcheck", check);
        Ok(())
    }

    /// Takes out the instructions that the base image left for us.
    pub fn take_triggers(&mut self) -> Vec<String> {
        let triggers = self.texts("OnBuild");
        self.run().remove("OnBuild");
        triggers
    }

    /// Adds an instruction for those who build on this image.
    pub fn add_trigger(&mut self, text: String) {
        let mut triggers = self.texts("OnBuild");
        triggers.push(text);
        self.set("OnBuild", json!(triggers));
    }

    /// MAINTAINER.
    pub fn set_author(&mut self, author: &str) {
        self.doc["author"] = json!(author);
    }

    /// Notes what was done: `created_by`, and whether it made a layer.
    pub fn note(&mut self, created: i64, by: &str, layer: bool) {
        let mut entry = json!({ "created": time(created), "created_by": by, "comment": "skiff build" });
        if !layer {
            entry["empty_layer"] = json!(true);
        }
        if let Value::Array(history) = &mut self.doc["history"] {
            history.push(entry);
        }
    }

    /// When the image that this began with was made.
    pub fn created(&self) -> i64 {
        let text = self.doc["created"].as_str().unwrap_or_default();
        let since = |t: std::time::SystemTime| t.duration_since(std::time::UNIX_EPOCH).ok();
        let seconds = humantime::parse_rfc3339_weak(text).ok().and_then(since).map(|d| d.as_secs());
        seconds.and_then(|s| i64::try_from(s).ok()).unwrap_or(0)
    }

    /// The whole document, for an image of these layers.
    pub fn document(&self, created: i64, diff_ids: &[String]) -> Value {
        let mut doc = self.doc.clone();
        doc["created"] = json!(time(created));
        doc["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        // What a base image's builder noted of its own container is not true of this image.
        if let Value::Object(map) = &mut doc {
            for gone in ["container", "container_config", "docker_version", "parent", "id"] {
                map.remove(gone);
            }
        }
        doc
    }
}

/// Seconds since the epoch as a config has them.
pub fn time(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

/// A path without `.`, `..` and doubled `/`.
pub fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `1m30s`, `500ms`, as Go writes durations.
fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0f64;
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |i| digits + i);
        let unit = match &rest[digits..unit_end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    (total > 0.0).then_some(total as u64)
}
