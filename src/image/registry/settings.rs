//! Which registries may be spoken to without TLS, which mirrors are asked before Docker Hub.
//!
//! The options are those of dockerd, and so are the keys of skiff's own file,
//! `$XDG_CONFIG_HOME/skiff/config.json`, else `~/.config/skiff/config.json`, else
//! `/etc/skiff/config.json`: `insecure-registries`, `registry-mirrors`; and `registry-timeout`, the
//! seconds after which a registry that sends nothing has stalled.
//!
//! As in Docker, the loopback network is insecure by its nature: who could listen there is here already.

use super::Error;
use crate::image::Reference;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where Docker Hub's images truly are.
pub const HUB: &str = "registry-1.docker.io";
/// Seconds without a byte after which a registry has stalled.
const TIMEOUT: u64 = 30;

/// What was set by options and by file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Settings {
    /// Hosts, with port or without, and networks (`10.0.0.0/8`) that need no TLS.
    pub insecure_registries: Vec<String>,
    /// URLs of mirrors of Docker Hub, in the order in which they are asked.
    pub registry_mirrors: Vec<String>,
    /// Seconds.
    pub(super) registry_timeout: Option<u64>,
    /// Who is told that a request waits and will be tried again.
    #[serde(skip)]
    pub told: Option<fn(&str)>,
}

/// One place where a repository may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port, as in a URL.
    pub host: String,
    /// URLs without a path, to be tried in this order.
    pub urls: Vec<String>,
    /// TLS without looking at the certificate is good enough.
    pub insecure: bool,
    /// The repository's name there: `library/nginx` on Docker Hub.
    pub repository: String,
    /// One of the mirrors: where it has not got something, the next is asked.
    pub mirror: bool,
}

impl Settings {
    /// Reads the file, if there is one, and adds the options of the command line.
    pub fn read(insecure: &[String], mirrors: &[String]) -> Result<Self, Error> {
        let mut settings = match files().find_map(|path| Some((std::fs::read(&path).ok()?, path))) {
            Some((bytes, path)) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::Config { path: path.display().to_string(), problem: e.to_string() })?,
            None => Self::default(),
        };
        settings.insecure_registries.extend_from_slice(insecure);
        settings.registry_mirrors.splice(0..0, mirrors.iter().cloned());
        Ok(settings)
    }

    /// How long a registry may send nothing.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.registry_timeout.unwrap_or(TIMEOUT).max(1))
    }

    /// Where an image may be: the mirrors of Docker Hub and the Hub, or the one registry that it names.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Error> {
        let Some(registry) = &reference.registry else {
            let repository = hub_repository(&reference.repository);
            let mut all = self.mirrors(&repository)?;
            all.push(self.endpoint(HUB, &repository));
            return Ok(all);
        };
        Ok(vec![self.endpoint(registry, &reference.repository)])
    }

    /// The mirrors of Docker Hub.
    pub fn mirrors(&self, repository: &str) -> Result<Vec<Endpoint>, Error> {
        self.registry_mirrors.iter().map(|url| self.mirror(url, repository)).collect()
    }

    /// The one registry that a push goes to: never a mirror.
    pub fn origin(&self, reference: &Reference) -> Endpoint {
        match &reference.registry {
            Some(registry) => self.endpoint(registry, &reference.repository),
            None => self.endpoint(HUB, &hub_repository(&reference.repository)),
        }
    }

    /// A registry as such, for login and search.
    pub fn endpoint(&self, host: &str, repository: &str) -> Endpoint {
        let insecure = self.is_insecure(host);
        let (plain, tls) = (format!("http://{host}"), format!("https://{host}"));
        let urls = match (insecure, is_loopback(host)) {
            (true, true) => vec![plain, tls],
            (true, false) => vec![tls, plain],
            (false, _) => vec![tls],
        };
        Endpoint { host: host.to_owned(), urls, insecure, repository: repository.to_owned(), mirror: false }
    }

    fn mirror(&self, url: &str, repository: &str) -> Result<Endpoint, Error> {
        let bad = |problem: &str| Error::Usage { what: "--registry-mirror", value: url.to_owned(), problem: problem.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it is not written http://HOST or https://HOST"))?;
        if !matches!(scheme, "http" | "https") {
            return Err(bad("only http and https are spoken"));
        }
        let host = rest.trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(bad("only a host and a port may follow"));
        }
        let (urls, insecure) = (vec![format!("{scheme}://{host}")], self.is_insecure(host));
        Ok(Endpoint { host: host.to_owned(), urls, insecure, repository: repository.to_owned(), mirror: true })
    }

    fn is_insecure(&self, host: &str) -> bool {
        let name = without_port(host);
        let listed = |entry: &String| {
            let entry = entry.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
            entry == host || entry == name || in_network(name, entry)
        };
        is_loopback(host) || self.insecure_registries.iter().any(listed)
    }
}

