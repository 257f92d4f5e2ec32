//! A learner in a class: who they are to the hub, what is to be sent, and what came from there.
//!
//! One file beside the progress, written whole or not at all, so that an event, its number and what it was
//! made from never part. Most events are the difference between the record (`crate::learn`) and what of it
//! was told before: nothing is lost when a command is killed between the two, and what was done in the lab
//! or in the book is told with the next command. Only verdicts are said one by one, since the record keeps
//! passes alone. What was done before joining is not told.

use super::event::{Event, Fact, now, one_line};
use super::inbox::Inbox;
use super::{Address, Error};
use crate::kernel::OrSys;
use crate::learn::Home;
use crate::learn::progress::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A folder of its own, closed to others from the start: what is in it is the learner's secret.
const FOLDER: &str = "class";
const FILE: &str = "member.json";
/// So many of the events that were sent are kept, to be shown.
const SHOWN: usize = 20;

/// A learner's place in a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// CODE@HOST.
    pub address: String,
    /// Made when joining, known to the hub by its hash alone: it is what makes this learner this learner.
    pub secret: String,
    /// The name in the class, as the hub has it.
    pub nick: String,
    /// The number of the next event.
    next: u64,
    told: Told,
    /// What is to be sent.
    pub pending: Vec<Event>,
    /// The last that were sent.
    pub sent: VecDeque<Event>,
    /// What came from the hub last.
    pub inbox: Inbox,
    /// The last message that was shown.
    pub shown: u64,
    /// The last closed question whose answer was shown.
    pub shown_answer: u64,
    /// When the hub answered last, by this machine's clock; 0 never.
    pub contact: i64,
    /// Why the hub wants no more, if it said so.
    pub refused: Option<String>,
}

/// What of the record has been told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    place: Option<(String, usize)>,
    begun: Option<(String, u64)>,
    passed: BTreeSet<String>,
    hints: BTreeMap<String, usize>,
    answers: BTreeMap<String, (u32, bool)>,
}

impl Told {
    /// All of a record but where the learner is: that is told at once.
    fn all(record: &Record) -> Self {
        Self {
            passed: record.passed.keys().cloned().collect(),
            hints: record.hints.clone(),
            answers: record.answers.iter().map(|(id, a)| (id.clone(), (a.tries, a.right))).collect(),
            ..Self::default()
        }
    }
}

/// A learner's id: known to all who see the board, and of no use to pose as them.
pub fn id_of(secret: &str) -> String {
    let hash = Sha256::digest(format!("drydock learner {secret}").as_bytes());
    super::code::letters(&hash).chars().take(16).collect()
}

impl Member {
    /// A newcomer, not yet known to the hub.
    pub fn new(address: &Address, nick: &str, record: &Record) -> Result<Self, Error> {
        Ok(Self {
            address: address.to_string(),
            secret: super::code::random_letters(32).or_sys("read /dev/urandom")?,
            nick: one_line(nick, super::event::NICK),
            next: 1,
            told: Told::all(record),
            pending: Vec::new(),
            sent: VecDeque::new(),
            inbox: Inbox::default(),
            shown: 0,
            shown_answer: 0,
            contact: 0,
            refused: None,
        })
    }

    /// Keeps a newcomer whom the hub has taken.
    pub fn keep(&self, home: &Home) -> Result<(), Error> {
        let _lock = lock(home)?;
        self.save(home)
    }

