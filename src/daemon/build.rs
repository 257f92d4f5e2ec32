//! `POST /build`: the classic builder's way. The context is a tar stream in the request, progress a line of
//! JSON for each that `skiff build` says.

use super::child::{Lines, fault, feed, skiff};
use super::fault::Fault;
use super::http::{Asked, Reply, json, streamed};
use super::Daemon;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

/// What of a query is a file or a number that the engine has no such thing of.
const REFUSED: [&str; 3] = ["remote", "squash", "outputs"];

/// Builds.
pub(super) async fn build(daemon: &Arc<Daemon>, mut asked: Asked) -> Reply {
    if asked.get("version") == Some("2") {
        return Err(Fault::bad("skiff has no BuildKit session; DOCKER_BUILDKIT=0 builds by the classic way"));
    }
    if let Some(name) = REFUSED.iter().find(|name| asked.is(name)) {
        return Err(Fault::bad(format!("skiff cannot heed {name} of a build")));
    }
    let file = daemon.settings.root.join(format!("build-{}", crate::engine::find::fresh_id()?));
    let words = words(&asked, &file.to_string_lossy())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    daemon.say(&format!("  skiff {}", words.join(" ")));
    let mut command = skiff(daemon, &words)?;
    let mut child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().map_err(|e| Fault::new(500, format!("cannot start skiff: {e}")))?;
    let fed = feed(&mut child, asked.body());
    let Some(from) = child.stderr.take() else { return Err(Fault::new(500, "skiff has no output")) };
    let (sender, response) = streamed("application/json");
    let (quiet, tags) = (asked.is("q"), asked.every("t"));
    tokio::spawn(async move {
        let mut said = String::new();
        let heard = async {
            let mut lines = Lines::of(from);
            while let Some(line) = lines.next().await {
                if line.starts_with("error: ") || !said.is_empty() {
                    said.push_str(&line);
                } else if !quiet && sender.send(format!("{}\n", json!({ "stream": line })).into()).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = async { tokio::join!(fed, heard) } => {}
            () = sender.closed() => return,
        }
        let ended = child.wait().await;
        let id = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        let mut last: Vec<Value> = Vec::new();
        if ended.is_ok_and(|status| status.success()) && !id.is_empty() {
            let short = id.trim_start_matches("sha256:").get(..12).unwrap_or(&id).to_owned();
            last.push(json!({ "aux": { "ID": id } }));
            last.push(json!({ "stream": if quiet { format!("{id}\n") } else { format!("Successfully built {short}\n") } }));
            if !quiet {
                last.extend(tags.iter().map(|t| json!({ "stream": format!("Successfully tagged {}\n", t.parse::<crate::image::Reference>().map_or_else(|_| t.clone(), |r| r.key())) })));
            }
        } else {
            let message = fault(&said).message;
            last.push(json!({ "errorDetail": { "message": message }, "error": message }));
        }
        for line in last {
            let _ = sender.send(format!("{line}\n").into()).await;
        }
    });
    Ok(response)
}

fn words(asked: &Asked, id_file: &str) -> Result<Vec<String>, Fault> {
    let mut words: Vec<String> = ["build", "--progress=plain"].map(String::from).to_vec();
    words.push(format!("--iidfile={id_file}"));
    words.extend(asked.get("dockerfile").map(|f| format!("--file={f}")));
    words.extend(asked.every("t").iter().map(|t| format!("--tag={t}")));
    words.extend(asked.get("target").map(|t| format!("--target={t}")));
    words.extend(asked.get("networkmode").filter(|n| *n != "default").map(|n| format!("--network={n}")));
    words.extend(asked.get("platform").map(|p| format!("--platform={p}")));
    words.extend(asked.is("nocache").then(|| "--no-cache".to_owned()));
    words.extend(asked.is("pull").then(|| "--pull".to_owned()));
    words.extend(asked.get("extrahosts").into_iter().flat_map(|h| h.split(',')).map(|h| format!("--add-host={h}")));
    for (name, flag) in [("buildargs", "--build-arg"), ("labels", "--label")] {
        let Some(text) = asked.get(name) else { continue };
        let all: BTreeMap<String, Option<String>> = serde_json::from_str(text).map_err(|e| Fault::bad(format!("error reading {name}: {e}")))?;
        words.extend(all.into_iter().filter_map(|(key, value)| Some(format!("{flag}={key}={}", value?))));
    }
    words.push("-".into());
    Ok(words)
}

/// `POST /build/prune`.
pub(super) async fn prune(daemon: &Arc<Daemon>) -> Reply {
    let root = daemon.settings.root.clone();
    let pruned = super::http::apart(move || Ok(crate::build::cache::prune(&root)?)).await?;
    json(200, &json!({ "CachesDeleted": pruned.keys, "SpaceReclaimed": pruned.bytes }))
}
