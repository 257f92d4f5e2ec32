//! `skiff oci …`, and `skiff-oci …`: the command line that containerd, Docker and Podman call.
//!
//! It is runc's, word for word, and several of its commands (`create`, `start`, `run`, `exec`, `ps`) are
//! Docker's too with another meaning: the one takes a bundle, the other an image. Nothing on such a line
//! says which is meant, and guessing would one day run the wrong thing. So it has a name of its own.
//! People type `skiff oci`; programs that take the path of a runtime and nothing else are given a link
//! named `skiff-oci` to the same file, as busybox has its tools:
//!
//! ```text
//! ln -s skiff /usr/local/bin/skiff-oci
//! dockerd --add-runtime skiff=/usr/local/bin/skiff-oci      docker run --runtime skiff …
//! podman --runtime /usr/local/bin/skiff-oci run …
//! ```
//!
//! It is looked for before anything else is parsed: `--root` means another folder here.

mod inside;
mod look;
mod make;
mod said;

use crate::cli::skiff::Outcome;
use crate::engine::oci::{Error, Folder, default_root};
use clap::{Args, Parser, Subcommand};
use said::Said;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The name that programs call it by.
const NAME: &str = "skiff-oci";

/// An OCI runtime: containers from bundles, for others to drive.
#[derive(Debug, Parser)]
#[command(name = "skiff oci", version, after_help = "As a runtime of Docker's: ln -s skiff /usr/local/bin/skiff-oci; dockerd --add-runtime skiff=/usr/local/bin/skiff-oci")]
struct Cli {
    /// Where containers are kept [default: /run/skiff-oci, or $XDG_RUNTIME_DIR/skiff-oci]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where errors and warnings are written too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How they are written there: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: said::Format,
    /// Write more there (there is no more to write)
    #[arg(long)]
    debug: bool,
    /// Refused: cgroups are made here, not by systemd
    #[arg(long)]
    systemd_cgroup: bool,
    /// Taken for runc's sake: who calls is looked up
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rootless: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Make a container from a bundle, and let it wait
    Create(make::Create),
    /// Let a container that waits run its command
    Start(Id),
    /// Create and start a container, and wait for it
    Run(make::Run),
    /// Print the state of a container
    State(Id),
    /// Send a signal to a container
    Kill(make::Kill),
    /// Remove a container that has ended
    Delete(make::Delete),
    /// Run another process in a container
    Exec(Box<inside::Exec>),
    /// List the processes of a container
    Ps(look::Ps),
    /// List the containers
    List(look::List),
    /// Let every process of a container stand still
    Pause(Id),
    /// Let them go on
    Resume(Id),
    /// Change the limits of a container
    Update(Box<inside::Update>),
    /// Print what a container uses
    Events(look::Events),
    /// Print what this runtime can do
    Features,
    /// Write a config.json to start from
    Spec(look::Spec),
}

#[derive(Debug, Args)]
struct Id {
    /// The container's id
    id: String,
}

/// The arguments of the runtime, if that is what was called.
pub fn called() -> Option<Vec<OsString>> {
    let mut words = std::env::args_os();
    let program = words.next()?;
    if Path::new(&program).file_name().is_some_and(|name| name == NAME) {
        return Some(words.collect());
    }
    words.next().filter(|word| word == "oci").map(|_| words.collect())
}

/// Parses its command line and runs it.
pub fn main(words: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(std::iter::once(OsString::from("skiff oci")).chain(words)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let mut said = Said::new(cli.log.clone(), cli.log_format);
    match dispatch(cli, &mut said) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            said.error(&error);
            // runc's codes: whoever runs a command for somebody tells its own errors apart from the command's.
            ExitCode::from(if said.runs_a_command { 255 } else { 1 })
        }
    }
}

/// The same, where the words come from skiff's own parser.
pub fn run(words: Vec<OsString>) -> Outcome {
    main(words);
    Ok(1)
}

/// What every command needs of the line.
struct Shared {
    root: PathBuf,
    systemd: bool,
}

fn dispatch(cli: Cli, said: &mut Said) -> Result<u8, Error> {
    if matches!(cli.command, Command::Create(_) | Command::Run(_) | Command::Exec(_)) {
        // Others may own the files that the command is taken from (see `kernel::sealed`).
        crate::cli::skiff::seal();
    }
    let root = cli.root.unwrap_or_else(default_root);
    let shared = Shared { root: std::path::absolute(&root).unwrap_or(root), systemd: cli.systemd_cgroup };
    let find = |id: &str| Folder::find(&shared.root, id);
    match cli.command {
        Command::Create(args) => make::create(&args, &shared, said),
        Command::Start(Id { id }) => make::start(&find(&id)?),
        Command::Run(args) => make::run(&args, &shared, said),
        Command::State(Id { id }) => look::state(&find(&id)?),
        Command::Kill(args) => make::kill(&args, &shared),
        Command::Delete(args) => make::delete(&args, &shared, said),
        Command::Exec(args) => inside::exec(&args, &shared, said),
        Command::Ps(args) => look::ps(&args, &shared),
        Command::List(args) => look::list(&args, &shared),
        Command::Pause(Id { id }) => crate::engine::oci::life::freeze(&find(&id)?, true).map(|()| 0),
        Command::Resume(Id { id }) => crate::engine::oci::life::freeze(&find(&id)?, false).map(|()| 0),
        Command::Update(args) => inside::update(&args, &shared),
        Command::Events(args) => look::events(&args, &shared),
        Command::Features => look::features(),
        Command::Spec(args) => look::spec(&args),
    }
}
