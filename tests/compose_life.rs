//! Compose projects of `base`: made, changed, looked at, stopped, and gone again. Words and columns are
//! Docker Compose's.

#[macro_use]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Room, outcome, read_until, stdout};

/// A folder `app` with this file, and `base` in the store.
fn app(file: &str) -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    fs::create_dir(room.path().join("app")).expect("the room is ours");
    write(&room, "compose.yaml", file);
    room
}

fn write(room: &Room, name: &str, text: &str) {
    fs::write(room.path().join("app").join(name), text).expect("the room is ours");
}

fn compose(room: &Room, args: &[&str]) -> Command {
    let mut command = room.skiff(&[&["compose"], args].concat());
    command.current_dir(room.path().join("app"));
    command
}

/// Runs it; gives what it said of its progress.
fn done(room: &Room, args: &[&str]) -> String {
    let (code, out, err) = outcome(&mut compose(room, args));
    assert_eq!((code, out.as_str()), (Some(0), ""), "skiff compose {}: {err}", args.join(" "));
    err
}

fn out(room: &Room, args: &[&str]) -> String {
    stdout(&mut compose(room, args))
}

/// What `inspect` says of a container.
fn look(room: &Room, name: &str, format: &str) -> String {
    stdout(&mut room.skiff(&["inspect", "-f", format, name])).trim_end().to_owned()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nothing of a project is left.
fn nothing_is_left(room: &Room) {
    assert_eq!(stdout(&mut room.skiff(&["ps", "-aq"])), "");
    assert_eq!(stdout(&mut room.skiff(&["volume", "ls", "-q"])), "");
    assert_eq!(stdout(&mut room.skiff(&["network", "ls", "-q", "--filter", "type=custom"])), "");
}

const SLEEP: &str = "    image: base\n    command: sleep 600\n    init: true\n    stop_grace_period: 10s\n";

#[test]
fn up_makes_what_is_missing_replaces_what_changed_and_leaves_the_rest() {
    require!(Root);
    let file = |tag: &str| format!("services:\n  web:\n{SLEEP}    depends_on: [db]\n    environment: {{TAG: {tag}}}\n    volumes: ['data:/data', /kept]\n  db:\n{SLEEP}volumes: {{data: }}\n");
    let room = app(&file("one"));
    let first = " Network app_default  Creating\n Network app_default  Created\n Volume app_data  Creating\n Volume app_data  Created\n Container app-db-1  Creating\n Container app-db-1  Created\n \
                 Container app-web-1  Creating\n Container app-web-1  Created\n Container app-db-1  Starting\n Container app-db-1  Started\n Container app-web-1  Starting\n Container app-web-1  Started\n";
    assert_eq!(done(&room, &["up", "-d"]), first);
    stdout(&mut room.skiff(&["exec", "app-web-1", "touch", "/kept/file", "/data/file", "/layer"]));
    assert_eq!(done(&room, &["up", "-d"]), " Container app-db-1  Running\n Container app-web-1  Running\n");
    let ids = || ["app-db-1", "app-web-1"].map(|name| look(&room, name, "{{.Id}}"));
    let before = ids();
    write(&room, "compose.yaml", &file("two"));
    let changed = " Container app-db-1  Running\n Container app-web-1  Recreate\n Container app-web-1  Recreated\n Container app-web-1  Starting\n Container app-web-1  Started\n";
    assert_eq!(done(&room, &["up", "-d"]), changed);
    let after = ids();
    assert_eq!((before[0] == after[0], before[1] == after[1]), (true, false));
    // Volumes stay, named or not; the writable layer does not.
    assert_eq!(stdout(&mut room.skiff(&["exec", "app-web-1", "sh", "-c", "echo $TAG; ls /kept /data; test -e /layer || echo new"])), "two\n/data:\nfile\n\n/kept:\nfile\nnew\n");
    write(&room, "compose.yaml", &file("three"));
    assert_eq!(done(&room, &["up", "-d", "--no-recreate"]), " Container app-db-1  Running\n Container app-web-1  Running\n");
    assert!(done(&room, &["up", "-d", "--force-recreate", "db"]).starts_with(" Container app-db-1  Recreate\n"));
    let labels = look(&room, "app-web-1", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}");
    for label in ["com.docker.compose.project=app;", "com.docker.compose.service=web;", "com.docker.compose.container-number=1;", "com.docker.compose.oneoff=False;", "com.docker.compose.depends_on=db:service_started:false;"] {
        assert!(labels.contains(label), "{label} in {labels}");
    }
    assert!(done(&room, &["down"]).ends_with(" Network app_default  Removing\n Network app_default  Removed\n"));
    assert!(stdout(&mut room.skiff(&["volume", "ls", "-q"])).contains("app_data"));
    assert_eq!(done(&room, &["down", "-v"]), " Volume app_data  Removing\n Volume app_data  Removed\n");
    stdout(&mut room.skiff(&["volume", "prune", "-f"]));
    nothing_is_left(&room);
}

#[test]
fn containers_are_listed_scaled_stopped_and_started_by_their_services() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    ports: ['127.0.0.1::80']\n  db:\n{SLEEP}"));
    done(&room, &["up", "-d", "--scale", "web=2"]);
    assert_eq!(out(&room, &["ps", "--format", "{{.Name}} {{.Service}} {{.State}}"]), "app-db-1 db running\napp-web-1 web running\napp-web-2 web running\n");
    let table = out(&room, &["ps", "db"]);
    let heads: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heads, ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]);
    assert_eq!(out(&room, &["ps", "--services"]), "db\nweb\n");
    assert_eq!(out(&room, &["ps", "-q", "db"]).trim_end(), look(&room, "app-db-1", "{{.Id}}"));
    let file = room.path().join("app/compose.yaml").canonicalize().expect("it is there");
    assert_eq!(out(&room, &["ls"]), format!("NAME      STATUS       CONFIG FILES\napp       running(3)   {}\n", file.display()));
    let json: serde_json::Value = serde_json::from_str(out(&room, &["ps", "--format", "json", "db"]).trim_end()).expect("an object a line");
    assert_eq!((json["Service"].as_str(), json["Project"].as_str(), json["State"].as_str(), json["ExitCode"].as_i64()), (Some("db"), Some("app"), Some("running"), Some(0)));
    let address = out(&room, &["port", "--index", "2", "web", "80"]);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let images = out(&room, &["images"]);
    let rows: Vec<Vec<&str>> = images.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!((rows[0].as_slice(), rows[1][..3].to_vec()), (&["CONTAINER", "REPOSITORY", "TAG", "IMAGE", "ID", "SIZE"][..], vec!["app-db-1", "base", "latest"]));
    let top = out(&room, &["top", "db"]);
    assert!(top.starts_with("app-db-1\nUID") && top.contains("sleep 600"), "{top}");
    assert_eq!(done(&room, &["stop", "web"]).lines().filter(|l| l.ends_with("Stopped")).count(), 2);
    assert_eq!(out(&room, &["ps", "--services"]), "db\n");
    assert_eq!(out(&room, &["ps", "--status", "exited", "--format", "{{.Name}}"]), "app-web-1\napp-web-2\n");
    assert_eq!(done(&room, &["start", "web"]).lines().filter(|l| l.ends_with("Started")).count(), 2);
    let pid = look(&room, "app-db-1", "{{.State.Pid}}");
    done(&room, &["restart", "db"]);
    assert_ne!(look(&room, "app-db-1", "{{.State.Pid}}"), pid);
    done(&room, &["pause", "db"]);
    assert_eq!(out(&room, &["ps", "--format", "{{.State}}", "db"]), "paused\n");
    done(&room, &["unpause", "db"]);
    assert_eq!(done(&room, &["kill", "db"]), " Container app-db-1  Killing\n Container app-db-1  Killed\n");
    until("its end", || look(&room, "app-db-1", "{{.State.ExitCode}}") == "137");
    assert_eq!(done(&room, &["rm", "-f"]), " Container app-db-1  Removing\n Container app-db-1  Removed\n");
    // One of two is too many now.
    assert!(done(&room, &["up", "-d", "web"]).contains(" Container app-web-2  Removed\n"));
    done(&room, &["down"]);
    nothing_is_left(&room);
    assert_eq!(out(&room, &["ls", "-a"]), "NAME      STATUS    CONFIG FILES\n");
}

