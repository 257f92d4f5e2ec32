//! Each chapter typed from its first command to its last, as the text says it on this machine, in
//! `drydock shell` on a real terminal; what it says comes out must come out. Questions that are
//! answered by running something are run.
//!
//! DRYDOCK_RECORD=1 writes what came out into the lessons' `output` blocks where it differs.

#[macro_use]
mod support;

use drydock::course::template::Values;
use drydock::course::{Content, Course, Part, PartKind, quiz::Kind};
use drydock::learn::{answer, facts};
use drydock::prove::transcript::{self, Block};
use drydock::prove::{Room, Setting, Typist, host};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One chapter at a time: what is left is told by looking at all children of this process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn checkout() -> PathBuf {
    support::source()
}

fn course() -> Course {
    Course::load(Content::Folder(checkout())).expect("the course can be read")
}

fn setting() -> Setting {
    Setting { patience: Duration::from_secs(40), stop: None }
}

fn room(name: &str) -> Room {
    Room::make(name, &support::binary("drydock"), None, Some(checkout())).expect("a room")
}

/// A chapter being typed.
struct Typing<'r> {
    learner: drydock::prove::Learner<'r>,
    first: Typist,
    second: Option<Typist>,
    /// What the last typed block printed.
    printed: String,
    /// All that was not as the lesson says.
    wrong: Vec<String>,
}

impl Typing<'_> {
    fn part(&mut self, file: &str, part: &Part, values: &Values) {
        let text = values.render(&part.text, file, part.line).expect("the template can be filled in");
        let blocks = transcript::blocks(&text);
        for (number, block) in blocks.iter().enumerate() {
            let place = format!("{file}, \"{}\", block {}", part.title, number + 1);
            match block.kind {
                transcript::Kind::First => self.printed = typed(&mut self.first, block, &place),
                transcript::Kind::Second => {
                    let learner = &self.learner;
                    let second = self.second.get_or_insert_with(|| learner.shell(setting()).expect("a second terminal"));
                    self.printed = typed(second, block, &place);
                }
                transcript::Kind::Output => {
                    if let Some(differs) = transcript::differs(&block.text, &self.printed) {
                        record(file, part, number, blocks.len(), &self.printed);
                        self.wrong.push(format!("{place}:\n{differs}"));
                    }
                }
                transcript::Kind::Exercise => {}
            }
        }
    }
}

fn typed(typist: &mut Typist, block: &Block, place: &str) -> String {
    let mut printed = String::new();
    for line in block.text.lines().filter(|l| !l.trim().is_empty()) {
        match typist.line(line) {
            Ok(text) => {
                printed.push_str(&text);
                if !text.is_empty() && !text.ends_with('\n') {
                    printed.push('\n');
                }
            }
            Err(error) => panic!("{place}: {error}\n{}", typist.screen()),
        }
    }
    printed
}

/// Puts what was printed into the lesson, where the block holds no template.
fn record(file: &str, part: &Part, number: usize, count: usize, printed: &str) {
    if std::env::var_os("DRYDOCK_RECORD").is_none() {
        return;
    }
    let raw = transcript::blocks(&part.text);
    let Some(block) = raw.get(number).filter(|b| raw.len() == count && !b.text.contains("{{") && !b.text.contains("{%")) else { return };
    let path = checkout().join(file);
    let text = std::fs::read_to_string(&path).expect("the lesson can be read");
    let old = format!("```output\n{}```", block.text);
    std::fs::write(&path, text.replacen(&old, &format!("```output\n{printed}```"), 1)).expect("the lesson can be written");
}

/// Removes the groups that a chapter's text makes, in case it was not typed to its end. Dropped last.
struct Groups(Vec<String>);

impl Drop for Groups {
    fn drop(&mut self) {
        for hierarchy in support::host::hierarchies() {
            for name in &self.0 {
                let _ = std::fs::remove_dir(hierarchy.join(name));
            }
        }
    }
}

