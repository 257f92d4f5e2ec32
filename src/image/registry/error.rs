//! What can go wrong between here and a registry, and what to try. The first lines are Docker's own words.

use crate::image;
use crate::kernel::{Explain, SysError};
use thiserror::Error;

/// A pull, push, login or search that did not end well.
#[derive(Debug, Error)]
pub enum Error {
    /// No connection, or one that broke.
    #[error("cannot reach the registry {host}: {problem}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the connection said.
        problem: String,
    },
    /// The host speaks no TLS, or has a certificate that nobody here knows.
    #[error("cannot trust the registry {host}: {problem}")]
    Untrusted {
        /// Host and port.
        host: String,
        /// What TLS said.
        problem: String,
    },
    /// The registry has no such manifest.
    #[error("manifest for {reference} not found: manifest unknown")]
    NoManifest {
        /// As it was asked for.
        reference: String,
        /// Which registry said so.
        host: String,
        /// The registry's own words.
        said: String,
    },
    /// The registry has no such repository, or not for this user.
    #[error("{action} access denied for {repository}, repository does not exist or may require 'skiff login': {said}")]
    Denied {
        /// `pull` or `push`.
        action: &'static str,
        /// The repository, with its registry.
        repository: String,
        /// The registry's own words.
        said: String,
        /// Host and port.
        host: String,
    },
    /// Name and password are wrong.
    #[error("login to {host} failed: {said}")]
    LoginFailed {
        /// Host and port.
        host: String,
        /// The registry's own words.
        said: String,
    },
    /// Too many requests, also after waiting.
    #[error("the registry {host} has had too many requests: {said}")]
    TooMany {
        /// Host and port.
        host: String,
        /// The registry's own words.
        said: String,
    },
    /// An answer that means nothing here.
    #[error("cannot {what}: the registry {host} answers {status}: {said}")]
    Answer {
        /// What was asked, as it completes "cannot …".
        what: String,
        /// Host and port.
        host: String,
        /// The status code.
        status: u16,
        /// The registry's own words.
        said: String,
    },
    /// What came is not what was asked for.
    #[error("{what} is refused: {problem}")]
    Content {
        /// Which content.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A blob stopped coming, again and again.
    #[error("the layer {layer} broke off after {got} of {size} bytes: {problem}")]
    Cut {
        /// The beginning of its digest.
        layer: String,
        /// Bytes that came.
        got: u64,
        /// Bytes that it has.
        size: u64,
        /// The last thing that happened.
        problem: String,
    },
    /// The index has no image for this machine.
    #[error("no matching manifest for {wanted} in the manifest list entries of {reference}")]
    NoPlatform {
        /// As it was asked for.
        reference: String,
        /// The platform that was looked for.
        wanted: String,
        /// The platforms that are there.
        there: Vec<String>,
    },
    /// A credential helper did not do its work.
    #[error("the credential helper {program} failed: {problem}")]
    Helper {
        /// Its program.
        program: String,
        /// What it said.
        problem: String,
    },
    /// A configuration file that cannot be understood.
    #[error("{path} cannot be read: {problem}")]
    Config {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An option or a name that cannot be understood.
    #[error("{what} cannot be {value:?}: {problem}")]
    Usage {
        /// Which option.
        what: &'static str,
        /// As it was typed.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A search word is needed that the registry can do something with.
    #[error("the registry {host} serves no search")]
    NoSearch {
        /// Host and port.
        host: String,
    },
    /// The image is neither here nor to be had.
    #[error("{pull}")]
    NotHere {
        /// What the registry said.
        pull: Box<Error>,
        /// The stored name that is spelled most like it.
        nearest: Option<String>,
    },
    /// An image for the mirror cannot be made on this machine.
    #[error("cannot make the image {name}: {problem}")]
    CannotMake {
        /// Which image.
        name: String,
        /// What is missing.
        problem: String,
    },
    /// Nothing of that name is here to be pushed.
    #[error("no {what} of that name is here to be pushed: {name}")]
    NotLocal {
        /// `image` or `repository`.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// Two servers over one folder.
    #[error("another registry serves {folder}")]
    AlreadyServed {
        /// The folder.
        folder: String,
    },
    /// The store, or an image in it.
    #[error(transparent)]
    Image(#[from] image::Error),
}

impl From<SysError> for Error {
    fn from(error: SysError) -> Self {
        Self::Image(error.into())
    }
}

impl Error {
    /// Content that is not what was asked for.
    pub fn content(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Content { what: what.into(), problem: problem.to_string() }
    }

    /// True where the machine, and not the image, is why: no network, no registry.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Untrusted { .. })
    }
}

impl Explain for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Image(error) => error.exit_code(),
            // Docker's code for a container that was never made.
            Self::NotHere { .. } => 125,
            _ => 1,
        }
    }

    fn why(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.why(),
            Self::NotHere { pull, .. } => pull.why(),
            Self::Unreachable { problem, .. } if problem.contains("refused") => Some("nothing listens on that port".into()),
            Self::Unreachable { problem, .. } if problem.contains("not found") => Some("no name server here knows that host".into()),
            Self::Untrusted { .. } => Some("a registry that is not on this machine must speak TLS, with a certificate that this machine trusts".into()),
            Self::NoManifest { host, said, .. } if said.trim_start_matches("manifest unknown: ").len() > 20 => {
                Some(format!("{host} says: {}", said.trim_start_matches("manifest unknown: ")))
            }
            Self::NoManifest { host, .. } => Some(format!("{host} has no such tag or digest")),
            Self::Denied { host, .. } => Some(format!("{host} does not say whether the repository is missing or private")),
            Self::NoPlatform { there, .. } => Some(format!("it has {}", there.join(", "))),
            Self::Content { .. } => Some("content is named by the sha256 of its bytes and has the size that its manifest says; this has not".into()),
            Self::TooMany { .. } => Some("registries count requests; Docker Hub counts those without a login by address".into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::NotHere { nearest: Some(name), .. } => Some(format!("did you mean {name}? `skiff images` lists what is here")),
            Self::NotHere { pull, nearest: None } if pull.is_unreachable() => {
                Some("`skiff images` lists what is here; base and hello-world need no network; `skiff registry serve --mirror` makes others".into())
            }
            Self::NotHere { pull, .. } => pull.hint(),
            Self::Unreachable { .. } => Some("the host's name and port; without a network, `skiff registry serve --mirror`".into()),
            Self::Untrusted { host, .. } => Some(format!("its authority's certificate in /etc/docker/certs.d/{host}/ca.crt, or --insecure-registry {host}")),
            Self::NoManifest { .. } => Some("another tag; `skiff search` finds repositories".into()),
            Self::Denied { host, .. } => Some(format!("skiff login {host}, or the name's spelling")),
            Self::LoginFailed { .. } => Some("the user's name and the password, or a token in its place".into()),
            Self::TooMany { host, .. } => Some(format!("later, or after skiff login {host}")),
            Self::NoPlatform { there, .. } => there.first().map(|p| format!("--platform {p}")),
            Self::Content { .. } | Self::Cut { .. } => Some("once more; if it stays so, whoever runs the registry".into()),
            Self::Helper { .. } => Some("credsStore and credHelpers in Docker's config.json name it".into()),
            Self::NotLocal { name, .. } => Some(format!("`skiff tag IMAGE {name}` gives an image that name; `skiff images` lists what is here")),
            Self::AlreadyServed { .. } => Some("that one, or another --root".into()),
            Self::NoSearch { .. } => Some("Docker Hub and `skiff registry serve` do".into()),
            _ => None,
        }
    }
}
