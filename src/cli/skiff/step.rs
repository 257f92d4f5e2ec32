//! `skiff step …` and `skiff run --step`: one step at a time, and what each changed in the kernel.

use super::show::say;
use super::words::{self, Word};
use super::{Outcome, boxed, clamp, show as draw};
use crate::engine::Error;
use crate::engine::container::Container;
use crate::engine::host::Host;
use crate::engine::run::Prepared;
use crate::engine::stepwise::Stepwise;
use crate::engine::step::{Carry, Step as EngineStep};
use crate::engine::{byhand, request};
use crate::kernel::view::View;
use clap::{Args, Subcommand};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

// `skiff step …`.
#[derive(Debug, Args)]
pub struct Step {
    /// Which held process, if there are several
    #[arg(long, global = true, value_name = "NAME")]
    at: Option<String>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum What {
    /// Start a process that waits for its steps
    New {
        /// Its name
        name: String,
        /// The image that its root will come from
        #[arg(default_value = "base")]
        image: String,
    },
    /// What was done so far, and what the kernel says of the process now
    Show,
    /// Take the last step back, by replaying all others in a new process
    Undo,
    /// End the held process
    Abort,
    #[command(flatten)]
    One(Word),
}

/// Runs it.
pub fn run(args: Step, root: &Path) -> Outcome {
    match args.what {
        What::New { name, image } => new(&name, &image, root),
        other => {
            let container = byhand::current(root, args.at.as_deref()).map_err(boxed)?;
            match other {
                What::Show => show(&container),
                What::Undo => undo(&container),
                What::Abort => byhand::abort(&container).map(|()| 0).map_err(boxed),
                What::One(word) => one(&container, &word),
                What::New { .. } => Ok(0),
            }
        }
    }
}

fn new(name: &str, image: &str, root: &Path) -> Outcome {
    use crate::kernel::OrSys;
    std::fs::create_dir_all(root).or_sys_with(|| format!("make {}", root.display())).map_err(|e| boxed(Error::from(e)))?;
    let found = super::registry::image(root, image, Default::default(), None)?;
    let pid = byhand::start(root, name, image, &found).map_err(boxed)?;
    say!("{name}: process {pid} is held. It shares everything with the host so far.");
    say!("See it from outside: ls -l /proc/{pid}/ns");
    say!("Next, in an order of your choice: skiff step --help");
    Ok(0)
}

fn one(container: &Container, word: &Word) -> Outcome {
    let host = Host::read().map_err(boxed)?;
    let mut pid = container.record.pid;
    for step in words::steps(word, container, &host).map_err(boxed)? {
        draw::announce(None, &step.about());
        if let EngineStep::Exec(_) = step {
            return byhand::exec(container, &step).map(clamp).map_err(boxed);
        }
        let before = View::of(pid).map_err(|e| boxed(Error::from(e)))?;
        byhand::carry(container, &step).map_err(boxed)?;
        pid = byhand::done(container).map_err(boxed)?.1;
        let after = View::of(pid).map_err(|e| boxed(Error::from(e)))?;
        draw::changes(&before, &after);
    }
    Ok(0)
}

fn show(container: &Container) -> Outcome {
    let (steps, pid) = byhand::done(container).map_err(boxed)?;
    say!("{}: process {pid}", container.name());
    for (number, step) in steps.iter().enumerate() {
        let about = step.about();
        say!("{:>3}  {:<13} {}", number + 1, about.name, about.what);
    }
    let view = View::of(pid).map_err(|e| boxed(Error::from(e)))?;
    let own = View::of(std::process::id() as i32).map_err(|e| boxed(Error::from(e)))?;
    say!();
    draw::view(&view, &own);
    Ok(0)
}

fn undo(container: &Container) -> Outcome {
    let (step, pid) = byhand::undo(container).map_err(boxed)?;
    say!("took back: {}", step.about().what);
    say!("The kernel has no way back from it: a process cannot return to a namespace it has left without");
    say!("a descriptor of it, nor take back a capability. So the old process was ended, and all steps but");
    say!("the last were replayed in a new one: process {pid}.");
    Ok(0)
}

/// `skiff run --step`: Enter goes on, `c` goes on to the end, `q` or the end of input stops.
pub fn run_stepwise(prepared: Prepared, asked: &request::Request) -> Outcome {
    let mut run = Stepwise::start(prepared, asked).map_err(boxed)?;
    let look = |run: &Stepwise| View::of(run.pid());
    let steps = run.steps().to_vec();
    let mut ask_each = true;
    for (index, step) in steps.iter().enumerate() {
        draw::announce(Some((index + 1, steps.len())), &step.about());
        if ask_each {
            match answer() {
                Answer::Next => {}
                Answer::ToTheEnd => ask_each = false,
                Answer::Quit => {
                    run.give_up();
                    say!("stopped before this step; nothing is left");
                    return Ok(125);
                }
            }
        }
        if index + 1 == steps.len() {
            return run.exec().map(clamp).map_err(boxed);
        }
        let before = look(&run);
        if let Err(error) = run.carry(index) {
            return Err(boxed(error));
        }
        if let (Ok(before), Ok(after)) = (before, look(&run)) {
            draw::changes(&before, &after);
        }
    }
    Ok(0)
}

enum Answer {
    Next,
    ToTheEnd,
    Quit,
}

fn answer() -> Answer {
    let _ = write!(std::io::stdout(), "  [Enter] do it   [c] all of them   [q] stop > ");
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    let answered = std::io::stdin().lock().read_line(&mut line);
    if !std::io::stdin().is_terminal() {
        // A terminal echoes the Enter; a pipe does not.
        say!();
    }
    match answered {
        Ok(n) if n > 0 => match line.trim() {
            "c" => Answer::ToTheEnd,
            "q" => Answer::Quit,
            _ => Answer::Next,
        },
        _ => Answer::Quit,
    }
}

