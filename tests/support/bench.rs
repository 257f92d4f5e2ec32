//! A build context in a room of its own, and how its builds are read.

use super::{Room, outcome, stdout};
use std::fs;
use std::path::PathBuf;

/// A room with a context in it.
pub struct Bench {
    pub room: Room,
}

impl Bench {
    /// One whose Dockerfile is this.
    pub fn new(dockerfile: &str) -> Self {
        let bench = Self { room: Room::new() };
        fs::create_dir(bench.context()).expect("the room is ours");
        bench.write("Dockerfile", dockerfile);
        bench
    }

    /// Its folder.
    pub fn context(&self) -> PathBuf {
        self.room.path().join("context")
    }

    /// A file of it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.context().join(name);
        fs::create_dir_all(path.parent().expect("it is in the context")).expect("the room is ours");
        fs::write(path, text).expect("the room is ours");
    }

    /// `skiff build OPTIONS .` in it.
    pub fn command(&self, options: &[&str]) -> std::process::Command {
        let mut command = self.room.skiff(&["build"]);
        command.args(options).arg(".").current_dir(self.context());
        command
    }

    /// Builds it as `it`; the lines of progress, without times and digests.
    pub fn build(&self, options: &[&str]) -> Vec<String> {
        let (code, out, err) = outcome(&mut self.command(&[&["-t", "it"], options].concat()));
        assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
        err.lines().map(str::to_owned).collect()
    }

    /// As [`Bench::build`] without a name, where it might hang: it is ended after a minute, with 124.
    pub fn in_a_minute(&self, options: &[&str]) -> (Option<i32>, String) {
        let mut command = self.room.command("timeout");
        command.args(["-k", "5", "60", "skiff", "build"]).args(options).arg(".").current_dir(self.context());
        let (code, _, err) = outcome(&mut command);
        (code, err)
    }

    /// What is said instead of an image.
    pub fn refused(&self, options: &[&str]) -> String {
        let (code, out, err) = outcome(&mut self.command(&[&["-q"], options].concat()));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        err
    }

    /// What a command in the image prints.
    pub fn run(&self, command: &str) -> String {
        stdout(&mut self.room.skiff(&["run", "--rm", "--entrypoint", "sh", "it", "-c", command]))
    }

    /// The ID of what is built.
    pub fn id(&self, options: &[&str]) -> String {
        stdout(&mut self.command(&[&["-q"], options].concat()))
    }

    /// What a build leaves while it goes on: nothing of it may be there afterwards.
    pub fn left(&self) -> Vec<String> {
        let root = self.room.skiff_root();
        let names = |part: &str| fs::read_dir(root.join(part)).into_iter().flatten().flatten().map(|e| e.path().display().to_string()).collect::<Vec<_>>();
        let aside = ["images/.aside", "layers/.aside"].map(|p| root.join(p)).into_iter().filter(|p| p.exists()).map(|p| p.display().to_string());
        [names("containers"), names("build/steps"), names("names")].concat().into_iter().chain(aside).collect()
    }
}

/// Lines of plain progress that say what became of a step.
pub fn ends(progress: &[String], what: &str) -> usize {
    progress.iter().filter(|l| l.ends_with(what)).count()
}

/// The lines that explain the step whose line begins so.
pub fn reasons(progress: &[String], step: &str) -> Vec<String> {
    let number = progress.iter().find_map(|l| l.split_once(' ').filter(|(_, name)| name.starts_with(step)).map(|(n, _)| n.to_owned()));
    let number = number.unwrap_or_else(|| panic!("no step {step} in {progress:#?}"));
    let of_step = progress.iter().filter_map(|l| l.strip_prefix(&format!("{number} ")));
    of_step.filter(|l| l.starts_with("not cached: ") || l.starts_with("cached: ")).map(str::to_owned).collect()
}
