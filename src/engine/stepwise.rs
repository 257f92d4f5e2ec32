//! `skiff run --step`: a run that stops before each step.

use super::attach::connect;
use super::error::Error;
use super::hold::{Held, Started, spawn_held};
use super::relay::Signals;
use super::request::Request;
use super::run::{Prepared, finish};
use super::step::Step;

/// A run that stops before each step: this process holds the one that becomes the container.
#[derive(Debug)]
pub struct Stepwise {
    prepared: Prepared,
    held: Held,
    tty: bool,
    interactive: bool,
}

impl Stepwise {
    /// Starts the process; it has carried out nothing yet.
    pub fn start(mut prepared: Prepared, request: &Request) -> Result<Self, Error> {
        let container = &mut prepared.container;
        let held = spawn_held(container.id(), container.store()).inspect_err(|_| container.remove_all())?;
        container.set_pid(held.process.pid())?;
        Ok(Self { prepared, held, tty: request.tty, interactive: request.interactive })
    }

    /// The plan's steps.
    pub fn steps(&self) -> &[Step] {
        &self.prepared.plan.steps
    }

    /// The process that is held now.
    pub fn pid(&self) -> i32 {
        self.held.process.pid()
    }

    /// Carries out one step. When it is refused, nothing of the container stays.
    pub fn carry(&mut self, index: usize) -> Result<(), Error> {
        let done = self.held.carry(&self.prepared.plan.steps[index], &[]).map_err(Error::from);
        let noted = done.and_then(|()| Ok(self.prepared.container.set_pid(self.held.process.pid())?));
        noted.inspect_err(|_| self.end())
    }

    /// Ends the held process and removes the container.
    pub fn give_up(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.held.process.signal(nix::sys::signal::Signal::SIGKILL);
        let _ = self.held.process.wait();
        self.prepared.container.remove_all();
    }

    /// The last step: the process becomes the command. Relays, waits, cleans up.
    pub fn exec(self) -> Result<i32, Error> {
        let Self { mut prepared, mut held, tty, interactive } = self;
        let mut signals = Signals::block()?;
        let last = prepared.plan.steps.last().cloned();
        let ended = connect(tty, interactive, &mut signals, None, |stdio| {
            if let Some(step) = &last {
                held.carry(step, &stdio)?;
            }
            prepared.container.set_running()?;
            Ok(Started { process: held.process, terminal: held.terminal, notes: held.notes, helper: held.helper })
        });
        match ended {
            Ok(code) => finish(&mut prepared.container, code),
            Err(error) => {
                prepared.container.remove_all();
                Err(error)
            }
        }
    }
}
