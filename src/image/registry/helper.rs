//! Credential helpers: programs that keep passwords in a keyring (docker-credential-helpers protocol).
//!
//! `docker-credential-NAME get|store|erase`, a registry's name or a JSON document on standard input,
//! the answer on standard output; an error is on standard output too, with exit code 1.

use super::Error;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

/// What a helper keeps, as it is written on the pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Kept {
    /// The registry.
    #[serde(rename = "ServerURL", default)]
    pub server: String,
    /// The user; `<token>` where the secret is an identity token.
    pub username: String,
    /// Password or token.
    pub secret: String,
}

/// The helper's program. Its name comes from a file: it must be a name, and not a path.
fn program(name: &str) -> Result<String, Error> {
    let ok = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let program = format!("docker-credential-{name}");
    if ok { Ok(program) } else { Err(Error::Helper { program, problem: "that is not the name of a program".into() }) }
}

/// What the helper keeps for a registry.
pub fn get(name: &str, server: &str) -> Result<Option<Kept>, Error> {
    let program = program(name)?;
    match talk(&program, "get", server.as_bytes())? {
        Ok(answer) => {
            let kept = serde_json::from_slice(&answer).map_err(|e| Error::Helper { program, problem: format!("its answer is not understood: {e}") })?;
            Ok(Some(kept))
        }
        Err(said) if said.contains("credentials not found") => Ok(None),
        Err(problem) => Err(Error::Helper { program, problem }),
    }
}

/// Gives the helper something to keep.
pub fn store(name: &str, kept: &Kept) -> Result<(), Error> {
    let program = program(name)?;
    let text = serde_json::to_vec(kept).map_err(|e| Error::Helper { program: program.clone(), problem: e.to_string() })?;
    talk(&program, "store", &text)?.map(drop).map_err(|problem| Error::Helper { program, problem })
}

/// Has the helper forget a registry.
pub fn erase(name: &str, server: &str) -> Result<(), Error> {
    let program = program(name)?;
    match talk(&program, "erase", server.as_bytes())? {
        Err(problem) if !problem.contains("credentials not found") => Err(Error::Helper { program, problem }),
        _ => Ok(()),
    }
}

/// One question: its answer, or what it says went wrong.
fn talk(program: &str, verb: &str, input: &[u8]) -> Result<Result<Vec<u8>, String>, Error> {
    let failed = |e: std::io::Error| Error::Helper { program: program.to_owned(), problem: e.to_string() };
    // A file in memory and not a pipe: a helper that reads nothing of it must not end this process by SIGPIPE.
    let mut file = std::fs::File::from(memfd_create(c"credentials", MFdFlags::MFD_CLOEXEC).map_err(|e| failed(e.into()))?);
    file.write_all(input).and_then(|()| file.rewind()).map_err(failed)?;
    let mut command = Command::new(program);
    let output = command.arg(verb).stdin(file).stderr(Stdio::inherit()).output().map_err(failed)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Err(if said.is_empty() { output.status.to_string() } else { said }))
}
