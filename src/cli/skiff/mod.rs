//! `skiff`: one file a subcommand. Words, flags and exit codes are Docker's.

mod about;
mod attach;
mod build;
mod compose;
mod cp;
mod daemon;
mod events;
mod exec;
mod format;
mod group;
mod images;
mod inspect;
mod join;
mod kernel;
mod life;
mod logs;
mod mounts;
mod network;
mod oci;
mod ps;
mod tree;
mod registry;
mod run;
mod settings;
mod show;
mod start;
mod stats;
mod step;
mod template;
mod top;
mod update;
mod volume;
mod whole;
mod words;

use crate::cli::error::show;
use crate::cli::usage;
use crate::kernel::Explain;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a subcommand answers: its exit code, or an error to be shown.
pub type Outcome = Result<u8, Box<dyn Explain>>;

/// A small container engine that can be taken apart.
#[derive(Debug, Parser)]
#[command(name = "skiff", version, propagate_version = true, after_help = "The steps of a run: skiff run --dry-run base")]
pub struct Cli {
    /// Where images and containers are kept [default: /var/lib/skiff for root, else $XDG_DATA_HOME/skiff]
    #[arg(long, global = true, env = "SKIFF_ROOT", hide_env = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(flatten)]
    registries: registry::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Engine(Engine),
    #[command(flatten)]
    More(More),
}

/// What the engine does by itself (see `whole.rs`).
// Deferred, here and in every list of subcommands: only the one that is named is put together. All of
// them would be half of what `skiff run` takes of memory.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Engine {
    /// Create and run a container
    Run(Box<run::Run>),
    /// Make a container, to be started later
    Create(Box<start::Create>),
    /// Start containers that were made, or have ended
    Start(start::Start),
    /// Print what a running container writes from now on, and pass on what is typed
    Attach(attach::Attach),
    /// Stop containers and start them again
    Restart(start::Restart),
    /// Give a container another name
    Rename(start::Rename),
    /// List containers
    Ps(ps::Ps),
    /// Run a command in a running container
    Exec(exec::Exec),
    /// Print what a container wrote
    Logs(logs::Logs),
    /// Stop containers: SIGTERM, then SIGKILL
    Stop(life::Stop),
    /// Send a signal to containers
    Kill(life::Kill),
    /// Let every process of containers stand still
    Pause(life::Named),
    /// Let paused containers go on
    Unpause(life::Named),
    /// Wait until containers end, and print their exit codes
    Wait(life::Wait),
    /// Remove containers
    Rm(life::Rm),
    /// The runtime that Docker and Podman can call: containers from bundles
    #[command(disable_help_flag = true)]
    Oci {
        /// skiff oci --help shows all
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Answers for the names of a network's containers (what the first of them starts)
    #[command(hide = true)]
    Resolver {
        /// The network's id
        network: String,
    },
    /// Process 1 of a container (what --init puts in front of the command)
    #[command(hide = true)]
    Init(Init),
}

