//! `drydock`: one file a group of subcommands.

mod asking;
mod book;
mod compare;
pub mod course;
mod exam;
mod hand;
mod join;
mod lab;
mod learn;
mod leave;
mod list;
mod marked;
mod matrix;
mod pager;
mod placement;
mod quiz;
mod read;
mod review;
mod setup;
mod workshop;

use crate::cli::error::show;
use crate::cli::usage;
use crate::course::{Content, Course, Facts};
use pager::paged;
use crate::kernel::Explain;
use crate::learn::{Home, Progress};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a subcommand answers: its exit code, or an error to be shown.
pub type Outcome = Result<u8, Box<dyn Explain>>;

/// Learn Docker by building containers with your own hands; the kernel marks the work.
#[derive(Debug, Parser)]
#[command(name = "drydock", version, about, propagate_version = true)]
#[command(after_help = "Type `drydock` alone to begin, or to go on where you left off.")]
pub struct Cli {
    /// Take lessons and exercises from this folder instead of those built in
    #[arg(long, global = true, env = "DRYDOCK_COURSE", hide_env = true, value_name = "DIR")]
    course: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Show the chapters and exercises, and how far you are
    List,
    /// Begin a chapter, or one exercise
    Start {
        /// A chapter (namespaces, or 3), or chapter/exercise
        name: String,
    },
    /// Go on to the next section, step, exercise or quiz
    Next,
    /// Go back one
    Back,
    /// Ask the kernel whether the exercise in hand is done
    Check(learn::Check),
    /// Check again whenever the kernel's state changes
    Watch(learn::Watch),
    /// Show the next hint
    Hint,
    /// Show the solutions
    Solution,
    /// Put the exercise back to its beginning
    Reset,
    /// Answer a chapter's questions
    Quiz {
        /// The chapter; the one you are in if not given
        chapter: Option<String>,
    },
    /// Answer a few questions, and hear where to begin
    Placement,
    /// Answer again what you missed, when it is due
    Review(review::Review),
    /// Show what you can: questions and live tasks from all chapters
    Exam(exam::Take),
    /// Show, save or take over how far you are
    Progress(setup::ProgressArgs),
    /// Try what this machine can do for the course
    Doctor(setup::Doctor),
    /// Open a shell to work in, with skiff on its PATH
    Shell,
    /// Work in a small VM with a kernel of its own, as root
    Lab(lab::Lab),
    /// Measure two ways to run something side by side, on this machine
    Compare(compare::Compare),
    /// Join a class: CODE@HOST, as the instructor's screen shows it
    Join(join::Join),
    /// Ask for help in the class: raise your hand, or take it down
    Hand(hand::Hand),
    /// Leave the class
    Leave,
    /// Lead a class on a local network
    #[command(subcommand)]
    Workshop(workshop::WorkshopCommand),
    /// For authors: check the course's own files and exercises
    #[command(subcommand)]
    Course(course::CourseCommand),
    /// Build the course as a book
    #[command(subcommand)]
    Book(book::BookCommand),
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

/// The command line as clap knows it, for completions, man pages and the README's test.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    if let Some(role) = crate::lab::guest::role() {
        return lab::inside(role);
    }
    let cli = match usage::parse::<Cli>(2) {
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
    // A lab's ends are sockets, and one that went away must be an error there.
    if !matches!(&cli.command, Some(Command::Lab(args)) if args.joins_streams()) {
        // `drydock list | head` ends quietly, as any tool does.
        let _ = crate::kernel::pidfd::default_signal(nix::sys::signal::Signal::SIGPIPE);
    }
    let content = cli.course.clone().map_or(Content::Embedded, Content::Folder);
    if let Some(Command::Course(args)) = cli.command {
        return course::run(args, content);
    }
    let course = Course::load(content).map_err(boxed)?;
    match cli.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut command(), "drydock", &mut std::io::stdout());
            Ok(0)
        }
        Some(Command::Man { folder }) => setup::man(&folder),
        Some(Command::Book(args)) => book::run(args, course),
        Some(Command::Lab(args)) => lab::run(args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Doctor(args)) => setup::doctor(&args, &course),
        Some(Command::Workshop(args)) => workshop::run(args, &course),
        Some(Command::Join(args)) if args.is_sender() => join::send(),
        Some(Command::Leave) => leave::run(),
        other => {
            let mut desk = Desk::open(course)?;
            join::news(&desk);
            let outcome = learner(other, &mut desk);
            join::tell(&mut desk);
            outcome
        }
    }
}

fn learner(command: Option<Command>, desk: &mut Desk) -> Outcome {
    match command {
        None => paged(|| read::resume(desk)),
        Some(Command::List) => paged(|| list::run(desk)),
        Some(Command::Start { name }) => paged(|| read::start(desk, &name)),
        Some(Command::Next) => paged(|| read::next(desk)),
        Some(Command::Back) => paged(|| read::back(desk)),
        Some(Command::Check(args)) => learn::check(desk, &args),
        Some(Command::Watch(args)) => learn::watch(desk, &args),
        Some(Command::Hint) => learn::hint(desk),
        Some(Command::Solution) => paged(|| learn::solution(desk)),
        Some(Command::Reset) => learn::reset(desk),
        Some(Command::Quiz { chapter }) => quiz::run(desk, chapter.as_deref()),
        Some(Command::Placement) => placement::run(desk),
        Some(Command::Review(args)) => review::run(desk, &args),
        Some(Command::Exam(args)) => exam::run(desk, &args),
        Some(Command::Progress(args)) => setup::progress(desk, &args),
        Some(Command::Shell) => setup::shell(desk),
        Some(Command::Join(args)) => join::run(desk, &args),
        Some(Command::Hand(args)) => hand::run(desk, &args),
        Some(_) => Ok(0),
    }
}

/// What a learner's command works with.
pub struct Desk {
    /// The course.
    pub course: Course,
    /// How far the learner is.
    pub progress: Progress,
    /// The host's facts.
    pub facts: Facts,
}

impl Desk {
    fn open(course: Course) -> Result<Self, Box<dyn Explain>> {
        let progress = Progress::open(Home::find().map_err(boxed)?).map_err(boxed)?;
        if let Some((path, reason)) = &progress.set_aside {
            eprintln!("note: your progress could not be read: {reason}.");
            eprintln!("      It was set aside as {}; nothing is lost.", path.display());
        }
        Ok(Self { course, progress, facts: crate::learn::facts::read() })
    }
}

fn boxed<E: Explain + 'static>(error: E) -> Box<dyn Explain> {
    Box::new(error)
}
