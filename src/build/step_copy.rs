//! COPY and ADD as steps: their sources are hashed for the key, and placed when they must be.

use super::cache::Ingredient;
use super::copy::owner::{Chmod, owner};
use super::copy::{self, Gathered, Missing, Where};
use super::dockerfile::{Transfer, Word};
use super::ignore::Ignore;
use super::run::Step;
use super::solve::Build;
use super::source;
use super::step::{At, State, Variables, Wanted};
use super::tree::{Astray, Tree};
use super::{Error, config, expand, fetch};
use crate::image::layer::{Layer, LayerWriter};
use crate::image::{layer, unpack};
use crate::kernel::OrSys;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The flags and arguments, variables replaced.
struct Asked {
    keyword: &'static str,
    sources: Vec<(String, Word)>,
    to: String,
    from: Option<String>,
    chown: Option<String>,
    chmod: Option<Chmod>,
    exclude: Ignore,
    link: bool,
    parents: bool,
    /// As it is shown, and part of the key.
    shown: String,
    unpack: bool,
    checksum: Option<String>,
}

impl<'a> Build<'a> {
    pub(super) fn copy(&'a self, at: At<'_>, transfer: &Transfer, add: bool, state: &mut State, variables: &Variables) -> Result<(), Error> {
        let asked = asked(at, transfer, add, state, variables)?;
        let tree = match &asked.from {
            None => Tree::of_context(&self.options.context, self.options.ignore.clone()),
            Some(from) => {
                let origin = self.stages.origin(from, at.stage).map_err(|problem| at.wrong(problem))?;
                self.tree_of(&origin)?
            }
        };
        let (mut sources, mut remote) = (Vec::new(), Remote::default());
        let mut heredocs = transfer.heredocs.iter();
        for (source, word) in &asked.sources {
            if source.starts_with("<<") && let Some(document) = heredocs.next() {
                let expanded = expand::document(&document.content, at.file.escape, &|n| variables.get(n));
                let content = if document.expand { expanded.map_err(|p| at.wrong(p))? } else { document.content.clone() };
                sources.push(copy::from_bytes(&document.name, content.into_bytes()));
                continue;
            }
            if fetch::is_repository(source) {
                return Err(at.fault(at.wrong_word(word.at, word.text.len(), format!("{} clones no repository: {source}", asked.keyword)).expected(CLONE)));
            }
            if add && fetch::is_url(source) {
                remote.add(at, &asked, source, &self.options.root)?;
                continue;
            }
            sources.extend(copy::from_tree(&tree, source, &asked.exclude).map_err(|missing| absent(at, &asked, source, word, missing))?);
        }
        if sources.is_empty() && remote.urls.is_empty() {
            return Err(at.wrong(format!("{} failed: no source files were specified", asked.keyword)));
        }
        let mut ingredients: Vec<Ingredient> = vec![("instruction".into(), asked.shown.clone()), ("destination".into(), asked.to.clone())];
        for source in &sources {
            let digests = match asked.from {
                None => source.digests(false)?,
                Some(_) => {
                    let of = format!("{:?} {:?} {:?}", tree.folders(), source.path, asked.exclude);
                    self.cache.digests(&of, || source.digests(true))?
                }
            };
            ingredients.extend(digests.into_iter().map(|(path, digest)| (format!("file {path}"), digest)));
            // Behind a link: it arrives under the link's name.
            if source.path.file_name().is_some_and(|own| own != source.name) {
                ingredients.push((format!("name of {}", source.path.display()), source.name.to_string_lossy().into_owned()));
            }
        }
        ingredients.extend(remote.ingredients()?);
        // A linked layer is the same on whatever it is put, if its owner is.
        match &asked.chown {
            _ if !asked.link => ingredients.push(state.parent()),
            Some(text) => {
                let (uid, gid) = self.owner(at, text, &state.layers)?;
                ingredients.push(("owner".into(), format!("{uid}:{gid}")));
            }
            None => {}
        }
        let wanted = Wanted { shown: asked.shown.clone(), ingredients, by: asked.shown.clone() };
        let layers = state.layers.clone();
        self.step(at, state, wanted, |_| {
            let fetched = remote.fetch(at, &asked)?;
            self.make_copy(at, &asked, &layers, sources, &fetched).map(Some)
        })
    }

