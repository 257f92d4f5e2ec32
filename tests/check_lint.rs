//! What `drydock course lint` says of checks that could never answer what their author meant.

mod support;

use support::{Room, outcome};

const LESSON: &str = "---\ntitle: One\nslug: one\nminutes: 5\nobjectives:\n  - { id: run, text: run something }\n---\nText.\n\n## Exercise: it\n";

/// What the lint says of these checks; the rest of its findings is left out.
fn said(checks: &str) -> Vec<String> {
    let room = Room::new();
    let folder = room.path().join("course");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below")).expect("the room is ours");
        std::fs::write(path, text).expect("the room is ours");
    };
    write("lessons/course.yaml", "title: Test\nchapters: [01-one]\n");
    write("lessons/01-one/lesson.md", LESSON);
    write("lessons/01-one/quiz.yaml", "[]\n");
    let head = "title: It\nobjective: run\nminutes: 1\ngoal: Do it.\nhints: [a, b, c]\nexplain: So it is.\nsolutions: []\nwrong: []\n";
    write("exercises/01-one/it/exercise.yaml", &format!("{head}checks:\n{checks}\n"));
    let (_, out, err) = outcome(&mut room.drydock(&["--course", &folder.display().to_string(), "course", "lint"]));
    let lines = out.lines().chain(err.lines()).filter(|l| l.contains("/it/exercise.yaml"));
    let lines = lines.filter_map(|l| l.splitn(3, ':').nth(2)).map(|l| l.trim().to_owned());
    lines.filter(|l| !["fewer than 2", "no wrong answer"].iter().any(|known| l.starts_with(known))).collect()
}

#[test]
fn an_entry_that_makes_two_assertions_is_refused() {
    let one = "  - { id: a, find: process, where: { command: x }, expect: [ { uid: 0, meaning: m }, { hostname: h } ] }";
    assert_eq!(said(one), [""; 0]);
    let two = "  - { id: a, find: process, where: { command: x }, expect: [ { uid: 0, hostname: h, meaning: m } ] }";
    let told = "an entry of `expect` makes one assertion, beside `meaning` and `next`; this one has [\"uid\", \"hostname\"]";
    assert_eq!(said(two), [told]);
}

/// A process that other checks can name.
const WEB: &str = "  - { id: web, find: process, where: { command: x } }\n";

#[test]
fn each_kind_of_thing_has_conditions_and_assertions_that_suit_it() {
    let right = "  - { id: m, find: mount, where: { at: /x, type: tmpfs, source: y, seen-by: web }, expect: [ { options: [ro] }, { propagation: slave }, { count: 1 }, { exists: true } ] }
  - { id: l, find: link, where: { name: veth0, kind: veth, master: br0 }, expect: [ { up: true }, { exists: true } ] }
  - { id: f, find: file, where: { path: /x }, expect: [ { mode: 644 }, { owner: { uid: learner } } ] }
  - { id: e, find: event, where: { kind: exit, status: 7 }, expect: [ { count: 1 } ] }
  - { id: p, find: process, where: { command: y }, expect: [ { listens: { tcp: 80, by: namespace } }, { file: { path: /x, mode: '0600', owner: { gid: 0 } } } ] }";
    assert_eq!(said(&format!("{WEB}{right}")), [""; 0]);

    let wrong = "  - { id: m, find: mount, where: { path: /x }, expect: [ { up: true } ] }
  - { id: l, find: link, where: { name: a }, expect: [ { listens: { tcp: 80 } } ] }
  - { id: f, find: file, where: { path: /x }, expect: [ { owner: {} } ] }
  - { id: e, find: event, where: { kind: oom-kill, status: 7 } }
  - { id: n, find: event, where: { kind: unheard-of } }
  - { id: p, find: process, where: { command: y }, expect: [ { listens: { by: namespace } }, { exists: true } ] }";
    let told = [
        "check e: only an exit has a status or a signal",
        "check f: `owner` names nobody: expected uid or gid",
        "check l: `listens` cannot be asked of a link",
        "check m: `up` cannot be asked of a mount",
        "check m: `where: path` says nothing of a mount; expected at, type, source, seen-by",
        "check m: `where` says of no mount which one; expected at, type, source, seen-by",
        "check n: an event's kind is one of oom-kill, oom, emptied, removed, exec, exit, fork, unshare; this one is unheard-of",
        "check p: `exists` cannot be asked of a process",
        "check p: `listens` names no port: expected tcp or udp",
    ];
    let mut found = said(wrong);
    found.sort();
    let mut told = told.map(String::from).to_vec();
    told.sort();
    assert_eq!(found, told);
}

#[test]
fn a_check_names_only_processes_that_were_found_above_it() {
    let below = format!("  - {{ id: m, find: mount, where: {{ at: /x, seen-by: web }} }}\n{WEB}");
    assert_eq!(said(&below), ["check m: `web` is no check above it that finds a process"]);
    let twice = format!("{WEB}{WEB}");
    assert_eq!(said(&twice), ["check web: this id is taken"]);
}

#[test]
fn a_mode_that_is_not_octal_and_a_digest_that_is_none_are_refused() {
    let mode = "  - { id: f, find: file, where: { path: /x }, expect: [ { mode: 689 } ] }";
    assert!(said(mode).iter().any(|l| l.contains("\"689\" is no mode in octal, such as 644 or 4755")), "{:?}", said(mode));
    let digest = "  - { id: f, find: file, where: { path: /x }, expect: [ { digest: abc } ] }";
    assert!(said(digest).iter().any(|l| l.contains("\"abc\" is no digest: expected sha256: and 64 hexadecimal digits")), "{:?}", said(digest));
}
