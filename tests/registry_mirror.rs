//! What the mirror makes of Debian's packages does what the official images do, as far as a course goes.

#[macro_use]
mod support;

use std::process::Command;
use support::registry::Served;
use support::{Room, outcome, stdout};

/// Whether apt would know where to fetch from; says why a test does not run.
fn no_source() -> bool {
    let known = Command::new("apt-get").args(["install", "--print-uris", "-qq", "--reinstall", "-o", "Debug::NoLocking=1", "nginx", "redis-server", "postgresql-15"]).output();
    if known.is_ok_and(|o| o.status.success()) {
        return false;
    }
    support::skip("apt knows no source of the packages");
    true
}

/// A mirror in one room, a skiff in another that asks it.
struct Class {
    _mirror: Served,
    url: String,
    _there: Room,
    here: Room,
}

impl Class {
    fn new() -> Self {
        let there = Room::new();
        let mirror = Served::ours(&there, &["--mirror"]);
        Self { url: format!("http://{}", mirror.host), _mirror: mirror, _there: there, here: Room::new() }
    }

    fn skiff(&self, args: &[&str]) -> Command {
        self.here.skiff(&[&["--registry-mirror", &self.url], args].concat())
    }

    /// Runs a script in a running container, again and again until it is content, for half a minute.
    fn until(&self, container: &str, script: &str) -> String {
        let patient = format!("for i in $(seq 150); do {script} && exit 0; sleep 0.2; done 2>/dev/null; exit 1");
        stdout(&mut self.skiff(&["exec", container, "bash", "-c", &patient]))
    }
}

#[test]
fn nginx_and_redis_answer_on_their_ports_and_do_not_run_as_root() {
    require!(Root, Tool("apt-get"), Tool("dpkg-deb"));
    if no_source() {
        return;
    }
    let class = Class::new();
    stdout(&mut class.skiff(&["run", "-d", "--name", "web", "nginx"]));
    let ask = r"exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && grep -o 'Welcome to nginx!</h1>' <&3";
    assert_eq!(class.until("web", ask), "Welcome to nginx!</h1>\n");
    let workers = stdout(&mut class.skiff(&["exec", "web", "sh", "-c", "ps -C nginx -o user= | sort -u"]));
    assert_eq!(workers, "nginx\nroot\n");
    let (_, logged, _) = outcome(&mut class.skiff(&["logs", "web"]));
    assert!(logged.contains("\"GET / HTTP/1.0\" 200"), "{logged}");
    stdout(&mut class.skiff(&["stop", "web"]));

    stdout(&mut class.skiff(&["run", "-d", "--name", "cache", "redis"]));
    assert_eq!(class.until("cache", "redis-cli set greeting hello | grep OK"), "OK\n");
    assert_eq!(stdout(&mut class.skiff(&["exec", "cache", "redis-cli", "get", "greeting"])), "hello\n");
    assert_eq!(stdout(&mut class.skiff(&["exec", "cache", "ps", "-p", "1", "-o", "user="])), "redis\n");

    let (code, _, err) = outcome(&mut class.skiff(&["pull", "nginx:0.1"]));
    assert_eq!(code, Some(1));
    assert!(err.replace("\n       ", " ").contains("says: cannot make the image nginx:0.1: this machine makes nginx:latest, nginx:1, nginx:1."), "{err}");
    let (code, _, err) = outcome(&mut class.skiff(&["pull", "no-such-image-of-anybody"]));
    assert!(code == Some(1) && err.contains("no-such-image-of-anybody"), "{err}");
}

#[test]
fn postgres_makes_its_database_at_first_start_and_wants_a_password() {
    require!(Root, Tool("apt-get"), Tool("dpkg-deb"));
    if no_source() {
        return;
    }
    let class = Class::new();
    let (code, _, err) = outcome(&mut class.skiff(&["run", "--rm", "postgres"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("Error: the database is new, and its superuser has no password.\n"), "{err}");
    assert!(stdout(&mut class.skiff(&["run", "--rm", "postgres", "postgres", "--version"])).starts_with("postgres (PostgreSQL) 15."));
    stdout(&mut class.skiff(&["run", "-d", "--name", "db", "-e", "POSTGRES_PASSWORD=x", "-e", "POSTGRES_DB=app", "postgres"]));
    // Over the network and with the password: the server that makes the database listens on a socket alone.
    let ask = "PGPASSWORD=x psql -h 127.0.0.1 -U postgres -Atc 'select current_database(), 6 * 7' app";
    assert_eq!(class.until("db", ask), "app|42\n");
    let rules = stdout(&mut class.skiff(&["exec", "db", "tail", "-n", "1", "/var/lib/postgresql/data/pg_hba.conf"]));
    assert_eq!(rules, "host all all all scram-sha-256\n", "who comes from elsewhere needs the password");
    stdout(&mut class.skiff(&["stop", "db"]));
}

#[test]
fn python_and_node_run_what_they_are_given() {
    require!(Root, Tool("apt-get"), Tool("dpkg-deb"));
    if no_source() {
        return;
    }
    let class = Class::new();
    let script = "import ssl, sqlite3, json, ctypes, lzma, urllib.request; print(sum(range(10)))";
    assert_eq!(stdout(&mut class.skiff(&["run", "--rm", "python", "python", "-c", script])), "45\n");
    let script = "console.log([3, 1, 2].sort().join(), typeof fetch, process.getuid())";
    assert_eq!(stdout(&mut class.skiff(&["run", "--rm", "node", "node", "-e", script])), "1,2,3 function 0\n");
    assert_eq!(stdout(&mut class.skiff(&["run", "--rm", "-u", "node", "node", "sh", "-c", "id -un; echo $HOME"])), "node\n/home/node\n");
}
