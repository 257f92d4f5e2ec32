//! The plan of a workshop: chapters, their minutes, and where the class waits. A YAML file to be edited.

use super::Error;
use crate::course::{Course, slug};
use crate::kernel::OrSys;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// The plan's file in a workshop's folder.
pub const FILE: &str = "plan.yaml";

/// What is to be done, and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What stands above the board.
    pub title: String,
    /// Chapters in order.
    pub chapters: Vec<Stage>,
}

/// One chapter of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its short name.
    pub chapter: String,
    /// Minutes for it.
    pub minutes: u32,
    /// The class waits before it until the instructor opens it.
    #[serde(default)]
    pub gate: bool,
}

impl Plan {
    /// A plan of these chapters with the lessons' own minutes, and a gate before each but the first.
    pub fn of(course: &Course, title: &str, chapters: &[String], minutes: Option<u32>) -> Result<Self, Error> {
        let named: Vec<&str> = if chapters.is_empty() { course.folders.iter().map(String::as_str).collect() } else { chapters.iter().map(String::as_str).collect() };
        let mut stages = Vec::new();
        for name in named {
            let folder = course.folder(name)?;
            let minutes = course.lesson(folder)?.front.minutes;
            stages.push(Stage { chapter: slug(folder).to_owned(), minutes, gate: !stages.is_empty() });
        }
        let mut plan = Self { title: title.to_owned(), chapters: stages };
        if let Some(minutes) = minutes {
            plan.fit(minutes);
        }
        Ok(plan)
    }

    /// Minutes in all.
    pub fn minutes(&self) -> u32 {
        self.chapters.iter().map(|s| s.minutes).sum()
    }

    /// Shares these minutes among the chapters as they stand to each other.
    fn fit(&mut self, minutes: u32) {
        let (all, mut left) = (self.minutes().max(1), minutes);
        let count = self.chapters.len();
        for (i, stage) in self.chapters.iter_mut().enumerate() {
            let share = if i + 1 == count { left } else { (stage.minutes * minutes / all).min(left) };
            stage.minutes = share.max(1);
            left = left.saturating_sub(share);
        }
    }

    /// Reads the plan in a workshop's folder, and holds it to the course.
    pub fn read(folder: &Path, course: &Course) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::NoPlan(folder.to_owned())),
            Err(e) => return Err(Err::<(), _>(e).or_sys_with(|| format!("read {}", path.display())).map_or_else(Into::into, |()| Error::NoPlan(path))),
        };
        let bad = |problem: String| Error::Plan { path: path.clone(), problem };
        let plan: Self = serde_yaml::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if plan.chapters.is_empty() {
            return Err(bad("it has no chapter".into()));
        }
        let mut seen = Vec::new();
        for stage in &plan.chapters {
            let folder = course.folder(&stage.chapter)?;
            if slug(folder) != stage.chapter {
                return Err(bad(format!("a chapter goes by its short name here: {}", slug(folder))));
            }
            if !(1..=24 * 60).contains(&stage.minutes) {
                return Err(bad(format!("{}: minutes are from 1 to 1440", stage.chapter)));
            }
            if seen.contains(&&stage.chapter) {
                return Err(bad(format!("{} is there twice", stage.chapter)));
            }
            seen.push(&stage.chapter);
        }
        Ok(plan)
    }

    /// The file's text, with what can be edited said in it.
    pub fn text(&self) -> String {
        let mut text = format!("# A workshop of {} minutes: drydock workshop serve\n# Edit it as you like. gate: true holds the class before a chapter until you open it on the board.\n", self.minutes());
        let title = serde_json::to_string(&self.title).unwrap_or_default();
        let _ = write!(text, "title: {title}\nchapters:\n");
        let wide = self.chapters.iter().map(|s| s.chapter.len()).max().unwrap_or(0) + 1;
        for stage in &self.chapters {
            let name = format!("{},", stage.chapter);
            let _ = writeln!(text, "  - {{ chapter: {name:<wide$} minutes: {:>3}, gate: {} }}", stage.minutes, stage.gate);
        }
        text
    }

    /// Writes it into a folder, unless there is one.
    pub fn write_new(&self, folder: &Path) -> Result<(), Error> {
        use std::io::Write;
        let path = folder.join(FILE);
        std::fs::create_dir_all(folder).or_sys_with(|| format!("make {}", folder.display()))?;
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = match file {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(Error::PlanThere(path)),
            other => other.or_sys_with(|| format!("write {}", path.display()))?,
        };
        Ok(file.write_all(self.text().as_bytes()).or_sys_with(|| format!("write {}", path.display()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::Content;

    #[test]
    fn minutes_are_shared_out_to_the_last_one_and_the_text_is_read_back() {
        let course = Course::load(Content::Embedded).expect("the course");
        let plan = Plan::of(&course, "Ships: \"a\" # day", &["3".into(), "cgroups".into(), "volumes".into()], Some(100)).expect("a plan");
        assert_eq!(plan.minutes(), 100);
        assert_eq!(plan.chapters.iter().map(|s| s.gate).collect::<Vec<_>>(), [false, true, true]);
        let read: Plan = serde_yaml::from_str(&plan.text()).expect("its own text");
        assert_eq!(read, plan);
    }
}