#[test]
fn a_service_waits_for_what_it_depends_on_and_what_will_not_come_is_said() {
    require!(Root);
    let healthy = |test: &str| format!("services:\n  web:\n{SLEEP}    depends_on:\n      db: {{condition: service_healthy}}\n      job: {{condition: service_completed_successfully}}\n  db:\n{SLEEP}    healthcheck: {{test: {test}, interval: 50ms, retries: 1, start_period: 60s}}\n  job:\n    image: base\n    command: sh -c 'sleep 0.2; exit ${{CODE:-0}}'\n");
    let room = app(&healthy("test -e /tmp/ready"));
    let mut up = compose(&room, &["up", "-d", "--wait"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut err = up.stderr.take().expect("it is a pipe");
    read_until(&mut err, " Container app-db-1  Waiting\n", Duration::from_secs(60));
    assert_eq!(out(&room, &["ps", "-a", "--format", "{{.State}}", "web"]), "created\n");
    stdout(&mut room.skiff(&["exec", "app-db-1", "touch", "/tmp/ready"]));
    let rest = read_until(&mut err, " Container app-web-1  Healthy\n", Duration::from_secs(60));
    assert!(rest.contains(" Container app-job-1  Exited\n Container app-web-1  Starting\n"), "{rest}");
    assert!(up.wait().expect("it ends").success());
    assert_eq!(out(&room, &["ps", "-a", "--format", "{{.Name}} {{.State}} {{.ExitCode}}"]), "app-db-1 running 0\napp-job-1 exited 0\napp-web-1 running 0\n");
    done(&room, &["down"]);
    // Without the database, which would not be ready.
    let (code, _, err) = outcome(compose(&room, &["up", "-d", "--no-deps", "job", "web"]).env("CODE", "3"));
    assert_eq!((code, err.lines().rev().nth(1)), (Some(1), Some("error: dependency failed to start: container app-job-1 didn't complete successfully: exit 3")), "{err}");
    done(&room, &["down"]);
    write(&room, "compose.yaml", &healthy("exit 1").replace(", start_period: 60s", ""));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert!(code == Some(1) && err.ends_with("error: dependency failed to start: container app-db-1 is unhealthy\n  try: skiff logs app-db-1; skiff inspect app-db-1\n"), "{err}");
    done(&room, &["down"]);
    nothing_is_left(&room);
}

#[test]
fn output_is_prefixed_and_ctrl_c_stops_what_is_followed() {
    require!(Root);
    let room = app("services:\n  web:\n    image: base\n    init: true\n    command: sh -c 'trap \"echo bye; exit 3\" TERM; echo one; echo two >&2; touch /tmp/on; while :; do sleep 0.1; done'\n    \
                    healthcheck: {test: test -e /tmp/on, interval: 50ms, start_period: 60s}\n  database:\n    image: base\n    command: echo up\n    depends_on: {web: {condition: service_healthy}}\n");
    let mut up = compose(&room, &["up"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = up.stdout.take().expect("it is a pipe");
    let mut seen = read_until(&mut lines, "web-1       | two\n", Duration::from_secs(60));
    if !seen.contains("database-1 exited with code 0\n") {
        seen += &read_until(&mut lines, "database-1 exited with code 0\n", Duration::from_secs(60));
    }
    assert!(seen.starts_with("Attaching to web-1, database-1\n") && seen.contains("database-1  | up\n") && seen.contains("web-1       | one\n"), "{seen}");
    kill(Pid::from_raw(up.id() as i32), Signal::SIGINT).expect("it is there");
    let rest = read_until(&mut lines, "web-1 exited with code 3\n", Duration::from_secs(60));
    assert_eq!(rest, "web-1       | bye\nweb-1 exited with code 3\n");
    assert_eq!(up.wait().expect("it ends").code(), Some(130));
    assert_eq!(out(&room, &["logs"]).lines().filter(|l| l.starts_with("web-1       | ")).count(), 3);
    assert_eq!(out(&room, &["logs", "--no-log-prefix", "-n", "1", "web"]), "bye\n");
    let (code, out, _) = outcome(&mut compose(&room, &["up", "--abort-on-container-exit", "--exit-code-from", "web"]));
    assert_eq!(code, Some(3), "{out}");
    done(&room, &["down"]);
    nothing_is_left(&room);
}

#[test]
fn exec_enters_a_service_and_run_makes_one_container_more() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    depends_on: [db]\n    environment: {{A: 1}}\n    ports: ['127.0.0.1::80']\n    restart: always\n  db:\n{SLEEP}    volumes: ['data:/data']\nvolumes: {{data: }}\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["exec", "web", "true"]));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: service \"web\" is not running")));
    assert_eq!(out(&room, &["run", "--rm", "-e", "B=2", "web", "sh", "-c", "echo $A$B; nslookup -type=a db | grep -c '^Name'"]), "12\n1\n");
    assert_eq!(out(&room, &["ps", "--format", "{{.Name}}"]), "app-db-1\n", "what it needs runs on, and itself is gone");
    let (code, out_, err) = outcome(&mut compose(&room, &["run", "--rm", "--no-deps", "--entrypoint", "sh", "web", "-c", "exit 7"]));
    assert_eq!((code, out_.as_str(), err.as_str()), (Some(7), "", ""));
    done(&room, &["up", "-d"]);
    assert_eq!(out(&room, &["exec", "-e", "C=3", "web", "sh", "-c", "echo $A$C; exit 0"]), "13\n");
    let mut sort = compose(&room, &["exec", "-T", "web", "sort"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut sort.stdin.take().expect("it is a pipe"), b"b\na\n").expect("it reads");
    assert_eq!(sort.wait_with_output().expect("it ends").stdout, b"a\nb\n");
    assert_eq!(outcome(&mut compose(&room, &["exec", "web", "sh", "-c", "exit 5"])).0, Some(5));
    write(&room, "note", "text");
    out(&room, &["cp", "note", "web:/tmp/note"]);
    assert_eq!(out(&room, &["cp", "web:/tmp/note", "-"]).matches("text").count(), 1);
    let name = out(&room, &["run", "-d", "web", "sleep", "600"]);
    assert!(name.starts_with("app-web-run-"), "{name}");
    assert_eq!(out(&room, &["ps", "--services"]), "db\nweb\n");
    done(&room, &["down", "-v"]);
    nothing_is_left(&room);
}

