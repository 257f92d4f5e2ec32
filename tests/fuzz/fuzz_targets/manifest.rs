//! Any bytes as the document that a registry gives for a name: of one kind, or refused.
#![no_main]

use drydock::image::registry::manifest::kind_of;
use oci_spec::image::{ImageIndex, ImageManifest};

const HEADERS: [&str; 5] = [
    "",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let kinds: Vec<_> = HEADERS.iter().filter_map(|header| kind_of(bytes, header).ok()).map(|(kind, _)| kind).collect();
    assert!(kinds.windows(2).all(|pair| pair[0] == pair[1]), "two readers take it for two things: {kinds:?}");
    if !kinds.is_empty() {
        let _ = (serde_json::from_slice::<ImageIndex>(bytes), serde_json::from_slice::<ImageManifest>(bytes));
    }
});
