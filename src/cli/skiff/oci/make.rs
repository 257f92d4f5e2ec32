//! The life of a container: `create`, `start`, `run`, `kill`, `delete`.

use super::Shared;
use super::said::Said;
use crate::engine::oci::create::{Created, Wanted, create as make};
use crate::engine::oci::exec::attend;
use crate::engine::oci::{Error, Folder, life};
use crate::engine::relay::Signals;
use clap::Args;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Args)]
pub struct Making {
    /// The container's id
    id: String,
    /// The folder with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// A socket to which the other side of its terminal is sent
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// A file for its pid
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on the command is to have
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// Move the root instead of exchanging it, where pivot_root(2) is refused
    #[arg(long)]
    no_pivot: bool,
    /// Taken for runc's sake: no session keyring is made
    #[arg(long)]
    no_new_keyring: bool,
}

#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    making: Making,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    making: Making,
    /// Do not wait for it
    #[arg(short, long)]
    detach: bool,
    /// Leave it to be looked at when it has ended
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Args)]
pub struct Kill {
    /// The container's id
    id: String,
    /// A signal's name or number
    #[arg(default_value = "SIGTERM")]
    signal: String,
    /// To every process of it
    #[arg(short, long)]
    all: bool,
}

#[derive(Debug, Args)]
pub struct Delete {
    /// The container's id
    id: String,
    /// End it first, and do not mind if it is gone
    #[arg(short, long)]
    force: bool,
}

impl Making {
    fn wanted(&self, shared: &Shared, attended: bool) -> Wanted {
        Wanted {
            root: shared.root.clone(),
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            console_socket: self.console_socket.clone(),
            pid_file: self.pid_file.clone(),
            preserved: self.preserve_fds,
            no_pivot: self.no_pivot,
            systemd_cgroup: shared.systemd,
            attended,
        }
    }
}

fn made(wanted: &Wanted, said: &Said) -> Result<Created, Error> {
    let created = make(wanted)?;
    created.held.notes.iter().for_each(|note| said.warn(note));
    Ok(created)
}

pub fn create(args: &Create, shared: &Shared, said: &Said) -> Result<u8, Error> {
    made(&args.making.wanted(shared, false), said).map(|_| 0)
}

pub fn start(folder: &Folder) -> Result<u8, Error> {
    life::start(folder).map(|()| 0)
}

pub fn run(args: &Run, shared: &Shared, said: &mut Said) -> Result<u8, Error> {
    said.runs_a_command = !args.detach;
    let signals = Signals::block()?;
    let Created { folder, mut held } = made(&args.making.wanted(shared, !args.detach), said)?;
    let mut warn = |text: String| said.warn(&text);
    if let Err(error) = life::start(&folder) {
        let _ = life::delete(&folder, true, &mut warn);
        return Err(error);
    }
    if args.detach {
        return Ok(0);
    }
    let code = attend(&mut held, signals);
    if !args.keep {
        life::delete(&folder, true, &mut warn)?;
    }
    code.map(crate::cli::skiff::clamp)
}

pub fn kill(args: &Kill, shared: &Shared) -> Result<u8, Error> {
    let folder = Folder::find(&shared.root, &args.id)?;
    life::kill(&folder, number(&args.signal)?, args.all).map(|()| 0)
}

/// `15`, `TERM` or `SIGTERM`.
fn number(text: &str) -> Result<i32, Error> {
    let upper = text.to_uppercase();
    let named = || Signal::from_str(&format!("SIG{}", upper.trim_start_matches("SIG"))).map(|s| s as i32);
    match upper.parse::<i32>().ok().filter(|n| (0..=64).contains(n)).map_or_else(named, Ok) {
        Ok(number) => Ok(number),
        Err(_) => Err(Error::Refused { what: format!("the signal {text:?}"), why: "there is none of that name".into(), hint: "kill -l lists all" }),
    }
}

pub fn delete(args: &Delete, shared: &Shared, said: &Said) -> Result<u8, Error> {
    let folder = match Folder::find(&shared.root, &args.id) {
        // With --force that is what was wanted.
        Err(Error::NoContainer { .. }) if args.force => return Ok(0),
        other => other?,
    };
    life::delete(&folder, args.force, &mut |text| said.warn(&text)).map(|()| 0)
}
