//! Each instruction on a stage as it is: those that change the config here, those that make a layer by
//! [`super::step_copy`] and [`super::step_run`].

use super::dockerfile::{Health, What};
use super::solve::Build;
use super::stage::platform;
use super::step::{At, State, Variables, Wanted};
use super::{Error, Event, copy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Build arguments that need no ARG, and that no key depends on (Dockerfile reference, "Predefined ARGs").
pub const PREDEFINED: [&str; 10] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"];

impl<'a> Build<'a> {
    /// Carries out one instruction.
    pub(super) fn instruction(&'a self, at: At<'_>, state: &mut State, variables: &mut Variables) -> Result<(), Error> {
        match &at.instruction.what {
            What::From { .. } => Ok(()),
            What::Arg(list) => self.arg(at, list, variables),
            What::Run { .. } => self.run(at, state, variables),
            What::Copy(transfer) => self.copy(at, transfer, false, state, variables),
            What::Add(transfer) => self.copy(at, transfer, true, state, variables),
            What::Workdir(path) => self.workdir(at, path, state, variables),
            What::Maintainer(name) => {
                self.tell(Event::Warning { text: "MAINTAINER is deprecated: LABEL org.opencontainers.image.authors=… says the same".into() });
                state.config.set_author(&at.expand(name, variables)?);
                self.noted(at, state)
            }
            _ => self.metadata(at, state, variables),
        }
    }

    fn noted(&self, at: At<'_>, state: &mut State) -> Result<(), Error> {
        state.config.note(state.created, &at.instruction.to_string(), false);
        Ok(())
    }

    fn arg(&self, at: At<'_>, list: &[(String, Option<String>)], variables: &mut Variables) -> Result<(), Error> {
        for (name, default) in list {
            let given = self.options.args.get(name).cloned();
            let machine = || platform().iter().find(|(n, _)| n == name).map(|(_, v)| (*v).to_owned());
            let value = match (given, default) {
                (Some(given), _) => Some(given),
                (None, Some(text)) => Some(at.expand(text, variables)?),
                (None, None) => self.stages.globals.get(name).cloned().or_else(machine),
            };
            // Without a value it keeps the one that it has, of this stage or of the one below.
            if let Some(value) = value {
                variables.args.retain(|(n, _)| n != name);
                variables.args.push((name.clone(), value));
            }
        }
        Ok(())
    }

    fn workdir(&'a self, at: At<'_>, path: &str, state: &mut State, variables: &Variables) -> Result<(), Error> {
        let path = state.config.set_workdir(&at.expand(path, variables)?);
        let by = format!("WORKDIR {path}");
        let wanted = Wanted { shown: by.clone(), ingredients: vec![("instruction".into(), by.clone()), state.parent()], by };
        let layers = state.layers.clone();
        self.step(at, state, wanted, |_| {
            let placed = copy::directory(&self.tree(&layers)?, Path::new(&path)).map_err(|problem| at.wrong(problem))?;
            if placed.is_empty() { Ok(None) } else { self.store_layer(|writer| Ok(copy::write(&placed, self.options.epoch, writer)?)).map(Some) }
        })
    }

    /// What changes the config and nothing else.
    fn metadata(&self, at: At<'_>, state: &mut State, variables: &mut Variables) -> Result<(), Error> {
        let expand = |text: &str| at.expand(text, variables);
        let config = &mut state.config;
        match &at.instruction.what {
            What::Env(pairs) => {
                // All of one line see the values from before it.
                let values = pairs.iter().map(|(n, v)| Ok((expand(n)?, expand(v)?))).collect::<Result<Vec<_>, Error>>()?;
                values.iter().for_each(|(name, value)| config.set_env(name, value));
                variables.env = config.env();
            }
            What::Label(pairs) => {
                let labels = pairs.iter().map(|(n, v)| Ok((expand(n)?, Value::from(expand(v)?)))).collect::<Result<BTreeMap<_, _>, Error>>()?;
                config.add("Labels", labels);
            }
            What::User(user) => config.set("User", expand(user)?.into()),
            What::Cmd(command) => config.set_cmd(command),
            What::Entrypoint(command) => config.set_entrypoint(command),
            What::StopSignal(signal) => {
                let signal = expand(signal)?;
                check_signal(&signal).map_err(|problem| at.wrong(problem))?;
                config.set("StopSignal", signal.into());
            }
            What::Shell(words) => config.set("Shell", json!(words)),
            What::HealthCheck(health) => self.health(at, health, state)?,
            What::Volume(paths) => {
                let volumes = paths.iter().map(|p| Ok((expand(p)?, json!({})))).collect::<Result<_, Error>>()?;
                config.add("Volumes", volumes);
            }
            What::Expose(ports) => {
                let mut exposed = BTreeMap::new();
                for text in ports {
                    let words = super::expand::words(text, at.file.escape, &|n| variables.get(n)).map_err(|p| at.wrong(p))?;
                    for word in words {
                        exposed.extend(ports_of(&word).map_err(|problem| at.wrong(problem))?.into_iter().map(|p| (p, json!({}))));
                    }
                }
                config.add("ExposedPorts", exposed);
            }
            What::OnBuild(inner) => config.add_trigger(inner.to_string()),
            _ => {}
        }
        self.noted(at, state)
    }

    fn health(&self, at: At<'_>, health: &Health, state: &mut State) -> Result<(), Error> {
        state.config.set_health(health).map_err(|(flag, problem)| {
            let length = flag.name.len() + flag.value.as_ref().map_or(0, String::len) + 3;
            at.fault(at.wrong_word(flag.at, length, problem))
        })
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`, as a config has them.
fn ports_of(text: &str) -> Result<Vec<String>, String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |p: &str| p.parse::<u16>().map_err(|_| format!("invalid containerPort: {text}"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("invalid containerPort: {text}"));
    }
    Ok((first..=last).map(|p| format!("{p}/{protocol}")).collect())
}

fn check_signal(text: &str) -> Result<(), String> {
    let name = text.strip_prefix("SIG").unwrap_or(text).to_ascii_uppercase();
    let known = text.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n)) || format!("SIG{name}").parse::<nix::sys::signal::Signal>().is_ok();
    if known || name.starts_with("RTM") { Ok(()) } else { Err(format!("invalid signal: {text}")) }
}

#[cfg(test)]
mod tests {
    use super::ports_of;

    #[test]
    fn ports_are_numbers_ranges_and_protocols() {
        assert_eq!(ports_of("80"), Ok(vec!["80/tcp".into()]));
        assert_eq!(ports_of("53/UDP"), Ok(vec!["53/udp".into()]));
        assert_eq!(ports_of("1-3/sctp"), Ok(vec!["1/sctp".into(), "2/sctp".into(), "3/sctp".into()]));
        assert_eq!(ports_of("99999"), Err("invalid containerPort: 99999".into()));
        assert_eq!(ports_of("80/http"), Err("invalid proto: http".into()));
    }
}
