//! `skiff container …`: the same commands by their longer names, and `prune`.

use super::images::change;
use super::{Outcome, attach, boxed, cp, exec, inspect, life, logs, network, ps, run, start, stats, top, update};
use crate::engine::container::{Container, Status};
use crate::engine::error::Error;
use clap::{Args, Subcommand};
use std::path::Path;

/// The subcommands of `skiff container`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Group {
    /// Print what a running container writes from now on, and pass on what is typed
    Attach(attach::Attach),
    /// Copy files between the host and a container
    Cp(cp::Cp),
    /// Make a container, to be started later
    Create(Box<start::Create>),
    /// Make an image from a container's changes
    Commit(change::Commit),
    /// List what a container changed over its image
    Diff(change::Diff),
    /// Run a command in a running container
    Exec(exec::Exec),
    /// Write a container's whole filesystem as a tar archive
    Export(change::Export),
    /// Show all that is known of a container
    Inspect(inspect::Inspect),
    /// Send a signal to containers
    Kill(life::Kill),
    /// Print what a container wrote
    Logs(logs::Logs),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::Ps),
    /// Let every process of containers stand still
    Pause(life::Named),
    /// List the published ports of a container
    Port(network::Port),
    /// Remove all containers that do not run
    Prune(Prune),
    /// Give a container another name
    Rename(start::Rename),
    /// Stop containers and start them again
    Restart(start::Restart),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(life::Rm),
    /// Create and run a container
    Run(Box<run::Run>),
    /// Start containers that were made, or have ended
    Start(start::Start),
    /// Show what containers use
    Stats(stats::Stats),
    /// Stop containers: SIGTERM, then SIGKILL
    Stop(life::Stop),
    /// Show the processes of a container
    Top(top::Top),
    /// Let paused containers go on
    Unpause(life::Named),
    /// Change the limits of containers
    Update(update::Update),
    /// Wait until containers end, and print their exit codes
    Wait(life::Wait),
}

// Options of `skiff container prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that meet a condition, such as label=team=blue
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

impl Group {
    /// True for those that enter a container or start one whose files others may have changed.
    pub fn enters(&self) -> bool {
        match self {
            Group::Cp(_) | Group::Exec(_) | Group::Start(_) | Group::Restart(_) => true,
            Group::Run(args) => args.shares_files(),
            _ => false,
        }
    }

    /// True for those that have somebody to look after, whether or not anybody reads on.
    pub fn stays(&self) -> bool {
        matches!(self, Group::Attach(_) | Group::Cp(_) | Group::Exec(_) | Group::Start(_) | Group::Restart(_) | Group::Run(_))
    }
}

/// Runs it.
pub fn run(command: Group, root: &Path) -> Outcome {
    match command {
        Group::Attach(args) => attach::run(&args, root),
        Group::Cp(args) => cp::run(&args, root),
        Group::Create(args) => start::create(*args, root),
        Group::Commit(args) => change::commit(&args, root),
        Group::Diff(args) => change::diff(&args, root),
        Group::Exec(args) => exec::run(args, root),
        Group::Export(args) => change::export(&args, root),
        Group::Inspect(args) => inspect::run(&args, root),
        Group::Kill(args) => life::kill(&args, root),
        Group::Logs(args) => logs::run(&args, root),
        Group::Ls(args) => ps::run(&args, root),
        Group::Pause(args) => life::pause(&args, root),
        Group::Port(args) => network::port(&args, root),
        Group::Prune(args) => prune(&args, root),
        Group::Rename(args) => start::rename(&args, root),
        Group::Restart(args) => start::restart(&args, root),
        Group::Rm(args) => life::rm(&args, root),
        Group::Run(args) => run::run(*args, root),
        Group::Start(args) => start::start(&args, root),
        Group::Stats(args) => stats::run(&args, root),
        Group::Stop(args) => life::stop(&args, root),
        Group::Top(args) => top::run(&args, root),
        Group::Unpause(args) => life::unpause(&args, root),
        Group::Update(args) => update::run(&args, root),
        Group::Wait(args) => life::wait(&args, root),
    }
}

fn prune(args: &Prune, root: &Path) -> Outcome {
    let filters = crate::daemon::say::which::Filters::read(&args.filter, root).map_err(boxed)?;
    if !args.force && !super::images::remove::agreed("WARNING! This will remove all stopped containers.") {
        return Ok(0);
    }
    let mut gone = Vec::new();
    let mut bytes = 0;
    for container in Container::all(root) {
        if !matches!(container.status(), Status::Created | Status::Exited | Status::Dead) || !filters.fit(&container) {
            continue;
        }
        bytes += super::images::df::tree(&container.folder().join("upper"));
        match crate::engine::life::remove(&container, false, false) {
            Ok(()) => gone.push(container.id().to_owned()),
            // Somebody has just started it.
            Err(Error::Running { .. }) => {}
            Err(error) => return Err(boxed(error)),
        }
    }
    if !gone.is_empty() {
        println!("Deleted Containers:");
        gone.iter().for_each(|id| println!("{id}"));
        println!();
    }
    println!("Total reclaimed space: {}", crate::kernel::units::docker_size(bytes));
    Ok(0)
}
