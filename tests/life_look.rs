//! What there is to see of containers: lists, filters, documents, processes, use; and limits that change.

#[macro_use]
mod support;

use serde_json::Value;
use support::{Room, outcome, stdout};

fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

fn inspect(room: &Room, name: &str) -> Value {
    let all: Value = serde_json::from_str(&stdout(&mut room.skiff(&["inspect", name]))).expect("JSON");
    all[0].clone()
}

#[test]
fn the_list_has_dockers_columns_and_its_command_dockers_quotes() {
    require!(UserNamespaces);
    let room = furnished();
    let head = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n";
    assert_eq!(stdout(&mut room.skiff(&["ps"])), head);
    stdout(&mut room.skiff(&["create", "--name", "box", "base", "sh", "-c", "echo \"a b\""]));
    let command = |format: &[&str]| stdout(&mut room.skiff(&[&["ps", "-a", "--format", "{{.Command}}"], format].concat()));
    assert_eq!(command(&["--no-trunc"]), "\"sh -c 'echo \\\"a b\\\"'\"\n");
    stdout(&mut room.skiff(&["rm", "box"]));
    stdout(&mut room.skiff(&["create", "--name", "box", "base", "sleep", "1234567890123456"]));
    assert_eq!(command(&[]), "\"sleep 1234567890123…\"\n");
    let sized = stdout(&mut room.skiff(&["ps", "-as", "--format", "{{.Size}}"]));
    assert!(sized.starts_with("0B (virtual "), "{sized}");
}

#[test]
fn filters_of_one_key_are_alternatives_and_of_several_all_hold() {
    require!(UserNamespaces);
    let room = furnished();
    for (name, label) in [("red-1", "team=red"), ("red-2", "team=red"), ("blue", "team=blue")] {
        stdout(&mut room.skiff(&["create", "--name", name, "-l", label, "base", "sh", "-c", "exit 3"]));
    }
    stdout(&mut room.skiff(&["start", "red-2"]));
    stdout(&mut room.skiff(&["wait", "red-2"]));
    let names = |filters: &[&str]| {
        let filters: Vec<&str> = filters.iter().flat_map(|f| ["--filter", f]).collect();
        stdout(&mut room.skiff(&[&["ps", "-a", "--format", "{{.Names}}"], &filters[..]].concat()))
    };
    assert_eq!(names(&["label=team=red"]), "red-2\nred-1\n");
    assert_eq!(names(&["name=1", "name=blue"]), "blue\nred-1\n");
    assert_eq!(names(&["name=^red-1$"]), "red-1\n");
    assert_eq!(names(&["status=created", "label=team=red"]), "red-1\n");
    assert_eq!(names(&["exited=3"]), "red-2\n");
    assert_eq!(names(&["before=blue", "since=red-1"]), "red-2\n");
    assert_eq!(names(&["ancestor=base", "label=team=blue"]), "blue\n");
    let (code, _, err) = outcome(&mut room.skiff(&["ps", "--filter", "colour=red"]));
    assert!(code == Some(125) && err.starts_with("error: invalid value \"colour=red\" for --filter: its key is one of "), "{code:?} {err}");
    assert_eq!(stdout(&mut room.skiff(&["ps", "-l", "--format", "{{.Names}}"])), "blue\n");
    assert_eq!(stdout(&mut room.skiff(&["ps", "-n", "2", "--format", "{{.Names}}"])), "blue\nred-2\n");
}

#[test]
fn the_document_is_dockers_before_while_and_after_it_runs() {
    require!(Root, Controller("memory"));
    let room = furnished();
    let words = ["create", "--name", "box", "-m", "64m", "--cpus", "0.5", "-e", "A=1", "-w", "/tmp", "-v", "/tmp:/x:ro", "--restart", "on-failure:3", "base", "sh", "-c", "exit 9"];
    let id = stdout(&mut room.skiff(&words));
    let made = inspect(&room, "box");
    assert_eq!(made["Id"], id.trim());
    assert_eq!((made["Name"].as_str(), made["Path"].as_str()), (Some("/box"), Some("sh")));
    assert_eq!(made["Args"], serde_json::json!(["-c", "exit 9"]));
    assert_eq!((made["State"]["Status"].as_str(), made["State"]["StartedAt"].as_str()), (Some("created"), Some("0001-01-01T00:00:00Z")));
    assert_eq!((made["HostConfig"]["Memory"].as_i64(), made["HostConfig"]["NanoCpus"].as_i64()), (Some(64 << 20), Some(500_000_000)));
    assert_eq!(made["HostConfig"]["RestartPolicy"], serde_json::json!({ "Name": "on-failure", "MaximumRetryCount": 3 }));
    assert_eq!(made["HostConfig"]["Binds"], serde_json::json!(["/tmp:/x:ro"]));
    assert_eq!((made["Mounts"][0]["Destination"].as_str(), made["Mounts"][0]["RW"].as_bool()), (Some("/x"), Some(false)));
    assert_eq!(made["Config"]["Cmd"], serde_json::json!(["sh", "-c", "exit 9"]));
    assert_eq!(made["Config"]["WorkingDir"], "/tmp");
    assert!(made["Config"]["Env"].as_array().expect("a list").contains(&"A=1".into()));
    stdout(&mut room.skiff(&["update", "--restart", "no", "box"]));
    stdout(&mut room.skiff(&["start", "box"]));
    stdout(&mut room.skiff(&["wait", "box"]));
    let ended = inspect(&room, "box");
    let state = &ended["State"];
    assert_eq!((state["Status"].as_str(), state["Running"].as_bool(), state["ExitCode"].as_i64(), state["Pid"].as_i64()), (Some("exited"), Some(false), Some(9), Some(0)));
    assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", "{{.State.ExitCode}} {{.Config.Image}} {{.HostConfig.NetworkMode}}", "box"])), "9 base bridge\n");
    assert!(state["StartedAt"].as_str() <= state["FinishedAt"].as_str() && state["StartedAt"].as_str() > made["Created"].as_str());
}

