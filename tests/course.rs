//! `drydock course test` seen from outside: it finds what is wrong with an exercise, says it in the
//! form that was promised, and leaves nothing, also when it is interrupted.

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use support::{Room, host::Host, outcome};

const LESSON: &str = "---\ntitle: One\nslug: one\nminutes: 5\nobjectives:\n  - { id: run, text: run something }\n---\nText.\n\n## Exercise: sleeper\n";

/// An exercise that holds its contract, but for what `solution` and `refused` make of it.
fn exercise(solution: &str, refused: &str, touches: &str) -> String {
    format!(
        "title: A sleeper\nobjective: run\nminutes: 1\ngoal: Run it.\ndraws:\n  seconds: {{ range: [5000, 9999] }}\n\
         touches:\n  processes: {touches}\nchecks:\n  - id: sleeper\n    find: process\n    where: {{ command: \"sleep {{{{ seconds }}}}\" }}\n    \
         none: nobody sleeps\nhints: [a, b, c]\nsolutions:\n  - name: plain\n    type: |\n      {solution}\n\
         wrong:\n  - name: faked-output\n    type: |\n      echo sleep {{{{ seconds }}}}\n    refused: {refused}\nexplain: So it is.\n"
    )
}

/// A course of one exercise in the room.
fn course(room: &Room, exercise: &str) -> std::path::PathBuf {
    let folder = room.path().join("course");
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below")).expect("the room is ours");
        std::fs::write(path, text).expect("the room is ours");
    };
    write("lessons/course.yaml", "title: Test\nchapters: [01-one]\n");
    write("lessons/01-one/lesson.md", LESSON);
    write("lessons/01-one/quiz.yaml", "[]\n");
    write("exercises/01-one/sleeper/exercise.yaml", exercise);
    folder
}

/// One test at a time: pictures of the host show all children of this process.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn prove(room: &Room, folder: &Path) -> (Option<i32>, Vec<Value>) {
    let folder = folder.display().to_string();
    let (code, text, errors) = outcome(&mut room.drydock(&["--course", &folder, "course", "test", "--json", "--patience", "3"]));
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}\n{errors}"))).collect();
    (code, lines)
}

fn of<'a>(cases: &'a [Value], case: &str) -> &'a Value {
    cases.iter().find(|c| c["case"] == case).unwrap_or_else(|| panic!("no case {case} in {cases:?}"))
}

#[test]
fn an_exercise_that_holds_its_contract_is_told_case_by_case() {
    let _alone = alone();
    let room = Room::new();
    let folder = course(&room, &exercise("sleep {{ seconds }} &", "nobody sleeps", "true"));
    let (code, cases) = prove(&room, &folder);
    let said: Vec<(&str, &str, &str)> = cases
        .iter()
        .map(|c| (c["case"].as_str().expect("text"), c["expected"].as_str().expect("text"), c["got"].as_str().expect("text")))
        .collect();
    assert_eq!(said, [
        ("untouched", "not yet", "not yet"),
        ("solution plain", "passed", "passed"),
        ("reset after solution plain", "clean", "clean"),
        ("wrong faked-output", "not yet: nobody sleeps", "not yet: nobody sleeps"),
        ("reset after wrong faked-output", "clean", "clean"),
    ]);
    let first = cases[0].as_object().expect("an object");
    assert_eq!(first.keys().collect::<Vec<_>>(), ["case", "exercise", "expected", "got", "ok"]);
    assert_eq!((&first["exercise"], &first["ok"], code), (&"one/sleeper".into(), &true.into(), Some(0)));
}

#[test]
fn a_solution_that_does_not_pass_is_found() {
    let _alone = alone();
    let room = Room::new();
    let folder = course(&room, &exercise("true", "nobody sleeps", "true"));
    let (code, cases) = prove(&room, &folder);
    let case = of(&cases, "solution plain");
    assert_eq!((&case["ok"], &case["got"], code), (&false.into(), &"not yet: nobody sleeps".into(), Some(1)));
}

#[test]
fn a_wrong_answer_that_is_refused_for_another_reason_is_found() {
    let _alone = alone();
    let room = Room::new();
    let folder = course(&room, &exercise("sleep {{ seconds }} &", "the moon is full", "true"));
    let (code, cases) = prove(&room, &folder);
    let case = of(&cases, "wrong faked-output");
    assert_eq!((&case["ok"], &case["got"], code), (&false.into(), &"not yet: nobody sleeps".into(), Some(1)));
}

