//! What may be changed: blobs come first, then the manifest that names them; tags and manifests go.

use super::answer::Answer;
use super::route::{By, Route};
use super::shelf::parts;
use super::upload::unknown;
use super::{Asked, Registry, failed};
use crate::image::layer;
use crate::image::registry::manifest::DOCUMENT_MAX;
use oci_spec::image::Digest;
use serde_json::{Value, json};
use std::io::Read;
use std::str::FromStr;

/// What a registry takes as a manifest.
const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What a manifest says that it is; what its members show, where it says nothing.
pub(super) fn media_type_of(bytes: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let own = document.get("mediaType").and_then(Value::as_str);
    let shown = if document.get("manifests").is_some() { MANIFESTS[1] } else { MANIFESTS[0] };
    let is_one = document.get("manifests").is_some() || document.get("config").is_some();
    is_one.then(|| own.unwrap_or(shown).to_owned())
}

impl Registry {
    /// A new upload: empty, whole in this request (`?digest=`), or a blob that is here (`?mount=`).
    pub(super) fn begin(&self, asked: &Asked, name: &str, body: impl Read) -> Result<Answer, Answer> {
        if let Some(digest) = asked.query.get("mount").and_then(|d| Digest::from_str(d).ok())
            && asked.query.get("from").is_none_or(|from| self.shelf.has(from))
            && self.shelf.blob(&digest).is_some()
        {
            return Ok(created(name, &digest));
        }
        let id = self.uploads.begin(&self.shelf).map_err(|e| failed(&e.into()))?;
        match asked.query.get("digest") {
            Some(digest) => self.last_piece(asked, name, &id, digest, body),
            None => Ok(accepted(name, &id, 0)),
        }
    }

    /// The next piece of an upload.
    pub(super) fn piece(&self, asked: &Asked, name: &str, id: &str, body: impl Read) -> Result<Answer, Answer> {
        let size = self.uploads.append(id, asked.header("content-range"), body)?;
        Ok(accepted(name, id, size))
    }

    /// The end of an upload, with its last piece or without.
    pub(super) fn finish(&self, asked: &Asked, name: &str, id: &str, body: impl Read) -> Result<Answer, Answer> {
        let missing = || Answer::error(400, "DIGEST_INVALID", "an upload ends with its digest", Value::Null);
        let digest = asked.query.get("digest").ok_or_else(missing)?;
        self.last_piece(asked, name, id, digest, body)
    }

    fn last_piece(&self, asked: &Asked, name: &str, id: &str, digest: &str, body: impl Read) -> Result<Answer, Answer> {
        self.uploads.append(id, asked.header("content-range"), body)?;
        Ok(created(name, &self.uploads.finish(&self.shelf, id, digest)?))
    }

    /// A manifest is taken when all that it names is here.
    pub(super) fn put_manifest(&self, asked: &Asked, name: &str, by: &By, body: impl Read) -> Result<Answer, Answer> {
        let invalid = |problem: &str| Answer::error(400, "MANIFEST_INVALID", "manifest invalid", problem);
        let mut bytes = Vec::new();
        body.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).map_err(|e| invalid(&e.to_string()))?;
        if bytes.len() as u64 > DOCUMENT_MAX {
            return Err(Answer::error(413, "SIZE_INVALID", "a manifest may have 4 MiB", Value::Null));
        }
        let own = media_type_of(&bytes).ok_or_else(|| invalid("it is not JSON, or has neither a config nor manifests"))?;
        let said = asked.header("content-type").map(|t| t.split(';').next().unwrap_or(t).trim().to_owned());
        let media_type = said.unwrap_or_else(|| own.clone());
        if media_type != own || !MANIFESTS.contains(&media_type.as_str()) {
            return Err(invalid(&format!("its header says {media_type}, and it is {own}")));
        }
        let digest = layer::digest(&bytes);
        if let By::Digest(expected) = by
            && *expected != digest
        {
            return Err(Answer::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content", format!("it hashes to {digest}")));
        }
        for part in parts(&bytes) {
            let there = Digest::from_str(&part).is_ok_and(|d| part.starts_with("sha256:") && self.blob(&d).is_some());
            if !there {
                return Err(Answer::error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", json!({ "digest": part })));
            }
        }
        let tag = match by {
            By::Tag(tag) => Some(tag.as_str()),
            By::Digest(_) => None,
        };
        self.shelf.put_manifest(name, tag, &media_type, &bytes).map_err(|e| failed(&e.into()))?;
        let mut answer = Answer::new(201).with("location", format!("/v2/{name}/manifests/{digest}")).with("docker-content-digest", digest.to_string());
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if let Some(subject) = document.pointer("/subject/digest").and_then(Value::as_str) {
            answer = answer.with("oci-subject", subject);
        }
        Ok(answer)
    }

    pub(super) fn delete(&self, route: Route) -> Result<Answer, Answer> {
        let manifest = || Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown", Value::Null);
        let (gone, otherwise) = match route {
            Route::Manifest(name, By::Tag(tag)) => (self.shelf.remove_tag(&name, &tag), manifest()),
            Route::Manifest(name, By::Digest(digest)) => (self.shelf.remove_manifest(&name, &digest), manifest()),
            Route::Blob(_, digest) => (self.shelf.remove_blob(&digest), Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry", Value::Null)),
            Route::Upload(_, id) => {
                return if self.uploads.cancel(&id) { Ok(Answer::new(204)) } else { Err(unknown()) };
            }
            _ => return Err(Answer::error(405, "UNSUPPORTED", "the operation is unsupported", Value::Null)),
        };
        match gone {
            Ok(true) => Ok(Answer::new(202)),
            Ok(false) => Err(otherwise),
            Err(error) => Err(failed(&error.into())),
        }
    }
}

fn accepted(name: &str, id: &str, size: u64) -> Answer {
    Answer::new(202)
        .with("location", format!("/v2/{name}/blobs/uploads/{id}"))
        .with("docker-upload-uuid", id)
        .with("range", format!("0-{}", size.saturating_sub(1)))
}

fn created(name: &str, digest: &Digest) -> Answer {
    Answer::new(201).with("location", format!("/v2/{name}/blobs/{digest}")).with("docker-content-digest", digest.to_string())
}
