//! The labels that compose knows its own by; Docker Compose's, so that either shows the other's.

use super::model::Service;
use super::project::Project;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service.
pub const SERVICE: &str = "com.docker.compose.service";
/// Which of the service's containers it is, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` for one of `compose run`.
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// A hash of all that the container was made from.
pub const HASH: &str = "com.docker.compose.config-hash";
/// The id of its image.
pub const IMAGE: &str = "com.docker.compose.image";
/// The services that it comes after: `db:service_healthy:false,…`.
pub const DEPENDS: &str = "com.docker.compose.depends_on";
/// The project's files.
pub const FILES: &str = "com.docker.compose.project.config_files";
/// The project's folder.
pub const FOLDER: &str = "com.docker.compose.project.working_dir";
/// Of a network its name in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// Of a volume its name in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// Who made it.
pub const VERSION: &str = "com.docker.compose.version";

/// Keys of a service that say nothing about a single container of it.
const OF_THE_WHOLE: [&str; 6] = ["attach", "build", "depends_on", "profiles", "pull_policy", "scale"];

/// A hash of what a service's containers are made from.
pub fn hash(project: &Project, name: &str) -> String {
    let mut tree = project.tree.get("services").and_then(|s| s.get(name)).cloned().unwrap_or_default();
    if let Some(service) = tree.as_object_mut() {
        service.retain(|key, _| !OF_THE_WHOLE.contains(&key.as_str()));
        if let Some(deploy) = service.get_mut("deploy").and_then(|d| d.as_object_mut()) {
            deploy.remove("replicas");
        }
    }
    let mut hash = Sha256::new_with_prefix(tree.to_string());
    // What is put into the container is a part of it too; a file that is bound may change under it.
    for (kind, grants) in [("secrets", project.services.get(name).map(|s| &s.secrets)), ("configs", project.services.get(name).map(|s| &s.configs))] {
        for grant in grants.into_iter().flatten() {
            let of = if kind == "secrets" { &project.secrets } else { &project.configs };
            let content = of.get(&grant.source);
            let of_variable = content.and_then(|c| c.environment.as_ref()).and_then(|v| project.environment.get(v));
            hash.update(format!("{kind}/{}/{:?}/{:?}", grant.source, content.and_then(|c| c.content.as_ref()), of_variable));
        }
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The labels of a container.
pub fn of_container(project: &Project, name: &str, service: &Service, number: u32, image: &str) -> BTreeMap<String, String> {
    let depends: Vec<String> = service.depends_on.iter().map(|(of, d)| format!("{of}:{}:{}", d.condition.name(), d.restart)).collect();
    let files: Vec<String> = project.files.iter().map(|f| f.display().to_string()).collect();
    let own = [
        (PROJECT, project.name.clone()),
        (SERVICE, name.to_owned()),
        (NUMBER, number.to_string()),
        (ONEOFF, "False".to_owned()),
        (HASH, hash(project, name)),
        (IMAGE, image.to_owned()),
        (DEPENDS, depends.join(",")),
        (FILES, files.join(",")),
        (FOLDER, project.folder.display().to_string()),
        (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut all = service.labels.clone();
    all.extend(own.map(|(key, value)| (key.to_owned(), value)));
    all
}

/// The labels of a network or a volume; `key` is the one that holds its name in the file.
pub fn of_part(project: &Project, key: &str, name: &str, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = own.clone();
    let ours = [(PROJECT, project.name.clone()), (key, name.to_owned()), (VERSION, env!("CARGO_PKG_VERSION").to_owned())];
    all.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    all
}
