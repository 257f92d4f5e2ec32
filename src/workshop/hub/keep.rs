//! What the hub writes down: SQLite in one file, by one thread, many events in one commit.
//!
//! An event is answered for when the transaction that holds it has been committed with `synchronous=FULL`
//! (sqlite.org/pragma.html): after SIGKILL, or a power cut, it is there. All that waits is committed at
//! once, so that a thousand events a second need a few dozen fsync(2) and not a thousand. The class is
//! what these tables fold to ([`super::class`]); nothing else is kept.

use crate::kernel::OrSys;
use crate::workshop::{Error, Event};
use rusqlite::{Connection, params};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS learner (id TEXT PRIMARY KEY, nick TEXT NOT NULL, joined INTEGER NOT NULL, browser INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS event (learner TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, received INTEGER NOT NULL,
        fact TEXT NOT NULL, PRIMARY KEY (learner, seq)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS act (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, act TEXT NOT NULL);
";
/// The most that goes into one commit.
const BATCH: usize = 1000;

type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
type Done = oneshot::Sender<Result<(), String>>;

/// The way to the thread that writes.
#[derive(Debug, Clone)]
pub struct Keep {
    jobs: mpsc::SyncSender<(Job, Done)>,
}

/// All that was kept, as it is read when the hub starts.
#[derive(Debug, Default)]
pub struct Kept {
    /// Id, nick, when they joined, whether by a browser.
    pub learners: Vec<(String, String, i64, bool)>,
    /// The instructor's acts: number, time, JSON.
    pub acts: Vec<(u64, i64, String)>,
    /// Learner's id, event, when it was received.
    pub events: Vec<(String, Event, i64)>,
}

impl Keep {
    /// Opens the database, makes its tables, reads what is there, and starts the thread.
    pub fn open(path: &Path) -> Result<(Self, Kept, Connection), Error> {
        let failed = |e: rusqlite::Error| Error::Database { path: path.to_owned(), reason: e.to_string() };
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        };
        let connection = open().map_err(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).or_sys_with(|| format!("close {} to others", path.display()))?;
        let kept = read(&connection).map_err(failed)?;
        let settings = open().map_err(failed)?;
        let (jobs, waiting) = mpsc::sync_channel(4 * BATCH);
        let which = inode(path);
        let path = path.to_owned();
        std::thread::Builder::new().name("keep".into()).spawn(move || write(connection, &path, which, &waiting)).or_sys("start a thread")?;
        Ok((Self { jobs }, kept, settings))
    }

    /// Has something written; it is there when this returns.
    pub async fn write(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let full = |_| "the hub has more to write than its disk takes".to_owned();
        self.jobs.try_send((Box::new(job), done)).map_err(full)?;
        answer.await.unwrap_or_else(|_| Err("the hub is ending".into()))
    }

    /// Writes events of a learner; those that are there already stay as they are.
    pub async fn events(&self, learner: String, events: Vec<(Event, i64)>) -> Result<(), String> {
        self.write(move |db| {
            let mut insert = db.prepare_cached("INSERT OR IGNORE INTO event (learner, seq, at, received, fact) VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (event, received) in &events {
                let fact = serde_json::to_string(&event.fact).unwrap_or_default();
                insert.execute(params![learner, event.seq.cast_signed(), event.at, received, fact])?;
            }
            Ok(())
        })
        .await
    }

    /// Writes a learner who joins.
    pub async fn learner(&self, id: String, nick: String, joined: i64, browser: bool) -> Result<(), String> {
        self.write(move |db| db.execute("INSERT OR IGNORE INTO learner VALUES (?1, ?2, ?3, ?4)", params![id, nick, joined, browser]).map(drop)).await
    }

    /// Writes an act of the instructor's under its number.
    pub async fn act(&self, id: u64, at: i64, act: String) -> Result<(), String> {
        self.write(move |db| db.execute("INSERT INTO act VALUES (?1, ?2, ?3)", params![id.cast_signed(), at, act]).map(drop)).await
    }
}

/// A setting, made at first use.
pub fn setting(db: &Connection, name: &str, fresh: impl FnOnce() -> std::io::Result<String>) -> Result<String, Error> {
    let failed = |e: rusqlite::Error| Error::Database { path: db.path().unwrap_or_default().into(), reason: e.to_string() };
    let read = || db.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get::<_, String>(0));
    match read() {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            let value = fresh().or_sys("read /dev/urandom")?;
            db.execute("INSERT INTO setting VALUES (?1, ?2)", [name, &value]).map_err(failed)?;
            Ok(value)
        }
        other => other.map_err(failed),
    }
}

/// The thread: takes what waits, writes it in one transaction, answers.
fn write(mut db: Connection, path: &Path, which: Option<(u64, u64)>, waiting: &mpsc::Receiver<(Job, Done)>) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH && let Ok(next) = waiting.try_recv() {
            batch.push(next);
        }
        let (jobs, answers): (Vec<Job>, Vec<Done>) = batch.into_iter().unzip();
        let written = commit(&mut db, path, which, jobs);
        for answer in answers {
            let _ = answer.send(written.clone());
        }
    }
}

fn commit(db: &mut Connection, path: &Path, which: Option<(u64, u64)>, jobs: Vec<Job>) -> Result<(), String> {
    // SQLite would go on writing into a file that has no name any more.
    if inode(path) != which {
        return Err(format!("{} was moved or removed: put it back, or end the hub and start it again", path.display()));
    }
    let all = |db: &mut Connection| {
        let transaction = db.transaction()?;
        jobs.into_iter().try_for_each(|job| job(&transaction))?;
        transaction.commit()
    };
    all(db).map_err(|e| e.to_string())
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// What is kept in a workshop's folder, whether a hub is running or not.
pub fn load(folder: &Path) -> Result<Kept, Error> {
    let path = file(folder);
    if !path.exists() {
        return Ok(Kept::default());
    }
    let opened = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE);
    opened.and_then(|db| read(&db)).map_err(|e| Error::Database { path, reason: e.to_string() })
}

fn read(db: &Connection) -> rusqlite::Result<Kept> {
    let mut kept = Kept::default();
    let mut select = db.prepare("SELECT id, nick, joined, browser FROM learner ORDER BY joined, id")?;
    for row in select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))? {
        kept.learners.push(row?);
    }
    let mut select = db.prepare("SELECT id, at, act FROM act ORDER BY id")?;
    for row in select.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?, row.get(2)?)))? {
        kept.acts.push(row?);
    }
    let mut select = db.prepare("SELECT learner, seq, at, received, fact FROM event ORDER BY learner, seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let fact: String = row.get(4)?;
        // A fact that this version does not know stays in the table, for one that does.
        if let Ok(fact) = serde_json::from_str(&fact) {
            kept.events.push((row.get(0)?, Event { seq: row.get::<_, i64>(1)?.cast_unsigned(), at: row.get(2)?, fact }, row.get(3)?));
        }
    }
    Ok(kept)
}

/// Where the database of a workshop's folder is.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("class.db")
}
