//! RUN as a step: what the command sees is its key; its mounts are made ready, and leave no trace.

use super::cache::{Ingredient, LayerNote};
use super::copy::{self, Where};
use super::dockerfile::{Command, Heredoc, What};
use super::instruct::PREDEFINED;
use super::mounts::{self, Kind, Mount, Sharing};
use super::run::{Job, Net, Step};
use super::solve::Build;
use super::step::{At, Shown, State, Variables, Wanted};
use super::traces::Traces;
use super::tree::Tree;
use super::{Error, copy::Gathered};
use crate::image::changes;
use crate::image::layer::{self, Layer};
use crate::kernel::OrSys;
use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, Permissions, TryLockError};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many of its last lines a failed command shows.
const TAIL: usize = 20;

/// How often a cache that another step has is asked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A RUN, understood.
struct Asked {
    argv: Vec<String>,
    /// A here-document that is a program of its own: its content.
    script: Option<String>,
    env: Vec<(String, String)>,
    mounts: Vec<(Mount, Vec<Gathered>)>,
    network: Net,
    shown: String,
}

/// Files that must stay for as long as the command runs.
#[derive(Default)]
struct Ready {
    binds: Vec<(PathBuf, PathBuf, bool)>,
    tmpfs: Vec<(PathBuf, Vec<String>)>,
    locks: Vec<File>,
    env: Vec<String>,
}

impl<'a> Build<'a> {
    pub(super) fn run(&'a self, at: At<'_>, state: &mut State, variables: &Variables) -> Result<(), Error> {
        let asked = self.asked(at, state, variables)?;
        let mut ingredients: Vec<Ingredient> = vec![
            ("instruction".into(), asked.shown.clone()),
            ("command".into(), serde_json::json!(asked.argv).to_string()),
            ("working directory".into(), state.config.workdir().into()),
            ("user".into(), state.config.user().into()),
            ("network".into(), asked.network.word().into()),
        ];
        let hosts: Vec<String> = self.options.hosts.iter().map(|(name, address)| format!("{address}\t{name}")).collect();
        if !hosts.is_empty() {
            ingredients.push(("hosts".into(), hosts.join(", ")));
        }
        ingredients.extend(asked.script.iter().map(|s| ("script".to_owned(), s.clone())));
        let args = variables.visible_args();
        for (name, value) in asked.env.iter().filter(|(n, _)| !PREDEFINED.contains(&n.as_str()) || args.contains_key(n)) {
            let kind = if args.contains_key(name) { "ARG" } else { "ENV" };
            ingredients.push((format!("{kind} {name}"), value.clone()));
        }
        for (mount, sources) in &asked.mounts {
            ingredients.push((format!("mount {}", mount.target.display()), format!("{:?}", mount.kind)));
            for source in sources {
                ingredients.extend(source.digests(true)?.into_iter().map(|(path, digest)| (format!("file {path}"), digest)));
            }
        }
        ingredients.push(state.parent());
        let shell: Vec<String> = args.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let lead = if shell.is_empty() { String::new() } else { format!("|{} {} ", shell.len(), shell.join(" ")) };
        let wanted = Wanted { shown: asked.shown.clone(), ingredients, by: format!("RUN {lead}{}", asked.argv.join(" ")) };
        let (layers, user, workdir) = (state.layers.clone(), state.config.user().to_owned(), PathBuf::from(state.config.workdir()));
        self.step(at, state, wanted, |shown| {
            let base = Job { layers: layers.iter().map(LayerNote::of).collect(), user, workdir, ..Job::default() };
            self.make_run(at, &asked, base, &layers, shown).map(Some)
        })
    }

    fn asked(&'a self, at: At<'_>, state: &State, variables: &Variables) -> Result<Asked, Error> {
        let What::Run { flags, command, heredocs } = &at.instruction.what else { return Err(at.wrong("not a RUN")) };
        let mut mounts = Vec::new();
        let mut network = self.options.network.clone();
        for flag in flags {
            let value = at.expand(flag.value.as_deref().unwrap_or_default(), variables)?;
            let wrong = |problem: String| at.fault(at.wrong_word(flag.at, flag.name.len() + value.len() + 3, problem));
            match (flag.name.as_str(), value.as_str()) {
                ("mount", text) => {
                    let mount = mounts::parse(text, state.config.workdir()).map_err(wrong)?;
                    let sources = self.bind_sources(at, &mount).map_err(wrong)?;
                    mounts.push((mount, sources));
                }
                ("network", "default") => network = self.options.network.clone(),
                // A build without a network has none, whatever its file says.
                ("network", "host") if self.options.network != Net::None => network = Net::Host,
                ("network", "host" | "none") => network = Net::None,
                ("security", "sandbox") => {}
                (name, other) => return Err(wrong(format!("--{name}={other} is not done here"))),
            }
        }
        let (argv, script) = argv(state, command, heredocs);
        let mut env: Vec<(String, String)> = state.config.env();
        env.extend(variables.visible_args());
        let given = |name: &&&str| !env.iter().any(|(n, _)| n == **name);
        let proxies: Vec<(String, String)> =
            PREDEFINED.iter().filter(given).filter_map(|n| self.options.args.get(*n).map(|v| ((*n).to_owned(), v.clone()))).collect();
        env.extend(proxies);
        let mut shown = at.instruction.to_string();
        shown.extend(heredocs.iter().map(|h| format!(" ({} lines)", h.content.lines().count())));
        Ok(Asked { argv, script, env, mounts, network, shown })
    }

