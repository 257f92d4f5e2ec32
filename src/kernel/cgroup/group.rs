//! One cgroup, in every hierarchy where it has a directory (cgroups(7)).
//!
//! Mechanism: mkdir(2), write(2) into the directory's files, `0` into `cgroup.procs` to move
//! oneself, poll(2) on `cgroup.events`, rmdir(2).
//! See it live: `cat /proc/PID/cgroup`; `cat /sys/fs/cgroup/skiff/ID/cgroup.procs`.
//! Contract: names are relative, such as `skiff/web`; a cgroup outlives its handle, so whoever
//! creates one removes it, also after a crash, by opening it again under its name.
//! Left out: moving single threads, and handing a cgroup over to the processes in it.

use super::path::make_path;
use super::layout::{Controller, Hierarchy, Layout};
use super::limit::{self, Event, Limit, Limits, Value, Write};
use super::Error;
use crate::kernel::error::errno_of;
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A cgroup's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seat {
    at: PathBuf,
    base: PathBuf,
    controllers: BTreeSet<Controller>,
    v1: bool,
}

/// One cgroup by name, with its directory in each hierarchy that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    name: String,
    seats: Vec<Seat>,
}

impl Cgroup {
    /// Makes the cgroup `name` where `limits` need it, and wherever it helps to count and to kill.
    /// One that exists already is taken as it is.
    ///
    /// # Errors
    /// [`Error::NoController`] when a limit cannot be enforced here, [`Error::NotDelegated`] for a
    /// user without a part of the tree, [`Error::InternalProcesses`] for v2's rule of that name.
    pub fn create(layout: &Layout, name: &str, limits: &Limits) -> Result<Self, Error> {
        Self::create_with(layout, name, limits, &BTreeSet::new(), false)
    }

    /// The same, where further controllers are needed, or a directory in each hierarchy: who looks after a
    /// container that is not ours reads what it uses in all of them.
    pub fn create_with(layout: &Layout, name: &str, limits: &Limits, further: &BTreeSet<Controller>, everywhere: bool) -> Result<Self, Error> {
        check_name(name)?;
        let mut needed = limits.controllers();
        needed.extend(further);
        for write in limit::writes(limits, |c| layout.is_v1(c)) {
            let controller = write.limit.controller();
            if layout.hierarchy(controller).is_none() {
                let at = layout.unified.as_ref().map_or("/proc/cgroups".into(), |h| h.mount.display().to_string());
                return Err(Error::NoController { what: write.limit.words(), controller, at });
            }
        }
        let mut group = Self { name: name.to_string(), seats: Vec::new() };
        // A hybrid host's v2 tree controls nothing, and joining it is what takes long (see `join`).
        let trees = if layout.v1.is_empty() { layout.unified.as_slice() } else { &layout.v1 };
        for hierarchy in trees {
            let of_use = everywhere || hierarchy.controllers.iter().any(|c| needed.contains(c) || WISHED_V1.contains(c));
            if let Err(error) = if of_use || !hierarchy.v1 { group.seat(hierarchy, &needed) } else { Ok(()) } {
                // Nothing is left of a cgroup that could not be made whole.
                group.remove()?;
                return Err(error);
            }
        }
        Ok(group)
    }

    /// The cgroup `name`, wherever it exists; `None` if it exists nowhere.
    pub fn open(layout: &Layout, name: &str) -> Result<Option<Self>, Error> {
        Self::open_in(layout, name, |_| true)
    }

    /// The same, with its directories in some hierarchies alone: v1 has a dozen, and a list of a
    /// hundred containers looks at one of them.
    pub fn open_in(layout: &Layout, name: &str, wanted: impl Fn(&Hierarchy) -> bool) -> Result<Option<Self>, Error> {
        check_name(name)?;
        let mut seats = Vec::new();
        for hierarchy in layout.v1.iter().chain(&layout.unified).filter(|h| wanted(h)) {
            let Ok(base) = hierarchy.base() else { continue };
            let at = base.join(name);
            if at.is_dir() {
                seats.push(Seat { at, base, controllers: hierarchy.controllers.clone(), v1: hierarchy.v1 });
            }
        }
        Ok((!seats.is_empty()).then(|| Self { name: name.to_string(), seats }))
    }

