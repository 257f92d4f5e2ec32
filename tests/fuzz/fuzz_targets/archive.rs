//! Any bytes as an archive of images: read or refused, and its layers' files listed.
#![no_main]

use drydock::image::archive::Archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let room = tempfile::tempdir().expect("a temporary folder");
    let Ok(archive) = Archive::from_pipe(bytes, room.path()) else { return };
    for image in archive.images().into_iter().flatten() {
        let _ = archive.verify(&image);
        for layer in &image.layers {
            let _ = archive.files(layer);
        }
    }
});
