//! Volumes of skiff: named, anonymous, filled from the image, shared, removed, as Docker has them.

#[macro_use]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use support::{Room, outcome, stdout};

/// A room with `base` in it.
fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    room
}

/// The same, with an image `shop` that has something at /srv/data and says VOLUME.
fn with_a_shop() -> Room {
    let room = furnished();
    let context = room.path().join("shop");
    fs::create_dir(&context).expect("the room is ours");
    let file = "FROM base\nRUN mkdir -p /srv/data/sub && echo goods >/srv/data/file && chmod 640 /srv/data/file && ln /srv/data/file /srv/data/again && \
                ln -s /etc/passwd /srv/data/link && mkfifo /srv/data/pipe && chmod 1770 /srv/data\nVOLUME /srv/data\n";
    fs::write(context.join("Dockerfile"), file).expect("the room is ours");
    stdout(&mut room.skiff(&["build", "-q", "-t", "shop", &context.display().to_string()]));
    room
}

fn run(room: &Room, words: &[&str]) -> String {
    stdout(&mut room.skiff(&[&["run", "--rm"], words].concat()))
}

fn names(room: &Room) -> Vec<String> {
    stdout(&mut room.skiff(&["volume", "ls", "-q"])).lines().map(str::to_owned).collect()
}

/// Runs skiff, which must refuse with a first line like this.
fn refuses(room: &Room, words: &[&str], code: i32, line: &str) {
    let (got, _, err) = outcome(&mut room.skiff(words));
    assert_eq!((got, err.lines().next().unwrap_or_default()), (Some(code), line), "skiff {}", words.join(" "));
}

#[test]
fn what_is_written_to_a_volume_is_there_for_the_next_container_and_for_another_at_the_same_time() {
    require!(UserNamespaces);
    let room = furnished();
    run(&room, &["-v", "data:/data", "base", "sh", "-c", "echo kept >/data/file"]);
    assert_eq!(run(&room, &["--mount", "source=data,target=/elsewhere,readonly", "base", "cat", "/elsewhere/file"]), "kept\n");
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "-v", "data:/data:ro", "base", "touch", "/data/more"]));
    assert!(code == Some(1) && err.contains("Read-only file system"), "{code:?} {err}");
    stdout(&mut room.skiff(&["run", "-d", "--name", "one", "-v", "data:/data", "base", "sleep", "600"]));
    run(&room, &["--volumes-from", "one", "base", "sh", "-c", "echo new >/data/file"]);
    assert_eq!(stdout(&mut room.skiff(&["exec", "one", "cat", "/data/file"])), "new\n");
    let (code, _, _) = outcome(&mut room.skiff(&["run", "--rm", "--volumes-from", "one:ro", "base", "touch", "/data/more"]));
    assert_eq!(code, Some(1), "the other's volumes, read-only");
    assert_eq!(names(&room), ["data"]);
}

#[test]
fn a_new_volume_takes_what_the_image_has_there_and_an_old_one_keeps_its_own() {
    require!(UserNamespaces);
    let room = with_a_shop();
    let look = "cd /srv/data && stat -c '%n %A %h' . again file link pipe sub && cat file && readlink link";
    let inside = run(&room, &["-v", "stock:/srv/data", "shop", "sh", "-c", look]);
    let expected = ". drwxrwx--T 3\nagain -rw-r----- 2\nfile -rw-r----- 2\nlink lrwxrwxrwx 1\npipe prw-r--r-- 1\nsub drwxr-xr-x 2\ngoods\n/etc/passwd\n";
    assert_eq!(inside, expected);
    run(&room, &["-v", "stock:/srv/data", "shop", "sh", "-c", "rm -r /srv/data/* && echo mine >/srv/data/own"]);
    assert_eq!(run(&room, &["-v", "stock:/srv/data", "shop", "ls", "/srv/data"]), "own\n");
    assert_eq!(run(&room, &["-v", "bare:/srv/data:nocopy", "shop", "ls", "/srv/data"]), "");
    assert_eq!(run(&room, &["--mount", "type=volume,source=bare2,target=/srv/data,volume-nocopy", "shop", "ls", "/srv/data"]), "");
    // A folder of the host covers what is there, as ever.
    let host = room.path().join("host");
    assert_eq!(run(&room, &["-v", &format!("{}:/srv/data", host.display()), "shop", "ls", "/srv/data"]), "");
}

