//! Bad input to skiff: one clear error, the right exit code, nothing left behind.
//!
//! Each is typed at the binary itself. Exit codes are Docker's: 125 when `run` could not, 126 when the
//! command cannot be executed, 127 when there is none, 1 for the other subcommands.

#[macro_use]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Room, stdout};

/// Exit code, standard output, and standard error with its wrapped lines joined again.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let (code, out, err) = support::outcome(command);
    (code, out, err.replace("\n       ", " "))
}

/// A room with `base` in it.
fn room() -> Room {
    let room = Room::new();
    let (code, _, err) = outcome(&mut room.skiff(&["history", "base"]));
    assert_eq!(code, Some(0), "{err}");
    room
}

/// Runs skiff, which must refuse with exactly this, and leave nothing.
fn refuses(room: &Room, args: &[&str], code: i32, error: &str) {
    let (got, out, err) = outcome(&mut room.skiff(args));
    // As Docker's, an inspection is a list even of nothing.
    let list = if args[0] == "inspect" { "[]\n" } else { "" };
    assert_eq!((got, err.as_str(), out.as_str()), (Some(code), error, list), "skiff {}", args.join(" "));
    nothing_left(room, &args.join(" "));
}

/// No container's folder or name, no mount, no process of this room.
fn nothing_left(room: &Room, after: &str) {
    for folder in ["containers", "names"] {
        let left: Vec<_> = fs::read_dir(room.skiff_root().join(folder)).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        assert!(left.is_empty(), "{folder} has {left:?} after skiff {after}");
    }
    let here = room.path().display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    assert!(!mounts.contains(&here), "a mount is left after skiff {after}");
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").expect("it can be read").flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = environment.windows(here.len()).any(|w| w == here.as_bytes());
        // The monitor of `run -d` says what failed, and ends a moment after those who heard it.
        let pid = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        let ends = || drydock::kernel::pidfd::Pidfd::open(pid).map_or(true, |p| support::readable(p, std::time::Duration::from_secs(5)));
        assert!(!ours || entry.file_name() == *own || ends(), "process {pid} is left after skiff {after}");
    }
}

#[test]
fn an_image_that_is_not_there_is_said_and_the_nearest_name_suggested() {
    let room = room();
    let why = "  why: skiff runs what is in its own store; it has not asked a registry\n";
    let bare = |name: &str| format!("error: no such image: {name}\n{why}  try: `skiff images` lists what is here; base is always to be had\n");
    refuses(&room, &["run", "--pull", "never", "nothing", "true"], 125, &bare("nothing:latest"));
    refuses(&room, &["run", "--pull", "never", "base:2", "true"], 125, &format!("error: no such image: base:2\n{why}  try: did you mean base? `skiff images` lists what is here\n"));
    refuses(&room, &["run", "--pull", "never", "bsae", "true"], 125, &format!("error: no such image: bsae:latest\n{why}  try: did you mean base? `skiff images` lists what is here\n"));
    // Without that word a registry is asked: here one that is not there.
    let asked = "Unable to find image '127.0.0.1:1/base:latest' locally\nerror: cannot reach the registry 127.0.0.1:1: connection refused\n  why: nothing listens on that port\n";
    let hint = "  try: `skiff images` lists what is here; base and hello-world need no network; `skiff registry serve --mirror` makes others\n";
    refuses(&room, &["run", "127.0.0.1:1/base", "true"], 125, &format!("{asked}{hint}"));
    refuses(&room, &["save", "-o", "/tmp/never", "nothing"], 1, &bare("nothing:latest"));
    refuses(&room, &["rmi", "nothing"], 1, &bare("nothing:latest"));
    refuses(&room, &["tag", "nothing", "other"], 1, &bare("nothing:latest"));
    assert!(!Path::new("/tmp/never").exists());
}