    fn make_copy(&self, at: At<'_>, asked: &Asked, layers: &[Layer], mut sources: Vec<Gathered>, fetched: &[Gathered]) -> Result<Layer, Error> {
        let stage = if asked.link { Tree::default() } else { self.tree(layers)? };
        let several = sources.len() + fetched.len() > 1;
        let mut to = Where {
            to: PathBuf::from(&asked.to),
            is_folder: asked.to.ends_with('/') || several,
            owner: asked.chown.as_ref().map(|text| self.owner(at, text, layers)).transpose()?,
            chmod: asked.chmod.clone(),
            parents: asked.parents,
            keep_owner: asked.from.is_some(),
            archive: false,
        };
        let step = if asked.unpack { Some(Step::make(&self.options.root)?) } else { None };
        let mut unpacked = Vec::new();
        if let Some(step) = &step {
            unpacked = unpack_archives(step.folder(), &mut sources)?;
        }
        let place = |sources: &[Gathered], to: &Where| copy::place(&stage, sources, to).map_err(|problem| at.wrong(problem));
        // A file that was fetched stays as it is, archive or not, unless --unpack asks.
        sources.extend(fetched.iter().cloned());
        let mut placed = place(&sources, &to)?;
        // Archives keep their owners and go into the destination, which is a folder then.
        (to.keep_owner, to.archive) = (true, true);
        placed.extend(place(&unpacked, &to)?);
        self.store_layer(|writer| Ok(copy::write(&placed, self.options.epoch, writer)?))
    }

    /// The owner that `--chown` names, by the stage's own files.
    fn owner(&self, at: At<'_>, text: &str, layers: &[Layer]) -> Result<(u32, u32), Error> {
        owner(text, self.tree(layers)?.folders()).map_err(|e| at.wrong(e.to_string()))
    }

    /// Writes a layer into the store, to be kept there.
    pub(super) fn store_layer(&self, write: impl FnOnce(&mut LayerWriter) -> Result<(), Error>) -> Result<Layer, Error> {
        let writer = self.store.write()?;
        let mut layer = writer.layer()?;
        write(&mut layer)?;
        let layer = layer.finish()?;
        writer.keep(&layer)?;
        Ok(layer)
    }
}

