//! Random bytes of the kernel's (random(4)): for ids, seeds and secrets.
//!
//! From the device and not getrandom(2), which some sandboxes' filters do not know. See it live:
//! `head -c 8 /dev/urandom | od -An -tx1`. Contract: never blocks once the machine is up.

use super::{OrSys, SysError};
use std::fs::File;
use std::io::Read;

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) -> Result<(), SysError> {
    File::open("/dev/urandom").and_then(|mut f| f.read_exact(bytes)).or_sys("read /dev/urandom")
}

/// So many random bytes, two hexadecimal digits each.
pub fn hexadecimal<const BYTES: usize>() -> Result<String, SysError> {
    let mut bytes = [0u8; BYTES];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
