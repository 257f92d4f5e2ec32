//! A project: the files' tree with names and defaults filled in, held against itself (whatever is
//! named is there, nobody waits for himself), and read into values.

use super::document::{self, Document};
use super::error::{Error, Fault};
use super::graph::{self, Needs};
use super::load::{self, Loaded, Options};
use super::model::{Content, Network, Service, Volume};
use super::normal::Object;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What there is to be brought up.
#[derive(Debug)]
pub struct Project {
    /// Its name, which all names begin with.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// The services that are wanted: without a profile, or of one that is active.
    pub services: BTreeMap<String, Service>,
    /// The others, with their profiles.
    pub asleep: BTreeMap<String, Vec<String>>,
    /// Networks, by the name that services call them.
    pub networks: BTreeMap<String, Network>,
    /// Volumes, the same.
    pub volumes: BTreeMap<String, Volume>,
    /// Secrets, the same.
    pub secrets: BTreeMap<String, Content>,
    /// Configs, the same.
    pub configs: BTreeMap<String, Content>,
    /// The environment, with that of `.env`.
    pub environment: BTreeMap<String, String>,
    /// All of it spelled out, as `config` shows it.
    pub tree: Object,
    /// What the reader should know.
    pub warnings: Vec<String>,
    documents: Vec<Document>,
}

impl Project {
    /// Loads a project. A service that is named is wanted, whatever its profile; none named is all.
    pub fn load(options: &Options, named: &[String], outer: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut loaded = load::load(options, outer)?;
        let asleep = send_to_sleep(&mut loaded, options, named);
        fill_services(&mut loaded)?;
        name_all(&mut loaded)?;
        held_together(&loaded, &asleep)?;
        unheeded(&mut loaded);
        let project = read(loaded, asleep)?;
        project.order()?;
        if let Some(name) = named.iter().find(|n| !project.services.contains_key(*n)) {
            return Err(Error::NoService { name: name.clone(), known: project.services.keys().cloned().collect() });
        }
        Ok(project)
    }

    /// Something is wrong with the files, at this path.
    pub fn fault(&self, path: &[&str], what: impl Into<String>) -> Fault {
        let path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
        Fault { place: document::place(&self.documents, &path), what: what.into(), why: None, hint: None }
    }

    /// For each service those that it comes after.
    pub fn needs(&self) -> Needs {
        self.services.iter().map(|(name, service)| (name.clone(), needs(service).into_iter().filter(|n| self.services.contains_key(n)).collect())).collect()
    }

    /// All services, each after those that it depends on.
    pub fn order(&self) -> Result<Vec<String>, Error> {
        graph::order(&self.needs()).map_err(|way| {
            let first = way.first().map_or("", String::as_str);
            let fault = self.fault(&["services", first, "depends_on"], format!("dependency cycle detected: {}", way.join(" -> ")));
            fault.because("each service starts after those that it depends on, so none of these could be the first").try_this("take one of them out of a depends_on").into()
        })
    }

    /// The named services and what they need, or all.
    pub fn selected(&self, named: &[String], with_needs: bool) -> BTreeSet<String> {
        match (named, with_needs) {
            ([], _) => self.services.keys().cloned().collect(),
            (named, true) => graph::with_needs(named, &self.needs()),
            (named, false) => named.iter().cloned().collect(),
        }
    }
}

/// Those whom a service comes after.
fn needs(service: &Service) -> BTreeSet<String> {
    let from = service.volumes_from.iter().filter(|v| !v.starts_with("container:")).map(|v| v.split(':').next().unwrap_or_default().to_owned());
    service.depends_on.keys().cloned().chain(service.network_of().map(str::to_owned)).chain(from).collect()
}

fn section<'t>(tree: &'t mut Object, name: &str) -> Vec<(&'t String, &'t mut Value)> {
    tree.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten().collect()
}

