//! `skiff` is two programs: the engine, and all of it.
//!
//! What a run needs is small, and stays in memory as long as the container lives. What deals with
//! images, builds and registries (compression, TLS, HTTP, templates) is three times as much code, and
//! is needed for a moment. So the file `skiff` holds the engine alone. `drydock`, which lies beside it,
//! holds everything: started under the name `skiff` it is the whole of it, and the engine hands a
//! command over to it by exec(2): same process, same arguments. Docker keeps build and compose in
//! programs beside `docker` too.
//! See it live: `strace -f -e trace=execve skiff images`.
//!
//! Contract: nothing here may name what only the whole program has, or the linker takes it into the
//! small one too; `benches/side_by_side.rs` measures what that costs.

use super::{Command, Outcome, boxed};
use crate::engine::request::Request;
use crate::engine::run::Prepared;
use crate::image::registry::Policy;
use crate::image::registry::manifest::Platform;
use crate::image::{Image, Store};
use crate::kernel::{Explain, SysError, sealed};
use nix::errno::Errno;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use thiserror::Error;

/// What only the whole program can do.
pub(super) struct Whole {
    /// Carries out a command.
    pub(super) run: fn(Command, &Path) -> Outcome,
    /// See [`stepwise`].
    pub(super) stepwise: fn(Prepared, &Request) -> Outcome,
    /// Finds an image, makes it or pulls it.
    pub(super) image: fn(&Path, &str, Policy, Option<&Platform>) -> Result<Image, Box<dyn Explain>>,
}

static WHOLE: OnceLock<Whole> = OnceLock::new();

/// This program is the whole of it.
pub(super) fn is(whole: Whole) {
    let _ = WHOLE.set(whole);
}

/// Carries out a command that is more than the engine.
pub(super) fn run(command: Command, root: &Path) -> Outcome {
    match WHOLE.get() {
        Some(whole) => (whole.run)(command, root),
        None => hand_over(),
    }
}

/// To be asked before anything is done that only the whole program can see through.
pub(super) fn needed() -> Result<(), Box<dyn Explain>> {
    match WHOLE.get() {
        Some(_) => Ok(()),
        None => hand_over().map(drop),
    }
}

/// Starts a container and stops before each step.
pub(super) fn stepwise(prepared: Prepared, request: &Request) -> Outcome {
    match WHOLE.get() {
        Some(whole) => (whole.stepwise)(prepared, request),
        None => hand_over(),
    }
}

/// The image that a container is made of: from the store, made here, or pulled.
///
/// To be called before anything was done that starting again would forget, or do twice.
pub(super) fn image(root: &Path, name: &str, policy: Policy, platform: Option<&Platform>) -> Result<Image, Box<dyn Explain>> {
    match WHOLE.get() {
        Some(whole) => (whole.image)(root, name, policy, platform),
        None => match Store::open(root).ready(name).filter(|_| policy != Policy::Always && platform.is_none()) {
            Some(image) => Ok(image),
            None => hand_over().and(Err(boxed(Apart { at: PathBuf::new(), errno: Errno::ENOEXEC }))),
        },
    }
}

/// Starts the whole program in place of this one. Comes back with an error only.
fn hand_over() -> Outcome {
    let at = beside().map_err(boxed)?;
    let error = std::process::Command::new(&at).arg0("skiff").args(std::env::args_os().skip(1)).exec();
    let errno = error.raw_os_error().map_or(Errno::ENOEXEC, Errno::from_raw);
    Err(boxed(Apart { at, errno }))
}

/// Where the whole program lies: in the folder that this one is in.
fn beside() -> Result<PathBuf, SysError> {
    let own = sealed::program()?;
    let own = std::fs::canonicalize(&own).unwrap_or(own);
    Ok(own.with_file_name("drydock"))
}

/// The two programs were taken apart.
#[derive(Debug, Error)]
#[error("cannot run {}: {errno:?}", at.display())]
struct Apart {
    at: PathBuf,
    errno: Errno,
}

impl Explain for Apart {
    fn why(&self) -> Option<String> {
        Some("skiff by itself is the engine; images, builds and registries are drydock's part, which lies beside it".into())
    }
    fn hint(&self) -> Option<String> {
        Some("put both programs into one folder, as they were installed".into())
    }
    fn exit_code(&self) -> u8 {
        125
    }
}
