//! What a pull shows: a bar a layer on a terminal, a line a step for whatever reads a pipe.

use crate::image::registry::obtain::Event;
use crate::image::registry::{Progress, Step, push};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

/// Where it is shown: Docker's `pull` writes to standard output, its `run` leaves that to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// A place for progress. Threads share it.
pub struct Screen {
    stream: Stream,
    bars: Option<MultiProgress>,
    /// Each thing is a line of JSON, as Docker's API has it: whoever started this program passes it on.
    json: bool,
    layers: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Screen {
    /// Draws where a person looks on, and writes lines where not. Nothing is drawn yet.
    pub fn new(stream: Stream) -> Self {
        let terminal = match stream {
            Stream::Out => std::io::stdout().is_terminal(),
            Stream::Err => std::io::stderr().is_terminal(),
        };
        let target = || match stream {
            Stream::Out => ProgressDrawTarget::stdout(),
            Stream::Err => ProgressDrawTarget::stderr(),
        };
        let json = stream == Stream::Out && std::env::var_os("SKIFF_PROGRESS").is_some_and(|kind| kind == "json");
        let bars = terminal.then(|| MultiProgress::with_draw_target(target()));
        Self { stream, bars, json, layers: Mutex::default() }
    }

    /// Writes a line above the bars.
    pub fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| self.write(text)),
            None => self.write(text),
        }
    }

    fn write(&self, text: &str) {
        // Whoever read it may be gone, which is no reason to stop.
        let _ = match self.stream {
            Stream::Out => writeln!(std::io::stdout(), "{text}"),
            Stream::Err => writeln!(std::io::stderr(), "{text}"),
        };
    }

    /// The bars stay as they are, and what follows is written below.
    pub fn finish(&self) {
        if let Ok(mut layers) = self.layers.lock() {
            for (_, bar) in std::mem::take(&mut *layers) {
                bar.abandon();
            }
        }
    }

    /// One thing that happened until an image was there.
    pub fn event(&self, event: &Event) {
        match event {
            Event::NotHere(name) => self.line(&format!("Unable to find image '{name}' locally")),
            Event::Pull(progress) => self.pull(progress),
            Event::Pulled { name, digest, up_to_date } => self.pulled(name, digest, *up_to_date),
            Event::MadeHere { name, problem } => {
                self.line(&format!("note: {problem}"));
                self.line(&format!("note: made {name} here instead; it is skiff's own, and not Docker Hub's"));
            }
            Event::Base(progress) => self.line(&crate::cli::skiff::run::told(progress)),
        }
    }

    /// One thing that happened in a pull.
    pub fn pull(&self, progress: &Progress) {
        match progress {
            Progress::Pulling { what, repository } => self.line(&format!("{what}: Pulling from {repository}")),
            Progress::Layer { id, step } => self.layer(id, step),
        }
    }

    /// One thing that happened in a push.
    pub fn push(&self, progress: &push::Progress) {
        let push::Progress::Layer { id, step } = progress;
        match step {
            push::Step::Pushing { done, total } => self.show(id, None, Some(("Pushing", *done, *total))),
            push::Step::Preparing => self.show(id, Some("Preparing".into()), None),
            push::Step::Exists => self.show(id, Some("Layer already exists".into()), None),
            push::Step::Mounted(from) => self.show(id, Some(format!("Mounted from {from}")), None),
            push::Step::Pushed => self.show(id, Some("Pushed".into()), None),
            push::Step::Retrying(problem) => self.show(id, Some(format!("Retrying ({problem})")), None),
        }
    }

    /// How a pull ended.
    pub fn pulled(&self, name: &str, digest: &str, up_to_date: bool) {
        self.finish();
        self.line(&format!("Digest: {digest}"));
        let status = if up_to_date { "Image is up to date" } else { "Downloaded newer image" };
        self.line(&format!("Status: {status} for {name}"));
    }

    fn layer(&self, id: &str, step: &Step) {
        match step {
            Step::Downloading { done, total } => self.show(id, None, Some(("Downloading", *done, *total))),
            Step::Extracting if self.bars.is_some() || self.json => self.show(id, Some("Extracting".into()), None),
            other => self.show(id, words(other), None),
        }
    }

    /// A word or a bar for one layer. A bar is for terminals only.
    fn show(&self, id: &str, word: Option<String>, part: Option<(&'static str, u64, u64)>) {
        if self.json {
            let detail = part.map_or_else(|| serde_json::json!({}), |(_, done, total)| serde_json::json!({ "current": done, "total": total }));
            let status = word.unwrap_or_else(|| part.map_or("", |(what, _, _)| what).to_owned());
            return self.line(&serde_json::json!({ "status": status, "progressDetail": detail, "id": id }).to_string());
        }
        let Some(bars) = &self.bars else {
            return word.map_or((), |word| self.line(&format!("{id}: {word}")));
        };
        let Ok(mut layers) = self.layers.lock() else { return };
        let bar = layers.entry(id.to_owned()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0).with_style(plain()));
            bar.set_prefix(id.to_owned());
            bar
        });
        if let Some((what, done, total)) = part {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(with_bar());
                bar.set_message(what);
            }
            bar.set_position(done);
        }
        if let Some(word) = word {
            bar.set_style(plain());
            bar.set_message(word);
        }
    }
}

/// Docker's words for a step; those that only a terminal shows have none.
fn words(step: &Step) -> Option<String> {
    Some(match step {
        Step::Exists => "Already exists".into(),
        Step::Pending => "Pulling fs layer".into(),
        Step::Waiting => "Waiting".into(),
        Step::Retrying { after, problem } if after.as_secs() > 0 => format!("Retrying in {} seconds ({problem})", after.as_secs()),
        Step::Retrying { problem, .. } => format!("Retrying ({problem})"),
        Step::Verifying => "Verifying Checksum".into(),
        Step::Downloaded => "Download complete".into(),
        Step::Complete => "Pull complete".into(),
        Step::Downloading { .. } | Step::Extracting => return None,
    })
}

fn plain() -> ProgressStyle {
    style("{prefix}: {msg}")
}

fn with_bar() -> ProgressStyle {
    style("{prefix}: {msg} [{bar:40}] {decimal_bytes}/{decimal_total_bytes}").progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
