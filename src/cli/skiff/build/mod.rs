//! `skiff build` and `skiff builder prune`: Docker's options, BuildKit's output.

mod draw;

use super::{Outcome, boxed};
use crate::build::config::cleaned;
use crate::build::dockerfile::Dockerfile;
use crate::build::run::Net;
use crate::build::{Error, Halt, Options, cache, run as steps, solve, source};
use crate::engine::network::Networks;
use crate::engine::network::etc::HOST_GATEWAY;
use crate::image::registry::Policy;
use crate::image::registry::obtain::obtain;
use crate::image::{Reference, Store};
use crate::kernel::{OrSys, units};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

// Options of `skiff build`.
#[derive(Debug, Args)]
pub struct Build {
    /// The Dockerfile, - for standard input [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The image's name; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Vec<String>,
    /// Build this stage and what it needs
    #[arg(long, value_name = "STAGE")]
    pub(super) target: Option<String>,
    /// Set an ARG; without a value, take ours
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) build_arg: Vec<String>,
    /// Set a label of the image
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) label: Vec<String>,
    /// Do every step again
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Ask a registry for newer base images
    #[arg(long)]
    pub(super) pull: bool,
    /// Say for each step why it was, or was not, taken from the cache
    #[arg(long)]
    pub(super) explain: bool,
    /// How to show progress
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = ["auto", "plain", "tty", "quiet"])]
    pub(super) progress: String,
    /// Print the image's ID, and nothing else
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Write the image's ID to a file
    #[arg(long, value_name = "FILE")]
    pub(super) iidfile: Option<PathBuf>,
    /// A file or variable for RUN --mount=type=secret: id=NAME[,src=FILE|,env=NAME]
    #[arg(long, value_name = "OPTIONS")]
    pub(super) secret: Vec<String>,
    /// The network of RUN: default (the bridge; the host's without root), host, none, or a network's name
    #[arg(long, value_name = "NETWORK", default_value = "default")]
    pub(super) network: String,
    /// A line of /etc/hosts for RUN: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub(super) add_host: Vec<String>,
    /// The platform; only this machine's own
    #[arg(long, value_name = "PLATFORM")]
    pub(super) platform: Option<String>,
    /// As with Docker: containers of RUN are always removed
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub(super) rm: Option<String>,
    /// The context: a folder, or - for an archive (or a Dockerfile) on standard input
    #[arg(value_name = "CONTEXT")]
    pub(super) context: String,
}

impl Build {
    /// A build of this context, with nothing else asked for.
    pub(super) fn at(context: &str) -> Self {
        Self {
            file: None,
            tag: Vec::new(),
            target: None,
            build_arg: Vec::new(),
            label: Vec::new(),
            no_cache: false,
            pull: false,
            explain: false,
            progress: "auto".into(),
            quiet: false,
            iidfile: None,
            secret: Vec::new(),
            network: "default".into(),
            add_host: Vec::new(),
            platform: None,
            rm: None,
            context: context.to_owned(),
        }
    }
}

/// `skiff builder …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Builder {
    /// Remove what builds have kept: layers that no image has, records, cache mounts
    Prune(Prune),
}

// Options of `skiff builder prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// As with Docker; everything is removed anyway
    #[arg(short, long)]
    all: bool,
}

/// Builds.
pub fn run(args: Build, root: &Path) -> Outcome {
    // Before any thread: all of them shall leave these to the one that waits for them.
    let halt = Arc::new(Halt::default());
    watch_signals(&halt)?;
    std::fs::create_dir_all(root).or_sys_with(|| format!("make {}", root.display())).map_err(boxed)?;
    let given = Given::of(&args, root).map_err(boxed)?;
    let file = Dockerfile::parse(&given.name, &given.text).map_err(|f| boxed(Error::fault(&f, &given.name, &given.text)))?;
    let options = options(&args, &given, root).map_err(boxed)?;
    let kind = draw::Kind::of(&args.progress, args.quiet, std::io::stderr().is_terminal());
    let policy = if args.pull { Policy::Always } else { Policy::Missing };
    let settings = super::registry::settings;
    let get = |store: &Store, name: &str, note: &(dyn Fn(String) + Sync)| {
        obtain(store, name, policy, None, &settings, &|event| super::registry::line(&event).into_iter().for_each(note))
    };
    let work = |tell| solve::build(&options, &file, &get, &halt, tell);
    let built = draw::with(kind, work).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let built = built.inspect_err(|error| draw::failure(kind, error)).map_err(boxed)?;
    if let Some(path) = &args.iidfile {
        std::fs::write(path, built.id.to_string()).or_sys_with(|| format!("write {}", path.display())).map_err(boxed)?;
    }
    for tag in &options.tags {
        crate::daemon::say::event::image(root, "tag", built.id.as_ref(), &tag.key());
    }
    if args.quiet {
        println!("{}", built.id);
    }
    Ok(0)
}

