//! `skiff run -d`: a child of ours, the monitor, waits for the container and writes its log.

use super::error::Error;
use super::log::Log;
use super::relay::{self, Signals};
use super::request::Request;
use super::run::{Prepared, finish, start};
use crate::kernel::{OrSys, SysError, pidfd};
use std::os::fd::{AsFd, OwnedFd};

/// Starts the container with a monitor of its own and returns once its command runs.
pub fn detached(mut prepared: Prepared, request: &Request) -> Result<(), Error> {
    let (tell, told) = {
        let (read, write) = relay::pipe()?;
        (write, read)
    };
    match pidfd::fork()? {
        pidfd::Fork::Child => {
            drop(told);
            pidfd::exit_now(monitor(&mut prepared, request, tell))
        }
        pidfd::Fork::Parent(_) => {
            drop(tell);
            let mut text = String::new();
            use std::io::Read;
            std::fs::File::from(told).read_to_string(&mut text).or_sys("hear from the monitor")?;
            if let Some(notes) = text.strip_prefix("started") {
                notes.lines().filter(|n| !n.is_empty()).for_each(|note| request.told.iter().for_each(|told| told(note)));
                return Ok(());
            }
            let lost = |_| SysError::new("start the monitor", nix::errno::Errno::ECHILD);
            Err(serde_json::from_str::<super::step::StepError>(&text).map_err(lost)?.into())
        }
    }
}

/// The monitor: starts the container, says so, logs, waits, cleans up.
fn monitor(prepared: &mut Prepared, request: &Request, tell: OwnedFd) -> i32 {
    let _ = nix::unistd::setsid();
    // Its own standard error will be /dev/null; notes travel by the pipe.
    prepared.told = None;
    let _ = prepared.container.attend();
    // Docker keeps standard input open for -i: nothing comes, but it does not end either.
    let open = if request.interactive { relay::pipe().ok() } else { None };
    let started = Signals::block().map_err(Error::from).and_then(|signals| {
        let log = Log::create(&prepared.container.folder())?;
        let (streams, theirs) = Log::streams(&log, request.tty)?;
        let null = leave_terminal()?;
        let input = match &open {
            Some((read, _)) => read.try_clone().or_sys("keep standard input open")?,
            None => null,
        };
        let stdio = if request.tty { Vec::new() } else { std::iter::once(input).chain(theirs).collect() };
        Ok((signals, log, streams, start(prepared, stdio)?))
    });
    let (mut signals, log, mut streams, started) = match started {
        Ok(parts) => parts,
        Err(error) => {
            relay::write_all(tell.as_fd(), failure(&error).as_bytes());
            prepared.container.remove_with(true);
            return 125;
        }
    };
    relay::write_all(tell.as_fd(), format!("started\n{}", started.notes.join("\n")).as_bytes());
    drop(tell);
    if let Some(master) = started.terminal {
        streams = vec![Log::stream(&log, master, "stdout")];
    }
    let code = relay::relay(&started.process, &mut signals, streams, None).unwrap_or(255);
    finish(&mut prepared.container, code).map_or(255, |_| 0)
}

/// An error as it travels from the monitor to the one that waits for the start.
fn failure(error: &Error) -> String {
    use crate::kernel::Explain;
    let step = match error {
        Error::Step(step) => step.clone(),
        Error::System(system) => system.clone().into(),
        other => super::step::StepError { what: other.to_string(), errno: 0, why: other.why(), hint: other.hint() },
    };
    serde_json::to_string(&step).unwrap_or_default()
}

/// Lets go of the terminal that the monitor was started from. Returns a descriptor of /dev/null.
pub(super) fn leave_terminal() -> Result<OwnedFd, SysError> {
    let null: OwnedFd = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").or_sys("open /dev/null")?.into();
    nix::unistd::dup2_stdin(&null).or_sys("let go of standard input")?;
    nix::unistd::dup2_stdout(&null).or_sys("let go of standard output")?;
    nix::unistd::dup2_stderr(&null).or_sys("let go of standard error")?;
    Ok(null)
}
