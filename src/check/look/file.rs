//! Files: of the host, and as a process sees them.
//!
//! A process's view is read through /proc/PID/root, resolved inside that root (openat2(2),
//! RESOLVE_IN_ROOT): an absolute link in a container must not lead to the host's file.

use super::{Fact, digest, permission};
use crate::check::machine::{Machine, Seen};
use crate::check::model::FileIs;
use crate::kernel::mount::open_in_root;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The most that is read of a file for its text.
const LONGEST: u64 = 1 << 20;

/// A file as a process sees it.
pub(super) fn in_view(wanted: &FileIs, seen: &Seen, machine: &Machine) -> Fact {
    let at = format!("/proc/{}/root{}", seen.pid(), wanted.path);
    let root = match File::open(format!("/proc/{}/root", seen.pid())) {
        Ok(root) => root,
        Err(_) => return Fact::unknown(format!("{} as it sees it", wanted.path), format!("not readable: the process belongs to user {}", seen.uid), at),
    };
    let open = |flags| open_in_root(&root, Path::new(&wanted.path), flags, 0).map(File::from);
    // Mode and owner can be had of what may not be read.
    let file = match open(libc::O_PATH) {
        Err(e) if matches!(e.errno, Errno::ENOENT | Errno::ENOTDIR) => return Fact::is(wanted.absent, expectation(wanted), "no such file", at),
        Err(e) => return Fact::unknown(expectation(wanted), format!("{:?}", e.errno), at),
        Ok(_) if wanted.absent => return Fact::is(false, expectation(wanted), "it is there", at),
        Ok(file) => file,
    };
    let mut facts = Vec::new();
    let asks_who = wanted.mode.is_some() || wanted.owner.is_some();
    if asks_who {
        facts.push(permission::of_open(&file, wanted, machine, at.clone()));
    }
    let asks_text = wanted.is.is_some() || wanted.contains.is_some() || wanted.sha256.is_some();
    let read = || open(libc::O_RDONLY | libc::O_NONBLOCK).map_err(|e| Fact::unknown(expectation(wanted), format!("{:?}", e.errno), at.clone()));
    if let Some(digest) = &wanted.digest {
        facts.push(read().map_or_else(|fact| fact, |file| digest::of_open(file, digest, at.clone())));
    }
    if asks_text || facts.is_empty() {
        facts.push(read().map_or_else(|fact| fact, |file| content(file, wanted, at.clone())));
    }
    Fact::all(facts)
}

/// A file of the host.
pub(super) fn on_host(path: &str, is: Option<&str>, contains: Option<&str>, sha256: Option<&str>) -> Fact {
    let wanted = FileIs {
        path: path.to_owned(),
        is: is.map(String::from),
        contains: contains.map(String::from),
        sha256: sha256.map(String::from),
        ..FileIs::default()
    };
    // A fifo without a writer would keep us for ever.
    match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => content(file, &wanted, path.to_owned()),
        Err(e) => Fact::is(false, expectation(&wanted), e.kind().to_string(), path),
    }
}

pub(super) fn expectation(wanted: &FileIs) -> String {
    match wanted {
        FileIs { absent: true, path, .. } => format!("no file {path}"),
        FileIs { is: Some(text), path, .. } => format!("{path} says {text:?}"),
        FileIs { contains: Some(text), path, .. } => format!("{path} contains {text:?}"),
        FileIs { sha256: Some(hash), path, .. } => format!("{path} hashes to {hash}"),
        FileIs { digest: Some(digest), path, .. } => format!("{path} hashes to {}", digest.0),
        FileIs { mode: Some(mode), path, .. } => format!("{path} with mode {mode}"),
        FileIs { owner: Some(_), path, .. } => format!("{path} with its owner"),
        FileIs { path, .. } => format!("a file {path}"),
    }
}

/// Reads a file's text, or its hash, and compares.
pub(super) fn content(file: impl Read, wanted: &FileIs, at: String) -> Fact {
    let mut bytes = Vec::new();
    let digest = wanted.digest.as_ref().map(|d| d.0.trim_start_matches("sha256:").to_owned());
    let hash = wanted.sha256.clone().or(digest);
    let limit = if hash.is_some() { u64::MAX } else { LONGEST };
    if file.take(limit).read_to_end(&mut bytes).is_err() {
        return Fact::is(false, expectation(wanted), "it cannot be read", at);
    }
    if let Some(hash) = &hash {
        let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        return Fact::is(found == *hash, expectation(wanted), found, at);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let so = wanted.is.as_ref().is_none_or(|is| is == text) && wanted.contains.as_ref().is_none_or(|part| text.contains(part));
    let shown: String = text.chars().take(80).collect();
    Fact::is(so, expectation(wanted), format!("{shown:?}"), at)
}