#[test]
fn what_the_file_says_of_a_container_is_so() {
    require!(Root, Controller("memory"));
    let file = "\
services:
  web:
    build:
      context: .
      args: {WHO: me}
      dockerfile_inline: |
        FROM base
        ARG WHO
        RUN echo $$WHO >/who
        VOLUME /anon
    command: [sleep, '600']
    init: true
    stop_grace_period: 1s
    container_name: the-web
    hostname: host
    user: '7:8'
    working_dir: /srv
    read_only: true
    tmpfs: /scratch:mode=1777
    cap_drop: [ALL]
    cap_add: [CHOWN]
    security_opt: [no-new-privileges:true]
    mem_limit: 64m
    deploy: {resources: {limits: {cpus: '0.5', pids: 20}}}
    ulimits: {nofile: {soft: 100, hard: 200}}
    extra_hosts: ['friend:10.9.8.7']
    dns: 10.9.8.6
    networks: {front: {aliases: [shop], ipv4_address: 10.177.0.9}}
    labels: {mine: 'yes'}
    logging: {driver: json-file, options: {max-size: 1m, max-file: '2'}}
    volumes: ['./own:/own:ro', {type: tmpfs, target: /small, tmpfs: {size: 1m}}]
    secrets: [{source: word, target: pass, mode: 0440}, file]
    configs: [{source: page, target: /etc/page.conf}]
networks: {front: {internal: true, ipam: {config: [{subnet: 10.177.0.0/24}]}, labels: {n: '1'}}}
secrets: {word: {environment: WORD}, file: {file: ./secret}}
configs: {page: {content: 'hello $WORD'}}
";
    let room = app(file);
    write(&room, "secret", "kept");
    let (code, _, err) = outcome(compose(&room, &["up", "-d"]).env("WORD", "secret"));
    assert_eq!(code, Some(0), "{err}");
    let said = stdout(&mut room.skiff(&["exec", "the-web", "sh", "-c", "cat /who; hostname; id -u; pwd; touch /x 2>/dev/null || echo ro; ulimit -n; cat /run/secrets/file; stat -c ' %a' /run/secrets/pass; cat /etc/page.conf; echo; \
        grep friend /etc/hosts; ls -d /own /small /scratch /anon; grep -E 'CapEff|NoNewPrivs' /proc/self/status; hostname -i"]));
    let expected = "me\nhost\n7\n/srv\nro\n100\nkept 440\nhello secret\n10.9.8.7\tfriend\n/anon\n/own\n/scratch\n/small\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n10.177.0.9\n";
    assert_eq!(said, expected);
    assert_eq!(look(&room, "the-web", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.Config.Labels.mine}} {{.Config.Image}}"), "67108864 500000000 20 yes app-web");
    assert_eq!(stdout(&mut room.skiff(&["network", "inspect", "-f", "{{.Internal}} {{.Labels.n}} {{index .Labels \"com.docker.compose.network\"}}", "app_front"])), "true 1 front\n");
    let (code, _, err) = outcome(compose(&room, &["down", "-v", "--rmi", "local"]).env("WORD", "secret"));
    assert_eq!(code, Some(0), "{err}");
    assert!(!stdout(&mut room.skiff(&["images"])).contains("app-web"));
    nothing_is_left(&room);
}

