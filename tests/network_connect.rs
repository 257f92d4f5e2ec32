//! Containers change networks while they run, and ports lead to them in all the ways that Docker has.

#[macro_use]
mod support;

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use support::networks::{furnished, start};
use support::{Room, outcome, stdout};

fn exec(room: &Room, name: &str, script: &str) -> String {
    stdout(&mut room.skiff(&["exec", name, "sh", "-c", script]))
}

/// What a container has by each name of a link.
fn links(room: &Room, name: &str) -> Vec<String> {
    let all = exec(room, name, "ip -o -4 address | awk '{ print $2 }'");
    all.lines().map(str::to_owned).filter(|l| l != "lo").collect()
}

/// Runs skiff, which must refuse with this first line.
fn refuses(room: &Room, words: &[&str], line: &str) {
    let (code, _, err) = outcome(&mut room.skiff(words));
    assert_eq!((code, err.lines().next().unwrap_or_default()), (Some(1), line), "skiff {}", words.join(" "));
}

/// A connection over `red` that its other end never closes: what `far` has sent is never acknowledged, so
/// the kernel goes on sending when it is no more. Gives the host's end of `far`'s cable.
fn unclosed(room: &Room, far: &str) -> std::path::PathBuf {
    exec(room, far, "until netstat -tln | grep -q :5000; do sleep 0.1; done");
    let near = ["run", "-d", "--name", "near", "--network", "red", "base", "sh", "-c", "nc far 5000 >/tmp/heard; exec sleep 1000"];
    stdout(&mut room.skiff(&near));
    exec(room, "near", "until [ -s /tmp/heard ]; do sleep 0.1; done");
    stdout(&mut room.skiff(&["network", "disconnect", "red", "near"]));
    let id = stdout(&mut room.skiff(&["inspect", "-f", "{{.Id}}", far]));
    let cable = std::path::PathBuf::from(format!("/sys/class/net/ve{}0", &id[..12]));
    assert!(cable.exists(), "{}", cable.display());
    stdout(&mut room.skiff(&["rm", "-f", "near", far]));
    cable
}

#[test]
fn a_connection_that_nobody_closed_keeps_no_cable() {
    require!(Root);
    let room = furnished();
    let far = ["--name", "far", "--network", "red", "base", "nc", "-ll", "-p", "5000", "-e", "yes"];
    stdout(&mut room.skiff(&[&["run", "-d"], far.as_slice()].concat()));
    let cable = unclosed(&room, "far");
    assert!(!cable.exists(), "{}", cable.display());
    // Whoever waits for a container in the foreground is not kept waiting: then it goes with the network.
    let mut run = room.skiff(&[&["run"], far.as_slice()].concat()).stderr(std::process::Stdio::null()).spawn().expect("skiff runs");
    stdout(&mut room.command("sh").args(["-c", "until skiff exec far true 2>/dev/null; do sleep 0.1; done"]));
    let cable = unclosed(&room, "far");
    run.wait().expect("it is our child");
    stdout(&mut room.skiff(&["network", "rm", "red"]));
    assert!(!cable.exists(), "{}", cable.display());
}

#[test]
fn a_running_container_is_connected_to_a_network_and_taken_out_again() {
    require!(Root);
    let room = furnished();
    start(&room, "web", &["--network", "red"]);
    start(&room, "far", &["--network", "blue"]);
    assert_ne!(outcome(&mut room.skiff(&["exec", "far", "ping", "-c1", "-W1", "web"])).0, Some(0));
    assert_eq!(stdout(&mut room.skiff(&["network", "connect", "--alias", "shop", "blue", "web"])), "");
    assert_eq!(links(&room, "web"), ["eth0", "eth1"]);
    for name in ["web", "shop", "shop.blue"] {
        stdout(&mut room.skiff(&["exec", "far", "ping", "-c1", "-W2", name]));
    }
    stdout(&mut room.skiff(&["exec", "web", "ping", "-c1", "-W2", "far"]));
    let inspect = |network: &str| stdout(&mut room.skiff(&["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", network]));
    let mut blue: Vec<String> = inspect("blue").split_whitespace().map(str::to_owned).collect();
    blue.sort();
    assert_eq!(blue, ["far", "web"]);
    assert_eq!(exec(&room, "web", "grep -c \"$(hostname)\" /etc/hosts"), "2\n");
    refuses(&room, &["network", "connect", "blue", "web"], "error: endpoint with name web already exists in network blue");
    refuses(&room, &["network", "rm", "blue"], "error: network blue has active endpoints");

    assert_eq!(stdout(&mut room.skiff(&["network", "disconnect", "red", "web"])), "");
    assert_eq!(links(&room, "web"), ["eth1"]);
    assert_eq!(inspect("red"), "\n");
    let route = exec(&room, "web", "ip route show default");
    assert!(route.contains("dev eth1"), "the way out is the other network's now: {route}");
    refuses(&room, &["network", "disconnect", "red", "web"], "error: container web is not connected to network red");
    assert_eq!(stdout(&mut room.skiff(&["network", "rm", "red"])), "red\n");
    // Its next start finds the same networks, and with its end the addresses are free again.
    stdout(&mut room.skiff(&["restart", "-t", "0", "web"]));
    stdout(&mut room.skiff(&["exec", "far", "ping", "-c1", "-W2", "shop"]));
    stdout(&mut room.skiff(&["rm", "-f", "web", "far"]));
    assert_eq!(stdout(&mut room.skiff(&["network", "rm", "blue"])), "blue\n");
}

