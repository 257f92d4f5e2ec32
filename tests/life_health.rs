//! A container's health: what is checked inside, and what it adds up to.

#[macro_use]
mod support;

use std::time::{Duration, Instant};
use support::{Room, outcome, stdout};

fn until(room: &Room, format: &str, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let found = outcome(&mut room.skiff(&["inspect", "-f", format, "box"])).1;
        if found.trim() == wanted {
            return;
        }
        assert!(Instant::now() < end, "waited in vain for {wanted}, found {found}");
    }
}

fn with_a_check(options: &[&str], check: &str) -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    let words = [&["run", "-d", "--name", "box", "--health-cmd", check, "--health-interval", "20ms"], options, &["base", "sleep", "600"]].concat();
    stdout(&mut room.skiff(&words));
    room
}

#[test]
fn a_container_is_starting_then_unhealthy_then_healthy_as_its_check_says() {
    require!(UserNamespaces);
    let room = with_a_check(&["--health-retries", "2"], "echo looked; test -e /well");
    until(&room, "{{.State.Health.Status}}", "unhealthy");
    let status = stdout(&mut room.skiff(&["ps", "--format", "{{.Status}}"]));
    assert!(status.starts_with("Up ") && status.ends_with(" (unhealthy)\n"), "{status}");
    stdout(&mut room.skiff(&["exec", "box", "touch", "/well"]));
    until(&room, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "healthy 0");
    // The last five, the latest at the end; how many there were by now nobody knows.
    let log = stdout(&mut room.skiff(&["inspect", "-f", "{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}|{{end}}", "box"]));
    let looks: Vec<&str> = log.trim_end().trim_end_matches('|').split('|').collect();
    assert!((1..=5).contains(&looks.len()), "{log}");
    assert_eq!(looks.last(), Some(&"0 looked\n"), "{log}");
    assert_eq!(stdout(&mut room.skiff(&["ps", "-q", "--filter", "health=unhealthy"])), "");
    // It runs in the container's cgroup, as the container's user, and is gone with it.
    stdout(&mut room.skiff(&["stop", "-t", "0", "box"]));
    assert!(stdout(&mut room.skiff(&["ps", "-a", "--format", "{{.Status}}"])).starts_with("Exited (137) "));
}

#[test]
fn a_check_that_takes_too_long_is_killed_and_has_failed() {
    require!(UserNamespaces);
    let room = with_a_check(&["--health-timeout", "50ms", "--health-retries", "1"], "sleep 60");
    until(&room, "{{.State.Health.Status}}", "unhealthy");
    let log = stdout(&mut room.skiff(&["inspect", "-f", "{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}", "box"]));
    assert_eq!(log, "-1 Health check exceeded timeout (50ms)\n");
}

#[test]
fn an_images_check_is_taken_over_and_can_be_left_out() {
    require!(UserNamespaces);
    let room = Room::new();
    std::fs::write(room.path().join("Dockerfile"), "FROM base\nHEALTHCHECK --interval=20ms CMD [\"true\"]\n").expect("the room is ours");
    stdout(&mut room.skiff(&["build", "-q", "-t", "checked", &room.path().display().to_string()]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "checked", "sleep", "600"]));
    until(&room, "{{.State.Health.Status}}", "healthy");
    stdout(&mut room.skiff(&["rm", "-f", "box"]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "--no-healthcheck", "checked", "sleep", "600"]));
    assert_eq!(stdout(&mut room.skiff(&["ps", "--filter", "health=none", "--format", "{{.Names}}"])), "box\n");
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--no-healthcheck", "--health-cmd", "true", "base"]));
    assert_eq!(code, Some(125), "{err}");
}