#[test]
fn a_name_with_dots_or_slashes_leads_nowhere() {
    let room = room();
    let form = "  try: [registry/][namespace/]repository[:tag], such as base or base:latest\n";
    refuses(&room, &["run", "../etc", "true"], 125, &format!("error: \"../etc\" is not an image reference: \"..\" has two dots in a row\n{form}"));
    refuses(&room, &["run", "/etc", "true"], 125, &format!("error: \"/etc\" is not an image reference: a part of its name is empty\n{form}"));
    refuses(&room, &["rmi", ".."], 1, &format!("error: \"..\" is not an image reference: \"..\" has two dots in a row\n{form}"));
    refuses(&room, &["tag", "base", "Upper"], 1, &format!("error: \"Upper\" is not an image reference: its name must be lower case, and \"Upper\" has 'U'\n{form}"));
    for name in ["../x", "a/b", "..", ".hidden", "x", "", "a b", "-x"] {
        let arg = format!("--name={name}");
        let why = "  why: a name has two characters or more: a letter or digit, then letters, digits, `_`, `.`, `-`\n";
        refuses(&room, &["run", &arg, "base", "true"], 125, &format!("error: invalid container name {name:?}\n{why}  try: --name web-1\n"));
    }
    fs::create_dir(room.path().join("outside")).expect("a folder");
    for name in ["../../outside", "..", "../containers", "/etc", "."] {
        let error = format!("error: no such container: {name}\n  try: skiff ps -a lists all\n");
        refuses(&room, &["rm", name], 1, &error);
        refuses(&room, &["stop", name], 1, &error);
        refuses(&room, &["inspect", name], 1, &error);
        refuses(&room, &["exec", name, "true"], 1, &error);
        refuses(&room, &["diff", name], 1, &error);
        refuses(&room, &["commit", name, "made"], 1, &error);
    }
    assert!(room.path().join("outside").is_dir() && room.skiff_root().join("containers").parent().expect("the root").is_dir());
}

#[test]
fn a_container_that_is_not_there_is_said_and_the_nearest_name_suggested() {
    let room = room();
    for args in [["stop", "wbe"].as_slice(), &["kill", "wbe"], &["rm", "wbe"], &["inspect", "wbe"], &["logs", "wbe"], &["wait", "wbe"], &["exec", "wbe", "true"]] {
        refuses(&room, args, 1, "error: no such container: wbe\n  try: skiff ps -a lists all\n");
    }
    support::stdout(&mut room.skiff(&["run", "--name", "web", "base", "true"]));
    let (code, _, err) = outcome(&mut room.skiff(&["stop", "wbe"]));
    assert_eq!((code, err.as_str()), (Some(1), "error: no such container: wbe\n  try: did you mean web? skiff ps -a lists all\n"));
}

#[test]
fn a_name_that_is_taken_stays_with_whom_it_belongs_to() {
    let room = room();
    support::stdout(&mut room.skiff(&["run", "--name", "web", "base", "true"]));
    let id = support::stdout(&mut room.skiff(&["ps", "-a", "-q"]));
    let (code, out, err) = outcome(&mut room.skiff(&["run", "--name", "web", "base", "true"]));
    let expected = format!(
        "error: the container name \"web\" is taken by container {}\n  why: a name belongs to one container until it is removed, running or not\n  try: skiff rm web, or another --name\n",
        id.trim()
    );
    assert_eq!((code, err.as_str(), out.as_str()), (Some(125), expected.as_str(), ""));
    assert_eq!(support::stdout(&mut room.skiff(&["ps", "-a", "-q"])), id, "the second left no trace");
    assert_eq!(support::stdout(&mut room.skiff(&["rm", "web"])), "web\n");
    nothing_left(&room, "rm web");
}

