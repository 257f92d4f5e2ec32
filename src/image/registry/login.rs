//! Docker's own config.json: who this user is at which registry.
//!
//! `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; shared with Docker, so all that is not
//! understood here stays as it is. A credential helper named for the registry (`credHelpers`) comes
//! before the general one (`credsStore`), and that before what the file itself holds (`auths`).

use super::{Error, helper, settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How Docker Hub is called in that file.
const HUB: &str = "https://index.docker.io/v1/";
/// The user's name beside an identity token.
const TOKEN: &str = "<token>";

/// Who is asking.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token, to be exchanged for others.
    Identity(String),
    /// A token that is sent as it is.
    Registry(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// The value of an Authorization header for basic authentication.
    pub fn basic(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))),
            _ => None,
        }
    }
}

/// Where a login was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In the file, for all to read who may read it.
    File(PathBuf),
    /// By a credential helper.
    Helper(String),
}

/// The file, read.
#[derive(Debug)]
pub struct DockerConfig {
    path: PathBuf,
    document: Map<String, Value>,
}

impl DockerConfig {
    /// Reads it; an absent one is empty.
    pub fn read() -> Result<Self, Error> {
        let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".docker"));
        let folder = std::env::var_os("DOCKER_CONFIG").filter(|d| !d.is_empty()).map(PathBuf::from).or_else(home);
        Self::at(&folder.unwrap_or_else(|| PathBuf::from("/root/.docker")).join("config.json"))
    }

    fn at(path: &Path) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Config { path: path.display().to_string(), problem };
        let document = match std::fs::read(path) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Map::new(),
            Ok(bytes) => parse(&bytes).map_err(wrong)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(e) => return Err(wrong(e.to_string())),
        };
        Ok(Self { path: path.to_owned(), document })
    }

    /// Who this user is at a registry; `None` is nobody in particular.
    pub fn credentials(&self, host: &str) -> Result<Option<Credentials>, Error> {
        let server = server(host);
        if let Some(name) = self.helper(&server) {
            return Ok(helper::get(name, &server)?.map(|kept| match kept.username.as_str() {
                TOKEN => Credentials::Identity(kept.secret),
                _ => Credentials::Basic { user: kept.username, password: kept.secret },
            }));
        }
        Ok(self.entry(&server).and_then(credentials_of))
    }

    /// The name under which this user is known at a registry.
    pub fn user(&self, host: &str) -> Result<Option<String>, Error> {
        Ok(self.credentials(host)?.and_then(|c| match c {
            Credentials::Basic { user, .. } => Some(user),
            _ => None,
        }))
    }

    /// Keeps a login.
    pub fn store(&mut self, host: &str, user: &str, secret: &str) -> Result<Kept, Error> {
        let server = server(host);
        if let Some(name) = self.helper(&server).map(str::to_owned) {
            helper::store(&name, &helper::Kept { server: server.clone(), username: user.to_owned(), secret: secret.to_owned() })?;
            self.set(&server, Some(json!({})));
            self.write()?;
            return Ok(Kept::Helper(name));
        }
        self.set(&server, Some(json!({ "auth": STANDARD.encode(format!("{user}:{secret}")) })));
        self.write()?;
        Ok(Kept::File(self.path.clone()))
    }

    /// Forgets a login; false if there was none.
    pub fn erase(&mut self, host: &str) -> Result<bool, Error> {
        let server = server(host);
        let mut known = self.entry(&server).is_some();
        if let Some(name) = self.helper(&server) {
            known |= helper::get(name, &server)?.is_some();
            helper::erase(name, &server)?;
        }
        if known {
            self.set(&server, None);
            self.write()?;
        }
        Ok(known)
    }

    fn helper(&self, server: &str) -> Option<&str> {
        let own = self.document.get("credHelpers").and_then(|h| h.get(server).or_else(|| h.get(bare(server))));
        own.or_else(|| self.document.get("credsStore")).and_then(Value::as_str).filter(|n| !n.is_empty())
    }

    /// The entry of a registry: under its name, or under an old URL of it.
    fn entry(&self, server: &str) -> Option<&Value> {
        let auths = self.document.get("auths")?.as_object()?;
        auths.get(server).or_else(|| auths.iter().find(|(key, _)| bare(key) == bare(server)).map(|(_, v)| v))
    }

    fn set(&mut self, server: &str, entry: Option<Value>) {
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.retain(|key, _| bare(key) != bare(server));
            if let Some(entry) = entry {
                auths.insert(server.to_owned(), entry);
            }
        }
    }

    /// Writes it aside and renames: another program may read it at any time. Nobody else may read it.
    fn write(&self) -> Result<(), Error> {
        let wrong = |e: std::io::Error| Error::Config { path: self.path.display().to_string(), problem: e.to_string() };
        // A link stays one: what it leads to is written.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let aside = path.with_extension(format!("json{}", std::process::id()));
        let mut text = Vec::new();
        let mut out = serde_json::Serializer::with_formatter(&mut text, serde_json::ser::PrettyFormatter::with_indent(b"\t"));
        serde::Serialize::serialize(&self.document, &mut out).map_err(|e| wrong(e.into()))?;
        let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside).map_err(wrong)?;
        let done = file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&aside, &path));
        if done.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        done.map_err(wrong)
    }
}

