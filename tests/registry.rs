//! skiff and registries, with others as the judges: Debian's registry takes and gives what skiff sends,
//! skopeo and real Docker take and give what `skiff registry serve` has.

#[macro_use]
mod support;

use std::path::Path;
use support::docker::Docker;
use support::registry::{Served, ask};
use support::{Room, outcome, stdout};

/// A room with `base` in it.
fn room() -> Room {
    let room = Room::new();
    stdout(&mut room.skiff(&["history", "base"]));
    room
}

/// What `skiff images` says of a name: digest and ID.
fn known(room: &Room, name: &str) -> (String, String) {
    let text = stdout(&mut room.skiff(&["images", "--json", name]));
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or_else(|| panic!("{name} is not here"))).expect("JSON");
    let field = |f: &str| line[f].as_str().expect("a text").to_owned();
    (field("Digest"), field("ID"))
}

/// Exit code and error of a command that must fail, its wrapped lines joined.
fn fails(room: &Room, args: &[&str]) -> (Option<i32>, String) {
    let (code, _, err) = outcome(&mut room.skiff(args));
    (code, err.replace("\n       ", " "))
}

#[test]
fn an_image_goes_to_debians_registry_and_comes_back_the_same() {
    require!(Tool("docker-registry"), Tool("busybox"), UserNamespaces);
    let (here, there) = (room(), Room::new());
    let registry = Served::debian(&here, false);
    let name = format!("{}/team/base", registry.host);
    stdout(&mut here.skiff(&["tag", "base", &name]));
    let pushed = stdout(&mut here.skiff(&["push", &name]));
    let (digest, id) = known(&here, "base");
    let mut lines = pushed.lines();
    assert_eq!(lines.next().unwrap(), format!("The push refers to repository [{name}]"));
    assert_eq!(lines.next().unwrap(), "Using default tag: latest");
    assert!(lines.next_back().unwrap().starts_with(&format!("latest: digest: {digest} size: ")), "{pushed}");
    assert_eq!(pushed.lines().filter(|l| l.ends_with(": Pushed")).count(), 3, "{pushed}");

    let pulled = stdout(&mut there.skiff(&["pull", &name]));
    assert!(pulled.starts_with("Using default tag: latest\nlatest: Pulling from team/base\n"), "{pulled}");
    assert!(pulled.ends_with(&format!("Digest: {digest}\nStatus: Downloaded newer image for {name}:latest\n{name}:latest\n")), "{pulled}");
    assert_eq!(known(&there, &name), (digest.clone(), id));
    assert_eq!(stdout(&mut there.skiff(&["run", "--rm", &name, "echo", "hi"])), "hi\n");

    let again = stdout(&mut there.skiff(&["pull", &name]));
    let status = format!("Digest: {digest}\nStatus: Image is up to date for {name}:latest\n{name}:latest\n");
    assert_eq!(again, format!("Using default tag: latest\nlatest: Pulling from team/base\n{status}"));
    // By digest, without a name.
    let by_digest = format!("{name}@{digest}");
    assert_eq!(stdout(&mut there.skiff(&["pull", "-q", &by_digest])), format!("{by_digest}\n"));

    // The second repository has its layers from the first.
    let other = format!("{}/other:2", registry.host);
    stdout(&mut here.skiff(&["tag", "base", &other]));
    let mounted = stdout(&mut here.skiff(&["push", &other]));
    assert_eq!(mounted.lines().filter(|l| l.ends_with(": Mounted from team/base")).count(), 3, "{mounted}");
    assert_eq!(stdout(&mut there.skiff(&["pull", "-q", "-a", &format!("{}/other", registry.host)])), format!("{}/other\n", registry.host));
    assert_eq!(known(&there, &other).0, digest);

    let (code, err) = fails(&there, &["pull", "--platform", "linux/mips64", &name]);
    let here = format!("linux/{}", oci_spec::image::Arch::default());
    let first = format!("error: no matching manifest for linux/mips64 in the manifest list entries of {name}:latest\n");
    assert_eq!((code, err), (Some(1), format!("{first}  why: it has {here}\n  try: --platform {here}\n")));
    let (code, err) = fails(&there, &["pull", &format!("{name}:nope")]);
    let why = format!("  why: {} has no such tag or digest\n  try: another tag; `skiff search` finds repositories\n", registry.host);
    assert_eq!((code, err), (Some(1), format!("error: manifest for {name}:nope not found: manifest unknown\n{why}")));
}

