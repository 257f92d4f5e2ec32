//! Which libraries a program needs, found as the dynamic linker finds them (ld.so(8), elf(5)).
//!
//! Searched in the order of ld.so: DT_RPATH (where there is no DT_RUNPATH), DT_RUNPATH, the folders of
//! /etc/ld.so.conf, the default folders. Left out: LD_LIBRARY_PATH, the hardware-specific variants
//! (glibc-hwcaps), and what a program opens later by dlopen(3).

use goblin::elf::Elf;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// What one ELF file says of itself.
#[derive(Debug, Clone)]
struct Needs {
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
    search: Vec<PathBuf>,
    /// Class and machine: a 32-bit library is no use to a 64-bit program.
    kind: (bool, u16),
}

/// All that a program needs beside its own file; `Err` names a library that is nowhere, or says that
/// the file is no program of this machine's format.
pub(super) fn of(program: &Path, folders: &[PathBuf]) -> Result<BTreeSet<PathBuf>, String> {
    let first = needs(program).ok_or_else(|| format!("{} is not an ELF program", program.display()))?;
    let mut found: BTreeSet<PathBuf> = first.interpreter.iter().cloned().collect();
    let mut left = VecDeque::from([first.clone()]);
    // A library is loaded once, by its name, for all that need it.
    let mut seen = BTreeSet::new();
    while let Some(file) = left.pop_front() {
        for name in file.libraries.iter().filter(|n| seen.insert((*n).clone())) {
            let candidates = file.search.iter().chain(folders).map(|d| d.join(name));
            let direct = name.contains('/').then(|| PathBuf::from(name));
            let hit = direct.into_iter().chain(candidates).find_map(|path| {
                let needs = needs(&path).filter(|n| n.kind == first.kind)?;
                Some((path, needs))
            });
            // The linker itself is a library of some programs: it is there already.
            let is_interpreter = |i: &PathBuf| i.file_name().is_some_and(|n| n == name.as_str());
            match hit {
                Some((path, needs)) => {
                    found.insert(path);
                    left.push_back(needs);
                }
                None if first.interpreter.as_ref().is_some_and(is_interpreter) => {}
                None => return Err(format!("{} needs {name}, which is nowhere", program.display())),
            }
        }
    }
    Ok(found)
}

/// True for a program that needs no library at all.
pub(super) fn is_static(program: &Path) -> bool {
    needs(program).is_some_and(|n| n.interpreter.is_none() && n.libraries.is_empty())
}

fn needs(path: &Path) -> Option<Needs> {
    let bytes = fs::read(path).ok()?;
    let elf = Elf::parse(&bytes).ok()?;
    let folder = fs::canonicalize(path).ok()?.parent()?.to_owned();
    let search = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    let expand = |text: &str| PathBuf::from(text.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", &folder.to_string_lossy()));
    Some(Needs {
        interpreter: elf.interpreter.map(PathBuf::from),
        libraries: elf.libraries.iter().map(|l| (*l).to_owned()).collect(),
        search: search.iter().flat_map(|s| s.split(':')).filter(|s| !s.is_empty()).map(expand).collect(),
        kind: (elf.is_64, elf.header.e_machine),
    })
}

/// The folders in which libraries are looked for, as this machine's linker is told: glibc's
/// /etc/ld.so.conf, musl's /etc/ld-musl-*.path, then the defaults.
pub(super) fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    read_conf(Path::new("/etc/ld.so.conf"), &mut folders, 0);
    for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("ld-musl-") && name.ends_with(".path") {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            folders.extend(text.split([':', '\n']).filter(|s| !s.is_empty()).map(PathBuf::from));
        }
    }
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let defaults = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from);
    folders.extend([Path::new("/lib").join(&triplet), Path::new("/usr/lib").join(&triplet)]);
    folders.extend(defaults);
    folders
}

/// One folder a line; `include` names more such files, by a pattern with one `*`.
fn read_conf(path: &Path, folders: &mut Vec<PathBuf>, depth: u8) {
    let text = fs::read_to_string(path).unwrap_or_default();
    for line in text.lines().map(|l| l.split('#').next().unwrap_or("").trim()).filter(|l| !l.is_empty()) {
        match line.strip_prefix("include ") {
            Some(pattern) if depth < 4 => included(pattern.trim()).iter().for_each(|p| read_conf(p, folders, depth + 1)),
            Some(_) => {}
            None => folders.push(PathBuf::from(line)),
        }
    }
}

fn included(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new("/etc").join(pattern);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().map(|n| n.to_string_lossy().into_owned())) else {
        return Vec::new();
    };
    let Some((start, end)) = name.split_once('*') else { return vec![path.clone()] };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.filter(|n| n.starts_with(start) && n.ends_with(end)).collect();
    names.sort();
    names.iter().map(|n| folder.join(n)).collect()
}
