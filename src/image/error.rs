//! What can be wrong with an image, and what to try.

use crate::kernel::{Explain, SysError};
use nix::errno::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// An image that cannot be named, found, read, unpacked or written.
#[derive(Debug, Error)]
pub enum Error {
    /// What is there already would be replaced, and is no file.
    #[error("cannot write to {}: it is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The text is no image reference.
    #[error("{text:?} is not an image reference: {problem}")]
    BadReference {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store has no image of that name or ID.
    #[error("no such image: {reference}")]
    NotFound {
        /// What was asked for, with its tag.
        reference: String,
        /// The stored name that is spelled most like it.
        nearest: Option<String>,
    },
    /// A short ID fits several images.
    #[error("{id} is the beginning of {count} image IDs")]
    Ambiguous {
        /// The beginning of an ID, as it was typed.
        id: String,
        /// How many images it fits.
        count: usize,
    },
    /// Content is not what its digest promises.
    #[error("{what} is damaged: its bytes hash to {found}, not to {expected}")]
    WrongDigest {
        /// Which content, by name.
        what: String,
        /// The digest it is known by.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// A file of the store or of an archive cannot be understood.
    #[error("{what} cannot be read: {problem}")]
    Malformed {
        /// Which file.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A layer that would write outside of its folder, or means nothing.
    #[error("the layer is refused: its entry {entry:?} {problem}")]
    Refused {
        /// The entry's name, as the archive spells it.
        entry: String,
        /// What it would do.
        problem: String,
    },
    /// `base` cannot be made here.
    #[error("cannot make the image base: {problem}")]
    NoBase {
        /// What is missing.
        problem: String,
    },
    /// Something else still needs the image. The words are Docker's.
    #[error("conflict: unable to {what} - {because}")]
    Conflict {
        /// What was asked for, and whether it can be forced.
        what: String,
        /// Who needs it.
        because: String,
        /// What to do about it.
        hint: String,
    },
    /// A filter that cannot be understood.
    #[error("cannot filter images by {text:?}: {problem}")]
    BadFilter {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A change of the config that cannot be understood.
    #[error("cannot change the config by {text:?}: {problem}")]
    BadInstruction {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An archive would come from, or go to, a terminal.
    #[error("an archive is not for a terminal")]
    Terminal,
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Error {
    /// A file that cannot be understood.
    pub fn malformed(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Malformed { what: what.into(), problem: problem.to_string() }
    }

    /// The same error if the disk is full: what to free.
    fn full(&self) -> bool {
        matches!(self, Self::Sys(e) if matches!(e.errno, Errno::ENOSPC | Errno::EDQUOT))
    }
}

impl Explain for Error {
    /// Docker's code for a container that was never made, since `run` is where most of these show.
    fn exit_code(&self) -> u8 {
        125
    }

    fn why(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("skiff runs what is in its own store; it has not asked a registry".into()),
            Self::NotAFile(_) => Some("the archive is written aside and renamed, so that it is there whole or not at all".into()),
            Self::WrongDigest { .. } => Some("content is named by the sha256 of its bytes, so a changed byte shows".into()),
            Self::Refused { .. } => Some("a layer may only hold files below its own folder".into()),
            Self::Conflict { because, .. } if because.contains("container") => {
                Some("the container's root filesystem is made of the image's layers".into())
            }
            error if error.full() => Some("the filesystem that holds skiff's root has no space left".into()),
            Self::Sys(SysError { errno: Errno::EACCES | Errno::EPERM, .. }) => {
                Some("this user may not write there".into())
            }
            Self::Sys(SysError { errno: Errno::EROFS, .. }) => Some("that filesystem is mounted read-only".into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::BadReference { .. } => Some("[registry/][namespace/]repository[:tag], such as base or base:latest".into()),
            Self::NotFound { nearest: Some(name), .. } => Some(format!("did you mean {name}? `skiff images` lists what is here")),
            Self::NotFound { nearest: None, .. } => Some("`skiff images` lists what is here; base is always to be had".into()),
            Self::Ambiguous { .. } => Some("more letters of the ID; `skiff images` lists them".into()),
            Self::NotAFile(path) => Some(format!("leave -o out and write `> {}`", path.display())),
            Self::WrongDigest { .. } => Some("get it again from where it came; if what is here is damaged, `skiff rmi` it first".into()),
            Self::NoBase { .. } => Some("install busybox (Debian: busybox-static), or `skiff load -i` an image".into()),
            Self::Conflict { hint, .. } => Some(hint.clone()),
            Self::BadFilter { .. } => Some("--filter reference='web:*'".into()),
            Self::BadInstruction { .. } => Some("--change 'CMD [\"sh\", \"-c\", \"date\"]'".into()),
            Self::Terminal => Some("-o FILE to save, -i FILE to load, or a pipe".into()),
            error if error.full() => Some("free some space, or choose another place with --root".into()),
            Self::Sys(SysError { errno: Errno::EACCES | Errno::EPERM | Errno::EROFS, .. }) => {
                Some("another place with --root, or sudo".into())
            }
            _ => None,
        }
    }
}

/// Names the file in an I/O error; of a name that fills the screen, both ends.
pub(super) fn at(verb: &str, path: &std::path::Path) -> String {
    let shown: Vec<char> = path.display().to_string().chars().collect();
    let text = |part: &[char]| part.iter().collect::<String>();
    match shown.len() {
        0..=300 => format!("{verb} {}", text(&shown)),
        length => format!("{verb} {} … {} ({length} characters)", text(&shown[..100]), text(&shown[length - 100..])),
    }
}