    /// The names of the cgroups directly below `parent`, in any hierarchy.
    pub fn children(layout: &Layout, parent: &str) -> Result<BTreeSet<String>, Error> {
        check_name(parent)?;
        let hierarchies = layout.v1.iter().chain(&layout.unified);
        let bases = hierarchies.filter_map(|h| h.base().ok());
        let entries = bases.flat_map(|base| fs::read_dir(base.join(parent)).into_iter().flatten().flatten());
        let directories = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        Ok(directories.filter_map(|e| e.file_name().into_string().ok()).collect())
    }

    /// Its name below each base.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory in a controller's hierarchy.
    pub fn directory(&self, controller: Controller) -> Option<&Path> {
        self.seat_of(controller).map(|s| s.at.as_path())
    }

    /// Its directory in the v2 tree, alone or beside v1.
    pub fn unified(&self) -> Option<&Path> {
        self.seats.iter().find(|s| !s.v1).map(|s| s.at.as_path())
    }

    /// Every directory it has.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.seats.iter().map(|s| s.at.as_path())
    }

    /// True where a controller is governed by v1 files in it.
    pub fn has_v1(&self, controller: Controller) -> bool {
        self.seat_of(controller).is_some_and(|s| s.v1)
    }

    /// True where it has directories of v1: its v2 directory, if it has one, controls nothing then.
    pub fn is_hybrid(&self) -> bool {
        self.seats.iter().any(|s| s.v1)
    }

    fn seat_of(&self, controller: Controller) -> Option<&Seat> {
        self.seats.iter().find(|s| s.controllers.contains(&controller))
    }

    fn is_v1(&self, controller: Controller) -> bool {
        self.seat_of(controller).is_none_or(|s| s.v1)
    }

    /// Makes the directory in one hierarchy, and whatever its controllers need above it.
    fn seat(&mut self, hierarchy: &Hierarchy, needed: &BTreeSet<Controller>) -> Result<(), Error> {
        let base = hierarchy.base()?;
        let at = base.join(&self.name);
        // Another process may remove the shared parent, empty for a moment, between two mkdirs.
        for last in [false, false, true] {
            match make_path(hierarchy, &base, Path::new(&self.name), needed) {
                Err(Error::Sys(error)) if error.errno == Errno::ENOENT && !last => continue,
                done => {
                    done?;
                    break;
                }
            }
        }
        self.seats.push(Seat { at, base, controllers: hierarchy.controllers.clone(), v1: hierarchy.v1 });
        Ok(())
    }

    /// Writes the limits, in an order that the kernel accepts whether they rise or fall.
    pub fn limit(&self, limits: &Limits) -> Result<(), Error> {
        let mut writes = limit::writes(limits, |c| self.is_v1(c));
        if self.raises_memory(limits) {
            writes.sort_by_key(|w| w.limit != Limit::MemorySwap);
        }
        writes.iter().try_for_each(|write| self.write(write))
    }

    /// v1 refuses a memory limit above memory and swap together: true if that would happen.
    fn raises_memory(&self, limits: &Limits) -> bool {
        if !self.is_v1(Controller::Memory) || limits.memory_swap.is_none() {
            return false;
        }
        let together = self.read(Limit::MemorySwap);
        match (limits.memory, together) {
            (Some(wanted), Some(Value::Amount(together))) => wanted > together,
            _ => false,
        }
    }

    fn write(&self, write: &Write) -> Result<(), Error> {
        let controller = write.limit.controller();
        let absent = |at: &str| Error::NoController { what: write.limit.words(), controller, at: at.to_string() };
        let seat = self.seat_of(controller).ok_or_else(|| absent(&self.name))?;
        let path = seat.at.join(write.file);
        match write_file(&path, &write.text) {
            Err(error) if error.errno == Errno::ENOENT => Err(match write.limit {
                Limit::MemorySwap if seat.at.join(Limit::Memory.file_name(seat.v1)).exists() => Error::NoSwapAccounting,
                _ => absent(&seat.at.display().to_string()),
            }),
            done => Ok(done?),
        }
    }

    /// What a limit is set to; `None` where its controller has no directory here.
    pub fn read(&self, limit: Limit) -> Option<Value> {
        let seat = self.seat_of(limit.controller())?;
        let beside = |file: &str| fs::read_to_string(seat.at.join(file)).ok();
        limit::read_back(limit, seat.v1, &beside(limit.file_name(seat.v1))?, beside)
    }

    /// How often the kernel counted `event` in this cgroup.
    pub fn count(&self, event: Event) -> Option<u64> {
        let (controller, ..) = event.place(false);
        let seat = self.seat_of(controller)?;
        let (_, file, key) = event.place(seat.v1);
        limit::keyed(&fs::read_to_string(seat.at.join(file)).ok()?, key)
    }

    /// Moves the calling process in. What it starts later is born inside.
    ///
    /// To move a process the kernel stops all forks of the machine for a moment, and waits some
    /// 10 ms until every CPU has noticed. A thread that moves itself is spared that: v1 lets it, in
    /// `tasks`, and for a process of one thread that is all of it.
    pub fn join(&self) -> Result<(), Error> {
        let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
        self.add("0", if alone { "tasks" } else { "cgroup.procs" })
    }

    /// Moves another process in, by its pid as this process sees it.
    pub fn add_process(&self, pid: Pid) -> Result<(), Error> {
        self.add(&pid.to_string(), "cgroup.procs")
    }

    fn add(&self, pid: &str, v1_file: &str) -> Result<(), Error> {
        for seat in &self.seats {
            let file = if seat.v1 { v1_file } else { "cgroup.procs" };
            match write_file(&seat.at.join(file), pid) {
                Err(error) if error.errno == Errno::EBUSY => return Err(Error::InternalProcesses(seat.at.clone())),
                done => done?,
            }
        }
        Ok(())
    }

    /// The processes in it and below it, from every hierarchy.
    pub fn processes(&self) -> BTreeSet<Pid> {
        let mut all = BTreeSet::new();
        for seat in &self.seats {
            walk(&seat.at, &mut |directory| {
                let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
                all.extend(text.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid > 0).map(Pid::from_raw));
            });
        }
        all
    }

    /// Were all its directories there this long ago? The kernel keeps no date of birth: what counts is
    /// when a directory was first looked at, or last changed, whichever it remembers.
    pub fn is_older_than(&self, age: Duration) -> bool {
        let changed = |at: &Path| fs::metadata(at).and_then(|m| m.modified()).ok();
        self.directories().filter_map(changed).all(|then| then.elapsed().is_ok_and(|past| past >= age))
    }

    /// Kills every process in it and below it, those included that are forked meanwhile.
    pub fn kill(&self) -> Result<(), Error> {
        let at_once = self.unified().is_some_and(|at| write_file(&at.join("cgroup.kill"), "1").is_ok());
        // v1, a kernel before 5.14, or processes that sit in only some of the hierarchies: hold them
        // still so that no fork escapes, and signal one by one. SIGKILL also ends a frozen v2 task;
        // a frozen v1 task only once it is thawed.
        let rest = self.processes();
        if at_once && rest.is_empty() {
            return Ok(());
        }
        let frozen = !at_once && self.freeze(true).is_ok();
        for pid in self.processes() {
            match kill(pid, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(SysError::new(format!("kill process {pid}"), errno).into()),
            }
        }
        if frozen { self.freeze(false) } else { Ok(()) }
    }

    /// Stops every process in it where it stands, or lets them go on; returns once that is so.
    pub fn freeze(&self, still: bool) -> Result<(), Error> {
        if let Some(at) = self.unified().filter(|at| at.join("cgroup.freeze").exists()) {
            write_file(&at.join("cgroup.freeze"), if still { "1" } else { "0" })?;
            return self.await_event("frozen", still.into(), Duration::from_secs(5)).map(drop);
        }
        let Some(at) = self.directory(Controller::Freezer) else {
            let (what, controller) = ("what runs", Controller::Freezer);
            return Err(Error::NoController { what, controller, at: self.name.clone() });
        };
        let state = at.join("freezer.state");
        let wanted = if still { "FROZEN" } else { "THAWED" };
        write_file(&state, wanted)?;
        // v1 has no event for it; FREEZING lasts until every task has reached a safe place, and each
        // read looks again.
        let end = Instant::now() + Duration::from_secs(5);
        while fs::read_to_string(&state).or_sys_with(|| format!("read {}", state.display()))?.trim() != wanted {
            if Instant::now() > end {
                return Err(SysError::new(format!("freeze {}", at.display()), Errno::ETIMEDOUT).into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Was it frozen? On v2 what was asked for; on v1 also while it is on its way.
    pub fn is_frozen(&self) -> bool {
        if let Some(at) = self.unified().filter(|at| at.join("cgroup.freeze").exists()) {
            return fs::read_to_string(at.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1");
        }
        let state = self.directory(Controller::Freezer).map(|at| fs::read_to_string(at.join("freezer.state")));
        matches!(state, Some(Ok(text)) if text.trim() != "THAWED")
    }

    /// Waits until no process is left in it; false if `limit` passed first.
    pub fn wait_empty(&self, limit: Duration) -> Result<bool, Error> {
        let end = Instant::now() + limit;
        if self.unified().is_some() && !self.await_event("populated", 0, limit)? {
            return Ok(false);
        }
        // Members of v1 hierarchies only: wait for each of them to exit.
        while let Some(pid) = self.processes().first() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !exited_within(*pid, left) {
                return Ok(self.processes().is_empty());
            }
        }
        Ok(true)
    }

    /// Waits until `key` of `cgroup.events` is `value`; the kernel raises POLLPRI at each change.
    fn await_event(&self, key: &str, value: u64, limit: Duration) -> Result<bool, Error> {
        let Some(path) = self.unified().map(|at| at.join("cgroup.events")) else { return Ok(true) };
        let what = || format!("wait on {}", path.display());
        let end = Instant::now() + limit;
        let file = File::open(&path).or_sys_with(what)?;
        loop {
            let text = read_again(&file).or_sys_with(what)?;
            if limit::keyed(&text, key) == Some(value) {
                return Ok(true);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(SysError::new(what(), errno).into()),
            }
        }
    }

    /// Kills what is in it, waits, and removes it: all that a container leaves of its cgroup.
    pub fn destroy(&self) -> Result<(), Error> {
        self.clear()?;
        self.remove()
    }

    /// Kills what is in it, and waits until nothing is.
    pub fn clear(&self) -> Result<(), Error> {
        let empty = self.processes().is_empty() || {
            self.kill()?;
            self.wait_empty(Duration::from_secs(10))?
        };
        if empty { Ok(()) } else { Err(Error::StillPopulated { name: self.name.clone(), left: self.processes().len() }) }
    }

    /// Removes its directories, those that its processes made below it, and the parents in its name
    /// that are empty then. One that is gone already is no error.
    pub fn remove(&self) -> Result<(), Error> {
        self.remove_alone()?;
        for seat in &self.seats {
            let parents = seat.at.ancestors().skip(1).take_while(|d| d.starts_with(&seat.base) && *d != seat.base);
            // The first that is not empty is shared with a cgroup that lives on.
            let _ = parents.map(fs::remove_dir).take_while(Result::is_ok).count();
        }
        Ok(())
    }

    /// The same, but leaves the parents, which are somebody else's.
    pub fn remove_alone(&self) -> Result<(), Error> {
        for seat in &self.seats {
            let mut below = Vec::new();
            walk(&seat.at, &mut |directory| below.push(directory.to_path_buf()));
            for directory in below.iter().rev() {
                self.remove_directory(directory)?;
            }
        }
        Ok(())
    }

    /// rmdir, which is refused for a moment after the last process was seen to end.
    fn remove_directory(&self, directory: &Path) -> Result<(), Error> {
        let end = Instant::now() + Duration::from_secs(2);
        let mut pause = Duration::from_micros(50);
        loop {
            match fs::remove_dir(directory).map_err(|e| errno_of(&e)) {
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                Err(Errno::EBUSY) if Instant::now() < end && self.processes().is_empty() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Err(Errno::EBUSY) => return Err(Error::StillPopulated { name: self.name.clone(), left: self.processes().len() }),
                Err(errno) => return Err(SysError::new(format!("remove {}", directory.display()), errno).into()),
            }
        }
    }
}

/// The v1 controllers that are used without being asked for: to see and bound what runs.
const WISHED_V1: [Controller; 5] =
    [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Devices, Controller::Freezer];

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\n']);
    if name.split('/').all(plain) { Ok(()) } else { Err(Error::Name(name.to_string())) }
}

/// Calls `visit` for a directory and all directories below, parents first.
fn walk(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    visit(directory);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
}

/// Writes into a file that the kernel made; never creates one.
pub fn write_file(path: &Path, text: &str) -> Result<(), SysError> {
    let what = || format!("write {text} to {}", path.display());
    let mut file = OpenOptions::new().write(true).open(path).or_sys_with(what)?;
    file.write_all(text.as_bytes()).or_sys_with(what)
}

/// Reads an open file from its start.
fn read_again(file: &File) -> std::io::Result<String> {
    use std::os::unix::fs::FileExt;
    let mut buffer = [0u8; 512];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Waits for a process that need not be a child; true once it is gone.
fn exited_within(pid: Pid, limit: Duration) -> bool {
    let Ok(process) = Pidfd::open(pid.as_raw()) else { return true };
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
}
