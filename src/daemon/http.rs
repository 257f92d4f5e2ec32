//! A request as the rest of the daemon sees it, and the shapes of answers.

use super::fault::Fault;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use futures_util::StreamExt;
use hyper::upgrade::OnUpgrade;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// The most that a document in a request may have.
const DOCUMENT: usize = 4 << 20;

/// What is answered.
pub(super) type Reply = Result<Response<Body>, Fault>;

/// One request.
#[derive(Debug)]
pub(super) struct Asked {
    pub method: Method,
    /// The version of the API that it is written in: major, minor.
    pub version: (u32, u32),
    /// The path without the version, in pieces.
    pub path: Vec<String>,
    query: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// Behind a lock for the compiler alone: a request is looked at from one task, and a body is not `Sync`.
    body: Mutex<Body>,
    pub upgrade: Option<OnUpgrade>,
}

impl Asked {
    pub fn new(method: Method, version: (u32, u32), path: Vec<String>, query: &str, headers: HeaderMap, body: Body) -> Self {
        let query = query.split('&').filter(|p| !p.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        });
        Self { method, version, path, query: query.collect(), headers, body: Mutex::new(body), upgrade: None }
    }

    /// What it brings; nothing the second time.
    pub fn body(&mut self) -> Body {
        std::mem::replace(self.body.get_mut().unwrap_or_else(PoisonError::into_inner), Body::empty())
    }

    /// A query's value; none where it is missing or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a name.
    pub fn every(&self, name: &str) -> Vec<String> {
        self.query.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// As Docker reads a truth: whatever is neither empty, 0, no, false nor none.
    pub fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !matches!(v.to_ascii_lowercase().as_str(), "0" | "no" | "false" | "none"))
    }

    /// The same; `otherwise` where nothing is said.
    pub fn is_or(&self, name: &str, otherwise: bool) -> bool {
        if self.get(name).is_none() { otherwise } else { self.is(name) }
    }

    /// A number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Fault> {
        self.get(name).map(|v| v.parse().map_err(|_| Fault::bad(format!("strconv: parsing {v:?}: invalid syntax in {name}")))).transpose()
    }

    /// `filters`: JSON, of names to a list, or to a set as old clients write it; each as `NAME=VALUE`.
    pub fn filters(&self) -> Result<Vec<String>, Fault> {
        let Some(text) = self.get("filters") else { return Ok(Vec::new()) };
        let bad = || Fault::bad("invalid filter");
        let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).map_err(|_| bad())?;
        let mut found = Vec::new();
        for (name, values) in all {
            let values: Vec<String> = match values {
                serde_json::Value::Array(list) => list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(bad)).collect::<Result<_, _>>()?,
                serde_json::Value::Object(set) => set.into_iter().filter(|(_, on)| on.as_bool() == Some(true)).map(|(v, _)| v).collect(),
                _ => return Err(bad()),
            };
            found.extend(values.into_iter().map(|value| format!("{name}={value}")));
        }
        Ok(found)
    }

    /// The body as a document; `T`'s own default where there is none.
    pub async fn document<T: DeserializeOwned + Default>(&mut self) -> Result<T, Fault> {
        let bytes = axum::body::to_bytes(self.body(), DOCUMENT).await.map_err(|_| Fault::bad(format!("the request's body is cut short, or larger than {DOCUMENT} bytes")))?;
        if bytes.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&bytes).map_err(|e| Fault::bad(format!("invalid JSON: {e}")))
    }
}

/// `%2F` and its like.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = (*first == b'%').then(|| tail.get(..2)).flatten();
        match pair.and_then(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A document.
pub(super) fn json(status: u16, document: &impl Serialize) -> Reply {
    let text = serde_json::to_vec(document).map_err(|e| Fault::new(500, e.to_string()))?;
    let mut text = text;
    text.push(b'\n');
    Ok(bytes(status, "application/json", text))
}

/// Bytes.
pub(super) fn bytes(status: u16, kind: &'static str, content: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(content.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Nothing but a status.
pub(super) fn empty(status: u16) -> Reply {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}

/// Where a thread or a task writes what is answered bit by bit. Who writes is told when nobody reads.
pub(super) type Sender = mpsc::Sender<Bytes>;

/// An answer whose content comes bit by bit, and the end that it is written to.
pub(super) fn streamed(kind: &'static str) -> (Sender, Response<Body>) {
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    (sender, bytes(200, kind, Body::from_stream(stream.map(Ok::<_, std::io::Error>))))
}

/// Runs blocking work on a thread.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Fault::new(500, format!("the daemon failed: {e}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(query: &str) -> Asked {
        Asked::new(Method::GET, (1, 41), Vec::new(), query, HeaderMap::new(), Body::empty())
    }

    #[test]
    fn a_query_is_read_as_docker_reads_it() {
        let one = asked("all=1&limit=0&size=False&name=a%2Fb+c&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%2C%22name%22%3A%5B%22x%22%5D%7D");
        assert!(one.is("all") && !one.is("size") && !one.is("limit") && !one.is("none") && one.is_or("none", true));
        assert_eq!((one.get("name"), one.number("limit").ok()), (Some("a/b c"), Some(Some(0))));
        assert_eq!(one.filters().ok(), Some(vec!["label=a=b".to_owned(), "name=x".to_owned()]));
        assert!(asked("filters=x").filters().is_err() && asked("limit=x").number::<i64>("limit").is_err());
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(text in ".{0,80}") {
            let one = asked(&text);
            let _ = (one.filters(), one.is("all"), decoded(&text));
        }
    }
}
