//! After whatever skiff did, the host is as it was: also when it was killed in the middle.

#[macro_use]
mod support;

use support::host::Host;

#[test]
fn a_picture_of_the_host_shows_a_process_that_was_left_behind() {
    let before = Host::now(&[]);
    let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
    let left = Host::now(&[]).since(&before);
    child.kill().expect("it can be killed");
    child.wait().expect("it is ours");
    assert!(left.iter().any(|l| l.contains("sleep")), "{left:?}");
}
