//! RUN: a container as `skiff run` makes it, whose upper directory becomes the layer.
//!
//! Each is started by a process of its own, this program again, which is given a [`Job`] on its
//! standard input and takes the very path of `skiff run`. So several can go on at once, though that
//! path has no threads; and when the builder is killed, its children and their containers are too
//! (PR_SET_PDEATHSIG). What a killed build leaves, a container's folder and that of the step, is found
//! by its free lock and removed by the next build. BuildKit has a daemon and workers for this.

use super::Error;
use crate::engine::container::Container;
use crate::engine::host::Host;
use crate::engine::network::{DEFAULT, Lookup, Place, Wish};
use crate::engine::request::{Bind, Network, Request, Tmpfs};
use crate::engine::{life, run as engine};
use crate::image::layer::Layer;
use crate::image::Store;
use crate::kernel::userns::is_host_root;
use crate::kernel::{Explain, OrSys, SysError, pidfd};
use nix::errno::Errno;
use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The note of a step's container, in its folder.
const CONTAINER: &str = "container";

/// The network of a RUN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Net {
    /// That of `skiff run`: a place on the default bridge, with the host's name servers. Only root can
    /// plug into that; an ordinary user's RUN has the host's network, since most of them fetch something.
    #[default]
    Default,
    /// The host's own.
    Host,
    /// None but loopback.
    None,
    /// One of `skiff network`.
    Named(String),
}

impl Net {
    /// As `--network` has it.
    pub fn parse(text: &str) -> Self {
        match text {
            "default" | DEFAULT => Self::Default,
            "host" => Self::Host,
            "none" => Self::None,
            name => Self::Named(name.to_owned()),
        }
    }

    /// Its word in a key of the cache.
    pub fn word(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::Host => "host",
            Self::None => "none",
            Self::Named(name) => name,
        }
    }

    fn network(&self) -> Network {
        let on = |name: &str| Network::Joined(Wish { places: vec![Place { network: name.to_owned(), ..Place::default() }], ..Wish::default() });
        match self {
            Self::Default if is_host_root() => on(DEFAULT),
            Self::Default | Self::Host => Network::Host,
            Self::None => Network::None,
            Self::Named(name) => on(name),
        }
    }
}

/// What a RUN's container is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Job {
    /// The container's name, and its step folder's.
    pub name: String,
    /// Pid of the one that builds.
    pub builder: u32,
    /// What it stands on, lowest first.
    pub layers: Vec<super::cache::LayerNote>,
    /// The command.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Where it runs.
    pub workdir: PathBuf,
    /// Who it runs as; empty for root.
    pub user: String,
    /// What it is plugged into.
    pub network: Net,
    /// Names more in /etc/hosts, and their addresses.
    pub hosts: Vec<(String, String)>,
    /// Paths of the host: where they are, where they go, and whether they may not be written.
    pub binds: Vec<(PathBuf, PathBuf, bool)>,
    /// Directories in memory, with their options.
    pub tmpfs: Vec<(PathBuf, Vec<String>)>,
}

/// How it went, as the process that ran it tells.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Ended { code: i32 },
    Failed { what: String, why: Option<String>, hint: Option<String> },
}

/// The folder of one RUN: locked for as long as this lives, and gone afterwards with its container.
#[derive(Debug)]
pub struct Step {
    /// The container's name.
    pub name: String,
    root: PathBuf,
    folder: PathBuf,
    /// Its job, which is the lock too: the child that reads it holds it as long as it lives, so that
    /// nobody clears up before both have ended.
    lock: File,
}

impl Step {
    /// A new one.
    pub fn make(root: &Path) -> Result<Self, Error> {
        let name = format!("build-{}", &crate::engine::find::fresh_id()?[..16]);
        let folder = root.join("build/steps").join(&name);
        // Nobody takes it for a dead one's in the moment before its own lock is had.
        let _turn = turn(root)?;
        fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        let path = folder.join("job.json");
        let lock = File::options().read(true).write(true).create(true).truncate(true).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        lock.lock().or_sys_with(|| format!("lock {}", path.display()))?;
        Ok(Self { name, root: root.to_owned(), folder, lock })
    }

    /// Where its files may lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The upper directory of its container.
    pub fn upper(&self) -> Result<PathBuf, Error> {
        Ok(Container::find(&self.root, &self.name)?.folder().join("upper"))
    }

    /// Starts the process that runs the container; the reading end is all that the container writes.
    pub fn start(&self, program: &Path, job: &Job) -> Result<(std::process::Child, std::io::PipeReader), Error> {
        let (reader, writer) = std::io::pipe().or_sys("make a pipe")?;
        let text = serde_json::to_vec(job).map_err(|_| SysError::new("pass on the step", Errno::EINVAL))?;
        let mut input = self.lock.try_clone().or_sys("pass on the step")?;
        input.write_all(&text).and_then(|()| input.rewind()).or_sys("pass on the step")?;
        let mut command = Command::new(program);
        // Under this name it is the engine (see `lab/guest`).
        command.arg0("skiff").arg("--root").arg(&self.root).arg("build-run");
        command.stdin(input);
        command.stdout(writer.try_clone().or_sys("make a pipe")?).stderr(Stdio::from(writer));
        // Ctrl-C is the builder's to act on.
        let child = command.process_group(0).spawn().or_sys_with(|| format!("start {}", program.display()))?;
        Ok((child, reader))
    }

