//! `/containers/ID/archive`: files of a container as tar streams, and what lies at a path (`docker cp`).
//!
//! The copy itself is `skiff cp`: by a process that sees the container's files and nothing else.

use super::child;
use super::containers::find;
use super::fault::Fault;
use super::http::{Asked, Reply, empty};
use super::Daemon;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Answers.
pub(super) async fn answer(daemon: &Arc<Daemon>, mut asked: Asked, id: &str) -> Reply {
    let path = asked.get("path").ok_or_else(|| Fault::bad("bad parameter: 'path' cannot be empty"))?.to_owned();
    let container = find(daemon, id).await?;
    let place = format!("{}:{path}", container.id());
    let missing = |fault: Fault| if fault.status == 404 { Fault::new(404, format!("Could not find the file {path} in container {id}")) } else { fault };
    match asked.method {
        Method::HEAD => {
            let stat = look(daemon, &place, &path).await.map_err(missing)?;
            Ok(marked(empty(200)?, &stat))
        }
        Method::GET => {
            let stat = look(daemon, &place, &path).await.map_err(missing)?;
            let response = child::output(daemon, &["cp", &place, "-"], "application/x-tar").await.map_err(missing)?;
            Ok(marked(response, &stat))
        }
        Method::PUT => {
            let body = asked.body();
            child::input(daemon, &["cp", "-", &place], body).await.map_err(missing)?;
            empty(200)
        }
        _ => Err(Fault::new(404, "page not found")),
    }
}

/// What lies there, of the first entry of its archive; the rest of which is not read.
async fn look(daemon: &Arc<Daemon>, place: &str, path: &str) -> Result<String, Fault> {
    use futures_util::StreamExt;
    let mut body = child::output(daemon, &["cp", place, "-"], "application/x-tar").await?.into_body().into_data_stream();
    let mut start = Vec::new();
    while start.len() < 2048 {
        match body.next().await {
            Some(Ok(piece)) => start.extend_from_slice(&piece),
            _ => break,
        }
    }
    let mut archive = tar::Archive::new(start.as_slice());
    let entry = archive.entries().ok().and_then(|mut e| e.next()?.ok()).ok_or_else(|| Fault::new(404, "Could not find the file"))?;
    let header = entry.header();
    // Go's os.FileMode: the kind stands in the highest bits.
    let kind: u32 = match header.entry_type() {
        tar::EntryType::Directory => 1 << 31,
        tar::EntryType::Symlink => 1 << 27,
        tar::EntryType::Char => 1 << 26 | 1 << 21,
        tar::EntryType::Block => 1 << 26,
        tar::EntryType::Fifo => 1 << 25,
        _ => 0,
    };
    let target = entry.link_name().ok().flatten().map(|l| l.display().to_string()).unwrap_or_default();
    let name = Path::new(path).file_name().map_or_else(|| "/".into(), |n| n.to_string_lossy().into_owned());
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(header.mtime().unwrap_or(0));
    let stat = json!({ "name": name, "size": header.size().unwrap_or(0), "mode": kind | (header.mode().unwrap_or(0) & 0o777), "mtime": humantime::format_rfc3339(time).to_string(), "linkTarget": target });
    Ok(STANDARD.encode(stat.to_string()))
}

fn marked(mut response: Response<Body>, stat: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(stat) {
        response.headers_mut().insert(HeaderName::from_static("x-docker-container-path-stat"), value);
    }
    response
}
