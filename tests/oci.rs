//! skiff as an OCI runtime, driven as containerd and conmon drive one: from a bundle, call by call.

#[macro_use]
mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Room, outcome, stdout};

/// A bundle whose root is busybox, and a folder for the runtime's state.
struct Bundle {
    room: Room,
    config: Value,
}

impl Bundle {
    /// `skiff oci spec`, with this as its command and no terminal.
    fn new(command: &[&str]) -> Self {
        let room = Room::new();
        let rootfs = room.path().join("bundle/rootfs");
        for folder in ["bin", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(rootfs.join(folder)).expect("the room is ours");
        }
        let busybox = support::which("busybox").expect("busybox-static is installed");
        std::fs::copy(&busybox, rootfs.join("bin/busybox")).expect("busybox can be copied");
        for name in ["sh", "cat", "sleep", "hostname", "id", "mount", "ls", "grep", "kill"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).expect("the folder is new");
        }
        let made = room.skiff(&["oci", "spec", "--bundle", &room.path().join("bundle").display().to_string()]).status();
        assert!(made.expect("skiff runs").success());
        let config = std::fs::read(room.path().join("bundle/config.json")).expect("it was written");
        let mut config: Value = serde_json::from_slice(&config).expect("it is JSON");
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = json!(command);
        config["root"]["readonly"] = false.into();
        // Ids are the same in each test, and the cgroup tree is one.
        let name = room.path().file_name().expect("a name").to_string_lossy().into_owned();
        config["linux"]["cgroupsPath"] = format!("/{name}").into();
        Self { room, config }
    }

    fn at(&self) -> PathBuf {
        self.room.path().join("bundle")
    }

    /// `skiff oci WORDS…` with a state folder of this test's own.
    fn oci(&self, words: &[&str]) -> Command {
        let text = serde_json::to_vec(&self.config).expect("a document");
        std::fs::write(self.at().join("config.json"), text).expect("the room is ours");
        let mut command = self.room.skiff(&["oci", "--root"]);
        command.arg(self.room.path().join("run")).args(words);
        command
    }

    /// The same, with the bundle behind it.
    fn made(&self, words: &[&str]) -> Command {
        let mut command = self.oci(words);
        command.arg("--bundle").arg(self.at());
        command
    }

    fn state(&self, id: &str) -> Value {
        serde_json::from_str(&stdout(&mut self.oci(&["state", id]))).expect("a JSON document")
    }

    fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().unwrap_or_default().to_owned()
    }

    /// What `skiff oci run` prints.
    fn run(&self) -> String {
        stdout(&mut self.made(&["run", "one"]))
    }

    fn shell(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for id in ["one", "two"] {
            let _ = self.oci(&["delete", "--force", id]).status();
        }
    }
}

/// Waits for the end of a process, whoever's child it is.
fn wait_for_end(pid: i32) {
    if let Ok(process) = drydock::kernel::pidfd::Pidfd::open(pid) {
        assert!(support::readable(&process, std::time::Duration::from_secs(60)), "process {pid} has not ended");
    }
}

/// Exit code, standard output, standard error, through files: a container that goes on keeps a pipe open.
fn past(command: &mut Command) -> (Option<i32>, String, String) {
    let files = [(); 2].map(|()| tempfile::NamedTempFile::new().expect("a temporary file"));
    let end = |nth: usize| files[nth].reopen().expect("it is there");
    let status = command.stdout(end(0)).stderr(end(1)).status().expect("skiff runs");
    let text = |nth: usize| std::fs::read_to_string(files[nth].path()).expect("it is text");
    (status.code(), text(0), text(1))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn a_container_is_created_started_killed_and_deleted_by_calls_that_know_nothing_of_each_other() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("echo started >&2; exec sleep 1000");
    bundle.config["annotations"] = json!({ "org.example.key": "value" });
    let pid_file = bundle.room.path().join("pid");
    let words = ["create", "--pid-file", pid_file.to_str().expect("a path"), "one"];
    assert_eq!(past(&mut bundle.made(&words)), (Some(0), String::new(), String::new()));
    let state = bundle.state("one");
    assert_eq!(state["status"], "created");
    assert_eq!(state["ociVersion"], "1.2.0");
    assert_eq!(state["bundle"], json!(bundle.at().canonicalize().expect("it is there")));
    assert_eq!(state["annotations"], json!({ "org.example.key": "value" }));
    assert_eq!(std::fs::read_to_string(&pid_file).expect("it was written"), state["pid"].to_string());

    // It is not this call's, nor the test's before it is started: nobody of ours is left beside it.
    let (code, _, said) = past(&mut bundle.made(&["create", "one"]));
    assert_eq!((code, said.lines().next()), (Some(1), Some("error: container \"one\" exists already")));
    let (code, _, said) = outcome(&mut bundle.oci(&["delete", "one"]));
    assert_eq!((code, said.lines().next()), (Some(1), Some("error: cannot delete a container in the created state")));

    assert_eq!(past(&mut bundle.oci(&["start", "one"])).0, Some(0));
    assert_eq!(bundle.status("one"), "running");
    let (code, _, said) = past(&mut bundle.oci(&["start", "one"]));
    assert_eq!((code, said.as_str()), (Some(1), "error: cannot start a container in the running state\n"));
    assert_eq!(outcome(&mut bundle.oci(&["kill", "one", "KILL"])).0, Some(0));
    wait_for_end(state["pid"].as_i64().expect("a number") as i32);
    assert_eq!(bundle.status("one"), "stopped");
    let (code, _, said) = outcome(&mut bundle.oci(&["kill", "one", "KILL"]));
    assert_eq!((code, said.as_str()), (Some(1), "error: container not running\n"));
    assert_eq!(outcome(&mut bundle.oci(&["delete", "one"])).0, Some(0));
    let (code, _, said) = outcome(&mut bundle.oci(&["state", "one"]));
    assert_eq!((code, said.lines().next()), (Some(1), Some("error: container \"one\" does not exist")));
    assert!(!exists(&bundle.room.path().join("run/one")));
}

