//! A registry that means no good: each of its answers is one clear error, and the store is as it was.

#[macro_use]
mod support;

use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use support::registry::{Request, Scripted, reply};
use support::{Room, outcome, stdout};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(bytes: &[u8]) -> String {
    drydock::image::layer::digest(bytes).to_string()
}

/// An image of one layer with one file of three megabytes that do not compress.
#[derive(Clone)]
struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        }).take(3 << 20).collect();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(noise.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "noise", noise.as_slice()).expect("memory");
        let layer = tar.into_inner().expect("memory");
        let config = json!({ "architecture": oci_spec::image::Arch::default(), "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] } });
        let config = config.to_string().into_bytes();
        let manifest = Self::manifest(&config, &layer, |_| ());
        Self { layer, config, manifest }
    }

    fn manifest(config: &[u8], layer: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": config.len() },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": layer.len() }],
        });
        change(&mut manifest);
        manifest.to_string().into_bytes()
    }

    /// Serves it as an honest registry would.
    fn serve(&self, request: &Request, stream: &mut TcpStream) {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        match path {
            "/v2/" => reply(stream, "200 OK", &[], b"{}"),
            _ if path.starts_with("/v2/x/manifests/") => reply(stream, "200 OK", &[("content-type", MANIFEST)], &self.manifest),
            _ if path.ends_with(&digest(&self.config)) => reply(stream, "200 OK", &[], &self.config),
            _ if path.ends_with(&digest(&self.layer)) => {
                let from = request.headers.get("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
                match from {
                    None => reply(stream, "200 OK", &[], &self.layer),
                    Some(from) => {
                        let range = format!("bytes {from}-{}/{}", self.layer.len() - 1, self.layer.len());
                        reply(stream, "206 Partial Content", &[("content-range", &range)], &self.layer[from..]);
                    }
                }
            }
            _ => reply(stream, "404 Not Found", &[], br#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
        }
    }
}

/// A room whose skiff loses its patience after a second.
fn room() -> Room {
    let room = Room::new();
    let folder = room.path().join("config/skiff");
    std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join("config.json"), r#"{"registry-timeout": 1}"#)).expect("the room is ours");
    room
}

fn skiff(room: &Room, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = room.skiff(args);
    command.env("XDG_CONFIG_HOME", room.path().join("config")).env("DOCKER_CONFIG", room.path().join("docker"));
    let (code, out, err) = outcome(&mut command);
    (code, out, err.replace("\n       ", " "))
}

/// Pulls `x`, which must fail with this first line, and leave nothing.
fn refuses(registry: &Scripted, error: &str) {
    let room = room();
    let (code, _, err) = skiff(&room, &["pull", &format!("{}/x", registry.host)]);
    let mine = err.lines().find(|l| l.starts_with("error: ")).unwrap_or(&err);
    assert_eq!((code, mine), (Some(1), format!("error: {}", error.replace("HOST", &registry.host)).as_str()), "{err}");
    nothing_left(&room);
}

/// Neither blobs nor layers nor anything half-done.
fn nothing_left(room: &Room) {
    let names = |folder: &str| {
        let entries = std::fs::read_dir(room.skiff_root().join(folder)).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| n != ".lock" && n != "oci-layout").collect::<Vec<_>>()
    };
    for (folder, rest) in [("images", &["blobs"][..]), ("images/blobs/sha256", &[]), ("layers", &[])] {
        let left = names(folder);
        assert!(left.iter().all(|n| rest.contains(&n.as_str())), "{folder} has {left:?}");
    }
    assert_eq!(stdout(&mut room.skiff(&["images", "-q"])), "");
}

/// A registry with one manifest that is not right.
fn with_manifest(content_type: &'static str, manifest: Vec<u8>) -> Scripted {
    let honest = Image::new();
    Scripted::start(move |request, stream, _| {
        if request.line.starts_with("GET /v2/x/manifests/") {
            return reply(stream, "200 OK", &[("content-type", content_type)], &manifest);
        }
        honest.serve(request, stream);
    })
}

/// A registry whose layer is answered in its own way; told how often it was asked for.
fn with_layer(answer: impl Fn(&Image, usize, &Request, &mut TcpStream, &AtomicBool) + Send + Sync + 'static) -> Scripted {
    let (honest, asked) = (Image::new(), AtomicUsize::new(0));
    let layer = digest(&honest.layer);
    Scripted::start(move |request, stream, over| {
        if request.line.ends_with(&layer) {
            return answer(&honest, asked.fetch_add(1, Ordering::Relaxed), request, stream, over);
        }
        honest.serve(request, stream);
    })
}

