//! `drydock lab`: begin one or join it, run, copy, status, stop, fetch; and what runs inside.

use super::{Outcome, boxed};
use crate::kernel::{Explain, OrSys, session};
use crate::lab::guest::{self, Role};
use crate::lab::qemu::Acceleration;
use crate::lab::share::Share;
use crate::lab::wire::{Status, What};
use crate::lab::{self, Error, Keep, Place, Said, client};
use crate::course::{Content, Course};
use crate::learn::{Home, Progress, merge, progress};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

// Options of `drydock lab`.
#[derive(Debug, Args)]
pub struct Lab {
    #[command(flatten)]
    machine: Machine,
    #[command(subcommand)]
    what: Option<LabCommand>,
}

/// What the machine is to be; only the terminal that begins it decides.
#[derive(Debug, Clone, Args)]
struct Machine {
    /// Memory of the lab, in MiB
    #[arg(long, global = true, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=1 << 20))]
    memory: u32,
    /// Boot this kernel instead of this machine's or a fetched one
    #[arg(long, global = true, value_name = "VMLINUZ")]
    kernel: Option<PathBuf>,
    /// Use this only, instead of trying KVM first
    #[arg(long, global = true, value_name = "WAY")]
    accel: Option<Accel>,
    /// Let the lab see this folder as /host/0, /host/1 …: read-only, or DIR:rw
    #[arg(long, global = true, value_name = "DIR")]
    share: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Accel {
    Kvm,
    Tcg,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum LabCommand {
    /// Run one command in the lab; its output and its exit code are passed on
    Run {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Open one more terminal in the lab that is running
    Attach,
    /// Begin the lab and leave it running until `drydock lab stop`
    Start,
    /// Say whether a lab is running, and what it takes
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End the lab; what was done in it is kept
    Stop,
    /// Copy a file or folder into the lab (lab:PATH) or out of it
    Cp {
        /// What is copied
        from: String,
        /// The folder that it goes to
        to: String,
    },
    /// Fetch a kernel ahead, without installing it
    Fetch,
    /// Show all that the lab's kernel said
    Console,
    /// Throw away what was done in the lab
    Forget {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// The process that stays with the lab
    #[command(hide = true)]
    Keep {
        /// Stay when the last terminal has gone
        #[arg(long)]
        stay: bool,
    },
}

impl Lab {
    /// True where bytes are passed on: then a closed pipe is an error to be handled, and no signal.
    pub fn joins_streams(&self) -> bool {
        use LabCommand::{Attach, Cp, Keep, Run};
        matches!(self.what, None | Some(Run { .. } | Attach | Cp { .. } | Keep { .. }))
    }
}

/// A line beside what a session prints; a standard error that is gone is no reason to end one.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `drydock lab …`.
pub fn run(args: Lab) -> Outcome {
    if std::env::var_os("DRYDOCK_LAB").is_some() {
        return Err(Box::new(Error::Told {
            problem: "this is the lab already".into(),
            why: Some("a VM in this VM would be emulated twice over".into()),
            try_this: Some("drydock goes on with the course here; exit leaves the lab".into()),
        }));
    }
    let home = Home::find().map_err(boxed)?;
    if home.folder.to_str().is_none() {
        return Err(Box::new(Error::Told {
            problem: format!("{} cannot be the lab's folder", home.folder.display()),
            why: Some("its name is not UTF-8, and QEMU takes no other".into()),
            try_this: Some("name another: DRYDOCK_HOME=/tmp/drydock drydock lab".into()),
        }));
    }
    let place = Place::below(&home.folder);
    let machine = &args.machine;
    match args.what {
        None => shell(&home, &place, machine),
        Some(LabCommand::Run { command }) => session_of(&home, &place, machine, What::Run(command)),
        Some(LabCommand::Attach) => {
            let stream = place.connect().ok_or(Error::NotRunning).map_err(boxed)?;
            code(client::attach(stream, &client::request(What::Shell)))
        }
        Some(LabCommand::Start) => begin(&home, &place, machine, true).map(|()| 0),
        Some(LabCommand::Status { json }) => status(&place, json),
        Some(LabCommand::Stop) => stop(&place),
        Some(LabCommand::Cp { from, to }) => copy(&home, &place, machine, &from, &to),
        Some(LabCommand::Fetch) => {
            let release = lab::fetch::fetch(&place, &mut note).map_err(boxed)?;
            println!("The kernel {release} is there.");
            Ok(0)
        }
        Some(LabCommand::Console) => {
            let text = std::fs::read(place.console()).or_sys_with(|| format!("read {}", place.console().display())).map_err(boxed)?;
            std::io::stdout().write_all(&text).or_sys("write what the kernel said").map_err(boxed)?;
            Ok(0)
        }
        Some(LabCommand::Forget { yes }) => forget(&place, yes),
        Some(LabCommand::Keep { stay }) => keep(&home, place, machine, stay),
    }
}

fn code(result: Result<i32, Error>) -> Outcome {
    result.map(|c| u8::try_from(c).unwrap_or(255)).map_err(boxed)
}

fn shell(home: &Home, place: &Place, machine: &Machine) -> Outcome {
    let result = session_of(home, place, machine, What::Shell);
    if result.is_ok() && client::status(place).is_none() {
        note(how_it_ended(place));
    }
    result
}

/// A session, in a lab that is begun for it where none runs.
fn session_of(home: &Home, place: &Place, machine: &Machine, what: What) -> Outcome {
    let stream = connected(home, place, machine)?;
    code(client::attach(stream, &client::request(what)))
}

fn connected(home: &Home, place: &Place, machine: &Machine) -> Result<std::os::unix::net::UnixStream, Box<dyn Explain>> {
    if let Some(stream) = place.connect() {
        if !machine.share.is_empty() {
            return Err(boxed(Error::Told {
                problem: "the lab is running already, without that share".into(),
                why: Some("what it sees of this machine is settled when it begins".into()),
                try_this: Some("drydock lab stop, then again".into()),
            }));
        }
        return Ok(stream);
    }
    begin(home, place, machine, false)?;
    place.connect().ok_or(Error::Ended).map_err(boxed)
}

/// What the keeper tells whoever began it, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Note(String),
    Up(Status),
    /// Another keeper has the place.
    Busy,
    Error { problem: String, why: Option<String>, try_this: Option<String> },
}

/// Starts a keeper, and returns when the lab is up.
fn begin(home: &Home, place: &Place, machine: &Machine, stay: bool) -> Result<(), Box<dyn Explain>> {
    // Made the learner's, also under sudo; then closed to others.
    home.make(place.folder()).map_err(boxed)?;
    home.make(&place.run()).map_err(boxed)?;
    place.make().map_err(boxed)?;
    if !home.folder.join("progress.json").exists() {
        // Both desks draw from one record's seed.
        Progress::open(home.clone()).and_then(|fresh| fresh.save()).map_err(boxed)?;
    }
    loop {
        // Of one that runs, a lab that is to stay needs its word; it may be about to end.
        if if stay { client::stay(place).is_some() } else { place.connect().is_some() } {
            return Ok(());
        }
        let mut keeper = start_keeper(home, machine, stay)?;
        let Some(lines) = keeper.stdout.take() else { return Err(boxed(Error::Ended)) };
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Told::Note(line)) => note(&line),
                Ok(Told::Up(status)) => {
                    note(&up(&status));
                    return Ok(());
                }
                Ok(Told::Busy) => break,
                Ok(Told::Error { problem, why, try_this }) => return Err(boxed(Error::Told { problem, why, try_this })),
                Err(_) => {}
            }
        }
        let ended = keeper.wait().or_sys("wait for the lab's keeper").map_err(boxed)?;
        if !ended.success() {
            return Err(boxed(Error::Keeper { problem: format!("the lab's keeper ended ({ended})") }));
        }
        wait_for_another(place).map_err(boxed)?;
    }
}

