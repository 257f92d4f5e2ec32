//! `drydock lab` from outside: what goes in and comes out, what is kept, what is left, what is said
//! when it cannot be.

#[macro_use]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::vm::{self, Lab};
use support::{outcome, readable, stdout};

/// Long enough for the slowest of machines, and never waited for in full by a test that passes.
const LONG: Duration = Duration::from_secs(60);

fn gone(pid: i32) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    // A zombie's descriptor is readable too: it has ended.
    let Ok(process) = drydock::kernel::pidfd::Pidfd::open(pid) else { return true };
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::try_from(Duration::from_secs(15)).expect("a short time")), Ok(n) if n > 0)
}

#[test]
fn a_command_in_the_lab_has_its_own_streams_and_its_exit_code_and_another_kernel() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    assert_eq!(outcome(&mut lab.run(&["sh", "-c", "echo out; echo err >&2; exit 7"])), (Some(7), "out\n".into(), "err\n".into()));
    assert_eq!(outcome(&mut lab.run(&["no-such-program"])).0, Some(127));
    assert_eq!(outcome(&mut lab.run(&["/etc"])).0, Some(126));
    assert_eq!(outcome(&mut lab.run(&["sh", "-c", "kill -9 $$"])).0, Some(137));
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("any Linux has it");
    assert_ne!(stdout(&mut lab.run(&["cat", "/proc/sys/kernel/random/boot_id"])), boot_id);
    assert_eq!(stdout(&mut lab.run(&["id", "-u"])), "0\n");

    // Both directions at once, and more than any queue on the way holds.
    let mut child = lab.run(&["sha256sum"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let mut input = child.stdin.take().expect("piped");
    let writing = std::thread::spawn(move || input.write_all(&vec![b'x'; 8 << 20]));
    let mut sum = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut sum).expect("text");
    writing.join().expect("no panic").expect("all of it was taken");
    assert!(child.wait().expect("our child").success());
    let expected = stdout(Command::new("sh").args(["-c", "head -c 8388608 /dev/zero | tr '\\0' x | sha256sum"]));
    assert_eq!(sum, expected);

    // Nothing of the host is in there, and there is no way out.
    assert_eq!(stdout(&mut lab.run(&["ls", "/host"])), "");
    assert_eq!(stdout(&mut lab.run(&["ls", "/sys/class/net"])), "lo\n");
}

#[test]
fn one_that_hangs_up_ends_its_session_even_where_nothing_is_read() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    // `sleep` reads no input, so what is written fills every queue between here and there.
    let mut child = lab.run(&["sh", "-c", "echo here; exec sleep 4321"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    support::read_until(child.stdout.as_mut().expect("piped"), "here\n", LONG);
    let mut input = child.stdin.take().expect("piped");
    let writing = std::thread::spawn(move || input.write_all(&vec![0; 8 << 20]));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("our child");
    assert_eq!(child.wait().expect("our child").code(), Some(143));
    let _ = writing.join().expect("no panic");
    // The next session waits for no place of the one before, and finds it gone.
    let look = "for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -f '[s]leep 4321' >/dev/null || exit 0; sleep 1; done; exit 1";
    assert_eq!(outcome(&mut lab.run(&["bash", "-c", look])).0, Some(0));
}

#[test]
fn all_output_of_a_session_arrives_and_none_of_another() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    // Nobody reads before the program has ended; what it wrote waits in the queues between.
    let mut child = lab.run(&["sh", "-c", "head -c 1000000 /dev/zero; : >/tmp/written"]).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let mut bytes = vec![0; 1];
    child.stdout.as_mut().expect("piped").read_exact(&mut bytes).expect("the first byte");
    child.stdout.take().expect("piped").read_to_end(&mut bytes).expect("the rest");
    assert_eq!(bytes.len(), 1_000_000);
    assert!(child.wait().expect("our child").success());
    // What a session left in the background writes into no other one.
    stdout(&mut lab.run(&["mkfifo", "/tmp/go"]));
    assert_eq!(stdout(&mut lab.run(&["bash", "-c", "(read x </tmp/go; echo LATE; : >/tmp/late) & echo hi"])), "hi\n");
    let wait = "echo x >/tmp/go; for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /tmp/late ] && break; sleep 0.2; done; echo mine";
    assert_eq!(stdout(&mut lab.run(&["bash", "-c", wait])), "mine\n");
}

