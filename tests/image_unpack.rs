//! Unpacking layers: what a good one becomes on disk, and how a hostile one gets nowhere.

use drydock::image::unpack;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tar::EntryType;

/// A tar entry whose name and link are written as they are, whatever they say.
#[derive(Debug, Clone)]
struct Raw {
    kind: EntryType,
    name: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    content: Vec<u8>,
}

fn entry(kind: EntryType, name: &str) -> Raw {
    Raw { kind, name: name.into(), link: Vec::new(), mode: if kind.is_dir() { 0o755 } else { 0o644 }, content: Vec::new() }
}

fn file(name: &str, content: &str) -> Raw {
    Raw { content: content.into(), ..entry(EntryType::Regular, name) }
}

fn folder(name: &str) -> Raw {
    entry(EntryType::Directory, name)
}

fn link(kind: EntryType, name: &str, to: &str) -> Raw {
    Raw { link: to.into(), ..entry(kind, name) }
}

fn symlink(name: &str, to: &str) -> Raw {
    link(EntryType::Symlink, name, to)
}

/// The bytes of an archive, headers filled by hand: the library refuses to write such names.
fn tar_of(entries: &[Raw]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for raw in entries {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..raw.name.len()].copy_from_slice(&raw.name);
        old.linkname[..raw.link.len()].copy_from_slice(&raw.link);
        header.set_entry_type(raw.kind);
        header.set_mode(raw.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(raw.content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&raw.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A folder to unpack into, beside a file that nothing may touch.
struct Place {
    room: tempfile::TempDir,
    into: PathBuf,
    secret: PathBuf,
}

impl Place {
    fn new() -> Self {
        let room = tempfile::Builder::new().prefix("drydock-unpack-").tempdir().expect("a temporary folder");
        // So deep that a way out, if there were one, would still end in the room.
        let deep = room.path().join("1/2/3/4/5/6");
        let (into, secret) = (deep.join("into"), deep.join("secret"));
        fs::create_dir_all(&into).expect("a folder");
        fs::write(&secret, "untouched").expect("a file");
        Self { room, into, secret }
    }

    fn unpack(&self, entries: &[Raw]) -> Result<(), String> {
        let done = unpack::tree(&self.into, tar_of(entries).as_slice()).map_err(|e| e.to_string());
        self.assert_nothing_escaped();
        done
    }

    fn assert_nothing_escaped(&self) {
        assert_eq!(fs::read_to_string(&self.secret).expect("it is there"), "untouched");
        assert_eq!(fs::metadata(&self.secret).expect("it is there").nlink(), 1, "something links to the file outside");
        let mut here = self.room.path().to_owned();
        for only in ["1", "2", "3", "4", "5", "6"] {
            let names: Vec<_> = fs::read_dir(&here).expect("a folder").flatten().map(|e| e.file_name()).collect();
            assert_eq!(names, [only], "something was made beside the folder");
            here.push(only);
        }
        assert_eq!(fs::read_dir(&here).expect("a folder").count(), 2, "something was made beside the folder");
    }
}

#[test]
fn names_that_lead_out_are_refused_and_said() {
    let refused = |entries: &[Raw]| Place::new().unpack(entries).expect_err("it must be refused");
    assert_eq!(refused(&[file("../secret", "x")]), r#"the layer is refused: its entry "../secret" climbs out with "..""#);
    assert_eq!(refused(&[file("a/../../secret", "x")]), r#"the layer is refused: its entry "a/../../secret" climbs out with "..""#);
    assert_eq!(refused(&[file("/etc/motd", "x")]), r#"the layer is refused: its entry "/etc/motd" is an absolute path"#);
    assert_eq!(refused(&[folder("..")]), r#"the layer is refused: its entry ".." climbs out with "..""#);
    assert_eq!(refused(&[file("a/.wh.", "")]), r#"the layer is refused: its entry "a/.wh." is a whiteout of no file's name"#);
    assert_eq!(refused(&[file(".wh...", "")]), r#"the layer is refused: its entry ".wh..." is a whiteout of no file's name"#);
    assert_eq!(refused(&[file(".wh..", "")]), r#"the layer is refused: its entry ".wh.." is a whiteout of no file's name"#);
}

#[test]
fn links_that_lead_out_are_not_followed() {
    let out = r#"goes through a symbolic link that leads out of the layer"#;
    let place = Place::new();
    let absolute = place.room.path().to_str().expect("it is text").to_owned();
    let error = place.unpack(&[symlink("a", &absolute), file("a/secret", "x")]).expect_err("it must be refused");
    assert_eq!(error, format!(r#"the layer is refused: its entry "a/secret" {out}"#));

    let error = Place::new().unpack(&[symlink("a", ".."), file("a/secret", "x")]).expect_err("it must be refused");
    assert_eq!(error, format!(r#"the layer is refused: its entry "a/secret" {out}"#));
    // By two steps, each of which looks harmless.
    let error = Place::new().unpack(&[folder("d"), symlink("d/up", ".."), symlink("a", "d/up/.."), file("a/secret", "x")]);
    assert_eq!(error.expect_err("it must be refused"), format!(r#"the layer is refused: its entry "a/secret" {out}"#));
    let error = Place::new().unpack(&[symlink("a", "b"), symlink("b", "a"), file("a/x", "x")]).expect_err("it must be refused");
    assert_eq!(error, r#"the layer is refused: its entry "a/x" goes through symbolic links that lead in a circle"#);
    let error = Place::new().unpack(&[file("a", "x"), file("a/x", "x")]).expect_err("it must be refused");
    assert_eq!(error, r#"the layer is refused: its entry "a/x" lies below something that is not a directory"#);
}

#[test]
fn a_file_replaces_a_link_and_is_not_written_through_it() {
    let place = Place::new();
    place.unpack(&[symlink("a", "../secret"), file("a", "mine")]).expect("the second entry replaces the first");
    assert_eq!(fs::read_to_string(place.into.join("a")).expect("a file"), "mine");
    assert!(!place.into.join("a").is_symlink());
}

#[test]
fn hard_links_stay_in_the_layer() {
    let refused = |to: &str| Place::new().unpack(&[link(EntryType::Link, "a", to)]).expect_err("it must be refused");
    assert_eq!(refused("../secret"), r#"the layer is refused: its entry "a" is a hard link to "../secret", which climbs out with "..""#);
    assert_eq!(refused("/etc/passwd"), r#"the layer is refused: its entry "a" is a hard link to "/etc/passwd", which is an absolute path"#);
    assert_eq!(refused("nothing"), r#"the layer is refused: its entry "a" is a hard link to "nothing", which the layer does not hold"#);
    let error = Place::new().unpack(&[symlink("d", ".."), link(EntryType::Link, "a", "d/secret")]).expect_err("it must be refused");
    assert_eq!(error, r#"the layer is refused: its entry "a" goes through a symbolic link that leads out of the layer"#);

    let place = Place::new();
    place.unpack(&[file("a", "one"), link(EntryType::Link, "b", "a"), link(EntryType::Link, "a", "a")]).expect("links inside are good");
    assert_eq!(fs::metadata(place.into.join("b")).expect("a file").nlink(), 2);
    // A link to a symbolic link is one to the link itself, not to what it points at.
    let place = Place::new();
    place.unpack(&[symlink("s", "../secret"), link(EntryType::Link, "h", "s")]).expect("a link to a link");
    assert!(place.into.join("h").is_symlink());
}

#[test]
fn links_inside_the_layer_are_followed_as_a_merged_usr_needs_it() {
    let place = Place::new();
    place.unpack(&[folder("usr"), folder("usr/lib"), symlink("lib", "usr/lib"), file("lib/libc.so", "elf")]).expect("a merged /usr");
    assert_eq!(fs::read_to_string(place.into.join("usr/lib/libc.so")).expect("a file"), "elf");
    assert!(place.into.join("lib").is_symlink());
}

#[test]
fn modes_times_and_folders_without_an_entry_are_as_the_archive_says() {
    let place = Place::new();
    let closed = Raw { mode: 0o555, ..folder("closed") };
    let setuid = Raw { mode: 0o4755, ..file("closed/su", "x") };
    place.unpack(&[closed, setuid, file("a/b/c", "deep"), Raw { mode: 0o1777, ..folder("tmp/") }]).expect("a good layer");
    let at = |name: &str| fs::metadata(place.into.join(name)).expect("it is there");
    assert_eq!((at("closed").mode() & 0o7777, at("closed").mtime()), (0o555, 1_000_000_000));
    assert_eq!((at("closed/su").mode() & 0o7777, at("closed/su").mtime()), (0o4755, 1_000_000_000));
    assert_eq!(at("a/b").mode() & 0o7777, 0o755);
    assert_eq!(at("tmp").mode() & 0o7777, 0o1777);
    if !nix::unistd::geteuid().is_root() {
        fs::set_permissions(place.into.join("closed"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
}

#[test]
fn whiteouts_become_what_overlay_understands() {
    let place = Place::new();
    place.unpack(&[folder("etc"), file("etc/.wh.motd", ""), folder("opt"), file("opt/.wh..wh..opq", ""), file("opt/.wh..wh.plnk", "")]).expect("a layer");
    let motd = fs::symlink_metadata(place.into.join("etc/motd")).expect("the mark is there");
    assert!(motd.file_type().is_char_device() && motd.rdev() == 0);
    let space = if nix::unistd::geteuid().is_root() { "trusted" } else { "user" };
    assert_eq!(xattr::get(place.into.join("opt"), format!("{space}.overlay.opaque")).expect("it can be read"), Some(b"y".to_vec()));
    assert_eq!(fs::read_dir(place.into.join("opt")).expect("a folder").count(), 0, "bookkeeping of AUFS is no file");

    // A whiteout hides what lies lower, not what the same layer brings.
    let place = Place::new();
    place.unpack(&[file("a", "new"), file(".wh.a", ""), file(".wh.d", ""), folder("d")]).expect("a layer");
    assert_eq!(fs::read_to_string(place.into.join("a")).expect("a file"), "new");
    assert_eq!(xattr::get(place.into.join("d"), format!("{space}.overlay.opaque")).expect("it can be read"), Some(b"y".to_vec()));

    // Of a folder it hides what lies lower in it, also where the folder comes first.
    let place = Place::new();
    place.unpack(&[folder("d"), file("d/new", "new"), file(".wh.d", "")]).expect("a layer");
    assert_eq!(fs::read_to_string(place.into.join("d/new")).expect("a file"), "new");
    assert_eq!(xattr::get(place.into.join("d"), format!("{space}.overlay.opaque")).expect("it can be read"), Some(b"y".to_vec()));
}

#[test]
fn device_nodes_are_made_by_root_and_left_out_for_anybody_else() {
    let place = Place::new();
    place.unpack(&[entry(EntryType::Block, "disk"), entry(EntryType::Fifo, "pipe"), file("after", "x")]).expect("no reason to refuse the layer");
    let disk = fs::symlink_metadata(place.into.join("disk"));
    if nix::unistd::geteuid().is_root() {
        assert!(disk.expect("root makes it").file_type().is_block_device());
    } else {
        assert!(disk.is_err());
    }
    assert!(fs::symlink_metadata(place.into.join("pipe")).expect("anybody makes one").file_type().is_fifo());
    let owner = fs::metadata(place.into.join("after")).expect("a file").uid();
    assert_eq!(owner, nix::unistd::geteuid().as_raw(), "an ordinary user's files stay theirs");
}

#[test]
fn a_folder_that_a_layer_removes_and_fills_again_is_opaque_whether_listed_or_not() {
    let space = if nix::unistd::geteuid().is_root() { "trusted" } else { "user" };
    for entries in [vec![file(".wh.d", ""), folder("d"), file("d/x", "new")], vec![file(".wh.d", ""), file("d/x", "new")]] {
        let place = Place::new();
        place.unpack(&entries).expect("a layer");
        assert_eq!(fs::read_to_string(place.into.join("d/x")).expect("a file"), "new");
        assert_eq!(xattr::get(place.into.join("d"), format!("{space}.overlay.opaque")).expect("it can be read"), Some(b"y".to_vec()));
    }
    let error = Place::new().unpack(&[folder("d"), link(EntryType::Link, "a", "d")]).expect_err("it must be refused");
    assert_eq!(error, r#"the layer is refused: its entry "a" is a hard link to "d", which is no file"#);
}

#[test]
fn overlays_own_marks_are_not_taken_from_an_archive() {
    let error = Place::new().unpack(&[entry(EntryType::Char, "a")]).expect_err("it must be refused");
    assert_eq!(error, r#"the layer is refused: its entry "a" is the character device 0:0, which is overlay's own mark for a removed file"#);

    let place = Place::new();
    let mut tar = tar::Builder::new(Vec::new());
    let marks = [("SCHILY.xattr.trusted.overlay.redirect", b"/etc".as_slice()), ("SCHILY.xattr.user.overlay.opaque", b"y"), ("SCHILY.xattr.user.mine", b"kept")];
    tar.append_pax_extensions(marks).expect("records");
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, "d/", std::io::empty()).expect("an entry");
    unpack::tree(&place.into, tar.into_inner().expect("an archive").as_slice()).expect("a layer");
    let mut names: Vec<_> = xattr::list(place.into.join("d")).expect("a list").map(|n| n.to_string_lossy().into_owned()).collect();
    names.retain(|n| !n.starts_with("security."));
    assert_eq!(names, ["user.mine"]);
}

#[test]
fn an_archive_that_is_cut_short_is_said_to_be() {
    let whole = tar_of(&[file("a", &"x".repeat(5000))]);
    let error = unpack::tree(&Place::new().into, &whole[..2000]).expect_err("it must be refused").to_string();
    assert!(error.contains("cannot"), "{error}");
}

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("a"), Just("b"), Just("dir"), Just(".."), Just("."), Just(""), Just(".wh.a"), Just(".wh..wh..opq"), Just(".wh...")];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Raw> {
    let target = prop_oneof![name(), Just("../secret".to_owned()), Just("/no-such-folder-of-drydock".to_owned()), Just("..".to_owned())];
    let kind = prop_oneof![
        Just(EntryType::Regular), Just(EntryType::Directory), Just(EntryType::Symlink), Just(EntryType::Link), Just(EntryType::Fifo),
    ];
    (kind, name(), target, 0o700..0o1000u32).prop_map(|(kind, name, to, mode)| Raw { mode, link: to.into(), ..entry(kind, &name) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_archive_at_all_gets_out(entries in proptest::collection::vec(any_entry(), 1..12)) {
        let place = Place::new();
        let _ = place.unpack(&entries);
    }

    #[test]
    fn bytes_that_are_no_archive_are_no_crash(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let place = Place::new();
        let _ = unpack::tree(Path::new(&place.into), bytes.as_slice());
        place.assert_nothing_escaped();
    }
}
