//! The way to the hub: one POST with what is pending, and the hub's answer.
//!
//! A process of its own does it (`drydock join --send`, started by each command and not waited for), one at
//! a time. It tries again while the hub is away, ever less often, for half an hour; after that the next
//! command starts another. An event is taken out of the file when the hub has said that it is written down,
//! and not before: what was sent and not answered is sent again, and known by its number.

use super::code::PORT;
use super::inbox::Inbox;
use super::member::{Member, sending};
use super::{Address, Error, code, tls};
use crate::kernel::OrSys;
use crate::learn::Home;
use axum::body::{Body, to_bytes};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one exchange with the hub may take.
const EXCHANGE: Duration = Duration::from_secs(10);
/// The most events in one POST.
const BATCH: usize = 80;
/// The most bytes of an answer that are read.
const ANSWER: usize = 4 << 20;

/// What a hub answers to events.
#[derive(Debug, Serialize, Deserialize)]
pub struct Taken {
    /// The numbers that are written down.
    pub seqs: Vec<u64>,
    /// What it has to say.
    pub inbox: Inbox,
}

/// One exchange: a request with JSON, its status and its answer.
pub async fn exchange(address: &Address, bearer: &str, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), Error> {
    let at = code::at(&address.host, address.port, PORT);
    let away = |reason: String| Error::Away { at: at.clone(), reason };
    let whole = async {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|e| away(e.to_string()))?;
        let _ = tcp.set_nodelay(true);
        let name = rustls::pki_types::ServerName::try_from(address.host.clone()).unwrap_or(rustls::pki_types::ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        let tls = tokio_rustls::TlsConnector::from(tls::client(&address.code.fingerprint)?).connect(name, tcp).await;
        let tls = tls.map_err(|e| if e.to_string().contains("ApplicationVerificationFailure") { Error::Stranger(at.clone()) } else { away(e.to_string()) })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| away(e.to_string()))?;
        let connection = tokio::spawn(connection);
        let bytes = body.map(|b| b.to_string()).unwrap_or_default();
        let request = axum::http::Request::builder().method(method).uri(path).header("host", &at).header("authorization", format!("Bearer {bearer}"));
        let request = request.header("content-type", "application/json").header("content-length", bytes.len()).body(Body::from(bytes)).map_err(|e| away(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| away(e.to_string()))?;
        let status = response.status().as_u16();
        let bytes = to_bytes(Body::new(response.into_body()), ANSWER).await.map_err(|e| away(e.to_string()))?;
        connection.abort();
        Ok((status, bytes.to_vec()))
    };
    timeout(EXCHANGE, whole).await.unwrap_or_else(|_| Err(away(format!("no answer within {} s", EXCHANGE.as_secs()))))
}

/// Runs one exchange from code that has no runtime.
pub fn ask(address: &Address, bearer: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_sys("start a client")?;
    let (status, bytes) = runtime.block_on(exchange(address, bearer, method, path, body))?;
    if status == 200 { Ok(bytes) } else { Err(refusal(address, status, &bytes)) }
}

/// The hub's own words for its refusal; one that may pass is the hub being away.
fn refusal(address: &Address, status: u16, bytes: &[u8]) -> Error {
    let words = serde_json::from_slice::<Value>(bytes).ok().and_then(|v| v["error"].as_str().map(|text| super::event::one_line(text, 300)));
    let words = words.unwrap_or_else(|| format!("status {status}"));
    if status == 429 || status >= 500 { Error::Away { at: code::at(&address.host, address.port, PORT), reason: words } } else { Error::Refused(words) }
}

/// Sends all that is pending, once; gives how many the hub has taken.
pub fn send(home: &Home) -> Result<usize, Error> {
    let mut all = 0;
    loop {
        let Some(member) = Member::read(home)? else { return Ok(all) };
        let address: Address = member.address.parse()?;
        let batch = &member.pending[..member.pending.len().min(BATCH)];
        let body = json!({ "now": super::event::now(), "events": batch });
        let answer = match ask(&address, &member.secret, "POST", "/events", Some(&body)) {
            Err(Error::Refused(words)) => {
                Member::change(home, |m| m.refused = Some(words.clone()))?;
                return Err(Error::Refused(words));
            }
            other => other?,
        };
        let taken: Taken = serde_json::from_slice(&answer).map_err(|e| Error::Refused(format!("its answer makes no sense: {e}")))?;
        if taken.seqs.is_empty() && !batch.is_empty() {
            return Err(Error::Refused("it takes no more of what you send".into()));
        }
        all += taken.seqs.len();
        let left = Member::change(home, |m| {
            m.taken(&taken.seqs, taken.inbox);
            m.pending.len()
        })?;
        if left.is_none_or(|left| left == 0) {
            return Ok(all);
        }
    }
}

/// Sends what is pending and what is added meanwhile, waiting for a hub that is away.
pub fn deliver(home: &Home, patience: Duration) -> Result<(), Error> {
    let end = Instant::now() + patience;
    loop {
        let Some(only) = sending(home)? else { return Ok(()) };
        let mut pause = Duration::from_millis(500);
        let sent = loop {
            match send(home) {
                Err(Error::Away { .. }) if Instant::now() + pause < end => {
                    // A class that was cut off does not come back all at the same moment.
                    std::thread::sleep(pause + pause * (std::process::id() % 8) / 16);
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
                other => break other,
            }
        };
        drop(only);
        sent?;
        // What was added after the last look, by a command whose own process found this one sending.
        if Member::read(home)?.is_none_or(|m| m.pending.is_empty()) {
            return Ok(());
        }
    }
}