#[test]
fn a_second_process_joins_the_first_in_its_namespaces_and_cgroup_and_outlives_whoever_started_it() {
    require!(Root, Tool("busybox"));
    let bundle = Bundle::shell("exec sleep 1000");
    assert_eq!(past(&mut bundle.made(&["run", "--detach", "one"])).0, Some(0));
    assert_eq!(stdout(&mut bundle.oci(&["exec", "one", "hostname"])), "skiff\n");
    assert_eq!(outcome(&mut bundle.oci(&["exec", "one", "sh", "-c", "exit 42"])).0, Some(42));
    let (code, _, said) = outcome(&mut bundle.oci(&["exec", "one", "nosuch"]));
    assert_eq!((code, said.lines().next()), (Some(255), Some("error: cannot run nosuch: ENOENT: executable file not found in $PATH")));
    let pid_file = bundle.room.path().join("pid");
    assert_eq!(past(&mut bundle.oci(&["exec", "--detach", "--pid-file", pid_file.to_str().expect("a path"), "one", "sleep", "999"])).0, Some(0));
    let pid: i32 = std::fs::read_to_string(&pid_file).expect("it was written").parse().expect("a number");
    let first = bundle.state("one")["pid"].as_i64().expect("a number");
    for kind in ["pid", "mnt", "net", "uts", "ipc", "cgroup"] {
        let inode = |pid: i64| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("it runs");
        assert_eq!(inode(first), inode(pid.into()), "{kind}");
    }
    let cgroup = |pid: i64| std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert_eq!(cgroup(first), cgroup(pid.into()));
    let mut pids: Vec<i64> = serde_json::from_str(&stdout(&mut bundle.oci(&["ps", "--format", "json", "one"]))).expect("a list");
    pids.sort_unstable();
    assert_eq!(pids, [first, pid.into()]);
    stdout(&mut bundle.oci(&["pause", "one"]));
    assert_eq!(bundle.status("one"), "paused");
    stdout(&mut bundle.oci(&["resume", "one"]));
    assert_eq!(bundle.status("one"), "running");
    stdout(&mut bundle.oci(&["delete", "--force", "one"]));
    wait_for_end(pid);
}

#[test]
fn a_container_whose_config_names_no_cgroup_leaves_none() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("exec sleep 1000");
    bundle.config["linux"].as_object_mut().expect("an object").remove("cgroupsPath");
    let group = support::controller("pids").expect("some controller").join("skiff-oci");
    let id = bundle.room.path().file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(past(&mut bundle.made(&["create", &id])).0, Some(0));
    assert!(exists(&group.join(&id)));
    stdout(&mut bundle.oci(&["delete", "--force", &id]));
    assert!(!exists(&group), "{}", group.display());
}

