//! A Dockerfile written out again: what is parsed from it is what was written.

use super::words::{is_space, quoted};
use super::{Command, Dockerfile, Flag, Health, Instruction, Transfer, What};
use std::fmt::{self, Display, Formatter};

impl Display for Dockerfile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(syntax) = &self.syntax {
            writeln!(f, "# syntax={syntax}")?;
        }
        if self.escape != '\\' {
            writeln!(f, "# escape={}", self.escape)?;
        }
        for instruction in &self.instructions {
            writeln!(f, "{instruction}")?;
            for heredoc in &instruction.line.heredocs {
                writeln!(f, "{}{}", heredoc.content, heredoc.name)?;
            }
        }
        Ok(())
    }
}

impl Display for Instruction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl Display for What {
    /// One line, without the contents of its here-documents.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { flags, image, name } => {
                write!(f, "FROM {}{}", Flags(flags), image.text)?;
                name.iter().try_for_each(|name| write!(f, " AS {name}"))
            }
            Self::Arg(list) => {
                let words: Vec<String> = list.iter().map(|(n, v)| v.as_ref().map_or(n.clone(), |v| format!("{n}={v}"))).collect();
                write!(f, "ARG {}", words.join(" "))
            }
            Self::Env(pairs) => write_pairs(f, "ENV", pairs),
            Self::Label(pairs) => write_pairs(f, "LABEL", pairs),
            Self::Run { flags, command, .. } => write!(f, "RUN {}{command}", Flags(flags)),
            Self::Copy(transfer) => write!(f, "COPY {transfer}"),
            Self::Add(transfer) => write!(f, "ADD {transfer}"),
            Self::Workdir(path) => write!(f, "WORKDIR {path}"),
            Self::User(user) => write!(f, "USER {user}"),
            Self::Cmd(command) => write!(f, "CMD {command}"),
            Self::Entrypoint(command) => write!(f, "ENTRYPOINT {command}"),
            Self::Expose(ports) => write!(f, "EXPOSE {}", ports.join(" ")),
            Self::Volume(paths) => write!(f, "VOLUME {}", list(paths)),
            Self::StopSignal(signal) => write!(f, "STOPSIGNAL {signal}"),
            Self::HealthCheck(Health::None) => write!(f, "HEALTHCHECK NONE"),
            Self::HealthCheck(Health::Check(flags, command)) => write!(f, "HEALTHCHECK {}CMD {command}", Flags(flags)),
            Self::Shell(words) => write!(f, "SHELL {}", list(words)),
            Self::OnBuild(inner) => write!(f, "ONBUILD {inner}"),
            Self::Maintainer(name) => write!(f, "MAINTAINER {name}"),
        }
    }
}

/// One pair without a sign of equality between them is the old form.
fn write_pairs(f: &mut Formatter<'_>, keyword: &str, pairs: &[(String, String)]) -> fmt::Result {
    let words: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    match pairs {
        [(name, value)] if value.contains(is_space) && ['\\', '`'].iter().all(|escape| stands_alone(name, value, *escape)) => write!(f, "{keyword} {name} {value}"),
        _ => write!(f, "{keyword} {}", words.join(" ")),
    }
}

/// True where a name ends at the white space behind it, and no quote of its own goes on.
fn stands_alone(name: &str, value: &str, escape: char) -> bool {
    quoted(&format!("{name} {value}"), 0, escape).first().is_some_and(|word| word.text == name)
}

struct Flags<'a>(&'a [Flag]);

impl Display for Flags<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|flag| write!(f, "{} ", flag.written))
    }
}

impl Display for Transfer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.sources.iter().map(|w| w.text.as_str()).chain([self.to.as_str()]).collect();
        let spaces = words.iter().any(|w| w.is_empty() || w.contains(is_space)) || words.first().is_some_and(|w| w.starts_with('['));
        if spaces { write!(f, "{}{}", Flags(&self.flags), list(&words)) } else { write!(f, "{}{}", Flags(&self.flags), words.join(" ")) }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(words) => f.write_str(&list(words)),
            Self::Shell(text) => f.write_str(text),
        }
    }
}

/// A list as JSON.
fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    serde_json::json!(words).to_string()
}
