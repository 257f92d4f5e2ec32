//! The stages of a Dockerfile: what each begins with, what each needs of others, which are wanted at all.

use super::dockerfile::{Dockerfile, Fault, Instruction, Transfer, What, Word};
use super::{Error, expand};
use std::collections::BTreeMap;

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by number.
    Stage(usize),
    /// An image.
    Image(String),
}

/// One FROM and what follows it.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    /// From 0.
    pub number: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it begins with.
    pub base: Base,
    /// Its FROM.
    pub from: &'a Instruction,
    /// What follows.
    pub instructions: Vec<&'a Instruction>,
}

impl Stage<'_> {
    /// As it is shown: its name, or `stage-0`.
    pub fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("stage-{}", self.number))
    }
}

/// All stages, and what stands before the first.
#[derive(Debug)]
pub struct Stages<'a> {
    /// In order.
    pub stages: Vec<Stage<'a>>,
    /// Values of the ARGs before the first FROM.
    pub globals: BTreeMap<String, String>,
}

/// Where COPY --from, or a mount's from, takes files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A stage, by number.
    Stage(usize),
    /// An image.
    Image(String),
}

/// The machine's platform in a Dockerfile's words.
pub fn platform() -> [(&'static str, &'static str); 8] {
    let (architecture, variant, whole) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", "", "linux/amd64"),
        "aarch64" => ("arm64", "", "linux/arm64"),
        "arm" => ("arm", "v7", "linux/arm/v7"),
        other => (other, "", "linux"),
    };
    [
        ("TARGETPLATFORM", whole),
        ("TARGETOS", "linux"),
        ("TARGETARCH", architecture),
        ("TARGETVARIANT", variant),
        ("BUILDPLATFORM", whole),
        ("BUILDOS", "linux"),
        ("BUILDARCH", architecture),
        ("BUILDVARIANT", variant),
    ]
}

impl<'a> Stages<'a> {
    /// Cuts a file into its stages. `given` are the build arguments.
    pub fn of(file: &'a Dockerfile, given: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut globals: BTreeMap<String, String> = platform().iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut stages: Vec<Stage<'a>> = Vec::new();
        for instruction in &file.instructions {
            match &instruction.what {
                What::From { flags, image, name } => {
                    let base = base(file, instruction, image, &globals, &stages)?;
                    for flag in flags {
                        check_platform(file, instruction, flag.value.as_deref().unwrap_or_default(), &globals)?;
                    }
                    stages.push(Stage { number: stages.len(), name: name.clone(), base, from: instruction, instructions: Vec::new() });
                }
                What::Arg(list) if stages.is_empty() => {
                    for (name, default) in list {
                        let value = match (given.get(name), default) {
                            (Some(given), _) => Some(given.clone()),
                            (None, Some(text)) => Some(expanded(file, instruction, text, &globals)?),
                            (None, None) => None,
                        };
                        value.into_iter().for_each(|v| drop(globals.insert(name.clone(), v)));
                    }
                }
                _ => match stages.last_mut() {
                    Some(stage) => stage.instructions.push(instruction),
                    None => {
                        let fault = Fault::at(instruction.line.keyword_span(), "no build stage in current context");
                        return Err(Error::fault(&fault.expected("FROM first; only ARG may stand before it"), &file.name, &file.text));
                    }
                },
            }
        }
        if stages.is_empty() {
            let fault = Fault::whole("the Dockerfile has no FROM").expected("FROM image, or FROM scratch");
            return Err(Error::fault(&fault, &file.name, &file.text));
        }
        Ok(Self { stages, globals })
    }

    /// The stage of `--target`, by name or number; without it, the last.
    pub fn target(&self, wanted: Option<&str>) -> Result<usize, Error> {
        let Some(wanted) = wanted else { return Ok(self.stages.len() - 1) };
        self.find(wanted, self.stages.len()).ok_or_else(|| Error::NoTarget {
            name: wanted.to_owned(),
            names: self.stages.iter().filter_map(|s| s.name.clone()).collect(),
        })
    }

    /// The last stage before `before` that has this name, or the one of this number.
    pub fn find(&self, wanted: &str, before: usize) -> Option<usize> {
        let lower = wanted.to_ascii_lowercase();
        let named = self.stages[..before].iter().rev().find(|s| s.name.as_deref() == Some(lower.as_str()));
        named.map(|s| s.number).or_else(|| wanted.parse().ok().filter(|n| *n < before))
    }