#[test]
fn a_value_that_cannot_be_is_refused_before_anything_is_made() {
    let room = Room::new();
    let memory = |value: &str, reason: &str, example: &str| format!("error: invalid value {value:?} for --memory: {reason}\n  try: {example}\n");
    let not_a_size = "it is not a number with b, k, m, g or t after it";
    refuses(&room, &["run", "-m", "64x", "base", "true"], 125, &memory("64x", not_a_size, "--memory 64m (b, k, m, g)"));
    refuses(&room, &["run", "-m", "", "base", "true"], 125, &memory("", not_a_size, "--memory 64m (b, k, m, g)"));
    refuses(&room, &["run", "--memory=-1m", "base", "true"], 125, &memory("-1m", not_a_size, "--memory 64m (b, k, m, g)"));
    refuses(&room, &["run", "-m", "1k", "base", "true"], 125, &memory("1k", "the smallest is 6m, or nothing could start", "--memory 64m"));
    refuses(&room, &["run", "--cpus", "many", "base", "true"], 125, "error: invalid value \"many\" for --cpus: it is not a number from 0.01 on\n  try: --cpus 0.5\n");
    refuses(
        &room,
        &["run", "-p", "80:x", "base", "true"],
        125,
        "error: invalid published port \"80:x\"\n  why: a port is a number from 1 to 65535, or a range such as 8000-8010\n  try: -p [ADDRESS:][HOSTPORT:]PORT[/udp], such as -p 8080:80 or -p 127.0.0.1:5353:53/udp\n",
    );
    refuses(&room, &["run", "-v", "data", "base", "true"], 125, "error: invalid value \"data\" for --volume: the path inside must be absolute and without `..`\n  try: -v /srv/data:/data\n");
    refuses(&room, &["kill", "-s", "NOPE", "web"], 125, "error: invalid value \"NOPE\" for --signal: it is no signal; see signal(7)\n  try: --signal TERM\n");
    refuses(&room, &["run", "--env-file", "/nothing", "base", "true"], 125, "error: cannot read /nothing: ENOENT\n");
    assert!(!room.skiff_root().exists(), "not even skiff's root was made");
}