#[test]
fn run_pulls_what_is_not_here_and_says_so_on_standard_error() {
    require!(Tool("docker-registry"), Tool("busybox"), UserNamespaces);
    let (here, there) = (room(), Room::new());
    let registry = Served::debian(&here, false);
    let name = format!("{}/base:1", registry.host);
    stdout(&mut here.skiff(&["tag", "base", &name]));
    stdout(&mut here.skiff(&["push", "-q", &name]));
    let (code, err) = fails(&there, &["run", "--pull", "never", "--rm", &name, "true"]);
    assert_eq!(code, Some(125));
    assert!(err.starts_with(&format!("error: no such image: {name}\n")), "{err}");
    let (code, out, err) = outcome(&mut there.skiff(&["run", "--rm", &name, "echo", "hi"]));
    assert_eq!((code, out.as_str()), (Some(0), "hi\n"));
    assert!(err.starts_with(&format!("Unable to find image '{name}' locally\n1: Pulling from base\n")), "{err}");
    assert!(err.ends_with(&format!("Status: Downloaded newer image for {name}\n")), "{err}");
    assert_eq!(outcome(&mut there.skiff(&["run", "--rm", &name, "true"])), (Some(0), String::new(), String::new()));
    let (_, _, err) = outcome(&mut there.skiff(&["run", "--pull", "always", "--rm", &name, "true"]));
    assert!(err.ends_with(&format!("Status: Image is up to date for {name}\n")), "{err}");
}