    /// Where `--from=text` in stage `number` leads. `Err` says in words why nowhere.
    pub fn origin(&self, text: &str, number: usize) -> Result<Origin, String> {
        if let Some(stage) = self.find(text, number) {
            return Ok(Origin::Stage(stage));
        }
        let wrong = |why: &str| Err(format!("invalid from flag value {text}: {why}"));
        if text.contains('$') {
            return wrong("variable expansion is not supported for --from; FROM image:$VERSION AS name is, and then --from=name");
        }
        let lower = text.to_ascii_lowercase();
        let named = self.stages[number..].iter().find(|s| s.name.as_deref() == Some(lower.as_str()));
        match named.map(|s| s.number) {
            Some(other) if other == number => wrong("it is this stage itself, and only an earlier one is done by then"),
            Some(_) => wrong("that stage comes later, and only an earlier one is done by then"),
            None if text.bytes().all(|b| b.is_ascii_digit()) => wrong("no earlier stage has this number"),
            None => Ok(Origin::Image(text.to_owned())),
        }
    }

    /// A stage before `before` whose name is much like this one.
    pub fn like(&self, wanted: &str, before: usize) -> Option<&str> {
        let names = self.stages[..before].iter().filter_map(|s| s.name.as_deref());
        names.map(|n| (strsim::damerau_levenshtein(n, wanted), n)).filter(|(distance, _)| *distance <= 2).min().map(|(_, n)| n)
    }
}

/// The origins that an instruction names.
pub fn origins(what: &What) -> Vec<String> {
    let of_transfer = |t: &Transfer| t.flags.iter().filter(|f| f.name == "from").filter_map(|f| f.value.clone()).collect();
    match what {
        What::Copy(transfer) | What::Add(transfer) => of_transfer(transfer),
        What::Run { flags, .. } => {
            let mounts = flags.iter().filter(|f| f.name == "mount").filter_map(|f| f.value.as_deref());
            mounts.flat_map(|m| m.split(',')).filter_map(|part| part.strip_prefix("from=")).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn expanded(file: &Dockerfile, instruction: &Instruction, text: &str, globals: &BTreeMap<String, String>) -> Result<String, Error> {
    expand::word(text, file.escape, &|name| globals.get(name).cloned())
        .map_err(|problem| Error::fault(&Fault::at(instruction.line.whole_span(), problem), &file.name, &file.text))
}

fn base(file: &Dockerfile, at: &Instruction, image: &Word, globals: &BTreeMap<String, String>, stages: &[Stage<'_>]) -> Result<Base, Error> {
    let span = at.line.span(image.at, image.at + image.text.len());
    let name = expanded(file, at, &image.text, globals)?;
    if name.is_empty() || name.starts_with(':') || name.ends_with(':') {
        let missing: Vec<&str> = variables(&image.text).filter(|n| !globals.contains_key(*n)).collect();
        let fault = Fault::at(span, format!("base name ({}) should not be blank", image.text));
        let fault = match missing.first() {
            Some(name) => fault.expected(format!("ARG {name}=… before the first FROM, or --build-arg {name}=…; an ARG inside a stage is not seen here")),
            None => fault.expected("FROM image"),
        };
        return Err(Error::fault(&fault, &file.name, &file.text));
    }
    if name == "scratch" {
        return Ok(Base::Scratch);
    }
    let lower = name.to_ascii_lowercase();
    let stage = stages.iter().rev().find(|s| s.name.as_deref() == Some(lower.as_str()));
    Ok(stage.map_or(Base::Image(name), |s| Base::Stage(s.number)))
}

/// The names of the variables in a word.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    })
}

/// Only this machine's own platform can run here.
fn check_platform(file: &Dockerfile, at: &Instruction, text: &str, globals: &BTreeMap<String, String>) -> Result<(), Error> {
    let wanted = expanded(file, at, text, globals)?;
    let own = &globals["TARGETPLATFORM"];
    if wanted.is_empty() || wanted == *own || own.starts_with(&format!("{wanted}/")) || wanted == platform()[2].1 {
        return Ok(());
    }
    let fault = Fault::at(at.line.whole_span(), format!("platform {wanted} cannot be built here"));
    Err(Error::fault(&fault.expected(format!("this machine's own: {own}")), &file.name, &file.text))
}
