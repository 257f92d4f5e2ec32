//! Placement, review and exam: stories on a course of two small chapters, through a pipe and on a
//! terminal. What was answered is kept; what was missed comes back; the report says what to read again.

mod support;

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use support::{Room, stdout};

const EXERCISE: &str = "title: A sleeper\nobjective: run\nminutes: 5\ngoal: Let `sleep {{ seconds }}` run.\ndraws:\n  seconds: { range: [5000, 9999] }\ntouches:\n  processes: true\nchecks:\n  - id: sleeper\n    find: process\n    where: { command: \"sleep {{ seconds }}\" }\n    none: nobody sleeps\nhints: [a, b, c]\nsolutions: []\nwrong: []\nexplain: So it is.\n";

/// Two chapters of two questions each, where `r…` is right and `w…` is wrong; one has an exercise.
fn course(room: &Room) -> PathBuf {
    let folder = room.path().join("course");
    let write = |path: String, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below")).expect("the room is ours");
        std::fs::write(path, text).expect("the room is ours");
    };
    write("lessons/course.yaml".into(), "title: Small\nchapters: [01-one, 02-two]\n");
    for (number, name, task) in [(1, "one", "\n## Exercise: sleeper\n"), (2, "two", "")] {
        let title = if number == 1 { "One" } else { "Two" };
        let front = format!("---\ntitle: {title}\nslug: {name}\nminutes: 5\nobjectives:\n  - {{ id: run, text: run {name} }}\n  - {{ id: stop, text: \"stop {name} & rest\" }}\n---\nText.\n{task}");
        write(format!("lessons/0{number}-{name}/lesson.md"), &front);
        let question = |objective: &str| format!("- id: {name}-{objective}\n  objective: {objective}\n  kind: one\n  ask: \"{name} {objective}?\"\n  choices:\n    - {{ text: r{objective}, right: true, because: so }}\n    - {{ text: w{objective}, because: not so }}\n");
        write(format!("lessons/0{number}-{name}/quiz.yaml"), &(question("run") + &question("stop")));
    }
    write("exercises/01-one/sleeper/exercise.yaml".into(), EXERCISE);
    folder
}

fn drydock(room: &Room, args: &[&str]) -> Command {
    let folder = course(room).display().to_string();
    room.drydock(&[&["--course", folder.as_str()], args].concat())
}

/// Answers what is asked: with the letter of the choice that begins with the answer, or with the line
/// itself. Gives all that was shown.
fn answered(command: &mut Command, answers: &[&str]) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    for answer in answers {
        let part = support::read_until(&mut output, " >\n", Duration::from_secs(60));
        let letter = part.lines().rev().find_map(|l| l.trim_start().split_once(") ").filter(|(_, text)| text.starts_with(answer) && !answer.is_empty()).map(|(letter, _)| letter.to_owned()));
        shown += &part;
        writeln!(input, "{}", letter.as_deref().unwrap_or(answer)).expect("it listens");
    }
    drop(input);
    std::io::Read::read_to_string(&mut output, &mut shown).expect("text");
    assert!(child.wait().expect("it ends").success(), "{shown}");
    shown
}

fn record(room: &Room) -> PathBuf {
    room.path().join("drydock/progress.json")
}

/// Makes a question due since an hour.
fn wait_for(room: &Room, id: &str) {
    let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(record(room)).expect("it is kept")).expect("JSON");
    let past = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs() - 3600;
    kept["answers"][id]["due"]["secs_since_epoch"] = past.into();
    std::fs::write(record(room), kept.to_string()).expect("the room is ours");
}

fn cards(room: &Room) -> Vec<(String, u64, bool)> {
    let listed: Value = serde_json::from_str(&stdout(&mut drydock(room, &["review", "--json"]))).expect("JSON");
    let card = |c: &Value| (c["question"].as_str().expect("text").to_owned(), c["box"].as_u64().expect("a number"), c["is_due"].as_bool().expect("a truth"));
    listed.as_array().expect("a list").iter().map(card).collect()
}

#[test]
fn a_missed_question_comes_back_when_it_is_due_and_moves_up_a_box_when_it_is_known() {
    let room = Room::new();
    assert!(answered(&mut drydock(&room, &["review"]), &[]).starts_with("Nothing to review: "));
    answered(&mut drydock(&room, &["quiz", "one"]), &["w", "r"]);
    let missed = cards(&room)[0].0.clone();
    assert_eq!(cards(&room), [(missed.clone(), 1, false)]);
    assert!(answered(&mut drydock(&room, &["review"]), &[]).starts_with("Nothing is due. 1 question is waiting, the next is due in a day.\n"));
    wait_for(&room, &missed);
    let shown = answered(&mut drydock(&room, &["review"]), &["r"]);
    assert!(shown.starts_with("Review: 1 question\n") && shown.ends_with("\n1 of 1 right.\nThe next is due in 2 days.\n"), "{shown}");
    assert_eq!(cards(&room), [(missed.clone(), 2, false)]);
    // Asked before its time: right shows nothing, wrong sends it back.
    answered(&mut drydock(&room, &["review", "--all"]), &["r"]);
    assert_eq!(cards(&room), [(missed.clone(), 2, false)]);
    answered(&mut drydock(&room, &["review", "--all"]), &["w"]);
    assert_eq!(cards(&room), [(missed, 1, false)]);
}

