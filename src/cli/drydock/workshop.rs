//! `drydock workshop …`: leading a class.

use super::{Outcome, boxed};
use crate::cli::out::visible;
use crate::course::Course;
use crate::kernel::{Explain, OrSys};
use crate::learn::facts;
use crate::web;
use crate::workshop::code::{self, PORT};
use crate::workshop::hub::class::Class;
use crate::workshop::hub::{Hub, RUNNING, keep};
use crate::workshop::report::{Format, Report};
use crate::workshop::{Address, Error, Plan, Program, carry};
use clap::{Args, Subcommand};
use qrcode::render::unicode::Dense1x2;
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `drydock workshop …`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum WorkshopCommand {
    /// Write a plan: chapters with their minutes, to be edited
    New(New),
    /// Open the class: join code, address and board
    Serve(Serve),
    /// Show the board as plain text
    Board(Board),
    /// Write what the workshop came to: by learner, exercise, question and objective
    Report(Written),
}

/// Options of `workshop new`.
#[derive(Debug, Args)]
pub struct New {
    /// The workshop's folder
    #[arg(default_value = "workshop")]
    folder: PathBuf,
    /// The chapters, in this order (namespaces, or 3); all of them if not given
    #[arg(long = "chapter", value_name = "CHAPTER")]
    chapters: Vec<String>,
    /// Share so many minutes among them; the lessons' own if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: Option<u32>,
    /// What stands above the board
    #[arg(long, default_value = "Containers with your own hands")]
    title: String,
}

/// Options of `workshop serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The workshop's folder; the class is kept in it
    #[arg(default_value = "workshop")]
    folder: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT))]
    addr: SocketAddr,
    /// The name or address that learners type, if it is not the one found
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// Options of `workshop board`.
#[derive(Debug, Args)]
pub struct Board {
    /// The folder of the workshop that is being served
    #[arg(default_value = "workshop")]
    folder: PathBuf,
    /// Draw it again every few seconds
    #[arg(long)]
    follow: bool,
    /// The board as JSON
    #[arg(long)]
    json: bool,
}

/// Options of `workshop report`.
#[derive(Debug, Args)]
pub struct Written {
    /// The workshop's folder; its hub may run or not
    #[arg(default_value = "workshop")]
    folder: PathBuf,
    /// html (a page to be kept or printed), csv, json, xml (JUnit, for autograders)
    #[arg(long, value_name = "FORMAT", default_value = "json", value_parser = ["html", "csv", "json", "xml"])]
    format: String,
}

/// Where a hub is, kept in its folder for `workshop board`.
#[derive(Serialize, Deserialize)]
struct Running {
    address: String,
    key: String,
}

/// Runs it.
pub fn run(command: WorkshopCommand, course: &Course) -> Outcome {
    match command {
        WorkshopCommand::New(args) => new(&args, course),
        WorkshopCommand::Serve(args) => serve(&args, course),
        WorkshopCommand::Board(args) => board(&args),
        WorkshopCommand::Report(args) => report(&args, course),
    }
}

fn new(args: &New, course: &Course) -> Outcome {
    let plan = Plan::of(course, &args.title, &args.chapters, args.minutes).map_err(boxed)?;
    plan.write_new(&args.folder).map_err(boxed)?;
    let path = args.folder.join(crate::workshop::plan::FILE);
    println!("{}: {} minutes in {}", path.display(), plan.minutes(), crate::kernel::units::counted(plan.chapters.len(), "chapter"));
    let folder = args.folder.display().to_string();
    crate::cli::out::next(&[(&format!("drydock workshop serve {folder}"), "open the class; edit the plan before, if you like")]);
    Ok(0)
}

