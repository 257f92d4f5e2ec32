//! What an image is called: `[registry/][namespace/]repository[:tag][@digest]`.
//!
//! The grammar is the one that the OCI distribution spec and Docker share. The first component is a
//! registry if it has a dot or a colon or is `localhost`; `docker.io/library/` is what Docker puts in
//! front of a short name, so it is left out again and both spellings mean the same image.

use super::Error;
use oci_spec::image::Digest;
use std::fmt;
use std::str::FromStr;

/// The longest `registry/namespace/repository`, in bytes.
const NAME_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_MAX: usize = 128;

/// A parsed image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `localhost:5000`; `None` for Docker Hub's names and for local ones.
    pub registry: Option<String>,
    /// `team/web`.
    pub repository: String,
    /// `1.2`; `None` where none was written.
    pub tag: Option<String>,
    /// `sha256:…` of the manifest.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Registry and repository, without tag and digest. A repository of Docker Hub that begins like a
    /// registry, such as `docker.io/ghcr.io/x`, keeps the Hub's name: else it would be another's image.
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None if matches!(split_registry(&self.repository), Ok((None, _))) => self.repository.clone(),
            None => format!("docker.io/{}", self.repository),
        }
    }

    /// The tag, `latest` where none was written.
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or("latest")
    }

    /// What the store files it under: name and tag.
    pub fn key(&self) -> String {
        format!("{}:{}", self.name(), self.tag_or_latest())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|problem| Error::BadReference { text: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!("it is a URL; a reference has no {scheme}:// before {rest:?}"));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
        None => (text, None),
    };
    // A colon after the last slash begins the tag; one before it is a registry's port.
    let slash = rest.rfind('/').map_or(0, |i| i + 1);
    let (name, tag) = match rest[slash..].find(':') {
        Some(colon) => (&rest[..slash + colon], Some(parse_tag(&rest[slash + colon + 1..])?)),
        None => (rest, None),
    };
    if name.len() > NAME_MAX {
        return Err(format!("its name has {} characters, and {NAME_MAX} are allowed", name.len()));
    }
    let (registry, repository) = split_registry(name)?;
    for component in repository.split('/') {
        check_component(component)?;
    }
    let registry = registry.filter(|r| *r != "docker.io" && *r != "index.docker.io");
    let repository = match registry {
        None => repository.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(repository),
        Some(_) => repository,
    };
    Ok(Reference { registry: registry.map(str::to_owned), repository: repository.to_owned(), tag, digest })
}

fn parse_digest(text: &str) -> Result<Digest, String> {
    match Digest::from_str(text) {
        Ok(digest) if text.starts_with("sha256:") => Ok(digest),
        _ => Err(format!("{text:?} is not a digest, which is sha256: and 64 hexadecimal digits")),
    }
}

fn parse_tag(tag: &str) -> Result<String, String> {
    let starts = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match tag.chars().next() {
        None => return Err("there is no tag after the colon".into()),
        Some(c) if !starts(c) => return Err(format!("a tag cannot begin with {c:?}")),
        Some(_) => {}
    }
    if let Some(c) = tag.chars().find(|c| !(starts(*c) || matches!(c, '.' | '-'))) {
        return Err(format!("a tag cannot have {c:?} in it"));
    }
    if tag.len() > TAG_MAX {
        return Err(format!("its tag has {} characters, and {TAG_MAX} are allowed", tag.len()));
    }
    Ok(tag.to_owned())
}

/// Splits off a registry: a first component with a dot or a port, or localhost.
fn split_registry(name: &str) -> Result<(Option<&str>, &str), String> {
    let Some((first, rest)) = name.split_once('/') else { return Ok((None, name)) };
    if first.starts_with('.') || !(first.contains(['.', ':']) || first == "localhost") {
        return Ok((None, name));
    }
    let (host, port) = first.split_once(':').map_or((first, None), |(host, port)| (host, Some(port)));
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return Err(format!("the registry's port in {first:?} is not a number up to 65535"));
    }
    let label = |l: &str| {
        !l.is_empty() && !l.starts_with('-') && !l.ends_with('-') && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if !host.split('.').all(label) {
        return Err(format!("{first:?} is not a registry's host name"));
    }
    Ok((Some(first), rest))
}

