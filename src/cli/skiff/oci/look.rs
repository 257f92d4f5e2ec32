//! What there is to see: `state`, `list`, `ps`, `events`, `features`, `spec`.

use super::Shared;
use crate::engine::oci::{Error, Folder, example, features as able, usage};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub struct Ps {
    /// The container's id
    id: String,
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Options of ps(1), for the table
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
pub struct Events {
    /// The container's id
    id: String,
    /// Once, and end
    #[arg(long)]
    stats: bool,
    /// How often, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    interval: Duration,
}

#[derive(Debug, Args)]
pub struct Spec {
    /// Where to, instead of here
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// For an ordinary user
    #[arg(long)]
    rootless: bool,
}

/// Prints a document as runc does, indented; standard output that is closed is nobody's trouble.
fn print(document: &serde_json::Value) {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A container as `state` and `list` show it: the spec's fields, and those that runc has besides.
fn described(folder: &Folder) -> Result<serde_json::Value, Error> {
    let state = folder.state()?;
    let owner = nix::unistd::User::from_uid(folder.kept.owner.into()).ok().flatten().map_or_else(|| format!("#{}", folder.kept.owner), |u| u.name);
    Ok(serde_json::json!({
        "ociVersion": state.oci_version,
        "id": state.id,
        "pid": state.pid,
        "status": state.status,
        "bundle": state.bundle,
        "rootfs": folder.kept.rootfs,
        "created": humantime::format_rfc3339_nanos(folder.kept.created).to_string(),
        "annotations": state.annotations,
        "owner": owner,
    }))
}

pub fn state(folder: &Folder) -> Result<u8, Error> {
    print(&described(folder)?);
    Ok(0)
}

pub fn list(args: &List, shared: &Shared) -> Result<u8, Error> {
    let mut out = std::io::stdout();
    let all = Folder::all(&shared.root);
    if args.quiet {
        all.iter().for_each(|folder| drop(writeln!(out, "{}", folder.kept.id)));
        return Ok(0);
    }
    let rows: Vec<serde_json::Value> = all.iter().filter_map(|folder| described(folder).ok()).collect();
    if args.format == Format::Json {
        let _ = writeln!(out, "{}", serde_json::Value::from(rows));
        return Ok(0);
    }
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned);
    let columns = ["id", "pid", "status", "bundle", "created", "owner"];
    let width = |key: &str| rows.iter().map(|row| text(row, key).len()).chain([key.len()]).max().unwrap_or(0);
    let line = |cells: [String; 6]| {
        let padded: Vec<String> = cells.iter().zip(columns).map(|(cell, key)| format!("{cell:<0$}", width(key))).collect();
        padded.join("   ").trim_end().to_owned()
    };
    let _ = writeln!(out, "{}", line(columns.map(str::to_uppercase)));
    rows.iter().for_each(|row| drop(writeln!(out, "{}", line(columns.map(|key| text(row, key))))));
    Ok(0)
}

pub fn ps(args: &Ps, shared: &Shared) -> Result<u8, Error> {
    let folder = Folder::find(&shared.root, &args.id)?;
    let pids: Vec<i32> = folder.cgroup()?.map(|group| group.processes().into_iter().map(|pid| pid.as_raw()).collect()).unwrap_or_default();
    let mut out = std::io::stdout();
    if args.format == Format::Json {
        let _ = writeln!(out, "{}", serde_json::Value::from(pids));
        return Ok(0);
    }
    let options = if args.options.is_empty() { vec!["-ef".to_owned()] } else { args.options.clone() };
    let listed = std::process::Command::new("ps").args(&options).output();
    let listed = listed.map_err(|e| Error::Refused { what: "the table of processes".into(), why: format!("ps(1) cannot be run: {e}"), hint: "--format json" })?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default();
    let Some(column) = title.split_whitespace().position(|word| word == "PID") else {
        return Err(Error::Refused { what: format!("the options {options:?}"), why: "ps(1) prints no column PID with them".into(), hint: "skiff oci ps ID -ef" });
    };
    let _ = writeln!(out, "{title}");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(0)
}

pub fn events(args: &Events, shared: &Shared) -> Result<u8, Error> {
    loop {
        let folder = Folder::find(&shared.root, &args.id)?;
        let data = usage::read(&folder)?;
        let line = serde_json::json!({ "type": "stats", "id": args.id, "data": data });
        if writeln!(std::io::stdout(), "{line}").is_err() || args.stats {
            return Ok(0);
        }
        // Between two readings there is nothing to wait for but the container's end.
        let Some(process) = folder.process() else { return Ok(0) };
        if usage::ends_within(&process, args.interval)? {
            return Ok(0);
        }
    }
}

pub fn features() -> Result<u8, Error> {
    print(&able::features());
    Ok(0)
}

pub fn spec(args: &Spec) -> Result<u8, Error> {
    example::write(&args.bundle, args.rootless).map(|()| 0)
}
