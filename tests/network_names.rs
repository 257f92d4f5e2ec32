//! Names on skiff's networks: who finds whom, what the world is asked, and that the resolver stays.

#[macro_use]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};
use support::networks::{furnished, start};
use support::{Room, outcome, stdout};

/// What `nslookup` in a container finds, without what it says of the server that it asked.
fn look_up(room: &Room, from: &str, words: &[&str]) -> Vec<String> {
    let (_, out, _) = outcome(&mut room.skiff(&[&["exec", from, "nslookup"], words].concat()));
    let found = out.lines().skip(2).filter_map(|l| l.strip_prefix("Address: ").or_else(|| l.split_once("name = ").map(|(_, name)| name)));
    found.map(|f| f.trim().to_owned()).collect()
}

fn address(room: &Room, name: &str) -> String {
    stdout(&mut room.skiff(&["exec", name, "hostname", "-i"])).trim().to_owned()
}

/// The pids of a room's resolvers.
fn resolvers(room: &Room) -> Vec<i32> {
    let root = room.skiff_root().display().to_string();
    let entries = std::fs::read_dir("/proc").expect("it can be read").flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let command = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut found: Vec<i32> = pids.filter(|pid| command(pid).contains(&format!("{root}\0resolver"))).collect();
    found.sort_unstable();
    found
}

/// Waits until there are so many resolvers.
fn wait_for_resolvers(room: &Room, count: usize) -> Vec<i32> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let found = resolvers(room);
        if found.len() == count {
            return found;
        }
        assert!(Instant::now() < end, "{found:?} instead of {count}");
        std::thread::yield_now();
    }
}

#[test]
fn containers_of_a_network_find_each_other_by_name_alias_and_id_and_those_of_others_not() {
    require!(Root);
    let room = furnished();
    start(&room, "web", &["--network", "red", "--network-alias", "www", "--network-alias", "shop"]);
    start(&room, "two", &["--network", "red", "--network-alias", "shop"]);
    start(&room, "far", &["--network", "blue"]);
    let (web, two) = (address(&room, "web"), address(&room, "two"));
    let id = stdout(&mut room.skiff(&["ps", "-q"])).lines().last().expect("web is the oldest").to_owned();
    for name in ["web", "WEB", "web.red", "www", "www.red", &id] {
        assert_eq!(look_up(&room, "two", &["-type=a", name]), [web.as_str()], "{name}");
    }
    let mut shop = look_up(&room, "two", &["-type=a", "shop"]);
    shop.sort();
    let mut both = [web.clone(), two.clone()];
    both.sort();
    assert_eq!(shop, both);
    let back: Vec<&str> = web.split('.').rev().collect();
    assert_eq!(look_up(&room, "two", &["-type=ptr", &format!("{}.in-addr.arpa", back.join("."))]), ["web.red"]);
    let (code, out, _) = outcome(&mut room.skiff(&["exec", "two", "nslookup", "-type=aaaa", "web"]));
    assert!(code == Some(0) && !out.contains("NXDOMAIN"), "there, and without such an address: {out}");
    assert!(look_up(&room, "far", &["-type=a", "web"]).is_empty(), "from another network");
    // Who leaves is not found any more, and who comes is.
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    assert!(look_up(&room, "two", &["-type=a", "web"]).is_empty());
    start(&room, "web", &["--network", "red"]);
    assert_eq!(look_up(&room, "two", &["-type=a", "web"]), [address(&room, "web")]);
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "--network", "bridge", "--network-alias", "x", "base", "true"]));
    assert_eq!((code, err.lines().next()), (Some(125), Some("error: network-scoped alias is supported only for containers in user defined networks")));
}

