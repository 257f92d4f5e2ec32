//! The store with several skiff at once, killed at any moment, and on a disk that is full: what has a
//! name is whole, and what a dead one left is gone after the next that writes.

#[macro_use]
mod support;

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{Room, outcome, stdout};

fn digest(bytes: &[u8]) -> String {
    drydock::image::layer::digest(bytes).to_string()
}

/// A layer of `files` files of some kilobytes each, another for each `seed`.
fn layer(seed: u8, files: u32) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for i in 0..files {
        let content: Vec<u8> = (0..4000u32).map(|at| (at.wrapping_mul(u32::from(seed) + 31).wrapping_add(i) >> 3) as u8).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("layer-{seed}/file-{i}"), content.as_slice()).expect("an entry");
    }
    tar.into_inner().expect("an archive")
}

/// A Docker archive of an image with these layers.
fn archive(path: &Path, name: &str, layers: &[&[u8]]) {
    let diff_ids: Vec<String> = layers.iter().map(|l| digest(l)).collect();
    let config = json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
    let names: Vec<String> = (0..layers.len()).map(|i| format!("{i}/layer.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": names }]).to_string();
    let mut tar = tar::Builder::new(File::create(path).expect("the room is ours"));
    let documents = [("config.json", config.as_bytes()), ("manifest.json", manifest.as_bytes())];
    for (member, bytes) in names.iter().map(String::as_str).zip(layers.iter().copied()).chain(documents) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, member, bytes).expect("a member");
    }
    tar.into_inner().expect("an archive");
}