#[test]
fn what_a_reset_does_not_remove_is_found_and_removed_all_the_same() {
    let _alone = alone();
    let room = Room::new();
    let folder = course(&room, &exercise("setsid sleep {{ seconds }} & true", "nobody sleeps", "false"));
    let before = Host::now(&[room.path()]);
    let (code, cases) = prove(&room, &folder);
    let case = of(&cases, "reset after solution plain");
    assert!(case["got"].as_str().is_some_and(|g| g.starts_with("left behind: process ")), "{case}");
    assert_eq!((&case["ok"], code), (&false.into(), Some(1)));
    let own = |room: &Room| room.path().join("drydock");
    assert!(!own(&room).exists(), "the learner's own home is not touched");
    before.assert_unchanged(&[room.path()], "course test");
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let _alone = alone();
    let room = Room::new();
    let (code, _, errors) = outcome(&mut room.drydock(&["course", "test", "namespaces/hostnam"]));
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("did you mean namespaces/hostname?"), "{errors}");
}

#[test]
fn control_c_ends_it_with_nothing_left() {
    let _alone = alone();
    let room = Room::new();
    let folder = course(&room, &exercise("sleep {{ seconds }}", "nobody sleeps", "true")).display().to_string();
    let before = Host::now(&[room.path()]);
    let mut test = room.drydock(&["--course", &folder, "course", "test", "--json", "--patience", "3"]);
    let mut test = test.env("TMPDIR", room.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("drydock starts");
    let mut out = test.stdout.take().expect("it was piped");
    support::read_until(&mut out, "\n", std::time::Duration::from_secs(30));
    let pid = nix::unistd::Pid::from_raw(test.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it is ours");
    let output = test.wait_with_output().expect("it is ours");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    before.assert_unchanged(&[room.path()], "an interrupted course test");
}

/// `course test --matrix` by copies of both programs that anybody may run: what it says, and its exit code.
fn matrix(refused: &str) -> (Option<i32>, String) {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    let folder = course(&room, &exercise("sleep {{ seconds }} &", refused, "true"));
    let open = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("the room is ours");
    let (bin, temporary) = (room.path().join("bin"), room.path().join("tmp"));
    for (path, mode) in [(room.path(), 0o755), (&bin, 0o755), (&temporary, 0o1777)] {
        std::fs::create_dir_all(path).expect("the room is ours");
        open(path, mode);
    }
    for program in ["drydock", "skiff"] {
        std::fs::copy(support::binary(program), bin.join(program)).expect("it is built");
    }
    let mut command = room.command(bin.join("drydock"));
    let (code, text, errors) = outcome(command.arg("--course").arg(folder).args(["course", "test", "--matrix", "--patience", "3"]).env("TMPDIR", &temporary).env_remove("SUDO_UID"));
    assert!(errors.contains("rootless: 1 exercises …"), "{errors}");
    (code, text)
}

#[test]
fn each_way_of_this_machine_is_three_columns_of_the_matrix() {
    let _alone = alone();
    let head = "             root          rootless      lab\nexercise     un  sol wrong un  sol wrong un  sol wrong\n";
    let no_lab = "not tried at all: lab: the lab has the course that is built in\n";
    let root = nix::unistd::geteuid().is_root();
    let (row, tried, no_root) = if root {
        ("one/sleeper  1   1   1     1   1   1     -   -   -\n", "6 cases tried", "")
    } else {
        ("one/sleeper  -   -   -     1   1   1     -   -   -\n", "3 cases tried", "not tried at all: root: this is an ordinary user; sudo would be root\n")
    };
    assert_eq!(matrix("nobody sleeps"), (Some(0), format!("{head}{row}\n{tried}, 0 false\n{no_root}{no_lab}")));
}

#[test]
fn a_false_verdict_is_seen_in_the_matrix_and_in_the_exit_code() {
    let _alone = alone();
    let (code, text) = matrix("nobody yawns");
    assert_eq!(code, Some(1), "{text}");
    let ways = if nix::unistd::geteuid().is_root() { 2 } else { 1 };
    assert_eq!(text.matches("1   1   0/1").count(), ways, "{text}");
}
