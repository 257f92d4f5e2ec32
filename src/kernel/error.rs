//! Errors that tell a person what to do.
//!
//! A system call fails with an errno and nothing else. [`SysError`] keeps the object beside it, and
//! [`Explain`] lets each module say why this happens here and what to try. Only `cli` prints them.

use nix::errno::Errno;
use thiserror::Error;

/// A failed system call and the object it was about: `cannot mount proc on /proc: EPERM`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot {what}: {errno:?}")]
pub struct SysError {
    /// What was tried, as it completes "cannot …", with its object.
    pub what: String,
    /// What the kernel answered (errno(3)).
    pub errno: Errno,
}

impl SysError {
    /// A failure of `what` with `errno`.
    pub fn new(what: impl Into<String>, errno: Errno) -> Self {
        Self { what: what.into(), errno }
    }
}

/// What an error adds to its one line: the cause on this machine, the way on, the exit code.
pub trait Explain: std::error::Error {
    /// Why it fails here, where that is known.
    fn why(&self) -> Option<String> {
        None
    }
    /// What to try.
    fn hint(&self) -> Option<String> {
        None
    }
    /// The exit code of a command that ends with this error.
    fn exit_code(&self) -> u8 {
        1
    }
}

impl Explain for SysError {}

/// Gives the result of a system call its object.
pub trait OrSys<T> {
    /// Turns the errno into a [`SysError`]; `what` completes "cannot …".
    fn or_sys(self, what: impl Into<String>) -> Result<T, SysError>;
    /// As [`OrSys::or_sys`], naming the object only when it is needed.
    fn or_sys_with<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, SysError>;
}

impl<T> OrSys<T> for nix::Result<T> {
    fn or_sys(self, what: impl Into<String>) -> Result<T, SysError> {
        self.map_err(|errno| SysError::new(what, errno))
    }
    fn or_sys_with<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, SysError> {
        self.map_err(|errno| SysError::new(what(), errno))
    }
}

impl<T> OrSys<T> for std::io::Result<T> {
    fn or_sys(self, what: impl Into<String>) -> Result<T, SysError> {
        self.map_err(|e| SysError::new(what, errno_of(&e)))
    }
    fn or_sys_with<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, SysError> {
        self.map_err(|e| SysError::new(what(), errno_of(&e)))
    }
}

/// The errno inside an I/O error; EIO where the standard library made the error itself.
pub fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
