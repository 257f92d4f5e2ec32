//! `skiff registry serve`: a registry on this machine, for classes without a network.

use super::{Outcome, boxed};
use crate::image::registry::mirror::{Local, Made};
use crate::image::registry::server::{self, Shown, Told};
use clap::{Args, Subcommand};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

/// What can be done with a registry of one's own.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Registry {
    /// Serve it until it is interrupted
    Serve(Serve),
}

// Options of `skiff registry serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen. It asks nobody for a password: another address than 127.0.0.1 is open to all who reach it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    addr: SocketAddr,
    /// Have images under Docker Hub's names too: those of this machine's store, and hello-world, nginx, postgres, redis,
    /// python, node, which are made of Debian's packages when they are first asked for
    #[arg(long)]
    mirror: bool,
    /// Print each request
    #[arg(short, long)]
    verbose: bool,
}

/// Serves until SIGINT or SIGTERM.
pub fn serve(args: &Serve, root: &Path) -> Outcome {
    let verbose = args.verbose;
    let told = move |told: Told| {
        let line = match told {
            Told::Listening(addr) => format!("listening on http://{addr}"),
            Told::Answered(method, path, status) if verbose => format!("{status} {method} {path}"),
            Told::Answered(..) => return,
        };
        // Whoever read it may be gone, and the registry goes on.
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    if !args.addr.ip().is_loopback() {
        eprintln!("note: {} is not this machine alone: whoever reaches it may read and replace what is in the registry", args.addr);
    }
    let folder = root.join("registry");
    let shown = if args.mirror { shown(root, &folder) } else { Vec::new() };
    server::serve(&folder, args.addr, shown, Box::new(told)).map_err(boxed)?;
    Ok(0)
}

/// The images of the engine's store, then those that are made.
fn shown(root: &Path, folder: &Path) -> Vec<Box<dyn Shown>> {
    let told = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    vec![Box::new(Local::new(root)), Box::new(Made::new(&folder.join("made"), Box::new(told)))]
}
