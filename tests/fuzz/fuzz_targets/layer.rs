//! Any bytes as a layer, compressed or not: unpacked or refused, never out of the folder.
#![no_main]

use drydock::image::{layer, unpack};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let room = tempfile::tempdir().expect("a temporary folder");
    let into = room.path().join("into");
    std::fs::create_dir(&into).expect("a folder");
    if let Ok(tar) = layer::tar_of(bytes) {
        let _ = unpack::tree(&into, tar);
    }
    assert_eq!(std::fs::read_dir(room.path()).expect("a folder").count(), 1, "something was made beside the folder");
});
