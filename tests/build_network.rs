//! The network of RUN: that of `skiff run`, the host's, none, or one with a name.

#[macro_use]
mod support;

use support::bench::Bench;
use support::{outcome, stdout};

/// Links beside loopback, the name server, and the lines of /etc/hosts that are not every container's.
const LOOK: &str = "RUN --network=default (ls /sys/class/net | grep -vx lo; sed -n 's/^nameserver //p' /etc/resolv.conf | head -1; sed '/local\\|ip6/d' /etc/hosts) >/seen\n";

/// What the image's first RUN saw; a name's bridge goes with it.
fn seen(bench: &Bench, options: &[&str]) -> Vec<String> {
    bench.build(options);
    bench.run("cat /seen").lines().map(str::to_owned).collect()
}

#[test]
fn a_run_has_the_bridge_the_host_or_nothing_as_it_is_asked_for() {
    require!(Root, Tool("busybox"), Tool("ip"));
    let bench = Bench::new(&format!("FROM base\n{LOOK}"));
    let hosts = ["--add-host", "db:10.0.0.5", "--add-host", "me:host-gateway"];
    let bridged = seen(&bench, &hosts);
    let subnet = stdout(&mut bench.room.skiff(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge"]));
    let (gateway, start) = (subnet.trim(), subnet.trim().trim_end_matches('1'));
    assert_eq!((bridged[0].as_str(), &bridged[2..4]), ("eth0", &["10.0.0.5\tdb".to_owned(), format!("{gateway}\tme")][..]), "{bridged:?}");
    assert!(bridged[4].starts_with(start) && bridged[4].ends_with("\tbuild") && bridged.len() == 5, "{bridged:?}");

    // The network is part of what a step is made of; nothing else changed.
    let alone = seen(&bench, &["--network", "none"]);
    assert_eq!(alone.len(), 1, "a name server at most, which nobody reaches: {alone:?}");
    let mut links: Vec<String> = std::fs::read_dir("/sys/class/net").expect("sysfs").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    links.retain(|l| l == "eth0" || l == "lo");
    let of_host = seen(&bench, &["--network", "host"]);
    assert!(links.iter().filter(|l| *l != "lo").all(|l| of_host.contains(l)) && !of_host.iter().any(|l| l.ends_with("\tbuild")), "{of_host:?}");
    assert!(bench.build(&["--network", "default"]).iter().any(|l| l.contains("RUN --network=default")));

    let none = "FROM base\nRUN --network=none test \"$(ls /sys/class/net)\" = lo\nRUN --network=host ls /sys/class/net >/links\n";
    bench.write("Dockerfile", none);
    bench.build(&[]);
    assert!(bench.run("cat /links").lines().any(|l| l.starts_with("skiff0-")), "the bridge is a link of the host");
    bench.build(&["--network", "none"]);
    assert_eq!(bench.run("cat /links"), "lo\n", "a build without a network has none, whatever its file says");
}

#[test]
fn a_run_finds_a_container_by_name_on_a_network_with_one() {
    require!(Root, Tool("busybox"), Tool("ip"));
    let bench = Bench::new("FROM base\nRUN ping -c 1 -w 20 db >/seen\n");
    let (code, _, err) = outcome(&mut bench.command(&["--network", "back"]));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: network back not found")), "{err}");
    stdout(&mut bench.room.skiff(&["network", "create", "back"]));
    stdout(&mut bench.room.skiff(&["run", "-d", "--name", "db", "--network", "back", "base", "sleep", "600"]));
    bench.build(&["--network", "back"]);
    assert!(bench.run("cat /seen").starts_with("PING db ("), "{}", bench.run("cat /seen"));
    stdout(&mut bench.room.skiff(&["rm", "-f", "db"]));
    assert_eq!(bench.left(), Vec::<String>::new());
    // The step has given its address back: nobody is in the network any more.
    stdout(&mut bench.room.skiff(&["network", "rm", "back"]));
}

#[test]
fn without_root_a_run_has_the_hosts_network() {
    require!(OrdinaryUser, UserNamespaces, Tool("busybox"));
    let bench = Bench::new("FROM base\nRUN readlink /proc/self/ns/net >/seen\n");
    bench.build(&[]);
    let ours = std::fs::read_link("/proc/self/ns/net").expect("procfs");
    assert_eq!(bench.run("cat /seen").trim(), ours.display().to_string());
    bench.build(&["--network", "none"]);
    assert_ne!(bench.run("cat /seen").trim(), ours.display().to_string());
}
