//! `skiff stop`, `kill`, `wait`, `rm`, `logs` and `system prune`.

use super::{Outcome, boxed, each, show};
use crate::engine::container::{Container, Status};
use crate::engine::error::Error;
use crate::engine::{life, pause};
use clap::{Args, Subcommand};
use std::io::IsTerminal;
use std::path::Path;

// Options of `skiff stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// Seconds to wait before SIGKILL; -1 is without end [default: the container's own, or 10]
    #[arg(short = 't', long = "time", alias = "timeout", value_name = "SECONDS", allow_hyphen_values = true)]
    time: Option<i64>,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

// Options of `skiff kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

// Options of `skiff wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

// Options of `skiff rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// Kill it first if it runs
    #[arg(short, long)]
    force: bool,
    /// Remove also the volumes that were made for it and that nobody named
    #[arg(short, long)]
    volumes: bool,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

/// The containers that `skiff pause` and `skiff unpause` are given.
#[derive(Debug, Args)]
pub struct Named {
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

/// `skiff system …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum System {
    /// Remove ended containers, and what killed runs left
    Prune {
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        /// Also the volumes that no container has and that nobody named
        #[arg(long)]
        volumes: bool,
    },
    /// Show what images and containers take on disk
    Df(super::images::df::Df),
    /// Print what happens, as it happens
    Events(super::events::Events),
    /// Show the machine, and how much there is of what
    Info(super::about::Info),
    /// Start the containers again that a reboot or a crash ended, as their policies say
    #[command(after_help = UNIT)]
    Resume,
}

/// What has `resume` run when the machine comes up.
const UNIT: &str = "As a unit of systemd, /etc/systemd/system/skiff-resume.service:

  [Unit]
  Description=Containers of skiff that are to run
  After=network-online.target
  Wants=network-online.target

  [Service]
  Type=oneshot
  RemainAfterExit=yes
  KillMode=process
  ExecStart=/usr/local/bin/skiff system resume

  [Install]
  WantedBy=multi-user.target

then: systemctl enable skiff-resume";

/// Stops them.
pub fn stop(args: &Stop, root: &Path) -> Outcome {
    each(&args.containers, |name| life::stop(&Container::find(root, name)?, args.time))
}

/// Signals them.
pub fn kill(args: &Kill, root: &Path) -> Outcome {
    let signal = life::signal_number(&args.signal).map_err(boxed)?;
    each(&args.containers, |name| life::kill(&Container::find(root, name)?, signal))
}

/// Waits for each, prints its exit code.
pub fn wait(args: &Wait, root: &Path) -> Outcome {
    for name in &args.containers {
        let code = Container::find(root, name).and_then(|c| life::wait(&c)).map_err(boxed)?;
        println!("{code}");
    }
    Ok(0)
}

/// Removes them.
pub fn rm(args: &Rm, root: &Path) -> Outcome {
    let mut there = args.containers.clone();
    if args.force {
        // As with Docker: forcing away what is not there is told, and is no failure.
        there.retain(|name| match Container::find(root, name) {
            Err(error @ Error::NoContainer { .. }) => {
                show(&error);
                false
            }
            _ => true,
        });
    }
    each(&there, |name| life::remove(&Container::find(root, name)?, args.force, args.volumes))
}

/// Stands them still.
pub fn pause(args: &Named, root: &Path) -> Outcome {
    each(&args.containers, |name| pause::pause(&Container::find(root, name)?))
}

/// Lets them go on.
pub fn unpause(args: &Named, root: &Path) -> Outcome {
    each(&args.containers, |name| pause::unpause(&Container::find(root, name)?))
}

/// `skiff system prune`.
pub fn system(args: &System, root: &Path) -> Outcome {
    let (force, volumes) = match args {
        System::Prune { force, volumes } => (force, volumes),
        System::Events(args) => return super::events::run(args, root),
        System::Df(args) => return super::images::df::df(args, root),
        System::Info(args) => return super::about::info(args, root),
        System::Resume => return super::start::resume(root),
    };
    if !force && !confirmed(root) {
        return Ok(0);
    }
    crate::build::run::sweep(root);
    let mut pruned = life::prune(root).map_err(boxed)?;
    if !pruned.containers.is_empty() {
        println!("Deleted Containers:");
        pruned.containers.iter().for_each(|id| println!("{id}"));
        println!();
    }
    if !pruned.networks.is_empty() {
        println!("Deleted Networks:");
        pruned.networks.iter().for_each(|name| println!("{name}"));
        println!();
    }
    if *volumes {
        let (gone, bytes) = crate::daemon::say::volume::unused(&crate::engine::volume::Volumes::open(root), |v| v.anonymous).map_err(boxed)?;
        super::volume::said(&gone);
        pruned.bytes += bytes;
    }
    if !pruned.cgroups.is_empty() {
        println!("Deleted Cgroups (left by runs that were killed):");
        pruned.cgroups.iter().for_each(|id| println!("{id}"));
        println!();
    }
    println!("Total reclaimed space: {}", crate::kernel::units::docker_size(pruned.bytes));
    Ok(0)
}

/// Says what will go and asks; without a terminal nothing is asked and nothing goes.
fn confirmed(root: &Path) -> bool {
    let ended = Container::all(root).iter().filter(|c| matches!(c.status(), Status::Exited | Status::Dead)).count();
    println!("This removes {ended} ended container(s), and what killed runs left.");
    if !std::io::stdin().is_terminal() {
        println!("Nothing was removed: there is no terminal to ask at. Use --force.");
        return false;
    }
    crate::cli::out::agreed("Go on?")
}
