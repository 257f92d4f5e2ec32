//! The house's own rules, read from its source: who may lean on whom, where `unsafe` and printing
//! live, how long a file and a function may grow, and what may lie at the top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may import whom. `kernel::error` is everybody's: each module's errors explain themselves.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("image", &["kernel"]),
    ("engine", &["image", "kernel"]),
    ("build", &["engine", "image", "kernel"]),
    ("compose", &["engine", "build", "image", "kernel"]),
    ("daemon", &["engine", "build", "image", "kernel"]),
    ("check", &["kernel", "image"]),
    ("course", &["check"]),
    ("lab", &["kernel", "image"]),
    ("learn", &["course", "check", "lab", "kernel"]),
    ("web", &["learn", "check", "lab"]),
    ("prove", &["learn", "course", "check", "lab", "kernel"]),
    ("book", &["web", "learn", "course"]),
    ("workshop", &["web", "learn", "course"]),
];

/// What everybody may use of kernel: the shape of an error.
const SHARED: &[&str] = &["Explain", "SysError", "OrSys", "error"];

/// The longest an engine file, any other file and a function may be, in lines without their tests.
const ENGINE_FILE: usize = 250;
const FILE: usize = 500;
const FUNCTION: usize = 60;

/// All that may lie at the top of the checkout.
const TOP: &[&str] = &[
    ".cargo", ".ci", ".gitignore", "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "benches", "book", "clippy.toml",
    "exercises", "lessons", "src", "tests",
];

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every file below `dir`, sorted; of the checkout's own, not of what was built.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || name == ".git" || name == "target" || path.ends_with("book/book") {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

struct Source {
    /// As in `src/engine/mod.rs`.
    name: String,
    text: String,
}

impl Source {
    /// `engine` of src/engine/mod.rs; empty for the files right in src/.
    fn module(&self) -> &str {
        self.name["src/".len()..].split_once('/').map_or("", |(module, _)| module)
    }

    /// Numbered lines without comments, up to the unit tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|l| l.trim() != "#[cfg(test)]");
        lines.enumerate().map(|(i, l)| (i + 1, l)).filter(|(_, l)| !l.trim_start().starts_with("//"))
    }

    fn length(&self) -> usize {
        self.text.lines().take_while(|l| l.trim() != "#[cfg(test)]").count()
    }
}

fn sources() -> Vec<Source> {
    let rust = files(&root().join("src")).into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    let all: Vec<Source> = rust.map(read).collect();
    assert!(all.len() > 20, "only {} source files found below {}", all.len(), root().display());
    all
}

/// The tests and the benches: they too say what they are, and stay short.
fn tests() -> impl Iterator<Item = Source> {
    let below = |dir: &str| files(&root().join(dir)).into_iter();
    below("tests").chain(below("benches")).filter(|p| p.extension().is_some_and(|e| e == "rs")).map(read)
}

fn read(path: PathBuf) -> Source {
    let name = path.strip_prefix(root()).expect("it is below the root").to_string_lossy().into_owned();
    Source { name, text: std::fs::read_to_string(&path).expect("a source file is text") }
}

fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// The modules that a text names after `crate::`, with what follows: `kernel::Explain`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group).into_iter().map(str::to_owned)),
            None => found.push(path(rest).to_owned()),
        }
    }
    found
}

fn path(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '{' || c == ','|| c == ' ')).unwrap_or(text.len());
    text[..end].trim()
}

/// The members of a `use` group whose opening brace was just passed, at its own level.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(group[start..i].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(group[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    found.retain(|m| !m.is_empty());
    found
}

fn allowed(module: &str, import: &str) -> bool {
    let (to, rest) = import.split_once("::").unwrap_or((import, ""));
    if module == to || module.is_empty() || module == "bin" || module == "cli" {
        return true;
    }
    let to_all = |name: &str| SHARED.iter().any(|s| name.trim() == *s || name.trim().starts_with(&format!("{s}::")));
    if to == "kernel" && !rest.is_empty() && rest.trim_matches(['{', '}', ' ']).split(',').filter(|n| !n.trim().is_empty()).all(to_all) {
        return true;
    }
    ARROWS.iter().any(|(from, tos)| *from == module && tos.contains(&to))
}

#[test]
fn imports_follow_the_arrows() {
    let mut broken = Vec::new();
    for source in sources() {
        let code: String = source.code().flat_map(|(_, l)| [l.split(" //").next().unwrap_or(l), "\n"]).collect();
        for import in imports(&code) {
            let known = ARROWS.iter().any(|(m, _)| import.starts_with(m)) || import.starts_with("cli");
            if known && !allowed(source.module(), &import) {
                broken.push(format!("{} uses crate::{import}", source.name));
            }
        }
    }
    none("a module leans on what it must not see", broken);
}

