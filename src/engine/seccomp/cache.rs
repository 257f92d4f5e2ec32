//! Compiled filters on disk, by what they were compiled from.
//!
//! Mechanism: a file named by the SHA-256 of the decided profile and of this compiler's version;
//! eight bytes for each instruction, as the kernel takes them, behind the flags.
//! See it live: `ls DIR` where DIR is the caller's.
//! Contract: a file that is damaged or cannot be written costs a compilation, never an error.
//! Left out: expiry; there are as many files as profiles in use.

use super::{Error, Filter, compile};
use crate::kernel::seccomp::Insn;
use oci_spec::runtime::LinuxSeccomp;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Goes up whenever the compiler makes something else of the same profile.
const COMPILER: &[u8] = b"1";

/// The filter of a decided profile, from `directory` or compiled and left there.
pub fn cached(directory: &Path, profile: &LinuxSeccomp) -> Result<Filter, Error> {
    let text = serde_json::to_vec(profile).map_err(|e| Error::Profile(e.to_string()))?;
    let digest = Sha256::new().chain_update(COMPILER).chain_update(std::env::consts::ARCH).chain_update(&text).finalize();
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = directory.join(name);
    if let Some(filter) = std::fs::read(&path).ok().as_deref().and_then(from_bytes) {
        return Ok(filter);
    }
    let filter = compile(profile)?;
    // Under a name of its own first, so that nobody ever reads half a filter.
    let partial = path.with_extension(std::process::id().to_string());
    let _ = std::fs::create_dir_all(directory);
    let written = std::fs::write(&partial, to_bytes(&filter)).and_then(|()| std::fs::rename(&partial, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    Ok(filter)
}

/// Flags, the number of instructions, then the instructions; all little-endian.
fn to_bytes(filter: &Filter) -> Vec<u8> {
    let mut bytes = filter.flags.to_le_bytes().to_vec();
    bytes.extend((filter.code.len() as u32).to_le_bytes());
    for insn in &filter.code {
        bytes.extend(insn.code.to_le_bytes());
        bytes.extend([insn.jump_true, insn.jump_false]);
        bytes.extend(insn.value.to_le_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<Filter> {
    let word = |part: &[u8]| part.try_into().ok().map(u32::from_le_bytes);
    let (flags, count) = (word(bytes.get(..4)?)?, word(bytes.get(4..8)?)?);
    let rest = bytes.get(8..)?;
    if rest.len() != count as usize * 8 || rest.is_empty() {
        return None;
    }
    let insn = |part: &[u8]| {
        Some(Insn { code: u16::from_le_bytes([part[0], part[1]]), jump_true: part[2], jump_false: part[3], value: word(&part[4..])? })
    };
    Some(Filter { code: rest.chunks_exact(8).map(insn).collect::<Option<_>>()?, flags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::seccomp::default_for;

    #[test]
    fn the_second_time_it_is_read_and_damage_is_compiled_over() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let profile = default_for(0, "6.1").expect("our own");
        let compiled = compile(&profile).expect("our own");
        assert_eq!(cached(directory.path(), &profile), Ok(compiled.clone()));
        let files: Vec<_> = std::fs::read_dir(directory.path()).expect("readable").flatten().map(|e| e.path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");

        // What is in the file is what is used: one verdict, allow.
        let other = Filter { code: vec![Insn { code: 6, jump_true: 0, jump_false: 0, value: 0x7fff_0000 }], flags: 2 };
        std::fs::write(&files[0], to_bytes(&other)).expect("writable");
        assert_eq!(cached(directory.path(), &profile), Ok(other));

        let bytes = to_bytes(&compiled);
        for damaged in [&bytes[..bytes.len() - 3], &bytes[..3], &[]] {
            std::fs::write(&files[0], damaged).expect("writable");
            assert_eq!(cached(directory.path(), &profile), Ok(compiled.clone()));
            assert_eq!(std::fs::read(&files[0]).expect("readable"), bytes);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_error() {
        let profile = default_for(0, "6.1").expect("our own");
        assert!(cached(Path::new("/proc/nowhere"), &profile).is_ok());
    }
}
