//! From a tag to the one manifest that this machine can run (OCI image spec: image-index, manifest).
//!
//! A tag stands for a manifest or for an index, one manifest a platform. What comes is hashed and
//! compared with the digest that was asked for or that the registry named. A document must be of the
//! type that its header says, and of one type only: one that reads as an index and as a manifest
//! would mean different images to different readers. An index in an index is refused, and with it
//! every circle of them.

use super::client::Client;
use super::http::Response;
use super::Error;
use crate::image::layer;
use crate::image::store::parse;
use oci_spec::image::{Arch, Descriptor, Digest, ImageIndex, ImageManifest, MediaType};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The most that is read of a manifest, an index or a config.
pub const DOCUMENT_MAX: u64 = 4 << 20;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIGS: &[&str] = &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYERS: &[&str] = &[
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
];

/// An operating system and a machine, as `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// In Go's words: `amd64`, `arm64`.
    pub architecture: String,
    /// `v7`, where the architecture has several.
    pub variant: Option<String>,
}

impl Platform {
    /// This machine.
    pub fn here() -> Self {
        Self { os: "linux".into(), architecture: Arch::default().to_string(), variant: None }
    }

    /// How well a platform of an index fits; the least is the best.
    fn fit(&self, there: &Self) -> Option<usize> {
        if there.os != self.os || there.architecture != self.architecture {
            return None;
        }
        match (&self.variant, &there.variant) {
            (Some(wanted), Some(there)) => (wanted == there).then_some(0),
            (Some(_), None) => Some(1),
            // Without a word, the newest of 32-bit ARM that all such machines have had for long.
            (None, Some(there)) => ["v8", "v7", "v6", "v5"].iter().position(|v| v == there).or(Some(9)),
            (None, None) => Some(0),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|v| write!(f, "/{v}"))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |w: &&str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(word) || parts.len() > 3 {
            return Err("it is not written os/architecture or os/architecture/variant, such as linux/arm64".into());
        }
        let mut platform = Self::here();
        match parts.as_slice() {
            // One word is an operating system if it is one, else a machine.
            [os @ ("linux" | "windows" | "darwin" | "freebsd")] => platform.os = (*os).to_owned(),
            [machine] => platform.architecture = (*machine).to_owned(),
            [os, machine, variant @ ..] => {
                platform = Self { os: (*os).to_owned(), architecture: (*machine).to_owned(), variant: variant.first().map(|v| (*v).to_owned()) };
            }
            [] => {}
        }
        platform.architecture = match platform.architecture.to_lowercase().as_str() {
            "x86_64" | "x86-64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            "i386" | "i686" => "386".into(),
            other => other.to_owned(),
        };
        if platform.architecture == "arm64" && platform.variant.as_deref() == Some("v8") {
            platform.variant = None;
        }
        Ok(platform)
    }
}

/// A manifest of one image, as it came.
#[derive(Debug)]
pub struct Found {
    /// What the tag stands for: the digest of the index, where there is one.
    pub digest: Digest,
    /// Type, size and digest of the manifest.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The same, read.
    pub manifest: ImageManifest,
}

/// The manifest that a tag or a digest stands for on a platform; `shown` is how a person calls it.
pub fn find(client: &Client, wanted: &str, shown: &str, platform: &Platform) -> Result<Found, Error> {
    let document = fetch(client, wanted, shown, &[OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST])?;
    let digest = document.digest.clone();
    if document.kind == Kind::Manifest {
        return document.into_manifest(digest);
    }
    let index: ImageIndex = parse(&document.bytes, &format!("index {digest}"))?;
    let chosen = choose(&index, platform, shown)?;
    if matches!(chosen.media_type().to_string().as_str(), OCI_INDEX | DOCKER_LIST) {
        return Err(Error::content(format!("index {digest}"), "it leads to another index, and that could go on in a circle"));
    }
    let document = fetch(client, chosen.digest().as_ref(), shown, &[OCI_MANIFEST, DOCKER_MANIFEST])?;
    if document.kind != Kind::Manifest {
        return Err(Error::content(format!("index {digest}"), "it leads to another index, and that could go on in a circle"));
    }
    if document.bytes.len() as u64 != chosen.size() {
        let problem = format!("it has {} bytes, and the index says {}", document.bytes.len(), chosen.size());
        return Err(Error::content(format!("manifest {}", chosen.digest()), problem));
    }
    document.into_manifest(digest)
}