    /// What a bind mount shows.
    fn bind_sources(&self, at: At<'_>, mount: &Mount) -> Result<Vec<Gathered>, String> {
        let Kind::Bind { from, source, .. } = &mount.kind else { return Ok(Vec::new()) };
        let tree = match from {
            None => Tree::of_context(&self.options.context, self.options.ignore.clone()),
            Some(from) => {
                let origin = self.stages.origin(from, at.stage)?;
                self.tree_of(&origin).map_err(|e| e.to_string())?
            }
        };
        let source = if source.is_empty() { "." } else { source };
        Ok(vec![copy::from_path(&tree, source).map_err(|_| format!("{source:?}: not found"))?])
    }

    fn make_run(&'a self, at: At<'_>, asked: &Asked, mut job: Job, layers: &[Layer], shown: &Shown<'_>) -> Result<Layer, Error> {
        let stage = self.tree(layers)?;
        let step = Step::make(&self.options.root)?;
        let ready = self.make_ready(at, asked, &step)?;
        let targets: Vec<PathBuf> = ready.binds.iter().map(|(_, to, _)| to.clone()).chain(ready.tmpfs.iter().map(|(to, _)| to.clone())).collect();
        let traces = Traces::of(&stage, &targets);
        job.name = step.name.clone();
        job.builder = std::process::id();
        job.argv = asked.argv.clone();
        job.env = asked.env.iter().map(|(n, v)| format!("{n}={v}")).chain(ready.env.clone()).collect();
        job.network = asked.network.clone();
        job.hosts = self.options.hosts.clone();
        job.binds = ready.binds.clone();
        job.tmpfs = ready.tmpfs.clone();
        let (mut child, output) = step.start(&self.options.program, &job)?;
        let watched = self.halt.watch(child.id())?;
        let tail = follow(output, shown);
        child.wait().or_sys("wait for the step")?;
        drop(watched);
        self.halt.check()?;
        let place = at.place();
        match step.outcome().map_err(|error| error.placed(&place))? {
            0 => {}
            code => {
                let step = format!("{} {}", self.prefix(at.stage, at.number), asked.shown);
                return Err(Error::Run { place, command: asked.argv.join(" "), code, tail, step });
            }
        }
        let upper = step.upper()?;
        traces.remove(&upper, &stage)?;
        if let Some(epoch) = self.options.epoch {
            copy::clamp(&upper, epoch)?;
        }
        self.store_layer(|writer| Ok(changes::write_layer(&upper, writer)?))
    }

    fn make_ready(&self, at: At<'_>, asked: &Asked, step: &Step) -> Result<Ready, Error> {
        let mut ready = Ready { locks: self.locks(&asked.mounts)?, ..Ready::default() };
        if let Some(script) = &asked.script {
            let path = step.folder().join("script");
            write(&path, script.as_bytes(), 0o755)?;
            ready.binds.push((path, SCRIPT.into(), true));
        }
        for (number, (mount, sources)) in asked.mounts.iter().enumerate() {
            let target = mount.target.clone();
            match &mount.kind {
                Kind::Bind { writable, .. } => {
                    let path = materialize(&step.folder().join(format!("bind-{number}")), sources).map_err(|problem| at.wrong(problem))?;
                    ready.binds.push((path, target, !writable));
                }
                Kind::Tmpfs { size } => {
                    let mut options = vec!["exec".to_owned()];
                    options.extend(size.iter().map(|s| format!("size={s}")));
                    ready.tmpfs.push((target, options));
                }
                Kind::Cache { id, sharing, mode, uid, gid, read_only } => {
                    let private = step.folder().join(format!("private-{number}"));
                    let (path, lock) = self.cache_mount(id, *sharing, private)?;
                    if !path.exists() {
                        fs::create_dir_all(&path).or_sys_with(|| format!("make {}", path.display()))?;
                        own(&path, *mode, *uid, *gid)?;
                    }
                    ready.locks.extend(lock);
                    ready.binds.push((path, target, *read_only));
                }
                Kind::Secret { id, required, mode, uid, gid, env, file } => {
                    let Some(content) = self.options.secrets.get(id) else {
                        if *required {
                            return Err(at.wrong(format!("secret {id}: not found; --secret id={id},src=FILE gives it")));
                        }
                        continue;
                    };
                    if let Some(name) = env {
                        ready.env.push(format!("{name}={}", String::from_utf8_lossy(content)));
                    }
                    if *file {
                        let path = step.folder().join(format!("secret-{number}"));
                        write(&path, content, 0o600)?;
                        own(&path, *mode, *uid, *gid)?;
                        ready.binds.push((path, target, true));
                    }
                }
            }
        }
        Ok(ready)
    }