/// Takes the services out that no active profile wants.
fn send_to_sleep(loaded: &mut Loaded, options: &Options, named: &[String]) -> BTreeMap<String, Vec<String>> {
    let of_variable = || loaded.environment.get("COMPOSE_PROFILES").into_iter().flat_map(|list| list.split(',')).map(|p| p.trim().to_owned()).collect();
    let mut active: Vec<String> = if options.profiles.is_empty() { of_variable() } else { options.profiles.clone() };
    let mut asleep = BTreeMap::new();
    let Some(Value::Object(services)) = loaded.tree.get_mut("services") else { return asleep };
    let profiles = |service: &Value| -> Vec<String> { service["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect() };
    // Who names a service wants its profiles: what it depends on is of the same, most often.
    active.extend(named.iter().filter_map(|n| services.get(n)).flat_map(profiles));
    services.retain(|name, service| {
        let of = profiles(service);
        let awake = of.is_empty() || active.iter().any(|a| a == "*" || of.contains(a));
        if !awake {
            asleep.insert(name.clone(), of);
        }
        awake
    });
    asleep
}

/// Environment of services, what they get without being asked, and what they must have.
fn fill_services(loaded: &mut Loaded) -> Result<(), Error> {
    let Some(Value::Object(services)) = loaded.tree.get("services").cloned() else {
        return Err(loaded.fault(&["services"], "there are no services").try_this("services: {web: {image: base}}").into());
    };
    let mut filled = Object::new();
    for (name, service) in services {
        let Value::Object(mut service) = service else { continue };
        // What says nothing says the default; but a variable without a value is one.
        plain(&mut service);
        if !service.contains_key("image") && !service.contains_key("build") {
            let fault = loaded.fault(&["services", &name], format!("service {name:?} has neither an image nor a build context specified: invalid compose project"));
            return Err(fault.try_this("image: NAME, or build: FOLDER").into());
        }
        variables(&mut service, &name, loaded)?;
        let mode = service.get("network_mode").cloned();
        if let (Some(mode), Some(_)) = (&mode, service.get("networks")) {
            let fault = loaded.fault(&["services", &name, "network_mode"], format!("service {name:?} declares mutually exclusive `network_mode` and `networks`: invalid compose project"));
            return Err(fault.because(format!("{mode} is a network already")).try_this("leave out one of the two").into());
        }
        if mode.is_none() && service.get("networks").and_then(Value::as_object).is_none_or(|n| n.is_empty()) {
            service.insert("networks".into(), json!({ "default": null }));
        }
        if let Some(Value::Object(build)) = service.get_mut("build") {
            build.entry("context").or_insert(json!(loaded.folder));
            if !build.contains_key("dockerfile_inline") {
                build.entry("dockerfile").or_insert(json!("Dockerfile"));
            }
        }
        for dependency in service.get_mut("depends_on").and_then(Value::as_object_mut).into_iter().flatten().filter_map(|(_, d)| d.as_object_mut()) {
            dependency.entry("condition").or_insert(json!("service_started"));
            dependency.entry("required").or_insert(json!(true));
        }
        filled.insert(name, Value::Object(service));
    }
    loaded.tree.insert("services".into(), Value::Object(filled));
    Ok(())
}

/// Takes away what says nothing, at any depth; but a variable, an ARG or a network may be named and no more.
fn plain(service: &mut Object) {
    fn without_nulls(value: &mut Value, named: bool) {
        match value {
            Value::Object(object) => {
                object.retain(|_, value| named || !value.is_null());
                object.iter_mut().for_each(|(key, value)| without_nulls(value, key == "args"));
            }
            Value::Array(list) => list.iter_mut().for_each(|value| without_nulls(value, false)),
            _ => {}
        }
    }
    service.retain(|_, value| !value.is_null());
    service.iter_mut().for_each(|(key, value)| without_nulls(value, matches!(key.as_str(), "environment" | "networks")));
}

/// `env_file` first, `environment` over it; a name alone takes the caller's value.
fn variables(service: &mut Object, name: &str, loaded: &Loaded) -> Result<(), Error> {
    let mut all = Object::new();
    let lookup = |name: &str| loaded.environment.get(name).cloned();
    let own: BTreeMap<String, String> = service.get("environment").and_then(Value::as_object).into_iter().flatten().filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned()))).collect();
    for (nth, file) in service.remove("env_file").as_ref().and_then(Value::as_array).into_iter().flatten().enumerate() {
        let path = PathBuf::from(file["path"].as_str().unwrap_or_default());
        if load::readable(&path) {
            // What stands in a file may hold what `environment` says, or a file above.
            let known = |name: &str| lookup(name).or_else(|| own.get(name).cloned()).or_else(|| all.get(name).and_then(Value::as_str).map(str::to_owned));
            all.extend(load::variables(&path, &known)?.into_iter().map(|(name, value)| (name, json!(value))));
        } else if file["required"] == true {
            let fault = loaded.fault(&["services", name, "env_file", &nth.to_string()], format!("env file {} not found", path.display()));
            return Err(fault.try_this("{path: FILE, required: false} goes on without it").into());
        }
    }
    if let Some(Value::Object(own)) = service.remove("environment") {
        let taken = |(name, value): (String, Value)| {
            let ours = || lookup(&name).map_or(Value::Null, Value::from);
            let value = if value.is_null() { ours() } else { value };
            (name, value)
        };
        all.extend(own.into_iter().map(taken));
    }
    if !all.is_empty() {
        service.insert("environment".into(), Value::Object(all));
    }
    Ok(())
}

