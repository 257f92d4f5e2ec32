//! `skiff login` and `logout`: who this user is at a registry, kept where Docker keeps it.

use super::{Outcome, boxed, settings};
use crate::image::registry::login::{Credentials, DockerConfig, Kept, server};
use crate::image::registry::settings::HUB;
use crate::image::registry::{Client, Error};
use crate::kernel::{Explain, OrSys};
use clap::Args;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Read, Write};

// Options of `skiff login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The user's name
    #[arg(short, long)]
    username: Option<String>,
    /// The password; others on this machine may see it, and the shell keeps it
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// The registry [default: Docker Hub]
    server: Option<String>,
}

// Options of `skiff logout`.
#[derive(Debug, Args)]
pub struct Logout {
    /// The registry [default: Docker Hub]
    server: Option<String>,
}

/// Asks the registry whether name and password are good, and keeps them.
pub fn login(args: &Login) -> Outcome {
    let host = host_of(args.server.as_deref());
    let settings = settings().map_err(boxed)?;
    let mut config = DockerConfig::read().map_err(boxed)?;
    if args.password.is_some() {
        eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    let known = if args.username.is_none() { config.credentials(&host).map_err(boxed)? } else { None };
    let (user, password) = match known {
        Some(Credentials::Basic { user, password }) if args.password.is_none() => {
            println!("Authenticating with existing credentials...");
            (user, password)
        }
        _ => ask(args)?,
    };
    let credentials = Credentials::Basic { user: user.clone(), password: password.clone() };
    let client = Client::connect_as(&settings.endpoint(&host, ""), &settings, Some(credentials)).map_err(boxed)?;
    client.check_login().map_err(boxed)?;
    if let Kept::File(path) = config.store(&host, &user, &password).map_err(boxed)? {
        eprintln!("WARNING! Your password will be stored unencrypted in {}.", path.display());
        eprintln!("Configure a credential helper to remove this warning. See");
        eprintln!("https://docs.docker.com/engine/reference/commandline/login/#credentials-store\n");
    }
    println!("Login Succeeded");
    Ok(0)
}

/// Forgets a registry.
pub fn logout(args: &Logout) -> Outcome {
    let host = host_of(args.server.as_deref());
    let mut config = DockerConfig::read().map_err(boxed)?;
    if config.erase(&host).map_err(boxed)? {
        println!("Removing login credentials for {}", server(&host));
    } else {
        println!("Not logged in to {}", server(&host));
    }
    Ok(0)
}

/// The registry's host, also where a URL of it was typed.
fn host_of(server: Option<&str>) -> String {
    let Some(server) = server else { return HUB.to_owned() };
    let bare = server.trim_start_matches("https://").trim_start_matches("http://");
    match bare.split('/').next().unwrap_or(bare) {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

fn ask(args: &Login) -> Result<(String, String), Box<dyn Explain>> {
    if args.password_stdin {
        let mut password = String::new();
        std::io::stdin().read_to_string(&mut password).or_sys("read the password").map_err(|e| boxed(Error::from(e)))?;
        let password = password.trim_end_matches(['\n', '\r']).to_owned();
        return Ok((args.username.clone().unwrap_or_default(), password));
    }
    let terminal = std::io::stdin().is_terminal();
    let needs = |what: &'static str| {
        let problem = "there is no terminal to ask at; -u NAME --password-stdin".to_owned();
        boxed(Error::Usage { what, value: String::new(), problem })
    };
    let user = match &args.username {
        Some(user) => user.clone(),
        None if !terminal => return Err(needs("the user's name")),
        None => line("Username: ", true)?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None if !terminal => return Err(needs("the password")),
        None => line("Password: ", false)?,
    };
    for (what, value) in [("the user's name", &user), ("the password", &password)] {
        if value.is_empty() {
            return Err(boxed(Error::Usage { what, value: String::new(), problem: "it is empty".into() }));
        }
    }
    Ok((user, password))
}

/// A line from the terminal, which shows it or not.
fn line(prompt: &str, shown: bool) -> Result<String, Box<dyn Explain>> {
    let stdin = std::io::stdin();
    print!("{prompt}");
    let _ = std::io::stdout().flush();
    let before = tcgetattr(&stdin).ok().filter(|_| !shown);
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        let _ = tcsetattr(&stdin, SetArg::TCSANOW, &silent);
    }
    let mut text = String::new();
    let read = stdin.read_line(&mut text).or_sys("read from the terminal");
    if let Some(before) = &before {
        let _ = tcsetattr(&stdin, SetArg::TCSANOW, before);
        println!();
    }
    read.map_err(|e| boxed(Error::from(e)))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