/// A resolver of the world, that answers every question with 192.0.2.7, cut short by UDP if the name says so.
fn world(at: &str) {
    let answer = |query: &[u8], cut: bool| {
        let end = 12 + query[12..].iter().position(|b| *b == 0).expect("a name ends") + 5;
        let mut answer = query[..end].to_vec();
        answer[2..12].copy_from_slice(&[if cut { 0x83 } else { 0x81 }, 0x80, 0, 1, 0, u8::from(!cut), 0, 0, 0, 0]);
        if !cut {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
        }
        answer
    };
    let udp = UdpSocket::bind((at, 53)).expect("root may, and the address is the test's own");
    let tcp = TcpListener::bind((at, 53)).expect("root may, and the address is the test's own");
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut bytes) {
            let cut = bytes[..length].windows(4).any(|w| w == b"long");
            let _ = udp.send_to(&answer(&bytes[..length], cut), from);
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            let mut bytes = vec![];
            if stream.read_exact(&mut length).is_ok() {
                bytes.resize(usize::from(u16::from_be_bytes(length)), 0);
            }
            if stream.read_exact(&mut bytes).is_ok() && !bytes.is_empty() {
                let answer = answer(&bytes, false);
                let _ = stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat());
            }
        }
    });
}

#[test]
fn names_of_the_world_are_asked_of_whom_dns_names_and_not_at_all_from_an_internal_network() {
    require!(Root);
    // A network namespace of its own is the host: its port 53 is nobody else's.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
    stdout(std::process::Command::new("ip").args(["link", "set", "lo", "up"]));
    let room = furnished();
    // Nobody is at the first address: the next is asked.
    world("127.77.1.2");
    start(&room, "web", &["--network", "red", "--dns", "127.77.1.1", "--dns", "127.77.1.2"]);
    assert_eq!(look_up(&room, "web", &["-type=a", "example.test"]), ["192.0.2.7"]);
    assert_eq!(look_up(&room, "web", &["-type=a", "web"]), [address(&room, "web")], "its own network first");
    stdout(&mut room.skiff(&["network", "create", "--internal", "quiet"]));
    start(&room, "still", &["--network", "quiet", "--dns", "127.77.1.2"]);
    assert!(look_up(&room, "still", &["-type=a", "example.test"]).is_empty());
    assert_eq!(look_up(&room, "still", &["-type=a", "still"]), [address(&room, "still")]);
    // By TCP, through the same port 53 of the bridge: the question, with its length before it.
    let gateway = stdout(&mut room.skiff(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "red"]));
    let ask = |name: &str| {
        let question = format!(r"\000\035\000\011\001\000\000\001\000\000\000\000\000\000\004{name}\004test\000\000\001\000\001");
        // The length is that of a header, two labels of four letters and the root, a type and a class.
        let script = format!(r"printf '{}' | nc -w 2 {} 53 | od -An -tx1 | tr -d ' \n'", question.replacen(r"\000\035", r"\000\033", 1), gateway.trim());
        stdout(&mut room.skiff(&["exec", "web", "sh", "-c", &script]))
    };
    assert!(ask("long").ends_with("c00c00010001000000090004c0000207"), "{}", ask("long"));
}

#[test]
fn no_packet_ends_the_resolver_and_strangers_learn_nothing() {
    require!(Root);
    let room = furnished();
    start(&room, "web", &["--network", "red"]);
    let gateway = stdout(&mut room.skiff(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "red"]));
    let before = wait_for_resolvers(&room, 2);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    socket.connect((gateway.trim(), 53)).expect("a route");
    let mut state = 88172645463325252u64;
    for round in 0..5000 {
        let mut bytes = vec![0; round % 600];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        // Half of them look like a query.
        if round % 2 == 0 && bytes.len() > 12 {
            bytes[2..6].copy_from_slice(&[1, 0, 0, 1]);
        }
        let _ = socket.send(&bytes);
    }
    let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";
    let mut answer = [0; 512];
    let refused = loop {
        socket.send(question).expect("it is sent");
        let length = socket.recv(&mut answer).expect("an answer");
        if answer[..2] == [0, 7] && length > 12 {
            break answer[3] & 15;
        }
    };
    assert_eq!(refused, 5, "the host is no container of this network");
    assert_eq!(look_up(&room, "web", &["-type=a", "web"]), [address(&room, "web")]);
    assert_eq!(wait_for_resolvers(&room, 2), before, "nobody had to be replaced");
}