/// The entry of an index that fits a platform best.
fn choose<'a>(index: &'a ImageIndex, platform: &Platform, shown: &str) -> Result<&'a Descriptor, Error> {
    let of = |d: &Descriptor| {
        d.platform().as_ref().map(|p| Platform {
            os: p.os().to_string(),
            architecture: p.architecture().to_string(),
            variant: p.variant().clone().filter(|v| !(v == "v8" && p.architecture().to_string() == "arm64")),
        })
    };
    // Without a platform it is for all.
    let fit = |d: &Descriptor| of(d).map_or(Some(99), |there| platform.fit(&there));
    let best = index.manifests().iter().filter_map(|d| Some((fit(d)?, d))).min_by_key(|(fit, _)| *fit);
    best.map(|(_, d)| d).ok_or_else(|| {
        // What a builder says of an image is there under the platform unknown/unknown.
        let mut there: Vec<String> = index.manifests().iter().filter_map(of).filter(|p| p.os != "unknown").map(|p| p.to_string()).collect();
        there.sort();
        there.dedup();
        Error::NoPlatform { reference: shown.to_owned(), wanted: platform.to_string(), there }
    })
}

/// The two kinds of document that a name can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One manifest for each platform.
    Index,
    /// One image.
    Manifest,
}

struct Document {
    digest: Digest,
    kind: Kind,
    media_type: String,
    bytes: Vec<u8>,
}

fn fetch(client: &Client, wanted: &str, shown: &str, accepted: &[&str]) -> Result<Document, Error> {
    let accept = accepted.iter().map(|t| ("accept", (*t).to_owned())).collect();
    let response = client.get(&format!("manifests/{wanted}"), accept)?;
    match response.status().as_u16() {
        200 => {}
        404 => {
            return Err(match client.refusal("", "pull", response) {
                Error::Answer { host, said, .. } => Error::NoManifest { reference: shown.to_owned(), host, said },
                denied => denied,
            });
        }
        _ => return Err(client.refusal(&format!("read the manifest of {shown}"), "pull", response)),
    }
    let header = |name: &str, r: &Response| r.headers().get(name).and_then(|h| h.to_str().ok()).map(str::to_owned);
    let content_type = header("content-type", &response).unwrap_or_default();
    let named = header("docker-content-digest", &response);
    let what = format!("the manifest of {shown}");
    let bytes = client.read(&what, response, DOCUMENT_MAX)?;
    let digest = layer::digest(&bytes);
    let expected = Some(wanted).filter(|w| w.starts_with("sha256:")).or(named.as_deref().filter(|n| n.starts_with("sha256:")));
    if let Some(expected) = expected.filter(|e| *e != digest.as_ref()) {
        return Err(Error::content(what, format!("its bytes hash to {digest}, not to {expected}")));
    }
    let (kind, media_type) = kind_of(&bytes, content_type.split(';').next().unwrap_or_default().trim())
        .map_err(|problem| Error::content(what, problem))?;
    Ok(Document { digest, kind, media_type, bytes })
}

/// What a document is, by its header and by itself, and its media type; or why it is neither kind.
pub fn kind_of(bytes: &[u8], content_type: &str) -> Result<(Kind, String), String> {
    let document: Value = serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON ({e})"))?;
    let own = document.get("mediaType").and_then(Value::as_str);
    if document.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
        return Err("it is in Docker's format of before 2016 (schema 1), which no engine writes any more; whoever made it must push it again".into());
    }
    let plain = ["", "application/json", "application/octet-stream", "text/plain"].contains(&content_type);
    let media_type = if plain { own.unwrap_or(content_type) } else { content_type };
    if let Some(own) = own.filter(|own| *own != media_type) {
        return Err(format!("its header says {media_type}, and it says of itself {own}"));
    }
    let kind = match media_type {
        OCI_INDEX | DOCKER_LIST => Kind::Index,
        OCI_MANIFEST | DOCKER_MANIFEST => Kind::Manifest,
        "" => return Err("nothing says what it is".into()),
        other => return Err(format!("{other} is not an image")),
    };
    let (has_manifests, has_layers) = (document.get("manifests").is_some(), document.get("layers").is_some() || document.get("config").is_some());
    match (kind, has_manifests, has_layers) {
        (Kind::Index, true, false) | (Kind::Manifest, false, true) => Ok((kind, media_type.to_owned())),
        (_, true, true) => Err("it is an index and a manifest at once, and would mean different images to different readers".into()),
        _ => Err(format!("it is called {media_type}, and has not what that has")),
    }
}

