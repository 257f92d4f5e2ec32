//! Blobs on their way in: whole in one request, or in pieces one after the other (distribution spec, push).
//!
//! An upload is a file; what has come of it is its length. It becomes a blob when it hashes to the
//! digest that the client names at the end. Its bytes are hashed as they come, and the state of the
//! hash is kept between two pieces; the file is open only while a piece comes in, so that clients which
//! begin and never end cost no descriptors. Of those, [`MOST`] are remembered.

use super::answer::Answer;
use super::shelf::Shelf;
use crate::image::error::at;
use crate::image::layer::digest_of;
use crate::image::{Error, aside};
use crate::kernel::OrSys;
use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// All uploads that have begun.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<HashMap<String, Arc<Mutex<Upload>>>>,
}

/// One of them.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    hasher: Sha256,
    size: u64,
    /// When something last came.
    last: Instant,
}

/// An upload that nobody went on with for so long is given up.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// More uploads than so many are not gone on with at once: the one that waited longest makes way.
const MOST: usize = 256;

impl Drop for Upload {
    fn drop(&mut self) {
        // Renamed away when it became a blob.
        let _ = fs::remove_file(&self.path);
    }
}

impl Uploads {
    /// Begins one; gives its name.
    pub(super) fn begin(&self, shelf: &Shelf) -> Result<String, Error> {
        let path = aside::fresh(&shelf.uploads());
        File::create_new(&path).or_sys_with(|| at("create", &path))?;
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let upload = Upload { path, hasher: Sha256::new(), size: 0, last: Instant::now() };
        if let Ok(mut open) = self.open.lock() {
            // One that is locked is just coming in.
            open.retain(|_, other| other.try_lock().map_or(true, |o| o.last.elapsed() < FORGOTTEN));
            while open.len() >= MOST {
                let waiting = open.iter().filter_map(|(id, other)| Some((other.try_lock().ok()?.last, id.clone())));
                // All of them are coming in: no more than there are threads for.
                let Some((_, idlest)) = waiting.min() else { break };
                open.remove(&idlest);
            }
            open.insert(id.clone(), Arc::new(Mutex::new(upload)));
        }
        Ok(id)
    }

    fn find(&self, id: &str) -> Option<Arc<Mutex<Upload>>> {
        self.open.lock().ok()?.get(id).cloned()
    }

    /// How much has come.
    pub(super) fn size(&self, id: &str) -> Option<u64> {
        self.find(id)?.lock().ok().map(|u| u.size)
    }

    /// Lets go of one; false if there is none.
    pub(super) fn cancel(&self, id: &str) -> bool {
        self.open.lock().is_ok_and(|mut open| open.remove(id).is_some())
    }

    /// Takes a piece; `range` is what the client says of it: `0-99`.
    pub(super) fn append(&self, id: &str, range: Option<&str>, mut body: impl Read) -> Result<u64, Answer> {
        let upload = self.find(id).ok_or_else(unknown)?;
        let mut upload = upload.lock().map_err(|_| unknown())?;
        let start = range.map(|r| r.trim_start_matches("bytes ").split('-').next().unwrap_or_default().trim().parse::<u64>());
        if start.is_some_and(|s| s != Ok(upload.size)) {
            let there = Answer::error(416, "BLOB_UPLOAD_INVALID", "the pieces of an upload follow each other", upload.size);
            return Err(there.with("range", format!("0-{}", upload.size.saturating_sub(1))));
        }
        let full = |e: io::Error| Answer::error(507, "UNKNOWN", "the registry cannot write", e.to_string());
        let mut file = File::options().append(true).open(&upload.path).map_err(full)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => return Ok(upload.size),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Answer::error(400, "BLOB_UPLOAD_INVALID", "the piece broke off", e.to_string())),
            };
            file.write_all(&buffer[..n]).map_err(full)?;
            upload.hasher.update(&buffer[..n]);
            upload.size += n as u64;
            upload.last = Instant::now();
        }
    }

    /// Ends one: it is a blob if it hashes to `digest`, and gone if not.
    pub(super) fn finish(&self, shelf: &Shelf, id: &str, digest: &str) -> Result<Digest, Answer> {
        let invalid = |detail: String| Answer::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail);
        let upload = self.find(id).ok_or_else(unknown)?;
        self.cancel(id);
        let upload = upload.lock().map_err(|_| unknown())?;
        let expected = Digest::from_str(digest).ok().filter(|_| digest.starts_with("sha256:"));
        let expected = expected.ok_or_else(|| invalid(format!("{digest:?} is not a sha256 digest")))?;
        let found = digest_of(upload.hasher.clone());
        if found != expected {
            return Err(invalid(format!("it hashes to {found}")));
        }
        let to = shelf.blob_path(&found);
        let kept = File::open(&upload.path).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&upload.path, &to));
        kept.map_err(|e| Answer::error(507, "UNKNOWN", "the registry cannot write", e.to_string()))?;
        Ok(found)
    }
}

pub(super) fn unknown() -> Answer {
    Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", serde_json::Value::Null)
}