#[test]
fn addresses_of_a_connection_are_given_back_by_whoever_ends_the_container() {
    require!(Root);
    let room = furnished();
    stdout(&mut room.skiff(&["network", "create", "--subnet", "10.222.17.0/24", "fixed"]));
    start(&room, "web", &["--network", "red"]);
    stdout(&mut room.skiff(&["network", "connect", "--ip", "10.222.17.9", "fixed", "web"]));
    assert!(exec(&room, "web", "ip -o -4 address show eth1").contains(" 10.222.17.9/24 "));
    stdout(&mut room.skiff(&["kill", "web"]));
    stdout(&mut room.skiff(&["run", "--rm", "--network", "name=fixed,ip=10.222.17.9,alias=x", "base", "true"]));
    // One that does not run is connected by its next start.
    stdout(&mut room.skiff(&["network", "disconnect", "fixed", "web"]));
    stdout(&mut room.skiff(&["network", "connect", "--ip", "10.222.17.8", "fixed", "web"]));
    stdout(&mut room.skiff(&["start", "web"]));
    assert!(exec(&room, "web", "ip -o -4 address show eth1").contains(" 10.222.17.8/24 "));
}

#[test]
fn what_cannot_be_connected_is_refused_in_dockers_words() {
    require!(Root);
    let room = furnished();
    start(&room, "alone", &["--network", "none"]);
    start(&room, "shared", &["--network", "host"]);
    start(&room, "web", &["--network", "red"]);
    start(&room, "guest", &["--network", "container:web"]);
    refuses(&room, &["network", "connect", "red", "alone"], "error: container alone cannot be connected to multiple networks with one of the networks in private (none) mode");
    refuses(&room, &["network", "connect", "red", "shared"], "error: container shared cannot be disconnected from or connected to the network host");
    refuses(&room, &["network", "connect", "red", "guest"], "error: container guest is sharing the network namespace of another container and cannot be connected or disconnected");
    refuses(&room, &["network", "connect", "host", "web"], "error: container web cannot be disconnected from or connected to the network host");
    refuses(&room, &["network", "connect", "nowhere", "web"], "error: network nowhere not found");
    refuses(&room, &["network", "connect", "red", "nobody"], "error: no such container: nobody");
    refuses(&room, &["network", "disconnect", "blue", "web"], "error: container web is not connected to network blue");
    refuses(&room, &["network", "connect", "--ip", "10.1.1.1", "blue", "web"], "error: the address 10.1.1.1 cannot be had in the network blue: it is not one of its addresses");
    assert_eq!(links(&room, "web"), ["eth0"], "nothing half-made stays");
}

fn first_line(address: &str) -> String {
    // Nobody is there yet.
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text.trim().to_owned()
}

/// Serves UDP in a container: a thread of ours that has entered its network, and answers once.
fn echo_by_udp(room: &Room, name: &str, port: u16) {
    let listed = stdout(&mut room.skiff(&["ps", "--json"]));
    let line = listed.lines().find(|l| l.contains(&format!("\"Names\":\"{name}\""))).expect("it runs").to_owned();
    let pid = line.split("\"Pid\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).expect("a pid").to_owned();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let network = std::fs::File::open(format!("/proc/{pid}/ns/net")).expect("it runs");
        nix::sched::setns(network, nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
        let socket = UdpSocket::bind(("0.0.0.0", port)).expect("nobody has it there");
        send.send(()).expect("somebody waits");
        let mut bytes = [0; 64];
        if let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..length], from);
        }
    });
    receive.recv().expect("it is bound");
}

#[test]
fn ports_are_published_all_at_once_from_a_range_and_by_udp() {
    require!(Root);
    let room = furnished();
    let file = "FROM base\nEXPOSE 7001 7002/udp\nCMD nc -ll -p 7001 -e echo seven & nc -ll -p 7003 -e echo three & echo up; wait\n";
    std::fs::write(room.path().join("Dockerfile"), file).expect("the room is ours");
    stdout(&mut room.skiff(&["build", "-q", "-t", "serves", &room.path().display().to_string()]));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let first = taken.local_addr().expect("bound").port();
    let range = format!("127.0.0.1:{first}-{}:7003", first.saturating_add(20));
    let mut run = room.skiff(&["run", "--name", "web", "--network", "red", "-P", "-p", &range, "--expose", "7009", "serves"]);
    let mut run = run.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    support::read_until(run.stdout.as_mut().expect("piped"), "up", Duration::from_secs(20));
    let port = |port: &str| stdout(&mut room.skiff(&["port", "web", port])).trim().replace("0.0.0.0", "127.0.0.1");
    assert_eq!(stdout(&mut room.skiff(&["port", "web"])).lines().count(), 4, "two of the image, one exposed, one asked for");
    let wait = |address: &str| {
        // Its servers come up a moment after it says so.
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while first_line(address).is_empty() {
            assert!(std::time::Instant::now() < end, "nobody serves at {address}");
        }
        first_line(address)
    };
    assert_eq!(wait(&port("7001")), "seven");
    let ranged = port("7003");
    assert_eq!(wait(&ranged), "three");
    assert_ne!(ranged, format!("127.0.0.1:{first}"), "that one is taken, and the next was chosen");
    echo_by_udp(&room, "web", 7002);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    socket.connect(port("7002/udp")).expect("a route");
    let mut answer = [0; 16];
    socket.send(b"hello").expect("it is sent");
    let length = socket.recv(&mut answer).expect("an answer by UDP");
    assert_eq!(&answer[..length], b"hello");
    // Ports go along where their container goes.
    stdout(&mut room.skiff(&["network", "connect", "blue", "web"]));
    stdout(&mut room.skiff(&["network", "disconnect", "red", "web"]));
    assert_eq!(wait(&port("7001")), "seven");
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    let _ = run.wait();
}
