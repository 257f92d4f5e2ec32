//! What may be read: manifests, blobs or parts of them, lists in pages, a search.

use super::answer::Answer;
use super::route::{By, Route, range};
use super::{Asked, Registry, failed};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The longest page of a list.
const PAGE: usize = 1000;

impl Registry {
    pub(super) fn read(&self, asked: &Asked, route: Route) -> Result<Answer, Answer> {
        match route {
            Route::Base => Ok(Answer::json(200, &json!({}))),
            Route::Catalog => Ok(self.catalog(asked)),
            Route::Search => Ok(self.search(asked)),
            Route::Tags(name) => self.tags(asked, &name),
            Route::Manifest(name, by) => self.read_manifest(&name, &by),
            Route::Blob(name, digest) => self.read_blob(asked, &name, &digest),
            Route::Referrers(name, digest) => Ok(self.referrers(asked, &name, &digest)),
            Route::Upload(name, id) => {
                let size = self.uploads.size(&id).ok_or_else(super::upload::unknown)?;
                let range = format!("0-{}", size.saturating_sub(1));
                Ok(Answer::new(204).with("location", format!("/v2/{name}/blobs/uploads/{id}")).with("range", range))
            }
            Route::Uploads(_) => Err(Answer::error(405, "UNSUPPORTED", "an upload begins with POST", Value::Null)),
        }
    }

    fn read_manifest(&self, name: &str, by: &By) -> Result<Answer, Answer> {
        let found = self.manifest(name, by).map_err(|e| failed(&e))?;
        let shown = || match by {
            By::Tag(tag) => json!({ "name": name, "tag": tag }),
            By::Digest(digest) => json!({ "name": name, "digest": digest }),
        };
        let stored = found.ok_or_else(|| Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown", shown()))?;
        let answer = Answer::new(200).with("docker-content-digest", stored.digest.to_string()).with("etag", format!("\"{}\"", stored.digest));
        Ok(answer.bytes(&stored.media_type, stored.bytes))
    }

    fn read_blob(&self, asked: &Asked, name: &str, digest: &oci_spec::image::Digest) -> Result<Answer, Answer> {
        let unknown = || Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry", json!({ "name": name, "digest": digest }));
        let (file, size) = self.blob(digest).ok_or_else(unknown)?;
        let wanted = asked.header("range").and_then(|r| range(r, size));
        let (status, from, length) = match wanted {
            None => (200, 0, size),
            Some(Some((from, to))) => (206, from, to - from + 1),
            Some(None) => return Err(Answer::error(416, "UNSUPPORTED", "the blob has no such bytes", size).with("content-range", format!("bytes */{size}"))),
        };
        let mut answer = Answer::new(status)
            .with("content-type", "application/octet-stream")
            .with("accept-ranges", "bytes")
            .with("docker-content-digest", digest.to_string())
            .with("etag", format!("\"{digest}\""));
        if status == 206 {
            answer = answer.with("content-range", format!("bytes {from}-{}/{size}", from + length - 1));
        }
        answer.file(file, from, length).map_err(|_| unknown())
    }

    /// All repositories with their tags: what was pushed, and what is shown.
    fn everything(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in self.shelf.repositories() {
            let tags = self.shelf.tags(&name);
            all.entry(name).or_default().extend(tags);
        }
        for (name, tags) in self.shown.iter().flat_map(|s| s.list()) {
            all.entry(name).or_default().extend(tags);
        }
        all
    }

    fn catalog(&self, asked: &Asked) -> Answer {
        let names: Vec<String> = self.everything().into_keys().collect();
        page(asked, "/v2/_catalog", names, |names| json!({ "repositories": names }))
    }

    fn tags(&self, asked: &Asked, name: &str) -> Result<Answer, Answer> {
        let tags = self.everything().remove(name).filter(|tags| !tags.is_empty() || self.shelf.has(name));
        let tags = tags.ok_or_else(|| Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry", json!({ "name": name })))?;
        Ok(page(asked, &format!("/v2/{name}/tags/list"), tags.into_iter().collect(), |tags| json!({ "name": name, "tags": tags })))
    }

    /// Docker's older search, which the Hub serves too.
    fn search(&self, asked: &Asked) -> Answer {
        let term = asked.query.get("q").cloned().unwrap_or_default();
        let term = term.strip_prefix("library/").unwrap_or(&term);
        let fits = self.everything().into_keys().filter(|name| name.contains(term));
        let results: Vec<Value> = fits.map(|name| {
            let official = name.starts_with("library/");
            let short = name.strip_prefix("library/").unwrap_or(&name).to_owned();
            json!({ "name": short, "description": "", "star_count": 0, "is_official": official, "is_automated": false })
        }).collect();
        Answer::json(200, &json!({ "num_results": results.len(), "query": term, "results": results }))
    }

    fn referrers(&self, asked: &Asked, name: &str, digest: &oci_spec::image::Digest) -> Answer {
        let wanted = asked.query.get("artifactType");
        let mut lines = Vec::new();
        for stored in self.shelf.referrers(name, digest) {
            let document: Value = serde_json::from_slice(&stored.bytes).unwrap_or_default();
            let kind = document.get("artifactType").or_else(|| document.pointer("/config/mediaType")).cloned().unwrap_or_default();
            if wanted.is_some_and(|w| kind.as_str() != Some(w)) {
                continue;
            }
            let mut line = json!({ "mediaType": stored.media_type, "size": stored.bytes.len(), "digest": stored.digest, "artifactType": kind });
            if let Some(annotations) = document.get("annotations") {
                line["annotations"] = annotations.clone();
            }
            lines.push(line);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": lines });
        let answer = Answer::new(200).bytes("application/vnd.oci.image.index.v1+json", index.to_string().into_bytes());
        if wanted.is_some() { answer.with("oci-filters-applied", "artifactType") } else { answer }
    }
}

/// A part of a sorted list: `n` items after `last`, and a link to the next part.
fn page(asked: &Asked, path: &str, all: Vec<String>, document: impl Fn(&[String]) -> Value) -> Answer {
    let wanted = match asked.query.get("n").map(|n| n.parse::<usize>()) {
        None => PAGE,
        Some(Ok(n)) => n.min(PAGE),
        Some(Err(_)) => return Answer::error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested", Value::Null),
    };
    let after: Vec<String> = all.into_iter().filter(|item| asked.query.get("last").is_none_or(|last| item > last)).collect();
    let part = &after[..wanted.min(after.len())];
    let answer = Answer::json(200, &document(part));
    match part.last() {
        Some(last) if part.len() < after.len() => {
            let last = crate::image::registry::auth::escaped(last);
            answer.with("link", format!("<{path}?n={wanted}&last={last}>; rel=\"next\""))
        }
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::super::route::query;

    #[test]
    fn the_link_to_the_next_page_says_where_this_one_ended() {
        use crate::image::registry::challenge::next_link;
        let link = format!("</v2/_catalog?n=2&last={}>; rel=\"next\"", crate::image::registry::auth::escaped("a/b"));
        let next = next_link(&link).unwrap();
        assert_eq!(query(next.split_once('?').map(|(_, q)| q)).get("last").unwrap(), "a/b");
    }
}
