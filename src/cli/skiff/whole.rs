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

use super::format::{BadFormat, Filler};
use super::{Command, Outcome, boxed};
use crate::engine::request::Request;
use crate::engine::run::Prepared;
use crate::image::registry::Policy;
use crate::image::registry::manifest::Platform;
use crate::image::{Image, Store};
use crate::kernel::{Explain, sealed};
use nix::errno::Errno;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use thiserror::Error;

/// What only the whole program can do.
pub(super) struct Whole {
    /// Carries out a command.
    pub(super) run: fn(Command, &Path) -> Outcome,
    /// Reads a template of more than fields.
    pub(super) template: fn(&str) -> Result<Filler, BadFormat>,
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
        None => Err(boxed(hand_over())),
    }
}

/// To be asked before anything is done that only the whole program can see through.
pub(super) fn needed() -> Result<(), Box<dyn Explain>> {
    match WHOLE.get() {
        Some(_) => Ok(()),
        None => Err(boxed(hand_over())),
    }
}

/// Starts a container and stops before each step.
pub(super) fn stepwise(prepared: Prepared, request: &Request) -> Outcome {
    match WHOLE.get() {
        Some(whole) => (whole.stepwise)(prepared, request),
        None => Err(boxed(hand_over())),
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
            None => Err(boxed(hand_over())),
        },
    }
}

/// A template that only the whole program can read. To be called before anything is printed.
pub(super) fn template(text: &str) -> Result<Filler, BadFormat> {
    match WHOLE.get() {
        Some(whole) => (whole.template)(text),
        None => Err(hand_over().into()),
    }
}

/// Starts the whole program in place of this one, and comes back only where that is not possible.
fn hand_over() -> Apart {
    let own = sealed::program().unwrap_or_default();
    let at = std::fs::canonicalize(&own).unwrap_or(own).with_file_name("drydock");
    let error = std::process::Command::new(&at).arg0("skiff").args(std::env::args_os().skip(1)).exec();
    Apart { at, errno: error.raw_os_error().map_or(Errno::ENOEXEC, Errno::from_raw) }
}

/// The two programs were taken apart.
#[derive(Debug, Error)]
#[error("cannot run {}: {errno:?}", at.display())]
pub struct Apart {
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
