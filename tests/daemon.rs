//! `skiff daemon` as its clients see it: the real `docker` command, and HTTP as it is on the wire.

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Room, outcome, stdout};

const LONG: Duration = Duration::from_secs(60);

/// A daemon, and the room whose engine it serves.
struct Daemon {
    room: Room,
    child: Child,
}

impl Daemon {
    fn start() -> Self {
        Self::again(Room::new())
    }

    /// In a room that one has been in before.
    fn again(room: Room) -> Self {
        let host = format!("unix://{}", Self::socket_in(&room).display());
        let mut child = room.skiff(&["daemon", "-H", &host]).stdout(Stdio::piped()).spawn().expect("skiff starts");
        support::read_until(child.stdout.as_mut().expect("it was piped"), "\n", LONG);
        Self { room, child }
    }

    fn socket_in(room: &Room) -> PathBuf {
        room.path().join("d.sock")
    }

    fn socket(&self) -> PathBuf {
        Self::socket_in(&self.room)
    }

    /// `docker ARGS…`, by whichever client is on PATH.
    fn docker(&self, args: &[&str]) -> Command {
        let mut docker = self.room.command("docker");
        docker.args(args).env("DOCKER_HOST", format!("unix://{}", self.socket().display())).env("HOME", self.room.path());
        docker
    }

    /// `docker run --network none ARGS…`: with cables it would be about networks.
    fn run(&self, args: &[&str]) -> Command {
        let mut docker = self.docker(&["run", "--network", "none"]);
        docker.args(args);
        docker
    }

