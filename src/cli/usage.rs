//! A command line that is not understood, said in the shape of every other error.

use super::error::show;
use crate::kernel::Explain;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;
use thiserror::Error;

/// Parses the command line. Where help was asked for it is printed; what is not understood is said,
/// and ends with `code`.
pub fn parse<P: clap::Parser>(code: u8) -> Result<P, ExitCode> {
    let error = match P::try_parse() {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        let _ = error.print();
        return Err(ExitCode::from(if error.use_stderr() { code } else { 0 }));
    }
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    show(&Usage::of(&error, meant(P::command(), &arguments), code));
    Err(ExitCode::from(code))
}

/// The command that was meant, as far as it was understood, such as `skiff system`.
fn meant(mut command: clap::Command, arguments: &[String]) -> clap::Command {
    command.build();
    let mut after_option = false;
    for argument in arguments {
        match command.find_subcommand(argument).cloned() {
            Some(found) => command = found,
            // It may be the value of the option before it.
            None if argument.starts_with('-') || after_option => {}
            None => break,
        }
        after_option = argument.starts_with('-') && !argument.contains('=');
    }
    command
}

#[derive(Debug, Error)]
#[error("{what}")]
struct Usage {
    what: String,
    why: Option<String>,
    hint: String,
    code: u8,
}

impl Explain for Usage {
    fn why(&self) -> Option<String> {
        self.why.clone()
    }
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
    fn exit_code(&self) -> u8 {
        self.code
    }
}

impl Usage {
    fn of(error: &clap::Error, mut command: clap::Command, code: u8) -> Self {
        let path = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let usage = command.render_usage().to_string();
        let told = |kind| error.get(kind).map(text).unwrap_or_default();
        let (argument, value) = (told(ContextKind::InvalidArg), told(ContextKind::InvalidValue));
        let (what, why) = match error.kind() {
            ErrorKind::InvalidSubcommand => (format!("{path} has no command {:?}", told(ContextKind::InvalidSubcommand)), None),
            ErrorKind::UnknownArgument if argument.starts_with('-') => (format!("{path} has no option {argument}"), None),
            ErrorKind::UnknownArgument => (format!("{argument:?} is one argument too many"), None),
            ErrorKind::MissingRequiredArgument => (format!("{path} needs {}", argument.trim_end_matches("...")), None),
            ErrorKind::TooFewValues => (format!("{path} needs {}", argument.trim_end_matches("...")), None),
            ErrorKind::MissingSubcommand => (format!("{path} needs a command"), None),
            ErrorKind::InvalidValue if value.is_empty() => (format!("{argument} needs a value"), None),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => (format!("{argument} cannot be {value:?}"), reason(error)),
            ErrorKind::ArgumentConflict if told(ContextKind::PriorArg) == argument => (format!("{argument} was given twice"), None),
            ErrorKind::ArgumentConflict => (format!("{argument} does not go with {}", told(ContextKind::PriorArg)), None),
            _ => (first_line(error), None),
        };
        Self { what, why, hint: hint(error, &path, &usage), code }
    }
}

/// Why a value is none: what would be one, or what its reader said.
fn reason(error: &clap::Error) -> Option<String> {
    let values = error.get(ContextKind::ValidValue).map(text).filter(|v| !v.is_empty());
    values.map(|v| format!("it is one of: {v}")).or_else(|| std::error::Error::source(error).map(ToString::to_string))
}

/// The nearest name there is; else how the command is written; and where all of it is shown.
fn hint(error: &clap::Error, path: &str, usage: &str) -> String {
    let near = |kind, what: &str| Some(format!("a similar {what} exists: '{}'; ", nearest(error.get(kind)?)?));
    let near = near(ContextKind::SuggestedSubcommand, "subcommand")
        .or_else(|| near(ContextKind::SuggestedArg, "argument"))
        .or_else(|| near(ContextKind::SuggestedValue, "value"));
    let missing = matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues);
    let written = || missing.then(|| format!("{}; ", usage.trim_start_matches("Usage:").trim()));
    format!("{}{path} --help shows all", near.or_else(written).unwrap_or_default())
}

/// Of several that are near, the nearest comes last.
fn nearest(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::Strings(all) => all.last().cloned(),
        other => Some(other.to_string()),
    }
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => all.join(", "),
        other => other.to_string(),
    }
}

/// For what has no words of ours: clap's own, without what it adds.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
