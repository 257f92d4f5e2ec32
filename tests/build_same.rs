//! `skiff build` where it must do what Docker's does: what is another step, what a stage hands on, what
//! links become, what is left out.

#[macro_use]
mod support;

use support::bench::{Bench, ends, reasons};
use support::stdout;

#[test]
fn the_same_words_to_another_destination_are_another_step() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nWORKDIR /tmp\nCOPY f .\n");
    bench.write("f", "text\n");
    bench.build(&[]);
    bench.write("Dockerfile", "FROM base\nWORKDIR /etc\nCOPY f .\n");
    let changed = bench.build(&["--explain"]);
    assert_eq!(reasons(&changed, "[3/3] COPY f ."), ["not cached: its destination changed: is /etc/, was /tmp/"]);
    assert_eq!(bench.run("cat /etc/f"), "text\n");
    // A folder's slash decides as well, where the stage has nothing there.
    bench.write("Dockerfile", "FROM base\nCOPY f /new\n");
    bench.build(&[]);
    bench.write("Dockerfile", "FROM base\nCOPY f /new/\n");
    bench.build(&[]);
    assert_eq!(bench.run("cat /new/f"), "text\n");
    assert_eq!(reasons(&bench.build(&["--explain", "--no-cache"]), "[2/2] COPY"), ["not cached: --no-cache was given"]);
}

#[test]
fn variables_in_flags_are_part_of_a_step() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nARG U=1:2\nARG M=600\nARG X=a\nCOPY --chown=$U --chmod=$M f /f\nCOPY --exclude=$X d /d/\n");
    bench.write("f", "text\n");
    bench.write("d/a", "");
    bench.write("d/b", "");
    bench.build(&[]);
    let root = nix::unistd::geteuid().is_root();
    let seen = |owner: &str, mode: &str, left: &str| format!("{} {mode}\n{left}\n", if root { owner } else { "0:0" });
    let look = "stat -c '%u:%g %a' /f; ls /d";
    assert_eq!(bench.run(look), seen("1:2", "600", "b"));
    let changed = bench.build(&["--explain", "--build-arg", "U=3:4", "--build-arg", "M=640", "--build-arg", "X=b"]);
    assert_eq!(reasons(&changed, "[2/3] COPY"), ["not cached: its instruction changed: was COPY --chown=1:2 --chmod=600 f /f"]);
    assert_eq!(reasons(&changed, "[3/3] COPY")[0], "not cached: its instruction changed: was COPY --exclude=a d /d/");
    assert_eq!(bench.run(look), seen("3:4", "640", "a"));
    let again = bench.build(&["--build-arg", "U=3:4", "--build-arg", "M=640", "--build-arg", "X=b"]);
    assert_eq!(ends(&again, "CACHED"), 2);
}

#[test]
fn a_stage_on_a_stage_has_its_triggers_and_its_args() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base AS a\nARG X=xx\nONBUILD COPY f /f\nONBUILD RUN echo \"$X\" > /ob\nFROM a AS b\nARG X\nRUN echo \"b $X\" > /x\nFROM b\nRUN echo \"c $X\" >> /x\n");
    bench.write("f", "text\n");
    let lines = bench.build(&[]);
    assert!(lines.iter().any(|l| l.ends_with("[b 1/3] COPY f /f")) && lines.iter().any(|l| l.ends_with("[stage-2 1/1] RUN echo \"c $X\" >> /x")), "{lines:#?}");
    assert_eq!(bench.run("cat /f /ob /x"), "text\nxx\nb xx\nc xx\n");
    let config = stdout(&mut bench.room.skiff(&["image", "inspect", "it"]));
    assert!(!config.contains("ONBUILD") && !config.contains("/ob\""), "{config}");
    let document: serde_json::Value = serde_json::from_str(&config).expect("it is a document");
    assert_eq!(document[0]["Config"].get("OnBuild").cloned().unwrap_or_default(), serde_json::Value::Null);
    bench.build(&["--build-arg", "X=given"]);
    assert_eq!(bench.run("cat /ob /x"), "given\nb given\nc given\n");
}

#[test]
fn two_stars_a_climbing_pattern_and_folders_are_as_in_docker() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nCOPY . /c/\n");
    bench.write(".dockerignore", "**.md\n../[a-b]\n**/*.o\nsub\n!sub/**/kept\nDockerfile\n.dockerignore\n");
    for name in ["a", "b.md", "x/.md", "x/y.o", "sub/deep/kept", "sub/deep/gone"] {
        bench.write(name, "");
    }
    bench.build(&[]);
    assert_eq!(bench.run("cd /c; find . -type f | sort"), "./a\n./b.md\n./sub/deep/kept\n");
}

#[test]
fn an_archives_owners_and_hard_links_stay_and_its_folder_replaces_a_link() {
    require!(UserNamespaces, Tool("tar"));
    let bench = Bench::new("FROM base\nRUN mkdir /real && ln -s /real /lnk\nADD --chown=7:8 --chmod=700 a.tar /gz/\nADD a.tar /\n");
    let make = "mkdir -p t/lnk && echo text > t/lnk/f && chmod 640 t/lnk/f && ln t/lnk/f t/lnk/g && tar --owner=12 --group=13 -C t -cf a.tar lnk && rm -r t";
    stdout(bench.room.command("sh").args(["-c", make]).current_dir(bench.context()));
    bench.build(&[]);
    let owners = if nix::unistd::geteuid().is_root() { ["7:8", "12:13"] } else { ["0:0", "0:0"] };
    let expected = format!("{} 755\n{} 640 2\ndirectory\ntext\n", owners[0], owners[1]);
    assert_eq!(bench.run("stat -c '%u:%g %a' /gz; stat -c '%u:%g %a %h' /gz/lnk/g; stat -c %F /lnk; cat /lnk/g; ls /real"), expected);
}

