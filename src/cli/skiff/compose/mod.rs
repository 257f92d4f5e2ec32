//! `skiff compose …`: Docker Compose's commands, options and columns.
//!
//! Here are the options of all of them, and the way from those to a project; the commands are in the
//! files beside. Progress goes to standard error, a line for each change; what was asked for to standard
//! output.

mod config;
mod down;
mod follow;
mod image;
mod inside;
mod life;
mod logs;
mod look;
mod oneoff;
mod up;

use super::{Outcome, boxed};
use crate::cli::error::show;
use crate::compose::found::{Found, containers};
use crate::compose::load::check_name;
use crate::compose::turn::Turn;
use crate::compose::{Error, Event, Options, Project, labels};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

// Options of `skiff compose`.
#[derive(Debug, Args)]
pub struct Compose {
    /// A compose file, - for standard input; each one changes those before it [default: compose.yaml, and compose.override.yaml over it]
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The project's name [default: the file's, or its folder's]
    #[arg(short = 'p', long, value_name = "NAME")]
    project_name: Option<String>,
    /// Also the services of this profile; * for all
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// A file of variables, instead of .env
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The folder that relative paths begin in [default: that of the first file]
    #[arg(long, value_name = "DIR")]
    project_directory: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = ["auto", "plain", "tty", "quiet"])]
    progress: String,
    #[command(subcommand)]
    command: Command,
}

/// The subcommands of `skiff compose`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Build the images of services
    Build(image::Build),
    /// Show the file as it is understood: variables filled in, short forms spelled out, files merged
    #[command(alias = "convert")]
    Config(config::Config),
    /// Copy files between the host and a service's container
    Cp(inside::Cp),
    /// Make the containers, and start none
    Create(up::Create),
    /// Stop and remove the containers, and the project's networks
    Down(down::Down),
    /// Run a command in a service's running container
    Exec(inside::Exec),
    /// List the images of the containers
    Images(look::Images),
    /// Send a signal to the containers
    Kill(life::Kill),
    /// Print what the containers wrote
    Logs(logs::Logs),
    /// List the projects that there are
    Ls(look::Ls),
    /// Let the processes of services stand still
    Pause(life::Named),
    /// Print the host's address of a published port
    Port(look::Port),
    /// List the containers
    Ps(look::Ps),
    /// Fetch the images of services
    Pull(image::Pull),
    /// Stop the containers and start them again
    Restart(life::Restart),
    /// Remove the containers that do not run
    Rm(down::Rm),
    /// Run one command in a new container of a service
    Run(Box<oneoff::Run>),
    /// Start the containers that there are
    Start(life::Start),
    /// Stop the containers, and leave them
    Stop(life::Stop),
    /// Show the processes of the containers
    Top(look::Top),
    /// Let paused services go on
    Unpause(life::Named),
    /// Make what is missing, replace what has changed, and start it all
    Up(up::Args),
}

impl Compose {
    /// True for those that only print: they end when nobody reads any more.
    pub fn only_prints(&self) -> bool {
        matches!(self.command, Command::Config(_) | Command::Images(_) | Command::Logs(_) | Command::Ls(_) | Command::Port(_) | Command::Ps(_) | Command::Top(_))
    }
}

/// What every command starts from.
struct Session<'a> {
    root: &'a Path,
    options: Options,
    quiet: bool,
    /// What is to be said of the files was said.
    warned: std::cell::Cell<bool>,
}

/// Runs it. Docker Compose's code for an error is 1.
pub fn run(args: Compose, root: &Path) -> Outcome {
    let options = Options { files: args.files, name: args.project_name, profiles: args.profile, env_files: args.env_file, folder: args.project_directory, keep_variables: false };
    let session = Session { root, options, quiet: args.progress == "quiet", warned: std::cell::Cell::default() };
    // What could not be run has the engine's own code where it is one command that was asked for.
    let of_command = matches!(args.command, Command::Exec(_) | Command::Run(_));
    let done = match args.command {
        Command::Build(args) => image::build(&session, &args),
        Command::Config(args) => config::config(session, &args),
        Command::Cp(args) => inside::cp(&session, args),
        Command::Create(args) => up::create(&session, &args),
        Command::Down(args) => down::down(&session, &args),
        Command::Exec(args) => inside::exec(&session, args),
        Command::Images(args) => look::images(&session, &args),
        Command::Kill(args) => life::kill(&session, &args),
        Command::Logs(args) => logs::logs(&session, &args),
        Command::Ls(args) => look::ls(&session, &args),
        Command::Pause(args) => life::pause(&session, &args),
        Command::Port(args) => look::port(&session, &args),
        Command::Ps(args) => look::ps(&session, &args),
        Command::Pull(args) => image::pull(&session, &args),
        Command::Restart(args) => life::restart(&session, &args),
        Command::Rm(args) => down::rm(&session, &args),
        Command::Run(args) => oneoff::run(&session, *args),
        Command::Start(args) => life::start(&session, &args),
        Command::Stop(args) => life::stop(&session, &args),
        Command::Top(args) => look::top(&session, &args),
        Command::Unpause(args) => life::unpause(&session, &args),
        Command::Up(args) => up::up(&session, &args),
    };
    done.or_else(|error| {
        show(error.as_ref());
        Ok(if of_command || error.exit_code() < 125 { error.exit_code().max(1) } else { 1 })
    })
}

