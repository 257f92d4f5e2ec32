//! `drydock course new`: what it begins holds its contract as it stands, and nothing is written over.

mod support;

use support::{Room, outcome, stdout};

#[test]
fn a_course_of_ones_own_is_begun_and_passes_before_a_word_is_changed() {
    let room = Room::new();
    let folder = room.path().join("pack");
    std::fs::create_dir(&folder).expect("the room is ours");
    let at = folder.display().to_string();
    let new = |words: &[&str]| outcome(&mut room.drydock(&[&["--course", &at, "course", "new"], words].concat()));
    let (code, text, errors) = new(&["chapter", "own-files", "--title", "Files of one's own"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    assert!(text.starts_with(&format!("{at}/lessons/01-own-files/lesson.md\n")), "{text}");
    assert_eq!(new(&["exercise", "own-files/second"]).0, Some(0));
    for kind in ["several", "number", "text", "order", "predict", "live"] {
        let (code, _, errors) = new(&["question", "own-files", &format!("own-{kind}-1"), "--kind", kind]);
        assert_eq!(code, Some(0), "{kind}: {errors}");
    }

    let (_, found, _) = outcome(&mut room.drydock(&["--course", &at, "course", "lint"]));
    let lesson = "lessons/01-own-files/lesson.md:1";
    assert_eq!(found, format!("{lesson}: 1 guided steps; expected 6 or more\n{lesson}: 2 exercises; expected 4 or more\n{lesson}: 7 questions; expected 8 or more\n"));
    let told = stdout(&mut room.drydock(&["--course", &at, "course", "test", "--json"]));
    let cases: Vec<serde_json::Value> = told.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!((cases.len(), cases.iter().filter(|c| c["ok"] == true).count()), (18, 18), "{told}");
    assert!(stdout(&mut room.drydock(&["--course", &at, "list"])).contains("own-files/second"));
}

#[test]
fn what_is_there_is_not_written_over_and_a_name_is_a_name() {
    let room = Room::new();
    let folder = room.path().join("pack");
    std::fs::create_dir(&folder).expect("the room is ours");
    let at = folder.display().to_string();
    let new = |words: &[&str]| outcome(&mut room.drydock(&[&["--course", &at, "course", "new"], words].concat()));
    assert_eq!(new(&["chapter", "one"]).0, Some(0));
    let before = std::fs::read_to_string(folder.join("lessons/course.yaml")).expect("it was written");
    let refused = [
        (vec!["chapter", "one"], "error: chapter 01-one is there already\n  try: choose another name; nothing was written\n"),
        (vec!["chapter", "../two"], "error: \"../two\" cannot be a name here: expected small letters, digits and hyphens, a letter first\n  try: such as own-proc, or namespaces/own-proc for an exercise\n"),
        (vec!["exercise", "one/first"], "error: exercise one/first is there already\n  try: choose another name; nothing was written\n"),
        (vec!["question", "one", "one-first-1"], "error: question one-first-1 is there already\n  try: choose another name; nothing was written\n"),
    ];
    for (words, expected) in refused {
        let (code, _, errors) = new(&words);
        assert_eq!((code, errors.as_str()), (Some(2), expected), "{words:?}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("lessons/course.yaml")).expect("it is there"), before);
}