#[test]
fn hooks_run_at_their_points_with_the_state_on_standard_input_and_one_that_fails_undoes_all() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("exit 3");
    let log = bundle.room.path().join("hooks");
    let script = bundle.room.path().join("hook");
    // What the shell of the host does; inside the container's root it is the container's that runs.
    let text = format!("#!/bin/sh\nread -r state\necho \"$1 $KEY $(echo \"$state\" | grep -o '\"status\":\"[a-z]*\"')\" >> {}\n", log.display());
    std::fs::write(&script, text).expect("the room is ours");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    let hook = |point: &str| json!([{ "path": script, "args": ["hook", point], "env": ["KEY=v", "PATH=/usr/bin:/bin"], "timeout": 60 }]);
    bundle.config["hooks"] = json!({
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "createContainer": hook("createContainer"),
        "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "cat > /started"] }],
        "poststart": hook("poststart"), "poststop": hook("poststop"),
    });
    assert_eq!(past(&mut bundle.made(&["run", "one"])).0, Some(3));
    let said = std::fs::read_to_string(&log).expect("the hooks wrote it");
    let expected = ["prestart v \"status\":\"creating\"", "createRuntime v \"status\":\"creating\"", "createContainer v \"status\":\"creating\"", "poststart v \"status\":\"running\"", "poststop v \"status\":\"stopped\""];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    let inside = std::fs::read_to_string(bundle.at().join("rootfs/started")).expect("the hook inside wrote it");
    let inside: Value = serde_json::from_str(&inside).expect("the state is JSON");
    assert_eq!((&inside["status"], &inside["pid"], &inside["id"]), (&json!("created"), &json!(1), &json!("one")));

    bundle.config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", "echo no network >&2; exit 7"] }], "poststop": hook("poststop") });
    let (code, _, said) = past(&mut bundle.made(&["create", "two"]));
    assert_eq!(code, Some(1));
    assert_eq!(said, "error: cannot run the createRuntime hook /bin/sh: ECANCELED: operation canceled\n  why: it ended with exit code 7; it wrote: no network\n");
    assert!(!exists(&bundle.room.path().join("run/two")));
    assert_eq!(std::fs::read_to_string(&log).expect("the hooks wrote it").lines().count(), 6);
    bundle.config["hooks"] = json!({ "createContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000"], "timeout": 1 }] });
    let (code, _, said) = past(&mut bundle.made(&["create", "two"]));
    assert_eq!((code, said.lines().nth(1)), (Some(1), Some("  why: it did not end within its 1 seconds, and was killed")));
}

