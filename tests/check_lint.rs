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