/// Lower case letters and digits, held together by `.`, `_`, `__` or dashes.
fn check_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("a part of its name is empty".into());
    }
    if component.contains("..") {
        return Err(format!("{component:?} has two dots in a row"));
    }
    if let Some(c) = component.chars().find(char::is_ascii_uppercase) {
        return Err(format!("its name must be lower case, and {component:?} has {c:?}"));
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(c) = component.chars().find(|c| !(word(*c) || matches!(c, '.' | '_' | '-'))) {
        return Err(format!("its name cannot have {c:?} in it"));
    }
    if !component.starts_with(word) || !component.ends_with(word) {
        return Err(format!("{component:?} must begin and end with a letter or a digit"));
    }
    let separators = component.split(word).filter(|s| !s.is_empty());
    for separator in separators {
        if !matches!(separator, "." | "_" | "__") && !separator.chars().all(|c| c == '-') {
            return Err(format!("{separator:?} cannot stand between two words of {component:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> String {
        Reference::from_str(text).expect_err("it must be refused").to_string()
    }

    #[test]
    fn a_short_name_and_its_long_form_are_the_same_image() {
        let short: Reference = "nginx".parse().unwrap();
        assert_eq!(short, "docker.io/library/nginx".parse().unwrap());
        assert_eq!(short.key(), "nginx:latest");
        for (long, name) in [("docker.io/ghcr.io/x", "docker.io/ghcr.io/x"), ("docker.io/library/ghcr.io/x", "library/ghcr.io/x"), ("docker.io/localhost/x", "docker.io/localhost/x"), ("docker.io/library/library", "library")] {
            let read: Reference = long.parse().unwrap();
            assert_eq!(read.name(), name);
            assert_eq!(read, name.parse().unwrap());
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let reference: Reference = "localhost:5000/team/web:1.2".parse().unwrap();
        assert_eq!(reference.registry.as_deref(), Some("localhost:5000"));
        assert_eq!((reference.repository.as_str(), reference.tag.as_deref()), ("team/web", Some("1.2")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(problem("Base"), r#""Base" is not an image reference: its name must be lower case, and "Base" has 'B'"#);
        assert_eq!(problem("../etc"), r#""../etc" is not an image reference: ".." has two dots in a row"#);
        assert_eq!(problem("base:"), r#""base:" is not an image reference: there is no tag after the colon"#);
        assert_eq!(problem("a//b"), r#""a//b" is not an image reference: a part of its name is empty"#);
        assert_eq!(problem("a._b"), r#""a._b" is not an image reference: "._" cannot stand between two words of "a._b""#);
        assert_eq!(problem("-a"), r#""-a" is not an image reference: "-a" must begin and end with a letter or a digit"#);
        assert_eq!(
            problem("a@sha256:12"),
            r#""a@sha256:12" is not an image reference: "sha256:12" is not a digest, which is sha256: and 64 hexadecimal digits"#
        );
        assert_eq!(
            problem("https://h/a"),
            r#""https://h/a" is not an image reference: it is a URL; a reference has no https:// before "h/a""#
        );
        assert_eq!(
            problem("localhost:99999/a"),
            r#""localhost:99999/a" is not an image reference: the registry's port in "localhost:99999" is not a number up to 65535"#
        );
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_parsed_or_refused(text in ".{0,80}") {
            if let Ok(reference) = Reference::from_str(&text) {
                // It can be filed as one file name, and means the same when it is read again.
                prop_assert!(!reference.key().contains(".."));
                prop_assert_eq!(&reference, &Reference::from_str(&reference.to_string()).unwrap());
            }
        }

        #[test]
        fn every_well_formed_reference_is_read_as_it_was_built(
            registry in proptest::option::of("[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){1,2}(:[1-9][0-9]{1,3})?"),
            repository in "[a-z0-9]{1,6}((\\.|_|__|-)[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,6}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        ) {
            prop_assume!(!repository.starts_with("library/") && registry.as_deref() != Some("docker.io"));
            prop_assume!(registry.is_some() || !repository.starts_with("localhost/") && !repository.split('/').next().unwrap_or("").contains('.'));
            let text = [registry.as_ref().map(|r| format!("{r}/")).unwrap_or_default(), repository.clone(),
                tag.as_ref().map(|t| format!(":{t}")).unwrap_or_default()].concat();
            let read = Reference::from_str(&text).unwrap();
            prop_assert_eq!(read.to_string(), text);
            prop_assert_eq!((read.registry, read.repository, read.tag), (registry, repository, tag));
        }
    }
}
