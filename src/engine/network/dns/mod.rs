//! Names of containers: one small resolver for each network that has a name (RFC 1034, 1035).
//!
//! It listens at the bridge's own address, on a port that the kernel chose, to which the packet filter
//! sends what comes for port 53: so it is one pair of sockets for a network whatever the number of its
//! containers, nothing of it lies inside them, and a server of the host's own on port 53 is not in the
//! way. (Docker listens at 127.0.0.11 inside each container, and redirects there.) Containers on the
//! default bridge have no names, as in Docker.
//!
//! It is two processes of skiff with the same sockets, each of which waits for the other: where one is
//! killed the other makes it anew, and the kernel keeps the questions meanwhile. They come with the
//! first container and end with the last lease of an address (inotify(7)). The lock on
//! `networks/ID.dns` says that they are there. See it live: `ps -ef | grep 'skiff resolver'`.

pub mod forward;
pub mod message;
pub mod names;
pub mod server;

use super::port::{Protocol, Published};
use super::{DEFAULT, Error, Network, Networks, filter};
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use server::{Ended, Server};
use std::fs::{File, TryLockError};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The port of DNS.
const PORT: u16 = 53;

fn lock_file(root: &Path, id: &str) -> PathBuf {
    root.join("networks").join(format!("{id}.dns"))
}

/// Sees to it that the network's resolver is there. To be called with an address leased: a resolver
/// that is about to end looks for one in a turn of its own.
pub fn ensure(root: &Path, network: &Network) -> Result<(), Error> {
    if network.name == DEFAULT {
        return Ok(());
    }
    let path = lock_file(root, &network.id);
    if is_locked(&path) {
        return Ok(());
    }
    let _turn = Networks::open(root).lock()?;
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
    if file.try_lock().is_err() {
        return Ok(());
    }
    let failed = |reason: String| Error::Resolver { network: network.name.clone(), reason };
    let program = program()?;
    let mut command = Command::new(&program);
    // The lock is its standard input, and so its own: it lasts until the last who has it open has ended.
    command.arg0("skiff").arg("--root").arg(root).args(["resolver", &network.id]).stdin(file).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.current_dir("/").output().map_err(|e| failed(format!("cannot run {}: {e}", program.display())))?;
    if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())) }
}

/// The engine alone, if it lies beside what runs here: a resolver stays, and needs no more.
fn program() -> Result<PathBuf, SysError> {
    let own = crate::kernel::sealed::program()?;
    Ok(Some(own.with_file_name("skiff")).filter(|skiff| skiff.exists()).unwrap_or(own))
}

fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// What `skiff resolver` does: takes its place, leaves two processes behind, and comes back.
pub fn start(root: &Path, id: &str) -> Result<(), Error> {
    let network = Networks::open(root).find(id)?;
    let (udp, tcp) = sockets(&network)?;
    let port = udp.local_addr().or_sys("read a socket's port")?.port();
    let places = places(&network, port);
    filter::unpublish(root, &places);
    filter::publish(root, &places, network.gateway)?;
    std::fs::write(lock_file(root, &network.id), port.to_string()).or_sys("note the resolver's port")?;
    let server = Server::new(root, &network.id, &Networks::open(root).leases(&network), udp, tcp);
    match pidfd::fork()? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => {
            let _ = nix::unistd::setsid();
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
            let _ = let_go();
            pidfd::exit_now(in_pairs(root, &network, server, port))
        }
    }
}

/// After a flush of the rules: the packets of port 53 go to the resolver again.
pub(super) fn publish_again(root: &Path, network: &Network) -> Result<(), Error> {
    let port = std::fs::read_to_string(lock_file(root, &network.id)).ok().and_then(|text| text.parse().ok());
    match port {
        Some(port) => filter::publish(root, &places(network, port), network.gateway),
        None => Ok(()),
    }
}

fn places(network: &Network, port: u16) -> [Published; 2] {
    [Protocol::Udp, Protocol::Tcp].map(|protocol| Published { address: network.gateway, host_port: PORT, until: 0, port, protocol })
}

/// One port for both: what is free for UDP may be taken for TCP.
fn sockets(network: &Network) -> Result<(UdpSocket, TcpListener), SysError> {
    let what = || format!("listen at {}", network.gateway);
    for _ in 0..100 {
        let udp = UdpSocket::bind((network.gateway, 0)).or_sys_with(what)?;
        let port = udp.local_addr().or_sys_with(what)?.port();
        if let Ok(tcp) = TcpListener::bind((network.gateway, port)) {
            udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).or_sys_with(what)?;
            return Ok((udp, tcp));
        }
    }
    Err(SysError::new(what(), Errno::EADDRINUSE))
}

/// Lets go of whoever is waiting for the start; the lock stays open as standard input.
fn let_go() -> Result<(), SysError> {
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null").or_sys("open /dev/null")?.into();
    nix::unistd::dup2_stdout(&null).or_sys("let go of standard output")?;
    nix::unistd::dup2_stderr(&null).or_sys("let go of standard error")
}

/// Serves, with a second process that begins again where this one is killed; each is the other's.
fn in_pairs(root: &Path, network: &Network, mut server: Server, port: u16) -> i32 {
    loop {
        let own = std::process::id() as i32;
        let over = match pidfd::fork() {
            // The watcher waits for the one that serves, and then serves.
            Ok(Fork::Child) => Pidfd::open(own).map(|serving| wait_for(&serving)).map(|()| false),
            Ok(Fork::Parent(watcher)) => Pidfd::open(watcher).and_then(|watcher| {
                let ended = server.serve(&watcher);
                let over = matches!(ended, Ok(Ended::Unused)) && leave(root, network, &server, port);
                let _ = watcher.signal(Signal::SIGKILL);
                while let Ok(Some(_)) = pidfd::reap_any() {}
                ended.map(|_| over)
            }),
            Err(error) => Err(error),
        };
        match over {
            Ok(true) => return 0,
            Ok(false) => {}
            // Out of memory or descriptors: it may pass.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn wait_for(process: &Pidfd) {
    while !process.is_over() {
        let _ = poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
    }
}

/// Gives up its place. False if a container has come meanwhile and relies on it.
fn leave(root: &Path, network: &Network, server: &Server, port: u16) -> bool {
    let path = lock_file(root, &network.id);
    if !path.exists() {
        // The network is gone, or the whole root.
        return true;
    }
    let _turn = Networks::open(root).lock();
    if !server.is_unused() {
        return false;
    }
    filter::unpublish(root, &places(network, port));
    let _ = std::fs::remove_file(path);
    true
}