/// `skiff builder prune`.
pub fn builder(args: &Builder, root: &Path) -> Outcome {
    let Builder::Prune(prune) = args;
    if !prune.force && !confirmed() {
        return Ok(0);
    }
    let pruned = cache::prune(root).map_err(boxed)?;
    pruned.keys.iter().for_each(|key| println!("{}", &key[..key.len().min(25)]));
    println!("Total:\t{}", units::docker_size(pruned.bytes));
    Ok(0)
}

/// Asks; without a terminal nothing goes.
fn confirmed() -> bool {
    println!("WARNING! This will remove all build cache.");
    if !std::io::stdin().is_terminal() {
        println!("Nothing was removed: there is no terminal to ask at. Use --force.");
        return false;
    }
    crate::cli::out::agreed("Are you sure you want to continue?")
}

/// Ctrl-C and its like end the build, with all that it started. A second one ends this program.
fn watch_signals(halt: &Arc<Halt>) -> Result<(), Box<dyn crate::kernel::Explain>> {
    use nix::sys::signal::{SigSet, Signal};
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    set.thread_block().or_sys("block signals").map_err(boxed)?;
    let halt = Arc::clone(halt);
    std::thread::spawn(move || {
        if set.wait().is_ok() {
            halt.interrupt();
            if !halt.is_fetching() {
                let _ = set.wait();
            }
            std::process::exit(130);
        }
    });
    Ok(())
}

/// What stands on the command line and standard input, read.
struct Given {
    name: String,
    text: String,
    context: PathBuf,
    /// Where the context came from, for the record.
    from: String,
    dockerfile: Option<PathBuf>,
    /// Holds the folder of a context that was an archive.
    _unpacked: Option<steps::Step>,
}

impl Given {
    fn of(args: &Build, root: &Path) -> Result<Self, Error> {
        let stdin_file = args.file.as_deref() == Some(Path::new("-"));
        if args.context == "-" {
            if stdin_file {
                return Err(Error::Context { problem: "the Dockerfile and the context cannot both be standard input".into() });
            }
            return Self::of_stdin(args, root);
        }
        if ["http://", "https://", "git@", "git://"].iter().any(|p| args.context.starts_with(p)) {
            return Err(Error::Context { problem: format!("{} is not a folder, and nothing is fetched here", args.context) });
        }
        let context = Path::new(&args.context);
        match std::fs::metadata(context) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(Error::Context { problem: format!("{} is not a folder", args.context) }),
            Err(_) => return Err(Error::Context { problem: format!("path {:?} not found", args.context) }),
        }
        let context = context.canonicalize().or_sys_with(|| format!("open {}", args.context))?;
        if stdin_file {
            let text = source::text(stdin()?, "-")?;
            return Ok(Self { name: "Dockerfile".into(), text, from: context.display().to_string(), context, dockerfile: None, _unpacked: None });
        }
        let path = args.file.clone().unwrap_or_else(|| Path::new(&args.context).join("Dockerfile"));
        let text = source::dockerfile(&context, &path)?;
        let name = path.display().to_string().trim_start_matches("./").to_owned();
        Ok(Self { name, text, from: context.display().to_string(), context, dockerfile: Some(path), _unpacked: None })
    }

    /// Standard input is an archive, or a Dockerfile without a context.
    fn of_stdin(args: &Build, root: &Path) -> Result<Self, Error> {
        if std::io::stdin().is_terminal() {
            return Err(Error::Context { problem: "an archive is not typed into a terminal".into() });
        }
        let mut start = Vec::new();
        std::io::stdin().lock().take(512).read_to_end(&mut start).or_sys("read standard input")?;
        let step = steps::Step::make(root)?;
        let folder = step.folder().canonicalize().or_sys_with(|| format!("open {}", step.folder().display()))?;
        let context = folder.join("context");
        std::fs::create_dir(&context).or_sys_with(|| format!("make {}", context.display()))?;
        if !source::is_archive(&start) {
            start.extend(stdin()?);
            let text = source::text(start, "-")?;
            return Ok(Self { name: "Dockerfile".into(), text, from: "-".into(), context, dockerfile: None, _unpacked: Some(step) });
        }
        source::unpack_context(&context, std::io::Cursor::new(start).chain(std::io::stdin()))?;
        let name = args.file.clone().unwrap_or_else(|| "Dockerfile".into());
        // Whatever is named, it is in the archive: nothing of the host is read in its place.
        let path = context.join(cleaned(&name.to_string_lossy()).trim_start_matches('/'));
        let text = source::dockerfile(&context, &path)?;
        Ok(Self { name: name.display().to_string(), text, from: "-".into(), context, dockerfile: Some(path), _unpacked: Some(step) })
    }
}

