//! One layer on its way in: hashed and written as it comes, resumed where it breaks off.
//!
//! It is written once, to `images/.incoming/<hex>`, and renamed into the store when its image is
//! whole. What a killed process left there is taken up again: hashed from the disk, and the rest
//! asked for by Range (RFC 9110, 14). Two processes that want the same layer take turns by flock(2).
//!
//! The unpacker does not wait for the end: [`Coming`] lets it read the file while it grows. That is
//! safe, because what is unpacked becomes a layer only if its tar hashes to the diff ID.

use super::client::Client;
use super::http::Response;
use super::pull::{Progress, Step};
use super::Error;
use crate::image::layer::digest_of;
use crate::kernel::{OrSys, SysError};
use oci_spec::image::{Descriptor, Digest};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

/// How often a layer may break off without having come on.
const ATTEMPTS: u32 = 5;
/// As much must come between two breaks to count as coming on, in bytes.
const COMING_ON: u64 = 1 << 20;
/// One read, one hash, one write.
const PIECE: usize = 128 << 10;

/// A file that grows, its writer and its readers in one process.
#[derive(Debug)]
pub(super) struct Coming {
    pub layer: Descriptor,
    pub path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that can be read.
    there: u64,
    begun: bool,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The layer came into the store by another process.
    Stored,
    Broken,
}

impl Coming {
    pub(super) fn new(layer: &Descriptor, folder: &Path) -> Self {
        let path = folder.join(layer.digest().digest());
        Self { layer: layer.clone(), path, state: Mutex::default(), changed: Condvar::new() }
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if let Ok(mut state) = self.state.lock() {
            change(&mut state);
        }
        self.changed.notify_all();
    }

    /// No more will come: those who wait for it wake up.
    pub(super) fn break_off(&self) {
        self.update(|s| s.end = s.end.or(Some(End::Broken)));
    }

    /// Waits until it begins to come. False if it never will.
    pub(super) fn begins(&self) -> bool {
        self.wait(|state| state.begun)
    }

    /// Waits for its end; false if that is a bad one.
    pub(super) fn ends_well(&self) -> bool {
        self.wait(|_| false)
    }

    fn wait(&self, enough: impl Fn(&State) -> bool) -> bool {
        let Ok(mut state) = self.state.lock() else { return false };
        loop {
            if let Some(end) = state.end {
                return end != End::Broken;
            }
            if enough(&state) {
                return true;
            }
            let Ok(next) = self.changed.wait(state) else { return false };
            state = next;
        }
    }

    /// True if another process brought it.
    pub(super) fn is_stored(&self) -> bool {
        self.state.lock().is_ok_and(|s| s.end == Some(End::Stored))
    }

    /// Removes it if it is whole here, and no other process is taking it up.
    pub(super) fn discard(&self) {
        let whole = self.state.lock().is_ok_and(|s| s.end == Some(End::Whole) || s.there == self.layer.size());
        if let Some(file) = File::open(&self.path).ok().filter(|_| whole)
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Reads it from its beginning, waiting for what is still to come.
    pub(super) fn reader(&self) -> Result<Follow<'_>, Error> {
        let file = File::open(&self.path).or_sys_with(|| format!("open {}", self.path.display()))?;
        Ok(Follow { coming: self, file, at: 0 })
    }
}

/// A reader that runs after the writer.
pub(super) struct Follow<'a> {
    coming: &'a Coming,
    file: File,
    at: u64,
}

impl Read for Follow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let poisoned = || io::Error::other("the download ended badly");
        let mut state = self.coming.state.lock().map_err(|_| poisoned())?;
        while state.there <= self.at {
            match state.end {
                Some(End::Broken) => return Err(io::Error::other("the download broke off")),
                Some(_) => return Ok(0),
                None => state = self.coming.changed.wait(state).map_err(|_| poisoned())?,
            }
        }
        let most = usize::try_from(state.there - self.at).unwrap_or(usize::MAX).min(buffer.len());
        drop(state);
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// Fetches a layer into its file. Its end is told to those who read along, also if it is a bad one;
/// a bad one leaves no file.
pub(super) fn fetch(client: &Client, coming: &Coming, stored: &Path, stop: &AtomicBool, told: &(dyn Fn(Progress) + Sync)) -> Result<(), Error> {
    let fetched = Fetching::begin(coming, stored).and_then(|begun| match begun {
        None => Ok(End::Stored),
        Some(mut fetching) => {
            let done = fetching.all(client, stop, told);
            if done.is_err() {
                let _ = std::fs::remove_file(&coming.path);
            }
            done.map(|()| End::Whole)
        }
    });
    coming.update(|s| s.end = Some(*fetched.as_ref().unwrap_or(&End::Broken)));
    fetched.map(drop)
}

/// Removes what killed pulls left, and no living one has taken up.
pub(in crate::image) fn sweep(incoming: &Path) {
    for path in std::fs::read_dir(incoming).into_iter().flatten().flatten().map(|e| e.path()) {
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(&path);
        }
    }
    let _ = std::fs::remove_dir(incoming);
}

struct Fetching<'a> {
    coming: &'a Coming,
    file: File,
    hasher: Sha256,
    have: u64,
}