#[test]
fn who_only_looks_ends_nothing_and_who_leaves_a_transfer_leaves_nothing() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    let child = lab.run(&["echo", "hello"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drydock runs");
    let over = std::sync::atomic::AtomicBool::new(false);
    let looking = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut seen = 0;
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                seen += usize::from(lab.status().is_some());
            }
            seen
        });
        let output = child.wait_with_output().expect("our child");
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!((output.status.code(), output.stdout), (Some(0), b"hello\n".to_vec()), "{}", String::from_utf8_lossy(&output.stderr));
        looking.join().expect("no panic")
    });
    assert!(looking > 0, "the lab was never seen");

    lab.start();
    // Seconds of work, and noticed in its first.
    stdout(&mut lab.run(&["sh", "-c", "head -c 300000000 /dev/zero | tr '\\0' x >/root/long"]));
    let mut long = lab.command(&["cp", "lab:/root/long"]).arg(lab.room.path()).spawn().expect("drydock runs");
    while lab.status().expect("it runs")["sessions"] != 1 {
        assert_eq!(long.try_wait().expect("our child"), None, "it ended before it was seen");
    }
    kill(Pid::from_raw(long.id() as i32), Signal::SIGTERM).expect("our child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&long.wait().expect("our child")), Some(15));
    let end = std::time::Instant::now() + LONG;
    while lab.status().expect("it runs")["sessions"] != 0 {
        assert!(std::time::Instant::now() < end, "the transfer holds its port");
    }
}

#[test]
fn a_lab_that_was_begun_for_one_command_stays_once_it_is_told_to() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    let mut first = lab.run(&["sh", "-c", "echo here; cat; cat /proc/sys/kernel/random/boot_id"]);
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drydock runs");
    support::read_until(first.stdout.as_mut().expect("piped"), "here\n", LONG);
    lab.start();
    drop(first.stdin.take());
    let mut boot_id = String::new();
    first.stdout.take().expect("piped").read_to_string(&mut boot_id).expect("text");
    assert!(first.wait().expect("our child").success());
    assert_eq!(stdout(&mut lab.run(&["cat", "/proc/sys/kernel/random/boot_id"])), boot_id, "another lab");
}

#[test]
fn under_sudo_the_lab_is_the_learners() {
    require!(Root, Tool("qemu-system-x86_64"), GuestKernel);
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let lab = Lab::new();
    // The learner's own room, and programs that they may read.
    std::fs::set_permissions(lab.room.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let bin = lab.room.path().join("bin");
    std::fs::create_dir(&bin).expect("ours");
    for name in ["drydock", "skiff"] {
        std::fs::copy(support::binary(name), bin.join(name)).expect("there is room");
    }
    let kernel = vm::kernel().expect("it was required");
    let mut command = lab.room.command(bin.join("drydock"));
    command.env("SUDO_UID", "65534").env("SUDO_GID", "65534").args(["lab", "--accel", "tcg", "--kernel"]).arg(kernel).args(["run", "--", "id", "-u"]);
    let (code, said, errors) = outcome(&mut command);
    assert_eq!((code, said.as_str()), (Some(0), "0\n"), "{errors}");
    let mut left = vec![lab.room.path().join("drydock")];
    while let Some(path) = left.pop() {
        let of = path.symlink_metadata().expect("it is there");
        assert_eq!(of.uid(), 65534, "{} is not the learner's", path.display());
        if of.is_dir() {
            left.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|e| e.path()));
        }
    }
}

