//! `skiff search`.

use super::{Outcome, boxed, settings};
use crate::cli::skiff::format::List;
use crate::image::registry::Error;
use crate::image::registry::search::{Hit, search as find};
use clap::Args;
use serde_json::json;

// Options of `skiff search`.
#[derive(Debug, Args)]
pub struct Search {
    /// is-official=true, stars=NUMBER
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=100))]
    limit: u64,
    /// Columns or lines of your own, as a Go template
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Whole descriptions
    #[arg(long)]
    no_trunc: bool,
    /// A part of the name; localhost:5000/web searches that registry
    term: String,
}

const HEADS: &[(&str, &str)] = &[("Name", "NAME"), ("Description", "DESCRIPTION"), ("StarCount", "STARS"), ("IsOfficial", "OFFICIAL")];

/// Lists repositories.
pub fn search(args: &Search) -> Outcome {
    let (mut stars, mut official) = (0, None);
    for filter in &args.filter {
        let bad = |problem: &str| boxed(Error::Usage { what: "--filter", value: filter.clone(), problem: problem.to_owned() });
        match filter.split_once('=') {
            Some(("stars", number)) => stars = number.parse().map_err(|_| bad("stars are a number"))?,
            Some(("is-official", word)) => official = Some(word.parse::<bool>().map_err(|_| bad("it is true or false"))?),
            _ => return Err(bad("the keys are is-official and stars")),
        }
    }
    let limit = usize::try_from(args.limit).unwrap_or(25);
    let mut hits = find(&args.term, limit, &settings().map_err(boxed)?).map_err(boxed)?;
    hits.retain(|h| h.stars >= stars && official.is_none_or(|o| h.official == o));
    let cut = |text: &str| match text.char_indices().nth(45) {
        Some(_) if !args.no_trunc => text.chars().take(44).chain(['…']).collect(),
        _ => text.to_owned(),
    };
    let official = |hit: &Hit| if hit.official { "[OK]" } else { "" };
    let row = |h: &Hit| json!({ "Name": h.name, "Description": cut(&h.description), "StarCount": h.stars.to_string(), "IsOfficial": official(h) });
    let rows: Vec<_> = hits.iter().map(row).collect();
    let usual = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
    print!("{}", List { usual, heads: HEADS }.print(args.format.as_deref(), &rows).map_err(boxed)?);
    Ok(0)
}