/// What takes the whole program: images, builds, registries, and whatever shows or looks after things.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum More {
    /// Drive a container by hand, one step at a time
    Step(step::Step),
    /// Build an image from a Dockerfile
    Build(Box<build::Build>),
    /// Look after what builds have kept
    #[command(subcommand)]
    Builder(build::Builder),
    /// Run an application of several containers, as one file says it
    Compose(Box<compose::Compose>),
    /// Answer Docker's clients: the Docker Engine API over this engine
    Daemon(daemon::Daemon),
    /// The container of one RUN (what build starts)
    #[command(hide = true)]
    BuildRun,
    #[command(flatten)]
    Images(images::Images),
    #[command(flatten)]
    Registry(registry::Registry),
    /// Show all that is known of a container
    Inspect(inspect::Inspect),
    /// Look after networks
    #[command(subcommand)]
    Network(network::Command),
    /// Look after volumes
    #[command(subcommand)]
    Volume(volume::Command),
    /// List the published ports of a container
    Port(network::Port),
    /// Copy files between the host and a container
    Cp(cp::Cp),
    /// Show the processes of a container
    Top(top::Top),
    /// Show what containers use
    Stats(stats::Stats),
    /// Print what happens, as it happens
    Events(events::Events),
    /// Change the limits of containers
    Update(update::Update),
    /// Look after containers: the same commands by their longer names, and prune
    #[command(subcommand)]
    Container(Box<group::Group>),
    /// Show the machine, and how much there is of what
    Info(about::Info),
    /// Show the version
    Version(about::VersionArgs),
    /// Look after skiff's own files
    #[command(subcommand)]
    System(life::System),
    /// Write shell completions to standard output
    #[command(hide = true)]
    Completions {
        /// bash, zsh, fish
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Init {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    argv: Vec<String>,
}

/// The engine alone; what is more is handed over to the program beside it.
pub fn engine() -> ExitCode {
    main()
}

const ALL: whole::Whole = whole::Whole { run: all, template: template::read, stepwise: step::run_stepwise, image: registry::image };

/// All of it.
pub fn everything() -> ExitCode {
    whole::is(ALL);
    main()
}

/// Parses the command line and runs it.
fn main() -> ExitCode {
    if let Some(words) = oci::called() {
        return oci::main(words);
    }
    // Docker's code for a command line that it does not understand.
    let cli = match usage::parse::<Cli>(125) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            show(error.as_ref());
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let root = cli.root.unwrap_or_else(default_root);
    let root = std::path::absolute(&root).unwrap_or(root);
    registry::remember(cli.registries);
    match cli.command {
        Command::Engine(command) => alone(command, &root),
        command => whole::run(command, &root),
    }
}

fn alone(command: Engine, root: &Path) -> Outcome {
    if matches!(&command, Engine::Exec(_) | Engine::Start(_) | Engine::Restart(_)) || matches!(&command, Engine::Run(args) if args.shares_files()) {
        seal();
    }
    if !matches!(command, Engine::Run(_) | Engine::Attach(_) | Engine::Start(_) | Engine::Restart(_) | Engine::Exec(_) | Engine::Init(_)) {
        end_with_the_reader();
    }
    match command {
        Engine::Run(args) => run::run(*args, root),
        Engine::Create(args) => start::create(*args, root),
        Engine::Start(args) => start::start(&args, root),
        Engine::Attach(args) => attach::run(&args, root),
        Engine::Restart(args) => start::restart(&args, root),
        Engine::Rename(args) => start::rename(&args, root),
        Engine::Ps(args) => ps::run(&args, root),
        Engine::Exec(args) => exec::run(args, root),
        Engine::Logs(args) => logs::run(&args, root),
        Engine::Stop(args) => life::stop(&args, root),
        Engine::Kill(args) => life::kill(&args, root),
        Engine::Pause(args) => life::pause(&args, root),
        Engine::Unpause(args) => life::unpause(&args, root),
        Engine::Wait(args) => life::wait(&args, root),
        Engine::Rm(args) => life::rm(&args, root),
        Engine::Oci { words } => oci::run(words),
        Engine::Resolver { network } => crate::engine::network::dns::start(root, &network).map(|()| 0).map_err(boxed),
        Engine::Init(args) => crate::engine::init::init(&args.argv).map(clamp).map_err(boxed),
    }
}

fn all(command: Command, root: &Path) -> Outcome {
    match command {
        Command::Engine(command) => alone(command, root),
        Command::More(command) => more(command, root),
    }
}

fn more(command: More, root: &Path) -> Outcome {
    if matches!(command, More::Step(_) | More::BuildRun | More::Compose(_) | More::Cp(_)) || matches!(&command, More::Daemon(args) if args.works()) || matches!(&command, More::System(life::System::Resume)) || matches!(&command, More::Container(group) if group.enters()) {
        seal();
    }
    let serves = matches!(&command, More::Registry(command) if command.serves()) || matches!(&command, More::Compose(command) if !command.only_prints());
    if !serves && !matches!(command, More::Step(_) | More::BuildRun | More::Cp(_) | More::Daemon(_)) && !matches!(&command, More::System(life::System::Resume)) && !matches!(&command, More::Container(group) if group.stays()) {
        end_with_the_reader();
    }
    match command {
        More::Step(args) => step::run(args, root),
        More::Build(args) => build::run(*args, root),
        More::Builder(args) => build::builder(&args, root),
        More::Compose(args) => compose::run(*args, root),
        More::Daemon(args) => daemon::run(args, root),
        More::BuildRun => crate::build::run::child(root).map(|()| 0).map_err(boxed),
        More::Images(args) => images::run(args, root),
        More::Registry(args) => registry::run(&args, root),
        More::Inspect(args) => inspect::run(&args, root),
        More::Network(command) => network::run(&command, root),
        More::Volume(command) => volume::run(&command, root),
        More::Port(args) => network::port(&args, root),
        More::Cp(args) => cp::run(&args, root),
        More::Top(args) => top::run(&args, root),
        More::Stats(args) => stats::run(&args, root),
        More::Events(args) => events::run(&args, root),
        More::Update(args) => update::run(&args, root),
        More::Container(command) => group::run(*command, root),
        More::Info(args) => about::info(&args, root),
        More::Version(args) => about::version(&args),
        More::System(args) => life::system(&args, root),
        More::Completions { shell } => {
            clap_complete::generate(shell, &mut self::command(), "skiff", &mut std::io::stdout());
            Ok(0)
        }
        More::Man { folder } => {
            use crate::kernel::OrSys;
            clap_mangen::generate_to(self::command(), &folder).or_sys_with(|| format!("write man pages to {}", folder.display())).map_err(boxed)?;
            Ok(0)
        }
    }
}

/// A container whose files somebody else may change until the command starts must not get hold of
/// this program. Where even starting again is refused, the first namespace will be too, and says why.
fn seal() {
    if crate::kernel::userns::is_host_root() {
        let _ = crate::kernel::sealed::run_read_only();
    }
}

/// `skiff ps | head` ends quietly. Not for those that have a container or clients to look after: an
/// output that is gone is no reason to leave them.
fn end_with_the_reader() {
    let _ = crate::kernel::pidfd::default_signal(nix::sys::signal::Signal::SIGPIPE);
}

/// The command line as clap knows it, for completions, man pages and the README's test.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Docker's convention for the folder, moved under a name of our own.
fn default_root() -> PathBuf {
    if crate::kernel::userns::is_host_root() {
        return "/var/lib/skiff".into();
    }
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(std::env::temp_dir).join("skiff")
}

/// Exit codes are one byte.
fn clamp(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(255)
}

fn boxed<E: Explain + 'static>(error: E) -> Box<dyn Explain> {
    Box::new(error)
}

/// Does `one` for each name, goes on after an error, and answers 1 if there was any: as Docker does
/// for `stop a b c`.
fn each(names: &[String], mut one: impl FnMut(&str) -> Result<(), crate::engine::Error>) -> Outcome {
    let mut code = 0;
    for name in names {
        match one(name) {
            Ok(()) => println!("{name}"),
            Err(error) => {
                show(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}
