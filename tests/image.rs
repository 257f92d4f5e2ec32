//! The image store on a real filesystem: `base` made and found again, images in and out, names.

use drydock::image::archive::Archive;
use drydock::image::changes::{self, Kind};
use drydock::image::save::{self, Commit};
use drydock::image::{Error, Image, Progress, Reference, Store};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[macro_use]
mod support;

fn room() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("drydock-image-").tempdir().expect("a temporary folder")
}

/// A store with `base` in it.
fn store(room: &tempfile::TempDir) -> (Store, Image) {
    let store = Store::open(room.path());
    let image = store.obtain("base", &mut |_| {}).expect("base can be made");
    (store, image)
}

/// Every file below a folder with its size, locks and asides left out.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|e| !e.file_name().to_string_lossy().starts_with('.')) {
        let metadata = entry.metadata().expect("it is there");
        if metadata.is_dir() { found.extend(listing(&entry.path())) } else { found.push((entry.path(), metadata.len())) }
    }
    found.sort();
    found
}

#[test]
fn base_is_made_once_and_found_again_with_the_same_digest() {
    let (one, other) = (room(), room());
    let mut said = Vec::new();
    let image = Store::open(one.path()).obtain("base", &mut |p| said.push(p)).unwrap();
    assert_eq!(said.len(), 5, "made from, three layers, made: {said:?}");
    assert_eq!(said.last(), Some(&Progress::Made { digest: image.digest.clone() }));

    let again = Store::open(one.path()).obtain("base:latest", &mut |p| panic!("made twice: {p:?}")).unwrap();
    assert_eq!(again.digest, image.digest);
    assert_eq!(store(&other).1.digest, image.digest, "the same machine makes the same image");

    assert_eq!(image.layers.len(), 3);
    for tool in ["sh", "ls", "cat", "ps", "mount", "hostname", "id", "sleep", "head", "tail", "dd"] {
        let has = |d: &PathBuf| ["bin", "usr/bin"].iter().any(|b| d.join(b).join(tool).symlink_metadata().is_ok());
        assert!(image.layers.iter().any(has), "base has no {tool}");
    }
    let tmp = image.layers[0].join("tmp");
    assert_eq!(fs::metadata(&tmp).unwrap().permissions().mode() & 0o7777, 0o1777, "{}", tmp.display());
}

