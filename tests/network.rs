//! Networks of skiff: bridges, addresses, published ports, as the host's kernel shows them.

#[macro_use]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;
use support::{Room, outcome, stdout};

/// A room with `base` in it.
fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// Starts a container that serves its name on port 80, and waits until it does.
fn serve(room: &Room, name: &str, options: &[&str]) {
    let script = "mkdir /w; hostname >/w/index.html; httpd -p 80 -h /w; echo ready; exec sleep 600";
    let words = [&["run", "--name", name, "-h", name], options, &["base", "sh", "-c", script]].concat();
    // In the foreground, so that its first line can be waited for; it ends when the room does.
    let mut run = room.skiff(&words).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    support::read_until(run.stdout.as_mut().expect("piped"), "ready", Duration::from_secs(20));
    std::thread::spawn(move || run.wait());
}

/// What a server at that address says to a browser, without its headers.
fn get(address: &str) -> Result<String, std::io::Error> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned()).unwrap_or_default())
}

fn field(room: &Room, name: &str, field: &str) -> String {
    stdout(&mut room.skiff(&["network", "inspect", "-f", field, name])).trim().to_owned()
}

/// An address of this host that is not loopback.
fn own_address() -> String {
    let text = stdout(Command::new("ip").args(["-4", "-o", "address", "show", "scope", "global"]));
    let all = text.lines().filter(|l| !l.contains("skiff") && !l.contains("br-") && !l.contains("docker"));
    let first = all.filter_map(|l| l.split_whitespace().nth(3)).next().expect("this machine has a network");
    first.split('/').next().expect("an address").to_owned()
}

fn wget(room: &Room, network: &str, address: &str) -> (Option<i32>, String) {
    let (code, out, _) = outcome(&mut room.skiff(&["run", "--rm", "--network", network, "base", "sh", "-c", &format!("timeout 3 wget -qO- http://{address}/ || exit 1")]));
    (code, out.trim().to_owned())
}

#[test]
fn containers_of_a_network_reach_each_other_and_a_published_port_leads_in_from_everywhere() {
    require!(Root);
    let room = furnished();
    serve(&room, "web", &["-p", "0:80"]);
    let port = stdout(&mut room.skiff(&["port", "web", "80"])).trim().to_owned();
    let port = port.strip_prefix("0.0.0.0:").expect("Docker's form");
    assert_eq!(get(&format!("127.0.0.1:{port}")).expect("by loopback"), "web");
    assert_eq!(get(&format!("{}:{port}", own_address())).expect("by the host's own address"), "web");
    let address = stdout(&mut room.skiff(&["exec", "web", "hostname", "-i"])).trim().to_owned();
    assert_eq!(wget(&room, "bridge", &address), (Some(0), "web".into()), "by its own address");
    assert_eq!(wget(&room, "bridge", &format!("{}:{port}", own_address())), (Some(0), "web".into()), "out, and back in by the host");
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "--network", "container:web", "base", "wget", "-qO-", "http://127.0.0.1/"])), "web\n");
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    assert!(get(&format!("127.0.0.1:{port}")).is_err(), "the port is free again");
}

#[test]
fn networks_do_not_see_each_other_and_an_internal_one_sees_nobody() {
    require!(Root);
    let room = furnished();
    for words in [&["network", "create", "red"][..], &["network", "create", "blue"], &["network", "create", "--internal", "quiet"]] {
        stdout(&mut room.skiff(words));
    }
    serve(&room, "web", &["--network", "red", "-p", "127.0.0.1:0:80"]);
    let address = stdout(&mut room.skiff(&["exec", "web", "hostname", "-i"])).trim().to_owned();
    assert_eq!(wget(&room, "red", &address), (Some(0), "web".into()));
    for other in ["blue", "quiet"] {
        assert_eq!(wget(&room, other, &address), (Some(1), String::new()), "from {other}");
    }
    // Bound to one address, it is not at the others.
    let port = stdout(&mut room.skiff(&["port", "web"])).trim().rsplit_once(':').expect("a port").1.to_owned();
    assert_eq!(get(&format!("127.0.0.1:{port}")).expect("by loopback"), "web");
    assert!(get(&format!("{}:{port}", own_address())).is_err());
    let routes = stdout(&mut room.skiff(&["run", "--rm", "--network", "quiet", "base", "ip", "route"]));
    assert!(!routes.contains("default"), "{routes}");
}

