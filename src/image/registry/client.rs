//! One registry, one repository: who answers there, what may be asked, where redirects lead.
//!
//! The first request is `GET /v2/`: whatever answers 200 or 401 is a registry, and which of http and
//! https it was is used from then on. A redirect (blobs often lie in an object store) is followed for
//! reading alone, five times at most, and never from https to http; the Authorization header goes
//! along only to the same host over the same scheme.

use super::auth::Auth;
use super::http::{Body, Http, Request, Response, host_of, said};
use super::login::{Credentials, DockerConfig};
use super::settings::{Endpoint, Settings};
use super::Error;
use std::io::Read;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// A connection to a repository in a registry.
#[derive(Debug)]
pub struct Client {
    pub(super) http: Http,
    /// Scheme and host: `http://127.0.0.1:5000`.
    base: String,
    /// The registry's host, as a person knows it.
    pub(super) host: String,
    /// The repository's name there.
    pub(super) repository: String,
    auth: Auth,
}

/// A request about the repository.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub method: &'static str,
    /// Below the registry's address, or a whole URL of it.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body<'a>,
    /// What a token must be good for.
    pub scope: String,
}

impl Client {
    /// Finds out what answers there.
    pub fn connect(endpoint: &Endpoint, settings: &Settings) -> Result<Self, Error> {
        let credentials = DockerConfig::read()?.credentials(&endpoint.host)?;
        Self::connect_as(endpoint, settings, credentials)
    }

    /// As [`Client::connect`], for a user who is not in the configuration.
    pub fn connect_as(endpoint: &Endpoint, settings: &Settings, credentials: Option<Credentials>) -> Result<Self, Error> {
        let http = Http::new(endpoint, settings)?;
        let mut failed = None;
        for base in &endpoint.urls {
            let url = format!("{base}/v2/");
            match http.send(Request { method: "GET", url: &url, headers: &[], body: Body::None }) {
                Ok(response) if matches!(response.status().as_u16(), 200 | 401) => {
                    let auth = Auth::new(credentials, endpoint.insecure);
                    let (host, repository) = (endpoint.host.clone(), endpoint.repository.clone());
                    return Ok(Self { http, base: base.clone(), host, repository, auth });
                }
                Ok(response) => {
                    let status = response.status().as_u16();
                    let what = "find a registry".to_owned();
                    failed.get_or_insert(Error::Answer { what, host: endpoint.host.clone(), status, said: said(response) });
                }
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Unreachable { host: endpoint.host.clone(), problem: "it has no address".into() }))
    }

    /// Asks whether name and password are good.
    pub fn check_login(&self) -> Result<(), Error> {
        let call = Call { method: "GET", path: "/v2/".into(), headers: Vec::new(), body: Body::None, scope: String::new() };
        let response = self.call(&call)?;
        match response.status().as_u16() {
            200 => Ok(()),
            _ => Err(Error::LoginFailed { host: self.host.clone(), said: said(response) }),
        }
    }

    /// What a token must be good for to read.
    pub(super) fn pull_scope(&self) -> String {
        format!("repository:{}:pull", self.repository)
    }