/// Another terminal is beginning or ending it at this moment: waits until it is up, or is nobody's.
fn wait_for_another(place: &Place) -> Result<(), Error> {
    note("another terminal is beginning or ending the lab; waiting for it");
    while place.connect().is_none() && place.lock()?.is_none() {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn start_keeper(home: &Home, machine: &Machine, stay: bool) -> Result<std::process::Child, Box<dyn Explain>> {
    let own = std::env::current_exe().or_sys("find this program's own file").map_err(boxed)?;
    let mut command = Command::new(own);
    command.args(["lab", "keep", "--memory", &machine.memory.to_string()]);
    if let Some(kernel) = &machine.kernel {
        command.arg("--kernel").arg(std::path::absolute(kernel).unwrap_or_else(|_| kernel.clone()));
    }
    if let Some(accel) = machine.accel {
        command.args(["--accel", acceleration(accel).name()]);
    }
    command.args(machine.share.iter().map(|s| format!("--share={}", std::path::absolute(s).map_or_else(|_| s.clone(), |p| p.display().to_string()))));
    if stay {
        command.arg("--stay");
    }
    // It keeps nobody's folder busy; and under sudo it is the learner's, since nothing in it needs root.
    command.current_dir("/").env("DRYDOCK_HOME", &home.folder);
    if let Some((uid, gid)) = home.owner() {
        command.uid(uid).gid(gid).env_remove("SUDO_UID").env_remove("SUDO_GID");
    }
    session::detached(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    command.spawn().or_sys("start the lab's keeper").map_err(boxed)
}

fn acceleration(accel: Accel) -> Acceleration {
    match accel {
        Accel::Kvm => Acceleration::Kvm,
        Accel::Tcg => Acceleration::Tcg,
    }
}

fn up(status: &Status) -> String {
    let how = if status.acceleration == "kvm" { "KVM" } else { "software emulation" };
    let seconds = status.boot as f64 / 1000.0;
    format!("The lab is up: kernel {}, {seconds:.1} s, {} MiB of memory, {how}.", status.guest.kernel, status.memory)
}

/// The keeper's own process.
fn keep(home: &Home, place: Place, machine: &Machine, stay: bool) -> Outcome {
    let tell = |told: &Told| {
        let mut to = std::io::stdout().lock();
        writeln!(to, "{}", serde_json::to_string(told).unwrap_or_default()).and_then(|()| to.flush()).is_ok()
    };
    let result = (|| {
        place.make()?;
        let Some(_lock) = place.lock()? else {
            tell(&Told::Busy);
            return Ok(());
        };
        let shares = machine.share.iter().enumerate().map(|(n, s)| Share::parse(s, n)).collect::<Result<Vec<_>, Error>>()?;
        let progress = std::fs::read(home.folder.join("progress.json")).unwrap_or_default();
        let acceleration = machine.accel.map(acceleration);
        let keep = Keep { place, kernel: machine.kernel.clone(), memory: machine.memory, acceleration, shares, stay, progress };
        let said = &mut |said| match said {
            Said::Note(note) => tell(&Told::Note(note)),
            Said::Up(status) => tell(&Told::Up(status)),
        };
        let taking = Taking::begin(home);
        let kept = lab::keeper::keep(&keep, said, &mut |bytes| taking.hear(bytes));
        taking.end();
        kept
    })();
    if let Err(error) = result {
        tell(&Told::Error { problem: error.to_string(), why: error.why(), try_this: error.hint() });
    }
    Ok(0)
}

/// Takes progress over in a thread: a quiz that waits for its learner holds the record meanwhile.
struct Taking {
    heard: mpsc::Sender<Vec<u8>>,
    done: mpsc::Receiver<()>,
}

impl Taking {
    fn begin(home: &Home) -> Self {
        let ((heard, hearing), (finish, done)) = (mpsc::channel::<Vec<u8>>(), mpsc::channel());
        let home = home.clone();
        std::thread::spawn(move || {
            while let Ok(first) = hearing.recv() {
                // The latest says it all.
                take(&home, &hearing.try_iter().last().unwrap_or(first), false);
            }
            let _ = finish.send(());
        });
        Self { heard, done }
    }

    fn hear(&self, bytes: &[u8]) {
        let _ = self.heard.send(bytes.to_vec());
    }

    fn end(self) {
        drop(self.heard);
        let _ = self.done.recv_timeout(Duration::from_secs(5));
    }
}

/// Takes over what the other side knows of the learner. What cannot be read is left alone, on either
/// side: whoever opens the course next is told of it there.
fn take(home: &Home, bytes: &[u8], of_host: bool) {
    let Ok(course) = Course::load(Content::Embedded) else { return };
    let Some(other) = std::str::from_utf8(bytes).ok().and_then(|text| progress::parse(text).ok()) else { return };
    let other = merge::sane(other, &course);
    let file = home.folder.join("progress.json");
    if std::fs::read_to_string(file).is_ok_and(|own| progress::parse(&own).is_err()) {
        return;
    }
    let Ok(mut progress) = Progress::open(home.clone()) else { return };
    let before = progress.record.clone();
    if of_host {
        // Values are drawn from it: they are the learner's, at both desks.
        progress.record.seed.clone_from(&other.seed);
    }
    let begin = merge::take_over(&mut progress.record, other);
    if let Some(id) = begin {
        let _ = progress.begin(&id);
    } else if of_host || progress.record != before {
        // The lab saves in any case: it is heard then, also of what a killed keeper never got.
        let _ = progress.save();
    }
}

fn status(place: &Place, json: bool) -> Outcome {
    let Some(status) = client::status(place) else {
        if json { println!("null") } else { println!("No lab is running. `drydock lab` begins one.") }
        return Ok(1);
    };
    if json {
        println!("{}", serde_json::to_string(&status).unwrap_or_default());
        return Ok(0);
    }
    println!("{}", up(&status));
    println!("  up        {}", humantime::format_duration(Duration::from_secs(status.up)));
    println!("  terminals {}", status.sessions);
    println!("  disk      {} MiB, {}", lab::disk_taken(place) >> 20, place.disk().display());
    println!("  processes keeper {}, QEMU {}", status.keeper, status.qemu);
    Ok(0)
}

fn how_it_ended(place: &Place) -> &'static str {
    if place.was_cut_off() {
        return "The lab did not answer and was switched off. What it had not yet written to its disk is lost.";
    }
    "The lab has ended. What was done in it is kept; `drydock lab` goes on there."
}

fn stop(place: &Place) -> Outcome {
    if ended(place).map_err(boxed)? {
        println!("{}", how_it_ended(place));
        return Ok(0);
    }
    Err(boxed(Error::NotRunning))
}

/// Ends the lab and waits until it has, also one that is just beginning or ending; false where none was.
fn ended(place: &Place) -> Result<bool, Error> {
    if !place.run().exists() {
        return Ok(false);
    }
    let mut was = false;
    loop {
        was |= client::stop(place);
        if place.lock()?.is_some() {
            return Ok(was);
        }
        was = true;
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn forget(place: &Place, yes: bool) -> Outcome {
    if !place.disk().exists() {
        println!("There is nothing to forget: no lab has kept anything.");
        return Ok(0);
    }
    if !yes && !confirmed(place)? {
        return Ok(1);
    }
    ended(place).map_err(boxed)?;
    let Some(_lock) = place.lock().map_err(boxed)? else {
        return Err(boxed(Error::Keeper { problem: "the lab is just being begun".into() }));
    };
    match std::fs::remove_file(place.disk()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).or_sys("remove the lab's disk").map_err(boxed)?,
        _ => println!("What was done in the lab is gone; your progress in the course is not."),
    }
    Ok(0)
}

/// Says what will go, and asks.
fn confirmed(place: &Place) -> Result<bool, Box<dyn Explain>> {
    if !std::io::stdin().is_terminal() {
        return Err(boxed(Error::Told {
            problem: "nothing was thrown away: there is no terminal to ask at".into(),
            why: Some(format!("{} holds all that was done in the lab", place.disk().display())),
            try_this: Some("drydock lab forget --yes".into()),
        }));
    }
    Ok(crate::cli::out::agreed(&format!("This throws away all that was done in the lab ({} MiB). Go on?", lab::disk_taken(place) >> 20)))
}

fn copy(home: &Home, place: &Place, machine: &Machine, from: &str, to: &str) -> Outcome {
    let inside = |path: &str| path.strip_prefix("lab:").map(str::to_owned);
    match (inside(from), inside(to)) {
        (None, Some(to)) => {
            code(lab::copy::into_lab(connected(home, place, machine)?, Path::new(from), &to))
        }
        (Some(from), None) => {
            code(lab::copy::out_of_lab(connected(home, place, machine)?, &from, Path::new(to)))
        }
        _ => Err(boxed(Error::WhichSide)),
    }
}

/// What a program of the guest's kernel does.
pub fn inside(role: Role) -> ExitCode {
    match role {
        Role::Init => guest::init::init(agent),
        Role::Modprobe => ExitCode::from(guest::modprobe::main()),
        Role::Skiff => crate::cli::skiff::everything(),
    }
}

fn agent() -> Result<(), crate::kernel::SysError> {
    let home = Home::find().map_err(|e| crate::kernel::SysError::new(e.to_string(), nix::errno::Errno::ENOENT))?;
    let hooks = guest::agent::Hooks {
        progress: home.folder.join("progress.json"),
        take: |bytes| {
            if let Ok(home) = Home::find() {
                take(&home, bytes, true);
            }
        },
    };
    guest::agent::agent(&hooks)
}