/// Sends the beginning of an answer.
fn begin(stream: &mut TcpStream, length: usize, body: &[u8]) {
    use std::io::Write;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Waits, and sends nothing, until the test is over or the other end is.
fn stall(stream: &mut TcpStream, over: &AtomicBool) {
    use std::io::Read;
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(100)));
    while !over.load(Ordering::Relaxed) && !matches!(stream.read(&mut [0; 64]), Ok(0)) {}
}

/// Of a registry that takes everything, the layer comes whole.
fn pulls(registry: &Scripted) -> Room {
    let room = room();
    let name = format!("{}/x", registry.host);
    let (code, out, err) = skiff(&room, &["pull", &name]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!room.skiff_root().join("images/.incoming").exists());
    room
}

#[test]
fn a_layer_that_breaks_off_is_taken_up_where_it_broke() {
    let registry = with_layer(|image, asked, request, stream, _| match asked {
        0 => begin(stream, image.layer.len(), &image.layer[..1_500_000]),
        _ => image.serve(request, stream),
    });
    pulls(&registry);
    let layer = digest(&Image::new().layer);
    let ranges: Vec<_> = registry.seen().into_iter().filter(|r| r.line.ends_with(&layer)).map(|r| r.headers.get("range").cloned()).collect();
    assert_eq!(ranges, [None, Some("bytes=1500000-".to_owned())]);
}

#[test]
fn where_ranges_are_not_known_the_beginning_is_passed_over() {
    let registry = with_layer(|image, asked, _, stream, _| match asked {
        0 => begin(stream, image.layer.len(), &image.layer[..1_500_000]),
        _ => reply(stream, "200 OK", &[], &image.layer),
    });
    pulls(&registry);
}

#[test]
fn what_a_killed_pull_left_is_taken_up_by_the_next() {
    let (room, half) = (room(), AtomicUsize::new(1_000_000));
    let registry = with_layer(move |image, asked, request, stream, over| match asked {
        0 => {
            begin(stream, image.layer.len(), &image.layer[..half.load(Ordering::Relaxed)]);
            stall(stream, over);
        }
        _ => image.serve(request, stream),
    });
    let name = format!("{}/x", registry.host);
    let mut first = room.skiff(&["pull", &name]).stdout(std::process::Stdio::null()).spawn().expect("it runs");
    let incoming = room.skiff_root().join("images/.incoming").join(digest(&Image::new().layer).trim_start_matches("sha256:"));
    let has = |path: &Path| path.metadata().map_or(0, |m| m.len());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while has(&incoming) < 1_000_000 {
        assert!(std::time::Instant::now() < end, "nothing came");
        std::thread::yield_now();
    }
    first.kill().and_then(|()| first.wait()).expect("it is our child");
    assert_eq!(skiff(&room, &["pull", &name]).0, Some(0));
    let layer = digest(&Image::new().layer);
    let asked: Vec<_> = registry.seen().into_iter().filter(|r| r.line.ends_with(&layer)).map(|r| r.headers.get("range").cloned()).collect();
    assert_eq!(asked, [None, Some("bytes=1000000-".to_owned())]);
    // And what nobody takes up goes with the rest that the killed leave.
    std::fs::create_dir(incoming.parent().expect("it is in a folder")).and_then(|()| std::fs::write(&incoming, "half")).expect("the room is ours");
    stdout(&mut room.skiff(&["system", "prune", "-f"]));
    assert!(!incoming.parent().expect("it is in a folder").exists());
}

#[test]
fn a_layer_that_never_ends_well_is_given_up() {
    let layer = digest(&Image::new().layer)[7..19].to_owned();
    let size = Image::new().layer.len();
    let cut = with_layer(|image, asked, request, stream, _| {
        let from = request.headers.get("range").and_then(|r| r[6..].trim_end_matches('-').parse().ok()).unwrap_or(0);
        let range = format!("bytes {from}-{}/{}", image.layer.len() - 1, image.layer.len());
        let head = if asked == 0 { "200 OK".into() } else { format!("206 Partial Content\r\ncontent-range: {range}") };
        use std::io::Write;
        let _ = stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", image.layer.len() - from).as_bytes());
        let _ = stream.write_all(&image.layer[from..from + 1000]);
    });
    refuses(&cut, &format!("the layer {layer} broke off after 5000 of {size} bytes: it closed the connection"));
    let stalls = with_layer(|image, _, _, stream, over| {
        begin(stream, image.layer.len(), &image.layer[..1000]);
        stall(stream, over);
    });
    refuses(&stalls, &format!("the layer {layer} broke off after 1000 of {size} bytes: it sent nothing for 1 s"));
}