#[test]
fn a_terminal_in_the_lab_is_one_and_the_lab_ends_with_its_last() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    use drydock::kernel::{pty, session};
    let lab = Lab::new();
    let before = support::host::Host::now(&[]);
    let (master, slave) = pty::pair().expect("a pseudo-terminal");
    pty::set_size(&master, pty::Size { rows: 31, columns: 97 }).expect("its size can be set");
    let mut child = session::start(lab.command(&[]).env("TERM", "xterm"), slave).expect("drydock runs");
    let mut screen = std::fs::File::from(master);
    let first = support::read_until(&mut screen, "(drydock)", LONG);
    assert!(first.contains("Why Docker"), "the first page of the course: {first}");
    // The last line comes from the very process that is to be interrupted: a Ctrl-C that meets the
    // shell while it forks leaves both reading.
    screen.write_all(b"stty size; tty; sh -c 'echo reading; exec cat'\r").expect("typed");
    support::read_until(&mut screen, "31 97\r\n/dev/pts/0\r\nreading\r\n", LONG);
    // A new size arrives, and Ctrl-C is cat's and not ours.
    pty::set_size(&screen, pty::Size { rows: 20, columns: 60 }).expect("its size can be set");
    screen.write_all(b"\x03").expect("typed");
    support::read_until(&mut screen, "(drydock)", LONG);
    screen.write_all(b"stty size\r").expect("typed");
    support::read_until(&mut screen, "20 60\r\n", LONG);
    let processes = lab.processes();

    // The host's terminal closes: the session ends, and with it the lab.
    drop(screen);
    let _ = child.wait();
    for pid in processes {
        assert!(gone(pid), "process {pid} outlives its terminal");
    }
    before.assert_unchanged(&[], "a lab whose terminal closed");
}

#[test]
fn what_was_done_is_kept_when_the_lab_ends_and_when_it_is_killed() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    stdout(&mut lab.run(&["sh", "-c", "echo precious >/root/note; skiff run --name ferry base true; sync; drydock start namespaces/hostname >/dev/null; drydock next >/dev/null"]));
    // In the middle of a write.
    let mut writing = lab.run(&["sh", "-c", "echo writing; exec dd if=/dev/zero of=/root/big bs=64k"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drydock runs");
    support::read_until(writing.stdout.as_mut().expect("piped"), "writing\n", LONG);
    let [keeper, qemu] = lab.processes();
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("the lab's keeper");
    assert!(gone(qemu), "QEMU dies with its keeper");
    assert_eq!(writing.wait().expect("our child").code(), Some(125));
    assert_eq!(lab.status(), None);
    // The host's own drydock goes on where the lab was.
    let progress = stdout(&mut lab.room.drydock(&["progress", "--json"]));
    let progress: serde_json::Value = serde_json::from_str(&progress).expect("JSON");
    assert_eq!(progress["place"]["chapter"], "namespaces", "{progress}");

    lab.start();
    assert_eq!(stdout(&mut lab.run(&["sh", "-c", "cat /root/note; skiff ps -a | grep -o ferry; drydock progress --json | grep -c namespaces/hostname"])), "precious\nferry\n1\n");
    stdout(&mut lab.run(&["rm", "-f", "/root/big"]));
    stdout(&mut lab.command(&["stop"]));
    assert_eq!(outcome(&mut lab.command(&["stop"])), (Some(125), String::new(), "error: no lab is running\n  try: drydock lab begins one\n".into()));
    assert_eq!(stdout(&mut lab.run(&["cat", "/root/note"])), "precious\n");
}

#[test]
fn an_exercise_passed_in_the_lab_is_passed_on_the_host() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    let script = "drydock start namespaces/hostname >/dev/null; drydock solution | head -40; drydock check; true";
    stdout(&mut lab.run(&["sh", "-c", script]));
    // Quicker than any real exercise: the record itself changes in there, and arrives out here.
    let edit = r#"f=/root/.local/state/drydock/progress.json; sed 's|"passed": {|"passed": { "namespaces/hostname": {"secs_since_epoch":1,"nanos_since_epoch":0}|' $f >$f.new && mv $f.new $f"#;
    stdout(&mut lab.run(&["sh", "-c", edit]));
    stdout(&mut lab.command(&["stop"]));
    let progress: serde_json::Value = serde_json::from_str(&stdout(&mut lab.room.drydock(&["progress", "--json"]))).expect("JSON");
    assert!(progress["passed"]["namespaces/hostname"].is_object(), "{progress}");
}

