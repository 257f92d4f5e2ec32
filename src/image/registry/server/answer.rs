//! What the registry answers: a status, headers, and bytes or a part of a file.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use tokio_util::io::ReaderStream;

/// One answer, before it is HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// So many bytes of a file, from where it stands.
    File(File, u64),
    /// None, though its length is told: HEAD.
    Length(u64),
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Content::Bytes(Vec::new()) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn bytes(mut self, content_type: &str, bytes: Vec<u8>) -> Self {
        self.content = Content::Bytes(bytes);
        self.with("content-type", content_type)
    }

    pub(super) fn json(status: u16, document: &serde_json::Value) -> Self {
        Self::new(status).bytes("application/json", document.to_string().into_bytes())
    }

    /// A part of a file.
    pub(super) fn file(mut self, mut file: File, from: u64, length: u64) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(from))?;
        self.content = Content::File(file, length);
        Ok(self)
    }

    /// An error in the spec's form.
    pub(super) fn error(status: u16, code: &str, message: &str, detail: impl Into<serde_json::Value>) -> Self {
        Self::json(status, &serde_json::json!({ "errors": [{ "code": code, "message": message, "detail": detail.into() }] }))
    }

    /// As HTTP; without its content where only the headers were asked for.
    pub(super) fn into_http(mut self, head: bool) -> Response<Body> {
        if head {
            let length = match &self.content {
                Content::Bytes(bytes) => bytes.len() as u64,
                Content::File(_, length) | Content::Length(length) => *length,
            };
            self.content = Content::Length(length);
        }
        let (body, length) = match self.content {
            Content::Length(length) => (Body::empty(), length),
            Content::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (Body::from(bytes), length)
            }
            Content::File(file, length) => {
                let part = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), length);
                (Body::from_stream(ReaderStream::with_capacity(part, 256 << 10)), length)
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if self.status != 204 && self.status != 304 {
            headers.insert("content-length", HeaderValue::from(length));
        }
        response
    }
}
