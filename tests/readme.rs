//! The README and `--help` say the same.

#[test]
fn the_readme_names_the_two_commands() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let readme = std::fs::read_to_string(format!("{root}/README.md")).expect("there is a README");
    assert!(readme.contains("cargo run --release") && readme.contains("tests/run"));
}