    /// How it went.
    pub fn outcome(&self) -> Result<i32, Error> {
        let text = fs::read(self.folder.join("outcome.json")).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(Outcome::Ended { code }) => Ok(code),
            Ok(Outcome::Failed { what, why, hint }) => Err(Error::Container { what, why, hint, place: String::new() }),
            Err(_) => Err(SysError::new("run the step: its process was killed", Errno::ECHILD).into()),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        remove_container(&self.root, &self.name);
        remove_tree(&self.folder);
    }
}

fn remove_container(root: &Path, name: &str) {
    if let Ok(container) = Container::find(root, name) {
        let _ = life::remove(&container, true, true);
    }
}

/// What is left of a step's container when its removal was cut short: it has lost its name by then, so
/// its ID was noted.
fn remove_rest(root: &Path, step: &Path) {
    let id = fs::read_to_string(step.join(CONTAINER)).unwrap_or_default();
    if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        let _ = crate::engine::steps::cgroup::undo(&id);
        remove_tree(&root.join("containers").join(id));
    }
}

/// Held while folders of steps are made or looked through.
fn turn(root: &Path) -> Result<File, SysError> {
    let steps = root.join("build/steps");
    fs::create_dir_all(&steps).or_sys_with(|| format!("make {}", steps.display()))?;
    let lock = File::open(&steps).or_sys_with(|| format!("open {}", steps.display()))?;
    lock.lock().or_sys_with(|| format!("lock {}", steps.display()))?;
    Ok(lock)
}

/// Removes what builds left that were killed.
pub fn sweep(root: &Path) {
    // Where nothing was ever built there is nothing to make for it.
    if !root.join("build/steps").exists() {
        return;
    }
    let Ok(_turn) = turn(root) else { return };
    for entry in fs::read_dir(root.join("build/steps")).into_iter().flatten().flatten() {
        // Without a job it was killed before it began.
        let job = File::open(entry.path().join("job.json"));
        let free = job.map_or(true, |job| job.try_lock().is_ok());
        if free {
            remove_container(root, &entry.file_name().to_string_lossy());
            remove_rest(root, &entry.path());
            remove_tree(&entry.path());
        }
    }
}

/// Removes a folder, also what only a user namespace's root may.
pub fn remove_tree(folder: &Path) {
    crate::engine::container::remove_tree(folder);
}

/// What this program does as `build-run`: reads a job from standard input, runs it, leaves its outcome
/// in the step's folder. The exit code says nothing.
pub fn child(root: &Path) -> Result<(), Error> {
    pidfd::die_with_parent(nix::sys::signal::Signal::SIGKILL)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).or_sys("read the step")?;
    let job: Job = serde_json::from_str(&text).map_err(|_| SysError::new("understand the step", Errno::EINVAL))?;
    if std::os::unix::process::parent_id() != job.builder {
        // It was killed before it could take us along.
        return Ok(());
    }
    let outcome = match carry_out(root, &job) {
        Ok(code) => Outcome::Ended { code },
        Err(error) => Outcome::Failed { what: error.to_string(), why: error.why(), hint: error.hint() },
    };
    let path = root.join("build/steps").join(&job.name).join("outcome.json");
    let text = serde_json::to_vec(&outcome).unwrap_or_default();
    Ok(fs::write(&path, text).or_sys_with(|| format!("write {}", path.display()))?)
}

fn carry_out(root: &Path, job: &Job) -> Result<i32, Error> {
    let host = Host::read()?;
    let layers: Vec<Layer> = job.layers.iter().filter_map(super::cache::LayerNote::layer).collect();
    let image = Store::open(root).image_of(&layers, ImageConfiguration::default())?;
    image.layer_dirs()?;
    let request = Request {
        image: "build".into(),
        name: Some(job.name.clone()),
        command: job.argv.clone(),
        entrypoint: Some(String::new()),
        env: job.env.clone(),
        workdir: Some(job.workdir.clone()),
        user: Some(job.user.clone()),
        hostname: Some("build".into()),
        network: job.network.network(),
        lookup: Lookup { hosts: job.hosts.clone(), ..Lookup::default() },
        binds: job.binds.iter().map(|(source, target, ro)| Bind { source: source.clone(), target: target.clone(), read_only: *ro, propagation: None }).collect(),
        tmpfs: job.tmpfs.iter().map(|(target, options)| Tmpfs { target: target.clone(), options: options.clone() }).collect(),
        ..Request::default()
    };
    let prepared = engine::prepare(root, &request, &image, &host)?;
    let note = root.join("build/steps").join(&job.name).join(CONTAINER);
    fs::write(&note, prepared.container.id()).or_sys_with(|| format!("write {}", note.display()))?;
    Ok(engine::foreground(prepared, &request)?)
}
