//! Which conditions and assertions suit which kind of thing: what an author may ask.
//!
//! The YAML's shape is checked where it is read; this is about its sense. Whatever is found here
//! would otherwise be passed over, or answered with "cannot tell" on every machine.

use super::model::{Assertion, Check, Conditions, FileIs, Find, Kinship, OwnerIs, Root};
use super::record::KINDS;

/// All that is wrong with the checks of one exercise, in words for their author.
pub fn problems(checks: &[Check]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        let mut told = conditions(check);
        told.extend(check.expect.iter().flat_map(|e| assertion(check, &e.that)));
        if checks[..number].iter().any(|c| c.id == check.id) {
            told.push("this id is taken".into());
        }
        let wanted = if check.find == Find::Image { Find::Image } else { Find::Process };
        let thing = if wanted == Find::Image { "an image" } else { "a process" };
        let earlier = |id: &str| checks[..number].iter().any(|c| c.id == id && c.find == wanted);
        told.extend(references(check).into_iter().filter(|id| !earlier(id)).map(|id| format!("`{id}` is no check above it that finds {thing}")));
        found.extend(told.into_iter().map(|problem| format!("check {}: {problem}", check.id)));
    }
    found
}

fn conditions(check: &Check) -> Vec<String> {
    let allowed: &[&str] = match check.find {
        Find::Process => &["hostname", "command", "environment", "cgroup", "shell-descendant", "inner-pid", "namespace"],
        Find::Cgroup | Find::File => &["path"],
        Find::Image => &["archive", "layout", "registry"],
        Find::Event => &["kind", "command", "cgroup", "inner-pid", "status", "signal"],
        Find::Mount => &["at", "type", "source", "seen-by"],
        Find::Link => &["name", "kind", "master", "seen-by"],
    };
    let set = set(&check.conditions);
    let mut told: Vec<String> = Vec::new();
    let thing = word(&format!("{:?}", check.find));
    told.extend(set.iter().filter(|name| !allowed.contains(name)).map(|name| format!("`where: {name}` says nothing of a {thing}; expected {}", allowed.join(", "))));
    if !set.iter().any(|name| allowed.contains(name) && *name != "seen-by") {
        told.push(format!("`where` says of no {thing} which one; expected {}", allowed.join(", ")));
    }
    let c = &check.conditions;
    let kind = c.kind.as_deref();
    if check.find == Find::Event && !kind.is_some_and(|k| KINDS.contains(&k)) {
        told.push(format!("an event's kind is one of {}; this one is {}", KINDS.join(", "), kind.unwrap_or("none")));
    }
    if check.find == Find::Event && kind != Some("exit") && (c.status.is_some() || c.signal.is_some()) {
        told.push("only an exit has a status or a signal".into());
    }
    if check.find == Find::Event && !matches!(kind, Some("exec" | "exit")) && c.inner_pid.is_some() {
        told.push("only of an exec or an exit is it known which number the process has in its own PID namespace".into());
    }
    if c.namespace.values().any(|k| matches!(k, Kinship::SameAs(_) | Kinship::DiffersFrom(_))) {
        told.push("`where: namespace` knows own and host; same-as and differs-from belong into `expect`".into());
    }
    told
}

/// The conditions that are given, as YAML spells them.
fn set(c: &Conditions) -> Vec<&'static str> {
    let all = [
        ("hostname", c.hostname.is_some()),
        ("command", c.command.is_some()),
        ("environment", !c.environment.is_empty()),
        ("cgroup", c.cgroup.is_some()),
        ("shell-descendant", c.shell_descendant.is_some()),
        ("inner-pid", c.inner_pid.is_some()),
        ("namespace", !c.namespace.is_empty()),
        ("path", c.path.is_some()),
        ("archive", c.archive.is_some()),
        ("layout", c.layout.is_some()),
        ("registry", c.registry.is_some()),
        ("kind", c.kind.is_some()),
        ("status", c.status.is_some()),
        ("signal", c.signal.is_some()),
        ("at", c.at.is_some()),
        ("type", c.fstype.is_some()),
        ("source", c.source.is_some()),
        ("name", c.name.is_some()),
        ("master", c.master.is_some()),
        ("seen-by", c.seen_by.is_some()),
    ];
    all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