#[test]
fn bytes_that_are_not_what_they_are_called_are_refused() {
    let layer = digest(&Image::new().layer)[7..19].to_owned();
    let size = Image::new().layer.len();
    let other = with_layer(|image, _, _, stream, _| {
        let mut bytes = image.layer.clone();
        *bytes.last_mut().expect("it is long") ^= 1;
        reply(stream, "200 OK", &[], &bytes);
    });
    let mut bytes = Image::new().layer;
    *bytes.last_mut().expect("it is long") ^= 1;
    refuses(&other, &format!("layer {layer} is refused: its bytes hash to {}, not to {}", digest(&bytes), digest(&Image::new().layer)));
    let long = with_layer(|image, _, _, stream, _| {
        use std::io::Write;
        // Without a length, so that only counting helps.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").and_then(|()| stream.write_all(&image.layer));
        while stream.write_all(&[0; 4096]).is_ok() {}
    });
    refuses(&long, &format!("layer {layer} is refused: it is longer than the {size} bytes that its manifest says"));
    let announced = with_layer(|_, _, _, stream, _| begin(stream, 1 << 40, b""));
    refuses(&announced, &format!("layer {layer} is refused: the registry sends {} bytes of it, and {size} are left to come", 1_u64 << 40));
}

#[test]
fn a_manifest_is_of_its_type_and_of_bounded_size() {
    let image = Image::new();
    let changed = |change: &dyn Fn(&mut Value)| Image::manifest(&image.config, &image.layer, |m| change(m));
    let what = "the manifest of HOST/x:latest is refused";
    for (content_type, manifest, problem) in [
        ("text/html", b"{}".to_vec(), format!("{what}: text/html is not an image")),
        (MANIFEST, b"<html>".to_vec(), format!("{what}: it is not JSON (expected value at line 1 column 1)")),
        (MANIFEST, b"{}".to_vec(), format!("{what}: it is called {MANIFEST}, and has not what that has")),
        (INDEX, image.manifest.clone(), format!("{what}: its header says {INDEX}, and it says of itself {MANIFEST}")),
        (MANIFEST, changed(&|m| m["manifests"] = json!([])), format!("{what}: it is an index and a manifest at once, and would mean different images to different readers")),
        (MANIFEST, vec![b' '; (4 << 20) + 1], format!("{what}: it is longer than 4.19MB")),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", br#"{"schemaVersion":1}"#.to_vec(),
            format!("{what}: it is in Docker's format of before 2016 (schema 1), which no engine writes any more; whoever made it must push it again")),
    ] {
        refuses(&with_manifest(content_type, manifest), &problem);
    }
    for (change, problem) in [
        (&(|m: &mut Value| m["config"]["mediaType"] = "application/vnd.wasm".into()) as &dyn Fn(&mut Value), "its config is application/vnd.wasm: it is something else than an image of a container"),
        (&|m| m["layers"][0]["mediaType"] = "text/plain".into(), "one of its layers is text/plain, which cannot be unpacked"),
        (&|m| m["config"]["size"] = (5 << 20).into(), "its config would be longer than 4 MiB"),
    ] {
        let manifest = changed(change);
        let shown = format!("manifest {} is refused: {problem}", digest(&manifest));
        refuses(&with_manifest(MANIFEST, manifest), &shown);
    }
}

