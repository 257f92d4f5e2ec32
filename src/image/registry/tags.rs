//! Lists that come in pages: the tags of a repository, the repositories of a registry.

use super::challenge::next_link;
use super::client::{Call, Client};
use super::http::Body;
use super::manifest::DOCUMENT_MAX;
use super::Error;
use serde_json::Value;

/// How many pages are read at most: a list may be long, and must not be without end.
const PAGES: usize = 1000;

impl Client {
    /// All tags of the repository, as the registry sorts them.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        self.list(&self.path("tags/list"), "tags", &self.pull_scope())
    }

    /// All repositories of the registry, where it tells.
    pub fn catalog(&self) -> Result<Vec<String>, Error> {
        self.list("/v2/_catalog", "repositories", "registry:catalog:*")
    }

    fn list(&self, path: &str, member: &str, scope: &str) -> Result<Vec<String>, Error> {
        let mut path = path.to_owned();
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let response = self.call(&Call { method: "GET", path: path.clone(), headers: Vec::new(), body: Body::None, scope: scope.to_owned() })?;
            if response.status().as_u16() != 200 {
                return Err(self.refusal(&format!("list the {member}"), "pull", response));
            }
            let next = response.headers().get("link").and_then(|l| next_link(l.to_str().ok()?));
            let what = format!("the list of {member}");
            let document: Value = serde_json::from_slice(&self.read(&what, response, DOCUMENT_MAX)?).map_err(|e| Error::content(&what, e))?;
            let page = document.get(member).and_then(Value::as_array);
            all.extend(page.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            path = match next.map(|n| self.page(&n)) {
                Some(Some(next)) if next != path => next,
                None => return Ok(all),
                _ => return Err(Error::content(what, "its next page is not on the same registry, or is itself")),
            };
        }
        Err(Error::content(format!("the list of {member}"), format!("it has more than {PAGES} pages")))
    }
}
