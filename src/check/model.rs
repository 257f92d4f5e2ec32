//! The probes of an exercise, as its YAML spells them.

pub use super::scalar::{Bounds, Count, Digest, Mode, Number, SignalName, Text};
pub use super::way::{AddressIs, Connected};
use crate::kernel::cgroup::limit::Event;
use crate::kernel::ns::Ns;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// One check: find something, expect something of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Names it in evidence, and for other checks (`same-as`).
    pub id: String,
    /// What kind of thing to find.
    pub find: Find,
    /// Which one: every condition must hold.
    #[serde(default, rename = "where")]
    pub conditions: Conditions,
    /// The meaning, when nothing is found.
    pub none: Option<String>,
    /// What must be so.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// A living process.
    Process,
    /// A control group, by path.
    Cgroup,
    /// A file of the host.
    File,
    /// A saved image: an archive or an OCI layout.
    Image,
    /// A fact that the witness has recorded.
    Event,
    /// A mount, of the host or as a process sees it.
    Mount,
    /// A network link, of the host or in a process's network namespace.
    Link,
}

/// How something is picked out. A condition that does not suit its kind is an error of the author's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Conditions {
    /// process: the hostname that it sees.
    pub hostname: Option<String>,
    /// process, event: its whole command line, words joined by a space.
    pub command: Option<Match>,
    /// process: variables it was started with.
    pub environment: BTreeMap<String, String>,
    /// process, event: its cgroup path in any hierarchy.
    pub cgroup: Option<Match>,
    /// process: a descendant of the learner's shell.
    pub shell_descendant: Option<bool>,
    /// process, event: its pid in its own pid namespace.
    pub inner_pid: Option<Number>,
    /// process: its namespaces.
    pub namespace: BTreeMap<Ns, Kinship>,
    /// cgroup, file: where.
    pub path: Option<String>,
    /// image: a docker or OCI archive.
    pub archive: Option<String>,
    /// image: an OCI layout directory.
    pub layout: Option<String>,
    /// image: a name of one in a registry, such as `127.0.0.1:5000/team/app:1`.
    pub registry: Option<String>,
    /// event: one of [`super::record::KINDS`]; link: its kind, such as `veth`.
    pub kind: Option<String>,
    /// event exit: the exit code.
    pub status: Option<Number>,
    /// event exit: the signal that ended it.
    pub signal: Option<Number>,
    /// mount: where.
    pub at: Option<String>,
    /// mount: file system type.
    #[serde(rename = "type")]
    pub fstype: Option<String>,
    /// mount: what was mounted.
    pub source: Option<Match>,
    /// link: its name.
    pub name: Option<String>,
    /// link: the name of the bridge or bond that it belongs to.
    pub master: Option<String>,
    /// mount, link: in the view of the process which this check found; without it, the host's.
    pub seen_by: Option<String>,
}

/// A text, or how it must be part of another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Match {
    /// Exactly this.
    Is(String),
    /// In some way this.
    In(MatchIn),
}

/// Ways of being part.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MatchIn {
    /// The same.
    Is(String),
    /// Somewhere in it.
    Contains(String),
    /// At its end.
    EndsWith(String),
}

impl Match {
    /// Does `text` fit?
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Match::Is(is) | Match::In(MatchIn::Is(is)) => text == is,
            Match::In(MatchIn::Contains(part)) => text.contains(part),
            Match::In(MatchIn::EndsWith(end)) => text.ends_with(end),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Is(is) | Match::In(MatchIn::Is(is)) => f.write_str(is),
            Match::In(MatchIn::Contains(part)) => write!(f, "…{part}…"),
            Match::In(MatchIn::EndsWith(end)) => write!(f, "…{end}"),
        }
    }
}

/// An expectation, what a failure of it means, and where to go from there.
#[derive(Debug, Clone, Deserialize)]
pub struct Expect {
    /// What must be so.
    #[serde(flatten)]
    pub that: Assertion,
    /// What it means if it is not.
    pub meaning: Option<String>,
    /// What to do or read then.
    pub next: Option<String>,
}

