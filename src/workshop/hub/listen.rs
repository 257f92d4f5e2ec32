//! The port: TLS for everybody, plain HTTP for this machine alone, told apart by the first byte.
//!
//! A TLS record of a handshake begins with 22 (RFC 8446 section 5.1), no method of HTTP does. Whoever is
//! slow with a handshake or a request's head is let go, and so many connections at a time are held.

use super::{Hub, route, stream};
use crate::kernel::OrSys;
use crate::workshop::Error;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// How long a handshake, and a request's head, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at a time.
const MOST: usize = 4096;

pub(super) fn serve(hub: Hub, listener: std::net::TcpListener, told: impl FnOnce(&Hub, SocketAddr)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().or_sys("start a server")?;
    let ended = runtime.block_on(async move {
        listener.set_nonblocking(true).or_sys("make the socket non-blocking")?;
        let listener = TcpListener::from_std(listener).or_sys("wait on the socket")?;
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt()).or_sys("wait for SIGINT")?, signal(SignalKind::terminate()).or_sys("wait for SIGTERM")?);
        let acceptor = TlsAcceptor::from(hub.identity.server()?);
        told(&hub, listener.local_addr().or_sys("learn the address")?);
        let hub = Arc::new(hub);
        tokio::spawn(stream::tick(Arc::clone(&hub)));
        tokio::select! {
            () = accept(hub, listener, acceptor) => {}
            _ = interrupt.recv() => {}
            _ = end.recv() => {}
        }
        Ok(())
    });
    // Boards that are open do not hold up the end; what was answered for is written down.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

async fn accept(hub: Arc<Hub>, listener: TcpListener, acceptor: TlsAcceptor) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((tcp, peer)) = listener.accept().await else {
            // Out of descriptors: some are given back soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (hub, acceptor) = (Arc::clone(&hub), acceptor.clone());
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let mut first = [0];
            match tokio::time::timeout(PATIENCE, tcp.peek(&mut first)).await {
                Ok(Ok(1)) if first[0] == 22 => {
                    if let Ok(Ok(tls)) = tokio::time::timeout(PATIENCE, acceptor.accept(tcp)).await {
                        talk(hub, TokioIo::new(tls), peer, true).await;
                    }
                }
                Ok(Ok(1)) => plain(hub, tcp, peer).await,
                _ => {}
            }
            drop(place);
        });
    }
}

/// Without TLS: this machine's own, and nobody else.
async fn plain(hub: Arc<Hub>, tcp: TcpStream, peer: SocketAddr) {
    if peer.ip().to_canonical().is_loopback() {
        return talk(hub, TokioIo::new(tcp), peer, false).await;
    }
    let words = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nthis is https: put https:// before the address\n";
    let _ = tcp.writable().await;
    let _ = tcp.try_write(words.as_bytes());
}

async fn talk<I>(hub: Arc<Hub>, io: I, peer: SocketAddr, secure: bool)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let hub = Arc::clone(&hub);
        let peer = route::Peer { ip: peer.ip().to_canonical(), secure };
        async move { Ok::<_, Infallible>(route::one(hub, peer, request.map(Body::new)).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(32 * 1024);
    let _ = http.serve_connection(io, service).await;
}