/// Networks, volumes, secrets and configs get their names: the project's before their own.
fn name_all(loaded: &mut Loaded) -> Result<(), Error> {
    let project = loaded.name.clone();
    for kind in ["networks", "volumes", "secrets", "configs"] {
        let uses_default = kind == "networks" && section(&mut loaded.tree, "services").iter().any(|(_, s)| s["networks"].get("default").is_some());
        if uses_default {
            let networks = loaded.tree.entry(kind).or_insert(json!({}));
            if networks.is_null() {
                *networks = json!({});
            }
            networks["default"].take_or_empty();
        }
        for (name, member) in section(&mut loaded.tree, kind) {
            member.take_or_empty();
            let external = member["external"] == true;
            let Some(member) = member.as_object_mut() else { continue };
            member.retain(|_, value| !value.is_null());
            member.entry("name").or_insert_with(|| json!(if external { name.clone() } else { format!("{project}_{name}") }));
        }
    }
    loaded.tree.remove("version");
    loaded.tree.insert("name".into(), json!(project));
    Ok(())
}

/// `null` as an object without members.
trait Empty {
    fn take_or_empty(&mut self);
}

impl Empty for Value {
    fn take_or_empty(&mut self) {
        if self.is_null() {
            *self = json!({});
        }
    }
}

/// Whatever a service names is there.
fn held_together(loaded: &Loaded, asleep: &BTreeMap<String, Vec<String>>) -> Result<(), Fault> {
    let none = Object::new();
    let of = |name: &str| loaded.tree.get(name).and_then(Value::as_object).unwrap_or(&none);
    for (name, service) in of("services") {
        let undefined = |key: &str, kind: &str, wanted: &str| {
            let known: Vec<&str> = of(&format!("{kind}s")).keys().map(String::as_str).collect();
            let fault = loaded.fault(&["services", name, key, wanted], format!("service {name:?} refers to undefined {kind} {wanted}: invalid compose project"));
            match super::error::nearest(wanted, known) {
                Some(near) => fault.try_this(format!("did you mean {near}?")),
                None => fault.try_this(format!("{kind}s: {{{wanted}: {{}}}} at the top of the file")),
            }
        };
        let network = service["networks"].as_object().into_iter().flatten().find(|(n, _)| !of("networks").contains_key(*n));
        if let Some((wanted, _)) = network {
            return Err(undefined("networks", "network", wanted));
        }
        let volumes = service["volumes"].as_array().into_iter().flatten().filter(|v| v["type"] == "volume").filter_map(|v| v["source"].as_str());
        if let Some(wanted) = volumes.into_iter().find(|v| !of("volumes").contains_key(*v)) {
            return Err(undefined("volumes", "volume", wanted));
        }
        for (key, kind) in [("secrets", "secret"), ("configs", "config")] {
            let wanted = service[key].as_array().into_iter().flatten().filter_map(|g| g["source"].as_str()).find(|s| !of(key).contains_key(*s));
            if let Some(wanted) = wanted {
                return Err(undefined(key, kind, wanted));
            }
        }
        depends(loaded, name, service, of("services"), asleep)?;
    }
    Ok(())
}