#[test]
fn a_user_that_the_image_does_not_have_is_looked_up_in_the_image() {
    let room = room();
    let error = |kind: &str, file: &str| {
        format!("error: no {kind} \"learner\" in the container\n  why: names are looked up in the image's own /etc/{file}, not the host's\n  try: a number works always: --user 1000:1000\n")
    };
    refuses(&room, &["run", "-u", "learner", "base", "true"], 125, &error("user", "passwd"));
    refuses(&room, &["run", "-u", "root:learner", "base", "true"], 125, &error("group", "group"));
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_run_126() {
    let room = room();
    let no_program = "error: cannot run nothing: ENOENT\n  why: no folder of the container's PATH has a program of that name\n  try: see what it has: skiff run IMAGE ls /bin\n";
    refuses(&room, &["run", "--rm", "base", "nothing"], 127, no_program);
    refuses(&room, &["run", "--rm", "--entrypoint", "nothing", "base"], 127, no_program);
    refuses(&room, &["run", "--rm", "base", "/no/where"], 127,
        "error: cannot run /no/where: ENOENT\n  why: there is no such file in the container, or the interpreter or loader that it names is missing\n  try: look: skiff run IMAGE ls -l PATH\n");
    let not_runnable = |what: &str| {
        format!("error: cannot run {what}: EACCES\n  why: the file is there, and this user may not execute it (no x bit, a directory, or a noexec mount)\n  try: chmod +x it in the image, or run it through its interpreter\n")
    };
    refuses(&room, &["run", "--rm", "base", "/etc/passwd"], 126, &not_runnable("/etc/passwd"));
    refuses(&room, &["run", "--rm", "base", "/tmp"], 126, &not_runnable("/tmp"));
    // Without --rm too: a container that never ran is none.
    refuses(&room, &["run", "base", "nothing"], 127, no_program);
    refuses(&room, &["run", "-d", "base", "nothing"], 127, no_program);

    support::stdout(&mut room.skiff(&["run", "-d", "--name", "web", "base", "sleep", "100"]));
    let (code, _, err) = outcome(&mut room.skiff(&["exec", "web", "nothing"]));
    assert_eq!((code, err.as_str()), (Some(127), no_program));
    let (code, _, err) = outcome(&mut room.skiff(&["exec", "web", "/etc/passwd"]));
    assert_eq!((code, err.as_str()), (Some(126), not_runnable("/etc/passwd").as_str()));
    let (code, _, err) = outcome(&mut room.skiff(&["exec", "-u", "learner", "web", "true"]));
    assert_eq!(code, Some(125), "{err}");
    assert!(err.starts_with("error: no user \"learner\" in the container\n"), "{err}");
    let (code, _, err) = outcome(&mut room.skiff(&["rm", "web"]));
    assert_eq!((code, err.as_str()), (Some(1), "error: container web is running\n  try: skiff stop web, or skiff rm -f web\n"));
    support::stdout(&mut room.skiff(&["rm", "-f", "web"]));
    nothing_left(&room, "rm -f web");
}

#[test]
fn what_a_program_answers_is_passed_on() {
    let room = room();
    for code in [0, 1, 7, 125, 255] {
        refuses(&room, &["run", "--rm", "base", "sh", "-c", &format!("exit {code}")], code, "");
    }
    // Of a signal it is 128 and the signal's number. (Not of process 1's own: the kernel spares that.)
    refuses(&room, &["run", "--rm", "base", "sh", "-c", "{ sh -c 'kill -TERM $$'; } 2>/dev/null; exit $?"], 143, "");
}

#[test]
fn a_terminal_that_is_asked_for_must_be_there() {
    let room = room();
    let error = "error: standard input is not a terminal\n  why: -t with -i connects the container's terminal to yours, and input comes from a pipe or a file\n  try: leave out -t: … | skiff run -i IMAGE COMMAND\n";
    refuses(&room, &["run", "--rm", "-it", "base", "sh"], 1, error);
}

#[test]
fn an_ordinary_user_is_told_what_they_may_not() {
    let room = room();
    // As root, the same is tried as nobody, from a place that they can reach.
    use std::os::unix::fs::PermissionsExt;
    let as_root = nix::unistd::geteuid().is_root();
    if as_root {
        require!(Tool("setpriv"));
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::copy(support::binary("skiff"), room.path().join("skiff-here")).expect("a copy");
    }
    let closed = room.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(if as_root { 0o755 } else { 0o555 })).expect("it is ours");
    let wanted = closed.join("root");
    let mut command = if as_root {
        let mut command = room.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(room.path().join("skiff-here"));
        command
    } else {
        room.skiff(&[])
    };
    let (code, _, err) = outcome(command.arg("--root").arg(&wanted).args(["run", "base", "true"]));
    let expected = format!("error: cannot make {}: EACCES\n  why: this user may not write there\n  try: another place: skiff --root DIR …, or sudo\n", wanted.display());
    assert_eq!((code, err.as_str()), (Some(125), expected.as_str()));
    assert!(!wanted.exists());
}