fn asked(at: At<'_>, transfer: &Transfer, add: bool, state: &State, variables: &Variables) -> Result<Asked, Error> {
    let keyword = if add { "ADD" } else { "COPY" };
    let flag = |name: &str| transfer.flags.iter().find(|f| f.name == name);
    let value = |name: &str| flag(name).and_then(|f| f.value.clone()).map(|text| at.expand(&text, variables)).transpose();
    let truth = |name: &str| flag(name).is_some_and(|f| f.value.as_deref() != Some("false"));
    if let Some(from) = flag("from").filter(|f| f.value.as_deref().is_some_and(|v| v.contains('$'))) {
        let fault = at.wrong_word(from.at, from.value.as_ref().map_or(0, String::len) + 7, "variable expansion is not supported for --from");
        return Err(at.fault(fault.expected("a new stage, FROM image:$VERSION AS name, with an ARG before the first FROM; then --from=name")));
    }
    let to = at.expand(&transfer.to, variables)?;
    let mut sources = Vec::new();
    for word in &transfer.sources {
        let is_heredoc = word.text.starts_with("<<") && !transfer.heredocs.is_empty();
        sources.push((if is_heredoc { word.text.clone() } else { at.expand(&word.text, variables)? }, word.clone()));
    }
    if sources.len() > 1 && !to.ends_with('/') && to != "." && !to.ends_with("/.") {
        return Err(at.wrong(format!("When using {keyword} with more than one source file, the destination must be a directory and end with a /")));
    }
    let mode = value("chmod")?;
    let chmod = mode.as_ref().map(|text| Chmod::parse(text).ok_or_else(|| at.wrong(format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"))));
    let excluding = transfer.flags.iter().filter(|f| f.name == "exclude").filter_map(|f| f.value.as_deref());
    let exclude = excluding.map(|text| at.expand(text, variables)).collect::<Result<Vec<_>, _>>()?;
    let absolute = if to.starts_with('/') { to.clone() } else { format!("{}/{to}", state.config.workdir()) };
    let slash = absolute.ends_with('/') || absolute.ends_with("/.");
    let clean = config::cleaned(&absolute);
    let chown = value("chown")?;
    let shown = {
        let mut flags = String::new();
        for flag in &transfer.flags {
            let value = flag.value.as_deref().map(|v| at.expand(v, variables)).transpose()?;
            flags.push_str(&format!("--{}{} ", flag.name, value.map_or(String::new(), |v| format!("={v}"))));
        }
        let words: Vec<&str> = sources.iter().map(|(s, _)| s.as_str()).chain([to.as_str()]).collect();
        format!("{keyword} {flags}{}", words.join(" "))
    };
    Ok(Asked {
        keyword,
        sources,
        to: if slash && clean != "/" { format!("{clean}/") } else { clean },
        from: flag("from").and_then(|f| f.value.clone()),
        chown,
        chmod: chmod.transpose()?,
        exclude: Ignore::parse(&exclude.join("\n")).map_err(|problem| at.wrong(problem))?,
        link: truth("link"),
        parents: truth("parents"),
        shown,
        checksum: value("checksum")?,
        unpack: add && flag("unpack").is_none_or(|f| f.value.as_deref() != Some("false")),
    })
}

/// The sources of ADD that lie behind URLs.
#[derive(Default)]
struct Remote {
    /// Each with its file, once it is here.
    urls: Vec<(String, Option<PathBuf>)>,
    checksum: Option<String>,
    step: Option<Step>,
}

impl Remote {
    /// Without a checksum its content must be known for the key, so it is fetched now.
    fn add(&mut self, at: At<'_>, asked: &Asked, url: &str, root: &Path) -> Result<(), Error> {
        if fetch::name(url).is_empty() && asked.to.ends_with('/') {
            return Err(at.wrong(format!("cannot determine filename for source {url}")));
        }
        if asked.checksum.is_some() && asked.sources.len() > 1 {
            return Err(at.wrong("checksum can't be specified for multiple sources"));
        }
        self.checksum = asked.checksum.clone();
        let step = match self.step.take() {
            Some(step) => step,
            None => Step::make(root)?,
        };
        let folder = step.folder().join(format!("url-{}", self.urls.len()));
        std::fs::create_dir(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        let path = if self.checksum.is_none() { Some(fetch::fetch(url, None, &folder)?) } else { None };
        self.step = Some(step);
        self.urls.push((url.to_owned(), path));
        Ok(())
    }

    fn ingredients(&self) -> Result<Vec<Ingredient>, Error> {
        let mut all = Vec::new();
        for (url, path) in &self.urls {
            let digest = match (path, &self.checksum) {
                (Some(path), _) => {
                    let file = File::open(path).or_sys_with(|| format!("open {}", path.display()))?;
                    layer::Hashing::new(file).finish().or_sys_with(|| format!("read {}", path.display()))?.0.digest().to_owned()
                }
                (None, checksum) => checksum.as_deref().unwrap_or_default().trim_start_matches("sha256:").to_owned(),
            };
            all.push((format!("file {url}"), format!("file 600 0:0 {digest}")));
        }
        Ok(all)
    }

    /// All of them, as they are copied.
    fn fetch(&self, at: At<'_>, asked: &Asked) -> Result<Vec<Gathered>, Error> {
        let mut found = Vec::new();
        for (number, (url, path)) in self.urls.iter().enumerate() {
            let folder = self.step.as_ref().map(|s| s.folder().join(format!("url-{number}"))).unwrap_or_default();
            if path.is_none() {
                fetch::fetch(url, asked.checksum.as_deref(), &folder)?;
            }
            let tree = Tree::of_context(&folder, Ignore::default());
            let file = copy::from_path(&tree, fetch::FILE).map_err(|_| at.wrong(format!("{url}: nothing came")))?;
            found.push(Gathered { name: fetch::name(url).into(), ..file });
        }
        Ok(found)
    }
}

/// What to do instead of `ADD https://host/it.git`, which Docker clones and skiff does not.
const CLONE: &str = "RUN git clone, or clone it beside the Dockerfile and COPY";

/// A source that cannot be had, with its place.
fn absent(at: At<'_>, asked: &Asked, source: &str, word: &Word, missing: Missing) -> Error {
    let keyword = asked.keyword;
    let whose = asked.from.as_ref().map_or("the build context".to_owned(), |from| format!("the files of {from}"));
    let (problem, expected) = match missing {
        Missing::System(error) => return error.into(),
        _ if fetch::is_url(source) => (format!("{keyword} does not fetch {source}"), "ADD for a file behind http or https".to_owned()),
        Missing::NotFound => (format!("{source:?}: not found in {whose}"), format!("a path below {whose}; skiff build sends nothing else")),
        Missing::Ignored => (format!("{source:?}: not found in {whose}: .dockerignore leaves it out"), "a line that begins with ! takes it back".into()),
        Missing::Astray(Astray::Outside) => {
            (format!("forbidden path outside the build context: {source}"), "another context: skiff build -f FILE FOLDER, where FOLDER holds it too".into())
        }
        Missing::Astray(Astray::Link(link, to)) => (
            format!("forbidden path outside the build context: {} is a link to {}", link.display(), to.display()),
            "the file itself in the context; a link is followed only within it".into(),
        ),
        Missing::Astray(Astray::Circle) => (format!("{source:?}: its links lead in a circle"), "a file that is there".into()),
    };
    at.fault(at.wrong_word(word.at, word.text.len(), problem).expected(expected))
}

/// Unpacks those sources that are archives, and takes them out of the list.
fn unpack_archives(folder: &Path, sources: &mut Vec<Gathered>) -> Result<Vec<Gathered>, Error> {
    let mut unpacked = Vec::new();
    let mut kept = Vec::new();
    for (number, source) in std::mem::take(sources).into_iter().enumerate() {
        let Some(path) = source.archive()? else {
            kept.push(source);
            continue;
        };
        let into = folder.join(format!("unpacked-{number}"));
        std::fs::create_dir(&into).or_sys_with(|| format!("make {}", into.display()))?;
        let file = File::open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        unpack::tree(&into, layer::tar_of(file)?)?;
        let found = copy::from_tree(&Tree::of_layers(&[into]), ".", &Ignore::default());
        unpacked.extend(found.ok().into_iter().flatten());
    }
    *sources = kept;
    Ok(unpacked)
}

impl Gathered {
    /// Where it lies, if it is one archive.
    fn archive(&self) -> Result<Option<PathBuf>, Error> {
        let [(_, copy::Found::Node(node))] = self.entries.as_slice() else { return Ok(None) };
        if self.is_folder || !node.metadata.is_file() {
            return Ok(None);
        }
        let mut start = Vec::new();
        let file = File::open(&node.real).or_sys_with(|| format!("open {}", node.real.display()))?;
        file.take(512).read_to_end(&mut start).or_sys_with(|| format!("read {}", node.real.display()))?;
        if !source::is_archive(&start) {
            return Ok(None);
        }
        // A compressed file is an archive only if a tar is in it.
        let file = File::open(&node.real).or_sys_with(|| format!("open {}", node.real.display()))?;
        let mut inside = Vec::new();
        let read = layer::tar_of(file).map(|tar| tar.take(512).read_to_end(&mut inside));
        Ok((matches!(read, Ok(Ok(_))) && source::is_tar(&inside)).then(|| node.real.clone()))
    }
}