impl Session<'_> {
    /// The project, with what there is to be said of its files. A service that is named must be there.
    fn load(&self, named: &[String]) -> Result<Project, Box<dyn crate::kernel::Explain>> {
        let project = self.project(named).map_err(boxed)?;
        self.warn(&project);
        Ok(project)
    }

    fn project(&self, named: &[String]) -> Result<Project, Error> {
        let environment: BTreeMap<String, String> = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        Project::load(&self.options, named, &environment)
    }

    fn warn(&self, project: &Project) {
        if !self.warned.replace(true) {
            project.warnings.iter().for_each(|warning| self.line(&format!("warning: {warning}")));
        }
    }

    /// The project's name, and its services if it has a file: with `-p` none is needed, labels say it all;
    /// and one that its containers were not made from may well be of another project.
    fn name(&self) -> Result<(String, Option<Project>), Box<dyn crate::kernel::Explain>> {
        let named = self.options.name.as_ref().filter(|_| self.options.files.is_empty());
        let of_variable = || std::env::var("COMPOSE_PROJECT_NAME").ok().filter(|n| !n.is_empty());
        match (self.project(&[]), named) {
            (Ok(project), Some(name)) if containers(self.root, name).iter().any(|f| Path::new(f.label(labels::FOLDER)) != project.folder) => Ok((name.clone(), None)),
            (Ok(project), _) => {
                self.warn(&project);
                Ok((project.name.clone(), Some(project)))
            }
            (Err(_), Some(name)) => {
                check_name(name).map_err(boxed)?;
                Ok((name.clone(), None))
            }
            (Err(Error::NoFile { .. }), None) if of_variable().is_some_and(|n| check_name(&n).is_ok()) => Ok((of_variable().unwrap_or_default(), None)),
            (Err(error), None) => Err(boxed(error)),
        }
    }

    /// The containers of the services that are named, or of all; those of `compose run` only if `oneoffs`.
    fn containers(&self, named: &[String], oneoffs: bool) -> Result<Vec<Found>, Box<dyn crate::kernel::Explain>> {
        let (name, project) = self.name()?;
        self.known(&name, project.as_ref(), named)?;
        let mut all = containers(self.root, &name);
        all.retain(|f| (oneoffs || !f.oneoff) && (named.is_empty() || named.contains(&f.service)));
        Ok(all)
    }

    /// The turn to change a project's containers; where there are none, nobody is in the way.
    fn turn(&self, project: &str) -> Result<Option<Turn>, Box<dyn crate::kernel::Explain>> {
        if containers(self.root, project).is_empty() {
            return Ok(None);
        }
        Turn::wait(self.root, project).map(Some).map_err(|e| boxed(Error::from(e)))
    }

    /// Each of these is a service of the file, or has containers.
    fn known(&self, name: &str, project: Option<&Project>, named: &[String]) -> Result<(), Box<dyn crate::kernel::Explain>> {
        let all = if named.is_empty() { Vec::new() } else { containers(self.root, name) };
        for wanted in named {
            let declared = project.is_some_and(|p| p.services.contains_key(wanted) || p.asleep.contains_key(wanted));
            if !declared && !all.iter().any(|f| f.service == *wanted) {
                let known = project.map(|p| p.services.keys().cloned().collect()).unwrap_or_default();
                return Err(boxed(Error::NoService { name: wanted.clone(), known }));
            }
        }
        Ok(())
    }

    /// One container of a service that runs.
    fn running(&self, service: &str, index: u32) -> Result<Found, Box<dyn crate::kernel::Explain>> {
        let mut all = self.containers(&[service.to_owned()], false)?;
        all.retain(|f| f.is_live() && (index == 0 || f.number == index));
        match all.into_iter().next() {
            Some(found) => Ok(found),
            None => Err(boxed(Error::NotRunning { service: service.to_owned(), index })),
        }
    }

    /// A line of progress. Whoever read it may be gone, which is no reason to stop.
    fn line(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Shows an event as Docker Compose does where there is no terminal to draw on.
    fn event(&self, event: &Event) {
        if !self.quiet {
            self.line(&format!(" {} {}  {}", event.kind, event.name, event.state));
        }
    }
}

/// What the engine does otherwise than asked.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}
