//! `skiff build` of what is hostile or comes at a bad time: nothing of the host is touched or read,
//! nobody waits for ever, nothing half-made stays.

#[macro_use]
mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use support::bench::Bench;

#[test]
fn links_that_a_run_leaves_lead_to_no_file_of_the_host() {
    require!(UserNamespaces);
    let bench = Bench::new("");
    let host = bench.room.path().join("host");
    fs::create_dir_all(host.join("emptydir")).expect("the room is ours");
    fs::write(host.join("victim"), "").expect("the room is ours");
    let mounts = "--mount=type=tmpfs,target=/a/emptydir --mount=type=secret,id=s,target=/a/victim";
    bench.write("Dockerfile", &format!("FROM base\nRUN {mounts} mv /a /c && ln -s {} /a\n", host.display()));
    let secret = bench.room.path().join("secret");
    fs::write(&secret, "word").expect("the room is ours");
    bench.build(&["--secret", &format!("id=s,src={}", secret.display())]);
    let mut left: Vec<String> = fs::read_dir(&host).expect("it is there").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    left.sort();
    assert_eq!(left, ["emptydir", "victim"]);
    assert_eq!(bench.run("readlink /a"), format!("{}\n", host.display()));
}

/// A build of another Dockerfile in the same room, once it has written a line that ends so.
fn begun(bench: &Bench, file: &str, options: &[&str], mark: &str) -> Child {
    let mut command = bench.command(&[&["--progress", "plain", "--no-cache", "-f", file], options].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("skiff starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
    assert!(lines.any(|l| l.is_ok_and(|l| l.ends_with(mark))), "{file}: {mark}");
    // Drained from here on, or its last words would end it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// How a child ended; it is killed after a minute.
fn end(child: &mut Child) -> Option<i32> {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let fd = pidfd(child.id());
    if !support::readable(&fd, std::time::Duration::from_secs(60)) {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is our child");
    }
    child.wait().expect("it is our child").code()
}

fn pidfd(pid: u32) -> drydock::kernel::pidfd::Pidfd {
    drydock::kernel::pidfd::Pidfd::open(pid.cast_signed()).expect("it is our child")
}

fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), signal).expect("it is our child");
}

#[test]
fn a_cache_may_be_mounted_twice_and_in_any_order() {
    require!(UserNamespaces, Tool("timeout"));
    let mount = |id: &str, to: &str| format!("--mount=type=cache,sharing=locked,id={id},target=/{to}");
    let bench = Bench::new(&format!("FROM base\nRUN {} {} echo text > /a/f && cat /b/f\n", mount("l1", "a"), mount("l1", "b")));
    let (code, said) = bench.in_a_minute(&["--progress", "plain"]);
    assert_eq!(code, Some(0), "{said}");
    let (one, two) = (format!("{} {}", mount("l1", "a"), mount("l2", "b")), format!("{} {}", mount("l2", "a"), mount("l1", "b")));
    bench.write("Dockerfile", &format!("FROM base AS a\nRUN {one} echo > /fa\nFROM base AS b\nRUN {two} echo > /fb\nFROM base\nCOPY --from=a /fa /\nCOPY --from=b /fb /\n"));
    bench.write("Holder", &format!("FROM base\nRUN {} echo begun; sleep 1000\n", mount("l1", "a")));
    for round in 0..4 {
        // Both wait for the first cache; whoever has the second by then must not keep it from the other.
        let mut holder = begun(&bench, "Holder", &[], " begun");
        let mut both = begun(&bench, "Dockerfile", &[], "[b 2/2] RUN --mount=type=cache,sharing=locked,id=l2,target=/a --mount=type=cache,sharing=locked,id=l1,target=/b echo > /fb");
        signal(&holder, nix::sys::signal::Signal::SIGTERM);
        assert_eq!((end(&mut holder), end(&mut both)), (Some(130), Some(0)), "round {round}");
    }
}

#[test]
fn a_build_that_waits_for_a_cache_can_be_interrupted() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nRUN --mount=type=cache,sharing=locked,id=a,target=/a echo begun; sleep 1000\n");
    let mut holder = begun(&bench, "Dockerfile", &[], " begun");
    bench.write("Second", "FROM base\nRUN --mount=type=cache,sharing=locked,id=a,target=/a true\n");
    let mut second = begun(&bench, "Second", &[], " true");
    signal(&second, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(end(&mut second), Some(130));
    signal(&holder, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(end(&mut holder), Some(130));
    assert_eq!(bench.left(), [""; 0]);
}
