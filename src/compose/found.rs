//! What there is of a project: containers, networks and volumes that carry its label.

use super::labels;
use crate::engine::container::{Container, Status};
use crate::engine::network::{self, Networks};
use crate::engine::volume::{Volume, Volumes};
use crate::kernel::Explain;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A container of a project.
#[derive(Debug)]
pub struct Found {
    /// The container.
    pub container: Container,
    /// Its service.
    pub service: String,
    /// Which of the service's it is.
    pub number: u32,
    /// One of `compose run`.
    pub oneoff: bool,
}

impl Found {
    fn of(container: Container) -> Option<Self> {
        let label = |key: &str| container.record.labels.get(key).cloned();
        let service = label(labels::SERVICE)?;
        let number = label(labels::NUMBER).and_then(|n| n.parse().ok()).unwrap_or(0);
        let oneoff = label(labels::ONEOFF).is_some_and(|o| o == "True");
        Some(Self { container, service, number, oneoff })
    }

    /// A label of it; nothing where it has none.
    pub fn label(&self, key: &str) -> &str {
        self.container.record.labels.get(key).map_or("", String::as_str)
    }

    /// The services that it comes after.
    pub fn depends_on(&self) -> BTreeSet<String> {
        let all = self.label(labels::DEPENDS).split(',').filter(|d| !d.is_empty());
        all.map(|d| d.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    /// True while its command runs, or is about to again.
    pub fn is_live(&self) -> bool {
        matches!(self.container.status(), Status::Running | Status::Restarting | Status::Creating)
    }
}

/// The containers of a project, by service and number.
pub fn containers(root: &Path, project: &str) -> Vec<Found> {
    let of_project = |c: &Container| c.record.labels.get(labels::PROJECT).is_some_and(|p| p == project);
    let mut all: Vec<Found> = Container::all(root).into_iter().filter(of_project).filter_map(Found::of).collect();
    all.sort_by(|a, b| (&a.service, a.oneoff, a.number).cmp(&(&b.service, b.oneoff, b.number)));
    all
}

/// A container of any project, by its id.
pub fn by_id(root: &Path, id: &str) -> Option<Found> {
    Container::find(root, id).ok().and_then(Found::of)
}

/// All projects that have containers: for each its containers.
pub fn projects(root: &Path) -> BTreeMap<String, Vec<Found>> {
    let mut all: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for found in Container::all(root).into_iter().filter_map(Found::of) {
        let project = found.label(labels::PROJECT).to_owned();
        all.entry(project).or_default().push(found);
    }
    all
}

/// The networks of a project.
pub fn networks(root: &Path, project: &str) -> Result<Vec<network::Network>, network::Error> {
    let all = Networks::open(root).all()?;
    Ok(all.into_iter().filter(|n| n.labels.get(labels::PROJECT).is_some_and(|p| p == project)).collect())
}

/// The volumes of a project.
pub fn volumes(root: &Path, project: &str) -> Vec<Volume> {
    Volumes::open(root).all().into_iter().filter(|v| v.labels.get(labels::PROJECT).is_some_and(|p| p == project)).collect()
}

/// What happens to a part of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Network`, `Volume`, `Container`, `Image`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `Creating`, `Created`, …: Docker Compose's words.
    pub state: &'static str,
}

/// Who is told of what happens.
pub type Tell<'a> = &'a dyn Fn(&Event);

/// Tells of a container.
pub fn tell(to: Tell<'_>, kind: &'static str, name: &str, state: &'static str) {
    to(&Event { kind, name: name.to_owned(), state });
}

/// Does something with a part, and tells before and after; not after what failed.
pub fn told<T, E: Explain>(to: Tell<'_>, kind: &'static str, name: &str, states: (&'static str, &'static str), act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    tell(to, kind, name, states.0);
    let done = act()?;
    tell(to, kind, name, states.1);
    Ok(done)
}
