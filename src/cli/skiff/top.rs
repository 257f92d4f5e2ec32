//! `skiff top`: the processes of a container, in the columns of ps(1).

use super::{Outcome, boxed};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::{life, top};
use crate::kernel::OrSys;
use clap::Args;
use std::path::Path;
use std::process::Command;

// Options of `skiff top`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff top <CONTAINER> [OPTIONS OF PS]...")]
pub struct Top {
    /// The container, by name or id; what follows it is options of ps(1), -ef where there are none
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CONTAINER")]
    words: Vec<String>,
}

impl Top {
    /// The processes of this container.
    pub(super) fn of(container: &str) -> Self {
        Self { words: vec![container.to_owned()] }
    }
}

/// Docker's columns are this wide at least, and so far apart.
const WIDTH: usize = 20;
const SPACE: usize = 3;

/// Prints them: the host's ps, and of its lines those of the container's processes.
pub fn run(args: &Top, root: &Path) -> Outcome {
    let (name, options) = args.words.split_first().map_or(("", [].as_slice()), |(n, o)| (n, o));
    let container = Container::find(root, name).map_err(boxed)?;
    life::process(&container).map_err(boxed)?;
    let usual = ["-ef".to_owned()];
    let options = if options.is_empty() { &usual[..] } else { options };
    let output = Command::new("ps").args(options).output().or_sys("run ps").map_err(|e| boxed(Error::from(e)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        return Err(boxed(Error::Copy { what: format!("ps: {said}"), hint: "options of ps(1), such as -o pid,cmd" }));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let heads: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let Some(place) = heads.iter().position(|h| *h == "PID") else {
        return Err(boxed(Error::Copy { what: "Couldn't find PID field in ps output".into(), hint: "add pid to its columns: -o pid,cmd" }));
    };
    let pids = top::pids(&container);
    let cells = |line: &str| -> Vec<String> {
        let mut rest = line.trim_start();
        let mut found = Vec::new();
        while found.len() + 1 < heads.len() && !rest.is_empty() {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
        found.push(rest.trim_end().to_owned());
        found
    };
    let mut rows: Vec<Vec<String>> = vec![heads.iter().map(|h| (*h).to_owned()).collect()];
    rows.extend(lines.map(cells).filter(|row| row.get(place).and_then(|pid| pid.parse().ok()).is_some_and(|pid: i32| pids.contains(&pid))));
    let width = |n: usize| rows.iter().filter_map(|r| r.get(n)).map(|c| (c.chars().count() + SPACE).max(WIDTH)).max().unwrap_or(WIDTH);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for row in &rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", line.trim_end());
    }
    Ok(0)
}
