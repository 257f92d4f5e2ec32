//! The digest of a file's bytes, hashed afresh (sha256, as the OCI image spec writes it).

use super::Fact;
use crate::check::model::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

/// A file of the host.
pub(super) fn on_host(path: &str, wanted: &Digest) -> Fact {
    match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => of_open(file, wanted, path.to_owned()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Fact::unknown(&wanted.0, "this user may not read it", path),
        Err(e) => Fact::is(false, &wanted.0, e.kind().to_string(), path),
    }
}

/// A file that was opened to be read.
pub(super) fn of_open(mut file: File, wanted: &Digest, at: String) -> Fact {
    // What is no file has no end, or nothing to hash.
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Fact::is(false, &wanted.0, "not a regular file", at);
    }
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(n) => hash.update(&part[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Fact::unknown(&wanted.0, format!("it cannot be read to its end: {}", e.kind()), at),
        }
    }
    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let found = format!("sha256:{hex}");
    Fact::is(found == wanted.0, &wanted.0, found, at)
}