fn stdin() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).or_sys("read standard input")?;
    Ok(bytes)
}

fn options(args: &Build, given: &Given, root: &Path) -> Result<Options, Error> {
    let tags = args.tag.iter().map(|t| t.parse::<Reference>()).collect::<Result<Vec<_>, _>>()?;
    if let Some(platform) = &args.platform {
        check_platform(platform)?;
    }
    let mut build_args = pairs(&args.build_arg, true);
    let epoch = match build_args.get("SOURCE_DATE_EPOCH").cloned().or_else(|| std::env::var("SOURCE_DATE_EPOCH").ok()) {
        None => None,
        Some(text) => Some(text.parse::<i64>().ok().filter(|n| *n >= 0).ok_or_else(|| Error::Option {
            option: "SOURCE_DATE_EPOCH",
            value: text.clone(),
            problem: "it is not a number of seconds since 1970".into(),
            example: "SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) skiff build .",
        })?),
    };
    if let Some(epoch) = epoch {
        build_args.insert("SOURCE_DATE_EPOCH".into(), epoch.to_string());
    }
    Ok(Options {
        root: root.to_owned(),
        program: crate::kernel::sealed::program()?,
        context: given.context.clone(),
        remembered_as: format!("{}\n{}\n{}", given.from, given.name, args.target.as_deref().unwrap_or_default()),
        ignore: source::ignore(&given.context, given.dockerfile.as_deref())?,
        tags,
        target: args.target.clone(),
        args: build_args,
        labels: pairs(&args.label, false),
        no_cache: args.no_cache,
        network: network(&args.network, root)?,
        hosts: args.add_host.iter().map(|text| host(text)).collect::<Result<_, _>>()?,
        secrets: args.secret.iter().map(|text| secret(text)).collect::<Result<_, _>>()?,
        epoch,
        explain: args.explain,
    })
}

/// `NAME=value`; a bare name takes our own value, if that is asked for and there is one.
fn pairs(list: &[String], ours: bool) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None if ours => std::env::var(text).ok().map(|value| (text.clone(), value)),
        None => Some((text.clone(), String::new())),
    };
    list.iter().filter_map(pair).collect()
}

fn check_platform(text: &str) -> Result<(), Error> {
    let own = crate::build::stage::platform();
    if text == own[0].1 || text == own[2].1 || text == "linux" {
        return Ok(());
    }
    Err(Error::Option { option: "--platform", value: text.into(), problem: format!("this machine builds for {}", own[0].1), example: "leave it out" })
}

/// The network of RUN; one with a name must be there.
fn network(text: &str, root: &Path) -> Result<Net, Error> {
    let net = Net::parse(text);
    if let Net::Named(name) = &net {
        Networks::open(root).find(name).map_err(crate::engine::Error::from)?;
    }
    Ok(net)
}

fn host(text: &str) -> Result<(String, String), Error> {
    let (name, address) = text.split_once([':', '=']).unwrap_or((text, ""));
    let address = address.trim_matches(['[', ']']);
    if name.is_empty() || name.contains(char::is_whitespace) || (address != HOST_GATEWAY && address.parse::<std::net::IpAddr>().is_err()) {
        let problem = "it is not NAME:ADDRESS".to_owned();
        return Err(Error::Option { option: "--add-host", value: text.into(), problem, example: "--add-host db:10.0.0.5" });
    }
    Ok((name.to_owned(), address.to_owned()))
}

fn secret(text: &str) -> Result<(String, Vec<u8>), Error> {
    let wrong = |problem: String| Error::Option { option: "--secret", value: text.into(), problem, example: "--secret id=token,src=token.txt" };
    let fields: BTreeMap<&str, &str> = text.split(',').filter_map(|part| part.split_once('=')).collect();
    let source = fields.get("src").or(fields.get("source"));
    let id = fields.get("id").or(source).ok_or_else(|| wrong("it needs an id".into()))?;
    if let Some(name) = fields.get("env") {
        let value = std::env::var(name).map_err(|_| wrong(format!("there is no variable {name}")))?;
        return Ok(((*id).to_owned(), value.into_bytes()));
    }
    match source {
        Some(path) => match std::fs::read(path) {
            Ok(content) => Ok(((*id).to_owned(), content)),
            Err(e) => Err(wrong(format!("{path}: {e}"))),
        },
        // Docker takes a variable of the same name, else a file of it.
        None => match std::env::var(id) {
            Ok(value) => Ok(((*id).to_owned(), value.into_bytes())),
            Err(_) => std::fs::read(id).map(|content| ((*id).to_owned(), content)).map_err(|e| wrong(format!("{id}: {e}"))),
        },
    }
}