#[test]
fn nothing_is_made_where_something_cannot_be_and_what_belongs_to_others_is_left() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    networks: [a]\n  bad:\n{SLEEP}    cpus: 1000\nnetworks: {{a: }}\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert!(code == Some(1) && err.starts_with("error: compose.yaml:13: services.bad.cpus: invalid value \"1000\": this machine has "), "{err}");
    nothing_is_left(&room);
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    ports: ['8080:80']\n  bad:\n{SLEEP}    ports: ['127.0.0.1:8080:1']\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: compose.yaml:7: services.web.ports: port 8080/tcp of the host leads to the service bad already")));
    nothing_is_left(&room);
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    networks: [a]\nnetworks: {{a: {{external: true}}}}\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert_eq!((code, err.as_str()), (Some(1), "error: network a declared as external, but could not be found\n  why: an external network is made by somebody else, before compose starts\n  try: skiff network create a\n"));
    stdout(&mut room.skiff(&["network", "create", "app_a"]));
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    networks: [a]\nnetworks: {{a: }}\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: network app_a was found but belongs to no project")));
    assert_eq!(done(&room, &["down"]), "");
    stdout(&mut room.skiff(&["network", "rm", "app_a"]));
    // A service that the file has no more is told of, and removed where that is asked for.
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}  old:\n{SLEEP}"));
    done(&room, &["up", "-d"]);
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}"));
    assert!(done(&room, &["up", "-d"]).starts_with("warning: Found orphan containers ([app-old-1]) for this project."));
    assert!(done(&room, &["up", "-d", "--remove-orphans"]).contains(" Container app-old-1  Removed\n"));
    // By its name alone, without a file.
    let (code, _, err) = outcome(room.skiff(&["compose", "-p", "app", "down"]).current_dir("/proc"));
    assert!(code == Some(0) && err.contains(" Container app-web-1  Removed\n"), "{err}");
    nothing_is_left(&room);
}

