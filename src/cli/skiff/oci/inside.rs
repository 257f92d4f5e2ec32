//! What is done to a container that runs: `exec`, `update`.

use super::Shared;
use super::said::Said;
use crate::engine::oci::exec::{self, Wanted};
use crate::engine::oci::life;
use crate::engine::oci::state::document;
use crate::engine::oci::{Error, Folder};
use crate::engine::relay::Signals;
use clap::Args;
use oci_spec::runtime::{Capabilities, Capability, LinuxResources, Process, UserBuilder};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Exec {
    /// The container's id
    id: String,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// A file with the whole process, as in config.json
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Its working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// NAME=value, on top of the container's
    #[arg(short, long, value_name = "NAME=value")]
    env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// UID[:GID]
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// Further groups
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Do not wait for it
    #[arg(short, long)]
    detach: bool,
    /// A file for its pid
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// A socket to which the other side of its terminal is sent
    #[arg(long, value_name = "PATH")]
    console_socket: Option<PathBuf>,
    /// How many descriptors from 3 on it is to have
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u32,
    /// A capability, on top of the container's
    #[arg(long, value_name = "CAP")]
    cap: Vec<Capability>,
    /// A cgroup below the container's own
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// Also where its processes stand still
    #[arg(long)]
    ignore_paused: bool,
    /// No privilege by exec
    #[arg(long)]
    no_new_privs: bool,
    /// Its AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Its SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
}

impl Exec {
    /// What is run: as the file says, or the container's own process with what was given in its place.
    fn process(&self, folder: &Folder) -> Result<Process, Error> {
        if let Some(path) = &self.process {
            return document(path);
        }
        let none = || Error::Refused { what: "exec".into(), why: "the container's config.json has no process to start from".into(), hint: "--process FILE" };
        let mut process = folder.spec()?.process().clone().ok_or_else(none)?;
        process.set_args(Some(self.command.clone()));
        process.set_terminal(Some(self.tty));
        let mut env = process.env().clone().unwrap_or_default();
        for entry in &self.env {
            let name = entry.split('=').next().unwrap_or_default();
            env.retain(|old| old.split('=').next() != Some(name));
            env.push(entry.clone());
        }
        process.set_env(Some(env));
        if let Some(cwd) = &self.cwd {
            process.set_cwd(cwd.clone());
        }
        if let Some(user) = &self.user {
            let bad = || Error::Refused { what: format!("--user {user:?}"), why: "it takes numbers: this runtime reads no passwd file".into(), hint: "--user 1000:1000" };
            let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
            let (uid, gid) = (uid.parse::<u32>().map_err(|_| bad())?, gid.parse::<u32>().map_err(|_| bad())?);
            process.set_user(UserBuilder::default().uid(uid).gid(gid).build().map_err(|_| bad())?);
        }
        if !self.additional_gids.is_empty() {
            let mut user = process.user().clone();
            user.set_additional_gids(Some(self.additional_gids.clone()));
            process.set_user(user);
        }
        if !self.cap.is_empty() {
            let mut sets = process.capabilities().clone().unwrap_or_default();
            let with = |set: &Option<Capabilities>| Some(set.iter().flatten().chain(&self.cap).copied().collect());
            let (bounding, effective, permitted) = (with(sets.bounding()), with(sets.effective()), with(sets.permitted()));
            sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
            process.set_capabilities(Some(sets));
        }
        if self.no_new_privs {
            process.set_no_new_privileges(Some(true));
        }
        if self.apparmor.is_some() {
            process.set_apparmor_profile(self.apparmor.clone());
        }
        if self.process_label.is_some() {
            process.set_selinux_label(self.process_label.clone());
        }
        Ok(process)
    }
}

pub fn exec(args: &Exec, shared: &Shared, said: &mut Said) -> Result<u8, Error> {
    said.runs_a_command = true;
    let folder = Folder::find(&shared.root, &args.id)?;
    let attended = !args.detach;
    let wanted = Wanted {
        process: args.process(&folder)?,
        console_socket: args.console_socket.clone(),
        pid_file: args.pid_file.clone(),
        preserved: args.preserve_fds,
        attended,
        cgroup: args.cgroup.clone(),
        paused_too: args.ignore_paused,
    };
    let signals = if attended { Some(Signals::block()?) } else { None };
    let mut held = exec::exec(&folder, &wanted)?;
    held.notes.iter().for_each(|note| said.warn(note));
    match signals {
        Some(signals) => exec::attend(&mut held, signals).map(crate::cli::skiff::clamp),
        None => Ok(0),
    }
}

#[derive(Debug, Args)]
pub struct Update {
    /// The container's id
    id: String,
    /// A file with the resources, as in config.json; - for standard input
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Bytes of memory
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory: Option<i64>,
    /// Bytes of memory and swap together
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// Bytes of memory to fall back to when the machine is short of it
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_reservation: Option<i64>,
    /// Microseconds of CPU time in each period
    #[arg(long, value_name = "MICROS", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Length of a period in microseconds
    #[arg(long, value_name = "MICROS")]
    cpu_period: Option<u64>,
    /// Weight against others
    #[arg(long, value_name = "SHARES")]
    cpu_share: Option<u64>,
    /// Which CPUs
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Which memory nodes
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// How many processes and threads
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
}

impl Update {
    /// The flags as config.json spells them.
    fn resources(&self) -> Result<LinuxResources, Error> {
        let memory: serde_json::Value = [("limit", self.memory), ("swap", self.memory_swap), ("reservation", self.memory_reservation)]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let mut cpu = serde_json::Map::new();
        cpu.extend(self.cpu_quota.map(|n| ("quota".to_owned(), n.into())));
        cpu.extend(self.cpu_period.map(|n| ("period".to_owned(), n.into())));
        cpu.extend(self.cpu_share.map(|n| ("shares".to_owned(), n.into())));
        cpu.extend(self.cpuset_cpus.clone().map(|s| ("cpus".to_owned(), s.into())));
        cpu.extend(self.cpuset_mems.clone().map(|s| ("mems".to_owned(), s.into())));
        let mut all = serde_json::json!({ "memory": memory, "cpu": cpu });
        if let Some(limit) = self.pids_limit {
            all["pids"] = serde_json::json!({ "limit": limit });
        }
        serde_json::from_value(all).map_err(|e| Error::Document { path: "the limits".into(), reason: e.to_string() })
    }
}

pub fn update(args: &Update, shared: &Shared) -> Result<u8, Error> {
    let folder = Folder::find(&shared.root, &args.id)?;
    let resources = match &args.resources {
        Some(path) if path.as_os_str() == "-" => document(std::path::Path::new("/dev/stdin"))?,
        Some(path) => document(path)?,
        None => args.resources()?,
    };
    life::update(&folder, &resources).map(|()| 0)
}