/// A secret or config that is a file of the host is bound, with the owner and mode that it has there.
fn unheeded(loaded: &mut Loaded) {
    let mut told = Vec::new();
    let none = Object::new();
    let of = |name: &str| loaded.tree.get(name).and_then(Value::as_object).unwrap_or(&none);
    for (name, service) in of("services") {
        for kind in ["secrets", "configs"] {
            for (nth, grant) in service[kind].as_array().into_iter().flatten().enumerate() {
                let is_file = grant["source"].as_str().and_then(|s| of(kind).get(s)).is_some_and(|c| c.get("file").is_some());
                let asked: Vec<&str> = ["uid", "gid", "mode"].into_iter().filter(|key| is_file && grant.get(key).is_some()).collect();
                if !asked.is_empty() {
                    let what = format!("services.{name}.{kind}[{nth}]: {} not heeded: a file of the host keeps the owner and mode that it has there", asked.join(" and "));
                    told.push(loaded.fault(&["services", name, kind, &nth.to_string()], what).to_string());
                }
            }
        }
    }
    loaded.warnings.extend(told);
}

fn depends(loaded: &Loaded, name: &str, service: &Value, services: &Object, asleep: &BTreeMap<String, Vec<String>>) -> Result<(), Fault> {
    let required = service["depends_on"].as_object().into_iter().flatten().filter(|(_, d)| d["required"] != false).map(|(n, _)| ("depends_on", n.as_str()));
    let network = service["network_mode"].as_str().and_then(|m| m.strip_prefix("service:")).map(|n| ("network_mode", n));
    let volumes = service["volumes_from"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|v| !v.starts_with("container:"));
    let volumes = volumes.map(|v| ("volumes_from", v.split(':').next().unwrap_or_default()));
    for (key, wanted) in required.chain(network).chain(volumes) {
        if services.contains_key(wanted) {
            continue;
        }
        let fault = loaded.fault(&["services", name, key, wanted], format!("service {name:?} depends on undefined service {wanted:?}: invalid compose project"));
        return Err(match (asleep.get(wanted), super::error::nearest(wanted, services.keys().map(String::as_str))) {
            (Some(profiles), _) => fault.because(format!("{wanted} has the profile {}, which is not active", profiles.join(", "))).try_this(format!("skiff compose --profile {} …", profiles.join(" --profile "))),
            (None, Some(near)) => fault.try_this(format!("did you mean {near}?")),
            (None, None) => fault.because(format!("the services are: {}", services.keys().cloned().collect::<Vec<_>>().join(", "))),
        });
    }
    Ok(())
}

/// The tree as values. It was found valid, so what cannot be read is a number out of its range.
fn read(loaded: Loaded, asleep: BTreeMap<String, Vec<String>>) -> Result<Project, Error> {
    fn members<T: serde::de::DeserializeOwned>(loaded: &Loaded, kind: &str) -> Result<BTreeMap<String, T>, Fault> {
        let members = loaded.tree.get(kind).and_then(Value::as_object).into_iter().flatten();
        let one = |(name, value): (&String, &Value)| {
            let read = serde_json::from_value(value.clone()).map_err(|e| loaded.fault(&[kind, name], format!("{kind}.{name}: {e}")))?;
            Ok((name.clone(), read))
        };
        members.map(one).collect()
    }
    Ok(Project {
        services: members(&loaded, "services")?,
        networks: members(&loaded, "networks")?,
        volumes: members(&loaded, "volumes")?,
        secrets: members(&loaded, "secrets")?,
        configs: members(&loaded, "configs")?,
        asleep,
        name: loaded.name,
        folder: loaded.folder,
        files: loaded.files,
        environment: loaded.environment,
        tree: loaded.tree,
        warnings: loaded.warnings,
        documents: loaded.documents,
    })
}
