//! ADD of a URL: the file behind it, whole, checked where `--checksum` says what it must be
//! (Dockerfile reference, "ADD").
//!
//! Without a checksum it is fetched in each build, since only its content can be the key; with one,
//! nothing is asked while the step is in the cache. Bigger builders ask for the ETag first.

use super::Error;
use crate::image::layer::Hashing;
use crate::kernel::OrSys;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long nothing may come.
const STALL: Duration = Duration::from_secs(60);

/// What a fetched file is called until it is copied: a URL's own name may be none, or lead elsewhere.
pub const FILE: &str = "file";

/// True for what is fetched.
pub fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// True for what Docker clones: a git repository's URL. Over http that is one whose path ends with `.git`.
pub fn is_repository(source: &str) -> bool {
    let path = source.split(['?', '#']).next().unwrap_or(source);
    let ssh = source.split_once('@').is_some_and(|(user, rest)| user == "git" && rest.contains(':'));
    ssh || source.starts_with("git://") || source.starts_with("ssh://") || (is_url(source) && path.ends_with(".git"))
}

/// The name of the file behind a URL: its last part, without a query; empty where that is no file's.
pub fn name(url: &str) -> &str {
    let name = last(url);
    if matches!(name, "." | "..") { "" } else { name }
}

fn last(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    path.split_once('/').map_or("", |(_, path)| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
}

/// Fetches `url` into `folder`. The file has the time that the server says, and is its owner's alone.
pub fn fetch(url: &str, checksum: Option<&str>, folder: &Path) -> Result<PathBuf, Error> {
    let failed = |problem: String| Error::Fetch { url: url.to_owned(), problem };
    let response = agent(url).get(url).call().map_err(|e| failed(in_words(&e)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answers {}", response.status())));
    }
    let time = response.headers().get("last-modified").and_then(|v| v.to_str().ok()).and_then(|v| httpdate::parse_http_date(v).ok());
    let path = folder.join(FILE);
    let mut file = File::create_new(&path).or_sys_with(|| format!("write {}", path.display()))?;
    let mut body = Hashing::new(response.into_body().into_reader());
    io::copy(&mut body, &mut file).map_err(|e| failed(e.to_string()))?;
    let (digest, _) = body.finish().map_err(|e| failed(e.to_string()))?;
    if let Some(expected) = checksum.filter(|c| *c != digest.to_string()) {
        return Err(failed(format!("digest mismatch {digest}: {expected}")));
    }
    let time = time.unwrap_or(std::time::UNIX_EPOCH);
    file.set_modified(time).or_sys_with(|| format!("date {}", path.display()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).or_sys_with(|| format!("protect {}", path.display()))?;
    Ok(path)
}

fn agent(url: &str) -> ureq::Agent {
    let mut builder = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("skiff/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_per_read(Some(STALL));
    if url.starts_with("https:") {
        let own: Vec<Certificate<'static>> =
            rustls_native_certs::load_native_certs().certs.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
        let roots = if own.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&own) };
        builder = builder.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    builder.build().new_agent()
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no name server here knows that host".into(),
        ureq::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_repository, name};

    #[test]
    fn a_repository_is_told_from_a_file() {
        for (source, repository) in [
            ("https://h/a/b.git", true), ("http://h/b.git#v1:sub", true), ("git@h:a/b", true), ("git://h/b", true), ("ssh://git@h/b", true),
            ("https://h/a/b", false), ("https://h/x?y=.git", false), ("b.git", false), ("git@file", false),
        ] {
            assert_eq!(is_repository(source), repository, "{source}");
        }
    }

    #[test]
    fn a_file_is_called_by_the_last_part_of_its_url() {
        for (url, expected) in [("http://h/a/b.tar.gz?x=/y", "b.tar.gz"), ("https://h:1/a/", "a"), ("http://h", ""), ("http://h/", ""), ("http://h/..", "")] {
            assert_eq!(name(url), expected, "{url}");
        }
    }
}
