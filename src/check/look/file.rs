//! Files: of the host, and as a process sees them.
//!
//! A process's view is read through /proc/PID/root, resolved inside that root (openat2(2),
//! RESOLVE_IN_ROOT): an absolute link in a container must not lead to the host's file.

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::FileIs;
use crate::kernel::mount::open_in_root;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of a file for its text.
const LONGEST: u64 = 1 << 20;

/// A file as a process sees it.
pub(super) fn in_view(wanted: &FileIs, seen: &Seen) -> Fact {
    let at = format!("/proc/{}/root{}", seen.pid(), wanted.path);
    let root = match File::open(format!("/proc/{}/root", seen.pid())) {
        Ok(root) => root,
        Err(_) => return Fact::unknown(format!("{} as it sees it", wanted.path), format!("not readable: the process belongs to user {}", seen.uid), at),
    };
    let opened = open_in_root(&root, Path::new(&wanted.path), libc::O_RDONLY | libc::O_NONBLOCK, 0);
    match opened {
        Err(e) if matches!(e.errno, Errno::ENOENT | Errno::ENOTDIR) => Fact::is(wanted.absent, expectation(wanted), "no such file", at),
        Err(e) => Fact::unknown(expectation(wanted), format!("{:?}", e.errno), at),
        Ok(_) if wanted.absent => Fact::is(false, expectation(wanted), "it is there", at),
        Ok(fd) => content(File::from(fd), wanted, at),
    }
}

/// A file of the host.
pub(super) fn on_host(path: &str, is: Option<&str>, contains: Option<&str>, sha256: Option<&str>) -> Fact {
    let wanted = FileIs {
        path: path.to_owned(),
        is: is.map(String::from),
        contains: contains.map(String::from),
        sha256: sha256.map(String::from),
        absent: false,
    };
    match File::open(path) {
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
        FileIs { path, .. } => format!("a file {path}"),
    }
}

/// Reads a file's text, or its hash, and compares.
pub(super) fn content(file: impl Read, wanted: &FileIs, at: String) -> Fact {
    let mut bytes = Vec::new();
    let limit = if wanted.sha256.is_some() { u64::MAX } else { LONGEST };
    if file.take(limit).read_to_end(&mut bytes).is_err() {
        return Fact::is(false, expectation(wanted), "it cannot be read", at);
    }
    if let Some(hash) = &wanted.sha256 {
        let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        return Fact::is(found == *hash, expectation(wanted), found, at);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let so = wanted.is.as_ref().is_none_or(|is| is == text) && wanted.contains.as_ref().is_none_or(|part| text.contains(part));
    let shown: String = text.chars().take(80).collect();
    Fact::is(so, expectation(wanted), format!("{shown:?}"), at)
}
