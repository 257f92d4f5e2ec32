//! `RUN --mount`: what is shown to a command and does not become part of its layer.

use super::config::cleaned;
use std::path::PathBuf;

/// How several builds share one cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// At once.
    Shared,
    /// One after the other.
    Locked,
    /// Each its own where another has it.
    Private,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Files of the context, a stage or an image; writes are lost.
    Bind {
        /// The stage or image.
        from: Option<String>,
        /// What of it.
        source: String,
        /// May it be written.
        writable: bool,
    },
    /// A folder that stays from build to build.
    Cache {
        /// Its name.
        id: String,
        /// With others.
        sharing: Sharing,
        /// Mode, owner and group of a new one.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// May it only be read.
        read_only: bool,
    },
    /// A file that is in no layer.
    Secret {
        /// Its name.
        id: String,
        /// Without it the command does not run.
        required: bool,
        /// Mode, owner and group.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// It is an environment variable, and maybe no file.
        env: Option<String>,
        /// It is a file.
        file: bool,
    },
    /// A folder in memory.
    Tmpfs {
        /// Bytes at most.
        size: Option<String>,
    },
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub kind: Kind,
    /// Where, absolute.
    pub target: PathBuf,
}

/// Reads `type=cache,target=/root/.cache`; a relative target lies in `workdir`.
pub fn parse(text: &str, workdir: &str) -> Result<Mount, String> {
    let mut fields = Fields::default();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        fields.set(key.trim(), value.trim().trim_matches('"'), part.contains('='))?;
    }
    fields.mount(workdir)
}

#[derive(Default)]
struct Fields {
    kind: Option<String>,
    target: Option<String>,
    source: Option<String>,
    from: Option<String>,
    id: Option<String>,
    sharing: Option<String>,
    size: Option<String>,
    env: Option<String>,
    mode: Option<u32>,
    uid: u32,
    gid: u32,
    required: bool,
    writable: Option<bool>,
}

impl Fields {
    fn set(&mut self, key: &str, value: &str, has_value: bool) -> Result<(), String> {
        let owned = || Some(value.to_owned());
        let truth = || match value {
            "" if !has_value => Ok(true),
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("invalid value for {key}: {other}")),
        };
        let number = || value.parse::<u32>().map_err(|_| format!("invalid value for {key}: {value}"));
        match key {
            "type" => self.kind = owned(),
            "target" | "dst" | "destination" => self.target = owned(),
            "source" | "src" => self.source = owned(),
            "from" => self.from = owned(),
            "id" => self.id = owned(),
            "sharing" => self.sharing = owned(),
            "size" => self.size = owned(),
            "env" => self.env = owned(),
            "mode" => self.mode = Some(u32::from_str_radix(value, 8).map_err(|_| format!("invalid value for mode: {value}"))?),
            "uid" => self.uid = number()?,
            "gid" => self.gid = number()?,
            "required" => self.required = truth()?,
            "rw" | "readwrite" => self.writable = Some(truth()?),
            "ro" | "readonly" => self.writable = Some(!truth()?),
            other => return Err(format!("unexpected key '{other}' in the mount")),
        }
        Ok(())
    }

    fn mount(self, workdir: &str) -> Result<Mount, String> {
        let absolute = |path: &str| PathBuf::from(cleaned(&if path.starts_with('/') { path.to_owned() } else { format!("{workdir}/{path}") }));
        let target = self.target.as_deref().map(absolute);
        let needed = |what: &str| format!("a mount of the type {what} needs a target: target=/path");
        let kind = self.kind.as_deref().unwrap_or("bind");
        Ok(match kind {
            "bind" => {
                let kind = Kind::Bind { from: self.from, source: self.source.unwrap_or_default(), writable: self.writable.unwrap_or(false) };
                Mount { kind, target: target.ok_or_else(|| needed("bind"))? }
            }
            "cache" => {
                let target = target.ok_or_else(|| needed("cache"))?;
                if self.from.is_some() || self.source.is_some() {
                    return Err("caches begin empty here: from and source are not done".into());
                }
                let sharing = match self.sharing.as_deref() {
                    None | Some("shared") => Sharing::Shared,
                    Some("locked") => Sharing::Locked,
                    Some("private") => Sharing::Private,
                    Some(other) => return Err(format!("unsupported sharing value {other:?}: shared, private or locked")),
                };
                let id = self.id.unwrap_or_else(|| target.display().to_string());
                let mode = self.mode.unwrap_or(0o755);
                Mount { kind: Kind::Cache { id, sharing, mode, uid: self.uid, gid: self.gid, read_only: self.writable == Some(false) }, target }
            }
            "secret" => {
                let id = self.id.or(self.source).or_else(|| target.as_ref().and_then(|t| t.file_name()).map(|n| n.to_string_lossy().into_owned()));
                let id = id.ok_or("a secret needs a name: id=NAME")?;
                let file = self.env.is_none() || target.is_some();
                let target = target.unwrap_or_else(|| PathBuf::from("/run/secrets").join(&id));
                let kind = Kind::Secret { id, required: self.required, mode: self.mode.unwrap_or(0o400), uid: self.uid, gid: self.gid, env: self.env, file };
                Mount { kind, target }
            }
            "tmpfs" => Mount { kind: Kind::Tmpfs { size: self.size }, target: target.ok_or_else(|| needed("tmpfs"))? },
            "ssh" => return Err("mounts of the type ssh are not done here: skiff hands no agent to a build; --mount=type=secret takes a key".into()),
            other => return Err(format!("unsupported mount type {other:?}: bind, cache, secret or tmpfs")),
        })
    }
}
