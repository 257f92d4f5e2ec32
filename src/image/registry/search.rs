//! Repositories by a word in their name: Docker's `/v1/search` where it is served (Docker Hub, and the
//! registry of ours), else the registry's own list of all that it has.

use super::auth::escaped;
use super::client::{Call, Client};
use super::http::Body;
use super::manifest::DOCUMENT_MAX;
use super::settings::{Settings, split_host};
use super::Error;
use serde::Deserialize;

/// Where Docker Hub's search is.
const HUB: &str = "index.docker.io";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hit {
    /// Its name; with the registry's, where that is not Docker Hub.
    pub name: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// How many users have starred it.
    #[serde(default, rename = "star_count")]
    pub stars: u64,
    /// Docker's own.
    #[serde(default, rename = "is_official")]
    pub official: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Hit>,
}

/// Searches Docker Hub and its mirrors, or the registry that `term` begins with (`localhost:5000/web`).
pub fn search(term: &str, limit: usize, settings: &Settings) -> Result<Vec<Hit>, Error> {
    if let Some((host, word)) = split_host(term) {
        let client = Client::connect(&settings.endpoint(host, ""), settings)?;
        let mut hits = hits(&client, word, limit)?;
        hits.iter_mut().for_each(|h| h.name = format!("{host}/{}", h.name));
        return Ok(hits);
    }
    let mut said = None;
    for endpoint in settings.mirrors("")? {
        match Client::connect(&endpoint, settings).and_then(|c| hits(&c, term, limit)) {
            Ok(found) => return Ok(found),
            Err(error) => said = said.or(Some(error)),
        }
    }
    let hub = Client::connect(&settings.endpoint(HUB, ""), settings).and_then(|c| hits(&c, term, limit));
    hub.map_err(|error| said.filter(|s| error.is_unreachable() && !s.is_unreachable()).unwrap_or(error))
}

fn hits(client: &Client, word: &str, limit: usize) -> Result<Vec<Hit>, Error> {
    let call = Call {
        method: "GET",
        path: format!("/v1/search?q={}&n={limit}", escaped(word)),
        headers: Vec::new(),
        body: Body::None,
        scope: String::new(),
    };
    let response = client.call(&call)?;
    let mut found = match response.status().as_u16() {
        200 => {
            let bytes = client.read("the answer to a search", response, DOCUMENT_MAX)?;
            let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| Error::content("the answer to a search", e))?;
            answer.results
        }
        404 | 405 => {
            let all = client.catalog().map_err(|error| match error {
                Error::Answer { host, .. } | Error::Denied { host, .. } => Error::NoSearch { host },
                other => other,
            })?;
            let hit = |name: String| Hit { name, description: String::new(), stars: 0, official: false };
            all.into_iter().filter(|name| name.contains(word)).map(hit).collect()
        }
        _ => return Err(client.refusal("search", "pull", response)),
    };
    // Names and texts of strangers go to a terminal.
    for hit in &mut found {
        hit.name.retain(|c| !c.is_control());
        hit.description.retain(|c| !c.is_control());
    }
    found.truncate(limit);
    Ok(found)
}
