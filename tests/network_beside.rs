//! skiff's networks beside a firewall of somebody else's, and beside Docker. Each test has a network
//! namespace of its own to be the host, so that no rule of this machine's is touched.

#[macro_use]
mod support;

use nix::sched::{CloneFlags, unshare};
use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use support::island::Island;
use support::{Room, outcome, stdout};

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

fn reaches_the_world(room: &Room, network: &str) -> bool {
    outcome(&mut room.skiff(&["run", "--rm", "--network", network, "base", "ping", "-c1", "-W2", "192.0.2.2"])).0 == Some(0)
}

fn iptables(words: &[&str]) -> String {
    stdout(Command::new("iptables").args(words))
}

#[test]
fn a_policy_that_drops_what_is_forwarded_does_not_cut_our_bridges_off_and_nothing_of_ours_stays_in_it() {
    require!(Root, Tool("iptables"));
    let _island = Island::new();
    let room = furnished();
    iptables(&["-P", "FORWARD", "DROP"]);
    let before = iptables(&["-S"]);
    assert!(reaches_the_world(&room, "bridge"));
    stdout(&mut room.skiff(&["network", "create", "red"]));
    assert!(reaches_the_world(&room, "red"));
    assert!(iptables(&["-S", "FORWARD"]).contains("-A FORWARD -j skiff-br-"), "{}", iptables(&["-S"]));
    assert!(iptables(&["-L", "-n"]).contains("Chain skiff-br-"), "the list is readable");
    // Set by somebody while a container runs: the next command about networks sees to it.
    stdout(&mut room.skiff(&["run", "-d", "--name", "web", "--network", "red", "base", "sleep", "600"]));
    iptables(&["-F"]);
    iptables(&["-X"]);
    assert_ne!(outcome(&mut room.skiff(&["exec", "web", "ping", "-c1", "-W1", "192.0.2.2"])).0, Some(0));
    stdout(&mut room.skiff(&["network", "ls"]));
    stdout(&mut room.skiff(&["exec", "web", "ping", "-c1", "-W2", "192.0.2.2"]));
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    stdout(&mut room.skiff(&["network", "prune", "-f"]));
    assert_eq!(iptables(&["-S"]), before);
}

#[test]
fn docker_and_skiff_work_side_by_side() {
    require!(Root, Docker, Tool("iptables"));
    let _island = Island::new();
    let room = furnished();
    let docker = support::docker::Docker::start_with(&["--iptables=true", "--ip-masq=true", "--bridge=", "--bip=172.31.7.1/24"]);
    assert!(iptables(&["-S", "FORWARD"]).starts_with("-P FORWARD DROP"), "Docker's policy");
    stdout(&mut room.skiff(&["run", "-d", "--name", "web", "-p", "127.0.0.1:7080:80", "--network", "bridge", "base", "nc", "-ll", "-p", "80", "-e", "echo", "skiff"]));
    assert!(reaches_the_world(&room, "bridge"));
    stdout(docker.client().args(["run", "--rm", "base", "ping", "-c1", "-W2", "192.0.2.2"]));
    stdout(docker.client().args(["run", "-d", "--name", "web", "-p", "127.0.0.1:7081:80", "base", "nc", "-ll", "-p", "80", "-e", "echo", "docker"]));
    for (port, expected) in [(7080, "skiff\n"), (7081, "docker\n")] {
        let mut text = String::new();
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while text.is_empty() && std::time::Instant::now() < end {
            let _ = TcpStream::connect(("127.0.0.1", port)).and_then(|mut s| s.read_to_string(&mut text));
        }
        assert_eq!(text, expected, "by the published port {port}");
    }
    stdout(&mut room.skiff(&["rm", "-f", "web"]));
    stdout(&mut room.skiff(&["network", "prune", "-f"]));
    assert!(!iptables(&["-S"]).contains("skiff"));
    stdout(docker.client().args(["run", "--rm", "base", "ping", "-c1", "-W2", "192.0.2.2"]));
}

#[test]
fn after_a_flush_of_all_rules_any_command_about_networks_makes_ports_and_names_whole() {
    require!(Root, Tool("nft"));
    let _island = Island::new();
    let room = furnished();
    stdout(&mut room.skiff(&["network", "create", "red"]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "web", "--network", "red", "-p", "127.0.0.1:7080:80", "base", "nc", "-ll", "-p", "80", "-e", "echo", "here"]));
    let serves = || {
        let mut text = String::new();
        let said = TcpStream::connect_timeout(&"127.0.0.1:7080".parse().expect("an address"), Duration::from_secs(2)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.read_to_string(&mut text)
        });
        said.is_ok() && text == "here\n"
    };
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while !serves() {
        assert!(std::time::Instant::now() < end, "it does not come up");
    }
    let finds = || outcome(&mut room.skiff(&["exec", "web", "timeout", "2", "nslookup", "-type=a", "web"])).0 == Some(0);
    assert!(finds());
    stdout(Command::new("nft").args(["flush", "ruleset"]));
    assert!(!serves() && !finds());
    stdout(&mut room.skiff(&["network", "ls"]));
    assert!(serves() && finds() && reaches_the_world(&room, "red"));
}

#[test]
fn the_host_passes_packets_on_for_as_long_as_there_is_a_network_if_it_did_not_before() {
    require!(Root);
    unshare(CloneFlags::CLONE_NEWNET).expect("root may");
    let setting = "/proc/sys/net/ipv4/ip_forward";
    let now = || std::fs::read_to_string(setting).expect("it can be read").trim().to_owned();
    let room = furnished();
    for before in ["0", "1"] {
        std::fs::write(setting, before).expect("it is this thread's own");
        for name in ["red", "blue"] {
            stdout(&mut room.skiff(&["network", "create", name]));
        }
        assert_eq!(now(), "1");
        stdout(&mut room.skiff(&["network", "rm", "red"]));
        assert_eq!(now(), "1", "one is left");
        stdout(&mut room.skiff(&["network", "rm", "blue"]));
        assert_eq!(now(), before);
    }
}
