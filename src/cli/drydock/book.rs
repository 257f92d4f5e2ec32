//! `drydock book …`: the course as pages for a browser.

use super::{Outcome, boxed};
use crate::book::{self, Beside, BookError, Reader};
use crate::course::{Content, Course, slug};
use crate::kernel::OrSys;
use crate::learn::{Home, Progress};
use crate::web::Seat;
use clap::Subcommand;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `drydock book …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum BookCommand {
    /// Build the book
    Build {
        /// The folder that it is built into; what is in it is replaced
        #[arg(short, long, value_name = "DIR", default_value = "drydock-book")]
        dest_dir: PathBuf,
    },
    /// Show the book in a browser, at the chapter where you are
    Open {
        /// Another chapter (namespaces, or 3)
        chapter: Option<String>,
    },
    /// Serve the book on this machine until it is interrupted
    Serve {
        /// Where to listen. The address that is printed has a token in it, for your progress; at another address than 127.0.0.1 all who reach it may read, and progress is left out
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
        addr: SocketAddr,
        /// With a terminal in the lab beside the text, and verdicts as the kernel changes
        #[arg(long)]
        live: bool,
        /// With --live: the terminal is a shell on this machine
        #[arg(long, requires = "live")]
        here: bool,
    },
    /// For authors: say that the pages around changed code were read again
    #[command(hide = true)]
    Reread,
    /// What stock mdBook runs as a preprocessor: a book in on standard input, out on standard output
    #[command(hide = true)]
    Preprocess {
        /// mdBook asks first: `supports RENDERER`
        asked: Vec<String>,
    },
}

/// Runs it.
pub fn run(command: BookCommand, course: Course) -> Outcome {
    match command {
        BookCommand::Build { dest_dir } => {
            let index = book::build(course, &dest_dir, Reader::anybody()).map_err(boxed)?;
            println!("built: {}", index.display());
        }
        BookCommand::Open { chapter } => open(course, chapter)?,
        BookCommand::Serve { addr, live, here } => serve(course, addr, live, here)?,
        BookCommand::Reread => {
            let checkout = if let Content::Folder(folder) = &course.content { folder.clone() } else { PathBuf::from(".") };
            let changed = book::quote::reread(&checkout).map_err(boxed)?;
            changed.iter().for_each(|line| println!("{line}"));
            println!("{} of the quotes were new or changed; {} says that they were read", changed.len(), book::quote::LOCK);
        }
        // Every renderer is supported: lessons are Markdown.
        BookCommand::Preprocess { asked } if asked.first().is_some_and(|a| a == "supports") => {}
        BookCommand::Preprocess { .. } => book::preprocess(course, std::io::stdin().lock(), std::io::stdout().lock()).map_err(boxed)?,
    }
    Ok(0)
}

/// Builds the book beside the learner's progress, and shows it.
fn open(course: Course, chapter: Option<String>) -> Result<(), Box<dyn crate::kernel::Explain>> {
    let home = Home::find().map_err(boxed)?;
    let folder = home.folder.join("book");
    let name = match chapter {
        Some(name) => Some(course.folder(&name).map_err(boxed)?.to_owned()),
        // Not yet begun, there is no place: the welcome is one.
        None => Progress::open(home.clone()).map_err(boxed)?.record.place.and_then(|place| course.folder(&place.chapter).map(str::to_owned).ok()),
    };
    let page = name.map_or_else(|| "index.html".to_owned(), |folder| format!("{}.html", slug(&folder)));
    home.make(&home.folder).map_err(boxed)?;
    book::build(course, &folder, Reader::anybody()).map_err(boxed)?;
    let page = folder.join(page);
    show(&page).map_err(boxed)?;
    println!("opened: {}", page.display());
    Ok(())
}

/// Starts the browser: BROWSER's, or what the desktop has for pages.
fn show(page: &Path) -> Result<(), BookError> {
    let address = format!("file://{}", page.display());
    let quiet = |program: &str| {
        let mut command = Command::new(program);
        command.arg(&address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let failed = |tried: String| BookError::NoBrowser { page: page.to_owned(), tried };
    if let Some(browser) = std::env::var("BROWSER").ok().filter(|b| !b.is_empty()) {
        // It stays as long as its windows do; nobody waits for it.
        return quiet(&browser).spawn().map(drop).map_err(|e| failed(format!("BROWSER is {browser}, and that cannot be started: {e}")));
    }
    match quiet("xdg-open").status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("xdg-open gave up ({status}): no desktop, or no browser"))),
        Err(_) => Err(failed("BROWSER is not set, and there is no xdg-open".into())),
    }
}

/// Serves it from a folder of its own.
fn serve(course: Course, addr: SocketAddr, live: bool, here: bool) -> Result<(), Box<dyn crate::kernel::Explain>> {
    if !addr.ip().is_loopback() {
        if live {
            return Err(boxed(BookError::NotAlone(addr)));
        }
        eprintln!("note: {addr} is not this machine alone: whoever reaches it may read the book");
    }
    let listener = book::listen(addr).map_err(boxed)?;
    let folder = std::env::temp_dir().join(format!("drydock-served-{}", std::process::id()));
    let beside = beside(&course, live, here)?;
    let served = book::build(course, &folder, beside.reader.clone()).and_then(|_| {
        book::serve(&folder, listener, Some(beside), |address| {
            // Whoever read it may be gone, and the book stays.
            let _ = writeln!(std::io::stdout(), "the book is at {address} (Ctrl-C ends it)");
        })
    });
    let _ = std::fs::remove_dir_all(&folder);
    served.map_err(boxed)
}

/// What the pages can do beside being read.
fn beside(course: &Course, live: bool, here: bool) -> Result<Beside, Box<dyn crate::kernel::Explain>> {
    let program = std::env::current_exe().or_sys("find this program's own file").map_err(boxed)?;
    let home = Home::find().map_err(boxed)?;
    let of_course = if let Content::Folder(folder) = &course.content { Some(std::path::absolute(folder).unwrap_or_else(|_| folder.clone())) } else { None };
    let own = Seat::here(program.clone(), of_course);
    // In the lab, there is nothing beyond it.
    let in_lab = crate::learn::doctor::in_lab();
    let seat = live.then(|| if here || in_lab { own.clone() } else { Seat::lab(program, &home) });
    let reader = reader(&home, live && !here && !in_lab)?;
    Ok(Beside { course: course.clone(), reader, home, seat, here: own })
}

/// The learner: what they are asked for in a terminal is what their pages speak of.
fn reader(home: &Home, in_lab: bool) -> Result<Reader, Box<dyn crate::kernel::Explain>> {
    let progress = Progress::open(home.clone()).map_err(boxed)?;
    if progress.is_new {
        progress.save().map_err(boxed)?;
    }
    let seed = progress.record.seed.clone();
    let work = home.folder.join("work");
    let reader = if in_lab { Reader::in_lab(seed) } else { Reader::served(crate::learn::facts::read(), seed, work) };
    Ok(Reader { measured: std::fs::read_to_string(home.folder.join(super::compare::KEPT)).ok(), ..reader })
}
