//! Ten Dockerfiles of the shapes that people write, all over one small Debian: each builds, runs, and
//! is built again after each of the changes that its file `expected` names, where exactly the steps
//! that the change touches are done again.
//!
//! The Debian is made once by debootstrap and kept in target/debian, with the tools that the ten need.

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::{Room, outcome, source, stdout};

/// What the ten need beyond the smallest Debian.
const PACKAGES: &str = "gcc,libc6-dev,make,python3,nodejs,lua5.4,busybox-static";

/// A skiff root with the base image in it; `None` where it cannot be made.
fn debian() -> Option<&'static Path> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    ROOT.get_or_init(|| support::debian::root("debian", "debian:stable", PACKAGES, &[])).as_deref()
}

/// One of the ten, in a room and a copy of its own.
struct Shape {
    room: Room,
    name: &'static str,
    options: Vec<String>,
}

impl Shape {
    fn new(name: &'static str, root: &Path, options: &str) -> Self {
        let room = support::debian::room(root);
        let context = source().join("tests/build").join(name).join("context");
        stdout(Command::new("cp").arg("-r").arg(context).arg(room.path().join("context")));
        let secret = room.path().join("secret");
        fs::write(&secret, "letters").expect("the room is ours");
        let options = options.split_whitespace().map(|w| w.replace("SECRET", &secret.display().to_string())).collect();
        Self { room, name, options }
    }

    /// Builds; gives the steps that were not taken from the cache, as `[build 2/4]`.
    fn build(&self, more: &[&str]) -> Vec<String> {
        let context = self.room.path().join("context").display().to_string();
        let mut command = self.room.skiff(&["build", "--progress", "plain", "-t", "it"]);
        command.args(&self.options).args(more).arg(&context);
        let (code, out, err) = outcome(&mut command);
        assert_eq!(code, Some(0), "{}: {out}{err}", self.name);
        assert_eq!(out, "", "progress goes to standard error");
        done(&err)
    }

    /// Makes one of the changes that `expected` names, builds, and takes it back.
    fn after(&self, change: &str) -> Vec<String> {
        let words: Vec<&str> = change.split_whitespace().collect();
        let file = |name: &str| self.room.path().join("context").join(name);
        match words.as_slice() {
            ["nothing"] => self.build(&[]),
            ["arg", arg] => self.build(&["--build-arg", arg]),
            ["touch", name] => {
                let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
                fs::File::options().append(true).open(file(name)).and_then(|f| f.set_modified(later)).expect("a file of the context");
                self.build(&[])
            }
            ["append" | "replace", name, ..] => {
                let before = fs::read(file(name)).expect("a file of the context");
                let text = String::from_utf8(before.clone()).expect("it is text");
                let changed = match words.as_slice() {
                    ["replace", _, old, new] => text.replace(old, new),
                    _ => text + "\n",
                };
                fs::write(file(name), changed).expect("the copy is ours");
                let done = self.build(&[]);
                fs::write(file(name), before).expect("the copy is ours");
                done
            }
            other => panic!("{}: no such change: {other:?}", self.name),
        }
    }
}

/// The numbered steps in plain progress that are not followed by CACHED; FROM is never done again.
fn done(progress: &str) -> Vec<String> {
    let mut steps: BTreeMap<u32, (String, bool)> = BTreeMap::new();
    for line in progress.lines() {
        let Some((number, text)) = line.strip_prefix('#').and_then(|l| l.split_once(' ')) else { continue };
        let Ok(number) = number.parse() else { continue };
        if text == "CACHED" {
            steps.entry(number).and_modify(|(_, cached)| *cached = true);
        } else if let Some((name, instruction)) = text.strip_prefix('[').and_then(|t| t.split_once("] "))
            && name.contains('/')
            && !instruction.starts_with("FROM ")
        {
            steps.entry(number).or_insert((format!("[{name}]"), false));
        }
    }
    let mut names: Vec<String> = steps.into_values().filter(|(_, cached)| !cached).map(|(name, _)| name).collect();
    names.sort();
    names
}

fn holds(name: &'static str) {
    let Some(root) = debian() else {
        return support::skip("debootstrap could not make a Debian here");
    };
    let expected = fs::read_to_string(source().join("tests/build").join(name).join("expected")).expect("each has one");
    let line = |key: &str| expected.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let shape = Shape::new(name, root, &line("build: "));
    assert!(!shape.build(&[]).is_empty(), "{name}: the first time there is nothing in the cache");
    let said = stdout(&mut shape.room.skiff(&["run", "--rm", "it"]));
    assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), line("output: "), "{name}");
    for (change, steps) in expected.lines().filter(|l| !l.starts_with("output: ") && !l.starts_with("build: ")).filter_map(|l| l.rsplit_once(':')) {
        let mut steps: Vec<String> = steps.split_inclusive(']').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        steps.sort();
        assert_eq!(shape.after(change), steps, "{name}: done again after the change {change:?}");
    }
}

macro_rules! shapes {
    ($($test:ident $folder:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                require!(Root, Tool("debootstrap"));
                holds($folder);
            }
        )+
    };
}

shapes! {
    a_static_binary_alone_in_its_image "go",
    dependencies_before_the_code "python",
    a_front_end_that_is_built_and_served "node",
    a_kit_that_compiles_and_a_runtime_that_runs "java",
    pages_and_the_smallest_server "site",
    a_library_with_objects_in_a_cache "c",
    one_file_with_several_targets "targets",
    three_parts_that_are_built_side_by_side "parallel",
    an_archive_and_another_escape_character "archive",
    a_service_with_a_user_and_a_secret "service",
}

#[test]
fn every_folder_of_the_ten_is_tested() {
    let mut folders: Vec<String> = fs::read_dir(source().join("tests/build")).expect("it is there").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    folders.sort();
    assert_eq!(folders, ["archive", "c", "go", "java", "node", "parallel", "python", "service", "site", "targets"]);
}