#[test]
fn a_service_may_have_the_network_and_the_volumes_of_another() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    volumes: ['data:/data']\n  side:\n{SLEEP}    network_mode: service:web\n    volumes_from: [web:ro]\n    hostname: side\n  alone:\n{SLEEP}    network_mode: none\nvolumes: {{data: }}\n"));
    done(&room, &["up", "-d"]);
    let links = |service: &str| out(&room, &["exec", service, "sh", "-c", "readlink /proc/self/ns/net"]);
    assert_eq!(links("web"), links("side"));
    assert_ne!(links("web"), links("alone"));
    out(&room, &["exec", "web", "touch", "/data/x"]);
    assert_eq!(out(&room, &["exec", "side", "ls", "/data"]), "x\n");
    assert_eq!(outcome(&mut compose(&room, &["exec", "side", "touch", "/data/y"])).0, Some(1));
    assert_eq!(out(&room, &["exec", "alone", "ls", "/sys/class/net"]), "lo\n");
    // When the one whose network it is is replaced, so is the other.
    assert!(done(&room, &["up", "-d", "--force-recreate"]).contains(" Container app-side-1  Recreated\n"));
    assert_eq!(links("web"), links("side"));
    done(&room, &["down", "-v"]);
    nothing_is_left(&room);
}

