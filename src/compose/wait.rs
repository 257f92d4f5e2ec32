//! Waiting until services are what others wait for: started, healthy, or ended well.
//!
//! What is looked at is spread over files and locks of several processes (a record, a lock, a health
//! report), so it is looked at again after a short while; there is no daemon that would tell.

use super::error::Error;
use super::found::{Found, Tell, containers, tell};
use super::model::Condition;
use crate::engine::container::{Container, Status};
use crate::engine::health;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(50);

/// What a container has come to.
enum State {
    Ready(&'static str),
    Waiting,
    Never(String),
}

/// Waits until each of the services has come to its condition; one that is not `required` may fail.
pub fn for_all(root: &Path, project: &str, conditions: &[(String, Condition, bool)], within: Option<Duration>, to: Tell<'_>) -> Result<(), Error> {
    let end = within.map(|within| Instant::now() + within);
    for (service, condition, required) in conditions.iter().filter(|(_, c, _)| *c != Condition::ServiceStarted) {
        for found in containers(root, project).into_iter().filter(|f| f.service == *service && !f.oneoff) {
            tell(to, "Container", found.container.name(), "Waiting");
            let waited = one(root, &found, end, |now| state(now, *condition), to);
            match waited {
                Err(Error::Dependency { .. }) if !required => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// Waits until all containers of the services run, and are healthy where they have a check. `jobs` are
/// services that may end, if they end well.
pub fn until_up(root: &Path, project: &str, services: &BTreeSet<String>, jobs: &BTreeSet<String>, within: Option<Duration>, to: Tell<'_>) -> Result<(), Error> {
    let end = within.map(|within| Instant::now() + within);
    let meant: Vec<Found> = containers(root, project).into_iter().filter(|f| services.contains(&f.service) && !f.oneoff).collect();
    meant.iter().for_each(|f| tell(to, "Container", f.container.name(), "Waiting"));
    for found in &meant {
        let job = jobs.contains(&found.service);
        one(root, found, end, |now| up(now, job), to)?;
    }
    Ok(())
}

fn one(root: &Path, found: &Found, end: Option<Instant>, look: impl Fn(&Container) -> State, to: Tell<'_>) -> Result<(), Error> {
    loop {
        let name = found.container.name();
        match look(&Container::find(root, found.container.id())?) {
            State::Ready(word) => {
                tell(to, "Container", name, word);
                return Ok(());
            }
            State::Never(problem) => {
                tell(to, "Container", name, "Error");
                return Err(Error::Dependency { container: name.to_owned(), problem });
            }
            State::Waiting if end.is_some_and(|end| Instant::now() >= end) => return Err(Error::Timeout { containers: vec![name.to_owned()] }),
            State::Waiting => std::thread::sleep(PAUSE),
        }
    }
}

fn state(container: &Container, condition: Condition) -> State {
    let status = container.status();
    let ended = matches!(status, Status::Exited | Status::Dead);
    let exited = || State::Never(format!("exited ({})", container.record.exit_code));
    match condition {
        Condition::ServiceStarted => State::Ready("Started"),
        Condition::ServiceHealthy => match health::of(container) {
            None => State::Never("has no healthcheck configured".into()),
            Some(_) if ended => exited(),
            Some(report) => match report.health {
                health::Health::Healthy => State::Ready("Healthy"),
                health::Health::Unhealthy => State::Never("is unhealthy".into()),
                health::Health::Starting => State::Waiting,
            },
        },
        Condition::ServiceCompletedSuccessfully if ended && status == Status::Exited && container.record.exit_code == 0 => State::Ready("Exited"),
        Condition::ServiceCompletedSuccessfully if ended => State::Never(format!("didn't complete successfully: exit {}", container.record.exit_code)),
        Condition::ServiceCompletedSuccessfully => State::Waiting,
    }
}

fn up(container: &Container, job: bool) -> State {
    match container.status() {
        Status::Exited if job && container.record.exit_code == 0 => State::Ready("Exited"),
        Status::Exited | Status::Dead => State::Never(format!("exited ({})", container.record.exit_code)),
        _ if job => State::Waiting,
        Status::Running if container.record.health.is_none() => State::Ready("Healthy"),
        Status::Running => state(container, Condition::ServiceHealthy),
        _ => State::Waiting,
    }
}