/// Something that must be so. Each variant's reader is in `look/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assertion {
    /// process: namespaces of its own, the host's, or another's.
    Namespace(BTreeMap<Ns, Kinship>),
    /// process: the hostname that it sees.
    Hostname(String),
    /// process: its pid in its own pid namespace.
    InnerPid(Number),
    /// process: how many processes its pid namespace has.
    Processes(Count),
    /// process: whose pid namespace the /proc shows that it sees.
    Proc(Own),
    /// process: its root file system.
    Root(Root),
    /// process: a mount that it sees.
    Mount(MountIs),
    /// process, cgroup: limits of the group.
    Limit(BTreeMap<LimitName, Text>),
    /// process, cgroup: how many processes the group has.
    Members(Count),
    /// process, cgroup: what the kernel counted in the group.
    Events(BTreeMap<Event, Count>),
    /// process: its capability sets.
    Capabilities(BTreeMap<SetName, SetIs>),
    /// process: whether exec can give it privilege.
    NoNewPrivileges(bool),
    /// process: `filter` or `none`.
    Seccomp(Text),
    /// process: its user id map.
    UidMap(Vec<MapLine>),
    /// process: its user id, as seen from here.
    Uid(Number),
    /// process: its group id, as seen from here.
    Gid(Number),
    /// process: links of its network namespace.
    Links(Links),
    /// process: a file or folder that another check's process sees too: the very same, no copy.
    Same(Same),
    /// process: a file as it sees it; image: a file of its layers.
    File(FileIs),
    /// process: variables it was started with.
    Environment(BTreeMap<String, String>),
    /// process, event, mount, link: how many were found.
    Count(Count),
    /// cgroup, file, mount, link: there or not.
    Exists(bool),
    /// file: its text, without the last newline.
    Is(Text),
    /// file: a part of its text.
    Contains(Text),
    /// file: the sha256 of its bytes, in hexadecimal.
    Sha256(Text),
    /// file: the digest of its bytes.
    Digest(Digest),
    /// file: its permission bits.
    Mode(Mode),
    /// file: whose it is.
    Owner(OwnerIs),
    /// process: a port that it, or its network namespace, listens on.
    Listens(Listens),
    /// process: an address of its network namespace.
    Address(AddressIs),
    /// process: where it sends what no other route knows: an address, or `none`.
    DefaultRoute(Text),
    /// process: a TCP connection that it holds.
    Connected(Connected),
    /// process: signals that reach it, when they are sent from outside.
    Heeds(Vec<SignalName>),
    /// mount: options that it has.
    Options(Vec<String>),
    /// mount: whether mounts below it spread to other namespaces.
    Propagation(Propagation),
    /// link: up or down.
    Up(bool),
    /// image: its layers.
    Layers(Layers),
    /// image: parts of its config.
    Config(ConfigIs),
    /// image: layers, from the lowest up, that are those of another check's image.
    Shared(Shared),
    /// image: another check's, or not that.
    Image(Kinship),
    /// image: a text that stands in none of its layers, and not in its config; process: one that
    /// stands neither in its environment nor in its command line.
    Nowhere(Text),
}

/// Whose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kinship {
    /// Not the host's.
    Own,
    /// The host's.
    Host,
    /// That of the process which another check found.
    SameAs(String),
    /// Not that of the process which another check found.
    DiffersFrom(String),
}

/// `own`, the only word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Own {
    /// Its own pid namespace's.
    Own,
}

/// A root file system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// Not the host's.
    Own,
    /// The host's.
    Host,
    /// Above that of one of its ancestors.
    Escaped,
    /// That of its mount namespace.
    Pivoted,
    /// One from which no mount leads to the host's.
    Sealed,
    /// Of this file system type.
    Type(String),
    /// The same read-only layers as that of another check's process.
    SameLayersAs(String),
}

