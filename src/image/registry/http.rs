//! One request to a registry: bounded in time, tried again where that helps, its errors in words.
//!
//! Tried again, after a wait that doubles: 429 (after what Retry-After says), 500, 502, 503, 504, and
//! a connection that broke or stalled. Not tried again: a port where nobody listens, a name that
//! nobody knows, a certificate that nobody trusts. Redirects and 401 are the caller's matter, who
//! knows which header may go where.

use super::settings::{Endpoint, Settings};
use super::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// An answer whose body is still to be read.
pub(super) type Response = http::Response<ureq::Body>;

/// How often a request is sent at most.
const ATTEMPTS: u32 = 5;
/// The first wait between two; each is twice the one before.
const WAIT: Duration = Duration::from_millis(200);
/// The longest that a registry's Retry-After is waited for.
const LONGEST: Duration = Duration::from_secs(60);
/// The most that is read of an answer that is an error.
const SAID_MAX: u64 = 64 << 10;

/// Connections to one host, kept open between requests.
#[derive(Debug)]
pub(super) struct Http {
    agent: ureq::Agent,
    timeout: Duration,
    told: Option<fn(&str)>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub method: &'static str,
    pub url: &'a str,
    pub headers: &'a [(&'static str, String)],
    pub body: Body<'a>,
}

/// What goes along.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    /// A whole file of that many bytes, and who is told how many have gone.
    File(&'a File, u64, &'a (dyn Fn(u64) + Sync)),
}

impl Http {
    /// Nothing is connected yet.
    pub(super) fn new(endpoint: &Endpoint, settings: &Settings) -> Result<Self, Error> {
        let timeout = settings.timeout();
        let mut builder = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("skiff/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(timeout.min(Duration::from_secs(15))))
            .timeout_per_read(Some(timeout))
            .timeout_per_write(Some(timeout));
        if super::settings::is_loopback(&endpoint.host) {
            builder = builder.proxy(None);
        }
        if endpoint.urls.iter().any(|u| u.starts_with("https:")) {
            builder = builder.tls_config(tls(endpoint)?);
        }
        Ok(Self { agent: builder.build().new_agent(), timeout, told: settings.told })
    }

    /// Sends a request until there is an answer that another try would not better.
    pub(super) fn send(&self, request: Request<'_>) -> Result<Response, Error> {
        let mut attempt = 1;
        loop {
            let (wait, why) = match self.once(request) {
                Ok(response) if attempt < ATTEMPTS && is_passing(response.status().as_u16()) => {
                    let status = response.status();
                    (retry_after(&response).unwrap_or(backoff(attempt)), format!("{} answers {status}", host_of(request.url)))
                }
                Ok(response) => return Ok(response),
                // Half an upload is no upload: its caller begins it anew.
                Err(error) if attempt < ATTEMPTS && is_broken(&error) && !matches!(request.body, Body::File(..)) => {
                    // A stall has cost its time already: three of them are enough.
                    attempt += u32::from(matches!(error, ureq::Error::Timeout(_)));
                    (backoff(attempt), self.in_words(&error))
                }
                Err(error) => return Err(self.unreachable(request.url, &error)),
            };
            if let Some(told) = self.told.filter(|_| wait >= Duration::from_secs(1)) {
                told(&format!("{why}; trying again in {} s", wait.as_secs()));
            }
            sleep(wait);
            attempt += 1;
        }
    }

    /// Sends it once.
    pub(super) fn once(&self, request: Request<'_>) -> Result<Response, ureq::Error> {
        let mut builder = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(*name, value);
        }
        match request.body {
            Body::None => self.agent.run(builder.body(())?),
            Body::Bytes(bytes) => self.agent.run(builder.body(bytes)?),
            Body::File(file, size, sent) => {
                let mut from = Sending { file, at: 0, size, sent };
                let builder = builder.header("content-length", size);
                self.agent.run(builder.body(ureq::SendBody::from_reader(&mut from))?)
            }
        }
    }

