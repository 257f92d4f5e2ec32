//! A project as values: the merged tree, read. What each field means is said by the Compose
//! specification under the same name.
#![allow(missing_docs)] // the specification's own names, one field each

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    pub attach: Option<bool>,
    pub build: Option<Build>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub command: Option<Vec<String>>,
    pub configs: Vec<Grant>,
    pub container_name: Option<String>,
    pub cpu_shares: Option<u64>,
    pub cpus: Option<f64>,
    pub depends_on: BTreeMap<String, Dependency>,
    pub deploy: Deploy,
    pub dns: Vec<String>,
    pub dns_opt: Vec<String>,
    pub dns_search: Vec<String>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: BTreeMap<String, Option<String>>,
    pub expose: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub healthcheck: Health,
    pub hostname: Option<String>,
    pub image: Option<String>,
    pub init: bool,
    pub ipc: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub logging: Logging,
    pub mem_limit: Option<String>,
    pub memswap_limit: Option<String>,
    pub network_mode: Option<String>,
    pub networks: BTreeMap<String, Option<Place>>,
    pub pid: Option<String>,
    pub pids_limit: Option<i64>,
    pub platform: Option<String>,
    pub ports: Vec<Port>,
    pub privileged: bool,
    pub profiles: Vec<String>,
    pub pull_policy: Option<String>,
    pub read_only: bool,
    pub restart: Option<String>,
    pub scale: Option<u32>,
    pub secrets: Vec<Grant>,
    pub security_opt: Vec<String>,
    pub shm_size: Option<String>,
    pub stdin_open: bool,
    pub stop_grace_period: Option<String>,
    pub stop_signal: Option<String>,
    pub tmpfs: Vec<String>,
    pub tty: bool,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub user: Option<String>,
    pub uts: Option<String>,
    pub volumes: Vec<Mount>,
    pub volumes_from: Vec<String>,
    pub working_dir: Option<PathBuf>,
}

impl Service {
    /// How many containers it has.
    pub fn replicas(&self) -> u32 {
        self.scale.or(self.deploy.replicas).unwrap_or(1)
    }

    /// Its image: as the file says, or named after project and service where it is built.
    pub fn image_name(&self, project: &str, service: &str) -> String {
        self.image.clone().unwrap_or_else(|| format!("{project}-{service}"))
    }

    /// The service that a word such as `service:db` in `network_mode` names.
    pub fn network_of(&self) -> Option<&str> {
        self.network_mode.as_deref()?.strip_prefix("service:")
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Build {
    pub args: BTreeMap<String, Option<String>>,
    pub context: String,
    pub dockerfile: Option<String>,
    pub dockerfile_inline: Option<String>,
    pub extra_hosts: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub network: Option<String>,
    pub no_cache: bool,
    pub pull: bool,
    pub secrets: Vec<Grant>,
    pub tags: Vec<String>,
    pub target: Option<String>,
}

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    ServiceStarted,
    ServiceHealthy,
    ServiceCompletedSuccessfully,
}

impl Condition {
    /// As the file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Condition::ServiceStarted => "service_started",
            Condition::ServiceHealthy => "service_healthy",
            Condition::ServiceCompletedSuccessfully => "service_completed_successfully",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    pub condition: Condition,
    #[serde(default)]
    pub restart: bool,
    #[serde(default)]
    pub required: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deploy {
    pub replicas: Option<u32>,
    pub resources: Resources,
    pub restart_policy: RestartPolicy,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub limits: Limits,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub cpus: Option<f64>,
    pub memory: Option<String>,
    pub pids: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    pub condition: Option<String>,
    pub max_attempts: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub disable: bool,
    pub interval: Option<String>,
    pub retries: Option<u64>,
    pub start_period: Option<String>,
    pub test: Option<Vec<String>>,
    pub timeout: Option<String>,
}

/// A secret or a config, as a service has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Grant {
    pub gid: Option<String>,
    pub mode: Option<String>,
    pub source: String,
    pub target: Option<String>,
    pub uid: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Logging {
    pub driver: Option<String>,
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Place {
    pub aliases: Vec<String>,
    pub ipv4_address: Option<String>,
    pub priority: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    pub host_ip: Option<String>,
    pub protocol: String,
    pub published: Option<String>,
    pub target: u16,
}

impl Port {
    /// As `-p` takes it.
    pub fn short(&self) -> String {
        let (host, published) = (self.host_ip.as_deref().unwrap_or_default(), self.published.as_deref().unwrap_or_default());
        let before = match (host, published) {
            ("", "") => String::new(),
            ("", published) => format!("{published}:"),
            (host, published) => format!("{host}:{published}:"),
        };
        format!("{before}{}/{}", self.target, self.protocol)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    Bind,
    #[default]
    Volume,
    Tmpfs,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Mount {
    #[serde(rename = "type")]
    pub kind: MountKind,
    pub source: Option<String>,
    pub target: PathBuf,
    pub read_only: bool,
    pub bind: BindOptions,
    pub volume: VolumeOptions,
    pub tmpfs: TmpfsOptions,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    pub create_host_path: bool,
    pub propagation: Option<String>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { create_host_path: true, propagation: None }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    pub nocopy: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    pub mode: Option<String>,
    pub size: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}

/// A network of the project.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    pub name: String,
    pub external: bool,
    pub internal: bool,
    pub ipam: Ipam,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ipam {
    pub config: Vec<Pool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pool {
    pub subnet: Option<String>,
    pub gateway: Option<String>,
}

/// A volume of the project.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Volume {
    pub name: String,
    pub external: bool,
    pub driver_opts: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

/// A secret or a config of the project.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Content {
    pub content: Option<String>,
    pub environment: Option<String>,
    pub external: bool,
    pub file: Option<PathBuf>,
    pub name: String,
}
