//! What can go wrong with a container, and what to do about it.

use super::step::StepError;
use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// An error of the engine.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed outside the steps.
    #[error(transparent)]
    System(#[from] SysError),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The image could not be had.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// A network could not be joined.
    #[error(transparent)]
    Network(#[from] super::network::Error),
    /// A volume could not be had.
    #[error(transparent)]
    Volume(#[from] super::volume::Error),
    /// The cgroup could not be had.
    #[error(transparent)]
    Cgroup(#[from] crate::kernel::cgroup::Error),
    /// A capability that there is not.
    #[error(transparent)]
    Capability(#[from] super::defaults::UnknownCapability),
    /// A resource limit that cannot be read.
    #[error(transparent)]
    Rlimit(#[from] crate::kernel::rlimit::BadLimit),
    /// A system call filter that cannot be used.
    #[error(transparent)]
    Seccomp(#[from] super::seccomp::Error),
    /// No container has this name or id.
    #[error("no such container: {name}")]
    NoContainer {
        /// What was asked for.
        name: String,
        /// A name much like it.
        near: Option<String>,
    },
    /// The beginning of an id fits several.
    #[error("the id {prefix} fits {count} containers")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many it fits.
        count: usize,
    },
    /// It stands still.
    #[error("container {name} is paused")]
    Paused {
        /// Its name.
        name: String,
    },
    /// It does not stand still.
    #[error("container {name} is not paused")]
    NotPaused {
        /// Its name.
        name: String,
    },
    /// It has no cgroup of its own.
    #[error("container {name} has no cgroup of its own")]
    NoCgroup {
        /// Its name.
        name: String,
    },
    /// The name is in use.
    #[error("the container name {name:?} is taken by container {}", id.get(..12).unwrap_or(id))]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// It has this name already.
    #[error("renaming a container with the same name as its current name: {name}")]
    SameName {
        /// The name.
        name: String,
    },
    /// Nothing can be copied like that.
    #[error("{what}")]
    Copy {
        /// Docker's words for it.
        what: String,
        /// What to try.
        hint: &'static str,
    },
    /// The name cannot be one.
    #[error("invalid container name {name:?}")]
    BadName {
        /// The name.
        name: String,
    },
    /// A file of the state cannot be read.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The container is not running.
    #[error("container {name} is not running")]
    NotRunning {
        /// Its name.
        name: String,
    },
    /// The container is running.
    #[error("container {name} is running")]
    Running {
        /// Its name.
        name: String,
    },
    /// No process is held.
    #[error("{}", name.as_ref().map_or("no process is held".to_owned(), |n| format!("{n} is not held between steps")))]
    NotHeld {
        /// The name asked for, if any.
        name: Option<String>,
    },
    /// It is not clear which one is meant.
    #[error("several processes are held: {}", names.join(", "))]
    SeveralHeld {
        /// Their names.
        names: Vec<String>,
    },
    /// A terminal was asked for and there is none.
    #[error("standard input is not a terminal")]
    NoTerminal,
    /// A user or group that the container does not have.
    #[error("no {kind} {name:?} in the container")]
    NoUser {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// An option's value cannot be.
    #[error("invalid value {value:?} for {option}: {reason}")]
    Option {
        /// The flag.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// An example that works.
        example: &'static str,
    },
}

/// True where a folder of skiff's own could not be made for want of permission.
fn no_room(error: &SysError) -> bool {
    use nix::errno::Errno;
    error.what.starts_with("make /") && matches!(error.errno, Errno::EACCES | Errno::EPERM | Errno::EROFS)
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Error::Step(e) => e.why(),
            Error::Image(e) => e.why(),
            Error::Network(e) => e.why(),
            Error::Volume(e) => e.why(),
            Error::Cgroup(e) => e.why(),
            Error::Capability(e) => e.why(),
            Error::Rlimit(e) => e.why(),
            Error::Seccomp(e) => e.why(),
            Error::System(e) if e.errno == nix::errno::Errno::ENOSPC => Some("the disk is full".into()),
            Error::System(e) if no_room(e) => Some("this user may not write there".into()),
            Error::NoTerminal => Some("-t with -i connects the container's terminal to yours, and input comes from a pipe or a file".into()),
            Error::BadName { .. } => Some("a name has two characters or more: a letter or digit, then letters, digits, `_`, `.`, `-`".into()),
            Error::NameTaken { .. } => Some("a name belongs to one container until it is removed, running or not".into()),
            Error::Damaged { .. } => Some("it was cut short or edited; skiff itself writes aside and renames".into()),
            Error::NoUser { kind, .. } => {
                let file = if *kind == "user" { "/etc/passwd" } else { "/etc/group" };
                Some(format!("names are looked up in the image's own {file}, not the host's"))
            }
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Step(e) => e.hint(),
            Error::Image(e) => e.hint(),
            Error::Network(e) => e.hint(),
            Error::Volume(e) => e.hint(),
            Error::Cgroup(e) => e.hint(),
            Error::Capability(e) => e.hint(),
            Error::Rlimit(e) => e.hint(),
            Error::Seccomp(e) => e.hint(),
            Error::System(e) if no_room(e) => Some("another place: skiff --root DIR …, or sudo".into()),
            Error::System(e) if e.errno == nix::errno::Errno::ENOSPC => Some("skiff system prune -f, or another place: skiff --root DIR …".into()),
            Error::NoContainer { near: Some(near), .. } => Some(format!("did you mean {near}? skiff ps -a lists all")),
            Error::NoContainer { .. } => Some("skiff ps -a lists all".into()),
            Error::Ambiguous { .. } => Some("more digits of the id, or the name".into()),
            Error::NameTaken { name, .. } => Some(format!("skiff rm {name}, or another --name")),
            Error::BadName { .. } => Some("--name web-1".into()),
            Error::NotHeld { .. } => Some("skiff step new NAME".into()),
            Error::SeveralHeld { names } => Some(format!("say which: skiff step --at {} …", names.first().map_or("NAME", String::as_str))),
            Error::Copy { hint, .. } => Some((*hint).into()),
            Error::NoTerminal => Some("leave out -t: … | skiff run -i IMAGE COMMAND".into()),
            Error::Damaged { path, .. } => path.parent().map(|p| format!("look at it, then: skiff rm -f {}", p.file_name().unwrap_or_default().to_string_lossy())),
            Error::NotRunning { name } => Some(format!("see how it ended: skiff ps -a, skiff inspect {name}")),
            Error::Running { name } => Some(format!("skiff stop {name}, or skiff rm -f {name}")),
            Error::NoUser { .. } => Some("a number works always: --user 1000:1000".into()),
            Error::Option { example, .. } => Some((*example).into()),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Step(e) => e.exit_code(),
            Error::Copy { .. } | Error::SameName { .. } | Error::NoContainer { .. } | Error::Ambiguous { .. } | Error::NotRunning { .. } | Error::Running { .. } | Error::Paused { .. } | Error::NotPaused { .. } | Error::NoTerminal | Error::NotHeld { .. } | Error::SeveralHeld { .. } => 1,
            _ => 125,
        }
    }
}
