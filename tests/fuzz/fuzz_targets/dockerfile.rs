//! Any text as a Dockerfile and as a .dockerignore. What is refused is pointed at in its own line.
#![no_main]

use drydock::build::dockerfile::Dockerfile;
use drydock::build::ignore::Ignore;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match Dockerfile::parse("Dockerfile", text) {
        Ok(file) => {
            let again = Dockerfile::parse("Dockerfile", &file.to_string()).expect("what was written can be read");
            assert!(file.instructions.iter().map(|i| &i.what).eq(again.instructions.iter().map(|i| &i.what)), "{file}");
        }
        Err(fault) => {
            assert!(fault.line(text) <= text.lines().count().max(1), "{fault:?}");
            assert!(!fault.shown("Dockerfile", text).is_empty());
        }
    }
    let Ok(ignore) = Ignore::parse(text) else { return };
    for path in ["a", "a/b", ".git/config", "Dockerfile"] {
        let _ = (ignore.excludes(path), ignore.may_take_back_below(path));
    }
});