#[test]
fn files_go_in_and_come_out_as_they_were() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    let tree = lab.room.path().join("tree");
    std::fs::create_dir_all(tree.join("below")).expect("the room is ours");
    std::fs::write(tree.join("below/data"), vec![7; 3 << 20]).expect("the room is ours");
    std::os::unix::fs::symlink("below/data", tree.join("link")).expect("the room is ours");
    stdout(lab.command(&["cp"]).arg(&tree).arg("lab:/root"));
    assert_eq!(stdout(&mut lab.run(&["sh", "-c", "cd /root/tree && readlink link && wc -c <below/data"])), "below/data\n3145728\n");
    let back = lab.room.path().join("back");
    std::fs::create_dir(&back).expect("the room is ours");
    stdout(lab.command(&["cp", "lab:/root/tree"]).arg(&back));
    assert_eq!(std::fs::read(back.join("tree/link")).expect("the link leads somewhere"), vec![7; 3 << 20]);
    // A file with a hole in it, and one that the kernel makes up as it is read.
    stdout(&mut lab.run(&["sh", "-c", "echo begin >/root/hole && truncate -s 40M /root/hole && echo end >>/root/hole"]));
    stdout(lab.command(&["cp", "lab:/root/hole"]).arg(&back));
    let sum = |of: &mut Command| stdout(of).split_whitespace().next().map(str::to_owned);
    assert_eq!(sum(Command::new("sha256sum").arg(back.join("hole"))), sum(&mut lab.run(&["sha256sum", "/root/hole"])));
    stdout(lab.command(&["cp", "lab:/proc/version"]).arg(&back));
    assert_eq!(std::fs::read_to_string(back.join("version")).expect("it came"), stdout(&mut lab.run(&["cat", "/proc/version"])));
    let (code, _, errors) = outcome(lab.command(&["cp", "lab:/no/such"]).arg(&back));
    assert_eq!((code, errors.contains("cannot read /no/such")), (Some(1), true), "{errors}");
    assert_eq!(outcome(&mut lab.command(&["cp", "a", "b"])).0, Some(125));
}