fn assertion(check: &Check, that: &Assertion) -> Option<String> {
    use Assertion as A;
    let suits = match check.find {
        Find::Process => !matches!(
            that,
            A::Exists(_) | A::Is(_) | A::Contains(_) | A::Sha256(_) | A::Digest(_) | A::Mode(_) | A::Owner(_) | A::Options(_) | A::Propagation(_) | A::Up(_) | A::Layers(_) | A::Config(_) | A::Shared(_) | A::Image(_)
        ),
        Find::Cgroup => matches!(that, A::Exists(_) | A::Limit(_) | A::Members(_) | A::Events(_)),
        Find::File => matches!(that, A::Exists(_) | A::Is(_) | A::Contains(_) | A::Sha256(_) | A::Digest(_) | A::Mode(_) | A::Owner(_)),
        Find::Image => matches!(that, A::Layers(_) | A::File(_) | A::Config(_) | A::Shared(_) | A::Image(_) | A::Nowhere(_)),
        Find::Event => matches!(that, A::Count(_)),
        Find::Mount => matches!(that, A::Exists(_) | A::Count(_) | A::Options(_) | A::Propagation(_)),
        Find::Link => matches!(that, A::Exists(_) | A::Count(_) | A::Up(_)),
    };
    if !suits {
        return Some(format!("`{}` cannot be asked of a {}", word(&format!("{that:?}")), word(&format!("{:?}", check.find))));
    }
    let nobody = |owner: &OwnerIs| owner.uid.is_none() && owner.gid.is_none();
    match that {
        A::Listens(l) if l.tcp.is_none() && l.udp.is_none() => Some("`listens` names no port: expected tcp or udp".into()),
        A::Connected(c) if c.port.is_none() && c.own_port.is_none() => Some("`connected` names no port: expected port or own-port".into()),
        A::DefaultRoute(to) if to.0 != "none" && to.0.parse::<std::net::Ipv4Addr>().is_err() => Some(format!("`default-route` is an IPv4 address or none, not {}", to.0)),
        A::Owner(owner) | A::File(FileIs { owner: Some(owner), .. }) if nobody(owner) => Some("`owner` names nobody: expected uid or gid".into()),
        A::File(file) if check.find == Find::Image && (file.mode.is_some() || file.owner.is_some()) => Some("mode and owner of a file cannot be asked of an image".into()),
        A::Shared(shared) if shared.layers.is_none() && shared.file.is_none() => Some("`shared` asks for nothing: expected layers or file".into()),
        A::Image(Kinship::Own | Kinship::Host) => Some("`image` knows same-as and differs-from".into()),
        A::Seccomp(mode) if !["none", "filter"].contains(&mode.0.as_str()) => Some(format!("`seccomp` is none or filter, not {}", mode.0)),
        _ => None,
    }
}

/// The other checks that this one names.
fn references(check: &Check) -> Vec<&str> {
    let mut named: Vec<&str> = check.conditions.seen_by.as_deref().into_iter().collect();
    for expect in &check.expect {
        match &expect.that {
            Assertion::Namespace(wanted) => named.extend(wanted.values().filter_map(|k| match k {
                Kinship::SameAs(id) | Kinship::DiffersFrom(id) => Some(id.as_str()),
                Kinship::Own | Kinship::Host => None,
            })),
            Assertion::Root(Root::SameLayersAs(id)) => named.push(id),
            Assertion::Same(same) => named.push(&same.with),
            Assertion::Connected(connected) => named.extend(connected.with.as_deref()),
            Assertion::Shared(shared) => named.push(&shared.with),
            Assertion::Image(Kinship::SameAs(id) | Kinship::DiffersFrom(id)) => named.push(id),
            _ => {}
        }
    }
    named
}

/// A variant's name as YAML spells it: `no-new-privileges` of `NoNewPrivileges(true)`.
pub(super) fn word(debug: &str) -> String {
    let mut word = String::new();
    for c in debug.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(c.to_lowercase());
    }
    word
}
