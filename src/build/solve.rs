//! The build: which stages are wanted, each in a thread of its own, waiting for those that it needs.

use super::cache::{Cache, Record, Remembered};
use super::config::Config;
use super::dockerfile::{Dockerfile, Fault, Instruction, What};
use super::stage::{Base, Origin, Stages, origins};
use super::step::{At, State, Variables};
use super::tree::Tree;
use super::{Error, Event, Halt, Options, export, run, triggers};
use crate::image::layer::Layer;
use crate::image::writer::Writer;
use crate::image::{Image, Reference, Store};
use crate::kernel::Explain;
use oci_spec::image::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// An image that stages begin with or copy from.
#[derive(Debug, Clone)]
struct Begun {
    layers: Vec<Layer>,
    config: Config,
    digest: Digest,
}

/// What a stage became: nothing yet, its state, or a failure.
type Results = BTreeMap<usize, Option<State>>;

/// One build.
#[derive(Debug)]
pub struct Build<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// The file.
    pub file: &'a Dockerfile,
    /// Its stages.
    pub stages: Stages<'a>,
    /// Where images and layers are.
    pub store: Store,
    /// What was built before.
    pub cache: Cache,
    /// Whether to go on.
    pub halt: &'a Halt,
    /// The record of the last build.
    pub record: Record,
    /// Instructions that bases left, by stage; each is a file of its own.
    triggers: BTreeMap<usize, Vec<Dockerfile>>,
    /// Keeps the layers of those images from being removed.
    claims: &'a Writer<'a>,
    images: BTreeMap<String, Begun>,
    results: Mutex<Results>,
    changed: Condvar,
    remembered: Mutex<Record>,
    steps: AtomicUsize,
    tell: Mutex<Sender<Event>>,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image's ID.
    pub id: Digest,
}

/// Gets an image by its name, from the store or a registry, and tells of its way in lines.
pub type Obtain<'a> = &'a (dyn Fn(&Store, &str, &(dyn Fn(String) + Sync)) -> Result<Image, crate::image::registry::Error> + Sync);

/// Builds the target of `file`.
pub fn build(options: &Options, file: &Dockerfile, obtain: Obtain<'_>, halt: &Halt, tell: Sender<Event>) -> Result<Built, Error> {
    let stages = Stages::of(file, &options.args)?;
    let target = stages.target(options.target.as_deref())?;
    run::sweep(&options.root);
    let cache = Cache::open(&options.root)?;
    let record = cache.record(&options.remembered_as);
    let store = Store::open(&options.root);
    let claims = store.write()?;
    let mut build = Build {
        options,
        file,
        stages,
        store: store.clone(),
        claims: &claims,
        cache,
        halt,
        remembered: Mutex::new(record.clone()),
        record,
        triggers: BTreeMap::new(),
        images: BTreeMap::new(),
        results: Mutex::default(),
        changed: Condvar::new(),
        steps: AtomicUsize::new(1),
        tell: Mutex::new(tell),
    };
    build.warn_of_unused_args();
    let wanted = build.prepare(target, obtain)?;
    let built = build.carry_out(&wanted, target);
    let record = build.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if record != build.record {
        build.cache.set_record(&options.remembered_as, &record)?;
    }
    built
}

impl<'a> Build<'a> {
    /// Finds the stages that the target needs, and gets their images.
    fn prepare(&mut self, target: usize, obtain: Obtain<'_>) -> Result<BTreeSet<usize>, Error> {
        let mut wanted = BTreeSet::new();
        let mut waiting = vec![target];
        while let Some(number) = waiting.pop() {
            if !wanted.insert(number) {
                continue;
            }
            self.halt.check()?;
            match self.stages.stages[number].base.clone() {
                Base::Scratch => {}
                Base::Stage(other) => {
                    let left = self.stages.stages[other].instructions.iter().filter_map(|i| match &i.what {
                        What::OnBuild(inner) => Some(inner.to_string()),
                        _ => None,
                    });
                    let left = triggers::parse(&self.stages.stages[other].shown(), left)?;
                    self.triggers.insert(number, left);
                    waiting.push(other);
                }
                Base::Image(name) => self.begin_with(number, &name, obtain)?,
            }
            for (name, wrong) in self.named(number) {
                match self.stages.origin(&name, number).map_err(&wrong)? {
                    Origin::Stage(other) => waiting.push(other),
                    Origin::Image(name) => self.fetch_from(&name, number, &wrong, obtain)?,
                }
            }
        }
        Ok(wanted)
    }

