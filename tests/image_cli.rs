//! Containers into images and archives and back, removal and what is left, beside real Docker: diff,
//! commit, export, import, prune, system df.

#[macro_use]
mod support;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use support::docker::Docker;
use support::{Room, outcome, stdout};

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn diff_export_import_and_commit_are_dockers() {
    require!(Root, Docker, Tool("busybox"));
    let docker = Docker::start();
    let room = Room::new();
    let at = |name: &str| room.path().join(name).display().to_string();
    // The same image in both.
    stdout(docker.client().args(["save", "-o", &at("base.tar"), "base"]));
    stdout(&mut room.skiff(&["load", "-i", &at("base.tar")]));
    let change = "mkdir -p /srv/www; echo hello >/srv/www/index.html; rm /bin/ls; chmod 700 /tmp; rm -r /root; mkdir /root; touch /root/new; mkdir /etc/x; rmdir /etc/x; \
        ln -s /srv /link; ln /srv/www/index.html /hard";
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", change]));
    stdout(docker.client().args(["run", "--network", "none", "--name", "web", "base", "sh", "-c", change]));
    assert_eq!(lines(&stdout(&mut room.skiff(&["diff", "web"]))), lines(&stdout(docker.client().args(["diff", "web"]))));

    // The whole tree, but for what each engine puts there itself.
    stdout(&mut room.skiff(&["export", "-o", &at("ours.tar"), "web"]));
    stdout(docker.client().args(["export", "-o", &at("theirs.tar"), "web"]));
    let list = |file: &str| -> BTreeSet<String> {
        let listed = stdout(Command::new("tar").args(["--numeric-owner", "--full-time", "-tvf", &at(file)]));
        let own = |line: &&str| !["dev/", "proc/", "sys/", ".dockerenv", "etc/"].iter().any(|p| line.split_whitespace().nth(5).is_some_and(|n| n.starts_with(p)));
        // Times of folders that an engine makes differ, and of two hard links either may come first.
        listed.lines().filter(own).map(|l| l.split_whitespace().enumerate().filter(|(i, _)| ![3, 4].contains(i)).map(|(_, w)| w).collect::<Vec<_>>().join(" ")).map(|l| {
            if l.contains("hard") || l.contains("index.html") { l.split(" link to ").next().unwrap_or_default()[1..].replace(" 6 ", " 0 ").to_owned() } else { l }
        }).collect()
    };
    assert_eq!(list("ours.tar"), list("theirs.tar"));
    let piped = room.skiff(&["export", "web"]).output().expect("skiff runs").stdout;
    assert_eq!(piped, std::fs::read(at("ours.tar")).expect("an archive"), "to a pipe it is the same");

    // In again, each the other's.
    let words = ["import", "-c", "CMD [\"cat\", \"/srv/www/index.html\"]", "-c", "ENV A=1", "-m", "from elsewhere"];
    let ours = stdout(&mut room.skiff(&[words.as_slice(), &[&at("theirs.tar"), "again:1"]].concat()));
    let theirs = stdout(docker.client().args(words).args([&at("ours.tar"), "again:1"]));
    assert!([&ours, &theirs].iter().all(|id| id.starts_with("sha256:") && id.len() == 72), "{ours}{theirs}");
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "again:1"])), "hello\n");
    assert_eq!(stdout(docker.client().args(["run", "--rm", "--network", "none", "again:1"])), "hello\n");
    for format in ["{{.Config.Cmd}} {{.Config.Env}} {{.Comment}}", "{{len .RootFS.Layers}}"] {
        assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", format, "again:1"])), stdout(docker.client().args(["inspect", "-f", format, "again:1"])));
    }
    let words = ["history", "--format", "{{.CreatedBy}}|{{.Comment}}", "again:1"];
    assert_eq!(stdout(&mut room.skiff(&words)), stdout(docker.client().args(words)));
    let (code, _, err) = outcome(room.skiff(&["import", "-", "x"]).stdin(Stdio::null()));
    assert_eq!((code, err.as_str()), (Some(1), "error: the archive cannot be read: it is empty\n"));

    let changes = ["-c", "ENTRYPOINT [\"/bin/sh\"]", "-c", "CMD [\"-c\", \"id -u\"]", "-c", "USER 7", "-c", "LABEL a=b", "-m", "why", "-a", "who"];
    stdout(&mut room.skiff(&[["commit"].as_slice(), &changes, &["web", "mine:1"]].concat()));
    stdout(docker.client().arg("commit").args(changes).args(["web", "mine:1"]));
    for format in ["{{.Config.Entrypoint}}{{.Config.Cmd}}{{.Config.User}}{{.Config.Labels}}", "{{.Author}} {{.Comment}}"] {
        assert_eq!(stdout(&mut room.skiff(&["inspect", "-f", format, "mine:1"])), stdout(docker.client().args(["inspect", "-f", format, "mine:1"])));
    }
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "mine:1"])), "7\n");
}