#[test]
fn a_killed_resolver_is_replaced_by_the_one_that_watches_it_and_both_by_the_next_run() {
    require!(Root);
    let room = furnished();
    start(&room, "web", &["--network", "red"]);
    let own = address(&room, "web");
    for nth in [0, 1] {
        let pids = wait_for_resolvers(&room, 2);
        kill(Pid::from_raw(pids[nth]), Signal::SIGKILL).expect("it is there");
        assert_eq!(look_up(&room, "web", &["-type=a", "web"]), [own.as_str()], "after {nth}");
    }
    // Both stand still first, so that neither replaces the other; and each is waited for until it has
    // let go of its files, which is after it is out of the lists.
    let both = wait_for_resolvers(&room, 2);
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in &both {
            let held = drydock::kernel::pidfd::Pidfd::open(*pid).expect("it is there");
            kill(Pid::from_raw(*pid), signal).expect("it is there");
            assert!(signal == Signal::SIGSTOP || support::readable(held, Duration::from_secs(10)), "it ends");
        }
    }
    wait_for_resolvers(&room, 0);
    stdout(&mut room.skiff(&["network", "ls"]));
    assert_eq!(look_up(&room, "web", &["-type=a", "web"]), [own], "any command about networks mends it");
    wait_for_resolvers(&room, 2);
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    wait_for_resolvers(&room, 0);
}

#[test]
fn the_files_of_etc_say_what_was_asked_for() {
    require!(Root);
    let room = furnished();
    let gateway = stdout(&mut room.skiff(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "red"])).trim().to_owned();
    let local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    let cat = |options: &[&str], file: &str| stdout(&mut room.skiff(&[&["run", "--rm", "-h", "box"], options, &["base", "cat", file]].concat()));
    assert_eq!(cat(&["--network", "none", "--add-host", "db:10.0.0.5", "--add-host", "six:fd00::5"], "/etc/hosts"), format!("{local}10.0.0.5\tdb\nfd00::5\tsix\n"));
    let hosts = cat(&["--network", "red", "--add-host", "me:host-gateway"], "/etc/hosts");
    let rest = hosts.strip_prefix(local).expect("the usual lines first");
    assert!(rest.starts_with(&format!("{gateway}\tme\n10.")) && rest.ends_with("\tbox\n"), "{rest}");
    let asked = ["--dns", "192.0.2.1", "--dns", "192.0.2.2", "--dns-search", "a.test", "--dns-search", "b.test", "--dns-option", "timeout:1"];
    let words = |network: &'static str| [&["--network", network][..], &asked].concat();
    let own = "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a.test b.test\noptions timeout:1\n";
    assert_eq!(cat(&words("none"), "/etc/resolv.conf"), own);
    assert_eq!(cat(&words("bridge"), "/etc/resolv.conf"), own);
    assert_eq!(cat(&words("red"), "/etc/resolv.conf"), format!("nameserver {gateway}\nsearch a.test b.test\noptions timeout:1 ndots:0\n"));
    let none = ["--dns", "192.0.2.1", "--dns-search", ".", "--dns-option", "timeout:1", "--network", "host"];
    assert_eq!(cat(&none, "/etc/resolv.conf"), "nameserver 192.0.2.1\noptions timeout:1\n");
    start(&room, "web", &["--network", "red", "-h", "www"]);
    let like = |file: &str| (cat(&["--network", "container:web"], file), stdout(&mut room.skiff(&["exec", "web", "cat", file])));
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        let (joined, own) = like(file);
        assert_eq!(joined, own, "{file} of a container that shares the network");
    }
    for (wrong, line) in [
        ("db", "error: invalid value \"db\" for --add-host: it is NAME:ADDRESS"),
        ("db:x", "error: invalid value \"db:x\" for --add-host: invalid IP address in add-host: \"x\""),
        (":10.0.0.1", "error: invalid value \":10.0.0.1\" for --add-host: it has no name"),
    ] {
        let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "--add-host", wrong, "base", "true"]));
        assert_eq!((code, err.lines().next()), (Some(125), Some(line)));
    }
}
