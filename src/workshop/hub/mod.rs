//! The hub: one process on the instructor's machine that the whole class talks to.
//!
//! HTTP/1.1 over TLS on one port; beside it, plain HTTP for this machine itself, so that the instructor's own
//! browser asks no questions about a certificate. Learners post events ([`route`]); they are written down
//! ([`keep`]), folded into the class ([`class`]) and shown on the boards ([`stream`]). The folder of a
//! workshop holds all of it: the plan, the certificate, the database. The same folder served again is the same
//! class, with the same code.

pub mod board;
pub mod class;
pub mod keep;
pub mod learner;
pub mod limit;
pub mod listen;
pub mod route;
pub mod stream;
pub mod teacher;

use super::code::{self, JoinCode};
use super::event::now;
use super::program::Program;
use super::tls::Identity;
use super::Error;
use crate::kernel::OrSys;
use axum::body::Bytes;
use class::{Act, Class};
use keep::Keep;
use limit::Limits;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::broadcast;

/// The file of a workshop's folder that says where its hub is, and the instructor's key.
pub const RUNNING: &str = "hub.json";

/// A hub.
pub struct Hub {
    /// What the course says of the plan.
    pub program: Program,
    /// What lets learners in.
    pub code: JoinCode,
    /// What lets the instructor in.
    pub key: String,
    /// CODE@HOST, as learners type it: known once the hub listens.
    pub address: OnceLock<String>,
    /// Tries of codes and keys.
    pub limits: Limits,
    identity: Identity,
    keep: Keep,
    class: Mutex<Class>,
    boards: broadcast::Sender<Bytes>,
    /// One act after the other, or two would get the same number.
    acting: tokio::sync::Mutex<()>,
    notes: Mutex<Notes>,
    _lock: File,
}

/// What the instructor is to know beside the class.
#[derive(Debug, Default)]
struct Notes {
    /// Why nothing can be written down, if so.
    trouble: Option<String>,
    /// What was refused or mended, newest last.
    lines: std::collections::VecDeque<(i64, String)>,
    changed: bool,
}

impl Hub {
    /// Opens the workshop in a folder: the class that is kept there, or a new one.
    pub fn open(folder: &Path, program: Program) -> Result<Self, Error> {
        let path = folder.join("hub.lock");
        let lock = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        if lock.try_lock().is_err() {
            return Err(Error::Running(folder.to_owned()));
        }
        let identity = Identity::keep(folder)?;
        let (keep, kept, db) = Keep::open(&keep::file(folder))?;
        let word = keep::setting(&db, "word", || code::random_letters(6))?;
        let key = keep::setting(&db, "key", || code::random_letters(26))?;
        let class = Class::of(kept, &program);
        let code = JoinCode { word, fingerprint: code::fingerprint(&identity.certificate) };
        let boards = broadcast::channel(64).0;
        let (acting, notes) = (tokio::sync::Mutex::new(()), Mutex::default());
        Ok(Self { program, code, key, address: OnceLock::new(), limits: Limits::default(), identity, keep, class: Mutex::new(class), boards, acting, notes, _lock: lock })
    }

    /// The class, with nobody else at it. Never held while something is awaited.
    pub fn class(&self) -> MutexGuard<'_, Class> {
        self.class.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the instructor of something that was refused or mended.
    pub fn note(&self, line: String) {
        let mut notes = self.notes();
        // What repeats itself is said once, with its last time.
        notes.lines.retain(|(_, kept)| *kept != line);
        notes.lines.push_back((now(), line));
        while notes.lines.len() > 8 {
            notes.lines.pop_front();
        }
        notes.changed = true;
    }

    /// Keeps whether writing succeeds, for the board.
    fn wrote(&self, result: Result<(), String>) -> Result<(), String> {
        let mut notes = self.notes();
        let trouble = result.as_ref().err().cloned();
        notes.changed |= notes.trouble != trouble;
        notes.trouble = trouble;
        result
    }

    /// Writes an act of the instructor's down, and folds it in.
    pub async fn act(&self, act: Act) -> Result<(), String> {
        let _one = self.acting.lock().await;
        let (id, at) = (self.class().acts + 1, now());
        let text = serde_json::to_string(&act).unwrap_or_default();
        self.wrote(self.keep.act(id, at, text).await)?;
        self.class().act(id, at, act, &self.program);
        self.notes().changed = true;
        Ok(())
    }

    /// Serves until SIGINT or SIGTERM; `told` hears the address once it can be asked.
    pub fn serve(self, listener: std::net::TcpListener, told: impl FnOnce(&Hub, SocketAddr)) -> Result<(), Error> {
        listen::serve(self, listener, told)
    }
}
