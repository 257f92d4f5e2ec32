//! Two headers taken apart: WWW-Authenticate (RFC 9110, 11.3) and Link (RFC 8288).
//!
//! Both are lists with commas between items and commas in quoted strings, and both come from a
//! stranger: what cannot be read is left out, and nothing panics.

/// One way in which a registry wants to be told who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer` or `basic`, in lower case.
    pub scheme: String,
    /// `realm`, `service`, `scope`, and what else there is; names in lower case.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The challenges of one WWW-Authenticate header.
pub fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let (word, after) = token(rest);
        if word.is_empty() {
            // No token begins here: skip what it is, and look on.
            rest = skip_one(rest);
            continue;
        }
        let after_space = after.trim_start_matches([' ', '\t']);
        match after_space.strip_prefix('=') {
            Some(value) if !found.is_empty() && !value.starts_with('=') => {
                let (value, left) = value_of(value.trim_start_matches([' ', '\t']));
                let name = word.to_ascii_lowercase();
                if let Some(last) = found.last_mut() {
                    last.parameters.push((name, value));
                }
                rest = left;
            }
            _ => {
                found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
                rest = after;
            }
        }
    }
}

/// Where `rel="next"` leads, for lists that come in pages.
pub fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest[start + 1..].split_once('>')?;
        let mut parameters = after;
        // Up to the comma that begins the next link.
        loop {
            parameters = parameters.trim_start_matches([' ', '\t']);
            let Some(one) = parameters.strip_prefix(';') else { break };
            let (name, left) = token(one.trim_start_matches([' ', '\t']));
            let left = left.trim_start_matches([' ', '\t']);
            let (value, left) = match left.strip_prefix('=') {
                Some(value) => value_of(value.trim_start_matches([' ', '\t'])),
                None => (String::new(), left),
            };
            if name.eq_ignore_ascii_case("rel") && value.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("next")) {
                return Some(target.trim().to_owned());
            }
            parameters = left;
        }
        rest = parameters;
    }
    None
}

/// A token at the beginning, and what follows.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A quoted string or a token, and what follows.
fn value_of(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (value.to_owned(), if value.is_empty() { skip_one(text) } else { rest });
    };
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &inner[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn skip_one(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters = parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Challenge { scheme: scheme.to_owned(), parameters }
    }

    #[test]
    fn a_challenge_is_a_scheme_and_parameters_quoted_or_not() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let bearer = of("bearer", &[("realm", "https://auth.docker.io/token"), ("service", "registry.docker.io"), ("scope", "repository:a/b:pull,push")]);
        assert_eq!(challenges(header), std::slice::from_ref(&bearer));
        assert_eq!(challenges("Basic realm=plain"), [of("basic", &[("realm", "plain")])]);
        let both = challenges(&format!(r#"Basic realm="a \"quoted\" one", {header}"#));
        assert_eq!(both, [of("basic", &[("realm", "a \"quoted\" one")]), bearer]);
        assert_eq!(challenges(""), []);
        assert_eq!(challenges("Negotiate"), [of("negotiate", &[])]);
    }

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        assert_eq!(next_link(r#"</v2/_catalog?last=b&n=2>; rel="next""#).unwrap(), "/v2/_catalog?last=b&n=2");
        assert_eq!(next_link(r#"<a>; rel=prev, <b,c>; title="x, y"; rel="first next""#).unwrap(), "b,c");
        assert_eq!(next_link("<a>; rel=prev"), None);
        assert_eq!(next_link("<a"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in "\\PC{0,200}", junk in "[<>;,=\"\\\\ a-z]{0,60}") {
            let _ = (challenges(&text), next_link(&text), challenges(&junk), next_link(&junk));
        }

        #[test]
        fn what_is_written_is_read(
            scheme in "[a-z]{1,8}", names in prop::collection::vec("[a-z]{1,6}", 0..4), value in "[ -~]{0,30}",
        ) {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{scheme} {}", names.iter().map(|n| format!("{n}=\"{quoted}\"")).collect::<Vec<_>>().join(", "));
            let read = challenges(&text);
            prop_assert_eq!(&read[0].scheme, &scheme);
            prop_assert_eq!(read[0].parameters.len(), names.len());
            prop_assert!(read[0].parameters.iter().all(|(_, v)| *v == value));
            let target = value.replace(['>', '<'], "");
            prop_assert_eq!(next_link(&format!("<{target}>; rel=\"next\"")).unwrap(), target.trim());
        }
    }
}