#[test]
fn a_tar_that_does_not_say_ustar_is_one() {
    require!(UserNamespaces, Tool("tar"));
    let bench = Bench::new("FROM base\nADD old.tar old.tar.gz /o/\n");
    let make = "echo text > f && tar --format=v7 -cf old.tar f && mv f g && tar --format=v7 -czf old.tar.gz g && rm g";
    stdout(bench.room.command("sh").args(["-c", make]).current_dir(bench.context()));
    bench.build(&[]);
    assert_eq!(bench.run("cat /o/f /o/g; ls /o"), "text\ntext\nf\ng\n");
}

#[test]
fn a_url_without_a_name_can_have_one_here() {
    require!(UserNamespaces);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\npage\n");
        }
    });
    let bench = Bench::new(&format!("FROM base\nADD http://{address}/ /file\nADD http://{address}/other.txt /to/\n"));
    bench.build(&[]);
    assert_eq!(bench.run("cat /file /to/other.txt"), "page\npage\n");
    for url in [format!("http://{address}/"), format!("http://{address}/x/..")] {
        bench.write("Dockerfile", &format!("FROM base\nADD {url} /to/\n"));
        let said = bench.refused(&[]);
        assert!(said.contains(&format!("cannot determine filename for source {url}\n")), "{said}");
    }
}

#[test]
fn a_stage_that_cannot_be_copied_from_is_named() {
    require!(UserNamespaces);
    let bench = Bench::new("");
    let wrong = |dockerfile: &str| {
        bench.write("Dockerfile", dockerfile);
        bench.refused(&["--target", "c"]).lines().find(|l| l.starts_with("error: ")).map(str::to_owned).unwrap_or_default()
    };
    let at = "error: Dockerfile:2:1: invalid from flag value";
    assert_eq!(wrong("FROM base AS c\nCOPY --from=c /a /b\n"), format!("{at} c: it is this stage itself, and only an earlier one is done by then"));
    assert_eq!(wrong("FROM base AS c\nRUN --mount=type=bind,from=d,target=/d true\nFROM base AS d\n"), format!("{at} d: that stage comes later, and only an earlier one is done by then"));
    assert!(wrong("FROM base AS c\nCOPY --from=$X /a /b\n").starts_with(&format!("{at} $X: variable expansion is not supported for --from")));
    // The beginning of an ID, and no name: nobody's files are taken for it.
    bench.write("Dockerfile", "FROM base\n");
    let id = bench.id(&[]);
    let start = &id.trim().trim_start_matches("sha256:")[..12];
    bench.write("Dockerfile", &format!("FROM base AS c\nCOPY --from={start} /bin/sh /b\n"));
    let (code, said) = bench.in_a_minute(&["-q"]);
    assert!(code == Some(1) && said.starts_with(&format!("{at} {start}: no earlier stage has this name, and no image: ")), "{code:?} {said}");
    bench.write("Dockerfile", "FROM base AS builder\nFROM base AS c\nCOPY --from=biulder /bin/sh /b\n");
    let (_, said) = bench.in_a_minute(&["-q"]);
    assert!(said.contains("no earlier stage has this name (did you mean builder?), and no image: "), "{said}");
}

/// An image without layers whose config has these triggers, as an archive that anybody could make.
fn with_triggers(bench: &Bench, triggers: &serde_json::Value) {
    let config = serde_json::json!({ "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux",
        "config": { "OnBuild": triggers }, "rootfs": { "type": "layers", "diff_ids": [] } });
    bench.write("config.json", &config.to_string());
    bench.write("manifest.json", r#"[{"Config":"config.json","RepoTags":["evil:latest"],"Layers":[]}]"#);
    let load = "tar -cf evil.tar manifest.json config.json && skiff load -i evil.tar";
    stdout(bench.room.command("sh").args(["-c", load]).current_dir(bench.context()));
}

#[test]
fn each_trigger_of_a_base_is_one_instruction() {
    require!(UserNamespaces, Tool("tar"));
    let bench = Bench::new("FROM evil\nLABEL own=1\n");
    with_triggers(&bench, &serde_json::json!(["LABEL a=1 \\", "LABEL b=2"]));
    bench.build(&[]);
    let shown = stdout(&mut bench.room.skiff(&["image", "inspect", "it"]));
    let document: serde_json::Value = serde_json::from_str(&shown).expect("it is a document");
    assert_eq!(document[0]["Config"]["Labels"], serde_json::json!({ "a": "1", "b": "2", "own": "1" }));
    for (trigger, problem) in [
        ("FROM scratch", "error: ONBUILD of evil:1:1: FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD LABEL c=3", "error: ONBUILD of evil:1:1: ONBUILD isn't allowed as an ONBUILD trigger"),
        ("LABEL a=1\nLABEL c=3", "error: ONBUILD of evil: a trigger is one instruction, and this is 2"),
    ] {
        with_triggers(&bench, &serde_json::json!([trigger]));
        assert_eq!(bench.refused(&[]).lines().next(), Some(problem));
    }
}
