//! The image store on a real filesystem: `base` made and found again, layers unpacked without escape.

use drydock::image::{Progress, Store};
use std::path::Path;

fn room() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("drydock-image-").tempdir().expect("a temporary folder")
}

#[test]
fn base_is_made_once_and_found_again_with_the_same_digest() {
    let (one, other) = (room(), room());
    let mut said = Vec::new();
    let image = Store::open(one.path()).obtain("base", &mut |p| said.push(p)).unwrap();
    assert_eq!(said.len(), 5, "made from, three layers, made: {said:?}");
    assert_eq!(said.last(), Some(&Progress::Made { digest: image.digest.clone() }));

    let again = Store::open(one.path()).obtain("base:latest", &mut |p| panic!("made twice: {p:?}")).unwrap();
    assert_eq!(again.digest, image.digest);
    let elsewhere = Store::open(other.path()).obtain("base", &mut |_| {}).unwrap();
    assert_eq!(elsewhere.digest, image.digest, "the same machine makes the same image");

    let dirs = image.layer_dirs().unwrap().to_vec();
    assert_eq!(dirs.len(), 3);
    for tool in ["sh", "ls", "cat", "ps", "mount", "hostname", "id", "sleep", "head", "tail", "dd"] {
        let has = |d: &Path| ["bin", "usr/bin"].iter().any(|b| d.join(b).join(tool).symlink_metadata().is_ok());
        assert!(dirs.iter().any(|d| has(d)), "base has no {tool}");
    }
}
