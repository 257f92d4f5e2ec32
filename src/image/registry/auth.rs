//! Who is asking: what goes into the Authorization header (distribution spec, token authentication).
//!
//! A registry answers 401 and says in WWW-Authenticate what it wants. *Basic* is name and password.
//! *Bearer* is a token for one scope (`repository:team/web:pull`) from another server, the realm,
//! which is asked with name and password, with an identity token, or with nothing. Tokens are kept
//! for as long as the client is. Over a connection without TLS to another machine, no password goes.

use super::challenge::{Challenge, challenges};
use super::http::{Body, Http, Request, Response, said};
use super::login::Credentials;
use super::settings;
use super::Error;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;

/// The most that is read of a token server's answer.
const TOKEN_MAX: u64 = 1 << 20;

/// What is known about one registry's wishes.
#[derive(Debug)]
pub(super) struct Auth {
    credentials: Option<Credentials>,
    /// The registry may be spoken to without TLS.
    insecure: bool,
    /// The Authorization header that was good for a scope.
    known: Mutex<BTreeMap<String, String>>,
}

impl Auth {
    pub(super) fn new(credentials: Option<Credentials>, insecure: bool) -> Self {
        Self { credentials, insecure, known: Mutex::default() }
    }

    /// The header that was good for this scope.
    pub(super) fn known(&self, scope: &str) -> Option<String> {
        self.known.lock().ok()?.get(scope).cloned()
    }

    /// The header that a registry wants, from its answer 401. `None` where it wants something that
    /// this user has not.
    pub(super) fn answer(&self, response: &Response, scope: &str, http: &Http) -> Result<Option<String>, Error> {
        let headers = response.headers().get_all("www-authenticate").iter().filter_map(|h| h.to_str().ok());
        let all: Vec<Challenge> = headers.flat_map(challenges).collect();
        let by_scheme = |scheme: &str| all.iter().find(|c| c.scheme == scheme);
        let header = if let Some(bearer) = by_scheme("bearer") {
            Some(format!("Bearer {}", self.token(bearer, scope, http)?))
        } else if by_scheme("basic").is_some() {
            self.credentials.as_ref().and_then(Credentials::basic)
        } else {
            None
        };
        if let (Some(header), Ok(mut known)) = (&header, self.known.lock()) {
            known.insert(scope.to_owned(), header.clone());
        }
        Ok(header)
    }

    fn token(&self, challenge: &Challenge, scope: &str, http: &Http) -> Result<String, Error> {
        if let Some(Credentials::Registry(token)) = &self.credentials {
            return Ok(token.clone());
        }
        let realm = challenge.get("realm").unwrap_or_default();
        let host = super::http::host_of(realm).to_owned();
        let is_tls = realm.starts_with("https://");
        if !is_tls && !realm.starts_with("http://") {
            return Err(Error::content("the registry's challenge", format!("its realm {realm:?} is not a URL")));
        }
        if !is_tls && !self.insecure && !settings::is_loopback(&host) {
            return Err(Error::content("the registry's challenge", format!("its realm {realm} is without TLS, and a password would be read on the way")));
        }
        // What the registry itself asks for, where this is about no repository.
        let scope = if scope.is_empty() { challenge.get("scope").unwrap_or_default() } else { scope };
        let service = challenge.get("service").unwrap_or_default();
        let response = match &self.credentials {
            Some(Credentials::Identity(token)) => {
                let fields = [("grant_type", "refresh_token"), ("service", service), ("client_id", "skiff"), ("refresh_token", token), ("scope", scope)];
                let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
                http.send(Request { method: "POST", url: realm, headers: &headers, body: Body::Bytes(form(&fields).as_bytes()) })?
            }
            other => {
                let mut fields = vec![("service", service)];
                // Several scopes are several fields.
                fields.extend(scope.split(' ').filter(|s| !s.is_empty()).map(|s| ("scope", s)));
                let url = format!("{realm}{}{}", if realm.contains('?') { '&' } else { '?' }, form(&fields));
                let basic = other.as_ref().and_then(Credentials::basic);
                let headers: Vec<_> = basic.into_iter().map(|b| ("authorization", b)).collect();
                http.send(Request { method: "GET", url: &url, headers: &headers, body: Body::None })?
            }
        };
        if !response.status().is_success() {
            return Err(Error::LoginFailed { host, said: said(response) });
        }
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(TOKEN_MAX).read_to_end(&mut bytes);
        read.map_err(|e| Error::Unreachable { host: host.clone(), problem: http.io_in_words(&e) })?;
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|name| document.get(name)?.as_str().filter(|t| !t.is_empty()));
        // It becomes a header: nothing but what may stand in one.
        let token = token.filter(|t| t.bytes().all(|b| b.is_ascii_graphic()));
        token.map(str::to_owned).ok_or_else(|| Error::content(format!("the answer of {host}"), "there is no token in it"))
    }
}

/// Fields as a form has them, with all but letters, digits and `-._~` escaped.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| format!("{n}={}", escaped(v))).collect::<Vec<_>>().join("&")
}

/// A value for a query.
pub(in crate::image::registry) fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => text.push(char::from(b)),
            b => text.push_str(&format!("%{b:02X}")),
        }
    }
    text
}
