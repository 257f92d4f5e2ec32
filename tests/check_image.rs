//! Checks of saved images, on a layout that is written here by hand.

#[macro_use]
mod support;

use drydock::check::{Check, Outcome, Scene, Verdict, examine};
use sha2::{Digest, Sha256};
use std::path::Path;
use support::Room;

/// Stores bytes under the name that they hash to; gives the descriptor.
fn put(layout: &Path, kind: &str, bytes: &[u8]) -> serde_json::Value {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::write(layout.join("blobs/sha256").join(&hex), bytes).expect("the room is ours");
    serde_json::json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{hex}"), "size": bytes.len() })
}

fn layer(path: &str, text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, text.as_bytes()).expect("memory");
    tar.into_inner().expect("memory")
}

/// A layout of these layers, with BERTH=seven in its environment.
fn layout(at: &Path, layers: &[Vec<u8>]) -> serde_json::Value {
    std::fs::create_dir_all(at.join("blobs/sha256")).expect("the room is ours");
    let layers: Vec<_> = layers.iter().map(|bytes| put(at, "layer.v1.tar", bytes)).collect();
    let diff_ids: Vec<_> = layers.iter().map(|l| l["digest"].clone()).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Env": ["PATH=/bin", "BERTH=seven"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = put(at, "config.v1+json", config.to_string().as_bytes());
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers,
    });
    let manifest = put(at, "manifest.v1+json", manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(at.join("index.json"), index.to_string()).expect("the room is ours");
    std::fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the room is ours");
    config
}

fn verdict(at: &Path, expect: &str) -> Verdict {
    let text = format!("- {{ id: saved, find: image, where: {{ layout: '{}' }}, none: no image here, expect: [{expect}] }}", at.display());
    let checks: Vec<Check> = serde_yaml::from_str(&text).expect("the test's own YAML");
    examine(&checks, &Scene::default())
}

#[test]
fn a_saved_image_is_asked_for_its_layers_its_files_and_its_config() {
    let room = Room::new();
    layout(room.path(), &[layer("etc/berth", "seven\n"), layer("etc/other", "old\n"), layer("etc/.wh.other", "")]);
    let asked = "{ layers: { count: 3 } }, { file: { path: /etc/berth, is: seven } }, { file: { path: etc/other, absent: true } }, { config: { env: { BERTH: seven } } }";
    let answered = verdict(room.path(), asked);
    assert_eq!(answered.outcome, Outcome::Passed, "{:#?}", answered.evidence);

    let wrong = verdict(room.path(), "{ layers: { count: 2 } }, { file: { path: /etc/berth, is: six } }, { file: { path: etc/other } }, { config: { env: { BERTH: six } } }");
    let outcomes: Vec<_> = wrong.evidence.iter().map(|e| e.outcome).collect();
    let not = Outcome::NotYet;
    assert_eq!(outcomes, [Outcome::Passed, not, not, not, not], "{:#?}", wrong.evidence);
    assert_eq!(wrong.evidence[3].found, "a whiteout: deleted");
}

#[test]
fn an_image_with_one_byte_changed_is_none() {
    let room = Room::new();
    let config = layout(room.path(), &[layer("etc/berth", "seven\n")]);
    let hex = config["digest"].as_str().expect("put made it").trim_start_matches("sha256:").to_owned();
    let blob = room.path().join("blobs/sha256").join(hex);
    let text = std::fs::read_to_string(&blob).expect("put wrote it").replace("seven", "eight");
    std::fs::write(&blob, text).expect("the room is ours");
    let answered = verdict(room.path(), "{ config: { env: { BERTH: eight } } }");
    assert_eq!(answered.outcome, Outcome::NotYet);
    assert_eq!((answered.evidence.len(), answered.evidence[0].meaning.as_str()), (1, "no image here"));
}

#[test]
fn a_folder_of_files_is_no_image() {
    let room = Room::new();
    std::fs::write(room.path().join("berth"), "seven").expect("the room is ours");
    let answered = verdict(room.path(), "{ layers: { count: 1 } }");
    assert_eq!((answered.outcome, answered.evidence[0].meaning.as_str()), (Outcome::NotYet, "no image here"));
}
