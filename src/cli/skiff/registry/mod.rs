//! Registries on skiff's command line: pull, push, login, logout, search, and one to serve.

mod login;
mod progress;
pub mod pull;
pub mod push;
mod search;
mod serve;

use super::{Outcome, boxed};
use crate::image::registry::manifest::Platform;
use crate::image::registry::obtain::{Event, obtain};
use crate::image::registry::{Error, Policy, Progress, Settings, Step};
use crate::image::{Image, Store};
use crate::kernel::Explain;
use clap::{Args, Subcommand};
use std::path::Path;
use std::sync::OnceLock;

/// Options of every command that may speak to a registry.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Speak to this registry without TLS, or without looking at its certificate
    #[arg(long, global = true, value_name = "HOST", help_heading = "Registries")]
    insecure_registry: Vec<String>,
    /// Ask this registry for Docker Hub's images first, such as http://127.0.0.1:5000
    #[arg(long, global = true, value_name = "URL", help_heading = "Registries")]
    registry_mirror: Vec<String>,
}

/// The subcommands about registries; their words and options are Docker's.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Registry {
    /// Fetch an image from a registry
    Pull(pull::Pull),
    /// Send an image to a registry
    Push(push::Push),
    /// Tell a registry who you are
    Login(login::Login),
    /// Let a registry forget who you are
    Logout(login::Logout),
    /// Find repositories by a part of their name
    Search(search::Search),
    /// A registry of this machine's own
    #[command(subcommand)]
    Registry(serve::Registry),
}

impl Registry {
    /// True for the one that has clients.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Registry(_))
    }
}

static OPTIONS: OnceLock<Options> = OnceLock::new();

/// Keeps what the command line said, until a registry is spoken to.
pub fn remember(options: Options) {
    let _ = OPTIONS.set(options);
}

/// What the command line said, as it says it: for a program that is started to do the same.
pub fn given() -> Vec<String> {
    let none = Options::default();
    let options = OPTIONS.get().unwrap_or(&none);
    let flag = |name: &str, all: &[String]| all.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>();
    [flag("--insecure-registry", &options.insecure_registry), flag("--registry-mirror", &options.registry_mirror)].concat()
}

/// What happened until an image was there as one line; nothing of what only a bar can show.
pub fn line(event: &Event) -> Option<String> {
    match event {
        Event::NotHere(_) => None,
        Event::Pull(Progress::Pulling { what, repository }) => Some(format!("{what}: Pulling from {repository}")),
        Event::Pull(Progress::Layer { id, step: Step::Downloaded }) => Some(format!("{id}: Download complete")),
        Event::Pull(Progress::Layer { id, step: Step::Complete }) => Some(format!("{id}: Pull complete")),
        Event::Pull(_) => None,
        Event::Pulled { name, digest, .. } => Some(format!("{name}: Digest: {digest}")),
        Event::MadeHere { name, problem } => Some(format!("{problem}; made {name} here instead, which is not Docker Hub's")),
        Event::Base(progress) => Some(super::run::told(progress)),
    }
}

/// Options and skiff's own file together.
pub fn settings() -> Result<Settings, Error> {
    let none = Options::default();
    let options = OPTIONS.get().unwrap_or(&none);
    let mut settings = Settings::read(&options.insecure_registry, &options.registry_mirror)?;
    settings.told = Some(|note| eprintln!("note: {note}"));
    Ok(settings)
}

/// Runs it. Docker's code 125 is for `run` alone: here an error is 1.
pub fn run(command: &Registry, root: &Path) -> Outcome {
    let done = match command {
        Registry::Pull(args) => pull::pull(args, root),
        Registry::Push(args) => push::push(args, root),
        Registry::Login(args) => login::login(args),
        Registry::Logout(args) => login::logout(args),
        Registry::Search(args) => search::search(args),
        Registry::Registry(serve::Registry::Serve(args)) => serve::serve(args, root),
    };
    done.or_else(|error| {
        crate::cli::error::show(error.as_ref());
        Ok(1)
    })
}

/// The image that `run` or `build` needs: from the store, made here, or pulled.
pub fn image(root: &Path, name: &str, policy: Policy, platform: Option<&Platform>) -> Result<Image, Box<dyn Explain>> {
    let screen = progress::Screen::new(progress::Stream::Err);
    let image = obtain(&Store::open(root), name, policy, platform, &settings, &|event| {
        if let Event::Pulled { name, .. } = &event {
            crate::daemon::say::event::moved(root, "pull", name);
        }
        screen.event(&event);
    });
    screen.finish();
    image.map_err(boxed)
}

/// An option's value as a platform.
pub fn platform(text: &str) -> Result<Platform, String> {
    text.parse()
}

/// A policy, as it is typed.
pub fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "always" => Ok(Policy::Always),
        "missing" => Ok(Policy::Missing),
        "never" => Ok(Policy::Never),
        _ => Err("it is one of: always, missing, never".into()),
    }
}