fn groups(parts: &[Part]) -> Groups {
    let words = parts.iter().flat_map(|p| p.text.split_whitespace());
    Groups(words.filter(|w| w.starts_with("drydock-") && !w.contains(['/', '.'])).map(str::to_owned).collect())
}

/// The kernel that tests/run unpacked, where the lab would have one that it fetched.
fn have_the_kernel(home: &Path) {
    let unpacked = checkout().join("target/vm");
    if unpacked.exists() {
        std::fs::create_dir_all(home.join("lab/kernels")).expect("the room is ours");
        std::os::unix::fs::symlink(unpacked, home.join("lab/kernels/unpacked")).expect("the room is ours");
    }
}

/// Types the chapter, and looks at what is left of it.
fn chapter_holds(folder: &str) {
    let _alone = alone();
    host::adopt_orphans().expect("any process may");
    let course = course();
    let chapter = course.chapter(folder).expect("the chapter can be read");
    let values = Values::of(&facts::read());
    let file = format!("lessons/{folder}/lesson.md");
    let before = host::Picture::take(&[]);
    let _groups = groups(&chapter.lesson.parts);
    let room = room(folder);
    // Whoever does an earlier chapter first has the image already.
    room.make_base();
    let learner = room.learner("home");
    have_the_kernel(&learner.home);
    learner.must(&["start", chapter.slug()]).expect("it starts");
    let first = learner.shell(setting()).expect("a shell");
    let mut typing = Typing { learner, first, second: None, printed: String::new(), wrong: Vec::new() };
    let parts = chapter.lesson.parts.iter().filter(|p| matches!(p.kind, PartKind::Section | PartKind::Step));
    for part in parts {
        typing.part(&file, part, &values);
    }
    let (wrong, left) = (std::mem::take(&mut typing.wrong), room.containers());
    drop(typing);
    drop(room);
    assert!(wrong.is_empty(), "what came out is not what the lesson says (-), but (+)\n\n{}", wrong.join("\n"));
    assert_eq!(left, Vec::<String>::new(), "containers that {folder} leaves");
    assert_eq!(before.left(&[], &left, Duration::from_secs(15)), Vec::<String>::new(), "after {folder}");
}

#[test]
fn chapter_01_why_docker_is_as_it_says() {
    require!(Root, File("/bin/bash"), Tool("busybox"));
    chapter_holds("01-why-docker");
}

#[test]
fn chapter_02_vm_vs_container_is_as_it_says() {
    require!(Tool("qemu-system-x86_64"), GuestKernel);
    require!(Root, Tool("unshare"));
    chapter_holds("02-vm-vs-container");
}

#[test]
fn chapter_03_namespaces_is_as_it_says() {
    require!(Root, Tool("unshare"));
    chapter_holds("03-namespaces");
}

#[test]
fn chapter_04_cgroups_is_as_it_says() {
    require!(Root, Controller("memory"), Controller("cpu"), Controller("pids"));
    chapter_holds("04-cgroups");
}

#[test]
fn chapter_05_root_filesystem_is_as_it_says() {
    require!(Root, Tool("unshare"), Tool("ldd"), Tool("busybox"));
    chapter_holds("05-root-filesystem");
}

#[test]
fn chapter_06_by_hand_is_as_it_says() {
    require!(Root, Tool("unshare"), Tool("busybox"));
    chapter_holds("06-by-hand");
}

#[test]
fn chapter_07_image_vs_container_is_as_it_says() {
    require!(Root, Tool("tar"));
    chapter_holds("07-image-vs-container");
}

#[test]
fn chapter_08_running_containers_is_as_it_says() {
    require!(Root, Tool("curl"), Tool("nsenter"));
    chapter_holds("08-running-containers");
}

#[test]
fn chapter_09_dockerfile_is_as_it_says() {
    require!(Root, Tool("tar"));
    chapter_holds("09-dockerfile");
}

#[test]
fn chapter_10_volumes_is_as_it_says() {
    require!(Root, Tool("tar"), Tool("unshare"));
    chapter_holds("10-volumes");
}

