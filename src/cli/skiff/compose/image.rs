//! `skiff compose build` and `pull`, and the images that `up` needs.
//!
//! A build runs in a process of its own: it has threads and leaves signals to one of them, and what
//! starts containers later must have neither.

use super::super::build::Build as Plain;
use super::super::registry;
use super::super::{Outcome, boxed};
use super::Session;
use crate::cli::error::show;
use crate::compose::found::{tell, told};
use crate::compose::model::{Build as Asked, Service};
use crate::compose::{Error, Project};
use crate::image::registry::Policy;
use crate::image::{Image, Store};
use crate::kernel::pidfd::{self, Fork, Pidfd, exit_code};
use crate::kernel::{Explain, OrSys};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};

// Options of `skiff compose build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Do every step again
    #[arg(long)]
    no_cache: bool,
    /// Ask a registry for newer base images
    #[arg(long)]
    pull: bool,
    /// Set an ARG; without a value, take ours
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Also what they depend on
    #[arg(long)]
    with_dependencies: bool,
    /// The services; all that have a `build`
    services: Vec<String>,
}

// Options of `skiff compose pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Go on with the next after one that cannot be had
    #[arg(long)]
    ignore_pull_failures: bool,
    /// Leave out services that can be built
    #[arg(long)]
    ignore_buildable: bool,
    /// Also what they depend on
    #[arg(long)]
    include_deps: bool,
    /// Ask only for what is not here: missing, always
    #[arg(long, value_name = "WHEN", default_value = "always", value_parser = ["always", "missing"])]
    policy: String,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// The services
    services: Vec<String>,
}

/// Builds the images.
pub fn build(session: &Session<'_>, args: &Build) -> Outcome {
    let project = session.load(&args.services)?;
    let wanted = project.selected(&args.services, args.with_dependencies);
    let mut built = false;
    for name in project.order().map_err(boxed)?.iter().filter(|n| wanted.contains(*n)) {
        let Some(service) = project.services.get(name) else { continue };
        if service.build.is_some() {
            one(session, &project, name, service, args).map_err(boxed)?;
            built = true;
        }
    }
    if !built {
        session.line("No services to build");
    }
    Ok(0)
}

/// Builds one, in a child.
fn one(session: &Session<'_>, project: &Project, name: &str, service: &Service, args: &Build) -> Result<(), Error> {
    let Some(build) = &service.build else { return Ok(()) };
    let image = service.image_name(&project.name, name);
    let plain = plain(project, name, build, &image, args)?;
    told(&|event| session.event(event), "Image", &image, ("Building", "Built"), || match pidfd::fork()? {
        Fork::Child => {
            let given = build.dockerfile_inline.as_deref().map_or(Ok(()), stand_in);
            let done = given.map_err(|e| boxed(Error::from(e))).and_then(|()| super::super::build::run(plain, session.root));
            let code = done.unwrap_or_else(|error| {
                show(error.as_ref());
                error.exit_code()
            });
            let _ = std::io::stdout().flush();
            pidfd::exit_now(code.into())
        }
        Fork::Parent(pid) => match exit_code(Pidfd::open(pid)?.wait()?) {
            0 => Ok(()),
            code => Err(Error::Build { service: name.to_owned(), code: u8::try_from(code).unwrap_or(1) }),
        },
    })
}

/// Standard input becomes this text: where `-f -` reads a Dockerfile.
fn stand_in(text: &str) -> Result<(), crate::kernel::SysError> {
    let fd = nix::sys::memfd::memfd_create(c"Dockerfile", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).or_sys("keep the Dockerfile")?;
    let mut file = std::fs::File::from(fd);
    file.write_all(text.as_bytes()).and_then(|()| file.rewind()).or_sys("keep the Dockerfile")?;
    nix::unistd::dup2_stdin(&file).or_sys("hand over the Dockerfile")
}