#[test]
fn an_index_leads_to_this_machines_image_and_never_in_a_circle() {
    let image = Image::new();
    let line = |bytes: &[u8], kind: &str, machine: &str| json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len(), "platform": { "os": "linux", "architecture": machine } });
    let index = |lines: Vec<Value>| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": lines }).to_string().into_bytes();
    let serve = |index: Vec<u8>| {
        let (honest, inner) = (image.clone(), index.clone());
        let whole = format!("GET /v2/x/manifests/{}", digest(&index));
        Scripted::start(move |request, stream, _| match request.line.as_str() {
            line if line == "GET /v2/x/manifests/latest" || line == whole => reply(stream, "200 OK", &[("content-type", INDEX)], &inner),
            _ => honest.serve(request, stream),
        })
    };
    let here = oci_spec::image::Arch::default().to_string();
    let good = index(vec![line(b"other", MANIFEST, "mips"), line(&image.manifest, MANIFEST, &here)]);
    let registry = serve(good.clone());
    let room = pulls(&registry);
    // The tag's digest is the index's; both lead to the image, and it has one line.
    let name = format!("{}/x", registry.host);
    assert_eq!(stdout(&mut room.skiff(&["images", "--format", "{{.Repository}}:{{.Tag}}"])), format!("{name}:latest\n"));
    let by_digest = format!("{name}@{}", digest(&good));
    let inspected = stdout(&mut room.skiff(&["image", "inspect", "--format", "{{json .RepoDigests}} {{json .RepoTags}}", &by_digest]));
    assert_eq!(inspected, format!("[\"{by_digest}\"] [\"{name}:latest\"]\n"));
    stdout(&mut room.skiff(&["image", "inspect", &format!("{name}@{}", digest(&image.manifest))]));
    let other = self::room();
    assert_eq!(skiff(&other, &["pull", "-q", &by_digest]).1, format!("{by_digest}\n"));
    assert_eq!(stdout(&mut other.skiff(&["images", "--format", "{{.Repository}}:{{.Tag}}"])), "<none>:<none>\n");
    assert_eq!(skiff(&other, &["pull", "-q", &name]).0, Some(0));
    assert_eq!(stdout(&mut other.skiff(&["images", "--format", "{{.Repository}}:{{.Tag}}"])), format!("{name}:latest\n"));
    stdout(&mut other.skiff(&["rmi", &name]));
    assert_eq!(stdout(&mut other.skiff(&["images", "-q"])), "");
    assert!(!other.skiff_root().join("layers").join(&digest(&image.layer)[7..]).exists());

    let none = serve(index(vec![line(b"other", MANIFEST, "mips"), line(b"more", MANIFEST, "s390x")]));
    refuses(&none, &format!("no matching manifest for linux/{here} in the manifest list entries of HOST/x:latest"));
    let nested = index(vec![line(&good, INDEX, &here)]);
    let shown = digest(&nested);
    refuses(&serve(nested), &format!("index {shown} is refused: it leads to another index, and that could go on in a circle"));
    // One that says manifest and is the index itself.
    let lies = index(vec![line(b"other", MANIFEST, &here)]);
    let registry = serve(lies);
    refuses(&registry, &format!("the manifest of HOST/x:latest is refused: its bytes hash to {}, not to {}", digest(&image.manifest), digest(b"other")));
}

#[test]
fn a_config_must_fit_its_manifest() {
    let mut image = Image::new();
    let layer = image.layer.clone();
    image.config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [digest(&layer), digest(b"")] } }).to_string().into_bytes();
    image.manifest = Image::manifest(&image.config, &layer, |_| ());
    let shown = digest(&image.config);
    let served = image.clone();
    let two = Scripted::start(move |request, stream, _| served.serve(request, stream));
    refuses(&two, &format!("config {shown} is refused: it has 2 diff IDs, and the manifest 1 layers"));
    image.config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [digest(b"another")] } }).to_string().into_bytes();
    image.manifest = Image::manifest(&image.config, &layer, |_| ());
    let other = Scripted::start(move |request, stream, _| image.serve(request, stream));
    let short = &digest(b"another")[7..19];
    refuses(&other, &format!("layer {short} is damaged: its bytes hash to {}, not to {}", digest(&layer), digest(b"another")));
}

