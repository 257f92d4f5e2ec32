//! The book served on this machine: its pages, and behind the token what is the learner's own.
//!
//! Plain, anybody who reaches the address may read; the printed address has a token in it, and with that
//! the pages show and keep the learner's progress. Live, nothing is shown without the token, and the pages
//! have a terminal. See it live: `curl -I 127.0.0.1:3000`.

use super::{BookError, Reader};
use super::live::{self, Live};
use crate::course::Course;
use crate::learn::Home;
use crate::web::{Door, Seat, door, files, server};
use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is typed for it.
const COMMAND: &str = "drydock book serve";
const COMMAND_LIVE: &str = "drydock book serve --live";

/// What the pages can do beside being read.
pub struct Beside {
    /// The course that answers are marked by.
    pub course: Course,
    /// Who the pages were built for.
    pub reader: Reader,
    /// The learner.
    pub home: Home,
    /// Where the terminal is; none in a book that is not live.
    pub seat: Option<Seat>,
    /// This program, to be run as the learner would.
    pub here: Seat,
}

/// Takes the address, before anything is built for it.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, BookError> {
    Ok(server::listen(addr, COMMAND)?)
}

/// Serves `folder` until SIGINT or SIGTERM; `told` hears the page's address when it can be asked.
/// Without `beside`, or on another address than loopback, the pages can be read and no more.
pub fn serve(folder: &Path, listener: TcpListener, beside: Option<Beside>, told: impl FnOnce(&str)) -> Result<(), BookError> {
    let addr = listener.local_addr().map_err(|e| crate::kernel::SysError::new("learn the address", nix::errno::Errno::from_raw(e.raw_os_error().unwrap_or(0))))?;
    let folder = folder.to_owned();
    let Some(beside) = beside.filter(|_| addr.ip().is_loopback()) else {
        return Ok(server::serve(listener, || pages(folder).layer(from_fn(files::sealed)), |addr| told(&format!("http://{addr}/")))?);
    };
    let is_live = beside.seat.is_some();
    let door = Door::new(addr, !is_live, if is_live { COMMAND_LIVE } else { COMMAND })?;
    let address = format!("http://{addr}/?token={}", door.token());
    let router = move || {
        let live = Arc::new(Live::begin(beside));
        pages(folder).merge(live::routes(live)).layer(from_fn_with_state(door, door::guard)).layer(from_fn(files::sealed))
    };
    Ok(server::serve(listener, router, |_| told(&address))?)
}

fn pages(folder: PathBuf) -> Router {
    let page = async move |uri: Uri, asked_with: HeaderMap| files::below(&folder, &uri, &asked_with).await;
    Router::new().fallback(axum::routing::get(page))
}
