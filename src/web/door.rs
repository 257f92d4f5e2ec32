//! Who may come in: the token in the address, then a cookie; Host and Origin.
//!
//! A page on this machine can be asked for by every program and every web site that the browser shows.
//! So: a secret of 128 bits in the address that is printed, kept as a cookie that scripts cannot read
//! (HttpOnly) and other sites cannot send (SameSite=Strict); a Host that is this address, so that a
//! name which an attacker points here (DNS rebinding) gets nothing; and an Origin that is this very page
//! for whatever changes something or opens a socket, since a cookie knows no port (RFC 6265, 8.5).
//! See it live: `curl -i 127.0.0.1:3000/`. What it does not keep out: a program that may read this
//! user's processes, and a server on another port of 127.0.0.1 that the learner visits and that may
//! connect here: it is sent the cookie too. Bigger ones (JupyterHub) give each user a host name.

use crate::kernel::{OrSys, SysError};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::middleware::Next;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

/// Below this path everything needs the token, also behind an open door.
pub const PRIVATE: &str = "/live/";

/// The door of one server.
#[derive(Debug, Clone)]
pub struct Door(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    token: String,
    cookie: String,
    hosts: Vec<String>,
    is_open: bool,
    whence: &'static str,
}

/// A secret of 128 bits, in hexadecimal.
pub fn secret() -> Result<String, SysError> {
    let mut bits = [0u8; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bits)).or_sys("read /dev/urandom")?;
    Ok(bits.iter().map(|b| format!("{b:02x}")).collect())
}

/// Equal, in a time that tells nothing of where they differ.
pub fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

impl Door {
    /// A door with a fresh token, for a server on loopback at `addr`. Behind an open one, pages can be
    /// read without it. `whence` is the command that prints the address, for those who come without.
    pub fn new(addr: SocketAddr, is_open: bool, whence: &'static str) -> Result<Self, SysError> {
        let port = addr.port();
        let hosts = ["127.0.0.1", "localhost", "[::1]"].iter().map(|name| format!("{name}:{port}")).chain([addr.to_string()]).collect();
        // By port: two servers on this machine do not take each other's away.
        Ok(Self(Arc::new(Kept { token: secret()?, cookie: format!("drydock-{port}"), hosts, is_open, whence })))
    }

    /// The token that the printed address carries.
    pub fn token(&self) -> &str {
        &self.0.token
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
        let mut ours = cookies.filter_map(|c| c.trim().split_once('=')).filter(|(name, _)| *name == self.0.cookie);
        ours.any(|(_, value)| same(value, &self.0.token))
    }

    /// The address without its token, where it had one; and that token.
    fn presented(uri: &Uri) -> Option<(String, String)> {
        let (mut token, mut rest) = (None, Vec::new());
        for part in uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            match part.strip_prefix("token=") {
                Some(value) => token = Some(value.to_owned()),
                None => rest.push(part),
            }
        }
        let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        // Two slashes at the front would name another host.
        token.map(|token| (token, format!("/{}{query}", uri.path().trim_start_matches('/'))))
    }

    fn welcome(&self, to: &str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/")));
        let kept = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.0.cookie, self.0.token);
        // The second tells scripts that there is a first, and nothing more.
        for cookie in [kept, format!("{}-known=1; SameSite=Strict; Path=/", self.0.cookie)] {
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                headers.append(header::SET_COOKIE, value);
            }
        }
        response
    }

    fn without_token(&self) -> Response<Body> {
        let lead = "This page is one learner's own: it opens with the address that was printed, which has a token in it.";
        refusal(StatusCode::FORBIDDEN, &format!("{lead} Look where <code>{}</code> runs, and open that address again.", self.0.whence))
    }
}

/// A clean refusal, as a page.
pub fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("No");
    let page = format!("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n<body style=\"font: 1.1em/1.5 sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em; color-scheme: light dark\"><main><h1>{title}</h1><p>{text}</p></main></body></html>\n");
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// Lets in whom the door knows; for `axum::middleware::from_fn_with_state`.
pub async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned();
    if !door.0.hosts.contains(&host) {
        return refusal(StatusCode::MISDIRECTED_REQUEST, "This server answers to the address that it printed, and to no other name.");
    }
    if let Some((token, rest)) = Door::presented(request.uri()) {
        return if same(&token, &door.0.token) { door.welcome(&rest) } else { door.without_token() };
    }
    let is_known = door.knows(headers);
    let is_private = !door.0.is_open || request.uri().path().starts_with(PRIVATE);
    let acts = !matches!(*request.method(), Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    if (is_private || acts) && !is_known {
        return door.without_token();
    }
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    if acts && origin != Some(format!("http://{host}").as_str()) {
        return refusal(StatusCode::FORBIDDEN, "Another page asked for this.");
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_its_address_and_leads_nowhere_else() {
        let presented = |uri: &'static str| Door::presented(&Uri::from_static(uri));
        assert_eq!(presented("/a.html?token=x"), Some(("x".into(), "/a.html".into())));
        assert_eq!(presented("/a.html?b=1&token=x&c=2"), Some(("x".into(), "/a.html?b=1&c=2".into())));
        assert_eq!(presented("//evil.example/?token=x"), Some(("x".into(), "/evil.example/".into())));
        assert_eq!(presented("/a.html?b=1"), None);
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
        assert_ne!(secret().expect("randomness"), secret().expect("randomness"));
    }
}
