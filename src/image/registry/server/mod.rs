//! A small registry (OCI distribution spec 1.1): pull, push, lists, delete, referrers.
//!
//! The network is asynchronous (axum on tokio, one thread); everything that reads, hashes and writes
//! is plain blocking code in [`Registry::answer`], which a test could call without a socket. It speaks
//! no TLS and asks nobody for a password, so it binds the loopback address unless it is told otherwise.
//!
//! See it live: `curl -i 127.0.0.1:5000/v2/_catalog`. Larger ones also have users, TLS, storage in an
//! object store, and garbage collection apart from delete.

mod answer;
mod reading;
mod route;
mod shelf;
mod upload;
mod writing;

use super::Error;
use crate::kernel::OrSys;
use answer::Answer;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response};
use futures_util::TryStreamExt;
use route::{Bad, Route, route};
use shelf::{Shelf, Stored};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio_util::io::{StreamReader, SyncIoBridge};
use upload::Uploads;

/// Images that are served beside what was pushed.
pub trait Shown: Send + Sync {
    /// A manifest of a repository by tag; it may be made at this moment. `None` is another's matter.
    fn by_tag(&self, repository: &str, tag: &str) -> Result<Option<Document>, Error>;
    /// A manifest or a blob, by digest.
    fn open(&self, digest: &oci_spec::image::Digest) -> Option<(File, u64)>;
    /// Repositories and their tags.
    fn list(&self) -> Vec<(String, Vec<String>)>;
}

/// A manifest that is shown.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: oci_spec::image::Digest,
}

/// What happens, for whoever shows it.
#[derive(Debug, Clone)]
pub enum Told {
    /// It listens there.
    Listening(SocketAddr),
    /// A request was answered: method, path, status.
    Answered(String, String, u16),
}

/// A registry over one folder.
struct Registry {
    shelf: Shelf,
    uploads: Uploads,
    shown: Vec<Box<dyn Shown>>,
    told: Box<dyn Fn(Told) + Send + Sync>,
    _lock: File,
}

/// A request without its body.
struct Asked {
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    headers: axum::http::HeaderMap,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Serves the registry in `folder` until SIGINT or SIGTERM.
pub fn serve(folder: &Path, addr: SocketAddr, shown: Vec<Box<dyn Shown>>, told: Box<dyn Fn(Told) + Send + Sync>) -> Result<(), Error> {
    std::fs::create_dir_all(folder).or_sys_with(|| format!("create {}", folder.display()))?;
    let lock = folder.join(".lock");
    let lock = File::options().create(true).append(true).open(&lock).or_sys_with(|| format!("open {}", lock.display()))?;
    if lock.try_lock().is_err() {
        return Err(Error::AlreadyServed { folder: folder.display().to_string() });
    }
    let shelf = Shelf::open(folder)?;
    let registry = Arc::new(Registry { shelf, uploads: Uploads::default(), shown, told, _lock: lock });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(32).build();
    let runtime = runtime.or_sys("start the server's runtime")?;
    let done = runtime.block_on(listen(registry, addr));
    // Whoever is still downloading is not waited for.
    runtime.shutdown_background();
    done
}

async fn listen(registry: Arc<Registry>, addr: SocketAddr) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind(addr).await.or_sys_with(|| format!("listen on {addr}"))?;
    let bound = listener.local_addr().or_sys_with(|| format!("listen on {addr}"))?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).or_sys("wait for signals")?;
    (registry.told)(Told::Listening(bound));
    let router = Router::new().fallback(one).with_state(registry);
    tokio::select! {
        served = async { axum::serve(listener, router).await } => Ok(served.or_sys("serve")?),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// One request: its body becomes a reader, and blocking code has the rest.
async fn one(State(registry): State<Arc<Registry>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        query: route::query(parts.uri.query()),
        method: parts.method,
        headers: parts.headers,
    };
    let head = asked.method == Method::HEAD;
    let stream = body.into_data_stream().map_err(std::io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let answered = tokio::task::spawn_blocking(move || {
        let answer = registry.answer(&asked, reader);
        (registry.told)(Told::Answered(asked.method.to_string(), asked.path, answer.status));
        answer
    });
    let answer = answered.await.unwrap_or_else(|e| Answer::error(500, "UNKNOWN", "the registry failed", e.to_string()));
    answer.into_http(head)
}

impl Registry {
    fn answer(&self, asked: &Asked, body: impl Read) -> Answer {
        let route = match route(&asked.path) {
            Ok(route) => route,
            Err(bad) => return nothing(bad, &asked.path),
        };
        let answer = match (asked.method.as_str(), route) {
            ("GET" | "HEAD", route) => self.read(asked, route),
            ("POST", Route::Uploads(name)) => self.begin(asked, &name, body),
            ("PATCH", Route::Upload(name, id)) => self.piece(asked, &name, &id, body),
            ("PUT", Route::Upload(name, id)) => self.finish(asked, &name, &id, body),
            ("PUT", Route::Manifest(name, by)) => self.put_manifest(asked, &name, &by, body),
            ("DELETE", route) => self.delete(route),
            (method, _) => Err(Answer::error(405, "UNSUPPORTED", "the operation is unsupported", method)),
        };
        answer.unwrap_or_else(|refused| refused)
    }

    /// A manifest, from what was pushed or from what is shown.
    fn manifest(&self, name: &str, by: &route::By) -> Result<Option<Stored>, Error> {
        let pushed = match by {
            route::By::Digest(digest) => self.shelf.manifest(name, digest),
            route::By::Tag(tag) => self.shelf.tag(name, tag).and_then(|digest| self.shelf.manifest(name, &digest)),
        };
        if pushed.is_some() {
            return Ok(pushed);
        }
        for shown in &self.shown {
            let digest = match by {
                route::By::Tag(tag) => shown.by_tag(name, tag)?.map(|d| d.digest),
                route::By::Digest(digest) => Some(digest.clone()),
            };
            let Some(digest) = digest else { continue };
            if let Some((file, size)) = shown.open(&digest).filter(|(_, size)| *size <= super::manifest::DOCUMENT_MAX) {
                let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                (&file).read_to_end(&mut bytes).or_sys("read a manifest")?;
                if let Some(media_type) = writing::media_type_of(&bytes) {
                    return Ok(Some(Stored { digest, media_type, bytes }));
                }
            }
        }
        Ok(None)
    }

    fn blob(&self, digest: &oci_spec::image::Digest) -> Option<(File, u64)> {
        self.shelf.blob(digest).or_else(|| self.shown.iter().find_map(|s| s.open(digest)))
    }
}

/// Paths that mean nothing.
fn nothing(bad: Bad, path: &str) -> Answer {
    match bad {
        Bad::Name => Answer::error(400, "NAME_INVALID", "invalid repository name", path),
        Bad::Digest => Answer::error(400, "DIGEST_INVALID", "provided digest is not one", path),
        Bad::Tag => Answer::error(400, "TAG_INVALID", "manifest tag is not one", path),
        Bad::Path => Answer::error(404, "UNSUPPORTED", "the registry knows no such path", path),
    }
}

/// What went wrong in making or reading something.
fn failed(error: &Error) -> Answer {
    use crate::kernel::Explain;
    let status = if matches!(error, Error::CannotMake { .. }) { 404 } else { 500 };
    let code = if status == 404 { "MANIFEST_UNKNOWN" } else { "UNKNOWN" };
    Answer::error(status, code, &error.to_string(), error.hint())
}
