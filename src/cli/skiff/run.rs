//! `skiff run`: Docker's options, `--dry-run` and `--step`.

use super::settings::{self, Settings};
use super::{Outcome, boxed, clamp};
use crate::engine::error::Error;
use crate::engine::health::Check;
use crate::engine::host::Host;
use crate::engine::limits::{Wanted, limits};
use crate::engine::request::Request;
use crate::engine::restart::Policy as Restart;
use crate::engine::run as engine;
use crate::image::registry::Policy;
use crate::image::registry::manifest::Platform;
use crate::image::{Image, Store};
use crate::kernel::rlimit::Rlimit;
use crate::kernel::{Explain, OrSys};
use crate::kernel::units;
use crate::image::Progress;
use clap::Args;
use std::path::{Path, PathBuf};

// Options of `skiff run`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, override_usage = "skiff run [OPTIONS] <IMAGE> [COMMAND]...")]
pub struct Run {
    /// Print help (-h is the hostname, as in Docker)
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// The keys that leave the container and let it run [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true)]
    sig_proxy: bool,
    /// Print the plan and do nothing
    #[arg(long, conflicts_with = "step")]
    dry_run: bool,
    /// Stop before each step and show what it changed
    #[arg(long, conflicts_with = "detach")]
    step: bool,
    #[command(flatten)]
    options: Options,
}

// What `run` and `create` have in common.
#[derive(Debug, Args)]
pub struct Options {
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Its hostname
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// Set an environment variable; without a value, take ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// User, and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    #[command(flatten)]
    mounts: super::mounts::Mounts,
    /// Make the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Memory limit, such as 64m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// CPU time, such as 0.5 for half a core
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Share of CPU time when it is scarce; 1024 is everybody's
    #[arg(long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// At most so many processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    #[command(flatten)]
    networks: super::join::Joining,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=unconfined, seccomp=FILE, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Nearly everything that root on the host may do
    #[arg(long)]
    privileged: bool,
    /// Put an init in front of the command that passes signals on and reaps
    #[arg(long)]
    init: bool,
    /// Run this instead of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Resource limit, such as nofile=1024:2048
    #[arg(long, value_name = "TYPE=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// host: share the host's process ids
    #[arg(long, value_name = "host", value_parser = ["host"])]
    pid: Option<String>,
    /// host: share the host's shared memory
    #[arg(long, value_name = "host", value_parser = ["host", "private"])]
    ipc: Option<String>,
    /// host: share the host's name
    #[arg(long, value_name = "host", value_parser = ["host"])]
    uts: Option<String>,
    /// host: no user namespace, which is what root gets anyway
    #[arg(long, value_name = "host", value_parser = ["host"])]
    userns: Option<String>,
    /// always, missing, never: when a registry is asked for the image
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = super::registry::policy)]
    pull: Policy,
    /// Pull the image for another machine, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE", value_parser = super::registry::platform)]
    platform: Option<Platform>,
    #[command(flatten)]
    pub(super) settings: Settings,
    /// The image; what follows it is the command with its arguments, options and all
    // One list, because with two an option right after the image would be taken for skiff's own.
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE")]
    words: Vec<String>,
}

impl Run {
    /// True if others than this process may change the container's files, or enter it, before its
    /// command starts.
    pub fn shares_files(&self) -> bool {
        let options = &self.options;
        self.step || options.privileged || options.pid.is_some() || options.mounts.shared()
    }
}

/// Runs it.
pub fn run(args: Run, root: &Path) -> Outcome {
    if args.step {
        super::whole::needed()?;
    }
    let (dry_run, step, detach) = (args.dry_run, args.step, args.detach);
    let (keys, sig_proxy) = (super::attach::keys(args.detach_keys.as_deref())?, args.sig_proxy);
    let id_file = args.options.settings.cidfile();
    let (request, image, host) = asked(args.options, detach, root)?;
    // The monitor will enter it, or start it again with what it wrote.
    if request.restart != Restart::No || Check::effective(&request.health, root, &image).is_some() {
        super::seal();
    }
    let id_file = settings::id_file(id_file).map_err(boxed)?;
    if dry_run {
        let plan = engine::plan(root, &request, &image, &host).map_err(boxed)?;
        super::show::plan(&plan.about());
        return Ok(0);
    }
    if request.tty && !request.detach && request.interactive && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(boxed(Error::NoTerminal));
    }
    let prepared = engine::prepare(root, &request, &image, &host).map_err(boxed)?;
    settings::write_id(id_file, prepared.container.id()).map_err(boxed)?;
    if step {
        return super::whole::stepwise(prepared, &request);
    }
    if request.detach {
        let id = prepared.container.id().to_owned();
        crate::engine::monitor::detached(prepared, &request).map_err(boxed)?;
        println!("{id}");
        return Ok(0);
    }
    if !sig_proxy || engine::wants_monitor(&prepared, &request) {
        return super::attach::accompany(prepared, &request, request.interactive, keys, sig_proxy);
    }
    engine::foreground(prepared, &request).map(clamp).map_err(boxed)
}

