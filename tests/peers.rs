//! The same exercise passed with plain files or unshare, with skiff, and with real Docker: the
//! kernel marks the work, so it cannot matter who did it.

#[macro_use]
mod support;

use support::docker::Docker;
use support::host::Host;
use support::stdout;

#[test]
fn a_namespace_and_a_cgroup_exercise_are_passed_by_hand_with_skiff_and_with_docker() {
    require!(Root, Docker, Tool("busybox"), Tool("unshare"), Controller("memory"));
    let before = Host::now(&[]);
    let docker = Docker::start();
    let said = stdout(docker.client().args(["run", "--rm", "--network", "none", "--hostname", "amber-otter", "base", "hostname"]));
    assert_eq!(said, "amber-otter\n");
    for (exercise, by_hand) in [("03-namespaces/hostname", "unshare"), ("04-cgroups/memory-limit", "plain-files")] {
        let mut course = docker.room().drydock(&["course", "test", "--json", exercise]);
        course.env("DRYDOCK_DOCKER_HOST", docker.host()).env_remove("DRYDOCK_MUST_RUN");
        // Whether every case holds is asked by the course's own tests; here, that three ways are one.
        let (_, out, err) = support::outcome(&mut course);
        for solution in [by_hand, "skiff", "docker"] {
            let case = out.lines().find(|l| l.contains(&format!("solution {solution}\"")));
            let case: serde_json::Value = serde_json::from_str(case.unwrap_or_else(|| panic!("no {solution} in\n{out}{err}"))).expect("a JSON line");
            assert_eq!(case["got"], case["expected"], "{exercise}: {case}");
        }
    }
    drop(docker);
    before.assert_unchanged(&[], "dockerd and what was run with it");
}
