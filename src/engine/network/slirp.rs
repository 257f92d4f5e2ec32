//! slirp4netns(1): the other end of a rootless container's tap device (see `steps/tap.rs`).
//!
//! It says that it is ready by a byte on its standard error, and ends when its standard input does: the
//! other end of that pipe is held by whoever waits for the container, so it outlives nobody. Ports are
//! asked for by its socket, one line of JSON a connection.

use super::{Published, Wish};
use crate::engine::step::StepError;
use crate::engine::relay;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The container's address, which is the same for all: each has a network of its own.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// Where it answers for the host's resolvers.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

const NAME: &str = "slirp4netns";
const SOCKET: &str = "slirp.sock";

/// A tap device's program, for as long as this is kept.
#[derive(Debug)]
pub struct Helper {
    input: Option<OwnedFd>,
    child: Child,
}

/// Its ports are free again once this is done. In the process that takes over from a killed monitor it is
/// nobody's child, and ends by itself.
impl Drop for Helper {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Where the program is, if it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(NAME)).find(|file| nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok())
}

/// Is this what a container without root can have, here?
pub fn suits(wish: &Wish) -> bool {
    let plain = |place: &super::Place| place.network == super::DEFAULT && place.address.is_none();
    !crate::kernel::userns::is_host_root() && wish.places.iter().all(plain) && program().is_some()
}

/// Starts it for process `pid`, which waits meanwhile, and has it carry `ports`.
pub fn plug(pid: i32, folder: &Path, ports: &[Published]) -> Result<Helper, StepError> {
    let what = || format!("start {NAME}");
    let program = program().ok_or_else(|| SysError::new(what(), Errno::ENOENT))?;
    let (input, ours) = relay::pipe()?;
    let _ = std::fs::remove_file(folder.join(SOCKET));
    let mut command = Command::new(program);
    command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--exit-fd=0", "--ready-fd=2", "--api-socket", SOCKET]);
    let child = command.arg(pid.to_string()).arg("eth0").current_dir(folder).stdin(input).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.or_sys_with(what)?;
    // It says 1 when it is ready, and says no more there; or why not, and ends.
    let mut said = String::new();
    let _ = child.stderr.take().map(|mut err| err.read_to_string(&mut said));
    if !said.ends_with('1') {
        let _ = child.wait();
        let said: Vec<&str> = said.lines().filter(|l| !l.is_empty()).collect();
        return Err(StepError::from(SysError::new(what(), Errno::EIO)).because(format!("it said: {}", said.join("; "))).try_this("--network none, or see that /dev/net/tun is there"));
    }
    let helper = Helper { input: Some(ours), child };
    for port in ports {
        forward(folder, port)?;
    }
    Ok(helper)
}

fn forward(folder: &Path, port: &Published) -> Result<(), StepError> {
    let what = || format!("publish {port}");
    let opened = File::open(folder).or_sys_with(what)?;
    let mut socket = UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd())).or_sys_with(what)?;
    let request = format!(
        "{{\"execute\":\"add_hostfwd\",\"arguments\":{{\"proto\":\"{}\",\"host_addr\":\"{}\",\"host_port\":{},\"guest_port\":{}}}}}",
        port.protocol, port.address, port.host_port, port.port
    );
    let mut answer = String::new();
    let asked = socket.write_all(request.as_bytes()).and_then(|()| socket.shutdown(Shutdown::Write)).and_then(|()| socket.read_to_string(&mut answer).map(drop));
    asked.or_sys_with(what)?;
    if answer.contains("\"error\"") {
        return Err(StepError::from(SysError::new(what(), Errno::EADDRINUSE)).because("somebody has taken that port of the host meanwhile, or it is one below 1024").try_this("another port"));
    }
    Ok(())
}
