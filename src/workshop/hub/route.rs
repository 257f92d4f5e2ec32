//! Which request goes where, and what learners may ask. Everything that comes in is a stranger's.
//!
//! A learner shows their secret (`Authorization: Bearer …`, or a browser's cookie); the hub knows its hash
//! alone. Whoever sends a cookie must come from a page of the hub's own (Origin). Bodies are bounded.

use super::{Hub, stream, teacher};
use crate::web::door::same;
use crate::workshop::carry::Taken;
use crate::workshop::event::{Event, NICK, now, one_line};
use crate::workshop::member::id_of;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// The most bytes of a body that are read.
const BODY: usize = 256 * 1024;
/// The most learners of a class.
const LEARNERS: usize = 20_000;
/// The most events of one learner.
const EVENTS: u64 = 50_000;
/// A clock that is wrong by less is left alone, in ms: the network takes its time.
const CLOCK: i64 = 2000;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// From where.
    pub ip: IpAddr,
    /// By TLS.
    pub secure: bool,
}

/// An answer.
pub type Answer = Response<Body>;

/// A refusal: its status and its reason.
#[derive(Debug)]
pub struct Refused(StatusCode, String);

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let mut answer = told(&json!({ "error": refused.1 }));
        *answer.status_mut() = refused.0;
        answer
    }
}

/// Answers one request.
pub async fn one(hub: Arc<Hub>, peer: Peer, request: Request<Body>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = match (&method, path.as_str()) {
        (&Method::GET, "/") => Ok(page("text/html; charset=utf-8", include_str!("../page/join.html"))),
        (&Method::GET, "/join.js") => Ok(page("text/javascript; charset=utf-8", include_str!("../page/join.js"))),
        (&Method::GET, "/board.js") => Ok(page("text/javascript; charset=utf-8", include_str!("../page/board.js"))),
        (&Method::GET, "/style.css") => Ok(page("text/css; charset=utf-8", include_str!("../page/style.css"))),
        (&Method::POST, "/join") => join(&hub, peer, request).await,
        (&Method::POST, "/events") => events(&hub, peer, request).await,
        (&Method::GET, "/board") => teacher::enter(&hub, peer, &request),
        (_, path) if path.starts_with("/board/") => match teacher::is_teacher(&hub, peer, &request) {
            Ok(()) if path == "/board/stream" && method == Method::GET => Ok(with_kind("text/event-stream", stream::follow(Arc::clone(&hub)))),
            Ok(()) => teacher::one(&hub, request).await,
            Err(refused) => Err(refused),
        },
        _ => Err(refuse(StatusCode::NOT_FOUND, "there is no such page")),
    };
    safe(answer.unwrap_or_else(Answer::from))
}

/// What every answer says to a browser: nothing from elsewhere, nowhere else, never guessed.
fn safe(mut answer: Answer) -> Answer {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// A text with its media type.
pub fn page(kind: &'static str, text: impl Into<Bytes>) -> Answer {
    with_kind(kind, Body::from(text.into()))
}

fn with_kind(kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// JSON.
pub fn told(value: &Value) -> Answer {
    page("application/json", value.to_string())
}

/// A refusal with its reason.
pub fn refuse(status: StatusCode, why: &str) -> Refused {
    Refused(status, why.to_owned())
}

/// Too many were wrong.
pub fn wait(seconds: u64) -> Refused {
    refuse(StatusCode::TOO_MANY_REQUESTS, &format!("too many wrong tries; again in {seconds} s"))
}

/// Reads a body as JSON.
pub async fn body<T: for<'de> Deserialize<'de>>(request: Request<Body>) -> Result<T, Refused> {
    let bytes = to_bytes(request.into_body(), BODY).await.map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "that is too much at once"))?;
    serde_json::from_slice(&bytes).map_err(|e| refuse(StatusCode::BAD_REQUEST, &format!("that makes no sense: {e}")))
}

/// A cookie's value.
pub fn cookie<'r>(request: &'r Request<Body>, name: &str) -> Option<&'r str> {
    let all = request.headers().get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(';')).find_map(|pair| pair.trim().split_once('=').filter(|(n, _)| *n == name).map(|(_, value)| value))
}

/// A browser says where its page is from: it must be from here.
pub fn own_page(request: &Request<Body>, peer: Peer) -> Result<(), Refused> {
    let text = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let scheme = if peer.secure { "https" } else { "http" };
    let is_own = text(header::ORIGIN).is_none_or(|origin| text(header::HOST).is_some_and(|host| origin == format!("{scheme}://{host}")));
    if is_own { Ok(()) } else { Err(refuse(StatusCode::FORBIDDEN, "that page is not the hub's")) }
}

/// Who asks to join.
#[derive(Deserialize)]
struct Newcomer {
    word: String,
    #[serde(default)]
    nick: String,
    /// Made by the learner's machine. A browser has none, and gets a cookie.
    secret: Option<String>,
}