#[test]
fn owners_and_attributes_come_along_into_a_volume() {
    require!(Root, Tool("getcap"), Tool("setfattr"));
    let room = furnished();
    let tree = room.path().join("tree");
    fs::create_dir_all(tree.join("data")).expect("the room is ours");
    fs::write(tree.join("data/tool"), "x").expect("the room is ours");
    fs::write(room.path().join("Dockerfile"), "FROM base\nCOPY tree /\nRUN chown 7:8 /data && chown 9:10 /data/tool && chmod 4751 /data/tool\n").expect("the room is ours");
    stdout(Command::new("setcap").arg("cap_net_raw+ep").arg(tree.join("data/tool")));
    stdout(&mut room.skiff(&["build", "-q", "-t", "tool", &room.path().display().to_string()]));
    assert_eq!(run(&room, &["-v", "vv:/data", "tool", "stat", "-c", "%n %u %g %a", "/data", "/data/tool"]), "/data 7 8 755\n/data/tool 9 10 4751\n");
    let at = stdout(&mut room.skiff(&["volume", "inspect", "-f", "{{.Mountpoint}}", "vv"]));
    assert_eq!(PathBuf::from(at.trim()), room.skiff_root().join("volumes/vv/_data"));
    // chown took the capability of the image's file, as it does everywhere; one set in the image stays.
    stdout(Command::new("setcap").arg("cap_net_raw+ep").arg(room.path().join("tree/data/tool")));
    fs::write(room.path().join("Dockerfile"), "FROM scratch\nCOPY tree /\n").expect("the room is ours");
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "-C"]).arg(&tree).args(["-cf"]).arg(room.path().join("t.tar")).arg(".");
    stdout(&mut tar);
    stdout(&mut room.skiff(&["import", &room.path().join("t.tar").display().to_string(), "capable"]));
    outcome(&mut room.skiff(&["run", "--rm", "-v", "cap:/data", "capable", "/none"]));
    let said = stdout(Command::new("getcap").arg(room.skiff_root().join("volumes/cap/_data/tool")));
    assert!(said.trim_end().ends_with("cap_net_raw=ep"), "{said}");
}

#[test]
fn an_image_cannot_lead_the_copy_out_of_its_root() {
    require!(UserNamespaces);
    let room = furnished();
    let secret = room.path().join("secret");
    fs::create_dir(&secret).expect("the room is ours");
    fs::write(secret.join("key"), "secret").expect("the room is ours");
    // The same path in the image: a link to it is followed inside, where it has something else.
    let there = secret.display();
    let file = format!("FROM base\nRUN mkdir -p {there} && touch {there}/inner && ln -s {there} /data && mkdir /d && ln -s {there} /d/sub\n");
    fs::write(room.path().join("Dockerfile"), file).expect("the room is ours");
    stdout(&mut room.skiff(&["build", "-q", "-t", "sly", &room.path().display().to_string()]));
    run(&room, &["-v", "vv:/data", "-v", "ww:/d", "sly", "true"]);
    for (name, expected) in [("vv", "inner"), ("ww", "sub")] {
        let data = room.skiff_root().join("volumes").join(name).join("_data");
        let found: Vec<_> = fs::read_dir(&data).expect("it is there").flatten().map(|e| e.file_name()).collect();
        assert_eq!(found, [expected], "in {name}");
        assert!(name == "vv" || data.join("sub").is_symlink(), "a link in the tree is copied as one");
    }
    assert_eq!(fs::read_to_string(secret.join("key")).expect("it is there"), "secret");
}

#[test]
fn what_nobody_named_goes_with_the_container_if_that_was_asked_for() {
    require!(UserNamespaces);
    let room = with_a_shop();
    assert_eq!(run(&room, &["-v", "/more", "shop", "ls", "/srv/data"]), "again\nfile\nlink\npipe\nsub\n");
    assert!(names(&room).is_empty(), "--rm takes them along: {:?}", names(&room));
    for (words, left) in [(&["rm", "box"][..], 1), (&["rm", "-v", "box"], 0)] {
        stdout(&mut room.skiff(&["run", "--name", "box", "-v", "named:/more", "shop", "true"]));
        stdout(&mut room.skiff(words));
        let anonymous: Vec<String> = names(&room).into_iter().filter(|n| n.len() == 64).collect();
        assert_eq!(anonymous.len(), left, "after {words:?}");
        let said = stdout(&mut room.skiff(&["volume", "prune", "-f"]));
        let list: String = anonymous.iter().map(|n| format!("{n}\n")).collect();
        let expected = if list.is_empty() { "Total reclaimed space: 0B\n".to_owned() } else { format!("Deleted Volumes:\n{list}\nTotal reclaimed space: ") };
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(names(&room), ["named"], "a name keeps it");
    }
    // One that never ran leaves nothing.
    refuses(&room, &["run", "--name", "box", "shop", "/none"], 127, "error: cannot run /none: ENOENT");
    assert_eq!(names(&room), ["named"]);
}

