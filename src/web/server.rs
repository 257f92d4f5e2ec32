//! A server for pages: takes an address, serves until SIGINT or SIGTERM.
//!
//! One thread: pages are for one learner, or for a class at most, and what blocks is put aside. See it
//! live: `ss -tlnp`. Bigger servers speak HTTP/2 and TLS themselves; on this machine nobody listens between.

use super::WebError;
use crate::kernel::{OrSys, SysError};
use axum::Router;
use nix::errno::Errno;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use tokio::signal::unix::{SignalKind, signal};

/// Takes the address, before any work is done for it. `command` is what was typed, for the error's advice.
pub fn listen(addr: SocketAddr, command: &'static str) -> Result<TcpListener, WebError> {
    TcpListener::bind(addr).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => WebError::PortTaken { addr, command },
        _ => SysError::new(format!("listen on {addr}"), Errno::from_raw(e.raw_os_error().unwrap_or(0))).into(),
    })
}

/// Serves what `pages` makes, within the server's runtime, until SIGINT or SIGTERM; `told` hears the
/// address when it can be asked.
pub fn serve(listener: TcpListener, pages: impl FnOnce() -> Router, told: impl FnOnce(SocketAddr)) -> Result<(), WebError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_sys("start a server")?;
    let served = runtime.block_on(async {
        listener.set_nonblocking(true).or_sys("make the socket non-blocking")?;
        let listener = tokio::net::TcpListener::from_std(listener).or_sys("wait on the socket")?;
        let mut interrupt = signal(SignalKind::interrupt()).or_sys("wait for SIGINT")?;
        let mut end = signal(SignalKind::terminate()).or_sys("wait for SIGTERM")?;
        told(listener.local_addr().or_sys("learn the address")?);
        // A browser that keeps a connection open does not hold up the end.
        tokio::select! {
            served = async { axum::serve(listener, pages()).await } => Ok(served.or_sys("serve pages")?),
            _ = interrupt.recv() => Ok(()),
            _ = end.recv() => Ok(()),
        }
    });
    // A task in the middle of a blocking call is not waited for.
    runtime.shutdown_background();
    served
}