async fn join(hub: &Arc<Hub>, peer: Peer, request: Request<Body>) -> Result<Answer, Refused> {
    hub.limits.allows(peer.ip).map_err(wait)?;
    own_page(&request, peer)?;
    let newcomer: Newcomer = body(request).await?;
    if !same(&newcomer.word.to_lowercase(), &hub.code.word) {
        let count = hub.limits.wrong(peer.ip);
        hub.note(format!("{count} wrong codes from {}", peer.ip));
        return Err(refuse(StatusCode::FORBIDDEN, "the code is wrong: read it again from the instructor's screen"));
    }
    let browser = newcomer.secret.is_none();
    let secret = match newcomer.secret.map_or_else(|| crate::workshop::code::random_letters(32), Ok) {
        Ok(secret) if (16..=64).contains(&secret.len()) => secret,
        _ => return Err(refuse(StatusCode::BAD_REQUEST, "the secret is too short or too long")),
    };
    let wished = one_line(&newcomer.nick, NICK);
    let wished = if wished.is_empty() { "somebody".to_owned() } else { wished };
    let at = taken_in(hub, id_of(&secret), wished, browser).await?;
    let mut answer = told(&json!({ "inbox": hub.class().inbox(at, now(), &hub.program) }));
    if browser {
        let secure = if peer.secure { "; Secure" } else { "" };
        let cookie = format!("drydock-learner={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=1209600{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    Ok(answer)
}

/// Takes a learner in, written down first. Whoever is in already stays who they are.
async fn taken_in(hub: &Hub, id: String, wished: String, browser: bool) -> Result<usize, Refused> {
    let (nick, joined) = {
        let mut class = hub.class();
        if let Some(at) = class.find(&id) {
            return Ok(at);
        }
        if class.learners.len() >= LEARNERS {
            return Err(refuse(StatusCode::FORBIDDEN, "the class is full"));
        }
        (class.take_nick(&wished), now())
    };
    if let Err(why) = hub.wrote(hub.keep.learner(id.clone(), nick.clone(), joined, browser).await) {
        hub.class().free_nick(&nick);
        return Err(unwritten(&why));
    }
    if nick != wished {
        hub.note(format!("there is a {wished} already: the second is called {nick}"));
    }
    Ok(hub.class().join(id, nick, joined, browser))
}

/// What a learner sends.
#[derive(Deserialize)]
struct Sent {
    /// The learner's clock.
    now: i64,
    #[serde(default)]
    events: Vec<Value>,
}

async fn events(hub: &Arc<Hub>, peer: Peer, request: Request<Body>) -> Result<Answer, Refused> {
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let by_cookie = bearer.is_none();
    let id = bearer.or_else(|| cookie(&request, "drydock-learner")).map(id_of).ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "join first"))?;
    if by_cookie {
        own_page(&request, peer)?;
    }
    let found = {
        let class = hub.class();
        class.find(&id).map(|at| (at, class.learners[at].removed))
    };
    let at = match found {
        None => return Err(refuse(StatusCode::UNAUTHORIZED, "this class does not know you: join it")),
        Some((_, true)) => return Err(refuse(StatusCode::FORBIDDEN, "the instructor has taken you out of the class")),
        Some((at, false)) => at,
    };
    let sent: Sent = body(request).await?;
    let received = now();
    // What a newer drydock says and this one does not know is answered for too, or it would be sent for ever.
    let unknown: Vec<u64> = sent.events.iter().filter(|e| Event::deserialize(*e).is_err()).filter_map(|e| e["seq"].as_u64()).collect();
    let (nick, joined) = {
        let learner = &hub.class().learners[at];
        (learner.nick.clone(), learner.joined)
    };
    if !unknown.is_empty() {
        hub.note(format!("{nick} sends what this hub does not understand: another version of drydock?"));
    }
    let events = corrected(sent, received, joined);
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).chain(unknown).collect();
    if !events.is_empty() {
        let rows = events.iter().map(|e| (e.clone(), received)).collect();
        hub.wrote(hub.keep.events(id, rows).await).map_err(|why| unwritten(&why))?;
    }
    let mut class = hub.class();
    events.iter().for_each(|event| class.event(at, event, received, &hub.program));
    let taken = Taken { seqs, inbox: class.inbox(at, received, &hub.program) };
    drop(class);
    Ok(told(&serde_json::to_value(taken).unwrap_or_default()))
}

/// What cannot be written down is not answered for: whoever sent it keeps it.
pub fn unwritten(why: &str) -> Refused {
    refuse(StatusCode::SERVICE_UNAVAILABLE, &format!("the hub cannot write it down: {why}"))
}

/// Within bounds, and by the hub's clock: a learner's may be wrong by years, and its differences are right.
fn corrected(sent: Sent, received: i64, joined: i64) -> Vec<Event> {
    let off = received.saturating_sub(sent.now);
    let off = if off.abs() < CLOCK { 0 } else { off };
    let known = sent.events.iter().filter_map(|e| Event::deserialize(e).ok()).filter(|e| (1..=EVENTS).contains(&e.seq));
    known.map(|e| Event { at: e.at.saturating_add(off).clamp(joined.min(received), received), fact: e.fact.bounded(), ..e }).collect()
}