#[test]
fn volumes_are_made_listed_shown_and_removed_in_dockers_words() {
    require!(UserNamespaces);
    let room = furnished();
    assert_eq!(stdout(&mut room.skiff(&["volume", "create", "--label", "team=web", "data"])), "data\n");
    assert_eq!(stdout(&mut room.skiff(&["volume", "create", "data"])), "data\n", "it is there already");
    let drawn = stdout(&mut room.skiff(&["volume", "create"]));
    assert_eq!(drawn.trim().len(), 64);
    stdout(&mut room.skiff(&["volume", "create", "other"]));
    let ls = |words: &[&str]| stdout(&mut room.skiff(&[&["volume", "ls"], words].concat()));
    assert_eq!(ls(&["-f", "name=t"]), "DRIVER    VOLUME NAME\nlocal     data\nlocal     other\n");
    assert_eq!(ls(&["-q", "-f", "label=team"]), "data\n");
    assert_eq!(ls(&["-q", "-f", "label=team=db"]), "");
    assert_eq!(ls(&["--format", "{{.Name}} {{.Driver}} {{.Labels}}", "-f", "name=dat"]), "data local team=web\n");
    stdout(&mut room.skiff(&["run", "-d", "--name", "box", "-v", "data:/data", "base", "sleep", "600"]));
    let id = stdout(&mut room.skiff(&["ps", "-q", "--no-trunc"]));
    assert_eq!(ls(&["-q", "-f", "dangling=false"]), "data\n");
    refuses(&room, &["volume", "rm", "data"], 1, &format!("error: remove data: volume is in use - [{}]", id.trim()));
    refuses(&room, &["volume", "rm", "dat"], 1, "error: no such volume: dat");
    refuses(&room, &["volume", "inspect", "none"], 1, "error: no such volume: none");
    assert_eq!(outcome(&mut room.skiff(&["volume", "rm", "-f", "none"])).0, Some(0));
    let shown = stdout(&mut room.skiff(&["volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Scope}} {{index .Labels \"team\"}} {{json .Options}}", "data"]));
    assert_eq!(shown, "data local local web null\n");
    let df = stdout(&mut room.skiff(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"]));
    assert_eq!(df.lines().nth(2), Some("Local Volumes 3 1"));
    stdout(&mut room.skiff(&["rm", "-f", "box"]));
    assert_eq!(stdout(&mut room.skiff(&["volume", "prune", "-f"])), format!("Deleted Volumes:\n{drawn}\nTotal reclaimed space: 0B\n"));
    assert_eq!(stdout(&mut room.skiff(&["volume", "prune", "-af", "--filter", "label!=team"])), "Deleted Volumes:\nother\n\nTotal reclaimed space: 0B\n");
    assert_eq!(stdout(&mut room.skiff(&["volume", "rm", "data"])), "data\n");
    assert!(names(&room).is_empty());
    let (code, out, _) = outcome(&mut room.skiff(&["volume", "prune"]));
    let asked = "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] ";
    assert_eq!((code, out.as_str()), (Some(0), asked));
}

#[test]
fn a_name_that_is_a_path_a_place_taken_twice_or_an_unknown_option_is_refused_and_nothing_stays() {
    require!(UserNamespaces);
    let room = furnished();
    let bad = |name: &str| format!("error: create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed");
    for name in ["../x", "a/b", "..", ".x", "a b", "-"] {
        refuses(&room, &["volume", "create", "--", name], 1, &bad(name));
    }
    refuses(&room, &["volume", "create", "x"], 1, "error: create x: volume name is too short, names should be at least two alphanumeric characters");
    refuses(&room, &["run", "--rm", "-v", "a/../b:/data", "base", "true"], 125, &bad("a/../b"));
    refuses(&room, &["run", "--rm", "--mount", "source=../b,target=/data", "base", "true"], 125, &bad("../b"));
    refuses(&room, &["run", "--rm", "-v", "fine:/data/../etc", "base", "true"], 125, "error: invalid value \"fine:/data/../etc\" for --volume: the path inside must be absolute and without `..`");
    refuses(&room, &["run", "--rm", "-v", "fine:/data", "-v", "other:/data/", "base", "true"], 125, "error: duplicate mount point: /data/");
    refuses(&room, &["run", "--rm", "--tmpfs", "/data", "-v", "other:/data", "base", "true"], 125, "error: duplicate mount point: /data");
    refuses(&room, &["run", "--rm", "--volumes-from", "nobody", "base", "true"], 125, "error: no such container: nobody");
    refuses(&room, &["volume", "create", "-o", "size=5", "sized"], 1, "error: create sized: invalid option: \"size\"");
    refuses(&room, &["volume", "create", "-o", "type=tmpfs", "sized"], 1, "error: create sized: missing device in volume options");
    for path in ["volumes/../x", "b"] {
        assert!(!room.skiff_root().join(path).exists());
    }
    let left: Vec<String> = names(&room).into_iter().filter(|n| n != "fine").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_volume_can_stand_for_another_file_system_which_its_containers_share() {
    require!(Root);
    let room = furnished();
    stdout(&mut room.skiff(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "quick"]));
    stdout(&mut room.skiff(&["run", "-d", "--name", "one", "-v", "quick:/q", "base", "sh", "-c", "echo x >/q/file; sleep 600"]));
    let df = run(&room, &["-v", "quick:/q", "base", "sh", "-c", "while [ ! -e /q/file ]; do :; done; df /q | tail -1"]);
    assert!(df.starts_with("tmpfs ") && df.contains(" 1024 "), "{df}");
    let mounted = || fs::read_to_string("/proc/self/mountinfo").expect("it can be read").contains(&room.path().display().to_string());
    assert!(mounted(), "the first has it still");
    stdout(&mut room.skiff(&["rm", "-f", "one"]));
    assert!(!mounted(), "and with the last it goes");
    let host = room.path().join("host");
    fs::create_dir(&host).expect("the room is ours");
    stdout(&mut room.skiff(&["volume", "create", "-o", "type=none", "-o", &format!("device={}", host.display()), "-o", "o=bind", "bound"]));
    run(&room, &["-v", "bound:/b", "base", "touch", "/b/made"]);
    assert!(host.join("made").exists() && !mounted());
    stdout(&mut room.skiff(&["volume", "create", "-o", "type=nonesuch", "-o", "device=x", "odd"]));
    refuses(&room, &["run", "--rm", "-v", "odd:/b", "base", "true"], 125, "error: failed to mount local volume odd: cannot mount nonesuch: ENODEV");
}

#[test]
fn what_a_killed_run_had_of_volumes_is_given_back() {
    require!(UserNamespaces);
    let room = with_a_shop();
    let mut child = room.skiff(&["run", "--rm", "--name", "box", "-v", "data:/data", "shop", "sh", "-c", "echo up; exec sleep 600"]);
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    support::read_until(child.stdout.as_mut().expect("piped"), "up", std::time::Duration::from_secs(20));
    child.kill().and_then(|()| child.wait().map(drop)).expect("our child");
    assert_eq!(names(&room).len(), 2);
    // A copy that was interrupted, and volumes half made and half removed.
    let data = room.skiff_root().join("volumes");
    fs::write(data.join("data/filling"), "").expect("as root of the room");
    fs::write(data.join("data/_data/half"), "").expect("as root of the room");
    fs::create_dir_all(data.join(".new/_data")).expect("as root of the room");
    fs::create_dir_all(data.join(".gone-x/_data")).expect("as root of the room");
    stdout(&mut room.skiff(&["system", "prune", "-f"]));
    assert_eq!(names(&room), ["data"], "--rm meant the anonymous one to go");
    assert!(!data.join(".new").exists() && !data.join(".gone-x").exists());
    assert_eq!(run(&room, &["-v", "data:/srv/data", "shop", "ls", "/srv/data"]), "again\nfile\nlink\npipe\nsub\n");
    // A record that was cut short: the volume is listed, can be removed, and says what is wrong.
    fs::write(data.join("data/volume.json"), "{").expect("as root of the room");
    assert_eq!(names(&room), ["data"]);
    let (code, _, err) = outcome(&mut room.skiff(&["run", "--rm", "-v", "data:/x", "base", "true"]));
    assert!(code == Some(125) && err.starts_with(&format!("error: cannot read {}: ", data.join("data/volume.json").display())), "{err}");
    assert_eq!(stdout(&mut room.skiff(&["volume", "rm", "data"])), "data\n");
}