    /// What the instructions of a stage copy from and mount, each with how an error is shown there.
    fn named(&self, number: usize) -> Vec<(String, impl Fn(String) -> Error + use<>)> {
        let own = self.stages.stages[number].instructions.iter().map(|i| (self.file, *i));
        let left = self.triggers.get(&number).into_iter().flatten().flat_map(|f| f.instructions.iter().map(move |i| (f, i)));
        let mut all = Vec::new();
        for (file, instruction) in own.chain(left) {
            for name in origins(&instruction.what) {
                let (span, file_name, text) = (instruction.line.whole_span(), file.name.clone(), file.text.clone());
                all.push((name, move |problem: String| Error::fault(&Fault::at(span, problem), &file_name, &text)));
            }
        }
        all
    }

    /// Gets an image that files are copied from. It has a name: what could be the beginning of an ID is
    /// a mistyped stage's name, and nobody's files are taken for it.
    fn fetch_from(&mut self, name: &str, number: usize, wrong: &impl Fn(String) -> Error, obtain: Obtain<'_>) -> Result<(), Error> {
        let looks_like_id = name.len() < 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let whole = if looks_like_id { name.parse::<Reference>().map_or(name.to_owned(), |r| r.key()) } else { name.to_owned() };
        self.fetch(name, &whole, obtain).map_err(|error| {
            let like = self.stages.like(name, number).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
            match wrong(format!("invalid from flag value {name}: no earlier stage has this name{like}, and no image: {error}")) {
                Error::Dockerfile { shown, .. } => Error::Dockerfile { shown, expected: error.hint() },
                other => other,
            }
        })
    }

    /// A build argument that no ARG names is a mistyped one, most of the time.
    fn warn_of_unused_args(&self) {
        let declared = |name: &String| self.file.instructions.iter().any(|i| matches!(&i.what, What::Arg(list) if list.iter().any(|(n, _)| n == name)));
        let known = |name: &String| super::instruct::PREDEFINED.contains(&name.as_str()) || name == "SOURCE_DATE_EPOCH" || declared(name);
        let unused: Vec<&str> = self.options.args.keys().filter(|n| !known(n)).map(String::as_str).collect();
        if !unused.is_empty() {
            self.tell(Event::Warning { text: format!("One or more build-args [{}] were not consumed", unused.join(" ")) });
        }
    }

    /// Gets the image `whole`, which is called `name` here.
    fn fetch(&mut self, name: &str, whole: &str, obtain: Obtain<'_>) -> Result<(), Error> {
        if self.images.contains_key(name) {
            return Ok(());
        }
        let step = self.number();
        self.tell(Event::Started { step, name: format!("[internal] load metadata for {name}") });
        let began = std::time::Instant::now();
        let note = |text| self.tell(Event::Note { step, text });
        self.halt.set_fetching(true);
        let image = obtain(&self.store, whole, &note);
        self.halt.set_fetching(false);
        let image = image.map_err(Error::from).inspect_err(|e| self.tell(Event::Failed { step, problem: e.to_string() }))?;
        self.tell(Event::Done { step, took: began.elapsed() });
        let doc = serde_json::from_slice(&self.store.document_bytes(&image.id)?).map_err(|e| crate::image::Error::malformed(format!("config {}", image.id), e))?;
        let layers = image.manifest.layers().iter().zip(image.config.rootfs().diff_ids());
        let layers: Vec<Layer> = layers.filter_map(|(d, id)| Some(Layer { descriptor: d.clone(), diff_id: Digest::from_str(id).ok()? })).collect();
        // Somebody may remove the image meanwhile: what the build stands on stays until it ends.
        for layer in &layers {
            self.claims.needs_layer(&self.store.layer_dir(layer))?;
            if !self.claims.has(layer.descriptor.digest())? {
                return Err(Error::Removed { image: name.to_owned() });
            }
        }
        self.images.insert(name.to_owned(), Begun { layers, config: Config::of(doc), digest: image.digest });
        Ok(())
    }

    /// Gets a stage's base image, and the instructions that it left for those who build on it.
    fn begin_with(&mut self, number: usize, name: &str, obtain: Obtain<'_>) -> Result<(), Error> {
        self.fetch(name, name, obtain)?;
        let left = self.images.get(name).map(|i| i.config.clone().take_triggers()).unwrap_or_default();
        self.triggers.insert(number, triggers::parse(name, left)?);
        Ok(())
    }