#[test]
fn prune_takes_what_nobody_needs_and_df_counts_the_rest() {
    require!(UserNamespaces, Tool("busybox"));
    let room = Room::new();
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", "head -c 500000 /dev/urandom >/big"]));
    stdout(&mut room.skiff(&["commit", "web", "web:1"]));
    let first = stdout(&mut room.skiff(&["images", "-q", "--no-trunc", "web"]));
    stdout(&mut room.skiff(&["commit", "-m", "again", "web", "web:1"]));
    assert_eq!(stdout(&mut room.skiff(&["images", "-q", "--no-trunc", "--filter", "dangling=true"])), first, "the name went to the second");
    let shown = stdout(&mut room.skiff(&["images", "--format", "{{.Repository}}:{{.Tag}}"]));
    assert_eq!(lines(&shown), lines("web:1\n<none>:<none>\nbase:latest\n"));

    // Without an answer nothing goes.
    let asked = stdout(&mut room.skiff(&["image", "prune"]));
    assert_eq!(asked, "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ");
    let pruned = stdout(&mut room.skiff(&["image", "prune", "-f"]));
    let said: Vec<&str> = pruned.lines().collect();
    assert_eq!(said[..2], ["Deleted Images:", &format!("deleted: {}", first.trim())]);
    assert!(said.last().is_some_and(|l| l.starts_with("Total reclaimed space: ") && !l.ends_with(" 0B")), "{pruned}");
    assert_eq!(stdout(&mut room.skiff(&["image", "prune", "-f"])), "Total reclaimed space: 0B\n");

    let rows = stdout(&mut room.skiff(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"]));
    assert_eq!(rows, "Images 2 1\nContainers 1 0\nLocal Volumes 0 0\nBuild Cache 0 0\n");
    let head = stdout(&mut room.skiff(&["system", "df"])).lines().next().unwrap_or_default().to_owned();
    assert_eq!(head, "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE");
    let verbose = stdout(&mut room.skiff(&["system", "df", "-v"]));
    let web = verbose.lines().find(|l| l.starts_with("web ")).expect("a line for the image");
    assert!(web.ends_with("0") && web.contains("500kB"), "what only this image has: {web}");

    // All that no container uses: base stays, for the sake of the container.
    let pruned = stdout(&mut room.skiff(&["image", "prune", "-af", "--filter", "until=240h"]));
    assert_eq!(pruned, "Total reclaimed space: 0B\n");
    let pruned = stdout(&mut room.skiff(&["image", "prune", "-af"]));
    assert_eq!(pruned.lines().nth(1), Some("untagged: web:1"));
    assert_eq!(stdout(&mut room.skiff(&["images", "--format", "{{.Repository}}"])), "base\n");
    let (code, _, err) = outcome(&mut room.skiff(&["images", "--filter", "colour=red"]));
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: cannot filter images by \"colour=red\": its key is one of dangling, label, reference, before, since, until\n"), "{err}");
    let (code, _, err) = outcome(&mut room.skiff(&["images", "--format", "{{.Nothing}}"]));
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: the format \"{{.Nothing}}\" cannot be filled: there is no field Nothing\n  why: there are: Containers, CreatedAt,"), "{err}");
}
