//! `skiff daemon`: the Docker Engine API over the same engine (Docker's API reference, 1.24 to 1.50).
//!
//! The chain of Docker is client, REST API over a unix socket, daemon, and below it programs that make
//! one container each (containerd's shim, runc). It is the same here: this process speaks HTTP and reads
//! what lies on disk; whatever forks, or takes its time, is a `skiff` of its own that it starts, as
//! Docker's chain starts runc. So what the command line starts the API sees and the other way round, a
//! daemon that is killed takes nothing with it, and one that waits is small. Kept here are open streams
//! alone: who is attached to a container that is about to start, and `exec`s that were made.
//!
//! In reading order: [`listen`] (the socket), [`route`] (from a path to its answer), [`http`] and
//! [`fault`] (what is asked and answered), [`child`] and [`order`] (the programs that are started), then
//! a file a subject. See it live: `curl --unix-socket skiff.sock http://skiff/v1.41/containers/json`,
//! and `skiff daemon --trace`.
//!
//! Contract: threads here never fork; only [`order::work`] does, in a process with one thread.
//! What Docker's has more: Swarm, plugins, BuildKit's sessions, checkpoints, Windows.

mod attach;
mod build;
mod changes;
mod child;
mod configure;
mod containers;
mod exec;
mod fault;
mod files;
mod http;
mod images;
mod journal;
mod life;
mod listen;
mod logs;
mod networks;
pub mod order;
mod registries;
mod route;
pub mod say;
mod stats;
mod stream;
mod system;
mod volumes;
mod wait;

pub use listen::{Error, Place};

use crate::kernel::OrSys;
use std::path::PathBuf;
use std::sync::Arc;

/// What `skiff daemon` was asked for.
pub struct Settings {
    /// The skiff root.
    pub root: PathBuf,
    /// Where to listen.
    pub places: Vec<Place>,
    /// Options for registries, passed on to each program that is started.
    pub options: Vec<String>,
    /// Print each request, and what it caused.
    pub trace: bool,
    /// Where lines go.
    pub told: Box<dyn Fn(&str) + Send + Sync>,
}

/// What requests share.
struct Daemon {
    settings: Settings,
    journal: journal::Journal,
    attached: attach::Waiting,
    execs: exec::Execs,
}

/// Most threads that work at once for requests; what waits longer waits for one of them.
const THREADS: usize = 256;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Where it cannot listen.
pub fn serve(settings: Settings) -> Result<(), Error> {
    std::fs::create_dir_all(&settings.root).or_sys_with(|| format!("make {}", settings.root.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(THREADS).thread_stack_size(512 << 10).build();
    let runtime = runtime.or_sys("start the daemon's runtime")?;
    let journal = journal::Journal::open(&settings.root)?;
    let daemon = Arc::new(Daemon { journal, settings, attached: attach::Waiting::default(), execs: exec::Execs::default() });
    let done = runtime.block_on(listen::listen(daemon));
    // Streams that go on end with us; containers do not.
    runtime.shutdown_background();
    done
}

impl Daemon {
    /// A line for whoever reads along.
    fn say(&self, line: &str) {
        if self.settings.trace {
            (self.settings.told)(line);
        }
    }
}
