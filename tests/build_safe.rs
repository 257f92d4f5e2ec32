//! `skiff build` of what is hostile or comes at a bad time: nothing of the host is touched or read,
//! nobody waits for ever, nothing half-made stays.

#[macro_use]
mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use support::bench::Bench;
use support::stdout;

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

#[test]
fn an_archive_reads_no_file_of_the_host() {
    require!(UserNamespaces, Tool("tar"), Tool("timeout"));
    let bench = Bench::new("FROM base\nCOPY f /f\n");
    bench.write("f", "text\n");
    let host = bench.room.path().join("host-file");
    fs::write(&host, "secret words of the host\n").expect("the room is ours");
    let build = |file: &str, options: &str| {
        let script = format!("tar -c . | timeout -k 5 60 skiff build -q -f {file} {options} -");
        support::outcome(bench.room.command("sh").args(["-c", &script]).current_dir(bench.context()))
    };
    let link = |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, bench.context().join(name)).expect("the room is ours");
    let try_ = "  try: a file of text in the context itself; skiff build -f FILE takes a\n       Dockerfile from elsewhere\n";
    link(&host, "Absolute");
    link(std::path::Path::new("../../../../../../../../../../etc/passwd"), "Climbing");
    link(std::path::Path::new("Dockerfile"), "Inside");
    stdout(bench.room.command("mkfifo").arg(bench.context().join("Pipe")));
    for (file, problem) in [
        ("Absolute", "it is a link that leads out of the build context"),
        ("Climbing", "it is a link that leads out of the build context"),
        ("Pipe", "it is no regular file"),
    ] {
        let (code, out, err) = build(file, "");
        assert_eq!((code, out.as_str()), (Some(1), ""), "{file}: {err}");
        let name = err.lines().next().unwrap_or_default();
        assert!(name.starts_with("error: failed to read ") && name.ends_with(&format!("/context/{file}: {problem}")) && err.ends_with(try_), "{file}: {err}");
    }
    assert_eq!(build("Inside", "").0, Some(0), "a link within the context is followed");
    assert_eq!(build("/Dockerfile", "").0, Some(0), "and the archive is the whole world");
    link(std::path::Path::new("/dev/zero"), ".dockerignore");
    let (code, _, err) = build("Dockerfile", "");
    assert!(code == Some(1) && err.contains("/.dockerignore: it is a link that leads out of the build context\n"), "{code:?} {err}");
    // A folder is read with the same care: it may be somebody's repository.
    let said = bench.refused(&[]);
    assert!(said.contains("/.dockerignore: it is a link that leads out of the build context\n"), "{said}");
    fs::remove_file(bench.context().join(".dockerignore")).expect("it is a link");
    bench.write(".dockerignore", &"#".repeat((1 << 20) + 1));
    assert!(bench.refused(&[]).contains("/.dockerignore: it is longer than 1024 KiB\n"));
    bench.write(".dockerignore", "a\n!\n");
    let said = bench.refused(&[]);
    assert!(said.ends_with("/.dockerignore: illegal exclusion pattern: \"!\"\n  try: ! before a pattern takes back what it matches\n"), "{said}");
    bench.write(".dockerignore", "a\n!b[\n");
    let said = bench.refused(&[]);
    assert!(said.ends_with("/.dockerignore: syntax error in pattern: \"b[\"\n  try: close each [ with ], or write \\[ for the letter\n"), "{said}");
    assert_eq!(bench.left(), [""; 0]);
}

#[test]
fn what_a_mount_shows_is_written_through_no_link() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nRUN --mount=type=bind,source=d*,target=/m true\n");
    let host = bench.room.path().join("host");
    fs::create_dir(&host).expect("the room is ours");
    bench.write("d1/l/f", "of the context\n");
    fs::create_dir(bench.context().join("d2")).expect("the room is ours");
    std::os::unix::fs::symlink(&host, bench.context().join("d2/l")).expect("the room is ours");
    let said = bench.refused(&[]);
    assert!(said.contains("\"d*\": not found\n"), "a mount's source is no pattern: {said}");
    assert_eq!(fs::read_dir(&host).expect("it is there").count(), 0);
    bench.write("Dockerfile", "FROM base\nCOPY d1 d2 /m/\n");
    let said = bench.refused(&[]);
    assert!(said.contains("cannot copy two things to /m/l: another source has a folder there\n"), "{said}");
}

#[test]
fn a_build_that_waited_for_a_prune_has_its_folders() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nRUN true\n");
    bench.build(&[]);
    let folder = bench.room.skiff_root().join("build");
    let lock = fs::File::open(folder.join(".lock")).expect("a build made it");
    lock.lock().expect("nobody builds");
    let mut child = bench.command(&["-q"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skiff starts");
    let waits = format!("-> FLOCK  ADVISORY  READ {} ", child.id());
    while !fs::read_to_string("/proc/locks").expect("it is there").contains(&waits) && child.try_wait().expect("it is our child").is_none() {
        std::thread::yield_now();
    }
    for part in ["mounts", "records", "digests"] {
        fs::remove_dir_all(folder.join(part)).expect("as a prune does");
    }
    drop(lock);
    assert_eq!(end(&mut child), Some(0));
}

#[test]
fn an_image_that_is_removed_meanwhile_does_not_end_a_build() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM parent\nRUN --mount=type=cache,target=/m echo begun; while ! test -e /m/go; do :; done\nRUN echo more > /g\n");
    let import = "skiff export $(skiff create base true) > parent.tar && skiff import parent.tar parent && rm parent.tar";
    stdout(bench.room.command("sh").args(["-c", import]).current_dir(bench.context()));
    let mut slow = begun(&bench, "Dockerfile", &["-t", "slow"], " begun");
    stdout(&mut bench.room.skiff(&["rmi", "-f", "parent"]));
    stdout(&mut bench.room.skiff(&["system", "prune", "-f"]));
    bench.write("Go", "FROM base\nRUN --mount=type=cache,target=/m touch /m/go\n");
    let gone = bench.in_a_minute(&["-f", "Go"]);
    assert_eq!(gone.0, Some(0), "{}", gone.1);
    assert_eq!(end(&mut slow), Some(0));
    assert_eq!(stdout(&mut bench.room.skiff(&["run", "--rm", "slow", "cat", "/g"])), "more\n");
}

#[test]
fn a_container_whose_removal_was_cut_short_is_found_by_the_next_build() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nRUN echo begun; sleep 1000\n");
    let mut child = begun(&bench, "Dockerfile", &[], " begun");
    signal(&child, nix::sys::signal::Signal::SIGKILL);
    child.wait().expect("it is our child");
    // As if it had been killed while it removed: the name and the record went first.
    let root = bench.room.skiff_root();
    let entries = |part: &str| fs::read_dir(root.join(part)).expect("it is there").flatten().map(|e| e.path()).collect::<Vec<_>>();
    entries("names").iter().for_each(|link| fs::remove_file(link).expect("the room is ours"));
    let folders = entries("containers");
    assert_eq!(folders.len(), 1);
    fs::remove_file(folders[0].join("state.json")).expect("the room is ours");
    bench.write("Dockerfile", "FROM base\nRUN true\n");
    bench.build(&[]);
    assert_eq!(bench.left(), [""; 0]);
}
