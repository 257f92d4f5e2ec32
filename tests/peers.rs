//! The same exercise passed with plain files or unshare, with skiff, and with real Docker: the
//! kernel marks the work, so it cannot matter who did it.

#[macro_use]
mod support;

use support::docker::Docker;
use support::host::Host;
use support::stdout;

#[test]
fn a_docker_daemon_runs_a_container_and_leaves_the_host_as_it_was() {
    require!(Root, Docker, Tool("busybox"));
    let before = Host::now(&[]);
    let docker = Docker::start();
    let said = stdout(docker.client().args(["run", "--rm", "--network", "none", "--hostname", "amber-otter", "base", "hostname"]));
    assert_eq!(said, "amber-otter\n");
    stdout(docker.client().args(["run", "-d", "--network", "none", "--memory", "32m", "base", "sleep", "600"]));
    drop(docker);
    before.assert_unchanged(&[], "dockerd");
}
