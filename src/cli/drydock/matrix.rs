//! `drydock course test --matrix`: the contract in every way in which this machine can run it, one after
//! another, and a table of what came out. Each way is a `drydock course test --json` of its own.

use super::{Outcome, boxed};
use crate::course::{Content, Course};
use crate::kernel::OrSys;
use crate::kernel::pidfd::Pidfd;
use crate::learn::doctor;
use crate::prove::{self, Case, Lane, Matrix, ProveError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user and group ids of nobody, as most systems have them.
const NOBODY: u32 = 65534;

/// Proves these exercises in every way, and prints the table. Exit code 1 where a verdict was false.
pub fn run(ids: &[String], patience: u64, course: &Course) -> Outcome {
    let own = std::env::current_exe().or_sys("find this program").map_err(boxed)?;
    let folder = if let Content::Folder(folder) = &course.content { Some(folder.clone()) } else { None };
    let stop = prove::stop().map_err(boxed)?;
    let mut matrix = Matrix::default();
    for lane in Lane::ALL {
        match command(lane, &own, folder.as_deref()) {
            Ok(mut command) => {
                eprintln!("{}: {} exercises …", lane.title(), ids.len());
                if let Err(why) = note_cases(command.args(["course", "test", "--json", "--patience"]).arg(patience.to_string()).args(ids), &stop, lane, &mut matrix) {
                    matrix.leave_out(lane, why);
                }
                if is_readable(&stop) {
                    return Err(boxed(ProveError::Interrupted));
                }
            }
            Err(why) => matrix.leave_out(lane, why),
        }
    }
    print!("{matrix}");
    Ok(u8::from(matrix.false_verdicts() > 0))
}

/// `drydock`, as it is run in that way; or why it can't be.
fn command(lane: Lane, own: &Path, folder: Option<&Path>) -> Result<Command, String> {
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(own);
    match lane {
        Lane::Root if !root => return Err("this is an ordinary user; sudo would be root".into()),
        Lane::Lab if doctor::in_lab() => return Err("this is the lab".into()),
        Lane::Lab if folder.is_some() => return Err("the lab has the course that is built in".into()),
        Lane::Lab => {
            command.args(["lab", "run", "--", "drydock"]);
        }
        Lane::Root | Lane::Rootless => {
            if let Some(folder) = folder {
                command.arg("--course").arg(absolute(folder));
            }
        }
    }
    if lane == Lane::Rootless && root {
        // Who typed sudo, or else nobody.
        let id = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok()).filter(|id| *id != 0).unwrap_or(NOBODY);
        command.uid(id("SUDO_UID")).gid(id("SUDO_GID")).env_remove("SUDO_UID").env_remove("SUDO_GID");
    }
    Ok(command)
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Runs it to its end, and notes its cases. What it says of a failure goes where ours would.
fn note_cases(command: &mut Command, stop: &SignalFd, lane: Lane, matrix: &mut Matrix) -> Result<(), String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot run {}: {e}", command.get_program().display()))?;
    let process = Pidfd::open(child.id().cast_signed()).map_err(|e| e.to_string())?;
    let mut any = false;
    std::thread::scope(|threads| {
        // It tidies up when it is asked to end, and only then we do.
        threads.spawn(|| {
            let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN), PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            while poll(&mut fds, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
            if fds[0].any() == Some(true) {
                let _ = process.signal(Signal::SIGTERM);
            }
        });
        for line in child.stdout.take().into_iter().flat_map(|lines| BufReader::new(lines).lines().map_while(Result::ok)) {
            let Ok(case) = serde_json::from_str::<Case>(&line) else { continue };
            any = true;
            matrix.note(lane, &case);
        }
    });
    let status = child.wait().map_err(|e| e.to_string())?;
    // 1 is what a false verdict is told with, and that stands in the table.
    match status.code() {
        Some(0 | 1) if any => Ok(()),
        _ => Err(format!("stopped early: {status}")),
    }
}

fn is_readable(stop: &SignalFd) -> bool {
    poll(&mut [PollFd::new(stop.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}