    /// A read of something below the repository, such as `manifests/latest`.
    pub(super) fn get(&self, path: &str, headers: Vec<(&'static str, String)>) -> Result<Response, Error> {
        self.call(&Call { method: "GET", path: self.path(path), headers, body: Body::None, scope: self.pull_scope() })
    }

    /// A path below the repository.
    pub(super) fn path(&self, path: &str) -> String {
        format!("/v2/{}/{path}", self.repository)
    }

    /// Asks, says who is asking if the registry wants to know, and follows redirects of reads.
    pub(super) fn call(&self, call: &Call<'_>) -> Result<Response, Error> {
        let mut url = if call.path.starts_with('/') { format!("{}{}", self.base, call.path) } else { call.path.clone() };
        let mut header = self.auth.known(&call.scope).filter(|_| self.is_ours(&url));
        let mut asked = false;
        for _ in 0..=REDIRECTS {
            let mut response = self.send(call, &url, header.as_ref())?;
            if response.status().as_u16() == 401 && !asked && self.is_ours(&url) {
                asked = true;
                let Some(new) = self.auth.answer(&response, &call.scope, &self.http)? else {
                    let action = if call.scope.ends_with("push") { "push" } else { "pull" };
                    let said = "no basic auth credentials".to_owned();
                    return Err(Error::Denied { action, repository: self.named(), said, host: self.host.clone() });
                };
                header = Some(new);
                response = self.send(call, &url, header.as_ref())?;
            }
            let reading = matches!(call.method, "GET" | "HEAD");
            if !reading || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            url = self.redirect(&url, &response)?;
            if !self.is_ours(&url) {
                header = None;
            }
        }
        Err(Error::content(format!("the answer of {}", self.host), format!("it redirects more than {REDIRECTS} times")))
    }

    fn send(&self, call: &Call<'_>, url: &str, authorization: Option<&String>) -> Result<Response, Error> {
        let mut headers = call.headers.clone();
        headers.extend(authorization.map(|h| ("authorization", h.clone())));
        self.http.send(Request { method: call.method, url, headers: &headers, body: call.body })
    }

    fn redirect(&self, from: &str, response: &Response) -> Result<String, Error> {
        let refused = |problem: String| Error::content(format!("the answer of {}", self.host), problem);
        let location = response.headers().get("location").and_then(|l| l.to_str().ok());
        let location = location.ok_or_else(|| refused("it redirects to nowhere".into()))?;
        let url = resolve(from, location).ok_or_else(|| refused(format!("it redirects to {location:?}")))?;
        if from.starts_with("https:") && url.starts_with("http:") {
            return Err(refused(format!("it redirects from https to {url}")));
        }
        Ok(url)
    }

    /// The same host over the same scheme: credentials may go there.
    fn is_ours(&self, url: &str) -> bool {
        let scheme = |u: &str| u.split("://").next().unwrap_or_default().to_ascii_lowercase();
        scheme(url) == scheme(&self.base) && host_of(url).eq_ignore_ascii_case(host_of(&self.base))
    }

    /// A location that the registry gave, as a URL of its own.
    pub(super) fn location(&self, response: &Response) -> Option<String> {
        resolve(&format!("{}/", self.base), response.headers().get("location")?.to_str().ok()?)
    }

    /// The next page of a list, as a path; `None` if it is somewhere else.
    pub(super) fn page(&self, link: &str) -> Option<String> {
        let url = resolve(&format!("{}/v2/", self.base), link).filter(|url| self.is_ours(url))?;
        Some(url[self.base.len()..].to_owned())
    }

    /// Reads an answer whole, of at most `max` bytes.
    pub(super) fn read(&self, what: &str, response: Response, max: u64) -> Result<Vec<u8>, Error> {
        let too_long = || Error::content(what, format!("it is longer than {}", crate::kernel::units::docker_size(max)));
        let announced = response.body().content_length();
        if announced.is_some_and(|n| n > max) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(max + 1).read_to_end(&mut bytes);
        read.map_err(|e| Error::Unreachable { host: self.host.clone(), problem: self.http.io_in_words(&e) })?;
        if bytes.len() as u64 > max { Err(too_long()) } else { Ok(bytes) }
    }

    /// What a refusing answer means.
    pub(super) fn refusal(&self, what: &str, action: &'static str, response: Response) -> Error {
        let (host, status) = (self.host.clone(), response.status().as_u16());
        let said = said(response);
        match status {
            401 | 403 => Error::Denied { action, repository: self.named(), said, host },
            404 if said.starts_with("name ") => Error::Denied { action, repository: self.named(), said, host },
            429 => Error::TooMany { host, said },
            _ => Error::Answer { what: what.to_owned(), host, status, said },
        }
    }

    /// The repository as a person names it.
    fn named(&self) -> String {
        match self.repository.strip_prefix("library/") {
            Some(short) if self.host == super::settings::HUB => short.to_owned(),
            _ if self.host == super::settings::HUB => self.repository.clone(),
            _ => format!("{}/{}", self.host, self.repository),
        }
    }
}

/// A location as a URL, seen from the page that named it.
fn resolve(from: &str, location: &str) -> Option<String> {
    if location.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = from.split_once("://")?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(other) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{other}"));
    }
    let host = rest.split(['/', '?', '#']).next()?;
    if location.starts_with('/') {
        return Some(format!("{scheme}://{host}{location}"));
    }
    if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    let path = rest[host.len()..].split(['?', '#']).next().unwrap_or_default();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{host}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_location_is_seen_from_the_page_that_named_it() {
        let from = "https://reg:5000/v2/a/blobs/x?y=/z";
        for (location, expected) in [
            ("/v2/b", Some("https://reg:5000/v2/b")),
            ("b?c", Some("https://reg:5000/v2/a/blobs/b?c")),
            ("//other/b", Some("https://other/b")),
            ("http://other/b", Some("http://other/b")),
            ("file:///etc/passwd", None),
            ("b\r\nx", None),
        ] {
            assert_eq!(resolve(from, location).as_deref(), expected, "{location}");
        }
    }
}