#[test]
fn the_hosts_own_loopback_stays_out_of_reach() {
    require!(Root);
    let room = furnished();
    serve(&room, "web", &["-p", "0:80"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("bound").port();
    // A packet for 127.0.0.1 that is sent out by eth0, to the bridge that lets such packets in.
    let gateway = field(&room, "bridge", "{{(index .IPAM.Config 0).Gateway}}");
    let script = format!(
        "ip addr flush dev lo; ip link set lo down; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip route add 127.0.0.1 via {gateway} dev eth0; ip route get 127.0.0.1; \
         echo knock | timeout 3 nc -w 2 127.0.0.1 {port}"
    );
    let (_, said, _) = outcome(&mut room.skiff(&["run", "--rm", "--privileged", "--network", "bridge", "base", "sh", "-c", &script]));
    assert!(said.contains("dev eth0"), "it was not even sent: {said}");
    let heard = listener.accept();
    assert!(heard.is_err(), "a container spoke to the host's loopback: {heard:?}");
}

#[test]
fn a_port_an_address_or_a_network_that_is_in_use_is_refused() {
    require!(Root);
    let room = furnished();
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "-p", &format!("{port}:80"), "base", "true"]));
    let expected = format!("error: cannot publish 0.0.0.0:{port}->80/tcp: EADDRINUSE");
    assert!(code == Some(125) && out.is_empty() && err.starts_with(&expected), "{code:?} {out}{err}");

    stdout(&mut room.skiff(&["network", "create", "--subnet", "10.222.7.0/30", "small"]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "one", "--network", "small", "base", "sleep", "600"]));
    for (words, expected) in [
        (&["run", "--rm", "--network", "small", "base", "true"][..], "error: no free address is left in the network small (10.222.7.0/30)\n"),
        (&["run", "--rm", "--network", "small", "--ip", "10.222.7.2", "base", "true"], "error: the address 10.222.7.2 cannot be had in the network small: it is taken\n"),
        (&["run", "--rm", "--network", "smal", "base", "true"], "error: network smal not found\n  why: did you mean small?\n"),
        (&["network", "create", "small"], "error: network with name small already exists\n"),
        (&["network", "create", "--subnet", "10.222.7.0/24", "large"], "error: the subnet 10.222.7.0/24 cannot be used: "),
        (&["network", "rm", "small"], "error: network small has active endpoints\n"),
        (&["run", "--rm", "--network", "none", "-p", "80", "base", "true"], "error: cannot publish 0.0.0.0:0->80/tcp\n"),
    ] {
        let (code, out, err) = outcome(&mut room.skiff(words));
        let wanted = if words[0] == "run" { 125 } else { 1 };
        assert!(code == Some(wanted) && out.is_empty() && err.starts_with(expected), "{words:?}: {code:?} {out}{err}");
    }
    stdout(&mut room.skiff(&["rm", "-f", "one"]));
    assert_eq!(stdout(&mut room.skiff(&["network", "rm", "small"])), "small\n");
}

#[test]
fn what_a_killed_run_had_of_a_network_is_given_back() {
    require!(Root);
    let room = furnished();
    stdout(&mut room.skiff(&["network", "create", "--subnet", "10.222.8.0/30", "small"]));
    let mut run = room.skiff(&["run", "--name", "box", "--network", "small", "-p", "80", "base", "sh", "-c", "echo up; exec sleep 600"]);
    let mut run = run.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    support::read_until(run.stdout.as_mut().expect("piped"), "up", Duration::from_secs(10));
    let bridge = field(&room, "small", "{{index .Options \"com.docker.network.bridge.name\"}}");
    let table = || stdout(Command::new("nft").args(["list", "table", "ip", &table_of(&room)]));
    assert!(table().contains(" : 10.222.8.2 . 80"), "{}", table());
    run.kill().and_then(|()| run.wait().map(drop)).expect("our child");
    stdout(&mut room.skiff(&["rm", "-f", "box"]));
    assert!(!table().contains(" : 10.222.8.2"), "{}", table());
    stdout(&mut room.skiff(&["run", "--rm", "--network", "small", "base", "true"]));
    assert_eq!(stdout(&mut room.skiff(&["system", "prune", "-f"])), "Deleted Networks:\nsmall\n\nTotal reclaimed space: 0B\n");
    assert!(!outcome(Command::new("ip").args(["link", "show", &bridge])).1.contains(&bridge));
    assert_ne!(outcome(Command::new("nft").args(["list", "table", "ip", &table_of(&room)])).0, Some(0), "the table went with the last network");
}