    /// Who the learner is in a class; none if in no class.
    pub fn read(home: &Home) -> Result<Option<Self>, Error> {
        let path = file(home);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Ok(Err(e).or_sys_with(|| format!("read {}", path.display()))?),
        };
        serde_json::from_slice(&text).map(Some).map_err(|e| Error::Damaged { path, reason: e.to_string() })
    }

    /// Changes what is kept, with nobody else at it; none if in no class.
    pub fn change<T>(home: &Home, change: impl FnOnce(&mut Self) -> T) -> Result<Option<T>, Error> {
        if !file(home).exists() {
            return Ok(None);
        }
        let _lock = lock(home)?;
        let Some(before) = Self::read(home)? else { return Ok(None) };
        let mut member = before.clone();
        let answer = change(&mut member);
        if member != before {
            member.save(home)?;
        }
        Ok(Some(answer))
    }

    /// Leaves: nothing is kept.
    pub fn forget(home: &Home) -> Result<(), Error> {
        let _lock = lock(home)?;
        let path = file(home);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Ok(Err(e).or_sys_with(|| format!("remove {}", path.display()))?),
            _ => Ok(()),
        }
    }

    /// One more fact to be sent.
    pub fn tell(&mut self, fact: Fact) {
        self.pending.push(Event { seq: self.next, at: now(), fact: fact.bounded() });
        self.next += 1;
    }

    /// Tells what the record has and the class does not know.
    pub fn catch_up(&mut self, record: &Record) {
        let place = record.place.as_ref().map(|p| (p.chapter.clone(), p.part));
        if let Some((chapter, part)) = place.clone().filter(|_| place != self.told.place) {
            self.tell(Fact::At { chapter, part });
        }
        let begun = record.exercise.as_ref().map(|e| (e.id.clone(), e.since_ticks));
        if let Some((exercise, _)) = begun.clone().filter(|_| begun != self.told.begun) {
            self.tell(Fact::Begun { exercise });
        }
        for (exercise, seen) in &record.hints {
            if self.told.hints.get(exercise).is_none_or(|told| told < seen) {
                self.tell(Fact::Hints { exercise: exercise.clone(), seen: *seen });
            }
        }
        for exercise in record.passed.keys().filter(|id| !self.told.passed.contains(*id)).cloned().collect::<Vec<_>>() {
            self.tell(Fact::Passed { exercise });
        }
        for (question, answered) in &record.answers {
            if self.told.answers.get(question).is_none_or(|(tries, _)| *tries < answered.tries) {
                self.tell(Fact::Answered { question: question.clone(), right: answered.right, tries: answered.tries });
            }
        }
        let all = Told::all(record);
        // A pass of before joining stays known though the record was put back since.
        self.told.passed.extend(all.passed);
        (self.told.hints, self.told.answers, self.told.place, self.told.begun) = (all.hints, all.answers, place, begun);
    }

    /// The hub has written these down, and this is what it says.
    pub fn taken(&mut self, seqs: &[u64], inbox: Inbox) {
        let (gone, left) = std::mem::take(&mut self.pending).into_iter().partition(|e| seqs.contains(&e.seq));
        self.pending = left;
        self.sent.extend::<Vec<Event>>(gone);
        while self.sent.len() > SHOWN {
            self.sent.pop_front();
        }
        self.nick.clone_from(&inbox.nick);
        // Two processes may have asked, and the earlier answer may come here later; a hub's clock may be set back.
        if inbox.now >= self.inbox.now || self.inbox.now - inbox.now > 60_000 {
            self.inbox = inbox;
        }
        self.contact = now();
        self.refused = None;
    }

    fn save(&self, home: &Home) -> Result<(), Error> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Ok(home.write(&file(home), &text)?)
    }
}

fn file(home: &Home) -> PathBuf {
    home.folder.join(FOLDER).join(FILE)
}

fn lock(home: &Home) -> Result<File, Error> {
    let lock = open_lock(home, "lock")?;
    lock.lock().or_sys("lock what is kept of the class")?;
    Ok(lock)
}

/// Takes the right to send; none while another process has it.
pub fn sending(home: &Home) -> Result<Option<File>, Error> {
    let lock = open_lock(home, "sending")?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

fn open_lock(home: &Home, name: &str) -> Result<File, Error> {
    let folder = home.folder.join(FOLDER);
    if !folder.exists() {
        home.make(&folder)?;
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).or_sys_with(|| format!("close {} to others", folder.display()))?;
    }
    let path = folder.join(name);
    // Under sudo this is root in a folder of the learner's: a link there is not followed.
    let lock = OpenOptions::new().write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(&path);
    let lock = lock.or_sys_with(|| format!("open {}", path.display()))?;
    home.give(&path);
    Ok(lock)
}