/// What was asked for, the image, and the machine that it is asked of.
pub(super) fn asked(options: Options, detach: bool, root: &Path) -> Result<(Request, Image, Host), Box<dyn Explain>> {
    let (policy, platform) = (options.pull, options.platform.clone());
    let request = Request { detach, ..request(options, root).map_err(boxed)? };
    let host = Host::read().map_err(boxed)?;
    std::fs::create_dir_all(root).or_sys_with(|| format!("make {}", root.display())).map_err(|e| boxed(Error::from(e)))?;
    let image = super::whole::image(root, &request.image, policy, platform.as_ref())?;
    if host.rootless && request.privileged {
        // Docker's word means real root; say what it means here rather than to refuse.
        eprintln!("note: rootless --privileged is root of a user namespace only");
    }
    Ok((request, image, host))
}

/// An image that is here; `base` is made on the spot when it is not there yet.
pub fn find_image(root: &Path, name: &str) -> Result<Image, Box<dyn Explain>> {
    Store::open(root).obtain(name, &mut |progress| eprintln!("{}", told(&progress))).map_err(boxed)
}

/// One line for each thing that happened while `base` was made.
pub fn told(progress: &Progress) -> String {
    match progress {
        Progress::MadeFrom { program, commands } => format!("making the image base from {} ({commands} commands)", program.display()),
        Progress::Layer { what, diff_id, size } => {
            format!("  layer {} {what}, {}", &diff_id.digest()[..12], units::docker_size(*size))
        }
        Progress::Made { digest } => format!("  base: {digest}"),
    }
}

fn request(args: Options, root: &Path) -> Result<Request, Error> {
    let mut words = args.words.clone().into_iter();
    let image = words.next().unwrap_or_default();
    let mut request = Request {
        limits: limits(&Wanted { memory: args.memory.as_deref(), memory_swap: args.memory_swap.as_deref(), cpus: args.cpus.as_deref(), cpu_shares: args.cpu_shares, pids: args.pids_limit })?,
        network: args.networks.asked(root)?,
        lookup: args.networks.lookup(root)?,
        env: environment(&args)?,
        image,
        command: words.collect(),
        entrypoint: args.entrypoint,
        name: args.name,
        hostname: args.hostname,
        workdir: args.workdir,
        user: args.user,
        read_only: args.read_only,
        cap_add: args.cap_add,
        cap_drop: args.cap_drop,
        privileged: args.privileged,
        init: args.init,
        tty: args.tty,
        interactive: args.interactive,
        remove: args.rm,
        ulimits: args.ulimit,
        told: Some(|note| eprintln!("note: {note}")),
        host_pid: args.pid.is_some(),
        host_ipc: args.ipc.as_deref() == Some("host"),
        host_uts: args.uts.is_some(),
        program: crate::kernel::sealed::program()?,
        ..Request::default()
    };
    args.settings.apply(&mut request)?;
    for limit in request.ulimits.iter().flat_map(|text| Rlimit::parse(text)) {
        if let Some(clipped) = limit.clipped()? {
            eprintln!("warning: --ulimit {limit} is more than this host allows without CAP_SYS_RESOURCE; it will be {clipped}");
        }
    }
    if let Some(dir) = request.workdir.as_ref().filter(|d| !d.is_absolute()) {
        return Err(option("--workdir", &dir.to_string_lossy(), "it is not absolute", "--workdir /app"));
    }
    args.mounts.ask(&mut request)?;
    for opt in &args.security_opt {
        request.secure(opt)?;
    }
    Ok(request)
}

pub(super) fn option(option: &'static str, value: &str, reason: &str, example: &'static str) -> Error {
    Error::Option { option, value: value.to_owned(), reason: reason.to_owned(), example }
}

/// Files first, then -e, so that the command line has the last word.
fn environment(args: &Options) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for file in &args.env_file {
        let text = std::fs::read_to_string(file).or_sys_with(|| format!("read {}", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let name = line.split('=').next().unwrap_or_default();
            if name.is_empty() || name.contains(char::is_whitespace) {
                let place = format!("{}:{}", file.display(), number + 1);
                return Err(option("--env-file", &place, &format!("{name:?} is no variable's name"), "a line is NAME=value"));
            }
            all.extend(taken(line));
        }
    }
    for setting in &args.env {
        if setting.is_empty() || setting.starts_with('=') {
            return Err(option("--env", setting, "it has no name", "-e NAME=value"));
        }
        all.extend(taken(setting));
    }
    Ok(all)
}

/// `NAME` alone takes our own value, or nothing if we have none.
pub(super) fn taken(setting: &str) -> Option<String> {
    if setting.contains('=') {
        return Some(setting.to_owned());
    }
    std::env::var(setting).ok().map(|value| format!("{setting}={value}"))
}
