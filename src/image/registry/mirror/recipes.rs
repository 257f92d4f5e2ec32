//! What goes into the images that are made of Debian's packages, and how they start: as the official
//! ones do, as far as a course can tell.

/// One image.
pub(super) struct Recipe {
    /// Its name on Docker Hub.
    pub name: &'static str,
    /// The package that it is about.
    pub package: &'static str,
    /// Packages beside it.
    pub with: &'static [&'static str],
    /// A variable that official images have, for their version.
    version: &'static str,
    environment: &'static [&'static str],
    pub entrypoint: &'static [&'static str],
    pub command: &'static [&'static str],
    pub ports: &'static [&'static str],
    pub volumes: &'static [&'static str],
    pub workdir: &'static str,
    pub stop_signal: &'static str,
    /// Its user: name, uid and gid, home.
    pub user: Option<(&'static str, u32, &'static str)>,
    /// Files beside those of the packages: path, mode, content.
    pub files: &'static [(&'static str, u32, &'static str)],
    /// Links: path, target.
    pub links: &'static [(&'static str, &'static str)],
    /// Folders that belong to its user.
    pub folders: &'static [&'static str],
    /// How a version is cut for tags: `15` of `15.20`, `3` and `3.11` of `3.11.2`.
    tag_parts: &'static [usize],
    /// Beginnings of paths that are left out.
    pub leave_out: &'static [&'static str],
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "nginx",
        package: "nginx",
        with: &[],
        version: "NGINX_VERSION",
        environment: &[],
        entrypoint: &["/docker-entrypoint.sh"],
        command: &["nginx", "-g", "daemon off;"],
        ports: &["80/tcp"],
        volumes: &[],
        workdir: "",
        stop_signal: "SIGQUIT",
        user: Some(("nginx", 101, "/nonexistent")),
        files: &[
            ("docker-entrypoint.sh", 0o755, include_str!("files/nginx-entrypoint.sh")),
            ("etc/nginx/nginx.conf", 0o644, include_str!("files/nginx.conf")),
            ("etc/nginx/conf.d/default.conf", 0o644, include_str!("files/nginx-default.conf")),
            ("usr/share/nginx/html/index.html", 0o644, include_str!("files/nginx-index.html")),
        ],
        links: &[("var/log/nginx/access.log", "/dev/stdout"), ("var/log/nginx/error.log", "/dev/stderr")],
        folders: &["docker-entrypoint.d", "var/cache/nginx"],
        tag_parts: &[1, 2, 3],
        leave_out: &["etc/nginx/nginx.conf", "etc/nginx/sites-", "usr/share/nginx/html/index.html", "var/www"],
    },
    Recipe {
        name: "redis",
        package: "redis-server",
        with: &["redis-tools"],
        version: "REDIS_VERSION",
        environment: &[],
        entrypoint: &["docker-entrypoint.sh"],
        command: &["redis-server"],
        ports: &["6379/tcp"],
        volumes: &["/data"],
        workdir: "/data",
        stop_signal: "",
        user: Some(("redis", 999, "/data")),
        files: &[("usr/local/bin/docker-entrypoint.sh", 0o755, include_str!("files/redis-entrypoint.sh"))],
        links: &[],
        folders: &["data"],
        tag_parts: &[1, 2, 3],
        leave_out: &["etc/redis", "var/lib/redis"],
    },
    Recipe {
        name: "postgres",
        package: "postgresql-15",
        with: &["postgresql-client-15"],
        version: "PG_VERSION",
        environment: &["PG_MAJOR=15", "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"],
        entrypoint: &["docker-entrypoint.sh"],
        command: &["postgres"],
        ports: &["5432/tcp"],
        volumes: &["/var/lib/postgresql/data"],
        workdir: "",
        stop_signal: "SIGINT",
        user: Some(("postgres", 999, "/var/lib/postgresql")),
        files: &[("usr/local/bin/docker-entrypoint.sh", 0o755, include_str!("files/postgres-entrypoint.sh"))],
        links: &[],
        folders: &["docker-entrypoint-initdb.d", "var/lib/postgresql", "var/lib/postgresql/data", "var/run/postgresql"],
        tag_parts: &[1, 2],
        // Its compiler of queries is larger than all the rest; without it postgres does without.
        leave_out: &["usr/lib/postgresql/15/lib/bitcode", "usr/lib/postgresql/15/lib/llvmjit"],
    },
    Recipe {
        name: "python",
        package: "python3",
        with: &["ca-certificates"],
        version: "PYTHON_VERSION",
        environment: &["LANG=C.UTF-8"],
        entrypoint: &[],
        command: &["python3"],
        ports: &[],
        volumes: &[],
        workdir: "",
        stop_signal: "",
        user: None,
        files: &[],
        links: &[("usr/local/bin/python", "/usr/bin/python3"), ("usr/local/bin/python3", "/usr/bin/python3")],
        folders: &[],
        tag_parts: &[1, 2, 3],
        leave_out: &[],
    },
    Recipe {
        name: "node",
        package: "nodejs",
        with: &["ca-certificates"],
        version: "NODE_VERSION",
        environment: &[],
        entrypoint: &["docker-entrypoint.sh"],
        command: &["node"],
        ports: &[],
        volumes: &[],
        workdir: "",
        stop_signal: "",
        user: Some(("node", 1000, "/home/node")),
        files: &[("usr/local/bin/docker-entrypoint.sh", 0o755, include_str!("files/node-entrypoint.sh"))],
        links: &[("usr/local/bin/node", "/usr/bin/node"), ("usr/local/bin/nodejs", "/usr/bin/node")],
        folders: &["home/node"],
        tag_parts: &[1, 2, 3],
        leave_out: &[],
    },
];

/// The recipe of an image.
pub(super) fn find(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|r| r.name == name)
}

/// All images that there are recipes for.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    RECIPES.iter().map(|r| r.name)
}

impl Recipe {
    /// The tags that are true of it.
    pub(super) fn tags(&self, version: &str) -> Vec<String> {
        let parts: Vec<&str> = version.split('.').collect();
        let cut = |n: &usize| parts.get(..*n).map(|p| p.join("."));
        let mut tags: Vec<String> = ["latest".to_owned()].into_iter().chain(self.tag_parts.iter().filter_map(cut)).collect();
        tags.dedup();
        tags
    }

    /// Its environment.
    pub(super) fn environment(&self, version: &str) -> Vec<String> {
        let path = if self.name == "postgres" { format!("{PATH}:/usr/lib/postgresql/15/bin") } else { PATH.to_owned() };
        let own = self.environment.iter().map(|e| (*e).to_owned());
        [path, format!("{}={version}", self.version)].into_iter().chain(own).collect()
    }
}