#[test]
fn eight_at_once_make_one_base() {
    let room = room();
    let digests: Vec<String> = std::thread::scope(|scope| {
        let one = || store(&room).1.digest.to_string();
        let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(digests.iter().all(|d| *d == digests[0]), "{digests:?}");
    assert_eq!(Store::open(room.path()).entries().unwrap().len(), 1);
    assert!(!room.path().join("images/.aside").exists() && !room.path().join("layers/.aside").exists());
}

#[test]
fn without_busybox_base_is_made_of_the_hosts_own_tools() {
    // PATH leads to the usual folders anyway; a room without busybox needs a mount namespace.
    let script = r#"
        mount --make-rprivate / && for b in /bin/busybox /usr/bin/busybox; do [ -e $b ] && mount --bind /dev/null $b; done
        skiff history base >/dev/null
    "#;
    let mut probe = Command::new("unshare");
    let flags: &[&str] = if nix::unistd::geteuid().is_root() { &["-m"] } else { &["-Urm"] };
    if !probe.args(flags).arg("true").output().is_ok_and(|o| o.status.success()) {
        return support::skip("the kernel refuses this user a mount namespace");
    }
    let room = support::Room::new();
    let output = room.command("unshare").args(flags).args(["sh", "-c", script]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("commands of this machine"), "{err}");
    let script = "cat /etc/os-release >/dev/null && ls -l / >/dev/null && id -u && head -c 3 /dev/zero | wc -c";
    assert_eq!(support::stdout(&mut room.skiff(&["run", "--rm", "base", "sh", "-c", script])), "0\n3\n");
}

#[test]
fn an_image_is_found_by_name_by_digest_and_by_the_beginning_of_its_id() {
    let room = room();
    let (store, image) = store(&room);
    for reference in ["base", "base:latest", "docker.io/library/base", &image.id.digest()[..6], image.id.as_ref(), image.digest.as_ref()] {
        assert_eq!(store.resolve(reference).unwrap().digest, image.digest, "{reference}");
    }
    assert_eq!(store.resolve(&format!("base@{}", image.digest)).unwrap().digest, image.digest);
    let other = format!("base@sha256:{}", "0".repeat(64));
    assert_eq!(store.resolve(&other).unwrap_err().to_string(), format!("no such image: {other}"));
}

#[test]
fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    use drydock::kernel::Explain;
    let room = room();
    let (store, _) = store(&room);
    let error = store.resolve("bsae").unwrap_err();
    assert_eq!(error.to_string(), "no such image: bsae:latest");
    assert_eq!(error.hint().unwrap(), "did you mean base? `skiff images` lists what is here");
    assert_eq!(store.resolve("postgres").unwrap_err().hint().unwrap(), "`skiff images` lists what is here; base is always to be had");
}

#[test]
fn a_store_that_is_only_read_is_not_even_made() {
    let room = room();
    let root = room.path().join("skiff");
    assert!(matches!(Store::open(&root).resolve("nothing"), Err(Error::NotFound { .. })));
    assert!(!root.exists());
}

/// An upper directory as a container would leave it: a new file, a removed one, a replaced folder.
fn upper(room: &Path) -> PathBuf {
    let upper = room.join("upper");
    fs::create_dir_all(upper.join("etc")).expect("the room is ours");
    fs::create_dir_all(upper.join("home")).expect("the room is ours");
    fs::write(upper.join("etc/motd"), "changed\n").expect("the room is ours");
    fs::write(upper.join("etc/hosts"), "").expect("the room is ours");
    fs::hard_link(upper.join("etc/motd"), upper.join("home/same")).expect("the room is ours");
    let mode = nix::sys::stat::Mode::empty();
    nix::sys::stat::mknod(&upper.join("etc/group"), nix::sys::stat::SFlag::S_IFCHR, mode, 0).expect("Linux 5.8 lets anybody make a whiteout");
    let opaque = if nix::unistd::geteuid().is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    xattr::set(upper.join("home"), opaque, b"y").expect("an attribute can be set");
    upper
}

#[test]
fn what_a_container_changed_is_told_and_becomes_a_layer_that_says_the_same() {
    let room = room();
    let (store, base) = store(&room);
    let upper = upper(room.path());
    let told = |upper: &Path, layers: &[PathBuf]| -> Vec<(Kind, String)> {
        let list = changes::list(upper, layers).unwrap();
        list.into_iter().map(|c| (c.kind, c.path.display().to_string())).collect()
    };
    let expected = [
        (Kind::Changed, "/etc"), (Kind::Deleted, "/etc/group"), (Kind::Added, "/etc/motd"), (Kind::Changed, "/home"), (Kind::Added, "/home/same"),
    ]
    .map(|(kind, path)| (kind, path.to_owned()));
    assert_eq!(told(&upper, &base.layers), expected);

    let name: Reference = "mine:1".parse().unwrap();
    let with = Commit { message: Some("why".into()), config: vec![("Cmd".into(), serde_json::json!(["true"]))], ..Commit::default() };
    let made = save::commit(&store, &base, &upper, Some(&name), &with).unwrap();
    assert_eq!(made.layers[..3], base.layers, "the parent's layers are shared, not copied");
    assert_eq!(made.config.config().as_ref().unwrap().cmd().as_deref(), Some(["true".to_owned()].as_slice()));
    assert_eq!(told(&made.layers[3], &base.layers), expected, "packed and unpacked again it says the same");
    assert_eq!(store.resolve("mine:1").unwrap().id, made.id);
    assert_eq!(store.resolve("base").unwrap().digest, base.digest, "committing leaves the image alone");
}

#[test]
fn a_saved_image_loads_again_with_the_same_digests_as_tar_gzip_zstd_and_folder() {
    let (here, there) = (room(), room());
    let (store, base) = store(&here);
    let file = here.path().join("base.tar");
    save::save_file(&store, &[(base.clone(), Some("base:latest".into()))], &file).unwrap();
    let twice = here.path().join("twice.tar");
    save::save_file(&store, &[(base.clone(), Some("base:latest".into()))], &twice).unwrap();
    assert!(fs::read(&file).unwrap() == fs::read(&twice).unwrap(), "the same image makes the same archive");

    let folder = here.path().join("folder");
    fs::create_dir(&folder).unwrap();
    tar::Archive::new(fs::File::open(&file).unwrap()).unpack(&folder).unwrap();
    let packed = here.path().join("base.tar.gz");
    let mut gzip = flate2::write::GzEncoder::new(fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&fs::read(&file).unwrap()).unwrap();
    gzip.finish().unwrap();

    let frames = here.path().join("base.tar.zst");
    fs::write(&frames, zstd::encode_all(fs::read(&file).unwrap().as_slice(), 1).unwrap()).unwrap();

    for (i, source) in [&file, &folder, &packed, &frames].into_iter().enumerate() {
        let archive = Archive::open(source).unwrap();
        let images = archive.images().unwrap();
        assert_eq!(images[0].digest.as_ref(), Some(&base.digest));
        archive.verify(&images[0]).unwrap();
        let files = archive.files(&images[0].layers[0]).unwrap();
        assert!(files.iter().any(|f| f.path == Path::new("etc/passwd") && f.mode == 0o644), "{files:?}");
        let content = archive.content(&images[0].layers[0], Path::new("/etc/passwd")).unwrap().unwrap();
        assert!(content.starts_with(b"root:x:0:0:"));

        let other = Store::open(&there.path().join(i.to_string()));
        let loaded = save::load(&other, &archive).unwrap();
        assert_eq!(loaded[0].1, ["base:latest"]);
        let found = other.resolve("base").unwrap();
        assert_eq!((found.digest, found.id), (base.digest.clone(), base.id.clone()));
    }
}

#[test]
fn an_archive_of_the_time_before_the_layout_is_loaded_too() {
    let room = room();
    let (store, base) = store(&room);
    let file = room.path().join("old.tar");
    let mut tar = tar::Builder::new(fs::File::create(&file).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("config.json", &store.document_bytes(&base.id).unwrap());
    let mut names = Vec::new();
    for (i, layer) in base.manifest.layers().iter().enumerate() {
        let mut plain = Vec::new();
        std::io::copy(&mut drydock::image::layer::tar_of(store.blob(layer.digest()).unwrap()).unwrap(), &mut plain).unwrap();
        // Layers of the three kinds that there are, all under Docker's old file name.
        let stored = match i {
            0 => plain,
            1 => zstd::encode_all(plain.as_slice(), 1).unwrap(),
            _ => fs::read(store.blob_path(layer.digest())).unwrap(),
        };
        add(&format!("{i}/layer.tar"), &stored);
        names.push(format!("{i}/layer.tar"));
    }
    let manifest = serde_json::json!([{ "Config": "config.json", "RepoTags": ["old:1"], "Layers": names }]);
    add("manifest.json", manifest.to_string().as_bytes());
    tar.into_inner().unwrap();

    let other = Store::open(&room.path().join("other"));
    let loaded = save::load(&other, &Archive::open(&file).unwrap()).unwrap();
    assert_eq!((loaded[0].1.as_slice(), &loaded[0].0.id), (["old:1".to_owned()].as_slice(), &base.id));
    let types: Vec<String> = loaded[0].0.manifest.layers().iter().map(|l| l.media_type().to_string()).collect();
    assert_eq!(types, ["tar", "tar+zstd", "tar+gzip"].map(|kind| format!("application/vnd.oci.image.layer.v1.{kind}")));
}

#[test]
fn a_changed_byte_in_an_archive_is_refused_and_the_store_stays_as_it_was() {
    let room = room();
    let (store, base) = store(&room);
    let file = room.path().join("base.tar");
    save::save_file(&store, &[(base.clone(), Some("base:latest".into()))], &file).unwrap();
    let folder = room.path().join("folder");
    fs::create_dir(&folder).unwrap();
    tar::Archive::new(fs::File::open(&file).unwrap()).unpack(&folder).unwrap();
    let blob = folder.join("blobs/sha256").join(base.manifest.layers()[1].digest().digest());
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).unwrap();

    let other = Store::open(&room.path().join("other"));
    let error = save::load(&other, &Archive::open(&folder).unwrap()).unwrap_err();
    let digest = base.manifest.layers()[1].digest();
    let start = format!("blob {} is damaged: its bytes hash to sha256:", &digest.digest()[..12]);
    assert!(error.to_string().starts_with(&start), "{error}");
    assert!(matches!(other.resolve("base"), Err(Error::NotFound { .. })));
    let blobs = listing(&room.path().join("other/images/blobs"));
    assert!(blobs.is_empty(), "{blobs:?}");
}

#[test]
fn removing_an_image_leaves_what_others_use_and_nothing_else() {
    let room = room();
    let (store, base) = store(&room);
    let before = listing(room.path());
    let name: Reference = "mine".parse().unwrap();
    let mine = save::commit(&store, &base, &upper(&room.path().join("up")), Some(&name), &Commit::default());
    // The upper directory is the container's, not the store's.
    let mine = mine.unwrap();
    fs::remove_dir_all(room.path().join("up")).unwrap();
    let gone = store.write().unwrap().forget(&mine.digest, None).unwrap();
    assert_eq!(gone.len(), 3, "its layer, its config, its manifest: {gone:?}");
    assert_eq!(listing(room.path()), before);
    assert_eq!(store.resolve("base").unwrap().layer_dirs().unwrap(), base.layers);
}

#[test]
fn a_name_that_moves_on_leaves_its_image_nameless_and_two_names_are_one_image() {
    let room = room();
    let (store, base) = store(&room);
    let name: Reference = "web:1".parse().unwrap();
    save::tag(&store, &base, &name).unwrap();
    assert_eq!(store.names_of(&base.digest).unwrap(), ["base:latest", "web:1"]);
    let made = save::commit(&store, &base, &upper(room.path()), Some(&"base".parse().unwrap()), &Commit::default()).unwrap();
    assert_eq!(store.names_of(&base.digest).unwrap(), ["web:1"]);
    let again = save::commit(&store, &base, &upper(&room.path().join("b")), Some(&"base".parse().unwrap()), &Commit { message: Some("two".into()), ..Commit::default() }).unwrap();
    assert_ne!(made.digest, again.digest);
    let lines: Vec<_> = store.entries().unwrap().into_iter().map(|e| (e.name, e.digest)).collect();
    assert_eq!(lines, [
        (Some("base:latest".into()), again.digest), (Some("web:1".into()), base.digest), (None, made.digest),
    ]);
}

#[test]
fn what_a_killed_process_left_half_done_is_cleared_by_the_next() {
    let room = room();
    let (store, base) = store(&room);
    let before = listing(room.path());
    let orphan = "0".repeat(64);
    let leave = || {
        fs::create_dir_all(room.path().join("images/.aside")).unwrap();
        fs::write(room.path().join("images/.aside/1-2-3"), "half a blob").unwrap();
        fs::write(room.path().join("images/blobs/sha256").join(&orphan), "a blob that no image came to have").unwrap();
        fs::create_dir_all(room.path().join("layers").join(&orphan).join("etc")).unwrap();
        fs::create_dir_all(room.path().join("layers/.aside/1-2-3")).unwrap();
        fs::write(room.path().join("layers/.aside/1-2-3/f"), "half a layer").unwrap();
    };
    let gone = || {
        assert_eq!(listing(room.path()), before);
        assert!(!room.path().join("images/.aside").exists() && !room.path().join("layers/.aside").exists());
    };
    leave();
    store.sweep().unwrap();
    gone();

    leave();
    fs::remove_dir_all(&base.layers[2]).unwrap();
    drop(store.write().unwrap());
    store.resolve("base").unwrap().layer_dirs().unwrap();
    gone();
}

/// A folder in the layout's form with an index that says `index`, and blobs.
fn layout(at: &Path, index: &serde_json::Value, blobs: &[&[u8]]) {
    fs::create_dir_all(at.join("blobs/sha256")).expect("the room is ours");
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the room is ours");
    fs::write(at.join("index.json"), index.to_string()).expect("the room is ours");
    for blob in blobs {
        fs::write(at.join("blobs/sha256").join(drydock::image::layer::digest(blob).digest()), blob).expect("the room is ours");
    }
}

fn line(kind: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({ "mediaType": format!("application/vnd.oci.image.{kind}.v1+json"), "digest": drydock::image::layer::digest(bytes).to_string(), "size": bytes.len() })
}

#[test]
fn documents_of_the_wrong_kind_nested_without_end_or_huge_are_refused_in_words() {
    let room = room();
    let load = |name: &str, index: serde_json::Value, blobs: &[&[u8]]| {
        layout(&room.path().join(name), &index, blobs);
        let store = Store::open(&room.path().join("store"));
        let error = save::load(&store, &Archive::open(&room.path().join(name)).unwrap()).unwrap_err().to_string();
        assert!(store.entries().unwrap().is_empty() && listing(&room.path().join("store/images/blobs")).is_empty(), "{name}");
        error
    };
    let index = |lines: serde_json::Value| serde_json::json!({ "schemaVersion": 2, "manifests": lines });
    // An index in an index in an index: a digest cannot name itself, so a circle must be a chain.
    let mut chain = vec![index(serde_json::json!([])).to_string().into_bytes()];
    for _ in 0..8 {
        let inner = index(serde_json::json!([line("index", chain.last().unwrap())]));
        chain.push(inner.to_string().into_bytes());
    }
    let blobs: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let error = load("chain", index(serde_json::json!([line("index", chain.last().unwrap())])), &blobs);
    assert!(error.ends_with("indexes are nested too deep"), "{error}");

    let wrong = br#"{"schemaVersion":2,"layers":"none"}"#;
    let error = load("wrong", index(serde_json::json!([line("manifest", wrong)])), &[wrong]);
    assert!(error.starts_with("manifest sha256:") && error.contains(" cannot be read: "), "{error}");

    let huge = vec![b' '; (4 << 20) + 1];
    let error = load("huge", index(serde_json::json!([line("manifest", &huge)])), &[&huge]);
    assert!(error.ends_with("it is longer than 4 MiB"), "{error}");

    let missing = index(serde_json::json!([line("manifest", b"not here")]));
    assert!(load("missing", missing, &[]).contains("ENOENT"));
    let out = index(serde_json::json!([{ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../../../etc/passwd", "size": 1 }]));
    assert!(load("out", out, &[]).contains("cannot be read"));
    let elsewhere = index(serde_json::json!([]));
    fs::create_dir_all(room.path().join("none")).unwrap();
    layout(&room.path().join("none"), &elsewhere, &[]);
    assert!(save::load(&Store::open(&room.path().join("store")), &Archive::open(&room.path().join("none")).unwrap()).unwrap().is_empty());
}

mod any {
    use super::*;
    use proptest::prelude::*;

    /// A small layout whose documents were bent: cut, or a byte exchanged, or a word for another.
    fn bent() -> impl Strategy<Value = (usize, usize, u8, bool)> {
        (0..3usize, 0..600usize, any::<u8>(), any::<bool>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bent_documents_are_refused_or_read_and_never_a_crash((which, place, byte, cut) in bent()) {
            let room = room();
            let config = br#"{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#.to_vec();
            let manifest = |config: &[u8]| serde_json::json!({ "schemaVersion": 2, "config": line("config", config), "layers": [] }).to_string().into_bytes();
            let bend = |mut bytes: Vec<u8>| {
                let place = place % bytes.len();
                if cut { bytes.truncate(place) } else { bytes[place] = byte }
                bytes
            };
            let config = if which == 0 { bend(config) } else { config };
            let manifest = if which == 1 { bend(manifest(&config)) } else { manifest(&config) };
            let index = serde_json::json!({ "schemaVersion": 2, "manifests": [line("manifest", &manifest)] });
            let at = room.path().join("layout");
            layout(&at, &index, &[&config, &manifest]);
            if which == 2 {
                fs::write(at.join("index.json"), bend(index.to_string().into_bytes())).unwrap();
            }
            let store = Store::open(&room.path().join("store"));
            let loaded = Archive::open(&at).and_then(|archive| save::load(&store, &archive));
            // Whatever was taken can be listed and read again.
            for entry in store.entries().unwrap() {
                store.image(&entry.digest).unwrap();
            }
            prop_assert!(loaded.is_ok() || listing(&room.path().join("store/images/blobs")).is_empty());
        }
    }
}
