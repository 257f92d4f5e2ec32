//! The built book over HTTP on this machine, for browsers that keep nothing for files.
//!
//! Only files of the built folder are given out, and each page says to the browser that it may ask
//! nobody else for anything (Content-Security-Policy). See it live: `curl -I 127.0.0.1:3000`.

use super::BookError;
use crate::kernel::{OrSys, SysError};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use nix::errno::Errno;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Component, Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// What a page may load: what comes from here. mdBook's pages have scripts and styles in them.
const POLICY: &str = "default-src 'self' 'unsafe-inline' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";

/// Takes the address, before anything is built for it.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, BookError> {
    TcpListener::bind(addr).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => BookError::PortTaken(addr),
        _ => SysError::new(format!("listen on {addr}"), Errno::from_raw(e.raw_os_error().unwrap_or(0))).into(),
    })
}

/// Serves `folder` until SIGINT or SIGTERM; `told` hears the address when it can be asked.
pub fn serve(folder: &Path, listener: TcpListener, told: impl FnOnce(SocketAddr)) -> Result<(), BookError> {
    let folder = folder.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_sys("start a server")?;
    runtime.block_on(async move {
        listener.set_nonblocking(true).or_sys("make the socket non-blocking")?;
        let listener = tokio::net::TcpListener::from_std(listener).or_sys("wait on the socket")?;
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt()).or_sys("wait for SIGINT")?, signal(SignalKind::terminate()).or_sys("wait for SIGTERM")?);
        told(listener.local_addr().or_sys("learn the address")?);
        let pages = Router::new().fallback(axum::routing::get(page)).with_state(folder);
        // A browser that keeps a connection open does not hold up the end.
        tokio::select! {
            served = async { axum::serve(listener, pages).await } => Ok(served.or_sys("serve the book")?),
            _ = interrupt.recv() => Ok(()),
            _ = end.recv() => Ok(()),
        }
    })
}

async fn page(State(folder): State<PathBuf>, uri: Uri, asked_with: HeaderMap) -> Response<Body> {
    let asked = Path::new(uri.path().trim_start_matches('/'));
    let below = asked.components().all(|c| matches!(c, Component::Normal(_)));
    let mut path = folder.join(asked);
    if path.is_dir() {
        path.push("index.html");
    }
    let found = if below { tokio::fs::read(&path).await.ok() } else { None };
    let (status, bytes, kind) = match found {
        Some(bytes) => (StatusCode::OK, bytes, kind(&path)),
        None => (StatusCode::NOT_FOUND, tokio::fs::read(folder.join("404.html")).await.unwrap_or_default(), "text/html; charset=utf-8"),
    };
    let packs = asked_with.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let packed = if packs && kind.contains("charset") { gzip(&bytes) } else { None };
    let is_packed = packed.is_some();
    let mut response = Response::new(Body::from(packed.unwrap_or(bytes)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Text shrinks to a quarter: a class that reads from one laptop shares its network.
fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 3), flate2::Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