#[test]
fn placement_goes_through_the_chapters_and_says_where_to_begin_and_why() {
    let room = Room::new();
    let shown = answered(&mut drydock(&room, &["placement"]), &["r", "w", "w"]);
    let end = shown.split("  known  One\n").nth(1).unwrap_or_else(|| panic!("{shown}"));
    assert!(end.starts_with("  new    Two\n\nBegin with Two.\n") && end.contains("  - run two\n") && end.contains("  - stop two & rest\n") && end.contains("drydock start 02-two"), "{end}");
    // A slip is no reason to begin there; and who knows all is sent to the exam.
    let shown = answered(&mut drydock(&room, &["placement"]), &["", "r", "r"]);
    assert!(shown.contains("You know something of every chapter.\n  drydock exam"), "{shown}");
    let shown = answered(&mut drydock(&room, &["placement"]), &["r", "q"]);
    assert!(shown.contains("  drydock start 02-two"), "{shown}");
}

/// Answers the rest of an exam without looking at a task.
fn exam(room: &Room, args: &[&str], answers: &[&str]) -> String {
    answered(&mut drydock(room, &[&["exam"], args].concat()), answers)
}

#[test]
fn an_exam_is_drawn_from_its_word_goes_on_after_an_interruption_and_ends_in_a_report() {
    let room = Room::new();
    let draw = ["--seed", "amber", "--questions", "4", "--tasks", "0"];
    let shown = exam(&room, &draw, &["r", "w", "q"]);
    assert!(shown.starts_with("Exam: 4 questions, 0 live tasks\n") && shown.contains("\n1 of 4: question\n") && !shown.contains("right\n"), "{shown}");
    assert!(shown.contains("\nInterrupted; all that you answered is kept.\n"), "{shown}");
    let json = |room: &Room| -> Value { serde_json::from_str(&stdout(&mut drydock(room, &["exam", "--json"]))).expect("JSON") };
    let ids = |json: &Value| json["items"].as_array().expect("a list").iter().map(|i| i["id"].as_str().expect("text").to_owned()).collect::<Vec<_>>();
    let first = json(&room);
    assert_eq!((&first["right"], &first["over"]), (&1.into(), &false.into()));
    let page = room.path().join("report.html");
    let shown = exam(&room, &["--html", &page.display().to_string()], &["r", "r"]);
    assert!(shown.starts_with("You are in the middle of an exam: on with it.\n3 of 4: question\n"), "{shown}");
    for words in ["3 of 4 right (75 %)", "drawn from amber", "Read again", "drydock start 0"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let page = std::fs::read_to_string(page).expect("it was written");
    assert!(page.contains("<h1>3 of 4 right (75 %)</h1>") && page.contains("stop two &amp; rest"), "{page}");
    let last = json(&room);
    assert_eq!((&last["over"], ids(&last)), (&true.into(), ids(&first)));
    // The missed one waits for its review; the same word draws the same for somebody else.
    assert_eq!(cards(&room).len(), 1);
    let other = Room::new();
    exam(&other, &draw, &["q"]);
    assert_eq!(ids(&json(&other)), ids(&first));
    // Another exam takes its place only when it is asked for.
    assert!(exam(&room, &[], &[]).contains("3 of 4 right"));
    assert!(exam(&room, &["--again", "--questions", "1", "--tasks", "0"], &["r"]).contains("1 of 1 right (100 %)"));
}

#[test]
fn a_live_task_is_marked_by_the_kernel_and_an_exam_whose_time_is_up_is_over() {
    let room = Room::new();
    let task = ["--questions", "0", "--tasks", "1"];
    let mut command = drydock(&room, &[&["exam"], &task[..]].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let shown = support::read_until(&mut output, " >\n", Duration::from_secs(60));
    let seconds = shown.split("sleep ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()).expect("a number").to_owned();
    writeln!(input).expect("it listens");
    assert!(support::read_until(&mut output, " >\n", Duration::from_secs(60)).contains("  not yet\n"));
    // In another terminal: the progress is not locked meanwhile.
    assert!(stdout(&mut drydock(&room, &["progress", "--json"])).contains("one/sleeper"));
    let mut sleeper = Command::new("sleep").arg(&seconds).spawn().expect("sleep runs");
    writeln!(input).expect("it listens");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).expect("text");
    sleeper.kill().expect("it is ours");
    sleeper.wait().expect("it is ours");
    assert!(child.wait().expect("it ends").success());
    assert!(rest.contains("  done\n") && rest.contains("1 of 1 right (100 %)") && rest.contains("Nothing to read again."), "{rest}");
    assert!(stdout(&mut drydock(&room, &["list"])).contains("passed  one/sleeper"));
    // All minutes but none are used up.
    exam(&room, &["--again", "--minutes", "1", "--questions", "2", "--tasks", "0"], &["r", "q"]);
    spend(&record(&room), 60);
    let shown = exam(&room, &[], &[]);
    assert!(shown.contains("1 of 2 right (50 %)") && shown.contains("1 minute of 1"), "{shown}");
}

fn spend(record: &Path, seconds: u64) {
    let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(record).expect("it is kept")).expect("JSON");
    kept["exam"]["used"] = seconds.into();
    std::fs::write(record, kept.to_string()).expect("the room is ours");
}