#[test]
fn two_who_begin_at_once_are_in_one_lab() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    let begin = || lab.run(&["sh", "-c", "cat /proc/sys/kernel/random/boot_id; sleep 2"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("drydock runs");
    let both = [begin(), begin()].map(|c| c.wait_with_output().expect("our child"));
    let ids = both.each_ref().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    assert_eq!(both.each_ref().map(|o| o.status.code()), [Some(0), Some(0)]);
    assert_eq!(ids[0].len(), 37);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn what_cannot_be_booted_is_said_and_leaves_nothing() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    let before = support::host::Host::now(&[]);
    let with = |kernel: &Path, more: &[&str]| {
        let mut command = lab.room.drydock(&["lab", "--accel", "tcg"]);
        command.args(more).arg("--kernel").arg(kernel).args(["run", "--", "true"]);
        let (code, out, errors) = outcome(&mut command);
        assert_eq!((code, out.as_str()), (Some(125), ""), "{errors}");
        errors
    };
    let kernel = vm::kernel().expect("it was required");
    let errors = with(Path::new("/etc/passwd"), &[]);
    assert!(errors.starts_with("error: cannot boot /etc/passwd: it is no Linux boot image"), "{errors}");
    assert!(with(Path::new("/no/such"), &[]).contains("it cannot be read"));
    assert!(with(&kernel, &["--memory", "64"]).starts_with("error: 64 MiB are too little memory for the lab\n"));

    // A boot image that was cut short, beside its modules.
    let package = lab.room.path().join("package");
    std::fs::create_dir_all(package.join("boot")).expect("the room is ours");
    let modules = kernel.parent().and_then(Path::parent).expect("it lies in boot/").join("lib");
    std::os::unix::fs::symlink(modules, package.join("lib")).expect("the room is ours");
    let broken = package.join("boot").join(kernel.file_name().expect("it has a name"));
    std::fs::write(&broken, &std::fs::read(&kernel).expect("readable")[..200_000]).expect("the room is ours");
    let errors = with(&broken, &[]);
    assert!(errors.starts_with("error: the lab did not come up: ") || errors.contains("the processor is emulated"), "{errors}");
    assert_eq!(lab.status(), None);
    before.assert_unchanged(&[], "labs that did not come up");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    require!(Root, Tool("qemu-system-x86_64"), Tool("unshare"), GuestKernel);
    let lab = Lab::new();
    let home = lab.room.path().join("drydock");
    std::fs::create_dir_all(&home).expect("the room is ours");
    let run = lab.run(&["true"]);
    // A folder of 12 MiB, in a mount namespace of this command's own.
    let mut command = lab.room.command("unshare");
    command.args(["--mount", "sh", "-c", r#"mount -t tmpfs -o size=12m full "$0" && shift 0 && exec "$@""#]).arg(&home).arg(run.get_program()).args(run.get_args());
    let (code, _, errors) = outcome(&mut command);
    assert_eq!(code, Some(125), "{errors}");
    assert!(errors.contains("ENOSPC"), "{errors}");
    assert!(std::fs::read_dir(&home).expect("it is there").next().is_none());
}

#[test]
fn the_guests_end_is_told_and_qemus_too() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    lab.start();
    let [keeper, qemu] = lab.processes();
    let child = lab.run(&["sh", "-c", "echo here; sleep 4321"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drydock runs");
    assert!(readable(child.stdout.as_ref().expect("piped"), LONG), "it says that it is there");
    kill(Pid::from_raw(qemu), Signal::SIGKILL).expect("the lab's QEMU");
    let output = child.wait_with_output().expect("our child");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: the lab has ended\n"), "{output:?}");
    assert!(gone(keeper), "the keeper ends with its machine");
}

#[test]
fn a_folder_is_shared_read_only_unless_said_otherwise_and_nothing_is_left_of_its_server() {
    require!(Root, Tool("qemu-system-x86_64"), GuestKernel);
    let servers = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];
    if support::which("virtiofsd").is_none() && !servers.iter().any(|path| Path::new(path).exists()) {
        return support::skip("virtiofsd is not installed");
    }
    let lab = Lab::new();
    let host = support::host::Host::now(&[]);
    let folder = lab.room.path().join("shared");
    std::fs::create_dir_all(folder.join("open")).expect("the room is ours");
    std::fs::write(folder.join("note"), "from the host\n").expect("the room is ours");
    let kernel = vm::kernel().expect("it was required");
    // KVM is tried first, so that where it fails the servers must be there a second time.
    let mut command = lab.room.drydock(&["lab", "--kernel"]);
    command.arg(kernel).arg("--share").arg(&folder).arg("--share").arg(format!("{}:rw", folder.join("open").display()));
    command.args(["run", "--", "sh", "-c", "cat /host/0/note; echo back > /host/1/answer; echo no > /host/0/new"]);
    let (code, out, err) = outcome(&mut command);
    assert_eq!((code, out.as_str()), (Some(2), "from the host\n"), "{err}");
    assert!(err.contains("/host/0/new: Read-only file system"), "{err}");
    assert_eq!(std::fs::read_to_string(folder.join("open/answer")).expect("the lab wrote it"), "back\n");
    assert!(!folder.join("new").exists());
    let _ = lab.command(&["stop"]).output();
    host.assert_unchanged(&[], "a lab with shares");
}

#[test]
fn what_the_starters_shell_holds_open_the_lab_does_not() {
    require!(Tool("qemu-system-x86_64"), Tool("flock"), GuestKernel);
    let lab = Lab::new();
    let held = lab.room.path().join("held");
    let start = lab.command(&["start"]);
    let mut shell = lab.room.command("sh");
    shell.args(["-c", r#"exec 9>"$0"; flock 9; exec "$@""#]).arg(&held).arg(start.get_program()).args(start.get_args());
    stdout(&mut shell);
    assert!(lab.status().is_some(), "it stays");
    stdout(Command::new("flock").arg("--nonblock").arg(&held).arg("true"));
}

#[test]
fn a_lab_is_forgotten_only_by_those_who_mean_it() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    let lab = Lab::new();
    let disk = lab.room.path().join("drydock/lab/disk.img");
    assert_eq!(stdout(&mut lab.command(&["forget"])), "There is nothing to forget: no lab has kept anything.\n");
    stdout(&mut lab.run(&["true"]));
    let (code, out, err) = outcome(lab.command(&["forget"]).stdin(Stdio::null()));
    assert_eq!((code, out.as_str()), (Some(125), ""));
    assert!(err.starts_with("error: nothing was thrown away: there is no terminal to ask at\n"), "{err}");
    assert!(disk.exists());
    assert_eq!(stdout(&mut lab.command(&["forget", "--yes"])), "What was done in the lab is gone; your progress in the course is not.\n");
    assert!(!disk.exists());
}