#[test]
fn what_a_killed_up_left_is_put_right_by_the_next() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    depends_on: [db]\n    volumes: [/kept]\n  db:\n{SLEEP}"));
    done(&room, &["up", "-d"]);
    stdout(&mut room.skiff(&["exec", "app-web-1", "touch", "/kept/file"]));
    // Killed after the first thing that it says, after the second, and so on.
    for lines in 1.. {
        let mut up = compose(&room, &["up", "-d", "--force-recreate"]).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut err = up.stderr.take().expect("it is a pipe");
        let heard = (0..lines).take_while(|_| next_line(&mut err)).count();
        let _ = up.kill();
        up.wait().expect("it ends");
        done(&room, &["up", "-d"]);
        assert_eq!(out(&room, &["ps", "-a", "--format", "{{.Name}} {{.State}}"]), "app-db-1 running\napp-web-1 running\n", "after {lines} lines");
        assert_eq!(stdout(&mut room.skiff(&["exec", "app-web-1", "ls", "/kept"])), "file\n", "after {lines} lines");
        if heard < lines {
            break;
        }
    }
    done(&room, &["down", "-v"]);
    // A container that was half made has no record that `down` could know it by; it keeps its volume,
    // for a while even where it has no folder yet.
    until("the end of what was half made", || {
        stdout(&mut room.skiff(&["system", "prune", "-f", "--volumes"]));
        stdout(&mut room.skiff(&["volume", "ls", "-q"])).is_empty()
    });
    nothing_is_left(&room);
}

/// Reads to the end of a line; false at the end of all.
fn next_line(from: &mut impl std::io::Read) -> bool {
    let mut byte = [0];
    while matches!(from.read(&mut byte), Ok(1)) {
        if byte == *b"\n" {
            return true;
        }
    }
    false
}

#[test]
fn an_ordinary_user_has_containers_and_volumes_without_networks() {
    require!(OrdinaryUser, UserNamespaces);
    let room = app(&format!("services:\n  web:\n{SLEEP}    volumes: ['data:/data']\nvolumes: {{data: }}\n"));
    assert!(done(&room, &["up", "-d"]).starts_with("note: networks need root: the containers have none\n Volume app_data  Creating\n"));
    out(&room, &["exec", "web", "touch", "/data/x"]);
    assert_eq!(out(&room, &["exec", "web", "ls", "/data", "/sys/class/net"]), "/data:\nx\n\n/sys/class/net:\nlo\n");
    done(&room, &["down", "-v"]);
    assert_eq!(stdout(&mut room.skiff(&["ps", "-aq"])), "");
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    ports: ['8080:80']\n"));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d"]));
    assert!(code == Some(1) && err.contains("services.web.ports: "), "{err}");
}

#[test]
fn down_with_volumes_leaves_those_that_are_external_or_not_in_the_file() {
    require!(Root);
    let file = |volumes: &str| format!("services:\n  web:\n{SLEEP}    network_mode: none\n    volumes: ['data:/data']\nvolumes: {{{volumes}}}\n");
    let room = app(&file("data: "));
    done(&room, &["up", "-d"]);
    out(&room, &["exec", "web", "touch", "/data/precious"]);
    // It was made by this project, and is declared external by now, to keep it.
    write(&room, "compose.yaml", &file("data: {external: true, name: app_data}"));
    assert!(!done(&room, &["down", "-v"]).contains("Volume"));
    write(&room, "compose.yaml", "services: {web: {image: base}}");
    assert_eq!(done(&room, &["down", "-v"]), "warning: the volume app_data is of this project and not in its file: it stays; skiff volume rm app_data removes it.\n");
    write(&room, "compose.yaml", &file("data: "));
    assert_eq!(out(&room, &["run", "--rm", "web", "ls", "/data"]), "precious\n");
    // Another project's file, where this one is meant by its name.
    fs::create_dir(room.path().join("app/other")).expect("the room is ours");
    write(&room, "other/compose.yaml", "services: {db: {image: base}}");
    done(&room, &["up", "-d"]);
    let (code, _, err) = outcome(compose(&room, &["-p", "app", "down", "-v"]).current_dir(room.path().join("app/other")));
    assert!(code == Some(0) && err.contains(" Container app-web-1  Removed\n") && err.contains(" Volume app_data  Removed\n"), "{err}");
    let (code, _, err) = outcome(&mut compose(&room, &["down", "wbe"]));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: no such service: wbe")));
    nothing_is_left(&room);
}

#[test]
fn what_is_to_be_restarted_with_another_is_when_that_is_replaced() {
    require!(Root);
    let file = |tag: &str| format!("services:\n  web:\n{SLEEP}    network_mode: none\n    depends_on: {{db: {{condition: service_started, restart: true}}}}\n  db:\n{SLEEP}    network_mode: none\n    environment: {{TAG: {tag}}}\n");
    let room = app(&file("one"));
    done(&room, &["up", "-d"]);
    let seen = || (look(&room, "app-web-1", "{{.Id}}"), look(&room, "app-web-1", "{{.State.Pid}}"));
    let (id, pid) = seen();
    write(&room, "compose.yaml", &file("two"));
    // Also where the other alone is meant.
    done(&room, &["up", "-d", "db"]);
    let (again, other) = seen();
    assert_eq!((again == id, other == pid, other.as_str() == "0"), (true, false, false));
    done(&room, &["down"]);
    nothing_is_left(&room);
}