#[test]
fn what_the_config_says_is_what_the_kernel_shows() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/domainname /proc/self/oom_score_adj; umask; id; ls -l /dev/mine | cut -c1-10");
    std::os::unix::fs::symlink("busybox", bundle.at().join("rootfs/bin/cut")).expect("the folder is ours");
    bundle.config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    bundle.config["domainname"] = "example.org".into();
    bundle.config["process"]["oomScoreAdj"] = 500.into();
    bundle.config["process"]["user"] = json!({ "uid": 1000, "gid": 2000, "umask": 0o77, "additionalGids": [3000] });
    bundle.config["linux"]["devices"] = json!([{ "path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 1000 }]);
    assert_eq!(bundle.run(), "1\nexample.org\n500\n0077\nuid=1000 gid=2000 groups=3000\ncrw-r-----\n");

    // How it runs, and mounts with every kind of option.
    let here = bundle.room.path().join("here");
    std::fs::create_dir_all(here.join("below")).expect("the room is ours");
    std::fs::write(bundle.at().join("rootfs/tmp/file"), "kept\n").expect("the room is ours");
    bundle.config["process"]["args"] = json!(["sh", "-c", "/bin/busybox uname -m; cut -d' ' -f41 /proc/self/stat; cat /tmp/file; touch /here/x /here/below/x 2>&1; grep -E ' /(here|tmp) ' /proc/mounts | cut -d, -f1-4"]);
    bundle.config["process"]["user"] = json!({ "uid": 0, "gid": 0 });
    bundle.config["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 5 });
    bundle.config["linux"]["personality"] = json!({ "domain": "LINUX32" });
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.push(json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noatime", "tmpcopyup", "mode=711"] }));
    mounts.push(json!({ "destination": "/here", "type": "bind", "source": here, "options": ["nodev", "noexec", "rro"] }));
    let said = bundle.run();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..5], ["i686", "3", "kept", "touch: /here/x: Read-only file system", "touch: /here/below/x: Read-only file system"], "{said}");
    assert!(lines[5].contains("/tmp tmpfs rw,nosuid,noatime") && lines[6].ends_with("ro,nodev,noexec,relatime"), "{said}");
}

#[test]
fn an_id_a_sysctl_or_a_cgroup_that_would_lead_out_is_refused_before_anything_is_made() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("true");
    let first = |bundle: &Bundle, id: &str| past(&mut bundle.oci(&["create", "--bundle", &bundle.at().display().to_string(), "--", id])).2.lines().next().unwrap_or_default().to_owned();
    for id in ["..", ".", "../x", "a/b", "/tmp/x", "a b", ""] {
        assert_eq!(first(&bundle, id), format!("error: invalid container id {id:?}"));
        assert_eq!(outcome(&mut bundle.oci(&["delete", "--force", "--", id])).0, Some(1));
    }
    bundle.config["linux"]["cgroupsPath"] = "/../../etc".into();
    assert_eq!(first(&bundle, "one"), "error: cannot use linux.cgroupsPath \"/../../etc\"");
    bundle.config["linux"]["cgroupsPath"] = "system.slice:skiff:one".into();
    assert_eq!(first(&bundle, "one"), "error: cannot use a cgroupsPath of the form slice:prefix:name");
    bundle.config["linux"]["cgroupsPath"] = Value::Null;
    for (name, why) in [("kernel.panic", "EPERM: operation not permitted"), ("net/../kernel/panic", "EINVAL: invalid argument")] {
        bundle.config["linux"]["sysctl"] = json!({ name: "1" });
        assert_eq!(first(&bundle, "one"), format!("error: cannot set {name}: {why}"));
    }
    bundle.config["linux"]["sysctl"] = Value::Null;
    for (field, value) in [("intelRdt", json!({ "closID": "x" })), ("mountLabel", json!("system_u:object_r:x"))] {
        bundle.config["linux"][field] = value;
        assert_eq!(first(&bundle, "one"), format!("error: cannot use linux.{field}"));
        bundle.config["linux"][field] = Value::Null;
    }
    // A limit that no file of the kernel holds is said, and not passed over.
    bundle.config["linux"]["resources"]["unified"] = json!({ "../cgroup.procs": "1" });
    let said = first(&bundle, "one");
    assert!(said.starts_with("error: cannot set linux.resources.unified \"../cgroup.procs\": no file of this cgroup holds it: E"), "{said}");
    bundle.config["linux"]["resources"]["unified"] = Value::Null;
    bundle.config["process"]["capabilities"]["inheritable"] = json!(["CAP_SYS_ADMIN"]);
    assert_eq!(first(&bundle, "one"), "error: cannot use process.capabilities.inheritable: EPERM");
    bundle.config["process"]["capabilities"]["inheritable"] = json!([]);
    bundle.config["hostname"] = "harbour".into();
    bundle.config["linux"]["namespaces"].as_array_mut().expect("a list").retain(|ns| ns["type"] != "uts");
    assert_eq!(first(&bundle, "one"), "error: cannot use hostname");
    assert!(!exists(&bundle.room.path().join("run/one")));
}

#[test]
fn an_image_that_bends_proc_sys_or_dev_or_a_config_that_names_a_descriptor_reaches_nothing_of_the_host() {
    require!(Root, Tool("busybox"));
    let mut bundle = Bundle::shell("cat /proc/self/fd/*/etc/hostname /etc/hostname 2>&1; ls /proc/self/fd");
    let first = |bundle: &Bundle| past(&mut bundle.made(&["run", "one"])).2.lines().next().unwrap_or_default().to_owned();
    // Nothing of ours is open in it: the fourth is ls's own.
    assert!(bundle.run().ends_with("\n0\n1\n2\n3\n"));
    // A working directory that is a descriptor of whoever makes the container (CVE-2024-21626).
    for fd in 3..12 {
        bundle.config["process"]["cwd"] = format!("/proc/self/fd/{fd}").into();
        let (code, out, said) = past(&mut bundle.made(&["run", "one"]));
        assert!(code != Some(0) && out.is_empty() && said.starts_with("error: "), "{fd}: {code:?} {out}{said}");
    }
    bundle.config["process"]["cwd"] = "/".into();
    // /proc and /sys that are links: what is mounted and what is masked would be two places (CVE-2019-19921, CVE-2023-27561).
    for name in ["proc", "sys"] {
        let at = bundle.at().join("rootfs").join(name);
        std::fs::remove_dir(&at).expect("it is empty");
        std::os::unix::fs::symlink("/tmp", &at).expect("the folder is ours");
        let said = first(&bundle);
        assert!(said.contains(&format!("at /{name}: it must be mounted on ordinary directory")), "{said}");
        std::fs::remove_file(&at).expect("it is a link");
        std::fs::create_dir(&at).expect("the folder is ours");
    }
    // A /dev/null of the image's own: masks would show the file that it leads to (CVE-2025-31133).
    bundle.config["mounts"].as_array_mut().expect("a list").retain(|m| !m["destination"].as_str().unwrap_or_default().starts_with("/dev"));
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/cpuinfo"]);
    let null = bundle.at().join("rootfs/dev/null");
    for lie in ["/proc/version", "/etc/hostname"] {
        let _ = std::fs::remove_file(&null);
        std::os::unix::fs::symlink(lie, &null).expect("the folder is ours");
        let said = first(&bundle);
        assert!(said.starts_with("error: cannot mask a file with /dev/null: ENODEV") || said.starts_with("error: cannot open /dev/null"), "{said}");
    }
    assert!(!exists(&bundle.room.path().join("run/one")));
}
