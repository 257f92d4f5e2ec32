//! A step: one change that turns a process into a container.
//!
//! Steps are data. The same values are printed by `--dry-run`, sent over a socket by `--step` and
//! `skiff step`, and carried out by the process that becomes the container: there is no second path.

use crate::kernel::{Explain, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a step is, for people: printed before it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// The word typed after `skiff step`.
    pub name: &'static str,
    /// What it is about to do, with its objects.
    pub what: String,
    /// Why a container needs it, and why at this place.
    pub why: &'static str,
    /// Where it is documented, such as `unshare(2)`.
    pub man: &'static [&'static str],
    /// The system calls it makes, in order.
    pub syscalls: &'static [&'static str],
}

/// One step that can be described and carried out.
pub trait Carry {
    /// What it is, in words.
    fn about(&self) -> About;
    /// Does it, to the calling process.
    fn carry_out(&self, inside: &mut super::inside::Inside) -> Result<(), StepError>;
}

/// A step that the kernel refused: what, errno, and the explanation. Travels over the hold socket.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("cannot {what}: {}", errno_name(*errno))]
pub struct StepError {
    /// What was tried, as it completes "cannot …".
    pub what: String,
    /// The errno's number.
    pub errno: i32,
    /// Why it fails here.
    pub why: Option<String>,
    /// What to try.
    pub hint: Option<String>,
}

/// `EPERM` for 1, and so on (errno(3)).
fn errno_name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

impl StepError {
    /// The errno as a value.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }
    /// Adds the cause.
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
    /// Adds the way on.
    pub fn try_this(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<SysError> for StepError {
    fn from(error: SysError) -> Self {
        Self { what: error.what, errno: error.errno as i32, why: None, hint: None }
    }
}

impl Explain for StepError {
    fn why(&self) -> Option<String> {
        self.why.clone()
    }
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
    fn exit_code(&self) -> u8 {
        match self.errno() {
            Errno::ENOENT if self.what.starts_with("run ") => 127,
            Errno::EACCES if self.what.starts_with("run ") => 126,
            _ => 125,
        }
    }
}
