//! Debian's dockerd, started by hand for one test and stopped without a trace.
//!
//! It gets a folder, a socket and a mount namespace of its own, no bridge and no firewall rules, and
//! one cgroup below which all its containers go; its containerd is its child. What it mounts ends
//! with that namespace, what it forks comes to the test (a subreaper), and the cgroups are removed.

use super::{Room, host, stdout};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A running dockerd.
pub struct Docker {
    room: Room,
    daemon: Child,
    parent: String,
}

impl Docker {
    /// Starts the daemon and gives it the image `base`, made of busybox.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with further options of dockerd.
    pub fn start_with(options: &[&str]) -> Self {
        host::adopt_orphans();
        let room = Room::new();
        let parent = format!("drydock-docker-{}", std::process::id());
        let at = |name: &str| room.path().join(name).display().to_string();
        std::fs::write(at("daemon.json"), "{}").expect("the room is ours");
        let mut daemon = room.command("unshare");
        daemon
            .args(["--mount", "--propagation", "private"])
            // What it keeps in /run, whatever its options say, is kept in a /run of its own.
            .args(["sh", "-c", "mount -t tmpfs run /run && exec dockerd \"$@\"", "dockerd"])
            .args(["--bridge=none", "--iptables=false", "--ip-masq=false"])
            .args(["--shutdown-timeout=2", "--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--config-file", &at("daemon.json"), "--cgroup-parent", &format!("/{parent}")])
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("dockerd.pid")])
            .args(["--host", &format!("unix://{}", at("docker.sock"))])
            .args(options)
            // On a busy machine it asks its containerd for a stack trace, which goes to a file there.
            .env("TMPDIR", room.path())
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut daemon = daemon.spawn().expect("unshare and dockerd are installed");
        let log = daemon.stderr.take().expect("it was piped");
        let docker = Self { room, daemon, parent };
        docker.wait_until_it_listens(log);
        docker.import_base();
        docker
    }

    /// Follows the daemon's log to its last line of starting, and drains it from then on.
    fn wait_until_it_listens(&self, log: impl std::io::Read + Send + 'static) {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let end = Instant::now() + Duration::from_secs(60);
        let mut seen = Vec::new();
        loop {
            match receive.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains("API listen on") => break,
                Ok(line) => seen.push(line),
                Err(_) => panic!("dockerd did not come up:\n{}", seen.join("\n")),
            }
        }
        // The channel's end is dropped here: the thread goes on reading and sends to nobody.
    }

    fn import_base(&self) {
        let rootfs = self.room.path().join("base");
        std::fs::create_dir_all(rootfs.join("bin")).expect("the room is ours");
        let busybox = super::which("busybox").expect("busybox-static is installed");
        std::fs::copy(&busybox, rootfs.join("bin/busybox")).expect("busybox can be copied");
        for name in stdout(Command::new(&busybox).arg("--list")).lines().filter(|n| *n != "busybox") {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).expect("the folder is new");
        }
        for dir in ["proc", "sys", "dev", "tmp", "etc", "root"] {
            std::fs::create_dir(rootfs.join(dir)).expect("the folder is new");
        }
        let tar = stdout_bytes(Command::new("tar").arg("-C").arg(&rootfs).args(["-cf", "-", "."]));
        let mut import = self.client().args(["import", "-", "base"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("docker runs");
        import.stdin.take().expect("it was piped").write_all(&tar).expect("docker reads the archive");
        assert!(import.wait().expect("it is our child").success(), "docker import failed");
    }

    /// What DOCKER_HOST must be to reach it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.room.path().join("docker.sock").display())
    }

    /// Debian's client; another one on PATH may be too new for this daemon.
    pub fn client(&self) -> Command {
        let mut client = self.room.command("/usr/bin/docker");
        client.env("DOCKER_HOST", self.host()).env("HOME", self.room.path());
        client
    }

    /// The room it lives in.
    pub fn room(&self) -> &Room {
        &self.room
    }
}

fn stdout_bytes(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Drop for Docker {
    fn drop(&mut self) {
        // PID 1 of a container ignores SIGTERM unless it asked for it: nobody waits for that here.
        let containers = self.client().args(["ps", "-aq"]).output().map(|o| o.stdout).unwrap_or_default();
        for id in String::from_utf8_lossy(&containers).lines() {
            let _ = self.client().args(["rm", "-f", id]).stdout(Stdio::null()).status();
        }
        let pid = nix::unistd::Pid::from_raw(self.daemon.id().cast_signed());
        // unshare(1) and sh have become dockerd itself.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.daemon.wait();
        host::end_orphans(&self.room.path().display().to_string());
        for hierarchy in host::hierarchies() {
            host::remove_cgroup(&hierarchy.join(&self.parent));
        }
    }
}
