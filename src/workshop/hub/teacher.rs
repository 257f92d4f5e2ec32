//! The instructor's side: the board, its stream, acts. Behind the key that the hub printed at its start.
//!
//! The key comes once in the address and becomes a cookie that no script can read and no other page can
//! send (HttpOnly, SameSite=Strict); `drydock workshop board` sends it as a bearer. A learner's secret opens
//! nothing here.

use super::board;
use super::class::Act;
use super::route::{Answer, Peer, Refused, body, cookie, own_page, page, refuse, told, unwritten, wait};
use super::Hub;
use crate::web::door::same;
use crate::workshop::event::{TEXT, one_line};
use crate::workshop::report::{Format, Report};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

const COOKIE: &str = "drydock-board";

/// The board's page; with `?key=` it is where the instructor comes in.
pub fn enter(hub: &Hub, peer: Peer, request: &Request<Body>) -> Result<Answer, Refused> {
    let key = request.uri().query().and_then(|q| q.split('&').find_map(|pair| pair.strip_prefix("key=")));
    if let Some(key) = key {
        is_key(hub, peer, key)?;
        // Away from the address bar, which stands on the projector.
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SEE_OTHER;
        let secure = if peer.secure { "; Secure" } else { "" };
        answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/board"));
        if let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE}={key}; Path=/board; HttpOnly; SameSite=Strict{secure}")) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        return Ok(answer);
    }
    is_teacher(hub, peer, request)?;
    Ok(page("text/html; charset=utf-8", include_str!("../page/board.html")))
}

/// Is it the instructor who asks?
pub fn is_teacher(hub: &Hub, peer: Peer, request: &Request<Body>) -> Result<(), Refused> {
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let Some(key) = bearer.or_else(|| cookie(request, COOKIE)) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "the board is the instructor's: open the address that the hub printed at its start"));
    };
    is_key(hub, peer, key)?;
    own_page(request, peer)
}

fn is_key(hub: &Hub, peer: Peer, key: &str) -> Result<(), Refused> {
    hub.limits.allows(peer.ip).map_err(wait)?;
    if same(key, &hub.key) {
        return Ok(());
    }
    let count = hub.limits.wrong(peer.ip);
    hub.note(format!("{count} wrong keys for the board from {}", peer.ip));
    Err(refuse(StatusCode::FORBIDDEN, "that is not the instructor's key"))
}

/// Answers what is below /board/.
pub async fn one(hub: &Hub, request: Request<Body>) -> Result<Answer, Refused> {
    let none = || refuse(StatusCode::NOT_FOUND, "there is no such page");
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/board/text") => page("text/plain; charset=utf-8", board::text(hub)),
        (&Method::GET, "/board/all") => told(&board::all(hub)),
        (&Method::GET, "/board/questions") => told(&questions(hub)),
        (&Method::POST, "/board/act") => acted(hub, body(request).await?).await?,
        (&Method::GET, path) => reported(hub, path.strip_prefix("/board/report.").ok_or_else(none)?.parse().map_err(|()| none())?)?,
        _ => return Err(none()),
    })
}

/// The report, as a file to be saved; the page is looked at.
fn reported(hub: &Hub, format: Format) -> Result<Answer, Refused> {
    let text = Report::of(&hub.class(), &hub.program).text(format).map_err(|e| refuse(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()))?;
    let mut answer = page(format.media_type(), text);
    if format == Format::Html {
        // It has its style in it, so that it can be kept as one file; and no script.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    } else if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"workshop.{}\"", format.name())) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(answer)
}

/// The course's questions that can be asked of all.
fn questions(hub: &Hub) -> serde_json::Value {
    let suits = hub.program.questions.iter().filter(|q| q.suits_all());
    let one = |q: &crate::workshop::program::Asked| json!({ "id": q.question.id, "chapter": hub.program.chapters[q.chapter].title, "text": one_line(&q.question.ask, 120) });
    suits.map(one).collect()
}

async fn acted(hub: &Hub, act: Act) -> Result<Answer, Refused> {
    let act = match act {
        Act::Message { text } => Act::Message { text: one_line(&text, TEXT) },
        Act::Timer { minutes, label } => Act::Timer { minutes: minutes.min(24 * 60), label: one_line(&label, 60) },
        Act::Ask { question, text, choices } => {
            let choices = choices.iter().map(|c| one_line(c, TEXT)).filter(|c| !c.is_empty()).take(12).collect();
            Act::Ask { question, text: one_line(&text, TEXT), choices }
        }
        other => other,
    };
    let class_has = |id: &str| hub.class().find(id).is_some();
    let problem = match &act {
        Act::Message { text } if text.is_empty() => Some("the message is empty"),
        Act::Ask { question: None, text, .. } if text.is_empty() => Some("the question is empty"),
        Act::Ask { question: Some(id), .. } if !hub.program.question(id).is_some_and(|q| hub.program.questions[q].suits_all()) => Some("there is no such question, or it cannot be asked of all"),
        Act::Open { chapter } if hub.program.chapter(chapter).is_none() => Some("there is no such chapter in the plan"),
        Act::Lower { learner } | Act::Remove { learner } if !class_has(learner) => Some("there is no such learner"),
        _ => None,
    };
    if let Some(problem) = problem {
        return Err(refuse(StatusCode::BAD_REQUEST, problem));
    }
    hub.act(act).await.map_err(|why| unwritten(&why))?;
    Ok(told(&json!({})))
}