    /// The locks of the caches that may not be shared. Each is taken once and in the order of their
    /// names, before any other is held: so no two steps ever wait for each other.
    fn locks(&self, mounts: &[(Mount, Vec<Gathered>)]) -> Result<Vec<File>, Error> {
        let locked = mounts.iter().filter_map(|(mount, _)| match &mount.kind {
            Kind::Cache { id, sharing: Sharing::Locked, .. } => Some(id.as_str()),
            _ => None,
        });
        let mut locks = Vec::new();
        for id in locked.collect::<BTreeSet<_>>() {
            let folder = self.cache_folder(id)?;
            let lock = File::open(&folder).or_sys_with(|| format!("open {}", folder.display()))?;
            // The one that has it may be slow, or another build: flock(2) cannot wait for two things, and
            // whoever waits here must hear that the build is to end.
            while let Err(TryLockError::WouldBlock) = lock.try_lock() {
                self.halt.check()?;
                std::thread::sleep(LOOK_AGAIN);
            }
            locks.push(lock);
        }
        Ok(locks)
    }

    fn cache_folder(&self, id: &str) -> Result<PathBuf, Error> {
        let folder = self.cache.folder().join("mounts").join(layer::digest(id.as_bytes()).digest());
        fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }

    /// The folder of a cache mount, and the lock of a private one; where another has that, `private`.
    fn cache_mount(&self, id: &str, sharing: Sharing, private: PathBuf) -> Result<(PathBuf, Option<File>), Error> {
        let folder = self.cache_folder(id)?;
        let files = folder.join("files");
        if sharing != Sharing::Private {
            return Ok((files, None));
        }
        let lock = File::open(&folder).or_sys_with(|| format!("open {}", folder.display()))?;
        Ok(if lock.try_lock().is_ok() { (files, Some(lock)) } else { (private, None) })
    }
}

/// Where a here-document with a line `#!` is put, to be executed.
const SCRIPT: &str = "/dev/pipes/EOF";

/// The words of the command. One that is a here-document alone is the document.
fn argv(state: &State, command: &Command, heredocs: &[Heredoc]) -> (Vec<String>, Option<String>) {
    let (Command::Shell(text), Some(first)) = (command, heredocs.first()) else { return (state.config.argv(command), None) };
    let alone = heredocs.len() == 1 && text.starts_with("<<") && !text.contains(char::is_whitespace);
    if alone && first.content.starts_with("#!") {
        return (vec![SCRIPT.to_owned()], Some(first.content.clone()));
    }
    if alone {
        return (state.config.argv(&Command::Shell(first.content.clone())), None);
    }
    // The shell reads them itself, where they stood.
    let mut whole = text.clone();
    for document in heredocs {
        whole.push_str(&format!("\n{}{}", document.content, document.name));
    }
    (state.config.argv(&Command::Shell(whole)), None)
}

/// Passes on what the command writes, and keeps its last lines.
fn follow(mut output: impl Read, shown: &Shown<'_>) -> Vec<String> {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut buffer = [0; 8192];
    loop {
        match output.read(&mut buffer) {
            Ok(n) if n > 0 => {
                shown.output(&buffer[..n]);
                kept.extend(&buffer[..n]);
                let extra = kept.len().saturating_sub(1 << 16);
                kept.drain(..extra);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(TAIL)..].to_vec()
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(content).and_then(|()| file.set_permissions(Permissions::from_mode(mode))));
    Ok(written.or_sys_with(|| format!("write {}", path.display()))?)
}

/// Owner and mode, as far as this user may give them.
fn own(path: &Path, mode: u32, uid: u32, gid: u32) -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).or_sys_with(|| format!("give {} to {uid}:{gid}", path.display()))?;
    }
    Ok(fs::set_permissions(path, Permissions::from_mode(mode)).or_sys_with(|| format!("set the mode of {}", path.display()))?)
}

/// Copies what a bind mount shows: so the context stays as it is, whatever the command writes.
fn materialize(folder: &Path, sources: &[Gathered]) -> Result<PathBuf, String> {
    let is_file = sources.iter().all(|s| !s.is_folder);
    let to = Where { to: PathBuf::from(if is_file { "/file" } else { "/" }), keep_owner: true, is_folder: !is_file, ..Where::default() };
    let placed = copy::place(&Tree::default(), sources, &to)?;
    copy::materialize(&placed, folder).map_err(|e| e.to_string())?;
    Ok(if is_file { folder.join("file") } else { folder.to_owned() })
}