/// Every file below a folder with what its bytes hash to; locks, sizes and notes of the boot left out.
fn contents(folder: &Path) -> Vec<(PathBuf, String)> {
    fn walk(root: &Path, at: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if name.ends_with("lock") || name == "events.json" || name == ".sizes" || name == ".unsynced" {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push((path.strip_prefix(root).expect("below it").to_owned(), digest(&fs::read(&path).expect("a file"))));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// Panics unless every image that has a line is whole: its blobs hash to their names, its layers hold
/// what their tars hold. Gives the names.
fn assert_whole(root: &Path, after: &str) -> Vec<String> {
    let Ok(text) = fs::read(root.join("images/index.json")) else { return Vec::new() };
    let index: Value = serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{after}: index.json: {e}"));
    let blob = |digest_: &Value| {
        let name = digest_.as_str().expect("a digest");
        let bytes = fs::read(root.join("images/blobs/sha256").join(&name[7..])).unwrap_or_else(|e| panic!("{after}: {name}: {e}"));
        assert_eq!(digest(&bytes), name, "{after}: a blob is not what it is called");
        bytes
    };
    let mut names = Vec::new();
    for line in index["manifests"].as_array().expect("a list") {
        names.extend(line["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned));
        let manifest: Value = serde_json::from_slice(&blob(&line["digest"])).expect("JSON");
        let config: Value = serde_json::from_slice(&blob(&manifest["config"]["digest"])).expect("JSON");
        for (layer, diff_id) in manifest["layers"].as_array().expect("a list").iter().zip(config["rootfs"]["diff_ids"].as_array().expect("a list")) {
            let bytes = blob(&layer["digest"]);
            let folder = root.join("layers").join(&diff_id.as_str().expect("a digest")[7..]);
            let mut tar = tar::Archive::new(bytes.as_slice());
            for entry in tar.entries().expect("a tar") {
                let mut entry = entry.expect("an entry");
                let mut expected = Vec::new();
                io::Read::read_to_end(&mut entry, &mut expected).expect("into memory");
                let path = folder.join(entry.path().expect("a path"));
                assert!(fs::read(&path).is_ok_and(|found| found == expected), "{after}: {} is not whole", path.display());
            }
        }
    }
    names.sort();
    names
}

fn load(room: &Room, file: &Path) -> Command {
    let mut command = room.skiff(&["load", "-q", "-i"]);
    command.arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn end(child: Child, what: &str) {
    let output = child.wait_with_output().expect("it is our child");
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn many_at_once_load_the_same_and_others_while_names_come_and_go() {
    let room = Room::new();
    let (base, one, two) = (layer(1, 150), layer(2, 100), layer(3, 100));
    let files: Vec<PathBuf> = ["a.tar", "b.tar", "c.tar"].iter().map(|n| room.path().join(n)).collect();
    archive(&files[0], "a:1", &[&base, &one]);
    archive(&files[1], "b:1", &[&base, &two]);
    archive(&files[2], "c:1", &[&base]);
    // Once alone, to know what it must come to.
    let alone = Room::new();
    files.iter().for_each(|file| end(load(&alone, file).spawn().expect("skiff starts"), "alone"));
    let expected = contents(&alone.skiff_root());

    for round in 0..3 {
        let loads: Vec<Child> = (0..9).map(|i| load(&room, &files[i % 3]).spawn().expect("skiff starts")).collect();
        // Meanwhile whoever loses a name must not take the others' layers along.
        let mut comings: Vec<Child> = Vec::new();
        for words in [["rmi", "-f", "c:1"].as_slice(), &["tag", "a:1", "d:1"], &["rmi", "-f", "a:1"], &["image", "prune", "-f"]] {
            comings.push(room.skiff(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("skiff starts"));
        }
        loads.into_iter().for_each(|child| end(child, "load"));
        comings.iter_mut().for_each(|child| drop(child.wait()));
        assert_whole(&room.skiff_root(), &format!("round {round}"));
    }
    // Whatever the order was: loaded once more, and the name that came by the way removed, it is the same.
    files.iter().for_each(|file| end(load(&room, file).spawn().expect("skiff starts"), "once more"));
    outcome(&mut room.skiff(&["rmi", "-f", "d:1"]));
    stdout(&mut room.skiff(&["image", "prune", "-f"]));
    assert_eq!(assert_whole(&room.skiff_root(), "at the end"), ["a:1", "b:1", "c:1"]);
    assert_eq!(names_only(&contents(&room.skiff_root())), names_only(&expected));
}

/// Paths alone: the index may have its lines in another order.
fn names_only(all: &[(PathBuf, String)]) -> Vec<&PathBuf> {
    all.iter().map(|(path, _)| path).collect()
}

#[test]
fn killed_at_any_moment_of_a_load_nothing_half_is_taken_for_whole_and_the_next_writer_clears_it() {
    use std::os::fd::AsFd;
    let room = Room::new();
    let (big, small) = (layer(1, 300), layer(2, 3));
    let (first, second) = (room.path().join("big.tar"), room.path().join("small.tar"));
    archive(&first, "big:1", &[&small, &big]);
    archive(&second, "small:1", &[&small]);
    let alone = Room::new();
    end(load(&alone, &second).spawn().expect("skiff starts"), "alone");
    let expected = contents(&alone.skiff_root());
    let begun = Instant::now();
    end(load(&Room::new(), &first).spawn().expect("skiff starts"), "a whole load");
    let mut whole = begun.elapsed();

    let (mut finished, kills) = (0, 24u32);
    for kill in 0..kills {
        let begun = Instant::now();
        let mut child = load(&room, &first).spawn().expect("skiff starts");
        // Its end is what is waited for; it comes too late each time but the last few.
        let pidfd = drydock::kernel::pidfd::Pidfd::open(i32::try_from(child.id()).expect("a process id")).expect("it is our child");
        let ended = support::readable(pidfd.as_fd(), whole * kill / (kills - 2));
        if ended {
            // The machine was busier when the first was measured: the next kills come sooner.
            whole = whole.min(begun.elapsed());
        }
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        finished += u32::from(ended);
        let after = format!("killed after {:?}", whole * kill / (kills - 2));
        assert_whole(&room.skiff_root(), &after);
        let listed = stdout(&mut room.skiff(&["images", "--format", "{{.Repository}}"]));
        assert!(["", "big\n", "small\n", "big\nsmall\n", "small\nbig\n"].contains(&listed.as_str()), "{after}: {listed}");
        outcome(&mut room.skiff(&["rmi", "big:1"]));
        end(load(&room, &second).spawn().expect("skiff starts"), &after);
        assert_eq!(contents(&room.skiff_root()), expected, "{after}: something of it is left");
    }
    assert!(kills - finished >= 6, "{finished} of {kills} were over before they were killed");
}

#[test]
fn what_was_unpacked_in_another_boot_and_never_synced_is_unpacked_again() {
    let room = Room::new();
    let bytes = layer(1, 20);
    archive(&room.path().join("a.tar"), "a:1", &[&bytes]);
    end(load(&room, &room.path().join("a.tar")).spawn().expect("skiff starts"), "load");
    let hex = digest(&bytes)[7..].to_owned();
    let note = room.skiff_root().join("layers/.unsynced").join(&hex);
    let file = room.skiff_root().join("layers").join(&hex).join("layer-1/file-7");
    let good = fs::read(&file).expect("a file");

    // As a power failure may leave it: the folder has its name, the file has no bytes.
    fs::write(&file, "").expect("the room is ours");
    stdout(&mut room.skiff(&["image", "show", "a:1"]));
    assert_eq!(fs::read(&file).expect("a file"), b"", "within the boot the layer is believed");
    for boot in ["00000000-0000-0000-0000-000000000000\n", ""] {
        fs::write(&file, "").expect("the room is ours");
        fs::write(&note, boot).expect("the room is ours");
        stdout(&mut room.skiff(&["image", "show", "a:1"]));
        assert_eq!(fs::read(&file).expect("a file"), good, "{boot:?}");
    }
}

#[test]
fn a_damaged_image_hides_no_other_is_taken_away_by_its_name_and_comes_back_whole() {
    let room = Room::new();
    let (one, other) = (layer(1, 20), layer(2, 3));
    archive(&room.path().join("a.tar"), "a:1", &[&one]);
    archive(&room.path().join("b.tar"), "b:1", &[&other]);
    let load = |file: &str| stdout(&mut load(&room, &room.path().join(file)));
    let names = || outcome(&mut room.skiff(&["images", "--format", "{{.Repository}}"]));
    load("a.tar");
    load("b.tar");
    let manifest = stdout(&mut room.skiff(&["images", "--digests", "--format", "{{.Digest}}", "a:1"]));
    let manifest = room.skiff_root().join("images/blobs/sha256").join(&manifest.trim()[7..]);
    fs::write(&manifest, "").expect("the room is ours");
    let (code, out, err) = names();
    assert_eq!((code, out.as_str()), (Some(0), "b\n"), "{err}");
    assert!(err.starts_with("note: the image a:1 is damaged (manifest sha256:"), "{err}");
    stdout(&mut room.skiff(&["tag", "b:1", "c:1"]));
    assert_eq!(stdout(&mut room.skiff(&["rmi", "c:1"])), "Untagged: c:1\n");
    assert_eq!(stdout(&mut room.skiff(&["rmi", "a:1"])), "Untagged: a:1\n");
    assert_eq!(names(), (Some(0), "b\n".to_owned(), String::new()));
    load("a.tar");
    assert_eq!(assert_whole(&room.skiff_root(), "it came back"), ["a:1", "b:1"]);

    // A layer's blob that was cut short is not taken for the layer.
    let blob = room.skiff_root().join("images/blobs/sha256").join(&digest(&one)[7..]);
    fs::File::options().write(true).open(&blob).and_then(|f| f.set_len(1000)).expect("the room is ours");
    load("a.tar");
    assert_eq!(assert_whole(&room.skiff_root(), "a blob was cut short"), ["a:1", "b:1"]);
}

/// A tmpfs of so many bytes, unmounted again.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, bytes: u64) -> Self {
        fs::create_dir_all(&at).expect("the room is ours");
        stdout(Command::new("mount").args(["-n", "-t", "tmpfs", "-o", &format!("size={bytes}"), "small"]).arg(&at));
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-n").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_the_store_stays_as_it_was_and_the_reason_is_said() {
    require!(Root);
    let room = Room::new();
    let (small, big) = (layer(2, 3), layer(1, 300));
    let (first, second) = (room.path().join("small.tar"), room.path().join("big.tar"));
    archive(&first, "small:1", &[&small]);
    archive(&second, "big:1", &[&small, &big]);
    let packed = room.path().join("big.tar.gz");
    let mut gzip = flate2::write::GzEncoder::new(File::create(&packed).expect("the room is ours"), flate2::Compression::fast());
    io::copy(&mut File::open(&second).expect("a file"), &mut gzip).expect("it is compressed");
    gzip.finish().expect("it is compressed");

    // From too small for the archive's blob up to what nearly is enough for blob and files.
    let mut failed = 0;
    for kilobytes in (200..3600).step_by(200) {
        let disk = Small::mount(room.path().join("disk"), kilobytes << 10);
        let skiff = |words: &[&str]| {
            let mut command = room.skiff(words);
            command.env("SKIFF_ROOT", disk.0.join("skiff"));
            command
        };
        stdout(&mut skiff(&["load", "-i", &first.display().to_string()]));
        let before = contents(&disk.0);
        for file in [&second, &packed] {
            let (code, _, err) = outcome(&mut skiff(&["load", "-i", &file.display().to_string()]));
            let names = assert_whole(&disk.0.join("skiff"), &format!("{kilobytes} KiB"));
            if code == Some(0) {
                assert_eq!(names, ["big:1", "small:1"]);
                stdout(&mut skiff(&["rmi", "big:1"]));
            } else {
                failed += 1;
                assert!(err.contains(": ENOSPC\n  why: the filesystem that holds skiff's root has no space left\n  try: free some space"), "{kilobytes} KiB: {err}");
            }
            assert_eq!(contents(&disk.0), before, "{kilobytes} KiB");
        }
    }
    assert!(failed > 10, "only {failed} loads found the disk full");
}

#[test]
fn an_archive_takes_the_place_of_no_device() {
    let room = Room::new();
    archive(&room.path().join("a.tar"), "a:1", &[&layer(1, 2)]);
    stdout(&mut load(&room, &room.path().join("a.tar")));
    let device = room.path().join("device");
    nix::unistd::mkfifo(&device, nix::sys::stat::Mode::S_IRUSR).expect("the room is ours");
    let (code, out, err) = outcome(&mut room.skiff(&["save", "-o", &device.display().to_string(), "a:1"]));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.starts_with(&format!("error: cannot write to {}: it is not a regular file\n", device.display())), "{err}");
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&fs::symlink_metadata(&device).expect("it is there").file_type()));
}

#[test]
fn images_and_layers_are_their_owners_alone() {
    require!(UserNamespaces, Tool("busybox"));
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let room = Room::new();
    fs::create_dir_all(room.skiff_root().join("images")).expect("the room is ours");
    fs::set_permissions(room.skiff_root().join("images"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    stdout(&mut room.skiff(&["run", "--rm", "base", "true"]));
    for folder in ["images", "layers"] {
        assert_eq!(fs::metadata(room.skiff_root().join(folder)).expect("a folder").mode() & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn no_image_is_called_what_an_id_begins_with() {
    require!(UserNamespaces, Tool("busybox"));
    let room = Room::new();
    let file = room.path().join("Dockerfile");
    fs::write(&file, "FROM base\n").expect("the room is ours");
    let expected = "error: \"sha256:abc\" is not an image reference: sha256: begins a digest, so it would be taken for an image ID\n  try: [registry/][namespace/]repository[:tag], such as base or base:latest\n";
    stdout(&mut room.skiff(&["run", "--rm", "base", "true"]));
    assert_eq!(outcome(&mut room.skiff(&["tag", "base", "sha256:abc"])), (Some(1), String::new(), expected.to_owned()));
    let (code, _, err) = outcome(&mut room.skiff(&["build", "-q", "-t", "sha256:abc", &room.path().display().to_string()]));
    assert!(code == Some(1) && err.ends_with(expected), "{err}");
    let (code, _, err) = outcome(&mut room.skiff(&["pull", "scratch"]));
    assert!(code == Some(1) && err.starts_with("error: \"scratch\" is not an image reference: it is a reserved name: "), "{err}");
}