#[test]
fn names_are_looked_at_before_anything_is_made() {
    require!(Root);
    let refused = |room: &Room, args: &[&str], said: &str| {
        let (code, _, err) = outcome(&mut compose(room, &[&["up", "-d"], args].concat()));
        assert_eq!((code, err.lines().next()), (Some(1), Some(said)));
        nothing_is_left(room);
    };
    let room = app(&format!("services:\n  web:\n{SLEEP}    container_name: own\n"));
    refused(&room, &["--scale", "web=2"], "error: compose.yaml:7: services.web.container_name: the service is to have 2 containers, and a name is one container's");
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    container_name: own\n  zoo:\n{SLEEP}    container_name: own\n"));
    refused(&room, &[], "error: compose.yaml:13: services.zoo: the container's name \"own\" is that of the service web already");
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    container_name: ../own\n"));
    refused(&room, &[], "error: compose.yaml:7: services.web: \"../own\" cannot be a container's name");
    write(&room, "compose.yaml", &format!("services:\n  web:\n{SLEEP}    volumes: ['a:/a', 'b:/b']\nvolumes:\n  a: {{}}\n  b:\n    name: ../b\n"));
    refused(&room, &[], "error: compose.yaml:11: volumes.b: \"../b\" cannot be a volume's name");
}

#[test]
fn run_makes_the_folder_that_is_bound() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    network_mode: none\n    volumes: ['./made:/m']\n"));
    assert_eq!(out(&room, &["run", "--rm", "web", "ls", "-d", "/m"]), "/m\n");
    nothing_is_left(&room);
}

#[test]
fn start_waits_for_what_a_service_depends_on() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    network_mode: none\n    depends_on: {{job: {{condition: service_completed_successfully}}}}\n  job:\n    image: base\n    network_mode: none\n    command: sleep 0.3\n"));
    done(&room, &["create"]);
    let said = done(&room, &["start"]);
    assert!(said.contains(" Container app-job-1  Exited\n Container app-web-1  Starting\n"), "{said}");
    done(&room, &["down"]);
    nothing_is_left(&room);
}

#[test]
fn two_at_once_come_to_the_same_end() {
    require!(Root);
    let room = app(&format!("services:\n  web:\n{SLEEP}    volumes: [/kept]\n    depends_on: [db]\n  db:\n{SLEEP}"));
    let twice = |args: &[&str]| {
        let both = [(); 2].map(|()| compose(&room, args).stderr(Stdio::piped()).spawn().expect("it starts"));
        both.map(|one| one.wait_with_output().expect("it ends"))
    };
    let succeed = |args: &[&str]| {
        for ended in twice(args) {
            assert!(ended.status.success(), "skiff compose {}: {}", args.join(" "), String::from_utf8_lossy(&ended.stderr));
        }
    };
    for _ in 0..3 {
        succeed(&["up", "-d"]);
        stdout(&mut room.skiff(&["exec", "app-web-1", "touch", "/kept/file"]));
        // The one may take away what the other has just made and is about to start.
        twice(&["up", "-d", "--force-recreate"]);
        done(&room, &["up", "-d"]);
        assert_eq!(out(&room, &["ps", "-a", "--format", "{{.Name}} {{.State}}"]), "app-db-1 running\napp-web-1 running\n");
        assert_eq!(stdout(&mut room.skiff(&["exec", "app-web-1", "ls", "/kept"])), "file\n");
        // Nor does a name stay of what is removed while it gets its own.
        let up = compose(&room, &["up", "-d", "--force-recreate"]).stderr(Stdio::piped()).spawn().expect("it starts");
        outcome(&mut compose(&room, &["rm", "-sf"]));
        up.wait_with_output().expect("it ends");
        done(&room, &["up", "-d"]);
        succeed(&["down", "-v"]);
        stdout(&mut room.skiff(&["volume", "prune", "-f"]));
        nothing_is_left(&room);
    }
}
