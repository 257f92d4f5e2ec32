//! Checks of mounts, links, listening sockets, and of a file's mode, owner and digest, each on
//! something real and each on something that is nearly so.

#[macro_use]
mod support;

use drydock::check::{Check, Evidence, Outcome, Scene, Verdict, examine};
use drydock::kernel::ns::Ns;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

/// A process that runs until the test ends: `line` in a shell, and then `sleep SECONDS`.
struct Running(Child);

impl Running {
    fn start(unshare: &str, line: &str, seconds: u32, input: Stdio) -> Self {
        let line = format!("{line} echo ready; exec sleep {seconds}");
        let mut child = Command::new("unshare").args([unshare, "sh", "-ec", &line]).stdin(input).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut said = String::new();
        let mut byte = [0];
        while !said.ends_with("ready\n") {
            child.stdout.as_mut().expect("a pipe").read_exact(&mut byte).expect("the line works");
            said.push(byte[0] as char);
        }
        let pid = child.id();
        while !std::fs::read(format!("/proc/{pid}/cmdline")).expect("it lives").starts_with(b"sleep") {
            std::thread::yield_now();
        }
        Self(child)
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask_in(scene: &Scene, yaml: &str) -> Verdict {
    let checks: Vec<Check> = serde_yaml::from_str(yaml).expect("the test's own YAML");
    examine(&checks, scene)
}

/// The last thing that was looked at.
fn ask(yaml: &str) -> Evidence {
    ask_in(&Scene::default(), yaml).evidence.pop().expect("something was asked")
}

fn passes(yaml: &str) {
    let told = ask(yaml);
    assert_eq!(told.outcome, Outcome::Passed, "{yaml}: {told:#?}");
}

/// Refuses, and what was expected, found and read.
fn refused(yaml: &str) -> [String; 3] {
    let told = ask(yaml);
    assert_eq!((told.outcome, told.meaning.as_str()), (Outcome::NotYet, "not so"), "{yaml}: {told:#?}");
    [told.expected, told.found, told.at]
}

#[test]
fn a_mount_is_found_in_the_view_of_who_sees_it_and_nowhere_else() {
    require!(Root, Tool("unshare"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().display().to_string();
    let it = Running::start("--mount", &format!("mount -t tmpfs -o ro,size=64k berth {at};"), 86131, Stdio::null());
    let seen = |which: &str, expect: &str| {
        format!("- {{ id: p, find: process, where: {{ command: sleep 86131 }} }}\n- {{ id: m, find: mount, where: {{ {which}, seen-by: p }}, expect: [ {{ {expect}, meaning: not so }} ] }}")
    };
    let place = format!("at: '{at}'");
    passes(&seen(&format!("{place}, type: tmpfs, source: berth"), "exists: true"));
    passes(&seen(&place, "options: [ro, size=64k]"));
    passes(&seen(&place, "propagation: private"));
    passes(&seen("source: { contains: ert }, type: tmpfs", "count: 1"));
    passes(&seen(&format!("{place}, type: ext4"), "exists: false"));

    let view = format!("/proc/{}/mountinfo", it.pid());
    let there = format!("tmpfs of berth at {at}, ro,relatime");
    let wrong_type = refused(&seen(&format!("{place}, type: ext4"), "exists: true"));
    assert_eq!(wrong_type, [format!("a mount at {at} of type ext4 as `p` sees it"), format!("there is {there}"), view.clone()]);
    assert_eq!(refused(&seen(&place, "options: [rw]"))[1..], [there, view]);
    assert_eq!(refused(&seen(&place, "propagation: shared"))[1], "[private]");

    let host = |expect: &str| format!("- {{ id: m, find: mount, where: {{ {place} }}, expect: [ {{ {expect}, meaning: not so }} ] }}");
    passes(&host("exists: false"));
    assert_eq!(refused(&host("exists: true"))[..2], [format!("a mount at {at} on the host"), "none".into()]);
    passes("- { id: m, find: mount, where: { at: /proc, type: proc }, expect: [ exists: true ] }");
    // The host's view is that of the beginning, wherever we are now: as if that had been there.
    let mut scene = Scene { host: drydock::check::own_namespaces(), ..Scene::default() };
    scene.host.insert(Ns::Mnt, Ns::Mnt.inode(it.pid()).expect("it lives"));
    assert_eq!(ask_in(&scene, &host("exists: true")).outcome, Outcome::Passed);
    scene.host.insert(Ns::Mnt, 1);
    assert_eq!(ask_in(&scene, &host("exists: true")).outcome, Outcome::CannotTell);
}

#[test]
fn the_same_folder_in_two_views_is_no_copy() {
    require!(Root, Tool("unshare"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (sea, copy, bay) = (at("sea"), at("copy"), at("bay"));
    for name in [&sea, &copy, &bay] {
        std::fs::create_dir(name).expect("the folder is ours");
    }
    let _one = Running::start("--mount", "", 86141, Stdio::null());
    let _two = Running::start("--mount", &format!("mount --bind {sea} {bay};"), 86142, Stdio::null());
    let same = |what: &str| {
        format!(
            "- {{ id: one, find: process, where: {{ command: sleep 86141 }} }}\n\
             - {{ id: two, find: process, where: {{ command: sleep 86142 }}, expect: [ {{ same: {{ {what}, with: one }}, meaning: not so }} ] }}"
        )
    };
    passes(&same(&format!("path: '{bay}', there: '{sea}'")));
    passes(&same(&format!("path: '{sea}'")));
    passes(&same(&format!("path: '{bay}', not: true")));
    passes(&same(&format!("path: '{copy}', there: '{sea}', not: true")));
    let [expected, found, _] = refused(&same(&format!("path: '{copy}', there: '{sea}'")));
    assert_eq!(expected, format!("{copy} is {sea} of one"));
    assert!(found.starts_with("inode "), "{found}");
    assert_eq!(refused(&same(&format!("path: '{bay}', there: '{sea}', not: true")))[0], format!("{bay} is not {sea} of one"));
    // What is nowhere is neither the same nor another.
    assert_eq!(refused(&same("path: /no/such, not: true"))[1], "no /no/such");
    assert_eq!(refused(&same(&format!("path: '{sea}', there: /no/such, not: true")))[1], "no /no/such in one");
}

#[test]
fn a_signal_reaches_who_handles_it_waits_for_it_or_is_not_process_1() {
    require!(Root, Tool("unshare"), Tool("perl"));
    // Each is process 1 of its own namespace, and says so when it has set itself up.
    let as_first = |program: &[&str]| {
        let mut child = Command::new("unshare").args(["--fork", "--pid", "--kill-child"]).args(program).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut byte = [0];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut byte).expect("it says that it is ready");
        Running(child)
    };
    let heeds = |command: &str| format!("- {{ id: p, find: process, where: {{ command: {{ contains: '{command}' }}, inner-pid: 1 }}, expect: [ {{ heeds: [TERM], meaning: not so }} ] }}");
    let _deaf = as_first(&["sh", "-c", "echo; sleep 86151; true"]);
    let _stubborn = as_first(&["sh", "-c", "trap '' TERM; echo; sleep 86152; true"]);
    let _handles = as_first(&["sh", "-c", "trap 'exit 0' TERM; echo; sleep 86153 & wait"]);
    let waits = "use POSIX; my $s = POSIX::SigSet->new(SIGTERM); sigprocmask(SIG_BLOCK, $s); $| = 1; print 1; my $m = pack('Q', 1 << 14); syscall(128, $m, 0, 0, 8) # 86154";
    let _waits = as_first(&["perl", "-e", waits]);
    assert_eq!(refused(&heeds("sleep 86151"))[1], "SIGTERM has no handler, and this is process 1: the kernel throws it away");
    assert_eq!(refused(&heeds("sleep 86152"))[1], "SIGTERM is ignored");
    passes(&heeds("sleep 86153"));
    passes(&heeds("86154"));
    // An ordinary process relies on the default, and may.
    let _ordinary = Running::start("--mount", "", 86155, Stdio::null());
    passes("- { id: p, find: process, where: { command: sleep 86155 }, expect: [ heeds: [TERM, SIGINT] ] }");
}

#[test]
fn a_link_is_told_by_its_name_kind_master_and_state() {
    require!(Root, Tool("unshare"), Tool("ip"));
    let make = "ip link add berth0 type bridge; ip link add ship0 type veth peer name ship1; ip link set ship0 master berth0; ip link set ship0 up;";
    let it = Running::start("--net", make, 86132, Stdio::null());
    let seen = |which: &str, expect: &str| {
        format!("- {{ id: p, find: process, where: {{ command: sleep 86132 }} }}\n- {{ id: l, find: link, where: {{ {which}, seen-by: p }}, expect: [ {{ {expect}, meaning: not so }} ] }}")
    };
    passes(&seen("name: ship0, kind: veth, master: berth0", "up: true"));
    passes(&seen("kind: veth", "count: 2"));
    passes(&seen("name: berth0, kind: bridge", "exists: true"));
    passes(&seen("name: ship1", "up: false"));

    let at = format!("the network namespace of process {} (RTM_GETLINK)", it.pid());
    let loose = refused(&seen("name: ship1, master: berth0", "exists: true"));
    assert_eq!((loose[0].as_str(), &loose[2]), ("a link ship1 in berth0 as `p` sees it", &at));
    assert!(loose[1].starts_with("none; there are lo down") && loose[1].contains("ship0 (veth) in berth0 up"), "{loose:?}");
    assert_eq!(refused(&seen("name: ship1", "up: true"))[..2], ["a link ship1 as `p` sees it, up", "ship1 (veth) down"]);
    assert_eq!(refused(&seen("name: ship0, kind: dummy", "exists: true"))[0], "a link ship0 of kind dummy as `p` sees it");

    passes("- { id: l, find: link, where: { name: lo }, expect: [ exists: true ] }");
    let on_host = "- { id: l, find: link, where: { name: ship0, master: berth0 }, expect: [ { exists: true, meaning: not so } ] }";
    assert_eq!(refused(on_host)[0], "a link ship0 in berth0 on the host");
}

#[test]
fn a_port_is_listened_on_by_the_process_that_holds_the_socket() {
    require!(Root, Tool("unshare"));
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = tcp.local_addr().expect("it has one").port();
    // `unshare --uts` leaves the network as it is; the socket goes along as standard input.
    let _it = Running::start("--uts", "", 86133, Stdio::from(OwnedFd::from(tcp)));
    // With a socket too, but another one.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let beside = Running::start("--uts", "", 86134, Stdio::from(OwnedFd::from(other)));
    let _apart = Running::start("--net", "", 86135, Stdio::null());
    let of = |sleeper: u32, listens: &str| {
        format!("- {{ id: p, find: process, where: {{ command: sleep {sleeper} }}, expect: [ {{ listens: {{ {listens} }}, meaning: not so }} ] }}")
    };
    passes(&of(86133, &format!("tcp: {port}")));
    passes(&of(86133, &format!("tcp: {port}, address: 127.0.0.1")));
    passes(&of(86134, &format!("tcp: {port}, by: namespace")));
    passes(&of(86134, &format!("tcp: {port}, absent: true")));
    passes(&of(86135, &format!("tcp: {port}, by: namespace, absent: true")));

    let [expected, found, at] = refused(&of(86134, &format!("tcp: {port}")));
    let pid = beside.pid();
    assert_eq!((expected, at), (format!("the process listening on tcp port {port}"), format!("/proc/{pid}/net/tcp, tcp6, and /proc/{pid}/fd")));
    assert!(found.contains(&format!("127.0.0.1:{port}")) && found.ends_with("; that socket is another process's"), "{found}");
    assert_eq!(refused(&of(86133, &format!("udp: {port}")))[0], format!("the process listening on udp port {port}"));
    assert_eq!(refused(&of(86133, &format!("tcp: {port}, address: 0.0.0.0")))[0], format!("the process listening on 0.0.0.0 tcp port {port}"));
    assert_eq!(refused(&of(86135, &format!("tcp: {port}, by: namespace")))[1], "nobody listens on tcp there");
    assert_eq!(refused(&of(86133, &format!("tcp: {port}, absent: true")))[0], format!("the process not listening on tcp port {port}"));
}

#[test]
fn addresses_and_the_way_out_are_those_of_the_processes_own_network() {
    require!(Root, Tool("unshare"), Tool("ip"));
    let far = Running::start("--net", "", 86137, Stdio::null());
    let make = format!("ip link add sea type veth peer name eth0 netns {}; ip address add 10.9.8.1/24 dev sea; ip link set sea up; ip route add default via 10.9.8.2;", far.pid());
    let _near = Running::start("--net", &make, 86138, Stdio::null());
    let of = |sleeper: u32, expect: &str| format!("- {{ id: p, find: process, where: {{ command: sleep {sleeper} }}, expect: [ {{ {expect}, meaning: not so }} ] }}");
    passes(&of(86138, "address: { is: 10.9.8.1/24, on: sea }"));
    passes(&of(86138, "address: { is: 10.9.8.1/24 }"));
    passes(&of(86138, "default-route: 10.9.8.2"));
    passes(&of(86137, "default-route: none"));
    assert_eq!(refused(&of(86138, "address: { is: 10.9.8.1/16, on: sea }"))[..2], ["the address 10.9.8.1/16 on sea", "10.9.8.1/24 on sea"]);
    refused(&of(86138, "address: { is: 10.9.8.1/24, on: lo }"));
    assert_eq!(refused(&of(86137, "address: { is: 10.9.8.1/24 }"))[1], "no address at all");
    assert_eq!(refused(&of(86138, "default-route: none"))[..2], ["no default route", "via 10.9.8.2"]);
    assert_eq!(refused(&of(86137, "default-route: 10.9.8.2"))[..2], ["a default route via 10.9.8.2", "no default route"]);
}

#[test]
fn a_connection_is_told_by_both_of_its_ends_and_belongs_to_who_holds_it() {
    require!(Root, Tool("unshare"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let asker = std::net::TcpStream::connect(listener.local_addr().expect("it has one")).expect("it listens");
    let (port, own) = (asker.peer_addr().expect("connected").port(), asker.local_addr().expect("connected").port());
    let _it = Running::start("--uts", "", 86139, Stdio::from(OwnedFd::from(asker)));
    let _beside = Running::start("--uts", "", 86140, Stdio::null());
    let of = |sleeper: u32, connected: &str| {
        format!("- {{ id: o, find: process, where: {{ command: sleep 86140 }} }}\n- {{ id: p, find: process, where: {{ command: sleep {sleeper} }}, expect: [ {{ connected: {{ {connected} }}, meaning: not so }} ] }}")
    };
    passes(&of(86139, &format!("port: {port}, to: 127.0.0.1")));
    passes(&of(86139, &format!("own-port: {own}")));
    let there = format!("127.0.0.1:{own} with 127.0.0.1:{port}");
    assert_eq!(refused(&of(86139, &format!("port: {own}")))[..2], [format!("the process connected at its tcp port {own}"), there.clone()]);
    assert_eq!(refused(&of(86139, &format!("port: {port}, to: 127.0.0.2")))[1], there);
    assert_eq!(refused(&of(86140, &format!("port: {port}")))[1], "it has no connection");
    assert_eq!(refused(&of(86139, &format!("port: {port}, with: o")))[1], "`o` is in the very same network namespace");
}

#[test]
fn a_udp_socket_with_a_peer_is_not_one_that_listens() {
    require!(Root, Tool("unshare"));
    let open = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = open.local_addr().expect("it has one").port();
    let check = format!("- {{ id: p, find: process, where: {{ command: sleep 86136 }}, expect: [ {{ listens: {{ udp: {port} }}, meaning: not so }} ] }}");
    let copy = open.try_clone().expect("a descriptor");
    let _it = Running::start("--uts", "", 86136, Stdio::from(OwnedFd::from(copy)));
    passes(&check);
    open.connect(("127.0.0.1", 9)).expect("a peer need not be there");
    refused(&check);
}

#[test]
fn a_files_mode_owner_and_digest_are_read_on_the_host() {
    require!(Root);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cargo");
    std::fs::write(&path, "seven").expect("it is ours");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4640)).expect("it is ours");
    chown(&path, Some(1234), Some(4321)).expect("root may");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4640)).expect("chown takes the set-user-ID bit away");
    assert_eq!(path.metadata().expect("it is there").mode() & 0o7777, 0o4640);
    let hash = |text: &str| Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let of = |expect: &str| format!("- {{ id: f, find: file, where: {{ path: '{}' }}, expect: [ {{ {expect}, meaning: not so }} ] }}", path.display());
    passes(&of("mode: 4640"));
    passes(&of("owner: { uid: 1234, gid: 4321 }"));
    passes(&of(&format!("digest: 'sha256:{}'", hash("seven"))));
    let scene = Scene { learner: 1234, ..Scene::default() };
    assert_eq!(ask_in(&scene, &of("owner: { uid: learner }")).outcome, Outcome::Passed);

    let at = path.display().to_string();
    assert_eq!(refused(&of("mode: '0640'")), ["mode 0640", "mode 4640", &at]);
    assert_eq!(refused(&of("owner: { uid: 1234, gid: 0 }")), ["gid 0", "gid 4321", &at]);
    let (six, seven) = (format!("sha256:{}", hash("six")), format!("sha256:{}", hash("seven")));
    assert_eq!(refused(&of(&format!("digest: '{six}'"))), [six, seven.clone(), at.clone()]);
    std::fs::remove_file(&path).expect("it is ours");
    assert_eq!(refused(&of("mode: 4640")), [format!("a file {at}"), "entity not found".into(), at.clone()]);
    // A fifo has no end to hash up to, and no writer to wait for.
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).expect("it is ours");
    assert_eq!(refused(&of(&format!("digest: '{seven}'")))[1], "not a regular file");
    refused(&of("is: seven"));
}

#[test]
fn a_files_mode_owner_and_digest_are_read_as_a_process_sees_it() {
    require!(Root, Tool("unshare"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().display().to_string();
    let line = format!("mount -t tmpfs berth {at}; printf seven >{at}/cargo; chmod 604 {at}/cargo; chown 1234 {at}/cargo;");
    let it = Running::start("--mount", &line, 86137, Stdio::null());
    assert!(!folder.path().join("cargo").exists(), "the host does not see it");
    let of = |expect: &str| {
        format!("- {{ id: p, find: process, where: {{ command: sleep 86137 }}, expect: [ {{ file: {{ path: '{at}/cargo', {expect} }}, meaning: not so }} ] }}")
    };
    let digest: String = Sha256::digest("seven").iter().map(|b| format!("{b:02x}")).collect();
    passes(&of(&format!("mode: 604, owner: {{ uid: 1234 }}, digest: 'sha256:{digest}', is: seven")));
    let seen = format!("/proc/{}/root{at}/cargo", it.pid());
    assert_eq!(refused(&of("mode: 600, is: seven")), ["mode 0600", "mode 0604", &seen]);
    assert_eq!(refused(&of("mode: 604, is: six")), [format!("{at}/cargo says \"six\""), "\"seven\"".into(), seen.clone()]);
    assert_eq!(refused(&of("owner: { uid: 0 }")), ["uid 0", "uid 1234", &seen]);
    assert_eq!(refused(&of(&format!("digest: 'sha256:{}'", "0".repeat(64))))[1], format!("sha256:{digest}"));
}