impl Document {
    fn into_manifest(self, digest: Digest) -> Result<Found, Error> {
        let what = format!("manifest {}", self.digest);
        let manifest: ImageManifest = parse(&self.bytes, &what)?;
        let config = manifest.config().media_type().to_string();
        if !CONFIGS.contains(&config.as_str()) {
            return Err(Error::content(what, format!("its config is {config}: it is something else than an image of a container")));
        }
        if manifest.config().size() > DOCUMENT_MAX {
            return Err(Error::content(what, "its config would be longer than 4 MiB"));
        }
        let strange = manifest.layers().iter().map(|l| l.media_type().to_string()).find(|t| !LAYERS.contains(&t.as_str()));
        if let Some(strange) = strange {
            return Err(Error::content(what, format!("one of its layers is {strange}, which cannot be unpacked")));
        }
        for digest in manifest.layers().iter().chain([manifest.config()]).map(Descriptor::digest) {
            if !digest.as_ref().starts_with("sha256:") {
                return Err(Error::content(what, format!("{digest} is no sha256 digest, and the store knows no other")));
            }
        }
        let media_type = MediaType::from(self.media_type.as_str());
        Ok(Found { digest, descriptor: Descriptor::new(media_type, self.bytes.len() as u64, self.digest), bytes: self.bytes, manifest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(platforms: &[&str]) -> ImageIndex {
        let lines: Vec<Value> = platforms.iter().enumerate().map(|(i, p)| {
            let mut parts = p.split('/');
            let mut platform = serde_json::json!({ "os": parts.next(), "architecture": parts.next() });
            if let Some(variant) = parts.next() {
                platform["variant"] = variant.into();
            }
            serde_json::json!({ "mediaType": OCI_MANIFEST, "size": i, "digest": format!("sha256:{i:064x}"), "platform": platform })
        }).collect();
        serde_json::from_value(serde_json::json!({ "schemaVersion": 2, "manifests": lines })).unwrap()
    }

    fn chosen(wanted: &str, there: &[&str]) -> Result<usize, String> {
        let platform: Platform = wanted.parse().unwrap();
        choose(&index(there), &platform, "x:latest").map(|d| d.size() as usize).map_err(|e| {
            format!("{e}; {}", crate::kernel::Explain::why(&e).unwrap_or_default())
        })
    }

    #[test]
    fn of_an_index_the_platform_is_taken_that_fits_best() {
        let there = ["linux/386", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "unknown/unknown"];
        assert_eq!(chosen("linux/amd64", &there), Ok(1));
        assert_eq!(chosen("linux/x86_64", &there), Ok(1));
        assert_eq!(chosen("arm64", &there), Ok(4));
        assert_eq!(chosen("linux/aarch64/v8", &there), Ok(4));
        assert_eq!(chosen("linux/arm", &there), Ok(3));
        assert_eq!(chosen("linux/arm/v6", &there), Ok(2));
        assert_eq!(
            chosen("linux/riscv64", &there),
            Err("no matching manifest for linux/riscv64 in the manifest list entries of x:latest; \
                 it has linux/386, linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64".into())
        );
    }

    #[test]
    fn a_document_is_of_one_kind_and_of_the_one_that_its_header_says() {
        let kind = |text: &str, header: &str| kind_of(text.as_bytes(), header).map(|(k, _)| k);
        let manifest = r#"{"schemaVersion": 2, "config": {}, "layers": []}"#;
        assert_eq!(kind(manifest, OCI_MANIFEST), Ok(Kind::Manifest));
        assert!(kind(manifest, OCI_INDEX).is_err() && kind(manifest, "application/json").is_err() && kind(manifest, "text/html").is_err());
        let both = r#"{"schemaVersion": 2, "layers": [], "manifests": []}"#;
        assert!(kind(both, OCI_MANIFEST).unwrap_err().contains("at once"));
        let named = format!(r#"{{"mediaType": "{OCI_INDEX}", "manifests": []}}"#);
        assert_eq!(kind(&named, "application/json"), Ok(Kind::Index));
        assert!(kind(&named, OCI_MANIFEST).unwrap_err().contains("says of itself"));
        assert!(kind(r#"{"schemaVersion": 1}"#, "application/json").unwrap_err().contains("schema 1"));
    }

    proptest! {
        #[test]
        fn any_document_and_any_platform_is_survived(text in "\\PC{0,120}", header in "[a-z/+.]{0,30}") {
            let _ = (kind_of(text.as_bytes(), &header), Platform::from_str(&text));
        }
    }
}