/// What `skiff build` would be asked for.
fn plain(project: &Project, name: &str, build: &Asked, image: &str, args: &Build) -> Result<Plain, Error> {
    let fault = |what: String| project.fault(&["services", name, "build"], format!("services.{name}.build: {what}"));
    let context = std::path::Path::new(&build.context);
    if build.context.contains("://") || build.context.starts_with("git@") {
        return Err(fault(format!("{} is not a folder, and no context is fetched here", build.context)).into());
    }
    if !context.is_dir() {
        return Err(fault(format!("path {:?} not found", build.context)).into());
    }
    let mut secrets = Vec::new();
    for grant in &build.secrets {
        let id = grant.target.as_ref().unwrap_or(&grant.source);
        let declared = project.secrets.get(&grant.source).ok_or_else(|| fault(format!("undefined secret {}", grant.source)))?;
        match (&declared.file, &declared.environment) {
            (Some(file), _) => secrets.push(format!("id={id},src={}", file.display())),
            (None, Some(variable)) => secrets.push(format!("id={id},env={variable}")),
            (None, None) => return Err(fault(format!("the secret {} is neither a file nor a variable", grant.source)).into()),
        }
    }
    let value = |name: &String, value: &Option<String>| value.as_ref().or_else(|| project.environment.get(name)).map(|value| format!("{name}={value}"));
    let mut build_args: Vec<String> = build.args.iter().filter_map(|(name, v)| value(name, v)).collect();
    build_args.extend(args.build_arg.clone());
    let file = match (&build.dockerfile_inline, &build.dockerfile) {
        (Some(_), _) => Some("-".into()),
        (None, file) => file.as_ref().map(|f| context.join(f)),
    };
    let mut labels: BTreeMap<String, String> = build.labels.clone();
    labels.extend([("com.docker.compose.project".to_owned(), project.name.clone()), ("com.docker.compose.service".to_owned(), name.to_owned())]);
    Ok(Plain {
        file,
        tag: std::iter::once(image.to_owned()).chain(build.tags.clone()).collect(),
        target: build.target.clone(),
        build_arg: build_args,
        label: labels.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        no_cache: build.no_cache || args.no_cache,
        pull: build.pull || args.pull,
        // Its id would be all that it prints.
        progress: if args.quiet { "quiet".into() } else { "auto".into() },
        secret: secrets,
        network: build.network.clone().unwrap_or_else(|| "default".into()),
        add_host: build.extra_hosts.clone(),
        ..Plain::at(&build.context)
    })
}

/// Fetches the images.
pub fn pull(session: &Session<'_>, args: &Pull) -> Outcome {
    let project = session.load(&args.services)?;
    let wanted = project.selected(&args.services, args.include_deps);
    let mut code = 0;
    let mut seen = BTreeSet::new();
    for (name, service) in project.services.iter().filter(|(n, _)| wanted.contains(*n)) {
        let Some(image) = service.image.clone().filter(|_| service.build.is_none() || !args.ignore_buildable) else {
            session.line(&format!(" {name} Skipped - No image to be pulled"));
            continue;
        };
        if !seen.insert(image.clone()) {
            continue;
        }
        let policy = if args.policy == "missing" { Policy::Missing } else { Policy::Always };
        let to = |event: &_| if !args.quiet { session.event(event) };
        tell(&to, "Image", &image, "Pulling");
        match registry::image(session.root, &image, policy, None) {
            Ok(_) => tell(&to, "Image", &image, "Pulled"),
            Err(error) if args.ignore_pull_failures || service.build.is_some() => show(error.as_ref()),
            Err(error) => {
                show(error.as_ref());
                code = 1;
            }
        }
    }
    Ok(code)
}

/// When images are built and fetched for `up`.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// `--build`.
    pub build: bool,
    /// `--no-build`.
    pub no_build: bool,
    /// `--pull`; the service's own policy where there is none.
    pub pull: Option<String>,
}

/// The images of services: those that are here, and else built or fetched.
pub fn all(session: &Session<'_>, project: &Project, services: &BTreeSet<String>, when: &When) -> Result<BTreeMap<String, Image>, Box<dyn Explain>> {
    std::fs::create_dir_all(session.root).or_sys_with(|| format!("make {}", session.root.display())).map_err(boxed)?;
    let mut images = BTreeMap::new();
    for (name, service) in project.services.iter().filter(|(n, _)| services.contains(*n)) {
        let image = service.image_name(&project.name, name);
        let policy = when.pull.as_deref().or(service.pull_policy.as_deref()).unwrap_or("missing");
        let store = Store::open(session.root);
        let builds = when.build || policy == "build" || store.resolve(&image).is_err();
        if service.build.is_some() && builds && !when.no_build {
            let args = Build { no_cache: false, pull: policy == "always", build_arg: Vec::new(), quiet: session.quiet, with_dependencies: false, services: Vec::new() };
            one(session, project, name, service, &args).map_err(boxed)?;
        }
        let policy = match policy {
            _ if service.build.is_some() => Policy::Never,
            "always" | "daily" | "weekly" => Policy::Always,
            "never" | "build" => Policy::Never,
            _ => Policy::Missing,
        };
        let platform = service.platform.as_deref().map(registry::platform).transpose();
        let platform = platform.map_err(|e| boxed(Error::from(project.fault(&["services", name, "platform"], format!("services.{name}.platform: {e}")))))?;
        images.insert(name.clone(), registry::image(session.root, &image, policy, platform.as_ref())?);
    }
    Ok(images)
}