#[test]
fn the_processes_of_a_container_are_shown_with_those_that_were_entered() {
    require!(Root, Controller("pids"), Tool("ps"));
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "base", "sh", "-c", "sleep 6001 & exec sleep 6002"]));
    let mut entered = room.skiff(&["exec", "box", "sh", "-c", "echo in; exec sleep 6003"]).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    support::read_until(entered.stdout.as_mut().expect("piped"), "in", std::time::Duration::from_secs(10));
    let mut seen = String::new();
    for _ in 0..1000 {
        seen = stdout(&mut room.skiff(&["top", "box", "-o", "pid,args"])).lines().skip(1).collect::<Vec<_>>().join(",");
        if seen.matches("sleep 600").count() == 3 {
            break;
        }
    }
    assert_eq!(seen.matches("sleep 600").count(), 3, "{seen}");
    let usual = stdout(&mut room.skiff(&["top", "box"]));
    assert!(usual.starts_with("UID                 PID                 PPID                C                   STIME               TTY                 TIME                CMD\n"), "{usual}");
    let tree = stdout(&mut room.skiff(&["ps", "--tree"]));
    assert!(tree.contains("(1 inside)  sleep 6002") && tree.contains("sleep 6001") && tree.contains("sleep 6003"), "{tree}");
    stdout(&mut room.skiff(&["kill", "box"]));
    entered.wait().expect("our child");
    let (code, _, err) = outcome(&mut room.skiff(&["top", "box"]));
    assert!(code == Some(1) && err.starts_with("error: container box is not running\n"), "{err}");
}

#[test]
fn limits_change_while_it_runs_and_stay_for_the_next_start() {
    require!(Root, Controller("memory"), Controller("pids"));
    let room = furnished();
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "-m", "64m", "base", "sleep", "600"]));
    assert_eq!(stdout(&mut room.skiff(&["update", "-m", "32m", "--memory-swap", "64m", "--pids-limit", "20", "box"])), "box\n");
    let usage = || stdout(&mut room.skiff(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", "box"]));
    assert!(usage().ends_with(" / 32MiB 1\n"), "{}", usage());
    stdout(&mut room.skiff(&["restart", "-t", "0", "box"]));
    assert!(usage().starts_with("box ") && usage().ends_with(" / 32MiB 1\n"), "{}", usage());
    assert_eq!(inspect(&room, "box")["HostConfig"]["PidsLimit"], 20);
    let head = stdout(&mut room.skiff(&["stats", "--no-stream"]));
    assert!(head.starts_with("CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT"), "{head}");
    let (code, _, err) = outcome(&mut room.skiff(&["update", "-m", "1k", "box"]));
    assert!(code == Some(125) && err.starts_with("error: invalid value \"1k\" for --memory"), "{code:?} {err}");
}

#[test]
fn the_longer_words_do_the_same_and_prune_removes_what_does_not_run() {
    require!(UserNamespaces);
    let room = furnished();
    let made = stdout(&mut room.skiff(&["container", "create", "--name", "one", "base", "true"]));
    stdout(&mut room.skiff(&["container", "run", "-d", "--name", "two", "base", "sleep", "600"]));
    assert_eq!(stdout(&mut room.skiff(&["container", "ls", "-a", "--format", "{{.Names}}"])), "two\none\n");
    assert_eq!(stdout(&mut room.skiff(&["container", "prune", "-f"])), format!("Deleted Containers:\n{made}\nTotal reclaimed space: 0B\n"));
    assert_eq!(stdout(&mut room.skiff(&["container", "prune", "-f"])), "Total reclaimed space: 0B\n");
    assert_eq!(stdout(&mut room.skiff(&["info", "-f", "{{.Containers}} {{.ContainersRunning}}"])), "1 1\n");
    assert_eq!(stdout(&mut room.skiff(&["version", "-f", "{{.Client.Os}}"])), "linux\n");
}

#[test]
fn after_a_reboot_what_should_run_is_started() {
    require!(UserNamespaces);
    let room = furnished();
    for (name, policy) in [("always", "always"), ("unless", "unless-stopped"), ("never", "no"), ("stopped", "unless-stopped")] {
        stdout(&mut room.skiff(&["run", "-d", "--name", name, "--restart", policy, "base", "sleep", "600"]));
    }
    stdout(&mut room.skiff(&["stop", "-t", "0", "stopped"]));
    // What a reboot does: all that looks after them ends at once.
    for entry in std::fs::read_dir(room.skiff_root().join("containers")).expect("it is there").flatten() {
        let text = std::fs::read_to_string(entry.path().join("lock")).unwrap_or_default();
        let pids: Vec<i32> = text.split(' ').enumerate().filter(|(n, _)| *n != 1).filter_map(|(_, n)| n.parse().ok()).collect();
        if text.starts_with("exit") {
            continue;
        }
        // Held still first: the one that lives on would take over.
        let signal = |signal| {
            for pid in &pids {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), signal);
            }
        };
        signal(nix::sys::signal::Signal::SIGSTOP);
        signal(nix::sys::signal::Signal::SIGKILL);
    }
    let states = || stdout(&mut room.skiff(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]));
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while states().contains("running") && std::time::Instant::now() < end {}
    assert_eq!(stdout(&mut room.skiff(&["system", "resume"])), "always\nunless\n");
    assert_eq!(states(), "stopped exited\nnever exited\nunless running\nalways running\n");
    assert!(stdout(&mut room.skiff(&["system", "resume", "--help"])).contains("ExecStart=/usr/local/bin/skiff system resume"));
}

