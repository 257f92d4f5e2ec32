//! What a served page asks for beside its text: the learner's record, a terminal, an exercise's beginning.
//!
//! | request | what it is |
//! |---|---|
//! | `GET /live/events` | the record and verdicts, as they change |
//! | `GET /live/terminal` | a WebSocket: the learner's shell |
//! | `POST /live/start` | the exercise named in the body is begun, as by `drydock start` |
//! | `POST /live/answer` | `{"question", "given": […]}` is marked and kept, as by `drydock quiz` |
//! | `GET /live/file/NAME` | the terminal's drawing |
//!
//! The record of src/learn is the one home of what is passed and answered: the page keeps only how its own
//! forms were filled in.

use super::serve::Beside;
use crate::course::{Course, Facts};
use crate::course::quiz::{Kind, Question};
use crate::course::template::Values;
use crate::kernel::SysError;
use crate::learn::terminal::Terminal;
use crate::learn::{Home, Progress, answer};
use crate::web::{Feed, Seat, Terminals, files, terminal};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

/// The terminal's drawing: loaded by those pages that open one.
static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/web/page");

/// The longest request: an answer is a few words.
const BODY: usize = 64 << 10;

/// What a served book has beside its pages.
pub struct Live {
    course: Course,
    facts: Facts,
    home: Home,
    feed: Feed,
    seat: Seat,
    terminals: Option<Arc<Terminals>>,
}

impl Live {
    /// Begins it, within the server's runtime.
    pub fn begin(beside: Beside) -> Self {
        let Beside { course, reader, home, seat, here } = beside;
        let terminals = seat.clone().map(|seat| Terminals::new(move |rows, columns| -> Result<Terminal, SysError> { Terminal::start(&mut seat.shell(), rows, columns) }));
        let (is_live, seat) = (seat.is_some(), seat.unwrap_or(here));
        // How many exercises each chapter has, for the marks beside its name.
        let mut about: BTreeMap<String, usize> = BTreeMap::new();
        for id in course.exercise_ids() {
            *about.entry(id.split('/').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        Self { feed: Feed::begin(&home, seat.clone(), is_live, json!(about)), course, facts: reader.facts, home, seat, terminals }
    }

    fn question(&self, id: &str) -> Option<(String, Question)> {
        let chapters = self.course.folders.iter().filter_map(|folder| self.course.chapter(folder).ok());
        chapters.flat_map(|c| c.quiz.into_iter().map(move |q| (c.folder.clone(), q))).find(|(_, q)| q.id == id)
    }

    /// Marks an answer as the page asked it: on the machine that the book speaks of.
    fn mark(&self, given: &Given) -> Result<bool, String> {
        let (folder, question) = self.question(&given.question).ok_or("there is no such question")?;
        let numbers = || given.given.iter().map(|g| g.parse::<usize>()).collect::<Result<Vec<_>, _>>().map_err(|_| "choices are given by their number".to_owned());
        Ok(match question.kind {
            Kind::Live => return Err("only a terminal can ask this one".into()),
            Kind::Order => answer::ordered(&question, &numbers()?).right,
            _ if !question.choices.is_empty() => answer::choices(&question, &numbers()?, None).right,
            _ => {
                let values = Values::of(&self.facts);
                let file = format!("lessons/{folder}/quiz.yaml");
                let right = question.answer.iter().flat_map(|a| a.all()).map(|text| values.render(text, &file, 0)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
                let typed = given.given.first().map(String::as_str).unwrap_or_default();
                answer::typed(&question, typed, &right.iter().map(String::as_str).collect::<Vec<_>>()).right
            }
        })
    }

    fn keep(&self, id: &str, right: bool) -> Result<(), crate::learn::Error> {
        Progress::open(self.home.clone())?.answered(id, right)
    }
}

/// An answer.
#[derive(Debug, Deserialize)]
struct Given {
    question: String,
    given: Vec<String>,
}

/// The routes; the door stands before them.
pub fn routes(live: Arc<Live>) -> Router {
    Router::new()
        .route("/live/events", get(async |State(live): State<Arc<Live>>| live.feed.events()))
        .route("/live/terminal", get(shell))
        .route("/live/start", post(start))
        .route("/live/answer", post(answered))
        .route("/live/file/{name}", get(page_file))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(live)
}

fn told(status: StatusCode, body: &Value) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

fn problem(status: StatusCode, text: &str) -> Response<Body> {
    told(status, &json!({ "problem": text }))
}

async fn shell(State(live): State<Arc<Live>>, uri: Uri, upgrade: WebSocketUpgrade) -> Response<Body> {
    let Some(terminals) = &live.terminals else {
        return problem(StatusCode::NOT_FOUND, "this book has no terminal: drydock book serve --live has one");
    };
    match terminal::Wanted::parse(uri.query().unwrap_or_default()) {
        Some(wanted) => terminals.join(upgrade, wanted),
        None => problem(StatusCode::BAD_REQUEST, "a terminal is asked for by name, rows and columns"),
    }
}

async fn start(State(live): State<Arc<Live>>, body: Bytes) -> Response<Body> {
    let id = String::from_utf8_lossy(&body).into_owned();
    if !live.course.exercise_ids().contains(&id) {
        return problem(StatusCode::NOT_FOUND, "there is no such exercise");
    }
    let mut command = tokio::process::Command::from(live.seat.drydock(&["start", &id]));
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).output();
    match run.await {
        Ok(output) if output.status.success() => told(StatusCode::OK, &json!({ "begun": id })),
        Ok(output) => problem(StatusCode::CONFLICT, String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("cannot run drydock: {error}")),
    }
}

async fn answered(State(live): State<Arc<Live>>, body: Bytes) -> Response<Body> {
    let Ok(given) = serde_json::from_slice::<Given>(&body) else {
        return problem(StatusCode::BAD_REQUEST, "an answer has a question, and what was given");
    };
    let right = match live.mark(&given) {
        Ok(right) => right,
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
    };
    // A quiz in a terminal holds the record while it waits for its learner.
    let kept = tokio::task::spawn_blocking(move || live.keep(&given.question, right)).await;
    match kept {
        Ok(Ok(())) => told(StatusCode::OK, &json!({ "right": right })),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn page_file(Path(name): Path<String>, asked_with: HeaderMap) -> Response<Body> {
    match PAGE.get_file(&name) {
        Some(file) => files::file(file.path(), file.contents().to_vec(), &asked_with),
        None => problem(StatusCode::NOT_FOUND, "there is no such file"),
    }
}
