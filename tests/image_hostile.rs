//! Layers that lie, burst or are merely unusual, through the binary: `skiff load` refuses with one clear
//! error and leaves the store as it was, or takes them exactly; and trees are compared with Docker's,
//! umoci's and tar's own.

#[macro_use]
mod support;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::docker::Docker;
use support::{Room, outcome, stdout};

/// The sha256 of some bytes, as everything here is called.
fn digest(bytes: &[u8]) -> String {
    drydock::image::layer::digest(bytes).to_string()
}

/// A Docker archive of one layer whose tar is `tar` and which is stored as `stored`.
fn archive(path: &Path, name: &str, tar_digest: &str, stored: &[u8]) {
    let config = json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [tar_digest] } }).to_string();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] }]).to_string();
    let mut tar = tar::Builder::new(File::create(path).expect("the room is ours"));
    for (member, bytes) in [("config.json", config.as_bytes()), ("layer.tar", stored), ("manifest.json", manifest.as_bytes())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, member, bytes).expect("a member");
    }
    tar.into_inner().expect("an archive");
}

/// Every path below the store with its size, locks left out.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| !e.file_name().to_string_lossy().ends_with("lock")) {
        let metadata = entry.metadata().expect("it is there");
        if metadata.is_dir() { found.extend(listing(&entry.path())) } else { found.push((entry.path(), metadata.len())) }
    }
    found.sort();
    found
}

/// Loads what must be refused, beside an image that must stay as it is; gives the error's first line.
fn refused(room: &Room, layer_digest: &str, stored: &[u8]) -> String {
    let good = tar_with(|tar| add(tar, "kept", b"kept"));
    archive(&room.path().join("good.tar"), "good:1", &digest(&good), &good);
    stdout(&mut room.skiff(&["load", "-i", &room.path().join("good.tar").display().to_string()]));
    let before = listing(&room.skiff_root());
    let bad = room.path().join("bad.tar");
    archive(&bad, "bad:1", layer_digest, stored);
    let (code, out, err) = outcome(&mut room.skiff(&["load", "-i", &bad.display().to_string()]));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert_eq!(listing(&room.skiff_root()), before, "the store is as it was");
    assert_eq!(stdout(&mut room.skiff(&["images", "--format", "{{.Repository}}"])), "good\n");
    err.lines().next().unwrap_or_default().to_owned()
}

fn tar_with(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    fill(&mut tar);
    tar.into_inner().expect("an archive")
}

fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).expect("an entry");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("into memory");
    gzip.finish().expect("into memory")
}