#[test]
fn the_kernels_view_of_a_container_is_what_the_kernel_shows_elsewhere_and_fits_a_terminal() {
    require!(Root, Controller("memory"), Controller("pids"), Tool("ip"), Tool("nft"));
    let room = Room::new();
    stdout(&mut room.skiff(&["run", "-d", "--name", "web", "-m", "64m", "--pids-limit", "17", "--cap-drop", "ALL", "--cap-add", "KILL", "-p", "127.0.0.1:0:80", "base", "sleep", "600"]));
    let shown = stdout(room.skiff(&["inspect", "--kernel", "web"]).env("COLUMNS", "80"));
    let pid = stdout(&mut room.skiff(&["inspect", "-f", "{{.State.Pid}}", "web"])).trim().to_owned();
    let field = |format: &str| stdout(&mut room.skiff(&["inspect", "-f", format, "web"])).trim().to_owned();
    let line = |start: &str| shown.lines().find(|l| l.trim_start().starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{shown}")).trim().to_owned();
    assert_eq!(line("process"), format!("process {pid} here, 1 inside"));
    for kind in ["net", "mnt", "user"] {
        let inode = |who: &str| stdout(std::process::Command::new("readlink").arg(format!("/proc/{who}/ns/{kind}"))).trim().trim_end_matches(']').rsplit('[').next().expect("an inode").to_owned();
        let own = if kind == "user" { "shared".to_owned() } else { inode(&pid) };
        assert_eq!(line(kind).split_whitespace().collect::<Vec<_>>(), [kind, own.as_str(), inode("self").as_str()]);
    }
    assert!(line("memory.").contains(" 67108864 (64 MiB) ") && line("pids.max").contains(" 17 "), "{shown}");
    let address = field("{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}");
    assert_eq!(line("eth0").split_whitespace().collect::<Vec<_>>(), ["eth0", address.as_str(), "up"]);
    // The host's end of the cable, as ip(8) has it.
    let other = line("the other end here:").split([':', ',']).nth(1).expect("a link").trim().to_owned();
    let links = stdout(std::process::Command::new("ip").args(["-o", "link", "show", &other]));
    let bridge = links.split("master ").nth(1).and_then(|rest| rest.split(' ').next()).expect("it is plugged in");
    assert!(line("the other end here:").contains(&format!("in {bridge} (")), "{shown}\n{links}");
    // The rule, as nft(8) has it.
    let table = line("rules:").rsplit(' ').next().expect("a table").to_owned();
    let rules = stdout(std::process::Command::new("nft").args(["list", "table", "ip", &table]));
    assert!(rules.contains(line("bound").trim_start_matches("bound").trim().trim_start_matches("has ")), "{shown}\n{rules}");
    assert_eq!(line("capabilities"), "capabilities effective, permitted, bounding: kill");
    let long: Vec<&str> = shown.lines().filter(|l| l.chars().count() > 80 && !l.contains("/tmp/")).collect();
    assert_eq!(long, Vec::<&str>::new());
    let (code, _, err) = { stdout(&mut room.skiff(&["kill", "web"])); outcome(&mut room.skiff(&["inspect", "--kernel", "web"])) };
    assert!(code == Some(1) && err.contains("web"), "{code:?} {err}");
}
