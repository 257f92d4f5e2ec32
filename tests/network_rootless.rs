//! Networks without root: a container's packets are carried by slirp4netns, where it is installed.

#[macro_use]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use support::{Room, outcome, stdout};

/// Types a script as nobody, who may open /dev/net/tun, as most distributions have it.
fn as_nobody(room: &Room, script: &str) -> Command {
    let own = room.path().join("nobody");
    std::fs::create_dir_all(&own).expect("the room is ours");
    for name in ["skiff", "drydock"] {
        std::fs::copy(support::binary(name), own.join(name)).expect("it can be copied");
    }
    std::fs::set_permissions(room.path(), PermissionsExt::from_mode(0o755)).expect("the room is ours");
    nix::unistd::chown(&own, Some(65534.into()), Some(65534.into())).expect("root may");
    let mut command = room.command("unshare");
    let before = "mknod \"$1/tun\" c 10 200 2>/dev/null; chmod 666 \"$1/tun\"; mount --bind \"$1/tun\" /dev/net/tun && cd \"$1\" && \
                  exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=\"$1\" SKIFF_ROOT=\"$1/root\" PATH=\"$1:$PATH\" sh -c \"$2\"";
    command.args(["--mount", "--propagation", "private", "sh", "-c", before, "sh"]).arg(&own).arg(script);
    command
}

/// Prints a page of the container's port 80, once it answers.
const GET: &str = "get() { i=0; until curl -sf -m 3 http://127.0.0.1:$port/; do i=$((i+1)); [ $i -lt 200 ] || return 1; done; }";

#[test]
fn a_container_without_root_has_a_network_and_its_published_port_answers_and_is_free_again() {
    require!(Root, UserNamespaces, Tool("slirp4netns"), Tool("setpriv"), Tool("curl"));
    let room = Room::new();
    let script = format!(
        "{GET}
        trap 'skiff rm -f web >/dev/null 2>&1' EXIT
        set -e
        skiff run --rm --network bridge base sh -c 'ip -o -4 address show eth0 | grep -o 10.0.2.100/24; cat /etc/resolv.conf'
        skiff run -d --name web -p 127.0.0.1:0:80 base sh -c 'mkdir -p /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
        port=$(skiff port web 80 | cut -d: -f2)
        get
        skiff restart -t 0 web
        port=$(skiff port web 80 | cut -d: -f2)
        get
        skiff rm -f web
        curl -sf -m 3 http://127.0.0.1:$port/ || echo free"
    );
    let (code, out, err) = outcome(&mut as_nobody(&room, &script));
    assert_eq!((code, out.as_str()), (Some(0), "10.0.2.100/24\nnameserver 10.0.2.3\nhello\nweb\nhello\nweb\nfree\n"), "{err}");
    // Each ends with its container.
    let left = outcome(Command::new("pgrep").args(["-u", "65534", "-a", "slirp4netns"])).1;
    assert!(!left.contains("slirp.sock"), "{left}");
}

#[test]
fn a_port_that_is_taken_and_a_network_with_a_name_are_refused_without_root() {
    require!(Root, UserNamespaces, Tool("slirp4netns"), Tool("setpriv"));
    let room = Room::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (code, _, err) = outcome(&mut as_nobody(&room, &format!("skiff run --rm -p 127.0.0.1:{port}:80 base true")));
    assert!(code == Some(125) && err.contains(&format!("error: cannot publish 127.0.0.1:{port}->80/tcp")), "{err}");
    let (code, _, err) = outcome(&mut as_nobody(&room, "skiff network create red"));
    assert!(code != Some(0) && err.contains("EPERM"), "{err}");
    let left = stdout(&mut as_nobody(&room, "skiff ps -aq"));
    assert_eq!(left, "");
}
