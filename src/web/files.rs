//! Files as pages: those of a folder, and those that the program carries; and what a page may load.
//!
//! Each page says to the browser that it may ask nobody else for anything (Content-Security-Policy).
//! See it live: `curl -I 127.0.0.1:3000`.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use axum::middleware::Next;
use std::io::Write;
use std::path::{Component, Path};

/// What a page may load: what comes from here. mdBook's pages have scripts and styles in them.
const POLICY: &str = "default-src 'self' 'unsafe-inline' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";

/// Gives every answer the headers that keep a page to itself.
pub async fn sealed(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A file below `folder`; its 404.html for what is not there.
pub async fn below(folder: &Path, uri: &Uri, asked_with: &HeaderMap) -> Response<Body> {
    let asked = Path::new(uri.path().trim_start_matches('/'));
    let is_below = asked.components().all(|c| matches!(c, Component::Normal(_)));
    let mut path = folder.join(asked);
    if path.is_dir() {
        path.push("index.html");
    }
    let found = if is_below { tokio::fs::read(&path).await.ok() } else { None };
    match found {
        Some(bytes) => file(&path, bytes, asked_with),
        None => {
            let page = folder.join("404.html");
            let mut response = file(&page, tokio::fs::read(&page).await.unwrap_or_default(), asked_with);
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// A file's bytes as an answer, packed where the browser takes that.
pub fn file(path: &Path, bytes: Vec<u8>, asked_with: &HeaderMap) -> Response<Body> {
    let kind = kind(path);
    let packs = asked_with.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let packed = if packs && kind.contains("charset") { gzip(&bytes) } else { None };
    let is_packed = packed.is_some();
    let mut response = Response::new(Body::from(packed.unwrap_or(bytes)));
    let headers = response.headers_mut();
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A name with its content's hash in it never means other bytes.
    let kept = if is_hashed(path) { "max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

/// True for names such as `book-8bf6a2d1.js`.
fn is_hashed(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    stem.rsplit_once('-').is_some_and(|(_, hash)| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Text shrinks to a quarter: a class that reads from one laptop shares its network.
fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 3), flate2::Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}