#[test]
fn chapter_11_networking_is_as_it_says() {
    require!(Root, Tool("unshare"), Tool("ip"), Tool("nft"), Tool("curl"), Tool("busybox"));
    chapter_holds("11-networking");
}

#[test]
fn chapter_12_registry_is_as_it_says() {
    require!(Root, Tool("tar"), Tool("curl"));
    chapter_holds("12-registry");
}

#[test]
fn chapter_13_architecture_is_as_it_says() {
    require!(Root, Tool("curl"), Tool("ps"), Tool("tar"));
    chapter_holds("13-architecture");
}

#[test]
fn chapter_14_compose_is_as_it_says() {
    require!(Root, Tool("curl"));
    chapter_holds("14-compose");
}

#[test]
fn chapter_15_security_is_as_it_says() {
    require!(Root, Tool("tar"), Tool("unshare"), Tool("setpriv"));
    chapter_holds("15-security");
}

#[test]
fn chapter_16_production_is_as_it_says() {
    require!(Root, Controller("memory"), Controller("cpu"), Controller("pids"));
    chapter_holds("16-production");
}

#[test]
fn every_chapter_of_the_course_is_typed_here() {
    let text = std::fs::read_to_string(checkout().join("tests/chapters.rs")).expect("this file");
    for folder in &course().folders {
        assert!(text.contains(&format!("chapter_holds(\"{folder}\")")), "no test types {folder}");
    }
}

#[test]
fn source_that_a_lesson_quotes_is_the_engines_own() {
    let lines = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect::<Vec<_>>();
    let folders = ["src/engine", "src/engine/steps", "src/engine/network", "src/compose", "src/daemon"].map(|folder| std::fs::read_dir(checkout().join(folder)).expect("it is there"));
    let files = folders.into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_file());
    let sources: Vec<Vec<String>> = files.map(|p| lines(&std::fs::read_to_string(p).expect("a file"))).collect();
    for folder in &course().folders {
        let text = std::fs::read_to_string(checkout().join(format!("lessons/{folder}/lesson.md"))).expect("a lesson");
        for quoted in text.split("```rust\n").skip(1).filter_map(|rest| Some(lines(rest.split_once("```")?.0))) {
            let there = sources.iter().any(|source| source.windows(quoted.len()).any(|part| part == quoted));
            assert!(there, "{folder} quotes what is not so in the source: {quoted:#?}");
        }
    }
}

#[test]
fn questions_that_are_answered_by_running_something_have_the_right_answer() {
    require!(Root, Tool("unshare"));
    let _alone = alone();
    host::adopt_orphans().expect("any process may");
    let room = room("questions");
    let learner = room.learner("home");
    let course = course();
    learner.must(&["start", &course.folders[0]]).expect("it starts");
    let mut typist = learner.shell(setting()).expect("a shell");
    let values = Values::of(&facts::read());
    let mut wrong = Vec::new();
    for folder in &course.folders {
        let chapter = course.chapter(folder).expect("a chapter");
        for question in &chapter.quiz {
            let Some(command) = question.run.as_ref().or(question.read.as_ref()) else { continue };
            let command = values.render(command, Path::new(folder).to_str().expect("text"), 0).expect("it can be filled in");
            let lines: Vec<&str> = command.lines().collect();
            let mut printed = String::new();
            for line in lines {
                printed.push_str(&typist.line(line).unwrap_or_else(|e| panic!("{}: {e}\n{}", question.id, typist.screen())));
            }
            match question.kind {
                Kind::Predict if !question.choices.is_empty() => {
                    let right = question.choices.iter().position(|c| c.right);
                    if answer::truth(question, &printed) != right {
                        wrong.push(format!("{}: the right choice is not what `{command}` printed:\n{printed}", question.id));
                    }
                }
                _ if printed.trim().is_empty() => wrong.push(format!("{}: `{command}` printed nothing", question.id)),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