/// The name of a room's table of rules: the one that its skiff would make.
fn table_of(room: &Room) -> String {
    format!("skiff{}", drydock::engine::network::bridge::suffix(&room.skiff_root()))
}

#[test]
fn after_the_rules_were_flushed_the_next_run_brings_them_back() {
    require!(Root);
    let room = furnished();
    serve(&room, "web", &["-p", "0:80"]);
    let port = stdout(&mut room.skiff(&["port", "web", "80"])).trim().replace("0.0.0.0", "127.0.0.1");
    stdout(Command::new("nft").args(["delete", "table", "ip", &table_of(&room)]));
    // The reserved port takes the connection, and nobody answers.
    assert_ne!(get(&port).unwrap_or_default(), "web");
    stdout(&mut room.skiff(&["run", "--rm", "--network", "bridge", "base", "true"]));
    assert_eq!(get(&port).expect("it is there again"), "web");
}

#[test]
fn an_ordinary_user_is_told_why_not() {
    require!(OrdinaryUser, UserNamespaces);
    let room = furnished();
    // Without slirp4netns on its PATH; where the administrator's folders have it, it may still be found.
    if !["/usr/bin/slirp4netns", "/usr/local/bin/slirp4netns"].iter().any(|p| std::path::Path::new(p).exists()) {
        let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "-p", "8080:80", "base", "true"]));
        assert!(code == Some(125) && out.is_empty() && err.starts_with("error: cannot join the network bridge: EPERM\n  why: "), "{code:?} {out}{err}");
    }
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--rm", "--network", "red", "base", "true"]));
    assert!(code == Some(125) && out.is_empty() && err.starts_with("error: cannot join the network red: EPERM\n  why: "), "{code:?} {out}{err}");
}

#[test]
fn networks_are_listed_as_dockers_are() {
    require!(Root);
    let room = Room::new();
    for words in [&["network", "create", "--label", "team=web", "red"][..], &["network", "create", "--internal", "quiet"]] {
        stdout(&mut room.skiff(words));
    }
    let ls = |words: &[&str]| stdout(&mut room.skiff(&[&["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.Labels}}"], words].concat()));
    assert_eq!(ls(&[]), "host host local false \nnone null local false \nquiet bridge local true \nred bridge local false team=web\n");
    assert_eq!(ls(&["-f", "name=re", "-f", "name=no"]), "none null local false \nred bridge local false team=web\n");
    assert_eq!(ls(&["-f", "label=team=web"]), "red bridge local false team=web\n");
    assert_eq!(ls(&["-f", "type=builtin", "-f", "driver=null"]), "none null local false \n");
    assert_eq!(ls(&["-f", "dangling=true", "-f", "label=team"]), "red bridge local false team=web\n");
    assert_eq!(stdout(&mut room.skiff(&["network", "ls"])).lines().next(), Some("NETWORK ID     NAME      DRIVER    SCOPE"));
    for (words, line) in [
        (&["network", "ls", "-f", "colour=red"][..], "error: invalid value \"colour=red\" for --filter: it is KEY=VALUE, with a key of name, id, driver, label, type, dangling, scope"),
        (&["network", "rm", "host"], "error: host is a pre-defined network and cannot be removed"),
        (&["network", "inspect", "red", "nowhere"], "error: network nowhere not found"),
    ] {
        let (code, _, err) = outcome(&mut room.skiff(words));
        assert_eq!((code, err.lines().next()), (Some(1), Some(line)), "{words:?}");
    }
    assert_eq!(outcome(&mut room.skiff(&["network", "rm", "-f", "nowhere"])).0, Some(0));
}

#[test]
fn a_cable_of_the_last_time_does_not_keep_a_container_from_starting_again() {
    require!(Root, Tool("ip"));
    let room = furnished();
    let id = stdout(&mut room.skiff(&["create", "base", "cat", "/sys/class/net/eth0/operstate"]));
    // As if the kernel had not yet taken apart the namespace of its last run.
    stdout(Command::new("ip").args(["link", "add", &format!("ve{}0", &id[..12]), "type", "bridge"]));
    assert_eq!(outcome(&mut room.skiff(&["start", "-a", id.trim()])), (Some(0), "up\n".into(), String::new()));
    // And as it is when somebody is in a hurry.
    for _ in 0..10 {
        assert_eq!(outcome(&mut room.skiff(&["start", "-a", id.trim()])), (Some(0), "up\n".into(), String::new()));
    }
}