#[test]
fn troubles_that_pass_are_waited_for_and_others_are_said() {
    let (honest, asked) = (Image::new(), AtomicUsize::new(0));
    let passing = Scripted::start(move |request, stream, _| match (asked.fetch_add(1, Ordering::Relaxed), request.line.as_str()) {
        (0, _) => reply(stream, "429 Too Many Requests", &[("retry-after", "1")], b""),
        (2, _) => reply(stream, "503 Service Unavailable", &[], b""),
        (4, _) => {}
        _ => honest.serve(request, stream),
    });
    let begun = std::time::Instant::now();
    pulls(&passing);
    assert!(begun.elapsed() >= std::time::Duration::from_secs(1), "it waits for as long as it was told to");
    let always = |status: &'static str, body: &'static str| {
        Scripted::start(move |request, stream, _| match request.line.as_str() {
            "GET /v2/" => reply(stream, "200 OK", &[], b"{}"),
            _ => reply(stream, status, &[], body.as_bytes()),
        })
    };
    refuses(&always("500 Internal Server Error", "oops"), "cannot read the manifest of HOST/x:latest: the registry HOST answers 500: Internal Server Error");
    refuses(&always("429 Too Many Requests", r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[2J down"}]}"#), "the registry HOST has had too many requests: toomanyrequests: slow[2J down");
    refuses(&always("404 Not Found", ""), "manifest for HOST/x:latest not found: manifest unknown");
    let denied = "pull access denied for HOST/x, repository does not exist or may require 'skiff login': denied: no";
    refuses(&always("403 Forbidden", r#"{"errors":[{"code":"DENIED","message":"no"}]}"#), denied);
    let nobody = Scripted::start(|_, stream, over| stall(stream, over));
    refuses(&nobody, "cannot reach the registry HOST: it sent nothing for 1 s");
}

#[test]
fn a_password_goes_to_its_own_registry_and_follows_no_redirect() {
    let honest = Image::new();
    let (elsewhere, image) = (Image::new(), Image::new());
    let store = Arc::new(Scripted::start(move |request, stream, _| elsewhere.serve(request, stream)));
    let (layer, other) = (digest(&honest.layer), store.host.clone());
    let registry = Scripted::start(move |request, stream, _| {
        if !request.headers.contains_key("authorization") {
            return reply(stream, "401 Unauthorized", &[("www-authenticate", "Basic realm=\"here\"")], b"{}");
        }
        match request.line.ends_with(&layer) {
            true => reply(stream, "307 Temporary Redirect", &[("location", &format!("http://{other}/v2/x/blobs/{layer}"))], b""),
            false => honest.serve(request, stream),
        }
    });
    let room = room();
    let folder = room.path().join("docker");
    std::fs::create_dir_all(&folder).expect("the room is ours");
    let config = json!({ "auths": { registry.host.clone(): { "auth": "bWU6c2VjcmV0" }, store.host.clone(): { "auth": "b3RoZXI6c2VjcmV0" } } });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("the room is ours");
    let (code, out, err) = skiff(&room, &["pull", &format!("{}/x", registry.host)]);
    assert_eq!(code, Some(0), "{out}{err}");
    let seen = store.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("authorization"), "{seen:?}");
    assert!(registry.seen().iter().any(|r| r.headers.get("authorization").is_some_and(|a| a == "Basic bWU6c2VjcmV0")));

    let circle = Scripted::start(move |request, stream, _| match request.line.contains("blobs") {
        true => reply(stream, "302 Found", &[("location", request.line.split(' ').nth(1).unwrap_or("/"))], b""),
        false => image.serve(request, stream),
    });
    refuses(&circle, "the answer of HOST is refused: it redirects more than 5 times");
}

#[test]
fn a_token_is_fetched_where_the_registry_says_and_for_what_it_is_needed() {
    let honest = Image::new();
    let registry = Scripted::start(move |request, stream, _| {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/token?") {
            return reply(stream, "200 OK", &[], br#"{"access_token": "abc", "expires_in": 60}"#);
        }
        if request.headers.get("authorization").is_none_or(|a| a != "Bearer abc") {
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s p\",scope=\"repository:x:pull\"", request.headers["host"]);
            return reply(stream, "401 Unauthorized", &[("www-authenticate", &challenge)], b"{}");
        }
        honest.serve(request, stream);
    });
    pulls(&registry);
    let tokens: Vec<String> = registry.seen().into_iter().map(|r| r.line).filter(|l| l.contains("/token")).collect();
    assert_eq!(tokens, ["GET /token?service=s%20p&scope=repository%3Ax%3Apull"]);
    // A realm elsewhere without TLS gets no password.
    let far = Scripted::start(|_, stream, _| {
        reply(stream, "401 Unauthorized", &[("www-authenticate", "Bearer realm=\"ftp://token.example/\"")], b"{}");
    });
    refuses(&far, "the registry's challenge is refused: its realm \"ftp://token.example/\" is not a URL");
}