/// Docker Hub's official images are in `library`.
fn hub_repository(repository: &str) -> String {
    if repository.contains('/') { repository.to_owned() } else { format!("library/{repository}") }
}

fn files() -> impl Iterator<Item = PathBuf> {
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".config"));
    let own = std::env::var_os("XDG_CONFIG_HOME").filter(|d| !d.is_empty()).map(PathBuf::from).or_else(home);
    own.into_iter().chain([PathBuf::from("/etc")]).map(|d| d.join("skiff/config.json"))
}

/// Takes a registry's host off the beginning of a name.
pub fn split_host(name: &str) -> Option<(&str, &str)> {
    let (first, rest) = name.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some((first, rest))
}

/// `localhost` of `localhost:5000`, `::1` of `[::1]:5000`.
pub fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// True for this machine's own addresses.
pub fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// True if an address is in a network written `10.0.0.0/8`.
fn in_network(name: &str, network: &str) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Ok(ip), Ok(base), Ok(length)) = (name.parse(), base.parse(), length.parse::<u32>()) else { return false };
    let ((ip, kind), (base, base_kind)) = (bits(ip), bits(base));
    kind == base_kind && length <= kind && (length == 0 || (ip ^ base) >> (128 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn urls(settings: &Settings, name: &str) -> Vec<String> {
        let reference = Reference::from_str(name).unwrap();
        settings.endpoints(&reference).unwrap().into_iter().flat_map(|e| e.urls).collect()
    }

    #[test]
    fn only_loopback_and_what_was_named_does_without_tls() {
        let settings = Settings { insecure_registries: vec!["lab.example:5000".into(), "10.1.0.0/16".into()], ..Settings::default() };
        assert_eq!(urls(&settings, "127.0.0.1:5000/a"), ["http://127.0.0.1:5000", "https://127.0.0.1:5000"]);
        assert_eq!(urls(&settings, "localhost/a"), ["http://localhost", "https://localhost"]);
        assert_eq!(urls(&settings, "lab.example:5000/a"), ["https://lab.example:5000", "http://lab.example:5000"]);
        assert_eq!(urls(&settings, "10.1.2.3/a"), ["https://10.1.2.3", "http://10.1.2.3"]);
        assert_eq!(urls(&settings, "10.2.2.3/a"), ["https://10.2.2.3"]);
        assert_eq!(urls(&settings, "lab.example/a"), ["https://lab.example"]);
        assert_eq!(urls(&settings, "localhost.example/a"), ["https://localhost.example"]);
    }

    #[test]
    fn mirrors_are_asked_before_the_hub_and_for_nothing_else() {
        let settings = Settings { registry_mirrors: vec!["http://127.0.0.1:5000/".into()], ..Settings::default() };
        assert_eq!(urls(&settings, "nginx"), ["http://127.0.0.1:5000", "https://registry-1.docker.io"]);
        assert_eq!(urls(&settings, "quay.io/nginx"), ["https://quay.io"]);
        let hub = settings.endpoints(&Reference::from_str("nginx").unwrap()).unwrap();
        assert_eq!(hub[1].repository, "library/nginx");
        for bad in ["127.0.0.1:5000", "ftp://a", "http://", "http://user@host", "http://host/path"] {
            let settings = Settings { registry_mirrors: vec![bad.into()], ..Settings::default() };
            assert!(settings.endpoints(&Reference::from_str("nginx").unwrap()).is_err(), "{bad}");
        }
    }
}
