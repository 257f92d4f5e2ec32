//! Any text as an image's name: what is taken means the same when it is written and read again.
#![no_main]

use drydock::image::Reference;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference, reference.to_string().parse().expect("what was written can be read"));
    }
});