/// A mount to be found, or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MountIs {
    /// Where.
    pub at: String,
    /// File system type.
    #[serde(rename = "type")]
    pub fstype: Option<String>,
    /// Options that it must have.
    #[serde(default)]
    pub options: Vec<String>,
    /// Must not be there.
    #[serde(default)]
    pub absent: bool,
}

/// A limit that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitName {
    /// Bytes of memory.
    Memory,
    /// Memory and swap together.
    MemorySwap,
    /// CPUs.
    #[serde(alias = "cpus")]
    Cpu,
    /// Processes.
    Pids,
}

/// The five capability sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum SetName {
    Effective,
    Permitted,
    Inheritable,
    Bounding,
    Ambient,
}

/// What a capability set must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SetIs {
    /// These are in it.
    pub has: Vec<CapName>,
    /// These are not.
    pub lacks: Vec<CapName>,
    /// These and no others.
    pub exactly: Option<Vec<CapName>>,
}

/// A capability, by a name that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapName(pub u64);

impl<'de> Deserialize<'de> for CapName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let mask = crate::kernel::caps::mask(&name);
        mask.map(CapName).ok_or_else(|| serde::de::Error::custom(format!("there is no capability {name:?} (capabilities(7))")))
    }
}

/// A line of an id map.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapLine {
    /// First id inside.
    pub inside: u32,
    /// First id outside; `learner` is whoever learns.
    pub outside: Text,
    /// How many.
    pub count: u32,
}

/// Links of a network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Links {
    /// These and no others.
    pub only: Option<Vec<String>>,
    /// These are there.
    pub has: Vec<String>,
    /// These are up.
    pub up: Vec<String>,
}

/// One file or folder in two views.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Same {
    /// Where this process sees it.
    pub path: String,
    /// The check that found the other process.
    pub with: String,
    /// Where that one sees it; without it, at the same path.
    pub there: Option<String>,
    /// It must *not* be the same.
    #[serde(default)]
    pub not: bool,
}

/// A file in somebody's view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FileIs {
    /// Where.
    pub path: String,
    /// Its text, without the last newline.
    pub is: Option<String>,
    /// A part of its text.
    pub contains: Option<String>,
    /// The sha256 of its bytes.
    pub sha256: Option<String>,
    /// The digest of its bytes.
    pub digest: Option<Digest>,
    /// Its permission bits.
    pub mode: Option<Mode>,
    /// Whose it is.
    pub owner: Option<OwnerIs>,
    /// Must not be there.
    pub absent: bool,
}

/// Layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Layers {
    /// How many.
    pub count: Option<Count>,
    /// Bytes of all their files together, unpacked.
    pub bytes: Option<Count>,
}

/// Layers that two images have in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shared {
    /// The id of the check that found the other image.
    pub with: String,
    /// How many are the same, counted from the lowest to the first that differs.
    pub layers: Option<Count>,
    /// A file whose layer, the uppermost that holds it, is among them.
    pub file: Option<String>,
}

/// Parts of an image's config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConfigIs {
    /// Variables that it sets.
    pub env: BTreeMap<String, String>,
    /// The command.
    pub cmd: Option<Vec<String>>,
    /// The entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// The user.
    pub user: Option<String>,
    /// The working directory.
    pub workdir: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Whose a file is, by ids as seen from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OwnerIs {
    /// User id; `learner` is whoever learns.
    pub uid: Option<Text>,
    /// Group id.
    pub gid: Option<Number>,
}

/// A listening socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Listens {
    /// TCP port.
    pub tcp: Option<Number>,
    /// UDP port.
    pub udp: Option<Number>,
    /// At this address and no other; `0.0.0.0` and `::` are every address.
    pub address: Option<std::net::IpAddr>,
    /// Who has it open.
    pub by: Listener,
    /// Nobody must.
    pub absent: bool,
}

/// Who listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listener {
    /// The process that was found.
    #[default]
    Process,
    /// Anybody in its network namespace.
    Namespace,
}

/// How a mount shares what is mounted below it (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Propagation {
    Private,
    Shared,
    Slave,
    Unbindable,
}
