//! What may stand in a compose file (Compose specification), as data: each key with the shape of its
//! value, and whether anything is done about it here. What the specification knows and skiff does not
//! do is named all the same, so that the reader is told and not left to wonder.

/// The shape of a value.
#[derive(Debug)]
pub enum Shape {
    /// Whatever there is.
    Any,
    /// Text; a number or a truth is taken as its text.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Bytes, as `64m`.
    Size,
    /// Permissions, as `0440`.
    Mode,
    /// A time, as `1m30s`.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text that a shell would split, or a list of words.
    Command,
    /// A text, or a list of texts.
    Texts,
    /// `NAME=VALUE` in a list, or a mapping of names to texts.
    Pairs,
    /// A list.
    List(&'static Shape),
    /// Names of the user's own.
    Map(&'static Shape),
    /// These keys, and those that begin with `x-`.
    Object(&'static [Key]),
    /// The one if it is a mapping or a list of them, else the other.
    Either(&'static Shape, &'static Shape),
}

/// A key of an object.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Its value.
    pub shape: &'static Shape,
    /// Why nothing is done about it; `None` if something is.
    pub idle: Option<&'static str>,
}

use Shape::{Any, Command, Duration, Either, Flag, List, Map, Mode, Number, Object, Pairs, Size, Text, Texts, Whole, Word};

const fn key(name: &'static str, shape: &'static Shape) -> Key {
    Key { name, shape, idle: None }
}

/// A key of the specification that is not heeded.
const fn idle(name: &'static str, why: &'static str) -> Key {
    Key { name, shape: &Any, idle: Some(why) }
}

const NOT_HERE: &str = "skiff does not do this";
const SWARM: &str = "it is for clusters";
const WINDOWS: &str = "it is for Windows";

const MAP_OF_TEXT: Shape = Map(&Text);

/// A whole file.
pub const FILE: Shape = Object(&[
    Key { name: "version", shape: &Text, idle: Some("it is obsolete; it can be left out") },
    key("name", &Text),
    key("include", &List(&Either(&INCLUDE, &Text))),
    key("services", &Map(&SERVICE)),
    key("networks", &Map(&NETWORK)),
    key("volumes", &Map(&VOLUME)),
    key("secrets", &Map(&CONTENT)),
    key("configs", &Map(&CONTENT)),
    idle("models", NOT_HERE),
]);

const INCLUDE: Shape = Object(&[key("path", &Texts), key("project_directory", &Text), key("env_file", &Texts)]);

/// One service.
pub const SERVICE: Shape = Object(&[
    idle("annotations", NOT_HERE),
    key("attach", &Flag),
    idle("blkio_config", NOT_HERE),
    key("build", &Either(&BUILD, &Text)),
    key("cap_add", &List(&Text)),
    key("cap_drop", &List(&Text)),
    idle("cgroup", "each container has a cgroup of its own"),
    idle("cgroup_parent", "containers lie below the cgroup skiff"),
    key("command", &Command),
    key("configs", &List(&Either(&GRANT, &Text))),
    key("container_name", &Text),
    idle("cpu_count", WINDOWS),
    idle("cpu_percent", WINDOWS),
    idle("cpu_period", "`cpus` says the same in one number"),
    idle("cpu_quota", "`cpus` says the same in one number"),
    idle("cpu_rt_period", NOT_HERE),
    idle("cpu_rt_runtime", NOT_HERE),
    key("cpu_shares", &Whole),
    key("cpus", &Number),
    idle("cpuset", NOT_HERE),
    idle("credential_spec", WINDOWS),
    key("depends_on", &Either(&Map(&DEPENDENCY), &List(&Text))),
    key("deploy", &DEPLOY),
    idle("develop", NOT_HERE),
    idle("device_cgroup_rules", NOT_HERE),
    idle("devices", NOT_HERE),
    key("dns", &Texts),
    key("dns_opt", &List(&Text)),
    key("dns_search", &Texts),
    idle("domainname", NOT_HERE),
    key("entrypoint", &Command),
    key("env_file", &Either(&List(&Either(&ENV_FILE, &Text)), &Text)),
    key("environment", &Pairs),
    key("expose", &List(&Text)),
    key("extends", &Either(&EXTENDS, &Text)),
    idle("external_links", NOT_HERE),
    key("extra_hosts", &Either(&Map(&Texts), &List(&Text))),
    idle("gpus", NOT_HERE),
    idle("group_add", NOT_HERE),
    key("healthcheck", &HEALTH),
    key("hostname", &Text),
    key("image", &Text),
    key("init", &Flag),
    key("ipc", &Text),
    idle("isolation", WINDOWS),
    key("labels", &Pairs),
    idle("links", "services of a network find each other by name"),
    key("logging", &LOGGING),
    idle("mac_address", NOT_HERE),
    key("mem_limit", &Size),
    idle("mem_reservation", NOT_HERE),
    idle("mem_swappiness", NOT_HERE),
    key("memswap_limit", &Size),
    idle("models", NOT_HERE),
    key("network_mode", &Text),
    key("networks", &Either(&Map(&PLACE), &List(&Text))),
    idle("oom_kill_disable", NOT_HERE),
    idle("oom_score_adj", NOT_HERE),
    key("pid", &Text),
    key("pids_limit", &Whole),
    key("platform", &Text),
    key("ports", &List(&Either(&PORT, &Text))),
    idle("post_start", NOT_HERE),
    idle("pre_stop", NOT_HERE),
    key("privileged", &Flag),
    key("profiles", &List(&Text)),
    idle("provider", NOT_HERE),
    key("pull_policy", &Word(&["always", "never", "missing", "if_not_present", "build", "daily", "weekly"])),
    key("read_only", &Flag),
    key("restart", &Text),
    idle("runtime", "there is one runtime: skiff"),
    key("scale", &Whole),
    key("secrets", &List(&Either(&GRANT, &Text))),
    key("security_opt", &List(&Text)),
    key("shm_size", &Size),
    key("stdin_open", &Flag),
    key("stop_grace_period", &Duration),
    key("stop_signal", &Text),
    idle("storage_opt", NOT_HERE),
    idle("sysctls", NOT_HERE),
    key("tmpfs", &Texts),
    key("tty", &Flag),
    key("ulimits", &Map(&Either(&ULIMIT, &Whole))),
    idle("use_api_socket", "there is no daemon with a socket"),
    key("user", &Text),
    idle("userns_mode", NOT_HERE),
    key("uts", &Text),
    key("volumes", &List(&Either(&MOUNT, &Text))),
    key("volumes_from", &List(&Text)),
    key("working_dir", &Text),
]);

const BUILD: Shape = Object(&[
    idle("additional_contexts", NOT_HERE),
    key("args", &Pairs),
    idle("cache_from", "the cache is the store's own"),
    idle("cache_to", "the cache is the store's own"),
    key("context", &Text),
    key("dockerfile", &Text),
    key("dockerfile_inline", &Text),
    idle("entitlements", NOT_HERE),
    key("extra_hosts", &Either(&Map(&Texts), &List(&Text))),
    idle("isolation", WINDOWS),
    key("labels", &Pairs),
    key("network", &Text),
    key("no_cache", &Flag),
    idle("platforms", "an image is built for this machine"),
    idle("privileged", NOT_HERE),
    idle("provenance", NOT_HERE),
    key("pull", &Flag),
    idle("sbom", NOT_HERE),
    key("secrets", &List(&Either(&GRANT, &Text))),
    idle("shm_size", NOT_HERE),
    idle("ssh", NOT_HERE),
    key("tags", &List(&Text)),
    key("target", &Text),
    idle("ulimits", NOT_HERE),
]);

const DEPENDENCY: Shape = Object(&[
    key("condition", &Word(&["service_started", "service_healthy", "service_completed_successfully"])),
    key("restart", &Flag),
    key("required", &Flag),
]);

const DEPLOY: Shape = Object(&[
    idle("endpoint_mode", SWARM),
    idle("labels", SWARM),
    idle("mode", SWARM),
    idle("placement", SWARM),
    key("replicas", &Whole),
    key("resources", &Object(&[key("limits", &LIMITS), key("reservations", &RESERVED)])),
    key("restart_policy", &Object(&[key("condition", &Word(&["none", "on-failure", "any"])), idle("delay", NOT_HERE), key("max_attempts", &Whole), idle("window", NOT_HERE)])),
    idle("rollback_config", SWARM),
    idle("update_config", SWARM),
]);

const LIMITS: Shape = Object(&[key("cpus", &Number), key("memory", &Size), key("pids", &Whole)]);
const RESERVED: Shape = Object(&[idle("cpus", SWARM), idle("memory", SWARM), idle("devices", NOT_HERE), idle("generic_resources", SWARM)]);
const ENV_FILE: Shape = Object(&[key("path", &Text), key("required", &Flag), idle("format", NOT_HERE)]);
const EXTENDS: Shape = Object(&[key("file", &Text), key("service", &Text)]);
const LOGGING: Shape = Object(&[key("driver", &Text), key("options", &MAP_OF_TEXT)]);
const ULIMIT: Shape = Object(&[key("soft", &Whole), key("hard", &Whole)]);

const HEALTH: Shape = Object(&[
    key("disable", &Flag),
    key("interval", &Duration),
    key("retries", &Whole),
    idle("start_interval", NOT_HERE),
    key("start_period", &Duration),
    key("test", &Texts),
    key("timeout", &Duration),
]);

/// A secret or config as a service has it.
const GRANT: Shape = Object(&[key("gid", &Text), key("mode", &Mode), key("source", &Text), key("target", &Text), key("uid", &Text)]);

const PLACE: Shape = Object(&[
    key("aliases", &List(&Text)),
    idle("driver_opts", NOT_HERE),
    idle("gw_priority", NOT_HERE),
    idle("interface_name", NOT_HERE),
    key("ipv4_address", &Text),
    idle("ipv6_address", "skiff's networks carry IPv4"),
    idle("link_local_ips", NOT_HERE),
    idle("mac_address", NOT_HERE),
    key("priority", &Whole),
]);

const PORT: Shape = Object(&[
    idle("app_protocol", "it is a note for people"),
    key("host_ip", &Text),
    key("mode", &Word(&["host", "ingress"])),
    idle("name", "it is a note for people"),
    key("protocol", &Word(&["tcp", "udp"])),
    key("published", &Text),
    key("target", &Whole),
]);

const MOUNT: Shape = Object(&[
    key("bind", &Object(&[key("create_host_path", &Flag), key("propagation", &Text), idle("recursive", NOT_HERE), idle("selinux", NOT_HERE)])),
    idle("consistency", "it is for Docker Desktop"),
    idle("image", NOT_HERE),
    key("read_only", &Flag),
    key("source", &Text),
    key("target", &Text),
    key("tmpfs", &Object(&[key("mode", &Text), key("size", &Size)])),
    key("type", &Word(&["bind", "volume", "tmpfs"])),
    key("volume", &Object(&[key("labels", &Pairs), key("nocopy", &Flag), idle("subpath", NOT_HERE)])),
]);

const NETWORK: Shape = Object(&[
    key("attachable", &Flag),
    key("driver", &Word(&["bridge", "default"])),
    idle("driver_opts", NOT_HERE),
    idle("enable_ipv4", "skiff's networks carry IPv4"),
    idle("enable_ipv6", "skiff's networks carry IPv4"),
    key("external", &Flag),
    key("internal", &Flag),
    key("ipam", &Object(&[key("driver", &Word(&["default"])), key("config", &List(&POOL)), idle("options", NOT_HERE)])),
    key("labels", &Pairs),
    key("name", &Text),
]);

const POOL: Shape = Object(&[idle("aux_addresses", NOT_HERE), key("gateway", &Text), idle("ip_range", NOT_HERE), key("subnet", &Text)]);

const VOLUME: Shape = Object(&[
    key("driver", &Word(&["local"])),
    key("driver_opts", &MAP_OF_TEXT),
    key("external", &Flag),
    key("labels", &Pairs),
    key("name", &Text),
]);

/// A secret or a config, and where its content is.
const CONTENT: Shape = Object(&[
    key("content", &Text),
    idle("driver", SWARM),
    idle("driver_opts", SWARM),
    key("environment", &Text),
    key("external", &Flag),
    key("file", &Text),
    key("labels", &Pairs),
    key("name", &Text),
    idle("template_driver", SWARM),
]);
