//! What can be wrong with a compose file, or go wrong with a project, and what to try.

use crate::kernel::{Explain, SysError};
use std::path::PathBuf;
use thiserror::Error;

/// Something in a file is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `compose.yaml:5`, or the file alone.
    pub place: String,
    /// What is wrong, with its object.
    pub what: String,
    /// What would be right, or why this is not.
    pub why: Option<String>,
    /// What to try.
    pub hint: Option<String>,
}

impl Fault {
    /// With what would be right, or why this is not.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// With what to try.
    pub fn try_this(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// An error of compose.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// The engine could not do its part.
    #[error(transparent)]
    Engine(#[from] crate::engine::Error),
    /// A network could not be made, found or removed.
    #[error(transparent)]
    Network(#[from] crate::engine::network::Error),
    /// A volume could not be made, found or removed.
    #[error(transparent)]
    Volume(#[from] crate::engine::volume::Error),
    /// Something in a file.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// There is no compose file.
    #[error("no configuration file provided: not found")]
    NoFile {
        /// Where it was looked for, and above.
        folder: PathBuf,
    },
    /// A file that was named is not there.
    #[error("no such file: {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// Who needs it.
        whose: String,
    },
    /// The name cannot be a project's.
    #[error("invalid project name {name:?}")]
    BadName {
        /// The name.
        name: String,
    },
    /// The project has no such service.
    #[error("no such service: {name}")]
    NoService {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A service of a project has no container.
    #[error("service {service:?} is not running")]
    NotRunning {
        /// The service.
        service: String,
        /// Which of its containers.
        index: u32,
    },
    /// There are no containers of this project.
    #[error("no containers of the project {project:?}")]
    NoContainers {
        /// The project.
        project: String,
    },
    /// What was declared external is not there.
    #[error("{kind} {name} declared as external, but could not be found")]
    NoExternal {
        /// `network` or `volume`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// What has the name belongs to somebody else.
    #[error("{kind} {name} was found but belongs to {}", owner.as_ref().map_or("no project".to_owned(), |o| format!("the project {o:?}")))]
    Foreign {
        /// `network`, `volume` or `container`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The project that made it, if one did.
        owner: Option<String>,
    },
    /// A service that another waits for will not come to what it waits for.
    #[error("dependency failed to start: container {container} {problem}")]
    Dependency {
        /// The container.
        container: String,
        /// `is unhealthy`, `exited (1)`.
        problem: String,
    },
    /// It was waited for too long.
    #[error("timeout waiting for dependencies")]
    Timeout {
        /// Those that were not ready.
        containers: Vec<String>,
    },
    /// An image could not be built.
    #[error("failed to build the image of service {service:?}")]
    Build {
        /// The service.
        service: String,
        /// The build's own exit code.
        code: u8,
    },
    /// A word of the command line that cannot be.
    #[error("invalid value {value:?} for {option}: {reason}")]
    Option {
        /// The flag.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(Box::new(fault))
    }
}

/// The nearest of the words to one that is none of them.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(k, word), k)).min();
    near.filter(|(distance, k)| *distance <= 1 + k.len() / 4).map(|(_, k)| k)
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        match self {
            Error::Engine(e) => e.why(),
            Error::Network(e) => e.why(),
            Error::Volume(e) => e.why(),
            Error::Fault(fault) => fault.why.clone(),
            Error::NoFile { folder } => Some(format!("neither {} nor a folder above it has a compose.yaml or docker-compose.yml", folder.display())),
            Error::Missing { whose, .. } => Some(format!("{whose} names it")),
            Error::BadName { .. } => Some("a project's name has small letters, digits, `-` and `_`, and begins with a letter or digit".into()),
            Error::NoService { known, .. } => Some(format!("the services are: {}", known.join(", "))),
            Error::NoExternal { kind, .. } => Some(format!("an external {kind} is made by somebody else, before compose starts")),
            Error::Foreign { .. } => Some("compose knows its own by their labels, and touches nothing else".into()),
            Error::Timeout { containers } => Some(format!("not ready: {}", containers.join(", "))),
            Error::Build { .. } => Some("what went wrong stands above".into()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Engine(e) => e.hint(),
            Error::Network(e) => e.hint(),
            Error::Volume(e) => e.hint(),
            Error::Fault(fault) => fault.hint.clone(),
            Error::NoFile { .. } => Some("skiff compose -f FILE …".into()),
            Error::BadName { .. } => Some("skiff compose -p NAME …, or `name:` in the file".into()),
            Error::NoService { name, known } => nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near}?")),
            Error::NotRunning { service, .. } => Some(format!("skiff compose up -d {service}; skiff compose ps -a shows how it ended")),
            Error::NoContainers { .. } => Some("skiff compose up -d; skiff compose ls -a lists the projects".into()),
            Error::NoExternal { kind, name } => Some(format!("skiff {kind} create {name}")),
            Error::Foreign { kind, name, .. } if *kind == "container" => Some(format!("another `container_name:`, or: skiff rm {name}")),
            Error::Foreign { .. } => Some("`external: true` uses it all the same; another `name:` makes one".into()),
            Error::Dependency { container, .. } => Some(format!("skiff logs {container}; skiff inspect {container}")),
            Error::Timeout { .. } => Some("skiff compose ps; skiff compose logs".into()),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Build { code, .. } => *code,
            _ => 1,
        }
    }
}
