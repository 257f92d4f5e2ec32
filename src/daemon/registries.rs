//! Requests for which a registry is asked: pull, push, search, auth.
//!
//! Progress is a line of JSON for each thing that happens, as the client draws it. What goes wrong after
//! the first line can only be said in a further one, with a status that was sent already.

use super::child::{Lines, fault, skiff};
use super::fault::Fault;
use super::http::{Asked, Reply, bytes, json, streamed};
use super::{Daemon, child};
use axum::body::Body;
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;

/// Who the client says that he is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Credentials {
    username: String,
    password: String,
    auth: String,
    serveraddress: String,
    identitytoken: String,
}

/// A folder with a config.json as `docker login` writes it, for one program; it goes with this value.
struct Login(PathBuf);

impl Drop for Login {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Login {
    /// Of the header `X-Registry-Auth`, if it says anything.
    fn of(asked: &Asked, root: &Path, image: &str) -> Result<Option<Self>, Fault> {
        let Some(text) = asked.headers.get("x-registry-auth").and_then(|h| h.to_str().ok()).filter(|h| !h.is_empty()) else { return Ok(None) };
        let engine = |alphabet| GeneralPurpose::new(alphabet, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
        let bytes = engine(&URL_SAFE).decode(text).or_else(|_| engine(&STANDARD).decode(text)).map_err(|_| Fault::bad("invalid X-Registry-Auth header: it is no base64"))?;
        let who: Credentials = serde_json::from_slice(&bytes).map_err(|e| Fault::bad(format!("invalid X-Registry-Auth header: {e}")))?;
        if who.username.is_empty() && who.identitytoken.is_empty() && who.auth.is_empty() {
            return Ok(None);
        }
        let host = image.split_once('/').map(|(h, _)| h).filter(|h| h.contains(['.', ':']) || *h == "localhost");
        let server = host.map_or_else(|| if who.serveraddress.is_empty() { "https://index.docker.io/v1/".to_owned() } else { who.serveraddress.clone() }, str::to_owned);
        let auth = if who.auth.is_empty() { engine(&STANDARD).encode(format!("{}:{}", who.username, who.password)) } else { who.auth };
        let mut entry = json!({ "auth": auth });
        if !who.identitytoken.is_empty() {
            entry["identitytoken"] = who.identitytoken.into();
        }
        let failed = |e: std::io::Error| Fault::new(500, format!("cannot keep the login: {e}"));
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let folder = root.join(format!("login-{}", crate::engine::find::fresh_id()?));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let login = Self(folder);
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(login.0.join("config.json")).map_err(failed)?;
        std::io::Write::write_all(&mut file, json!({ "auths": { server: entry } }).to_string().as_bytes()).map_err(failed)?;
        Ok(Some(login))
    }
}

/// `POST /images/create`: a pull, or an import of an archive.
pub(super) async fn pull(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let Some(from) = asked.get("fromImage").map(str::to_owned) else { return import(daemon, asked).await };
    let name = match asked.get("tag") {
        Some(digest) if digest.starts_with("sha256:") => format!("{from}@{digest}"),
        Some(tag) => format!("{from}:{tag}"),
        None => from,
    };
    name.parse::<crate::image::Reference>().map_err(|_| Fault::bad("invalid reference format"))?;
    let mut words = vec!["pull".to_owned()];
    words.extend(asked.get("platform").map(|p| format!("--platform={p}")));
    words.push(name.clone());
    let login = Login::of(&asked, &daemon.settings.root, &name)?;
    progress(daemon, &words, login).await
}

/// `POST /images/NAME/push`.
pub(super) async fn push(daemon: &Arc<Daemon>, asked: Asked, name: &str) -> Reply {
    let name = asked.get("tag").map_or_else(|| name.to_owned(), |tag| format!("{name}:{tag}"));
    name.parse::<crate::image::Reference>().map_err(|_| Fault::bad("invalid reference format"))?;
    let login = Login::of(&asked, &daemon.settings.root, &name)?;
    let mut words = vec!["push".to_owned()];
    words.extend(asked.get("tag").is_none().then(|| "--all-tags".to_owned()));
    words.push(name);
    progress(daemon, &words, login).await
}

/// A program's lines as the client's. The first decides the status: what fails before it is an error.
async fn progress(daemon: &Arc<Daemon>, words: &[String], login: Option<Login>) -> Reply {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    daemon.say(&format!("  skiff {}", words.join(" ")));
    let mut command: Command = skiff(daemon, &words)?;
    command.env("SKIFF_PROGRESS", "json").stdout(Stdio::piped()).kill_on_drop(true);
    if let Some(login) = &login {
        command.env("DOCKER_CONFIG", &login.0);
    }
    let mut child = command.spawn().map_err(|e| Fault::new(500, format!("cannot start skiff: {e}")))?;
    let Some(from) = child.stdout.take() else { return Err(Fault::new(500, "skiff has no output")) };
    let (sender, response) = streamed("application/json");
    let (begun, first) = tokio::sync::oneshot::channel::<Option<Fault>>();
    tokio::spawn(async move {
        // Until the program has ended.
        let _login = login;
        let mut begun = Some(begun);
        let heard = async {
            let mut lines = Lines::of(from);
            while let Some(line) = lines.next().await {
                if let Some(begun) = begun.take() {
                    let _ = begun.send(None);
                }
                if sender.send(as_json(line.trim_end()).into()).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = heard => {}
            () = sender.closed() => return,
        }
        let Ok(output) = child.wait_with_output().await else { return };
        if output.status.success() {
            return;
        }
        let fault = fault(&String::from_utf8_lossy(&output.stderr));
        match begun.take() {
            Some(begun) => drop(begun.send(Some(fault))),
            None => drop(sender.send(format!("{}\n", json!({ "errorDetail": { "message": fault.message }, "error": fault.message })).into()).await),
        }
    });
    match first.await {
        Ok(Some(fault)) => Err(fault),
        _ => Ok(response),
    }
}

/// `ID: WORD` is about a layer; what is JSON already stays as it is.
fn as_json(line: &str) -> String {
    if line.starts_with('{') {
        return format!("{line}\n");
    }
    format!("{}\n", json!({ "status": line }))
}

async fn import(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    if asked.get("fromSrc") != Some("-") {
        return Err(Fault::bad("skiff imports what the request brings (fromSrc=-), and fetches nothing"));
    }
    let mut words = vec!["import".to_owned()];
    words.extend(asked.get("message").map(|m| format!("--message={m}")));
    words.extend(asked.every("changes").into_iter().map(|c| format!("--change={c}")));
    words.push("-".into());
    words.extend(asked.get("repo").map(|r| asked.get("tag").map_or_else(|| r.to_owned(), |t| format!("{r}:{t}"))));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let body = asked.body();
    let id = child::input(daemon, &words, body).await?;
    Ok(bytes(200, "application/json", format!("{}\n", json!({ "status": id.trim() }))))
}

/// `GET /images/search`.
pub(super) async fn search(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let term = asked.get("term").ok_or_else(|| Fault::bad("no search term is given"))?;
    let said = child::run(daemon, &["search", "--format", "json", "--no-trunc", term]).await?;
    let rows = said.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).map(|row| {
        json!({ "name": row["Name"], "description": row["Description"], "star_count": row["StarCount"].as_str().and_then(|s| s.parse::<u64>().ok()).unwrap_or(0), "is_official": row["IsOfficial"] == "true" || row["IsOfficial"] == "[OK]", "is_automated": false })
    });
    json(200, &rows.collect::<Vec<_>>())
}

/// `POST /auth`: a login that nobody keeps here; the client does.
pub(super) async fn auth(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    let who: Credentials = asked.document().await?;
    let server = if who.serveraddress.is_empty() { "https://index.docker.io/v1/" } else { &who.serveraddress };
    let folder = daemon.settings.root.join(format!("login-{}", crate::engine::find::fresh_id()?));
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|e| Fault::new(500, e.to_string()))?;
    let login = Login(folder);
    let mut command = skiff(daemon, &["login", "--username", &who.username, "--password-stdin", server])?;
    let mut child = command.env("DOCKER_CONFIG", &login.0).stdin(Stdio::piped()).kill_on_drop(true).spawn().map_err(|e| Fault::new(500, e.to_string()))?;
    child::feed(&mut child, Body::from(who.password)).await;
    let output = child.wait_with_output().await.map_err(|e| Fault::new(500, e.to_string()))?;
    if output.status.success() { json(200, &json!({ "Status": "Login Succeeded", "IdentityToken": "" })) } else { Err(Fault { status: 401, ..fault(&String::from_utf8_lossy(&output.stderr)) }) }
}