fn serve(args: &Serve, course: &Course) -> Outcome {
    let plan = Plan::read(&args.folder, course).map_err(boxed)?;
    let program = Program::of(&plan, course, &facts::read()).map_err(boxed)?;
    let listener = web::server::listen(args.addr, "drydock workshop serve").map_err(boxed)?;
    let hub = Hub::open(&args.folder, program).map_err(boxed)?;
    let host = args.host.clone().unwrap_or_else(|| reached_at(args.addr.ip()).to_string());
    let running = args.folder.join(RUNNING);
    let served = hub.serve(listener, |hub, at| {
        let address = Address { code: hub.code.clone(), host, port: at.port() };
        let _ = hub.address.set(address.to_string());
        let own = Address { code: hub.code.clone(), host: loopback(at.ip()).to_string(), port: at.port() };
        if let Err(e) = leave_word(&running, &own, &hub.key) {
            eprintln!("note: drydock workshop board will not find this hub: {e}");
        }
        shown(hub, &address, &own);
    });
    let _ = std::fs::remove_file(&running);
    served.map_err(boxed)?;
    println!("The class is closed. It is kept in {}: serve it again and it goes on.", args.folder.display());
    Ok(0)
}

/// Prints what the instructor needs. Whoever read it may be gone, and the hub stays.
fn shown(hub: &Hub, address: &Address, own: &Address) {
    let mut out = std::io::stdout();
    let page = format!("https://{}/", code::at(&address.host, address.port, 443));
    let _ = writeln!(out, "{}\n", visible(&hub.program.title));
    if out.is_terminal()
        && let Ok(qr) = qrcode::QrCode::new(format!("{page}#{}", address.code))
    {
        let _ = writeln!(out, "{}\n", qr.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build());
    }
    let _ = writeln!(out, "learners type     drydock join {address}");
    let _ = writeln!(out, "with a browser    {page}#{}", address.code);
    let _ = writeln!(out, "the board, yours  http://{}/board?key={}", code::at(&own.host, own.port, 80), hub.key);
    let _ = writeln!(out, "as plain text     drydock workshop board");
    let _ = writeln!(out, "\nThe certificate is the hub's own: drydock knows it by the code, a browser warns of it once.");
    let _ = writeln!(out, "Ctrl-C ends it.");
    let _ = out.flush();
}

/// This machine's address as others see it: the one that it would speak to others from. Nothing is sent.
fn reached_at(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let towards = |to: &str| UdpSocket::bind("0.0.0.0:0").and_then(|s| s.connect(to).and_then(|()| s.local_addr()));
    // A network without a way out still has its own addresses.
    let found = ["192.0.2.1:9", "192.168.255.255:9", "10.255.255.255:9", "172.31.255.255:9"].iter().find_map(|to| towards(to).ok());
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |a| a.ip())
}

fn loopback(bound: IpAddr) -> IpAddr {
    if bound.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound }
}

fn leave_word(path: &Path, own: &Address, key: &str) -> Result<(), Error> {
    let text = serde_json::to_vec(&Running { address: own.to_string(), key: key.to_owned() }).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    Ok(file.and_then(|mut f| f.write_all(&text)).or_sys_with(|| format!("write {}", path.display()))?)
}

fn report(args: &Written, course: &Course) -> Outcome {
    let plan = Plan::read(&args.folder, course).map_err(boxed)?;
    let program = Program::of(&plan, course, &facts::read()).map_err(boxed)?;
    let class = Class::of(keep::load(&args.folder).map_err(boxed)?, &program);
    let format = args.format.parse().unwrap_or(Format::Json);
    print!("{}", Report::of(&class, &program).text(format).map_err(boxed)?);
    Ok(0)
}

fn board(args: &Board) -> Outcome {
    let path = args.folder.join(RUNNING);
    let text = std::fs::read(&path).map_err(|_| boxed(Error::Refused(format!("no hub is running in {}: drydock workshop serve", args.folder.display()))))?;
    let running: Running = serde_json::from_slice(&text).map_err(|e| boxed(Error::Damaged { path, reason: e.to_string() }))?;
    let address: Address = running.address.parse().map_err(boxed)?;
    let ask = || -> Result<String, Box<dyn Explain>> {
        let bytes = carry::ask(&address, &running.key, "GET", if args.json { "/board/all" } else { "/board/text" }, None).map_err(boxed)?;
        Ok(visible(&String::from_utf8_lossy(&bytes)).into_owned())
    };
    if !args.follow {
        print!("{}{}", ask()?, if args.json { "\n" } else { "" });
        return Ok(0);
    }
    loop {
        let text = ask()?;
        // From the top left, and nothing of the one before.
        print!("{}{text}", if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" });
        let _ = std::io::stdout().flush();
        std::thread::sleep(Duration::from_secs(2));
    }
}