/// A tmpfs of its own, gone when it is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn new(at: &'a Path, size: &str) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let options = format!("size={size}");
        nix::mount::mount(Some("tmpfs"), at, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(options.as_str())).expect("root may mount");
        Self(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_no_half_of_anything() {
    require!(Root);
    let room = Room::new();
    let at = room.path().join("small");
    {
        let small = Small::new(&at, "256k");
        let (code, _, err) = outcome(&mut room.skiff(&["--root", &at.display().to_string(), "run", "base", "true"]));
        assert_eq!(code, Some(125), "{err}");
        let said = err.lines().skip_while(|l| !l.starts_with("error: ")).collect::<Vec<_>>();
        assert!(said[0].ends_with(": ENOSPC"), "{err}");
        assert_eq!(said[1..], ["  why: the filesystem that holds skiff's root has no space left", "  try: free some space, or choose another place with --root"]);
        let blobs = fs::read_dir(at.join("images/blobs/sha256")).expect("the layout").count();
        assert_eq!((blobs, at.join("images/.aside").exists(), at.join("images/index.json").exists()), (0, false, false));
        drop(small);
    }
    // Full just when the container's own folder is to be made.
    let small = Small::new(&at, "12m");
    let root = at.display().to_string();
    let (code, _, err) = outcome(&mut room.skiff(&["--root", &root, "run", "--rm", "base", "true"]));
    assert_eq!(code, Some(0), "{err}");
    let filler = std::iter::repeat_n(0u8, 16 << 20).collect::<Vec<_>>();
    assert!(fs::write(at.join("filler"), filler).is_err(), "the disk is full now");
    let (code, _, err) = outcome(&mut room.skiff(&["--root", &root, "run", "base", "true"]));
    assert_eq!(code, Some(125), "{err}");
    assert!(err.contains(": ENOSPC\n  why: the disk is full\n  try: skiff system prune -f, or another place: skiff --root DIR …\n"), "{err}");
    for folder in ["containers", "names"] {
        assert_eq!(fs::read_dir(at.join(folder)).expect("a folder").count(), 0, "{folder}");
    }
    fs::remove_file(at.join("filler")).expect("it is there");
    let (code, _, err) = outcome(&mut room.skiff(&["--root", &root, "run", "--rm", "base", "true"]));
    assert_eq!((code, err.as_str()), (Some(0), ""), "with space again it works again");
    // Its bridge too, before the root is gone.
    stdout(&mut room.skiff(&["--root", &root, "system", "prune", "-f"]));
    drop(small);
}

#[test]
fn files_that_are_no_images_are_said_to_be_none_and_leave_the_store_as_it_was() {
    let room = room();
    let text = room.path().join("text");
    fs::write(&text, "this is no archive\n".repeat(100)).expect("a file");
    let shown = text.display();
    let file = text.display().to_string();
    let no_image = |what: &str| format!("error: {what} cannot be read: it has neither an index.json nor a manifest.json, so it is no image\n");
    refuses(&room, &["load", "-i", &file], 1, &format!("error: {shown} cannot be read: it is not a tar archive, or a damaged one\n"));
    refuses(&room, &["import", &file, "made"], 1, "error: the layer cannot be read: it is not a tar archive, or a damaged one\n");
    refuses(&room, &["load"], 1, &no_image("standard input"));
    refuses(&room, &["load", "-i", &room.path().display().to_string()], 1, &no_image(&room.path().display().to_string()));
    refuses(&room, &["load", "-i", "/nothing"], 1, "error: cannot open /nothing: ENOENT\n");
    refuses(&room, &["save", "-o", "/nothing/image.tar", "base"], 1, "error: cannot create a file in /nothing: ENOENT\n");
    assert_eq!(support::stdout(&mut room.skiff(&["images", "-q"])).lines().count(), 1);
    assert_eq!(fs::read_dir(room.skiff_root().join("images/blobs/sha256")).expect("the store").count(), 5, "base's own five blobs");
}

#[test]
fn an_image_in_use_is_kept_until_its_container_is_gone() {
    let room = room();
    support::stdout(&mut room.skiff(&["run", "--name", "web", "base", "true"]));
    let (code, _, err) = outcome(&mut room.skiff(&["rmi", "base"]));
    let short = |words: &[&str]| support::stdout(&mut room.skiff(words)).trim().to_owned();
    let (container, image) = (short(&["ps", "-aq"]), short(&["images", "-q"]));
    let what = format!("unable to remove repository reference \"base\" (must force) - container {container} is using its referenced image {image}");
    let expected = format!("error: conflict: {what}\n  why: the container's root filesystem is made of the image's layers\n  try: `skiff rm web` first\n");
    assert_eq!((code, err), (Some(1), expected));
    support::stdout(&mut room.skiff(&["rm", "web"]));
    assert!(support::stdout(&mut room.skiff(&["rmi", "base"])).starts_with("Untagged: base:latest\nDeleted: sha256:"));
    assert_eq!(fs::read_dir(room.skiff_root().join("images/blobs/sha256")).expect("the store").count(), 0);
}

#[test]
fn a_word_that_skiff_does_not_know_is_answered_with_the_nearest() {
    let room = Room::new();
    let said = |args: &[&str]| {
        let (code, _, err) = outcome(&mut room.skiff(args));
        assert_eq!(code, Some(125), "{err}");
        err
    };
    assert!(said(&["runn", "base"]).contains("a similar subcommand exists: 'run'"));
    assert!(said(&["run", "--nmae", "web", "base"]).contains("a similar argument exists: '--name'"));
    assert!(said(&["run"]).contains("<IMAGE>"));
    assert!(said(&["exec", "-it", "web"]).starts_with("error: skiff exec needs <CONTAINER> <COMMAND>\n"), "{}", said(&["exec", "-it", "web"]));
    assert!(!room.skiff_root().exists());
}

#[test]
fn an_interrupted_first_run_leaves_nothing_that_prune_does_not_find_and_the_next_makes_base_anew() {
    use nix::sys::signal::{Signal, kill};
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        for mark in ["making the image", "layer ", "\n  layer "] {
            let room = Room::new();
            let mut command = room.skiff(&["run", "--rm", "base", "true"]);
            let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("skiff starts");
            let mut said = child.stderr.take().expect("it was piped");
            support::read_until(&mut said, mark, std::time::Duration::from_secs(30));
            kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
            child.wait().expect("it ends");
            support::stdout(&mut room.skiff(&["system", "prune", "-f"]));
            nothing_left(&room, "run, interrupted");
            let images = support::stdout(&mut room.skiff(&["images", "-q"])).lines().count();
            let blobs = fs::read_dir(room.skiff_root().join("images/blobs/sha256")).map_or(0, Iterator::count);
            assert_eq!(blobs, 5 * images, "{signal} at {mark:?}: the blobs of a whole image, or none");
            assert!(!room.skiff_root().join("images/.aside").exists() && !room.skiff_root().join("layers/.aside").exists());
            let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "base", "true"]));
            assert_eq!(code, Some(0), "{err}");
        }
    }
}

