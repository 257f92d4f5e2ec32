//! One instruction: its flags, its arguments, and what is wrong with them.

use super::fault::Fault;
use super::lines::{Line, heredoc_word};
use super::words::{Word, is_space, plain, quoted};
use super::{Command, Flag, Health, Instruction, Transfer, What};

/// All instructions.
pub const KEYWORDS: [&str; 18] = [
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL",
    "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
];

/// An instruction on its way to being understood.
struct Reader<'a> {
    line: &'a Line,
    keyword: String,
    /// Where the arguments begin; behind the flags, once these are taken.
    at: usize,
    escape: char,
}

/// Understands a line.
pub fn instruction(line: &Line, escape: char) -> Result<What, Fault> {
    let end = line.text.find(is_space).unwrap_or(line.text.len());
    let keyword = line.text[..end].to_ascii_uppercase();
    if !KEYWORDS.contains(&keyword.as_str()) {
        return Err(unknown(line, &line.text[..end]));
    }
    let at = end + (line.text[end..].len() - line.text[end..].trim_start_matches(is_space).len());
    let mut reader = Reader { line, keyword, at, escape };
    reader.read()
}

fn unknown(line: &Line, word: &str) -> Fault {
    let near = KEYWORDS.iter().map(|k| (strsim::damerau_levenshtein(k, &word.to_ascii_uppercase()), *k)).min();
    let fault = Fault::at(line.keyword_span(), format!("unknown instruction: {word}"));
    match near {
        Some((distance, name)) if distance <= 1 + word.len() / 3 => Fault { problem: format!("{} (did you mean {name}?)", fault.problem), ..fault },
        _ => fault.expected(format!("one of {}", KEYWORDS.join(", "))),
    }
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.line.text[self.at..]
    }

    /// A fault of the arguments as a whole.
    fn fault(&self, problem: impl Into<String>) -> Fault {
        match self.rest().is_empty() {
            true => Fault::at(self.line.keyword_span(), problem),
            false => Fault::at(self.line.span(self.at, self.line.text.len().min(self.line.whole_end())), problem),
        }
    }

    fn fault_at(&self, word: &Word, problem: impl Into<String>) -> Fault {
        Fault::at(self.line.span(word.at, word.at + word.text.len()), problem)
    }

    fn read(&mut self) -> Result<What, Fault> {
        let flags = match self.keyword.as_str() {
            "FROM" => self.flags(&["platform"], &[])?,
            "RUN" => self.flags(&["mount", "network", "security", "device"], &[])?,
            "COPY" => self.flags(&["from", "chown", "chmod", "exclude"], &["link", "parents"])?,
            "ADD" => self.flags(&["chown", "chmod", "exclude", "checksum", "unpack"], &["link", "keep-git-dir"])?,
            "HEALTHCHECK" => self.flags(&["interval", "timeout", "start-period", "start-interval", "retries"], &[])?,
            _ => self.flags(&[], &[])?,
        };
        if self.rest().is_empty() && self.keyword != "HEALTHCHECK" && self.keyword != "CMD" && self.keyword != "ENTRYPOINT" {
            return Err(self.empty());
        }
        Ok(match self.keyword.as_str() {
            "FROM" => self.from(flags)?,
            "ARG" => What::Arg(self.arg()?),
            "ENV" => What::Env(self.pairs()?),
            "LABEL" => What::Label(self.pairs()?),
            "RUN" => What::Run { flags, command: self.command(), heredocs: self.line.heredocs.clone() },
            "COPY" => What::Copy(self.transfer(flags)?),
            "ADD" => What::Add(self.transfer(flags)?),
            "WORKDIR" => What::Workdir(self.one()),
            "USER" => What::User(self.single("USER")?),
            "CMD" => What::Cmd(self.command()),
            "ENTRYPOINT" => What::Entrypoint(self.command()),
            "EXPOSE" => What::Expose(texts(plain(self.rest(), 0))),
            "VOLUME" => What::Volume(self.volume()?),
            "STOPSIGNAL" => What::StopSignal(self.single("STOPSIGNAL")?),
            "HEALTHCHECK" => What::HealthCheck(self.health(flags)?),
            "SHELL" => What::Shell(self.shell()?),
            "ONBUILD" => What::OnBuild(Box::new(self.onbuild()?)),
            _ => What::Maintainer(self.one()),
        })
    }

    fn empty(&self) -> Fault {
        let keyword = &self.keyword;
        let (problem, example) = match keyword.as_str() {
            "FROM" => ("FROM requires either one or three arguments".to_owned(), "FROM image, or FROM image AS name"),
            "COPY" | "ADD" => (format!("{keyword} requires at least two arguments, but none were provided"), "COPY source destination"),
            "ENV" | "LABEL" => (format!("{keyword} must have two arguments"), "NAME=value"),
            "RUN" => ("RUN requires a command".to_owned(), "RUN command, or RUN [\"program\", \"argument\"]"),
            "WORKDIR" | "USER" | "STOPSIGNAL" | "MAINTAINER" => (format!("{keyword} requires exactly one argument"), "one word"),
            _ => (format!("{keyword} requires at least one argument"), "something after the instruction"),
        };
        Fault::at(self.line.keyword_span(), problem).expected(example)
    }

    /// Takes `--name=value` words off the front; `bare` names stand without a value too.
    fn flags(&mut self, valued: &[&str], bare: &[&str]) -> Result<Vec<Flag>, Fault> {
        let mut flags = Vec::new();
        while self.rest().starts_with("--") {
            let Some(word) = quoted(self.rest(), self.at, self.escape).into_iter().next() else { break };
            if word.text == "--" {
                break;
            }
            let (name, value) = word.text[2..].split_once('=').map_or((&word.text[2..], None), |(n, v)| (n, Some(v)));
            if !valued.contains(&name) && !bare.contains(&name) {
                // Those without flags take such words as arguments, as Docker does.
                if valued.is_empty() && bare.is_empty() && !matches!(self.keyword.as_str(), "WORKDIR" | "USER" | "VOLUME" | "EXPOSE" | "STOPSIGNAL") {
                    break;
                }
                return Err(self.unknown_flag(&word, name, valued, bare));
            }
            if value.is_none() && !bare.contains(&name) {
                return Err(self.fault_at(&word, format!("missing a value on flag: {name}")).expected(format!("--{name}=value")));
            }
            let repeats = matches!(name, "mount" | "exclude" | "device");
            if !repeats && flags.iter().any(|f: &Flag| f.name == name) {
                return Err(self.fault_at(&word, format!("duplicate flag specified: {name}")));
            }
            flags.push(Flag { name: name.to_owned(), value: value.map(unquoted), written: word.text.clone(), at: word.at });
            let end = word.at + word.text.len();
            self.at = end + (self.line.text[end..].len() - self.line.text[end..].trim_start_matches(is_space).len());
        }
        Ok(flags)
    }

    fn unknown_flag(&self, word: &Word, name: &str, valued: &[&str], bare: &[&str]) -> Fault {
        let near = valued.iter().chain(bare).map(|k| (strsim::damerau_levenshtein(k, name), *k)).min().filter(|(d, _)| *d <= 2);
        let hint = near.map_or_else(String::new, |(_, n)| format!(" (did you mean --{n}?)"));
        let all: Vec<String> = valued.iter().chain(bare).map(|f| format!("--{f}")).collect();
        let fault = self.fault_at(word, format!("unknown flag: --{name}{hint}"));
        if all.is_empty() { fault.expected(format!("{} has no flags", self.keyword)) } else { fault.expected(all.join(", ")) }
    }

    fn from(&self, flags: Vec<Flag>) -> Result<What, Fault> {
        let words = plain(self.rest(), self.at);
        let name = match words.as_slice() {
            [_] => None,
            [_, r#as, name] if r#as.text.eq_ignore_ascii_case("as") => Some(name),
            _ => {
                let odd = words.get(1).unwrap_or(&words[0]);
                return Err(self.fault_at(odd, "FROM requires either one or three arguments").expected("FROM image, or FROM image AS name"));
            }
        };
        let valid = |n: &str| n.starts_with(|c: char| c.is_ascii_alphabetic()) && n.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if let Some(bad) = name.filter(|n| !valid(&n.text)) {
            let problem = format!("invalid name for build stage: {:?}, name can't start with a number or contain symbols", bad.text);
            return Err(self.fault_at(bad, problem));
        }
        Ok(What::From { flags, image: words[0].clone(), name: name.map(|n| n.text.to_ascii_lowercase()) })
    }

    fn arg(&self) -> Result<Vec<(String, Option<String>)>, Fault> {
        let words = quoted(self.rest(), self.at, self.escape);
        words
            .iter()
            .map(|word| {
                let (name, value) = word.text.split_once('=').map_or((word.text.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
                if name.is_empty() { Err(self.fault_at(word, "ARG names can not be blank").expected("ARG NAME or ARG NAME=default")) } else { Ok((name.to_owned(), value)) }
            })
            .collect()
    }

    /// `a=1 b="2 3"`, or the old form `a everything else`.
    fn pairs(&self) -> Result<Vec<(String, String)>, Fault> {
        let words = quoted(self.rest(), self.at, self.escape);
        if !words[0].text.contains('=') {
            let end = words[0].at + words[0].text.len();
            let value = self.line.text[end..].trim_start_matches(is_space);
            if value.is_empty() {
                return Err(self.fault_at(&words[0], format!("{} must have two arguments", self.keyword)).expected("NAME=value"));
            }
            return Ok(vec![(words[0].text.clone(), value.to_owned())]);
        }
        words
            .iter()
            .map(|word| match word.text.split_once('=') {
                Some(("", _)) => Err(self.fault_at(word, format!("{} names can not be blank", self.keyword))),
                Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                None => {
                    let problem = format!("Syntax error - can't find = in {:?}. Must be of the form: name=value", word.text);
                    Err(self.fault_at(word, problem).expected("a value with spaces in quotes: NAME=\"a value\""))
                }
            })
            .collect()
    }

    fn command(&self) -> Command {
        match json(self.rest()) {
            Some(words) => Command::Exec(words),
            None => Command::Shell(self.rest().to_owned()),
        }
    }

    fn transfer(&self, flags: Vec<Flag>) -> Result<Transfer, Fault> {
        let mut words = match json(self.rest()) {
            Some(words) => words.into_iter().map(|text| Word { text, at: self.at }).collect(),
            None => plain(self.rest(), self.at),
        };
        let keyword = &self.keyword;
        if words.len() < 2 {
            let problem = format!("{keyword} requires at least two arguments, but only one was provided. Destination could not be determined");
            return Err(self.fault(problem).expected(format!("{keyword} source destination")));
        }
        let to = words.pop().map(|w| w.text).unwrap_or_default();
        let named = words.iter().filter(|w| heredoc_word(&w.text).is_some()).count();
        if named != self.line.heredocs.len() {
            return Err(self.fault("a here-document is a source, and the destination comes last").expected(format!("{keyword} <<EOF /file")));
        }
        Ok(Transfer { flags, sources: words, to, heredocs: self.line.heredocs.clone() })
    }

    fn one(&self) -> String {
        self.rest().to_owned()
    }

    fn single(&self, keyword: &str) -> Result<String, Fault> {
        match quoted(self.rest(), self.at, self.escape).as_slice() {
            [_] => Ok(self.one()),
            words => {
                let extra = words.get(1).unwrap_or(&words[0]);
                Err(self.fault_at(extra, format!("{keyword} requires exactly one argument")))
            }
        }
    }

    fn volume(&self) -> Result<Vec<String>, Fault> {
        let words = json(self.rest()).unwrap_or_else(|| texts(plain(self.rest(), 0)));
        if words.is_empty() || words.iter().any(|w| w.trim().is_empty()) {
            return Err(self.fault("VOLUME specified can not be an empty string").expected("VOLUME /data"));
        }
        Ok(words)
    }

    fn shell(&self) -> Result<Vec<String>, Fault> {
        let words = json(self.rest()).filter(|w| !w.is_empty());
        words.ok_or_else(|| self.fault("SHELL requires the arguments to be in JSON form").expected("SHELL [\"/bin/bash\", \"-c\"]"))
    }

    fn health(&self, flags: Vec<Flag>) -> Result<Health, Fault> {
        let kind = self.rest().split(is_space).next().unwrap_or_default().to_ascii_uppercase();
        let after = self.at + kind.len();
        let rest = Reader { line: self.line, keyword: "CMD".into(), at: after + (self.line.text[after..].len() - self.line.text[after..].trim_start_matches(is_space).len()), escape: self.escape };
        match kind.as_str() {
            "NONE" if rest.rest().is_empty() && flags.is_empty() => Ok(Health::None),
            "NONE" => Err(self.fault("HEALTHCHECK NONE takes no arguments")),
            "CMD" if rest.rest().is_empty() => Err(self.fault("Missing command after HEALTHCHECK CMD")),
            "CMD" => Ok(Health::Check(flags, rest.command())),
            other => Err(self.fault(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")).expected("HEALTHCHECK CMD command, or HEALTHCHECK NONE")),
        }
    }

    fn onbuild(&self) -> Result<Instruction, Fault> {
        let line = self.line.from(self.at);
        let word = line.text.split(is_space).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "ONBUILD" => Err(self.fault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
            "FROM" | "MAINTAINER" => Err(self.fault(format!("{word} isn't allowed as an ONBUILD trigger"))),
            _ if !line.heredocs.is_empty() => Err(self.fault("ONBUILD cannot carry a here-document along: an image keeps one line")),
            _ => Ok(Instruction { what: instruction(&line, self.escape)?, line }),
        }
    }
}

fn texts(words: Vec<Word>) -> Vec<String> {
    words.into_iter().map(|w| w.text).collect()
}

/// A flag's value without the quotes around it.
fn unquoted(value: &str) -> String {
    let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')));
    bare.unwrap_or(value).to_owned()
}

/// The JSON form; anything that is not a list of strings is the other form.
fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}