    /// An error of the connection, with its host.
    pub(super) fn unreachable(&self, url: &str, error: &ureq::Error) -> Error {
        let host = host_of(url).to_owned();
        let untrusted = match error {
            ureq::Error::Io(e) => e.kind() == io::ErrorKind::InvalidData,
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Pem(_) => true,
            _ => false,
        };
        let problem = self.in_words(error);
        if untrusted { Error::Untrusted { host, problem } } else { Error::Unreachable { host, problem } }
    }

    /// What happened to a connection.
    pub(super) fn in_words(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(_) => format!("it sent nothing for {} s", self.timeout.as_secs()),
            ureq::Error::HostNotFound => "host not found".into(),
            ureq::Error::Io(e) => self.io_in_words(e),
            other => other.to_string(),
        }
    }

    /// What happened while a body was read.
    pub(super) fn io_in_words(&self, error: &io::Error) -> String {
        if let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<ureq::Error>()) {
            return self.in_words(inner);
        }
        if is_unknown_host(error) {
            return "host not found".into();
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".into(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset".into(),
            io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => format!("it sent nothing for {} s", self.timeout.as_secs()),
            _ => error.to_string(),
        }
    }

    /// Waits before another try of a body that broke off.
    pub(super) fn wait(&self, attempt: u32) -> Duration {
        let wait = backoff(attempt);
        sleep(wait);
        wait
    }
}

/// Passing troubles, as HTTP names them.
fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// getaddrinfo(3) has no errno of its own: its answer is known by its words.
fn is_unknown_host(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address")
}

/// True for a connection that was there and broke.
fn is_broken(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        ureq::Error::Io(e) => !is_unknown_host(e) && !matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidData),
        _ => false,
    }
}

/// Each wait is twice the one before, and up to a quarter longer: not all clients at the same moment.
fn backoff(attempt: u32) -> Duration {
    let wait = WAIT * 2_u32.pow(attempt.clamp(1, 6) - 1);
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    wait + wait / 4 * (nanos % 100) / 100
}

/// Seconds, or a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?.trim();
    Some(Duration::from_secs(text.parse().ok()?).min(LONGEST))
}

/// Host and port of a URL.
pub(super) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The registry's own words in an answer that is an error: one line, nothing that moves a cursor.
pub(super) fn said(response: Response) -> String {
    let status = response.status();
    let mut text = String::new();
    let mut body = response.into_body();
    let _ = body.as_reader().take(SAID_MAX).read_to_string(&mut text);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let own = |error: &serde_json::Value| {
        let part = |name: &str| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let (code, message) = (part("code").to_lowercase().replace('_', " "), part("message"));
        [code, message].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(": ")
    };
    let errors = document.get("errors").and_then(serde_json::Value::as_array);
    let details = document.get("details").and_then(serde_json::Value::as_str).map(str::to_owned);
    let words = errors.and_then(|e| e.first()).map(own).or(details).filter(|w| !w.is_empty());
    let words = words.unwrap_or_else(|| status.canonical_reason().unwrap_or("an unknown status").to_owned());
    words.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The machine's authorities, or Mozilla's, and those that Docker's certs.d has for this registry.
fn tls(endpoint: &Endpoint) -> Result<TlsConfig, Error> {
    let host = &endpoint.host;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        certificates.push(Certificate::from_der(&certificate).to_owned());
    }
    let own = authorities(&Path::new("/etc/docker/certs.d").join(host)).map_err(|problem| Error::Untrusted { host: host.clone(), problem })?;
    let roots = match (certificates.is_empty(), own.is_empty()) {
        (true, true) => RootCerts::WebPki,
        _ => {
            certificates.extend(own);
            RootCerts::new_with_certs(&certificates)
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).disable_verification(endpoint.insecure).build())
}

fn authorities(folder: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    for path in entries.filter(|p| p.extension().is_some_and(|e| e == "crt")) {
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for item in ureq::tls::parse_pem(&bytes) {
            if let PemItem::Certificate(certificate) = item.map_err(|e| format!("{}: {e}", path.display()))? {
                found.push(certificate);
            }
        }
    }
    Ok(found)
}

/// A file on its way out, read from its beginning at each try.
struct Sending<'a> {
    file: &'a File,
    at: u64,
    size: u64,
    sent: &'a (dyn Fn(u64) + Sync),
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.size - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += n as u64;
        (self.sent)(self.at);
        Ok(n)
    }
}
