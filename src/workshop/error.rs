//! What can go wrong in a class, on either side.

use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// An error of workshop mode.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// The course's files, or a chapter that it does not have.
    #[error(transparent)]
    Course(#[from] crate::course::Error),
    /// The plan's file.
    #[error("{}: {problem}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a plan already.
    #[error("{} is there already", .0.display())]
    PlanThere(PathBuf),
    /// There is no plan in the folder.
    #[error("there is no workshop in {}", .0.display())]
    NoPlan(PathBuf),
    /// The join code cannot be one.
    #[error("{text:?} is no join code: {problem}")]
    BadCode {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The hub cannot be reached.
    #[error("the hub at {at} does not answer: {reason}")]
    Away {
        /// Host and port.
        at: String,
        /// What was tried and failed.
        reason: String,
    },
    /// Another machine answers at that address.
    #[error("what answers at {0} is not the hub of this code")]
    Stranger(String),
    /// The hub refuses.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// Not in a class.
    #[error("you are in no class")]
    NoClass,
    /// In a class already.
    #[error("you are in a class already: {0}")]
    InClass(String),
    /// The class's database.
    #[error("the class's database {}: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        reason: String,
    },
    /// Another hub has this folder.
    #[error("a hub is running in {} already", .0.display())]
    Running(PathBuf),
    /// The learner's file of the class is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        reason: String,
    },
    /// A certificate could not be made or read.
    #[error("cannot make TLS ready: {0}")]
    Tls(String),
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Self::Course(e) => e.why(),
            Self::Stranger(_) => Some("the code holds the fingerprint of the hub's certificate, and this one has another: somebody is between, or the class has a new code".into()),
            Self::Away { .. } => Some("a laptop that sleeps, another network, or a firewall on it".into()),
            Self::PlanThere(_) => Some("a plan that was edited is not written over".into()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Course(e) => return e.hint(),
            Self::Plan { .. } => "drydock workshop new OTHER-FOLDER writes one that is right".into(),
            Self::PlanThere(path) => format!("edit {}, or drydock workshop new OTHER-FOLDER", path.display()),
            Self::NoPlan(_) => "drydock workshop new makes one".into(),
            Self::BadCode { .. } => "CODE@HOST, as the hub shows it: drydock join 7k2mqx-p9qr-tz4w-8h3n@192.168.1.5".into(),
            Self::Away { .. } => "go on without it: the course is the same, and what you do is sent later".into(),
            Self::Stranger(_) => "read the code again from the instructor's screen".into(),
            Self::NoClass => "drydock join CODE@HOST, as the instructor's screen shows it".into(),
            Self::InClass(_) => "drydock leave, then join the other".into(),
            Self::Running(_) => "drydock workshop board shows it; end the other, or serve another folder".into(),
            Self::Damaged { path, .. } => format!("move {} away and join again", path.display()),
            Self::System(_) | Self::Refused(_) | Self::Database { .. } | Self::Tls(_) => return None,
        })
    }
    fn exit_code(&self) -> u8 {
        2
    }
}