#[test]
fn the_reader_of_imports_sees_groups_and_paths() {
    let seen = imports("use crate::{check::Verdict, kernel::{Explain, pty::Pty}};\nlet x = crate::engine::run();\nuse other_crate::y;");
    assert_eq!(seen, ["check::Verdict", "kernel::{Explain, pty::Pty}", "engine::run"]);
    assert!(allowed("book", "kernel::{Explain, SysError}") && !allowed("book", "kernel::{Explain, pty::Pty}"));
    assert!(!allowed("check", "engine::run") && !allowed("engine", "cli::out") && allowed("cli", "prove::all"));
}

#[test]
fn every_module_has_its_arrows() {
    let modules: BTreeSet<String> = sources().iter().map(|s| s.module().to_owned()).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(m, _)| *m).chain(["", "bin", "cli"]).collect();
    none("a folder of src/ is not in the table of arrows", modules.into_iter().filter(|m| !known.contains(m.as_str())).collect());
}

#[test]
fn unsafe_lives_in_kernel() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.module() != "kernel") {
        for (number, line) in source.code() {
            // A hyphen makes another word of it, such as one of a page's content policy.
            let words = line.split(|c: char| !(c.is_alphanumeric() || "_-".contains(c)));
            if words.into_iter().any(|w| w == "unsafe") || line.contains("allow(unsafe_code)") {
                broken.push(format!("{}:{number}: {}", source.name, line.trim()));
            }
        }
    }
    none("unsafe outside src/kernel", broken);
}

#[test]
fn printing_lives_in_cli() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.module() != "cli") {
        for (number, line) in source.code() {
            if ["println!", "print!", "eprint!", "eprintln!", "dbg!", "clippy::print_std"].iter().any(|p| line.contains(p)) {
                broken.push(format!("{}:{number}: {}", source.name, line.trim()));
            }
        }
    }
    none("something prints outside src/cli", broken);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let silent = sources().into_iter().chain(tests()).filter(|s| !s.text.starts_with("//!")).map(|s| s.name).collect();
    none("a file does not open with //!", silent);
}

#[test]
fn files_stay_short() {
    let limit = |s: &Source| if s.name.starts_with("src/engine/") { ENGINE_FILE } else { FILE };
    let all: Vec<Source> = sources().into_iter().chain(tests()).collect();
    let long = all.iter().filter(|s| s.length() > limit(s)).map(|s| format!("{}: {} lines, at most {}", s.name, s.length(), limit(s))).collect();
    none("a file has grown past its limit; look for the part that wants its own name", long);
}

#[test]
fn functions_stay_short() {
    let mut long = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().take_while(|l| l.trim() != "#[cfg(test)]").collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let indent = line.len() - code.len();
            let opens = code.starts_with("fn ") || ["pub fn ", "const fn ", "extern \"C\" fn "].iter().any(|o| code.contains(o));
            if code.starts_with("//") || !opens {
                continue;
            }
            let close = |l: &&str| l.trim_end() == format!("{}}}", " ".repeat(indent));
            let ends_here = code.ends_with(';') || code.ends_with('}');
            if let Some(length) = lines[number..].iter().position(close).filter(|_| !ends_here)
                && length + 1 > FUNCTION
            {
                long.push(format!("{}:{}: {} lines: {}", source.name, number + 1, length + 1, code));
            }
        }
    }
    none("a function is longer than 60 lines", long);
}

#[test]
fn nothing_is_put_off_and_nothing_names_a_machine_of_ours() {
    // Put together here, so that this file does not hold what it looks for.
    let host = |parts: &[&str]| parts.join(".");
    let hosts = [host(&["deb", "debian", "org"]), host(&["static", "crates", "io"]), host(&["index", "crates", "io"]),
        host(&["pypi", "org"]), host(&["registry", "npmjs", "org"]), host(&["proxy", "golang", "org"])];
    let ours = ["", "work", ""].join("/");
    let later = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut broken = Vec::new();
    for file in files(&root()) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let name = file.strip_prefix(root()).expect("it is below the root").display().to_string();
        for (number, line) in text.lines().enumerate() {
            let words = || line.split(|c: char| !c.is_alphanumeric());
            let at_start = line.match_indices(&ours).any(|(i, _)| !line[..i].ends_with(|c: char| c.is_alphanumeric() || "_-.})$*".contains(c)));
            if hosts.iter().any(|h| line.contains(h)) || at_start || later.iter().any(|l| words().any(|w| w == l)) {
                broken.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("words that do not belong in the checkout", broken);
}

#[test]
fn the_top_is_what_the_map_shows() {
    let entries = std::fs::read_dir(root()).expect("the checkout can be read").flatten();
    let there: BTreeSet<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| n != ".git" && n != "target").collect();
    assert_eq!(there, TOP.iter().map(|n| (*n).to_owned()).collect());
}