/// What Docker files a registry under.
pub fn server(host: &str) -> String {
    match host {
        "docker.io" | "index.docker.io" | settings::HUB => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// `quay.io` of `https://quay.io/v1/`.
fn bare(key: &str) -> &str {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    key.split('/').next().unwrap_or(key)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err("it is not a JSON object".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// Name and password, or a token, of one entry.
fn credentials_of(entry: &Value) -> Option<Credentials> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    if let Some(token) = text("registrytoken") {
        return Some(Credentials::Registry(token));
    }
    if let Some(token) = text("identitytoken") {
        return Some(Credentials::Identity(token));
    }
    if let Some(auth) = text("auth") {
        let bytes = STANDARD.decode(auth.trim()).ok()?;
        let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        return Some(Credentials::Basic { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() });
    }
    Some(Credentials::Basic { user: text("username")?, password: text("password")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(text: &str) -> DockerConfig {
        DockerConfig { path: PathBuf::from("/nowhere"), document: parse(text.as_bytes()).unwrap() }
    }

    fn basic(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic { user: user.into(), password: password.into() })
    }

    #[test]
    fn a_registry_is_found_under_its_name_and_under_its_old_urls() {
        let config = config(r#"{"auths": {"https://quay.io/v1/": {"auth": "YTpi"}, "reg:5000": {"username": "c", "password": "d"},
            "https://index.docker.io/v1/": {"identitytoken": "t"}, "empty": {}, "bad": {"auth": "%"}}}"#);
        assert!(config.credentials("quay.io").unwrap() == basic("a", "b"));
        assert!(config.credentials("reg:5000").unwrap() == basic("c", "d"));
        assert!(config.credentials("registry-1.docker.io").unwrap() == Some(Credentials::Identity("t".into())));
        for nobody in ["reg", "reg:5001", "empty", "bad", "io"] {
            assert!(config.credentials(nobody).unwrap().is_none(), "{nobody}");
        }
    }

    #[test]
    fn a_login_is_kept_beside_all_that_was_there_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("docker/config.json");
        let mut config = DockerConfig::at(&path).unwrap();
        config.document.insert("psFormat".into(), "x".into());
        assert_eq!(config.store("reg:5000", "me", "se:cret").unwrap(), Kept::File(path.clone()));
        let mut again = DockerConfig::at(&path).unwrap();
        assert!(again.credentials("reg:5000").unwrap() == basic("me", "se:cret"));
        assert_eq!(again.document["psFormat"], "x");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(again.erase("reg:5000").unwrap() && !again.erase("reg:5000").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n\t\"auths\": {},\n\t\"psFormat\": \"x\"\n}");
    }

    #[test]
    fn a_helper_must_be_a_name() {
        let config = config(r#"{"credsStore": "../../bin/sh"}"#);
        assert!(matches!(config.credentials("a.b"), Err(Error::Helper { .. })));
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "\\PC{0,200}", auth in "[A-Za-z0-9+/=:]{0,40}", key in "[a-z/:.]{0,20}") {
            let _ = parse(text.as_bytes());
            let text = json!({ "auths": { key.clone(): { "auth": auth, "username": 1 } }, "credHelpers": [] }).to_string();
            let _ = config(&text).credentials(&key);
        }

        #[test]
        fn name_and_password_come_back(user in "[^:\\x00]{1,20}", password in "[^\\x00]{0,20}") {
            let auth = STANDARD.encode(format!("{user}:{password}"));
            let read = credentials_of(&json!({ "auth": auth }));
            prop_assert!(read == basic(&user, &password));
        }
    }
}