#[test]
fn a_decompression_bomb_is_refused_before_it_fills_the_disk() {
    // A gibibyte of zeros in one file, made without holding them.
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").expect("a name");
    header.set_size(1 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    let bomb = |mut to: Box<dyn Write>| {
        to.write_all(header.as_bytes()).expect("into memory");
        io::copy(&mut io::Read::take(io::repeat(0), (1 << 30) + 1024), &mut to).expect("into memory");
        to.flush().expect("into memory");
    };
    let path = Room::new();
    let file = path.path().join("bomb");
    for kind in ["gzip", "zstd"] {
        let to = File::create(&file).expect("the room is ours");
        match kind {
            "gzip" => bomb(Box::new(GzEncoder::new(to, Compression::default()))),
            _ => bomb(Box::new(zstd::Encoder::new(to, 1).expect("an encoder").auto_finish())),
        }
        let mut room = Room::new();
        // What stands there otherwise is more than is good for a test's disk.
        room.set("SKIFF_UNPACKED_MAX", "256m");
        let error = refused(&room, &format!("sha256:{}", "0".repeat(64)), &fs::read(&file).expect("a file"));
        assert!(error.starts_with("error: the layer cannot be read: it is a decompression bomb: "), "{kind}: {error}");
        // The archive as a whole may be one as well.
        let (code, _, err) = outcome(&mut room.skiff(&["load", "-i", &file.display().to_string()]));
        assert_eq!(code, Some(1), "{err}");
        assert!(err.starts_with("error: the archive cannot be read: it is a decompression bomb: "), "{kind}: {err}");
        let (code, _, err) = outcome(&mut room.skiff(&["import", &file.display().to_string()]));
        assert_eq!(code, Some(1), "{err}");
        assert!(err.starts_with("error: the archive cannot be read: it is a decompression bomb: "), "{kind}: {err}");
    }
}

#[test]
fn a_name_of_many_megabytes_is_refused_before_it_is_kept() {
    for kind in [b'L', b'K', b'x'] {
        let size = 50 << 20;
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").expect("a name");
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(bytes.len() + usize::try_from(size).expect("it fits"), b'a');
        bytes.extend(tar_with(|tar| add(tar, "a", b"x")));
        let error = refused(&Room::new(), &digest(&bytes), &bytes);
        assert_eq!(error, "error: the layer cannot be read: an entry's name and attributes take more than 1 MiB");
    }
    // What follows many large files is no name.
    let good = tar_with(|tar| (0..40).for_each(|i| add(tar, &format!("{i}"), &vec![i; 200_000])));
    let room = Room::new();
    archive(&room.path().join("good.tar"), "good:1", &digest(&good), &good);
    stdout(&mut room.skiff(&["load", "-i", &room.path().join("good.tar").display().to_string()]));
}

#[test]
fn a_layer_that_is_not_the_one_that_was_promised_is_refused() {
    let (one, other) = (tar_with(|t| add(t, "a", b"one")), tar_with(|t| add(t, "a", b"other")));
    for stored in [one.clone(), gzip(&one), zstd::encode_all(one.as_slice(), 3).expect("into memory")] {
        let error = refused(&Room::new(), &digest(&other), &stored);
        assert_eq!(error, format!("error: layer {} is damaged: its bytes hash to {}, not to {}", &digest(&other)[7..19], digest(&one), digest(&other)));
    }
}

#[test]
fn streams_that_are_cut_off_or_bent_are_refused() {
    let whole = tar_with(|t| (0..100).for_each(|i| add(t, &format!("file-{i}"), &[i; 3000])));
    let packed = gzip(&whole);
    let frames = zstd::encode_all(whole.as_slice(), 3).expect("into memory");
    let mut bent = packed.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 0x55;
    for (what, stored) in [("tar", &whole[..whole.len() / 2]), ("gzip", &packed[..packed.len() / 2]), ("zstd", &frames[..frames.len() / 2]), ("bent gzip", &bent)] {
        let error = refused(&Room::new(), &digest(&whole), stored);
        assert!(error.starts_with("error: the layer cannot be read: ") || error.contains("is damaged"), "{what}: {error}");
    }
}

#[test]
fn a_size_that_lies_in_a_pax_record_is_refused() {
    // The header says 600 bytes, the record another number; the record is what counts.
    for lie in ["5000000", "1", "99999999999999999999999", "-1"] {
        let tar = tar_with(|tar| {
            tar.append_pax_extensions([("size", lie.as_bytes())]).expect("records");
            add(tar, "a", &[b'x'; 600]);
            add(tar, "b", b"more");
        });
        let error = refused(&Room::new(), &digest(&tar), &tar);
        assert!(error.starts_with("error: the layer cannot be read: "), "{lie}: {error}");
    }
}

#[test]
fn a_hundred_thousand_files_are_loaded_and_listed() {
    let tar = tar_with(|tar| {
        for i in 0..100_000u32 {
            add(tar, &format!("d{}/f{i}", i % 300), b"");
        }
    });
    let room = Room::new();
    archive(&room.path().join("many.tar"), "many:1", &digest(&tar), &tar);
    stdout(&mut room.skiff(&["load", "-i", &room.path().join("many.tar").display().to_string()]));
    let shown = stdout(&mut room.skiff(&["image", "show", "many:1"]));
    assert!(shown.contains("adds 100000 files and 300 folders\n"), "{shown}");
    stdout(&mut room.skiff(&["rmi", "many:1"]));
    assert_eq!(fs::read_dir(room.skiff_root().join("layers")).expect("a folder").flatten().filter(|e| e.file_name().len() == 64).count(), 0);
}

/// What a tree is: type, mode, owner, size, links, time to the nanosecond, device, target, attributes, content.
fn picture(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(at).expect("a folder").flatten() {
            let path = entry.path();
            let m = fs::symlink_metadata(&path).expect("it is there");
            let name = path.strip_prefix(root).expect("below the root");
            let size = if m.is_dir() { 0 } else { m.len() };
            let links = if m.is_dir() { 0 } else { m.nlink() };
            let target = fs::read_link(&path).unwrap_or_default();
            let content = if m.is_file() { digest(&fs::read(&path).expect("a file")) } else { String::new() };
            let mut attributes: Vec<_> = xattr::list(&path).into_iter().flatten().map(|n| (n.clone(), xattr::get(&path, &n).expect("an attribute"))).collect();
            attributes.sort();
            found.push(format!(
                "{name:?} {:o} {}:{} {size} x{links} {}.{:09} {:x} {target:?} {attributes:?} {content}",
                m.mode(), m.uid(), m.gid(), m.mtime(), m.mtime_nsec(), m.rdev()
            ));
            if m.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// Panics with the lines in which two trees differ.
fn assert_same(ours: &[String], theirs: &[String], whose: &str) {
    let only = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("\n");
    assert!(ours == theirs, "{whose}\nonly in ours:\n{}\nonly in theirs:\n{}", only(ours, theirs), only(theirs, ours));
}

/// A tree with all that a layer may legally hold, and its tar as GNU tar writes it.
fn nasty(room: &Room) -> PathBuf {
    let script = r#"
        set -e; mkdir tree; cd tree
        mkdir -p a/b/c closed tmp "with space" ; chmod 555 closed; chmod 1777 tmp; chmod 2750 a/b
        printf 'x' >a/one; ln a/one a/two; ln -s ../../../etc/passwd a/out; ln -s /absolute a/abs; ln -s nowhere a/dangling; ln a/dangling a/dangling-too
        mkfifo a/fifo; mknod a/null c 1 3; mknod a/loop b 7 9
        printf 'su' >su; chown 1234:5678 su; chmod 6755 su
        printf 'latin' >"$(printf 'n\344me')"; printf 'new\nline' >"$(printf 'line\nbreak')"
        printf 'long' >"$(printf 'l%.0s' $(seq 200))"; mkdir -p "$(printf 'deep/%.0s' $(seq 60))"
        truncate -s 10M holes; printf 'middle' | dd of=holes bs=1 seek=5000000 conv=notrunc status=none; printf 'end' | dd of=holes bs=1 seek=10485757 conv=notrunc status=none
        truncate -s 3M empty-holes
        setfattr -n user.mine -v value a/one; setfattr -n user.dir -v dir a/b
        setcap cap_net_raw+ep su 2>/dev/null || true
        touch -d '1999-12-31 23:59:59.123456789' a/one closed; touch -d '1960-01-01 00:00:00.5' su; touch -h -d '2001-02-03 04:05:06.7' a/out
    "#;
    stdout(room.command("bash").args(["-c", script]).current_dir(room.path()));
    room.path().join("tree")
}

/// The folder of the only layer of an image.
fn layer_folder(room: &Room, name: &str) -> PathBuf {
    PathBuf::from(stdout(&mut room.skiff(&["image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name])).trim())
}

#[test]
fn a_nasty_but_legal_tree_is_unpacked_exactly_in_every_form_that_tar_writes() {
    require!(Root, Tool("tar"), Tool("setfattr"));
    let room = Room::new();
    let tree = nasty(&room);
    let expected = picture(&tree);
    let forms: [(&str, &[&str]); 5] = [
        ("pax", &["--format=posix"]), ("pax-sparse-1.0", &["--format=posix", "--sparse", "--sparse-version=1.0"]),
        ("pax-sparse-0.1", &["--format=posix", "--sparse", "--sparse-version=0.1"]), ("pax-sparse-0.0", &["--format=posix", "--sparse", "--sparse-version=0.0"]),
        ("gnu", &["--format=gnu", "--sparse"]),
    ];
    for (form, options) in forms {
        let tar = room.path().join(format!("{form}.layer"));
        stdout(Command::new("tar").args(options).args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf"]).arg(&tar).arg("-C").arg(&tree).arg("."));
        let bytes = fs::read(&tar).expect("tar wrote it");
        let file = room.path().join(format!("{form}.tar"));
        archive(&file, &format!("{form}:1"), &digest(&bytes), &zstd::encode_all(bytes.as_slice(), 1).expect("into memory"));
        stdout(&mut room.skiff(&["load", "-i", &file.display().to_string()]));
        let folder = layer_folder(&room, &format!("{form}:1"));
        let found = picture(&folder);
        if form == "gnu" {
            // That form has whole seconds, none before 1970 but in a form of its own, and no attributes.
            let plain = |all: &[String]| all.iter().map(|l| l.split(' ').take_while(|w| !w.starts_with('x')).map(str::to_owned).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
            assert_eq!(plain(&found), plain(&expected));
            let second = |of: &Path| fs::symlink_metadata(of.join("su")).expect("a file").mtime();
            assert_eq!(second(&folder), second(&tree));
        } else {
            assert_same(&found, &expected, form);
        }
        if form.contains("sparse") {
            assert!(fs::metadata(folder.join("holes")).expect("a file").blocks() * 512 < 1 << 20, "{form}: holes stay holes");
        }
    }
}

#[test]
fn trees_are_those_that_docker_and_umoci_unpack() {
    require!(Root, Docker, Tool("busybox"), Tool("umoci"), Tool("setfattr"));
    let room = Room::new();
    let tree = nasty(&room);
    // Docker knows no time before 1970, and writes 1970.
    stdout(Command::new("touch").args(["-d", "2000-01-01 00:00:00.5"]).arg(tree.join("su")));
    let at = |name: &str| room.path().join(name).display().to_string();
    stdout(Command::new("tar").args(["--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf", &at("layer")]).arg("-C").arg(&tree).arg("."));
    let bytes = fs::read(at("layer")).expect("tar wrote it");
    archive(Path::new(&at("nasty.tar")), "nasty:1", &digest(&bytes), &bytes);
    stdout(&mut room.skiff(&["load", "-i", &at("nasty.tar")]));
    let ours = picture(&layer_folder(&room, "nasty:1"));

    let docker = Docker::start();
    stdout(docker.client().args(["load", "-i", &at("nasty.tar")]));
    let theirs = stdout(docker.client().args(["image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "nasty:1"]));
    assert_same(&ours, &picture(Path::new(theirs.trim())), "docker");

    stdout(&mut room.skiff(&["save", "-o", &at("saved.tar"), "nasty:1"]));
    fs::create_dir(at("layout")).expect("the room is ours");
    stdout(Command::new("tar").args(["-xf", &at("saved.tar"), "-C", &at("layout")]));
    // The annotation of a name with a colon is more than umoci takes.
    let index = fs::read_to_string(at("layout/index.json")).expect("an index").replace("\"nasty:1\"", "\"nasty\"");
    fs::write(at("layout/index.json"), index).expect("the room is ours");
    stdout(room.command("umoci").args(["unpack", "--image", &format!("{}:nasty", at("layout")), &at("bundle")]));
    assert_same(&ours, &picture(Path::new(&at("bundle/rootfs"))), "umoci");
}

#[test]
fn a_file_with_a_whiteouts_name_gets_into_no_layer() {
    require!(UserNamespaces);
    let room = Room::new();
    stdout(&mut room.skiff(&["run", "--name", "sly", "--network", "none", "base", "touch", "/etc/.wh.passwd"]));
    let (code, out, err) = outcome(&mut room.skiff(&["commit", "sly", "sly"]));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.starts_with("error: the layer is refused: its entry \"etc/.wh.passwd\" has the name of a whiteout, and would take away another file\n"), "{err}");
}

/// Any process in a container may set `user.` attributes; to root's overlay they mean nothing.
#[test]
fn a_mark_that_the_kernel_does_not_believe_hides_nothing_from_an_image() {
    require!(Root);
    let room = Room::new();
    stdout(&mut room.skiff(&["run", "--name", "sly", "--network", "none", "base", "touch", "/etc/new"]));
    let containers = fs::read_dir(room.skiff_root().join("containers")).expect("a folder");
    let folder = containers.flatten().map(|e| e.path()).find(|p| p.join("upper").exists()).expect("the container");
    xattr::set(folder.join("upper/etc"), "user.overlay.opaque", b"y").expect("anybody may");
    stdout(&mut room.skiff(&["commit", "sly", "sly"]));
    assert_eq!(stdout(&mut room.skiff(&["run", "--rm", "--network", "none", "sly", "ls", "/etc/passwd", "/etc/new"])), "/etc/new\n/etc/passwd\n");
}

#[test]
fn a_time_before_1970_goes_through_commit_build_and_archive() {
    require!(Root, Tool("busybox"));
    let room = Room::new();
    let context = room.path().join("context");
    fs::create_dir(&context).expect("the room is ours");
    let dates = "mkdir /old; touch /old/made; ln -s made /old/link; touch -h -d '1960-01-01 00:00:00' /old/link; touch -d '1960-01-01 00:00:00' /old/made /old";
    fs::write(context.join("Dockerfile"), "FROM old\nCOPY copied /\n").expect("the room is ours");
    fs::write(context.join("copied"), "x").expect("the room is ours");
    stdout(Command::new("touch").args(["-d", "1959-12-31 23:59:59.25 UTC"]).arg(context.join("copied")));
    stdout(&mut room.skiff(&["run", "--name", "old", "base", "sh", "-c", dates]));
    stdout(&mut room.skiff(&["commit", "old", "old"]));
    stdout(&mut room.skiff(&["build", "-q", "-t", "older", &context.display().to_string()]));
    let archive = room.path().join("older.tar").display().to_string();
    stdout(&mut room.skiff(&["save", "-o", &archive, "older"]));
    let other = Room::new();
    stdout(&mut other.skiff(&["load", "-q", "-i", &archive]));
    let seen = stdout(&mut other.skiff(&["run", "--rm", "older", "stat", "-c", "%n %Y", "/old", "/old/made", "/old/link", "/copied"]));
    let (old, older) = (-315_619_200, -315_619_201);
    assert_eq!(seen, format!("/old {old}\n/old/made {old}\n/old/link {old}\n/copied {older}\n"));
}