impl<'a> Fetching<'a> {
    /// Takes the file, and what an earlier process left in it; `None` if the layer came into the store
    /// while another process had it.
    fn begin(coming: &'a Coming, stored: &Path) -> Result<Option<Self>, Error> {
        let path = &coming.path;
        let file = loop {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(false).open(path).or_sys_with(|| format!("create {}", path.display()))?;
            file.lock().or_sys_with(|| format!("lock {}", path.display()))?;
            // Whoever had it before may have renamed or removed it.
            let own = file.metadata().or_sys_with(|| format!("read {}", path.display()))?;
            match std::fs::metadata(path) {
                Ok(now) if now.ino() == own.ino() => break file,
                _ => {}
            }
        };
        if stored.exists() {
            let _ = std::fs::remove_file(path);
            return Ok(None);
        }
        let mut fetching = Self { coming, file, hasher: Sha256::new(), have: 0 };
        fetching.take_up()?;
        Ok(Some(fetching))
    }

    /// Hashes what is there already.
    fn take_up(&mut self) -> Result<(), SysError> {
        let size = self.file.metadata().or_sys("read what has come")?.len();
        if size > self.coming.layer.size() {
            return self.start_over();
        }
        let mut buffer = vec![0; PIECE];
        while self.have < size {
            let n = self.file.read_at(&mut buffer, self.have).or_sys("read what has come")?;
            self.hasher.update(&buffer[..n]);
            self.have += n as u64;
        }
        let have = self.have;
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(have)).or_sys("write what comes")?;
        self.coming.update(|s| (s.there, s.begun) = (have, true));
        Ok(())
    }

    fn start_over(&mut self) -> Result<(), SysError> {
        self.file.set_len(0).or_sys("write what comes")?;
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(0)).or_sys("write what comes")?;
        (self.hasher, self.have) = (Sha256::new(), 0);
        Ok(())
    }

    /// Everything that is still to come.
    fn all(&mut self, client: &Client, stop: &AtomicBool, told: &(dyn Fn(Progress) + Sync)) -> Result<(), Error> {
        let (layer, size) = (&self.coming.layer, self.coming.layer.size());
        let short = layer.digest().digest()[..12].to_owned();
        let say = |step: Step| told(Progress::Layer { id: short.clone(), step });
        let mut attempt = 1;
        loop {
            let before = self.have;
            let problem = match self.some(client, stop, &say)? {
                None => break,
                Some(problem) => problem,
            };
            attempt = if self.have - before >= COMING_ON { 1 } else { attempt + 1 };
            if attempt > ATTEMPTS {
                return Err(Error::Cut { layer: short, got: self.have, size, problem });
            }
            let wait = client.http.wait(attempt - 1);
            say(Step::Retrying { after: wait, problem });
        }
        say(Step::Verifying);
        let found: Digest = digest_of(self.hasher.clone());
        if found != *layer.digest() {
            return Err(Error::content(format!("layer {short}"), format!("its bytes hash to {found}, not to {}", layer.digest())));
        }
        self.file.sync_all().or_sys_with(|| format!("write {}", self.coming.path.display()))?;
        say(Step::Downloaded);
        Ok(())
    }

    /// One request; gives what broke it off before the layer was whole.
    fn some(&mut self, client: &Client, stop: &AtomicBool, say: &dyn Fn(Step)) -> Result<Option<String>, Error> {
        let size = self.coming.layer.size();
        if self.have == size && size > 0 {
            return Ok(None);
        }
        let range = (self.have > 0).then(|| ("range", format!("bytes={}-", self.have)));
        let response = client.get(&format!("blobs/{}", self.coming.layer.digest()), range.into_iter().collect())?;
        // One that does not know ranges begins again: what is here already is passed over.
        let mut pass = match response.status().as_u16() {
            200 => self.have,
            206 => self.check_range(&response).map(|()| 0)?,
            _ => return Err(client.refusal(&format!("read layer {}", self.coming.layer.digest()), "pull", response)),
        };
        let announced = response.body().content_length();
        if let Some(length) = announced.filter(|n| *n != size - self.have + pass) {
            return Err(self.wrong(format!("the registry sends {length} bytes of it, and {} are left to come", size - self.have + pass)));
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; PIECE];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(self.wrong("another part of the image failed".into()));
            }
            let n = match body.read(&mut buffer) {
                Ok(0) if self.have == size => return Ok(None),
                Ok(0) => return Ok(Some("the connection was closed".into())),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Ok(Some(client.http.io_in_words(&e))),
            };
            let skipped = usize::try_from(pass).unwrap_or(usize::MAX).min(n);
            pass -= skipped as u64;
            self.take(&buffer[skipped..n])?;
            say(Step::Downloading { done: self.have, total: size });
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.have + bytes.len() as u64 > self.coming.layer.size() {
            return Err(self.wrong(format!("it is longer than the {} bytes that its manifest says", self.coming.layer.size())));
        }
        self.file.write_all(bytes).or_sys_with(|| format!("write {}", self.coming.path.display()))?;
        self.have += bytes.len() as u64;
        let have = self.have;
        // Those who read along may begin before it is hashed here: they do not take it on trust.
        self.coming.update(|s| s.there = have);
        self.hasher.update(bytes);
        Ok(())
    }

    fn check_range(&self, response: &Response) -> Result<(), Error> {
        let header = response.headers().get("content-range").and_then(|h| h.to_str().ok()).unwrap_or_default();
        let start = header.strip_prefix("bytes ").and_then(|r| r.split('-').next()?.trim().parse::<u64>().ok());
        if start == Some(self.have) {
            return Ok(());
        }
        Err(self.wrong(format!("asked for the bytes from {}, the registry answers {header:?}", self.have)))
    }

    fn wrong(&self, problem: String) -> Error {
        Error::content(format!("layer {}", &self.coming.layer.digest().digest()[..12]), problem)
    }
}