    fn carry_out(&'a self, wanted: &BTreeSet<usize>, target: usize) -> Result<Built, Error> {
        let failures: Mutex<Vec<Error>> = Mutex::default();
        std::thread::scope(|scope| {
            for number in wanted.iter().copied() {
                let failures = &failures;
                scope.spawn(move || {
                    let result = self.stage(number);
                    let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(state) => drop(results.insert(number, Some(state))),
                        Err(error) => {
                            results.insert(number, None);
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                            self.halt.stop();
                        }
                    }
                    self.changed.notify_all();
                });
            }
        });
        let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The one that the others were stopped for comes first.
        failures.sort_by_key(|e| matches!(e, Error::Elsewhere));
        match failures.into_iter().next() {
            Some(_) if self.halt.check().is_err_and(|e| matches!(e, Error::Interrupted)) => return Err(Error::Interrupted),
            Some(error) => return Err(error),
            None => {}
        }
        export::export(self, &self.wait(target)?)
    }

    /// What a stage became, once it did.
    pub fn wait(&self, number: usize) -> Result<State, Error> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match results.get(&number) {
                Some(Some(state)) => return Ok(state.clone()),
                Some(None) => return Err(Error::Elsewhere),
                None => results = self.changed.wait(results).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn stage(&'a self, number: usize) -> Result<State, Error> {
        let stage = &self.stages.stages[number];
        self.halt.check()?;
        let mut state = self.beginning(number)?;
        let mut variables = Variables { env: state.config.env(), args: std::mem::take(&mut state.args) };
        let own = stage.instructions.iter().map(|i| (self.file, *i));
        let left = self.triggers.get(&number).into_iter().flatten().flat_map(|f| f.instructions.iter().map(move |i| (f, i)));
        let mut step = usize::from(matches!(stage.base, Base::Image(_)));
        for (file, instruction) in left.chain(own) {
            step += usize::from(is_step(&instruction.what));
            let at = At { file, instruction, stage: number, number: step };
            self.instruction(at, &mut state, &mut variables)?;
        }
        state.args = variables.args;
        Ok(state)
    }

    fn beginning(&'a self, number: usize) -> Result<State, Error> {
        let stage = &self.stages.stages[number];
        match &stage.base {
            Base::Scratch => {
                let architecture = super::stage::platform()[2].1;
                Ok(State { layers: Vec::new(), config: Config::scratch(architecture), created: self.options.epoch.unwrap_or(0), args: Vec::new() })
            }
            Base::Stage(other) => {
                let state = self.wait(*other)?;
                let mut config = state.config.inherited();
                config.take_triggers();
                Ok(State { config, ..state })
            }
            Base::Image(name) => {
                let Some(begun) = self.images.get(name) else { return Err(Error::Elsewhere) };
                let shown = self.show(format!("{} FROM {name}@{}", self.prefix(number, 1), begun.digest));
                shown.done();
                let mut config = begun.config.clone();
                config.take_triggers();
                Ok(State { created: config.created(), layers: begun.layers.clone(), config, args: Vec::new() })
            }
        }
    }

    /// `[2/4]`, and with the stage's name where there are several.
    pub fn prefix(&self, number: usize, step: usize) -> String {
        let stage = &self.stages.stages[number];
        let of_image = usize::from(matches!(stage.base, Base::Image(_)));
        let left = self.triggers.get(&number).into_iter().flatten().flat_map(|f| &f.instructions);
        let all: Vec<&Instruction> = left.chain(stage.instructions.iter().copied()).collect();
        let total = of_image + all.iter().filter(|i| is_step(&i.what)).count();
        let width = total.to_string().len();
        match self.stages.stages.len() {
            1 => format!("[{step:>width$}/{total}]"),
            _ => format!("[{} {step:>width$}/{total}]", stage.shown()),
        }
    }

    /// The files of an origin, and what stands for them in a key where they are the same.
    pub fn tree_of(&self, origin: &Origin) -> Result<Tree, Error> {
        let layers = match origin {
            Origin::Stage(number) => self.wait(*number)?.layers,
            Origin::Image(name) => self.images.get(name).map(|i| i.layers.clone()).unwrap_or_default(),
        };
        self.tree(&layers)
    }

    /// Layers as files: unpacked where they were not yet.
    pub fn tree(&self, layers: &[Layer]) -> Result<Tree, Error> {
        let image = self.store.image_of(layers, Default::default())?;
        Ok(Tree::of_layers(image.layer_dirs()?))
    }

    /// The next step's number.
    pub fn number(&self) -> usize {
        self.steps.fetch_add(1, Ordering::SeqCst)
    }

    /// Tells the caller.
    pub fn tell(&self, event: Event) {
        // Nobody listens any more: the build goes on all the same.
        let _ = self.tell.lock().unwrap_or_else(PoisonError::into_inner).send(event);
    }

    /// Notes a step's ingredients for the next build's `--explain`.
    pub fn remember(&self, place: String, step: Remembered) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).insert(place, step);
    }

    /// The time that is written into the image, in seconds since the epoch.
    pub fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.options.epoch.unwrap_or(i64::try_from(now).unwrap_or(0))
    }
}

/// Those that are shown with a number: they change files, or may.
fn is_step(what: &What) -> bool {
    matches!(what, What::Run { .. } | What::Copy(_) | What::Add(_) | What::Workdir(_))
}
