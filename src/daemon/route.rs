//! From a path to what answers it: the version before it, then the subject, then the rest.

use super::fault::Fault;
use super::http::{Asked, Reply, decoded, json};
use super::{Daemon, build, changes, containers, exec, files, images, networks, registries, system, volumes};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response};
use serde_json::json;
use std::sync::Arc;

/// The newest version of the API that is spoken.
pub(super) const NEWEST: (u32, u32) = (1, 50);
/// The oldest.
pub(super) const OLDEST: (u32, u32) = (1, 24);

/// One request.
pub(super) async fn one(State(daemon): State<Arc<Daemon>>, mut request: Request) -> Response<Body> {
    let upgrade = request.headers().contains_key("upgrade").then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let line = format!("{} {}", parts.method, parts.uri);
    let head = parts.method == Method::HEAD;
    daemon.say(&line);
    let answered = match path(parts.uri.path()) {
        Err(fault) => Err(fault),
        Ok((version, path)) => {
            let mut asked = Asked::new(parts.method, version, path, parts.uri.query().unwrap_or_default(), parts.headers, body);
            asked.upgrade = upgrade;
            answer(&daemon, asked).await
        }
    };
    if let Err(fault) = &answered {
        daemon.say(&format!("  {line}: {} {}", fault.status, fault.message));
    }
    let mut response = answered.unwrap_or_else(Fault::into_http);
    let version = HeaderValue::from_str(&format!("{}.{}", NEWEST.0, NEWEST.1));
    let headers = response.headers_mut();
    headers.extend(version.into_iter().map(|v| (axum::http::HeaderName::from_static("api-version"), v)));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("server", HeaderValue::from_static(concat!("Skiff/", env!("CARGO_PKG_VERSION"), " (linux)")));
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// The version, the newest where there is none, and the pieces behind it.
fn path(text: &str) -> Result<((u32, u32), Vec<String>), Fault> {
    let mut pieces: Vec<String> = text.trim_start_matches('/').split('/').map(decoded).collect();
    let version = pieces.first().and_then(|first| {
        let (major, minor) = first.strip_prefix('v')?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    if pieces.iter().any(|p| p == ".." || p == ".") {
        return Err(Fault::new(404, "page not found"));
    }
    let Some(version) = version else { return Ok((NEWEST, pieces)) };
    let (newest, oldest) = (format!("{}.{}", NEWEST.0, NEWEST.1), format!("{}.{}", OLDEST.0, OLDEST.1));
    if version > NEWEST {
        return Err(Fault::bad(format!("client version {}.{} is too new. Maximum supported API version is {newest}", version.0, version.1)));
    }
    if version < OLDEST {
        return Err(Fault::bad(format!("client version {}.{} is too old. Minimum supported API version is {oldest}, please upgrade your client to a newer version", version.0, version.1)));
    }
    pieces.remove(0);
    Ok((version, pieces))
}

async fn answer(daemon: &Arc<Daemon>, asked: Asked) -> Reply {
    let path = asked.path.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = if asked.method == Method::HEAD { "GET".to_owned() } else { asked.method.to_string() };
    match (method.as_str(), path.as_slice()) {
        (_, ["containers", id, "archive"]) => files::answer(daemon, asked, id).await,
        (method, ["containers", rest @ ..]) => containers::answer(daemon, asked, method, rest).await,
        (_, ["exec", id, what]) => exec::answer(daemon, asked, id, what).await,
        ("POST", ["images", "create"]) => registries::pull(daemon, asked).await,
        ("POST", ["images", name @ .., "push"]) => registries::push(daemon, asked, &name.join("/")).await,
        ("GET", ["images", "search"]) => registries::search(daemon, asked).await,
        ("GET", ["distribution", ..]) => Err(Fault::new(501, "skiff asks a registry only to pull and to push")),
        ("POST", ["auth"]) => registries::auth(daemon, asked).await,
        (method, ["images", rest @ ..]) => images::answer(daemon, asked, method, rest).await,
        ("POST", ["commit"]) => changes::commit(daemon, asked).await,
        ("POST", ["build"]) => build::build(daemon, asked).await,
        ("POST", ["build", "prune"]) => build::prune(daemon).await,
        (method, ["networks", rest @ ..]) => networks::answer(daemon, asked, method, rest).await,
        (method, ["volumes", rest @ ..]) => volumes::answer(daemon, asked, method, rest).await,
        ("GET", ["_ping"]) => Ok(system::ping()),
        ("GET", ["version"]) => system::version(),
        ("GET", ["info"]) => system::info(daemon).await,
        ("GET", ["events"]) => system::events(daemon, asked).await,
        ("GET", ["system", "df"]) => system::df(daemon).await,
        ("GET", ["plugins"]) => json(200, &json!([])),
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..]) => {
            Err(Fault::new(503, "This node is not a swarm manager, and skiff has no Swarm."))
        }
        ("POST", ["session" | "grpc"]) => Err(Fault::new(404, "page not found: skiff has no BuildKit session; DOCKER_BUILDKIT=0 builds by the classic way")),
        _ => Err(Fault::new(404, "page not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_before_the_path_or_not() {
        let read = |text: &str| path(text).map_err(|f| f.message);
        assert_eq!(read("/v1.41/containers/a%2Fb/json"), Ok(((1, 41), vec!["containers".into(), "a/b".into(), "json".into()])));
        assert_eq!(read("/info"), Ok((NEWEST, vec!["info".into()])));
        assert_eq!(read("/v1.12/info"), Err("client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version".into()));
        assert_eq!(read("/v1.99/info"), Err("client version 1.99 is too new. Maximum supported API version is 1.50".into()));
        assert_eq!(read("/containers/%2e%2e/json"), Err("page not found".into()));
    }
}
