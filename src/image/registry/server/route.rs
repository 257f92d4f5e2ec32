//! Paths of the distribution spec, taken apart: `/v2/<name>/<kind>/<reference>`, where the name has
//! slashes of its own.

use crate::image::Reference;
use oci_spec::image::Digest;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/`: is this a registry?
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v1/search`, Docker's older one.
    Search,
    /// The tags of a repository.
    Tags(String),
    /// A manifest, by tag or digest.
    Manifest(String, By),
    /// A blob, by digest.
    Blob(String, Digest),
    /// The manifests that refer to one.
    Referrers(String, Digest),
    /// Where uploads begin.
    Uploads(String),
    /// An upload that has begun.
    Upload(String, String),
}

/// A manifest's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    Tag(String),
    Digest(Digest),
}

/// Why a path means nothing: the spec's own error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    Name,
    Digest,
    Tag,
    Path,
}

/// Takes a path apart.
pub(super) fn route(path: &str) -> Result<Route, Bad> {
    match path {
        "/v2" | "/v2/" => return Ok(Route::Base),
        "/v2/_catalog" => return Ok(Route::Catalog),
        "/v1/search" => return Ok(Route::Search),
        _ => {}
    }
    let parts: Vec<&str> = path.strip_prefix("/v2/").ok_or(Bad::Path)?.split('/').collect();
    let digest = |text: &str| Digest::from_str(text).ok().filter(|_| text.starts_with("sha256:")).ok_or(Bad::Digest);
    match parts.as_slice() {
        [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => Ok(Route::Uploads(repository(name)?)),
        [name @ .., "blobs", "uploads", id] => Ok(Route::Upload(repository(name)?, (*id).to_owned())),
        [name @ .., "blobs", text] => Ok(Route::Blob(repository(name)?, digest(text)?)),
        [name @ .., "referrers", text] => Ok(Route::Referrers(repository(name)?, digest(text)?)),
        [name @ .., "manifests", text] if text.contains(':') => Ok(Route::Manifest(repository(name)?, By::Digest(digest(text)?))),
        [name @ .., "manifests", tag] => {
            let name = repository(name)?;
            Reference::from_str(&format!("x:{tag}")).map_err(|_| Bad::Tag)?;
            Ok(Route::Manifest(name, By::Tag((*tag).to_owned())))
        }
        _ => Err(Bad::Path),
    }
}

/// A repository's name, which becomes a path in the store: only what the grammar allows.
pub(super) fn repository(parts: &[&str]) -> Result<String, Bad> {
    let name = parts.join("/");
    // Under a registry's name, so that no part is taken for one, and `library/` stays.
    let parsed = Reference::from_str(&format!("registry.invalid/{name}")).map_err(|_| Bad::Name)?;
    if parsed.repository != name || parsed.tag.is_some() || parsed.digest.is_some() { Err(Bad::Name) } else { Ok(name) }
}

/// The fields of a query, decoded.
pub(super) fn query(text: Option<&str>) -> BTreeMap<String, String> {
    let pairs = text.unwrap_or_default().split('&').filter(|p| !p.is_empty());
    pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(n, v)| (decoded(n), decoded(v))).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The range of bytes that a client wants of a blob: `bytes=5-` or `bytes=5-9`, first and last.
/// `Some(None)` is one that cannot be had; anything else than one range is not answered as one.
pub(super) fn range(header: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (from, to) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let last = size.checked_sub(1);
    if from.is_empty() {
        let count: u64 = to.parse().ok()?;
        return Some(last.filter(|_| count > 0).map(|last| (size.saturating_sub(count), last)));
    }
    let from: u64 = from.parse().ok()?;
    let to = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
    Some(last.filter(|last| from <= *last && from <= to).map(|last| (from, to.min(last))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_may_have_slashes_and_words_of_the_paths_own() {
        assert_eq!(route("/v2/a/b/c/tags/list"), Ok(Route::Tags("a/b/c".into())));
        assert_eq!(route("/v2/library/x/manifests/1.0"), Ok(Route::Manifest("library/x".into(), By::Tag("1.0".into()))));
        assert_eq!(route("/v2/tags/list/tags/list"), Ok(Route::Tags("tags/list".into())));
        assert_eq!(route("/v2/a/blobs/uploads/"), Ok(Route::Uploads("a".into())));
        for (path, bad) in [
            ("/v2/../etc/tags/list", Bad::Name),
            ("/v2//tags/list", Bad::Name),
            ("/v2/A/tags/list", Bad::Name),
            ("/v2/a/manifests/..", Bad::Tag),
            ("/v2/a/blobs/sha256:..", Bad::Digest),
            ("/v2/a/what", Bad::Path),
            ("/etc/passwd", Bad::Path),
        ] {
            assert_eq!(route(path), Err(bad), "{path}");
        }
    }

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        assert_eq!(range("bytes=5-", 10), Some(Some((5, 9))));
        assert_eq!(range("bytes=5-100", 10), Some(Some((5, 9))));
        assert_eq!(range("bytes=-3", 10), Some(Some((7, 9))));
        assert_eq!(range("bytes=10-", 10), Some(None));
        assert_eq!(range("bytes=0-", 0), Some(None));
        assert_eq!(range("bytes=1-2,4-5", 10), None);
        assert_eq!(range("lines=1-2", 10), None);
    }

    proptest! {
        #[test]
        fn any_path_and_query_is_survived(text in "\\PC{0,80}", size in any::<u64>()) {
            let _ = (route(&text), route(&format!("/v2/{text}")), query(Some(&text)), range(&format!("bytes={text}"), size));
        }

        #[test]
        fn no_name_leads_out(text in "[a-z./_-]{1,30}") {
            if let Ok(Route::Tags(name)) = route(&format!("/v2/{text}/tags/list")) {
                prop_assert!(!name.split('/').any(|p| p.is_empty() || p.starts_with('.') || p.starts_with('_')), "{}", name);
            }
        }
    }
}
