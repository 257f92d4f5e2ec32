//! The same Dockerfile built by skiff and by real Docker: the same config, the same files; and skiff's
//! image runs in Docker as it does here.

#[macro_use]
mod support;

use serde_json::Value;
use std::fs;
use support::docker::Docker;
use support::registry::Served;
use support::{Room, stdout};

const DOCKERFILE: &str = r##"
ARG FLAVOUR=plain
FROM base AS made
ARG FLAVOUR
WORKDIR /build/deep
COPY --chown=7:8 tree/ ./tree
COPY *.txt one.sh /texts/
RUN echo "$FLAVOUR" > flavour && chmod 1770 tree && ln -s flavour link
FROM base
ARG FLAVOUR
ENV GREETING="hello world" TAIL=${FLAVOUR:+-x} \
    QUOTED='single $GREETING' HOME_OF=${NOBODY:-none}
ENV old form of $FLAVOUR
LABEL a=1 "b c"="d e"
LABEL old form
COPY --from=made /build /made
ADD archive.tar /unpacked
WORKDIR /made
WORKDIR deep
USER 7:8
EXPOSE 80 53/udp 8000-8002
VOLUME ["/data", "/more data"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=1m30s --retries=2 CMD test -e /made
SHELL ["/bin/sh", "-e", "-c"]
ONBUILD RUN echo built on
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cd /; find made unpacked etc -exec stat -c '%n %a %F %u %g' {} + | sort; env | sort"]
"##;

fn context(room: &Room) -> String {
    let at = room.path().join("context");
    fs::create_dir_all(at.join("tree/inner")).expect("the room is ours");
    for (name, text) in [("Dockerfile", DOCKERFILE), ("tree/inner/file", "x\n"), ("a.txt", "a\n"), ("b.txt", "b\n"), ("one.sh", "#!/bin/sh\n"), (".dockerignore", "**/ignored\n"), ("tree/ignored", "no\n")] {
        fs::write(at.join(name), text).expect("the room is ours");
    }
    std::os::unix::fs::symlink("inner/file", at.join("tree/link")).expect("the room is ours");
    stdout(room.command("tar").arg("-C").arg(at.join("tree")).args(["--owner=3", "--group=4", "-cf"]).arg(at.join("archive.tar")).arg("inner"));
    at.display().to_string()
}

/// What the engines must agree on.
fn config(document: &Value) -> Value {
    let keys = ["Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell", "StopSignal", "User", "Volumes", "WorkingDir"];
    keys.iter().map(|k| ((*k).to_owned(), document[*k].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a_dockerfile_becomes_the_same_image_in_docker_and_here() {
    require!(Root, Docker, Tool("busybox"));
    let docker = Docker::start();
    let room = Room::new();
    let context = context(&room);
    let base = room.path().join("base.tar").display().to_string();
    stdout(docker.client().args(["save", "-o", &base, "base"]));
    stdout(&mut room.skiff(&["load", "-q", "-i", &base]));
    stdout(docker.client().args(["build", "-q", "--network", "none", "--build-arg", "FLAVOUR=odd", "-t", "theirs", &context]).env("DOCKER_BUILDKIT", "0"));
    stdout(&mut room.skiff(&["build", "-q", "--build-arg", "FLAVOUR=odd", "-t", "ours", &context]));
    let ours = room.path().join("ours.tar").display().to_string();
    stdout(&mut room.skiff(&["save", "-o", &ours, "ours"]));
    assert_eq!(stdout(docker.client().args(["load", "-i", &ours])), "Loaded image: ours:latest\n");

    let inspect = |name: &str| -> Value {
        let text = stdout(docker.client().args(["image", "inspect", "-f", "{{json .Config}}", name]));
        config(&serde_json::from_str(&text).expect("docker prints JSON"))
    };
    assert_eq!(inspect("ours"), inspect("theirs"));

    let run = |name: &str| stdout(docker.client().args(["run", "--rm", "--network", "none", "--hostname", "it", name]));
    // What the engines bring themselves differs by engine, not by image.
    let own = |text: String| -> Vec<String> { text.lines().filter(|l| !["etc/host", "etc/resolv", "etc/mtab", "HOSTNAME"].iter().any(|p| l.starts_with(p))).map(str::to_owned).collect() };
    let (mine, theirs) = (own(run("ours")), own(run("theirs")));
    assert!(mine.contains(&"made/deep/tree/inner/file 644 regular file 7 8".to_owned()), "{mine:?}");
    assert_eq!(mine, theirs);
    let here = own(stdout(&mut room.skiff(&["run", "--rm", "--hostname", "it", "ours"])));
    assert_eq!(here, mine);

    // What Docker built runs here as it does there, from its archive and from a registry, with the same ID.
    let other = Room::new();
    let theirs_tar = room.path().join("theirs.tar").display().to_string();
    stdout(docker.client().args(["save", "-o", &theirs_tar, "theirs"]));
    stdout(&mut other.skiff(&["load", "-q", "-i", &theirs_tar]));
    let id = stdout(docker.client().args(["image", "inspect", "-f", "{{.Id}}", "theirs"]));
    assert_eq!(stdout(&mut other.skiff(&["image", "inspect", "-f", "{{.Id}}", "theirs"])), id);
    assert_eq!(own(stdout(&mut other.skiff(&["run", "--rm", "--hostname", "it", "theirs"]))), theirs);
    let registry = Served::ours(&room, &[]);
    let name = format!("{}/theirs", registry.host);
    stdout(docker.client().args(["tag", "theirs", &name]));
    let pushed = stdout(docker.client().args(["push", &name]));
    let digest = pushed.split(' ').find(|w| w.starts_with("sha256:")).expect("push says the digest").to_owned();
    stdout(&mut other.skiff(&["pull", "-q", &name]));
    let known = stdout(&mut other.skiff(&["images", "--no-trunc", "--format", "{{.Digest}} {{.ID}}", &name]));
    assert_eq!(known, format!("{digest} {id}"));
    assert_eq!(own(stdout(&mut other.skiff(&["run", "--rm", "--hostname", "it", &name]))), theirs);
    // And ours, pushed from here and pulled there: the manifest's digest too.
    let name = format!("{}/ours", registry.host);
    stdout(&mut room.skiff(&["tag", "ours", &name]));
    stdout(&mut room.skiff(&["push", "-q", &name]));
    let digest = stdout(&mut room.skiff(&["images", "--no-trunc", "--format", "{{.Digest}}", "ours"]));
    stdout(docker.client().args(["rmi", "-f", "ours"]));
    let pulled = stdout(docker.client().args(["pull", &name]));
    assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}{digest}");
    assert_eq!(own(run(&name)), mine);
}
