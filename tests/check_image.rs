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

#[test]
fn a_text_is_found_in_any_layer_hidden_or_not_and_in_the_config() {
    let room = Room::new();
    // Longer than what is searched at a time, with the word across the seam.
    let long = format!("{}swordfish{}", "x".repeat((256 << 10) - 512 - 4), "y".repeat(1000));
    layout(room.path(), &[layer("etc/token", &long), layer("etc/.wh.token", "")]);
    let found = |text: &str| {
        let answered = verdict(room.path(), &format!("{{ nowhere: {text} }}"));
        (answered.outcome, answered.evidence[1].found.clone())
    };
    assert_eq!(found("swordfish"), (Outcome::NotYet, "it is in layer 1 of 2".into()));
    assert_eq!(found("wh.token"), (Outcome::NotYet, "it is in layer 2 of 2".into()));
    assert_eq!(found("seven"), (Outcome::NotYet, "it is in the config".into()));
    assert_eq!(found("sawfish"), (Outcome::Passed, "it is not there".into()));
}

#[test]
fn layers_are_weighed_unpacked_and_compared_with_another_images() {
    let room = Room::new();
    let at = |name: &str| room.path().join(name);
    layout(&at("one"), &[layer("a", "1"), layer("b", "22"), layer("c", "333")]);
    layout(&at("two"), &[layer("a", "1"), layer("b", "22"), layer("c", "4444"), layer("d", "")]);
    let ask = |expect: &str| {
        let text = format!(
            "[{{ id: one, find: image, where: {{ layout: '{}' }} }}, {{ id: two, find: image, where: {{ layout: '{}' }}, expect: [{expect}] }}]",
            at("one").display(),
            at("two").display()
        );
        let checks: Vec<Check> = serde_yaml::from_str(&text).expect("the test's own YAML");
        let last = examine(&checks, &Scene::default()).evidence.pop().expect("evidence");
        (last.outcome, last.found)
    };
    assert_eq!(ask("{ shared: { with: one, layers: 2 } }"), (Outcome::Passed, "2 of 4".into()));
    assert_eq!(ask("{ shared: { with: one, layers: { at-least: 3 } } }"), (Outcome::NotYet, "2 of 4".into()));
    assert_eq!(ask("{ shared: { with: one, file: /b } }"), (Outcome::Passed, "it is layer 2".into()));
    assert_eq!(ask("{ shared: { with: one, file: c } }"), (Outcome::NotYet, "it is layer 3".into()));
    assert_eq!(ask("{ shared: { with: one, file: e } }"), (Outcome::NotYet, "no layer has such a file".into()));
    assert_eq!(ask("{ layers: { bytes: { at-most: 7 } } }").0, Outcome::Passed);
    assert_eq!(ask("{ layers: { bytes: { at-most: 6 } } }"), (Outcome::NotYet, "7 bytes".into()));
}

#[test]
fn an_image_in_a_registry_is_fetched_over_http_and_hashed_afresh() {
    require!(UserNamespaces);
    let room = Room::new();
    let registry = support::registry::Served::ours(&room, &[]);
    let name = |tag: &str| format!("{}/fleet/base:{tag}", registry.host);
    for tag in ["1", "2"] {
        support::stdout(&mut room.skiff(&["tag", "base", &name(tag)]));
        support::stdout(&mut room.skiff(&["push", "-q", &name(tag)]));
    }
    let ask = |first: &str, second: &str, expect: &str| {
        let text = format!("[{{ id: one, find: image, where: {{ registry: '{first}' }} }}, {{ id: two, find: image, where: {{ registry: '{second}' }}, none: not pushed, expect: [{expect}] }}]");
        let checks: Vec<Check> = serde_yaml::from_str(&text).expect("the test's own YAML");
        let last = examine(&checks, &Scene::default()).evidence.pop().expect("evidence");
        (last.outcome, last.meaning, last.found)
    };
    assert_eq!(ask(&name("1"), &name("2"), "{ image: { same-as: one } }").0, Outcome::Passed);
    assert_eq!(ask(&name("1"), &name("2"), "{ image: { differs-from: one }, meaning: one and the same }").1, "one and the same");
    assert_eq!(ask(&name("1"), &name("2"), "{ layers: { count: 3 } }").0, Outcome::Passed);
    let (outcome, meaning, found) = ask(&name("1"), &name("3"), "{ layers: { count: 3 } }");
    assert_eq!((outcome, meaning.as_str()), (Outcome::NotYet, "not pushed"));
    assert!(found.contains("manifest unknown"), "{found}");

    // A layer whose bytes were changed where the registry keeps them.
    let blobs = room.skiff_root().join("registry/blobs/sha256");
    let blob = std::fs::read_dir(&blobs).expect("the registry's own").flatten().max_by_key(|e| e.metadata().expect("there").len()).expect("a blob").path();
    let mut bytes = std::fs::read(&blob).expect("ours");
    bytes[1000] ^= 1;
    std::fs::write(&blob, bytes).expect("ours");
    let (outcome, _, found) = ask(&name("1"), &name("2"), "{ layers: { count: 3 } }");
    assert_eq!(outcome, Outcome::NotYet);
    assert!(found.contains("damaged") || found.contains("blob"), "{found}");
}
