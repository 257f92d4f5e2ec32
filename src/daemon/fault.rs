//! What went wrong, as Docker says it: a status, and `{"message": …}`.
//!
//! The engine's errors come either as values, or as the first line that a `skiff` wrote before it ended;
//! both are the same words, so one table turns them into Docker's (API reference; its client, and
//! programs that were written against it, look at status and words).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One error of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// HTTP's.
    pub status: u16,
    /// For people.
    pub message: String,
}

impl Fault {
    /// Any.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// What was asked for cannot be.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Of what the engine says.
    pub fn of(error: &dyn crate::kernel::Explain) -> Self {
        let told = Self::said(&error.to_string());
        if told.status != 500 {
            return told;
        }
        // How a command could not be started is what the client makes its own exit code of.
        match (error.exit_code(), error.why()) {
            (127, _) => Self::new(400, format!("{}: executable file not found in $PATH", told.message)),
            (126, _) => Self::new(400, format!("{}: permission denied", told.message)),
            (_, Some(why)) => Self::new(500, format!("{}: {why}", told.message)),
            _ => told,
        }
    }

    /// Of the words alone.
    pub fn said(text: &str) -> Self {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("no such container: ") {
            return Self::new(404, format!("No such container: {name}"));
        }
        if let Some(name) = text.strip_prefix("no such image: ") {
            return Self::new(404, format!("No such image: {name}"));
        }
        if let Some(rest) = text.strip_prefix("the container name \"") {
            let (name, id) = rest.split_once("\" is taken by container ").unwrap_or((rest, ""));
            let message = format!("Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name.");
            return Self::new(409, message);
        }
        if let Some(rest) = text.strip_prefix("container ") {
            if let Some(name) = rest.strip_suffix(" is not running") {
                return Self::new(409, format!("container {name} is not running"));
            }
            if let Some(name) = rest.strip_suffix(" is running") {
                return Self::new(409, format!("cannot remove container \"{name}\": container is running: stop the container before removing or force remove"));
            }
            if let Some(name) = rest.strip_suffix(" is paused") {
                return Self::new(409, format!("Container {name} is paused, unpause the container before exec"));
            }
            if rest.ends_with(" is not paused") {
                return Self::new(409, format!("Container {rest}"));
            }
        }
        if text.starts_with("network ") && text.ends_with(" has active endpoints") {
            return Self::new(403, format!("error while removing network: {text}"));
        }
        let status = STATUS.iter().find(|(part, _)| text.contains(part)).map_or(500, |(_, status)| *status);
        Self::new(status, text)
    }
}

/// Parts of messages whose words are Docker's already, and what is answered with them.
const STATUS: &[(&str, u16)] = &[
    (" fits ", 400),
    (" is the beginning of ", 400),
    ("invalid container name", 400),
    ("invalid network name", 400),
    ("invalid published port", 400),
    ("invalid value", 400),
    ("is not an image reference", 400),
    ("cannot filter", 400),
    ("cannot change the config", 400),
    ("must be a directory", 400),
    ("conflict: ", 409),
    ("renaming a container with the same name", 400),
    ("network with name", 409),
    ("is a pre-defined network", 403),
    ("already exists in network", 403),
    ("is not connected to network", 403),
    ("volume is in use", 409),
    ("no such volume", 404),
    ("No such volume", 404),
    ("Could not find the file", 404),
    (" not found", 404),
    ("no such directory", 404),
    ("manifest unknown", 404),
    ("unauthorized", 401),
];

impl<E: crate::kernel::Explain> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl Fault {
    /// As HTTP.
    pub fn into_http(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.status != 304 {
            *response.body_mut() = Body::from(format!("{}\n", json!({ "message": self.message })));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response
    }
}
