//! How far a learner has come: one JSON file, versioned, written whole or not at all.
//!
//! A file of a newer version, or one cut short, is never thrown away: it is set aside under a dated
//! name, and the learner is told.

use super::{Error, Home};
use crate::kernel::OrSys;
use crate::kernel::ns::Ns;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The version that this program writes.
const VERSION: u32 = 1;

/// All that is kept of a learner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format of this file.
    pub version: u32,
    /// Draws come from it; no secret.
    pub seed: String,
    /// Where the learner is.
    pub place: Option<Place>,
    /// The exercise in hand.
    pub exercise: Option<InHand>,
    /// When each exercise was passed.
    #[serde(default)]
    pub passed: BTreeMap<String, SystemTime>,
    /// How many hints of each exercise were seen.
    #[serde(default)]
    pub hints: BTreeMap<String, usize>,
    /// How each question was answered.
    #[serde(default)]
    pub answers: BTreeMap<String, Answered>,
    /// The exam that was begun last.
    #[serde(default)]
    pub exam: Option<super::exam::Exam>,
}

/// A place in the course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chapter's slug.
    pub chapter: String,
    /// Index of the part in the lesson; 0 is the opening.
    pub part: usize,
    /// When the learner came here: of two desks, the later one knows where they are.
    #[serde(default = "long_ago")]
    pub since: SystemTime,
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

/// An exercise that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InHand {
    /// `chapter/exercise`.
    pub id: String,
    /// Clock ticks since boot when it was begun; what is older does not count.
    pub since_ticks: u64,
    /// Which boot that was.
    pub boot: String,
    /// The namespaces it was begun in: what "the host's" means.
    #[serde(default)]
    pub host: BTreeMap<Ns, u64>,
}

/// How a question was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Times asked.
    pub tries: u32,
    /// The last answer was right.
    pub right: bool,
    /// The box that it lies in ([`super::leitner`]); 0 is none.
    #[serde(default)]
    pub level: u8,
    /// When it is to be asked again; never, if it lies in no box.
    #[serde(default)]
    pub due: Option<SystemTime>,
}

/// The record, locked for as long as this lives.
#[derive(Debug)]
pub struct Progress {
    /// Where it is.
    pub home: Home,
    /// What is kept.
    pub record: Record,
    /// What had to be set aside, and why: to be told.
    pub set_aside: Option<(PathBuf, String)>,
    /// True when nothing was kept yet.
    pub is_new: bool,
    lock: Option<File>,
}

impl Progress {
    /// Opens, or begins, the learner's progress.
    pub fn open(home: Home) -> Result<Self, Error> {
        home.make(&home.folder)?;
        let path = home.folder.join("lock");
        // Under sudo this is root in a folder of the learner's: a link there is not followed.
        let lock = OpenOptions::new().write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(&path);
        let lock = lock.or_sys_with(|| format!("open {}", path.display()))?;
        home.give(&path);
        lock.lock().or_sys("lock your progress")?;
        let file = home.folder.join("progress.json");
        let mut set_aside = None;
        let record = match std::fs::read_to_string(&file) {
            Ok(text) => match parse(&text) {
                Ok(record) => Some(record),
                Err(reason) => {
                    let stamp = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-");
                    let aside = home.folder.join(format!("progress.{stamp}.json"));
                    std::fs::rename(&file, &aside).or_sys("set a damaged progress aside")?;
                    set_aside = Some((aside, reason));
                    None
                }
            },
            Err(_) => None,
        };
        let is_new = record.is_none();
        let record = match record {
            Some(record) => record,
            None => Record::fresh()?,
        };
        Ok(Self { home, record, set_aside, is_new, lock: Some(lock) })
    }

    /// Lets others at it; from here on, what is kept is opened anew for each change.
    pub fn release(&mut self) {
        self.lock = None;
    }

    /// True when [`Progress::release`] was called.
    pub fn is_released(&self) -> bool {
        self.lock.is_none()
    }

    /// Writes it.
    pub fn save(&self) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.record).unwrap_or_default();
        Ok(self.home.write(&self.home.folder.join("progress.json"), &text)?)
    }

    /// Writes that a question was answered, rightly or not, and so when it is to be asked again.
    pub fn answered(&mut self, question: &str, right: bool) -> Result<(), Error> {
        super::leitner::note(self.record.answers.entry(question.to_owned()).or_default(), right, SystemTime::now());
        self.save()
    }

    /// Takes over an exported progress.
    pub fn import(&mut self, path: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).or_sys_with(|| format!("read {}", path.display()))?;
        self.record = parse(&text).map_err(|reason| Error::NotProgress { path: path.to_owned(), reason })?;
        self.save()
    }

    /// The work folder of an exercise.
    pub fn work(&self, id: &str) -> PathBuf {
        self.home.folder.join("work").join(id.replace('/', "-"))
    }

    /// Begins an exercise: from now on, what starts counts.
    pub fn begin(&mut self, id: &str) -> Result<(), Error> {
        let work = self.work(id);
        self.home.make(&work)?;
        self.record.exercise = Some(InHand { id: id.to_owned(), since_ticks: now_ticks(), boot: boot_id(), host: crate::check::own_namespaces() });
        self.save()
    }

    /// The host's namespaces when the exercise in hand was begun; none after a reboot.
    pub fn host(&self) -> BTreeMap<Ns, u64> {
        self.record.exercise.as_ref().filter(|e| e.boot == boot_id()).map(|e| e.host.clone()).unwrap_or_default()
    }

    /// Since when the exercise in hand counts. After a reboot everything that runs is newer.
    pub fn since(&self) -> u64 {
        self.record.exercise.as_ref().filter(|e| e.boot == boot_id()).map_or(0, |e| e.since_ticks)
    }
}

/// Reads a record; `Err` says that it is damaged, or of a newer drydock.
pub fn parse(text: &str) -> Result<Record, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let versioned: Versioned = serde_json::from_str(text).map_err(|e| format!("it is damaged ({e})"))?;
    if versioned.version > VERSION {
        return Err(format!("it was written by a newer drydock (version {} of the file; this one knows {VERSION})", versioned.version));
    }
    serde_json::from_str(text).map_err(|e| format!("it is damaged ({e})"))
}

impl Record {
    fn fresh() -> Result<Self, Error> {
        let seed = crate::kernel::random::hexadecimal::<8>()?;
        Ok(Self {
            version: VERSION,
            seed,
            place: None,
            exercise: None,
            passed: BTreeMap::new(),
            hints: BTreeMap::new(),
            answers: BTreeMap::new(),
            exam: None,
        })
    }
}

/// Clock ticks (1/100 s) since boot, as /proc/PID/stat counts them.
pub fn now_ticks() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |t| t.tv_sec() as u64 * 100 + t.tv_nsec() as u64 / 10_000_000)
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|t| t.trim().to_owned()).unwrap_or_default()
}