    /// The answer to one request, as it came, without what changes.
    fn ask(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// Status and body of a request with this line and body.
    fn status(&self, line: &str, body: &str) -> (String, String) {
        let request = format!("{line} HTTP/1.1\r\nHost: skiff\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = self.ask(&request);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.lines().next().and_then(|l| l.split_once(' ')).expect("a status").1;
        (status.to_owned(), body.trim_end().to_owned())
    }

    fn signal(&mut self, signal: nix::sys::signal::Signal) -> std::process::ExitStatus {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is ours");
        self.child.wait().expect("it is ours")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(nix::sys::signal::Signal::SIGTERM);
        }
    }
}

#[test]
fn the_docker_command_gets_output_and_exit_codes() {
    require!(UserNamespaces, Tool("docker"));
    let daemon = Daemon::start();
    assert_eq!(outcome(&mut daemon.run(&["--rm", "base", "echo", "hello"])), (Some(0), "hello\n".into(), String::new()));
    assert_eq!(outcome(&mut daemon.run(&["--rm", "base", "sh", "-c", "echo oh >&2; exit 7"])), (Some(7), String::new(), "oh\n".into()));
    let (code, _, errors) = outcome(&mut daemon.run(&["--rm", "base", "nosuch"]));
    assert_eq!(code, Some(127));
    assert!(errors.starts_with("docker: Error response from daemon: cannot run nosuch: ENOENT: executable file not found in $PATH"), "{errors}");
    assert_eq!(stdout(&mut daemon.docker(&["ps", "-aq"])), "");
}

#[test]
fn what_is_typed_goes_in_and_its_end_too() {
    require!(UserNamespaces, Tool("docker"));
    let daemon = Daemon::start();
    let mut cat = daemon.run(&["--rm", "-i", "base", "sh", "-c", "cat; echo over"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker runs");
    cat.stdin.take().expect("it was piped").write_all(b"typed\n").expect("docker reads");
    let output = cat.wait_with_output().expect("it is our child");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(0), "typed\nover\n"));
}

#[test]
fn what_one_starts_the_other_sees() {
    require!(UserNamespaces, Tool("docker"));
    let daemon = Daemon::start();
    stdout(&mut daemon.run(&["-d", "--name", "web", "base", "sleep", "1000"]));
    let names = |args: &[&str]| stdout(&mut daemon.room.skiff(args));
    assert_eq!(names(&["ps", "--format", "{{.Names}}"]), "web\n");
    assert_eq!(stdout(&mut daemon.docker(&["exec", "web", "echo", "inside"])), "inside\n");
    assert_eq!(names(&["exec", "web", "echo", "inside"]), "inside\n");
    stdout(&mut daemon.room.skiff(&["stop", "-t", "0", "web"]));
    assert_eq!(stdout(&mut daemon.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"])), "exited 137\n");
    stdout(&mut daemon.room.skiff(&["run", "-d", "--network", "none", "--name", "boat", "base", "sleep", "1000"]));
    assert_eq!(stdout(&mut daemon.docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])), "boat running\nweb exited\n");
    assert_eq!(stdout(&mut daemon.docker(&["rm", "-f", "boat", "web"])), "boat\nweb\n");
    assert_eq!(names(&["ps", "-aq"]), "");
}

#[test]
fn a_log_is_followed_to_its_end() {
    require!(UserNamespaces, Tool("docker"));
    let daemon = Daemon::start();
    stdout(&mut daemon.run(&["-d", "--name", "web", "base", "sh", "-c", "echo one; read x </dev/zero & sleep 1; echo two >&2"]));
    let (code, text, errors) = outcome(&mut daemon.docker(&["logs", "-f", "web"]));
    assert_eq!((code, text.as_str(), errors.as_str()), (Some(0), "one\n", "two\n"));
    assert_eq!(stdout(&mut daemon.docker(&["logs", "--tail", "0", "web"])), "");
}

#[test]
fn errors_are_dockers_by_status_and_words() {
    require!(UserNamespaces, Tool("docker"));
    let daemon = Daemon::start();
    stdout(&mut daemon.run(&["-d", "--name", "web", "base", "sleep", "1000"]));
    let said = |line: &str, body: &str| daemon.status(line, body);
    assert_eq!(said("POST /v1.41/containers/web/start", ""), ("304 Not Modified".into(), String::new()));
    assert_eq!(said("GET /v1.41/containers/none/json", ""), ("404 Not Found".into(), r#"{"message":"No such container: none"}"#.into()));
    assert_eq!(said("GET /v1.41/containers/..%2f..%2fetc/json", ""), ("404 Not Found".into(), r#"{"message":"No such container: ../../etc"}"#.into()));
    assert_eq!(said("GET /nowhere", ""), ("404 Not Found".into(), r#"{"message":"page not found"}"#.into()));
    assert_eq!(
        said("GET /v1.12/info", "").1,
        r#"{"message":"client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"}"#
    );
    let (status, message) = said("POST /v1.41/containers/create", r#"{"Image":"#);
    assert_eq!(status, "400 Bad Request");
    assert!(message.starts_with(r#"{"message":"invalid JSON: "#), "{message}");
    let (code, _, errors) = outcome(&mut daemon.docker(&["rm", "web"]));
    let words = "Error response from daemon: cannot remove container \"web\": container is running: stop the container before removing or force remove\n";
    assert_eq!((code, errors.as_str()), (Some(1), words));
    let (code, _, errors) = outcome(&mut daemon.run(&["--name", "web", "base", "true"]));
    assert_eq!(code, Some(125));
    assert!(errors.contains("Conflict. The container name \"/web\" is already in use by container \""), "{errors}");
}

#[test]
fn a_request_that_is_none_ends_its_connection_and_no_other() {
    require!(UserNamespaces);
    let daemon = Daemon::start();
    assert!(daemon.ask("GARBAGE\r\n\r\n").starts_with("HTTP/1.1 400 "));
    // One that says nothing more, and one that goes in the middle.
    let _slow = UnixStream::connect(daemon.socket()).expect("it listens");
    let mut gone = UnixStream::connect(daemon.socket()).expect("it listens");
    gone.write_all(b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").expect("it reads");
    drop(gone);
    assert_eq!(daemon.status("GET /_ping", ""), ("200 OK".into(), "OK".into()));
    // Refused before all of it was read: whether the answer still arrives is the kernel's matter.
    let mut giant = UnixStream::connect(daemon.socket()).expect("it listens");
    let head = format!("POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    let sent = giant.write_all(head.as_bytes()).and_then(|()| (0..64).try_for_each(|_| giant.write_all(&[b' '; 1 << 20])));
    assert!(sent.is_err(), "64 MB were read");
    assert_eq!(daemon.status("GET /_ping", ""), ("200 OK".into(), "OK".into()));
}

#[test]
fn its_socket_is_for_a_group_at_most_and_goes_with_it() {
    let mut daemon = Daemon::start();
    let mode = std::fs::metadata(daemon.socket()).expect("it listens").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(daemon.signal(nix::sys::signal::Signal::SIGTERM).success());
    assert!(!daemon.socket().exists());
}

#[test]
fn the_socket_of_a_killed_daemon_is_taken_over_and_that_of_a_living_one_is_not() {
    let mut first = Daemon::start();
    first.signal(nix::sys::signal::Signal::SIGKILL);
    assert!(first.socket().exists());
    let room = std::mem::take(&mut first.room);
    let second = Daemon::again(room);
    assert_eq!(second.status("GET /_ping", "").1, "OK");
    let host = format!("unix://{}", second.socket().display());
    let (code, _, errors) = outcome(&mut second.room.skiff(&["daemon", "-H", &host]));
    assert_eq!((code, errors.starts_with(&format!("error: {} is another daemon's socket: it answers\n", second.socket().display()))), (Some(1), true), "{errors}");
    assert_eq!(second.status("GET /_ping", "").1, "OK");
}
