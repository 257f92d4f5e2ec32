//! `skiff image show`: what it draws is what is there, every file that it names can be opened, and 80
//! columns are enough.

#[macro_use]
mod support;

use support::{Room, stdout};

/// A room with an image over `base`: a file more, one less, one changed.
fn room() -> Room {
    let room = Room::new();
    let change = "mkdir /srv; echo hello >/srv/index.html; rm /etc/group; echo guest:x:1:1::/:/bin/sh >>/etc/passwd";
    stdout(&mut room.skiff(&["run", "--name", "web", "base", "sh", "-c", change]));
    stdout(&mut room.skiff(&["commit", "-c", "CMD [\"cat\", \"/srv/index.html\"]", "-c", "ENV A=1", "web", "web:1"]));
    room
}

#[test]
fn an_image_is_drawn_from_its_name_to_its_files_and_each_part_can_be_opened() {
    require!(UserNamespaces, Tool("busybox"));
    let room = room();
    let shown = stdout(room.skiff(&["image", "show", "web:1"]).env("COLUMNS", "80"));
    let inside: Vec<&str> = shown.lines().skip(1).collect();
    assert_eq!(inside.iter().find(|l| l.chars().count() > 80), None, "a line is too long for 80 columns");

    let id = stdout(&mut room.skiff(&["image", "inspect", "-f", "{{.Id}}", "web:1"]));
    assert!(shown.contains(&format!("config   {}", id)), "{shown}");
    let top = shown.split("\n\n").last().expect("the last layer");
    let lines: Vec<&str> = top.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("4     sh -c mkdir /srv; echo hello"), "{top}");
    assert_eq!(lines[4..], ["adds 1 file and 1 folder, changes 1 file, removes 1 file", lines[5], lines[6], "A       6B  /srv/index.html"]);
    assert!(lines[5].starts_with("D ") && lines[5].ends_with(" /etc/group") && lines[6].starts_with("C ") && lines[6].ends_with(" /etc/passwd"), "{top}");
    assert!(shown.contains("   -     skiff: CMD [\"/bin/sh\"]\n         set in the config only: no layer\n"), "{shown}");

    // Every path with a star means exactly one thing.
    let paths: Vec<&str> = shown.split_whitespace().filter(|w| w.ends_with('*') && w.contains('/')).collect();
    assert_eq!(paths.len(), 2 + 2 * 4, "manifest, config, and two for each layer: {paths:?}");
    for path in paths {
        let (folder, start) = path.trim_end_matches('*').rsplit_once('/').expect("a folder and a name");
        let names = std::fs::read_dir(room.skiff_root().join(folder)).expect("the folder is there").flatten();
        assert_eq!(names.filter(|n| n.file_name().to_string_lossy().starts_with(start)).count(), 1, "{path}");
    }
}

#[test]
fn all_files_are_shown_on_demand_and_everything_as_json() {
    require!(UserNamespaces, Tool("busybox"));
    let room = room();
    let shown = stdout(&mut room.skiff(&["image", "show", "--files", "web:1"]));
    let top: Vec<&str> = shown.split("\n\n").last().expect("the last layer").lines().skip(5).map(|l| l.split_whitespace().last().expect("a path")).collect();
    assert_eq!(top, ["/etc/", "/etc/group", "/etc/passwd", "/srv/", "/srv/index.html"]);
    assert!(!shown.contains("more; --files"), "{shown}");

    let whole: serde_json::Value = serde_json::from_str(&stdout(&mut room.skiff(&["image", "show", "--json", "web:1"]))).expect("JSON");
    let layer = &whole["Steps"][4]["Layer"];
    let files: Vec<(&str, &str)> = layer["Files"].as_array().expect("files").iter().map(|f| (f["Kind"].as_str().expect("a kind"), f["Path"].as_str().expect("a path"))).collect();
    assert_eq!(files, [("Changed", "/etc"), ("Deleted", "/etc/group"), ("Changed", "/etc/passwd"), ("Added", "/srv"), ("Added", "/srv/index.html")]);
    let blob = std::fs::read(layer["Blob"].as_str().expect("a path")).expect("the blob is a file");
    assert_eq!(drydock::image::layer::digest(&blob).to_string(), layer["Digest"].as_str().expect("a digest"));
    assert_eq!(std::fs::read_to_string(format!("{}/srv/index.html", layer["Folder"].as_str().expect("a path"))).expect("a file"), "hello\n");
    assert_eq!(whole["Steps"][3]["Layer"], serde_json::Value::Null, "an instruction of the config has no layer");
}

#[test]
fn two_images_are_compared_by_layers_settings_and_files() {
    require!(UserNamespaces, Tool("busybox"));
    let room = room();
    let shown = stdout(&mut room.skiff(&["image", "show", "--diff", "base", "web:1"]));
    let parts: Vec<&str> = shown.split("\n\n").collect();
    assert_eq!(parts[1], "layers   3 in both, 0 only in the old, 1 in the new");
    assert_eq!(parts[2], "config   - only in the old, + only in the new\n         - CMD [\"/bin/sh\"]\n         + CMD [\"cat\",\"/srv/index.html\"]\n         + ENV A=1");
    let files: Vec<String> = parts[3].lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>()).map(|w| format!("{} {}", w[0], w[2])).collect();
    assert_eq!(files, ["D /etc/group", "C /etc/passwd", "A /srv/index.html"]);

    // The same content under another layer is no difference: a copy of a file, a time that was touched.
    stdout(&mut room.skiff(&["run", "--name", "touch", "web:1", "sh", "-c", "cp /srv/index.html /x; touch /srv/index.html; rm /x"]));
    stdout(&mut room.skiff(&["commit", "touch", "web:2"]));
    let shown = stdout(&mut room.skiff(&["image", "show", "--diff", "web:1", "web:2"]));
    assert!(shown.ends_with("config   the same settings\n\nfiles    the same\n"), "{shown}");
    let back = stdout(&mut room.skiff(&["image", "show", "--diff", "web:1", "base"]));
    assert!(back.contains("files    the new adds 1 file, changes 1 file, removes 1 file and 1 folder\n"), "{back}");
}

#[test]
fn what_an_image_says_of_itself_does_not_act_on_the_terminal() {
    require!(UserNamespaces, Tool("busybox"));
    let room = Room::new();
    let file = room.path().join("Dockerfile");
    std::fs::write(&file, "FROM base\nENV A=\x1b[2J\u{9b}31m\nRUN touch '/\x1b]0;owned\x07' && mkdir '/a\u{202e}b'\nLABEL x=\x1b[31m\n").expect("the room is ours");
    stdout(&mut room.skiff(&["build", "-q", "-t", "sly", &room.path().display().to_string()]));
    let acts = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    for words in [["history", "--no-trunc", "sly"].as_slice(), &["image", "show", "--files", "sly"], &["image", "show", "--diff", "base", "sly"]] {
        let shown = stdout(room.skiff(words).env("COLUMNS", "400"));
        assert!(!acts(&shown) && shown.contains("\\u{1b}[31m"), "{words:?}: {shown:?}");
    }
    let exact = stdout(&mut room.skiff(&["history", "--format", "{{.CreatedBy}}", "--no-trunc", "sly"]));
    assert!(exact.starts_with("LABEL x=\x1b[31m\n"), "{exact:?}");
    let (_, _, err) = support::outcome(&mut room.skiff(&["run", "--rm", "base", "\x1b[31m"]));
    assert!(err.contains("\\u{1b}[31m") && !acts(&err), "{err:?}");
}