#[test]
fn the_engine_alone_runs_what_is_here_and_says_which_program_it_lacks_for_the_rest() {
    let room = Room::new();
    let made = ["run", "--rm", "--network", "none", "base", "true"];
    support::stdout(&mut room.skiff(&made));
    let alone = room.path().join("alone/skiff");
    fs::create_dir(room.path().join("alone")).expect("the room is ours");
    fs::copy(env!("CARGO_BIN_EXE_skiff"), &alone).expect("the room is ours");
    let by_itself = |args: &[&str]| outcome(std::process::Command::new(&alone).arg("--root").arg(room.skiff_root()).args(args));
    assert_eq!(by_itself(&made).0, Some(0));
    let (code, out, err) = by_itself(&["images"]);
    assert_eq!((code, out.as_str()), (Some(125), ""));
    let expected = format!(
        "error: cannot run {}: ENOENT\n  why: skiff by itself is the engine; images, builds and registries are drydock's part, which lies beside it\n  try: put both programs into one folder, as they were installed\n",
        room.path().join("alone/drydock").display()
    );
    assert_eq!(err, expected);
}

#[test]
fn forcing_away_what_is_not_there_is_told_and_is_no_failure() {
    let room = Room::new();
    assert_eq!(outcome(&mut room.skiff(&["rm", "-f", "nobody"])), (Some(0), String::new(), "error: no such container: nobody\n  try: skiff ps -a lists all\n".into()));
    assert_eq!(outcome(&mut room.skiff(&["rm", "nobody"])).0, Some(1));
}
