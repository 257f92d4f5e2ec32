//! What can go wrong with a lab.

use crate::kernel::{Explain, SysError};
use nix::errno::Errno;
use std::path::PathBuf;
use thiserror::Error;

/// An error of the lab's.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// The image `base` could not be made.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// A program that the lab needs is not installed.
    #[error("{program} is not installed")]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// What it is for, and how to get it.
        try_this: String,
    },
    /// No kernel to boot.
    #[error("there is no kernel that the lab could boot")]
    NoKernel {
        /// Those that are here, and why not.
        refused: Vec<String>,
    },
    /// The kernel that was named is none.
    #[error("cannot boot {}: {problem}", image.display())]
    BadKernel {
        /// The file.
        image: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A kernel could not be fetched.
    #[error("cannot fetch a kernel: {problem}")]
    CannotFetch {
        /// What failed.
        problem: String,
        /// What the package client said.
        said: String,
    },
    /// The guest's memory could not hold what it starts from.
    #[error("{memory} MiB are too little memory for the lab")]
    LittleMemory {
        /// What was asked for, in MiB.
        memory: u32,
        /// What it takes at least, in MiB.
        least: u32,
    },
    /// QEMU ended, or the guest never answered.
    #[error("the lab did not come up: {problem}")]
    NotUp {
        /// What happened.
        problem: String,
        /// The last that QEMU or the guest's kernel said.
        said: Vec<String>,
    },
    /// The keeper could not be reached, or said no.
    #[error("{problem}")]
    Keeper {
        /// What it said.
        problem: String,
    },
    /// What the keeper could not do, in its own words.
    #[error("{problem}")]
    Told {
        /// What failed.
        problem: String,
        /// Why here.
        why: Option<String>,
        /// What to try.
        try_this: Option<String>,
    },
    /// No lab runs.
    #[error("no lab is running")]
    NotRunning,
    /// The lab went away during a session.
    #[error("the lab has ended")]
    Ended,
    /// A share that cannot be had.
    #[error("cannot share {}: {problem}", folder.display())]
    CannotShare {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        problem: String,
    },
    /// `lab cp` with paths that do not say which side is the lab.
    #[error("one of the two paths must be in the lab")]
    WhichSide,
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Error::Image(e) => e.why(),
            Error::Told { why, .. } => why.clone(),
            Error::NoKernel { refused } if refused.is_empty() => Some("no kernel of this machine may be read, and none was fetched".into()),
            Error::NoKernel { refused } => Some(refused.join("; ")),
            Error::BadKernel { .. } => Some("the lab boots a Linux boot image whose modules lie in /lib/modules/RELEASE, or beside it as a package has them".into()),
            Error::CannotFetch { said, .. } if !said.is_empty() => Some(said.clone()),
            Error::LittleMemory { least, .. } => Some(format!("the kernel and what it unpacks at its start take {least} MiB")),
            Error::NotUp { said, .. } if !said.is_empty() => Some(format!("the last it said: {}", said.join(" / "))),
            Error::Ended => Some("its machine was stopped, or ended by itself".into()),
            _ => None,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Error::Image(e) => e.hint(),
            Error::System(SysError { errno: Errno::EACCES | Errno::EROFS, .. }) => Some("DRYDOCK_HOME=/some/folder/of/yours drydock lab".into()),
            Error::System(SysError { errno: Errno::ENOSPC, .. }) => Some("make room; the lab takes about 100 MB beside what you do in it".into()),
            Error::Told { try_this, .. } => try_this.clone(),
            Error::NoProgram { try_this, .. } => Some(try_this.clone()),
            Error::NoKernel { .. } => Some("drydock lab fetch, where apt is; else drydock lab --kernel /path/of/vmlinuz".into()),
            Error::BadKernel { .. } => Some("drydock lab without --kernel, or drydock lab fetch".into()),
            Error::CannotFetch { .. } => Some("sudo apt-get update, then again; or drydock lab --kernel /path/of/vmlinuz".into()),
            Error::LittleMemory { least, .. } => Some(format!("drydock lab --memory {}", least.next_multiple_of(64))),
            Error::NotUp { .. } => Some("drydock lab console shows all that its kernel says; drydock lab fetch gets another kernel".into()),
            Error::NotRunning => Some("drydock lab begins one".into()),
            Error::Ended => Some("drydock lab begins it again; what was on its disk is kept".into()),
            Error::WhichSide => Some("drydock lab cp FILE lab:/root/ or drydock lab cp lab:/root/FILE .".into()),
            _ => None,
        }
    }
    fn exit_code(&self) -> u8 {
        // What docker and ssh do: 125 and up is never the command's own code.
        125
    }
}