#[test]
fn a_registry_that_asks_who_is_there_is_told_what_login_kept() {
    require!(Tool("docker-registry"), Tool("busybox"));
    use std::os::unix::fs::PermissionsExt;
    let room = room();
    let registry = Served::debian(&room, true);
    let host = registry.host.as_str();
    let name = format!("{host}/base");
    let docker = room.path().join("docker");
    let skiff = |args: &[&str]| {
        let mut command = room.skiff(args);
        command.env("DOCKER_CONFIG", &docker);
        command
    };
    let login = |password: &str| {
        let file = room.path().join("password");
        std::fs::write(&file, format!("{password}\n")).expect("the room is ours");
        let mut command = skiff(&["login", "-u", "me", "--password-stdin", host]);
        command.stdin(std::fs::File::open(&file).expect("it was written"));
        command
    };
    stdout(&mut room.skiff(&["tag", "base", &name]));
    let denied = |action: &str| {
        let words = format!("error: {action} access denied for {name}, repository does not exist or may require 'skiff login': no basic auth credentials\n");
        format!("{words}  why: {host} does not say whether the repository is missing or private\n  try: skiff login {host}, or the name's spelling\n")
    };
    let failed = |command: &mut std::process::Command| {
        let (code, _, err) = outcome(command);
        (code, err.replace("\n       ", " "))
    };
    assert_eq!(failed(&mut skiff(&["push", &name])), (Some(1), denied("push")));
    let wrong = format!("error: login to {host} failed: unauthorized: authentication required\n  try: the user's name and the password, or a token in its place\n");
    assert_eq!(failed(&mut login("guess")), (Some(1), wrong));
    assert!(!docker.join("config.json").exists());

    assert_eq!(stdout(&mut login("secret")), "Login Succeeded\n");
    stdout(&mut skiff(&["push", &name]));
    stdout(&mut skiff(&["pull", &name]));
    assert_eq!(stdout(&mut skiff(&["logout", host])), format!("Removing login credentials for {host}\n"));
    assert_eq!(stdout(&mut skiff(&["logout", host])), format!("Not logged in to {host}\n"));
    assert_eq!(failed(&mut skiff(&["pull", &name])), (Some(1), denied("pull")));

    // The same with a helper, which keeps what it is told in a file.
    let helper = room.path().join("bin/docker-credential-test");
    let kept = room.path().join("kept").display().to_string();
    let script = format!("#!/bin/sh\ncase $1 in\nstore) cat >{kept} ;;\nget) cat {kept} 2>/dev/null || {{ echo credentials not found in native keychain; exit 1; }} ;;\nerase) rm {kept} ;;\nesac\n");
    std::fs::create_dir_all(room.path().join("bin")).and_then(|()| std::fs::write(&helper, script)).expect("the room is ours");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("the room is ours");
    std::fs::write(docker.join("config.json"), r#"{"credsStore": "test"}"#).expect("the room is ours");
    let with_helper = |mut command: std::process::Command| {
        command.env("PATH", format!("{}:/usr/bin:/bin", room.path().join("bin").display()));
        command
    };
    assert_eq!(stdout(&mut with_helper(login("secret"))), "Login Succeeded\n");
    assert!(std::fs::read_to_string(Path::new(&kept)).expect("the helper kept it").contains(r#""Username":"me","Secret":"secret""#));
    assert!(!std::fs::read_to_string(docker.join("config.json")).expect("it is there").contains("c2VjcmV0"));
    stdout(&mut with_helper(skiff(&["pull", &name])));
    stdout(&mut with_helper(skiff(&["logout", host])));
    assert!(!Path::new(&kept).exists());
}

/// skopeo, with credentials of the room's own: those of the person who runs the tests may not be ours to read.
fn skopeo(room: &Room) -> std::process::Command {
    let file = room.path().join("auth.json");
    std::fs::write(&file, "{}").expect("the room is ours");
    let mut command = room.command("skopeo");
    // For an ordinary user it keeps folders where temporary files go, and leaves them.
    command.env("REGISTRY_AUTH_FILE", file).env("TMPDIR", room.path()).env_remove("XDG_RUNTIME_DIR");
    command
}

#[test]
fn skopeo_copies_to_and_from_our_registry_and_the_digest_stays() {
    require!(Tool("skopeo"), Tool("busybox"));
    let (here, there) = (room(), Room::new());
    let registry = Served::ours(&here, &[]);
    let at = |name: &str| here.path().join(name).display().to_string();
    stdout(&mut here.skiff(&["save", "-o", &at("base.tar"), "base"]));
    let (digest, id) = known(&here, "base");
    let copy = |options: &[&str], from: &str, to: &str| {
        let plain = ["copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
        stdout(skopeo(&here).args(plain).args(options).args([from, to]));
    };
    // In the form that skiff writes, and in Docker's.
    std::fs::create_dir(at("layout")).expect("the room is ours");
    stdout(here.command("tar").args(["-C", &at("layout"), "-xf", &at("base.tar")]));
    copy(&[], &format!("oci:{}:base:latest", at("layout")), &format!("docker://{}/oci:1", registry.host));
    copy(&["--format", "v2s2"], &format!("docker://{}/oci:1", registry.host), &format!("docker://{}/docker/v2:1", registry.host));
    copy(&[], &format!("docker://{}/oci:1", registry.host), &format!("oci:{}:back", at("back")));
    let back = std::fs::read_to_string(Path::new(&at("back")).join("index.json")).expect("skopeo wrote it");
    assert!(back.contains(&digest), "{back}");

    let name = format!("{}/oci:1", registry.host);
    stdout(&mut there.skiff(&["pull", "-q", &name]));
    assert_eq!(known(&there, &name), (digest.clone(), id.clone()));
    let docker = format!("{}/docker/v2:1", registry.host);
    stdout(&mut there.skiff(&["pull", "-q", &docker]));
    let (other, same) = known(&there, &docker);
    assert!(same == id && other != digest, "another manifest, of Docker's type, over the same config");
    let inspected = stdout(skopeo(&here).args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{docker}")]));
    assert_eq!(inspected.trim(), other);
    // And what skiff pushes, skopeo reads.
    stdout(&mut there.skiff(&["tag", &docker, &format!("{}/again:3", registry.host)]));
    stdout(&mut there.skiff(&["push", &format!("{}/again:3", registry.host)]));
    copy(&[], &format!("docker://{}/again:3", registry.host), &format!("dir:{}", at("dir")));
    stdout(skopeo(&here).args(["delete", "--tls-verify=false", &format!("docker://{}/again:3", registry.host)]));
    let (code, err) = fails(&there, &["pull", &format!("{}/again:3", registry.host)]);
    assert!(code == Some(1) && err.contains("manifest unknown"), "{err}");
}

#[test]
fn our_registry_answers_as_the_spec_says() {
    require!(Tool("busybox"));
    let here = room();
    let registry = Served::ours(&here, &[]);
    let host = registry.host.as_str();
    let get = |path: &str| ask(host, &format!("GET {path} HTTP/1.1"), b"");
    let text = |body: Vec<u8>| String::from_utf8(body).expect("text");
    for name in ["a:1", "a:2", "a:3", "b/c:latest"] {
        stdout(&mut here.skiff(&["tag", "base", &format!("{host}/{name}")]));
        stdout(&mut here.skiff(&["push", "-q", &format!("{host}/{name}")]));
    }
    assert_eq!(text(get("/v2/").2), "{}");
    assert_eq!(text(get("/v2/_catalog").2), r#"{"repositories":["a","b/c"]}"#);
    let (_, headers, body) = get("/v2/a/tags/list?n=2");
    assert_eq!((text(body).as_str(), headers["link"].as_str()), (r#"{"name":"a","tags":["1","2"]}"#, r#"</v2/a/tags/list?n=2&last=2>; rel="next""#));
    let (_, headers, body) = get("/v2/a/tags/list?n=2&last=2");
    assert_eq!((text(body).as_str(), headers.get("link")), (r#"{"name":"a","tags":["3"]}"#, None));

    let (status, headers, manifest) = get("/v2/a/manifests/1");
    let digest = drydock::image::layer::digest(&manifest).to_string();
    assert_eq!((status, headers["content-type"].as_str(), &headers["docker-content-digest"]), (200, "application/vnd.oci.image.manifest.v1+json", &digest));
    let (status, headers, body) = ask(host, &format!("HEAD /v2/a/manifests/{digest} HTTP/1.1"), b"");
    assert_eq!((status, headers["content-length"].as_str(), body.len()), (200, manifest.len().to_string().as_str(), 0));
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let layer = manifest["layers"][1]["digest"].as_str().expect("a digest").to_owned();
    let whole = get(&format!("/v2/a/blobs/{layer}")).2;
    let (status, headers, part) = ask(host, &format!("GET /v2/a/blobs/{layer} HTTP/1.1\r\nrange: bytes=100-199"), b"");
    assert_eq!((status, headers["content-range"].clone(), part), (206, format!("bytes 100-199/{}", whole.len()), whole[100..200].to_vec()));
    let (status, ..) = ask(host, &format!("GET /v2/a/blobs/{layer} HTTP/1.1\r\nrange: bytes={}-", whole.len()), b"");
    assert_eq!(status, 416);

    // An upload in two pieces, out of order, in order, and with the wrong digest.
    let (status, headers, _) = ask(host, "POST /v2/new/blobs/uploads/ HTTP/1.1", b"");
    let place = headers["location"].clone();
    assert_eq!(status, 202);
    assert_eq!(ask(host, &format!("PATCH {place} HTTP/1.1\r\ncontent-range: 0-4"), b"hello").0, 202);
    assert_eq!(ask(host, &format!("PATCH {place} HTTP/1.1\r\ncontent-range: 9-10"), b"!!").0, 416);
    let hello = drydock::image::layer::digest(b"hello world");
    let (status, headers, _) = ask(host, &format!("PUT {place}?digest={hello} HTTP/1.1"), b" world");
    assert_eq!((status, headers["location"].clone()), (201, format!("/v2/new/blobs/{hello}")));
    let (status, _, body) = ask(host, &format!("POST /v2/new/blobs/uploads/?digest={hello} HTTP/1.1"), b"other");
    assert!(status == 400 && text(body).contains("DIGEST_INVALID"));
    assert_eq!(ask(host, &format!("POST /v2/far/blobs/uploads/?mount={hello}&from=a HTTP/1.1"), b"").0, 201);

    let manifest = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{hello}"}},"layers":[{{"digest":"sha256:{}"}}]}}"#, "0".repeat(64));
    let put = "PUT /v2/new/manifests/x HTTP/1.1\r\ncontent-type: application/vnd.oci.image.manifest.v1+json";
    let (status, _, body) = ask(host, put, manifest.as_bytes());
    assert!(status == 404 && text(body).contains("MANIFEST_BLOB_UNKNOWN"));
    for (path, status, code) in [
        ("/v2/nope/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/a/manifests/nope", 404, "MANIFEST_UNKNOWN"),
        ("/v2/A/manifests/1", 400, "NAME_INVALID"),
        ("/v2/a/blobs/sha256:12", 400, "DIGEST_INVALID"),
        ("/v2/a/../../../../etc/passwd", 404, "UNSUPPORTED"),
    ] {
        let (got, _, body) = get(path);
        let body = text(body);
        assert!(got == status && body.contains(code), "{path}: {got} {body}");
    }
    // What only one manifest had goes with it; what another has stays.
    assert_eq!(ask(host, &format!("DELETE /v2/a/manifests/{digest} HTTP/1.1"), b"").0, 202);
    assert_eq!(get("/v2/a/tags/list").0, 404);
    assert_eq!(get(&format!("/v2/b/c/blobs/{layer}")).0, 200);
    assert_eq!(ask(host, &format!("DELETE /v2/b/c/manifests/{digest} HTTP/1.1"), b"").0, 202);
    assert_eq!(get(&format!("/v2/b/c/blobs/{layer}")).0, 404);
    let second = outcome(&mut here.skiff(&["registry", "serve", "--addr", "127.0.0.1:0"]));
    assert!(second.0 == Some(1) && second.2.starts_with("error: another registry serves "), "{second:?}");
}

#[test]
fn uploads_that_nobody_ends_are_bounded_and_hold_no_descriptor() {
    let here = Room::new();
    let registry = Served::ours(&here, &[]);
    let host = registry.host.as_str();
    let begin = || ask(host, "POST /v2/new/blobs/uploads/ HTTP/1.1", b"").1["location"].clone();
    let piece = |place: &str| ask(host, &format!("PATCH {place} HTTP/1.1"), b"hello").0;
    let all: Vec<String> = std::iter::repeat_with(begin).take(256).collect();
    // The first is gone on with, so the second has waited longest when one more comes.
    assert_eq!(piece(&all[0]), 202);
    let last = begin();
    assert!(registry.descriptors() < 60, "{}", registry.descriptors());
    assert_eq!([&all[0], &all[1], &all[2], &last].map(|place| piece(place)), [202, 404, 202, 202]);
    let hello = drydock::image::layer::digest(b"hellohello");
    assert_eq!(ask(host, &format!("PUT {}?digest={hello} HTTP/1.1", all[0]), b"").0, 201);
}

#[test]
fn real_docker_has_hello_world_from_our_mirror_and_pushes_to_it() {
    require!(Root, Docker, Tool("busybox"));
    let (here, there) = (room(), Room::new());
    let registry = Served::ours(&here, &["--mirror"]);
    let mirror = format!("http://{}", registry.host);
    let docker = Docker::start_with(&["--registry-mirror", &mirror]);
    let pulled = stdout(docker.client().args(["pull", "hello-world"]));
    assert!(pulled.contains("Status: Downloaded newer image for hello-world:latest\n"), "{pulled}");
    let theirs = stdout(docker.client().args(["run", "--rm", "--network", "none", "hello-world"]));
    let ours = stdout(&mut there.skiff(&["--registry-mirror", &mirror, "run", "--rm", "hello-world"]));
    assert_eq!(ours, theirs);
    assert!(ours.starts_with("\nHello from a container!\n") && ours.contains("It is not the image\nof that name from Docker Hub."), "{ours}");
    let id = |text: String| text.trim().to_owned();
    assert_eq!(known(&there, "hello-world").1, id(stdout(docker.client().args(["image", "inspect", "-f", "{{.Id}}", "hello-world"]))));

    // The image `base` of the engine's own store is there too, under the Hub's name for it.
    let pulled = stdout(docker.client().args(["pull", "-q", "library/base"]));
    assert_eq!(pulled, "docker.io/library/base:latest\n");
    let name = format!("{}/from/docker:1", registry.host);
    stdout(docker.client().args(["tag", "hello-world", &name]));
    let pushed = stdout(docker.client().args(["push", &name]));
    let digest = pushed.split_once("digest: ").and_then(|(_, rest)| rest.split(' ').next()).expect("docker says its digest").to_owned();
    stdout(&mut there.skiff(&["pull", "-q", &name]));
    assert_eq!(known(&there, &name).0, digest);
    let found = stdout(&mut there.skiff(&["--registry-mirror", &mirror, "search", "--format", "{{.Name}} {{.IsOfficial}}", "hello"]));
    assert_eq!(found, "hello-world [OK]\n");
}

#[test]
fn without_any_registry_hello_world_is_made_here_and_says_so() {
    require!(Root);
    let room = Room::new();
    let run = || outcome(room.command("unshare").args(["--net", "skiff", "run", "--rm", "hello-world"]));
    let (code, out, err) = run();
    let notes = "Unable to find image 'hello-world:latest' locally\nnote: cannot reach the registry registry-1.docker.io: host not found\n\
        note: made hello-world here instead; it is skiff's own, and not Docker Hub's\n";
    assert_eq!((code, err.as_str()), (Some(0), notes));
    assert!(out.contains("No registry could be reached, so skiff made this image here."), "{out}");
    assert_eq!(run(), (Some(0), out, String::new()));
}
