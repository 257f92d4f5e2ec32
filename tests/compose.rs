//! Compose files: how they are read, filled in, merged and refused. Nothing is started here.

#[macro_use]
mod support;

use std::fs;
use std::path::Path;
use support::{Room, outcome, stdout};

/// A folder `app` with these files in it.
fn app(files: &[(&str, &str)]) -> Room {
    let room = Room::new();
    for (name, text) in files {
        let path = room.path().join("app").join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the room is ours");
        fs::write(path, text).expect("the room is ours");
    }
    room
}

/// `skiff compose ARGS…` in that folder.
fn compose(room: &Room, args: &[&str]) -> std::process::Command {
    let mut command = room.skiff(&[&["compose"], args].concat());
    command.current_dir(room.path().join("app"));
    command
}

fn config(room: &Room, args: &[&str]) -> String {
    stdout(&mut compose(room, &[args, &["config"]].concat())).replace(&room.path().display().to_string(), "ROOM")
}

/// Standard error of a file that is refused.
fn refused(files: &[(&str, &str)], args: &[&str]) -> String {
    let room = app(files);
    let (code, out, err) = outcome(&mut compose(&room, &[args, &["config"]].concat()));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    err.replace(&room.path().display().to_string(), "ROOM")
}

fn services(of: &str) -> String {
    format!("services:\n{of}")
}

#[test]
fn a_file_is_shown_with_variables_filled_in_and_short_forms_spelled_out() {
    let file = "\
name: shop
x-usual: &usual
  restart: always
  environment: [A=1, FROM_HOME]
services:
  web:
    <<: *usual
    image: web:${TAG:-1.0}
    command: nginx -g 'daemon off;'
    ports: [\"8080:80\", 127.0.0.1:5353:53/udp]
    volumes: [\"./html:/html:ro\", \"data:/data\", /anonymous]
    depends_on: [db]
    healthcheck: {test: curl -f localhost, interval: 5s}
    ulimits: {nofile: 1024}
    labels: {price: 5$$}
  db:
    build: db
    env_file: db.env
    networks: {back: {aliases: [store]}}
networks: {back: {internal: true}}
volumes: {data: }
";
    let room = app(&[("compose.yaml", file), ("db.env", "# the store\nPASSWORD='se cret'\nHOST=$TAG.local\n"), (".env", "TAG=2.1\nFROM_HOME=here\n")]);
    let expected = "\
name: shop
services:
  db:
    build:
      context: ROOM/app/db
      dockerfile: Dockerfile
    environment:
      HOST: 2.1.local
      PASSWORD: se cret
    networks:
      back:
        aliases:
          - store
  web:
    command:
      - nginx
      - -g
      - daemon off;
    depends_on:
      db:
        condition: service_started
        required: true
    environment:
      A: \"1\"
      FROM_HOME: here
    healthcheck:
      interval: 5s
      test:
        - CMD-SHELL
        - curl -f localhost
    image: web:2.1
    labels:
      price: 5$$
    networks:
      default: null
    ports:
      - mode: ingress
        target: 80
        published: \"8080\"
        protocol: tcp
      - mode: ingress
        host_ip: 127.0.0.1
        target: 53
        published: \"5353\"
        protocol: udp
    restart: always
    ulimits:
      nofile:
        hard: 1024
        soft: 1024
    volumes:
      - type: bind
        source: ROOM/app/html
        target: /html
        bind:
          create_host_path: true
        read_only: true
      - type: volume
        source: data
        target: /data
        volume: {}
      - type: volume
        target: /anonymous
        volume: {}
networks:
  back:
    internal: true
    name: shop_back
  default:
    name: shop_default
volumes:
  data:
    name: shop_data
x-usual:
  environment:
    - A=1
    - FROM_HOME
  restart: always
";
    assert_eq!(config(&room, &[]), expected);
    // What it prints is a file that says the same.
    fs::write(room.path().join("app/again.yaml"), config(&room, &[]).replace("ROOM", &room.path().display().to_string())).expect("the room is ours");
    assert_eq!(config(&room, &["-f", "again.yaml"]), expected);
    assert_eq!(stdout(&mut compose(&room, &["config", "--services"])), "db\nweb\n");
    assert_eq!(stdout(&mut compose(&room, &["config", "--images"])), "shop-db\nweb:2.1\n");
    assert_eq!(stdout(&mut compose(&room, &["config", "-q"])), "");
}

#[test]
fn several_files_are_merged_and_the_override_is_taken_by_itself() {
    let base = services("  web:\n    image: one\n    command: [a]\n    environment: {A: 1, B: 2}\n    ports: ['80:80']\n    expose: ['1']\n    volumes: ['x:/data']\n    labels: {keep: me}\nvolumes: {x: , y: }\n");
    let over = services("  web:\n    image: two\n    command: b c\n    environment: [B=3, C=4]\n    ports: !override ['81:81']\n    expose: ['2']\n    volumes: ['y:/data']\n    labels: !reset {}\n");
    let expected = "\
name: app
services:
  web:
    command:
      - b
      - c
    environment:
      A: \"1\"
      B: \"3\"
      C: \"4\"
    expose:
      - \"1\"
      - \"2\"
    image: two
    networks:
      default: null
    ports:
      - mode: ingress
        target: 81
        published: \"81\"
        protocol: tcp
    volumes:
      - type: volume
        source: y
        target: /data
        volume: {}
networks:
  default:
    name: app_default
volumes:
  x:
    name: app_x
  y:
    name: app_y
";
    let room = app(&[("compose.yaml", &base), ("compose.override.yaml", &over), ("other.yaml", &over), ("sub/.keep", "")]);
    assert_eq!(config(&room, &[]), expected);
    assert_eq!(config(&room, &["-f", "compose.yaml", "-f", "other.yaml"]), expected);
    assert!(config(&room, &["-f", "compose.yaml"]).contains("image: one\n"), "one that is named has no other over it");
    // A service of the file below is taken away whole.
    fs::write(room.path().join("app/less.yaml"), "services: {web: !reset null, new: {image: base}}").expect("the room is ours");
    assert_eq!(stdout(&mut compose(&room, &["-f", "compose.yaml", "-f", "less.yaml", "config", "--services"])), "new\n");
    // From a folder below, the file above is found.
    let below = stdout(compose(&room, &["config"]).current_dir(room.path().join("app/sub")));
    assert_eq!(below, expected);
    assert!(config(&room, &["-p", "mine"]).starts_with("name: mine\n"));
    let file = stdout(compose(&room, &["config", "--format", "json"]).env("COMPOSE_FILE", "compose.yaml:other.yaml").env("COMPOSE_PROJECT_NAME", "env"));
    assert!(file.contains("\"name\": \"env\"") && file.contains("\"image\": \"two\""), "{file}");
}

#[test]
fn services_extend_others_and_files_include_files() {
    let room = app(&[
        ("compose.yaml", "include: [part/more.yaml]\nservices:\n  web:\n    extends: {file: common/base.yaml, service: base}\n    environment: {B: 2}\n  late:\n    extends: web\n    tty: true\n"),
        ("common/base.yaml", "services:\n  root: {image: busybox, volumes: ['./x:/x']}\n  base:\n    extends: {service: root}\n    environment: {A: 1}\n"),
        ("part/more.yaml", "services:\n  db: {image: db, volumes: ['./y:/y']}\n"),
    ]);
    let shown = config(&room, &[]);
    for line in ["source: ROOM/app/common/x", "source: ROOM/app/part/y", "      A: \"1\"\n      B: \"2\"\n", "    tty: true\n"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert_eq!(shown.matches("image: busybox").count(), 2);
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line_and_what_to_try() {
    for (text, said) in [
        ("services:\n  web:\n    imge: base\n", "error: compose.yaml:3: services.web has no key \"imge\"\n  try: did you mean image?\n"),
        ("services:\n  web: {image: base, tty: perhaps}\n", "error: compose.yaml:2: services.web.tty must be true or false, not \"perhaps\"\n"),
        ("service: {}\n", "error: compose.yaml:1: the file has no key \"service\"\n  try: did you mean services?\n"),
        ("services:\n  web:\n    image: base\n    ports:\n    - 80:80\n    - 70000:1\n", "error: compose.yaml:6: \"70000:1\" is no port: "),
        ("services:\n  web:\n    command: [x]\n", "error: compose.yaml:2: service \"web\" has neither an image nor a build context specified: invalid compose project\n  try: image: NAME, or build: FOLDER\n"),
        ("services:\n  web:\n    image: base\n    depends_on: [dbb]\n  db: {image: base}\n", "error: compose.yaml:4: service \"web\" depends on undefined service \"dbb\": invalid compose project\n  try: did you mean db?\n"),
        ("services:\n  web:\n    image: base\n    networks: [back]\n", "error: compose.yaml:4: service \"web\" refers to undefined network back: invalid compose project\n  try: networks: {back: {}} at the top of the file\n"),
        ("services:\n  web:\n    image: base\n    volumes: ['data:/data']\n", "error: compose.yaml:4: service \"web\" refers to undefined volume data: invalid compose project\n  try: volumes: {data: {}} at the top of the file\n"),
        ("services:\n  web:\n    image: base\n    secrets: [key]\n", "error: compose.yaml:4: service \"web\" refers to undefined secret key: invalid compose project\n"),
        ("services:\n  a: {image: base, depends_on: [b]}\n  b: {image: base, depends_on: [c]}\n  c: {image: base, depends_on: [a]}\n", "error: compose.yaml:2: dependency cycle detected: a -> b -> c -> a\n  why: each service starts after those that it depends on, so none of these\n       could be the first\n  try: take one of them out of a depends_on\n"),
        ("services:\n  web:\n    image: base:${TAG:?say which}\n", "error: compose.yaml:3: services.web.image: required variable TAG is missing a value: say which\n  try: TAG=… skiff compose …, or a line TAG=… in the file .env\n"),
        ("services:\n  web:\n    image: base\n    command: echo $(date)\n", "error: compose.yaml:4: invalid interpolation format for services.web.command: \"echo $(date)\"\n"),
        ("services:\n  web:\n    image: base\n    env_file: [no.env]\n", "error: compose.yaml:4: env file ROOM/app/no.env not found\n"),
        ("services:\n  web:\n   image: base\n  db\n", "error: compose.yaml:5: this is not YAML: "),
        ("services:\n  web:\n    image: base\n    image: other\n", "error: compose.yaml:3: this is not YAML: services.web: duplicate entry with key \"image\"\n  try: a mapping has each key once\n"),
        ("services:\n  web:\n    extends: web\n", "error: compose.yaml:2: services extend each other in a circle: web -> web\n"),
        ("services:\n  web: {image: base, network_mode: host, networks: [a]}\nnetworks: {a: }\n", "error: compose.yaml:2: service \"web\" declares mutually exclusive `network_mode` and `networks`: invalid compose project\n"),
        ("services:\n  web:\n    image: base\n    volumes_from: [db:ro]\n", "error: compose.yaml:4: service \"web\" depends on undefined service \"db\": invalid compose project\n"),
        ("services: {web: {image: base}}\n---\nservices: {}\n", "error: compose.yaml: this is not YAML: deserializing from YAML containing more than one document is not supported\n  try: a file for each part between `---`, and -f for each file\n"),
        ("", "error: compose.yaml: empty compose file\n"),
        ("name: Not Right\nservices: {web: {image: base}}\n", "error: invalid project name \"Not Right\"\n"),
    ] {
        let err = refused(&[("compose.yaml", text)], &[]);
        assert!(err.starts_with(said), "{text}\nsaid    {err}\nwanted  {said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let (code, _, err) = outcome(compose(&app(&[("x", "")]), &["-f", "no.yaml", "ps"]).env("LC_ALL", "C"));
    assert!(code == Some(1) && err.starts_with("error: no such file: ") && err.contains("/app/no.yaml\n  why: -f names it\n"), "{err}");
    let room = Room::new();
    let (code, _, err) = outcome(room.skiff(&["compose", "ps"]).current_dir(Path::new("/proc")));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: no configuration file provided: not found")));
    let err = refused(&[("compose.yaml", "services: {web: {image: base}}"), ("x.env", "A=1\nB C=2\n")], &["--env-file", "x.env"]);
    assert!(err.starts_with("error: x.env:2: behind B there is no =, but \"C=2\"\n"), "{err}");
}

#[test]
fn what_is_not_heeded_and_what_is_not_set_is_told_once() {
    let file = services("  web:\n    image: base:$TAG\n    hostname: $TAG\n    devices: [/dev/null]\n");
    let room = app(&[("compose.yaml", &file)]);
    let (code, out, err) = outcome(&mut compose(&room, &["config"]));
    let said = "warning: compose.yaml:3: the \"TAG\" variable is not set, defaulting to a blank string\nwarning: compose.yaml:5: services.web.devices is not heeded: skiff does not do this\n";
    assert_eq!((code, err.as_str()), (Some(0), said));
    assert!(out.contains("    image: \"base:\"\n"), "{out}");
    let (_, out, err) = outcome(&mut compose(&room, &["config", "--no-interpolate"]));
    assert!(out.contains("image: base:$TAG\n") && !err.contains("TAG"), "{out}{err}");
}

#[test]
fn a_profile_wakes_its_services_and_what_needs_a_sleeping_one_is_refused() {
    let file = services("  web: {image: base}\n  tool: {image: base, profiles: [debug]}\n  more: {image: base, profiles: [debug], depends_on: [tool]}\n  odd: {image: base, profiles: [odd], depends_on: [tool]}\n");
    let room = app(&[("compose.yaml", &file)]);
    let names = |args: &[&str]| stdout(&mut compose(&room, &[args, &["config", "--services"]].concat()));
    assert_eq!(names(&[]), "web\n");
    assert_eq!(names(&["--profile", "debug"]), "tool\nmore\nweb\n");
    assert_eq!(names(&["--profile", "*"]), "tool\nmore\nodd\nweb\n");
    let (code, _, err) = outcome(&mut compose(&room, &["--profile", "odd", "config"]));
    let said = "error: compose.yaml:5: service \"odd\" depends on undefined service \"tool\": invalid compose project\n  why: tool has the profile debug, which is not active\n  try: skiff compose --profile debug …\n";
    assert_eq!((code, err.as_str()), (Some(1), said));
    let (code, _, err) = outcome(&mut compose(&room, &["up", "-d", "wbe"]));
    assert_eq!((code, err.as_str()), (Some(1), "error: no such service: wbe\n  why: the services are: web\n  try: did you mean web?\n"));
}

#[test]
fn variables_come_from_where_compose_is_called_and_from_where_its_file_is() {
    let file = services("  web:\n    image: web:${TAG}-${HERE:-none}\n");
    let room = app(&[(".env", "COMPOSE_FILE=deploy/compose.yaml\nTAG=1\n"), ("deploy/compose.yaml", &file), ("deploy/.env", "TAG=2\nHERE=there\n"), ("bad/.env", "A=${\n"), ("bad/x", "")]);
    let images = |args: &[&str]| stdout(&mut compose(&room, &[args, &["config", "--images"]].concat()));
    assert_eq!(images(&[]), "web:1-there\n");
    assert_eq!(images(&["-f", "deploy/compose.yaml"]), "web:2-there\n");
    assert_eq!(stdout(compose(&room, &["-f", "deploy/compose.yaml", "config", "--images"]).env("COMPOSE_DISABLE_ENV_FILE", "1").env("TAG", "3")), "web:3-none\n");
    // A file that is not asked for may say what it likes.
    let mut away = compose(&room, &["-f", "../deploy/compose.yaml", "config", "--images"]);
    assert_eq!(stdout(away.current_dir(room.path().join("app/bad"))), "web:2-there\n");
    // What is no file can be read as well.
    let line = "exec $0 compose -p x --env-file /dev/null --env-file <(echo TAG=4) -f <(cat deploy/compose.yaml) config --images";
    let skiff = room.skiff(&[]).get_program().to_owned();
    assert_eq!(stdout(std::process::Command::new("bash").arg("-c").arg(line).arg(skiff).current_dir(room.path().join("app"))), "web:4-none\n");
}

#[test]
fn an_included_file_has_variables_of_its_own() {
    let more = services("  db:\n    image: db:${TAG}\n    volumes: ['./y:/y']\n");
    let room = app(&[
        ("compose.yaml", "include: [part/more.yaml]\nservices: {web: {image: 'web:${TAG:-none}'}}\n"),
        ("other.yaml", "include: [{path: [part/more.yaml, over.yaml], env_file: x.env}]\nservices: {}\n"),
        ("over.yaml", "services: {db: {volumes: ['./z:/z']}}\n"),
        ("x.env", "TAG=x\n"), ("part/.env", "TAG=part\n"), ("part/more.yaml", &more),
    ]);
    assert_eq!(stdout(&mut compose(&room, &["config", "--images"])), "db:part\nweb:none\n");
    assert_eq!(stdout(compose(&room, &["config", "--images"]).env("TAG", "mine")), "db:mine\nweb:mine\n");
    let shown = config(&room, &["-f", "other.yaml"]);
    for line in ["image: db:x\n", "source: ROOM/app/part/y\n", "source: ROOM/app/part/z\n"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

#[test]
fn a_tag_takes_away_and_replaces_what_is_extended_too() {
    let file = "services:\n  base: {image: x, ports: ['80:80'], labels: {a: b}, dns: [1.1.1.1]}\n  web: {extends: base, ports: !override ['81:81'], labels: !reset {}, dns: [9.9.9.9]}\n";
    let room = app(&[("compose.yaml", "services:\n  web: {extends: {file: more.yaml, service: web}}\n"), ("more.yaml", file)]);
    let shown = config(&room, &[]);
    let expected = "    dns:\n      - 1.1.1.1\n      - 9.9.9.9\n    image: x\n    networks:\n      default: null\n    ports:\n      - mode: ingress\n        target: 81\n        published: \"81\"\n        protocol: tcp\nnetworks:";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_service_that_is_named_wakes_its_profile_and_the_flag_stands_over_the_variable() {
    let room = app(&[("compose.yaml", &services("  tool: {image: base, profiles: [debug], depends_on: [db]}\n  db: {image: base, profiles: [debug]}\n  odd: {image: base, profiles: [odd]}\n"))]);
    assert_eq!(stdout(&mut compose(&room, &["config", "--services", "tool"])), "db\ntool\n");
    assert_eq!(stdout(compose(&room, &["--profile", "odd", "config", "--services"]).env("COMPOSE_PROFILES", "debug")), "odd\n");
    assert_eq!(stdout(compose(&room, &["config", "--services"]).env("COMPOSE_PROFILES", "debug")), "db\ntool\n");
}

#[test]
fn what_is_named_and_says_nothing_is_as_if_it_were_not_there() {
    let file = services("  web:\n    image: base\n    build: {context: ., args: {A: }, secrets: }\n    deploy: {resources: {limits: }}\n    logging: {options: }\n    networks: {back: {aliases: }}\n    labels: {empty: }\n    volumes: [{type: volume, target: /x, volume: }]\nnetworks: {back: }\n");
    let expected = "      args:\n        A: null\n      context: ROOM/app\n      dockerfile: Dockerfile\n    deploy:\n      resources: {}\n    image: base\n    labels:\n      empty: \"\"\n    logging: {}\n    networks:\n      back: {}\n    volumes:\n      - type: volume\n        target: /x\n";
    let shown = config(&app(&[("compose.yaml", &file)]), &[]);
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn an_env_file_may_hold_what_the_service_and_a_file_above_say() {
    let room = app(&[("compose.yaml", &services("  web:\n    image: base\n    env_file: [one.env, two.env, /dev/null]\n    environment: {ZED: z}\n")), ("one.env", "A: 1\n"), ("two.env", "B=$A-$ZED\n")]);
    assert!(config(&room, &[]).contains("      A: \"1\"\n      B: 1-z\n      ZED: z\n"));
}

#[test]
fn names_that_cannot_be_and_modes_that_are_not_heeded_are_said() {
    for (text, said) in [
        ("services:\n  ../web: {image: base}\n", "error: compose.yaml:2: services: \"../web\" cannot be a name\n  try: letters, digits, `.`, `_` and `-`\n"),
        ("services: {web: {image: base}}\nvolumes:\n  a/b: {}\n", "error: compose.yaml:3: volumes: \"a/b\" cannot be a name\n"),
    ] {
        let err = refused(&[("compose.yaml", text)], &[]);
        assert!(err.starts_with(said), "{err}");
    }
    let file = services("  web:\n    image: base\n    secrets:\n      - {source: key, mode: 0o440}\n      - {source: word, mode: 0o440}\nsecrets: {key: {file: ./key}, word: {content: x}}\n");
    let room = app(&[("compose.yaml", &file)]);
    let (code, out, err) = outcome(&mut compose(&room, &["config"]));
    let said = "warning: compose.yaml:5: services.web.secrets[0]: mode not heeded: a file of the host keeps the owner and mode that it has there\n";
    assert_eq!((code, err.as_str()), (Some(0), said));
    assert!(out.contains("      - source: word\n        mode: \"0440\"\n"), "{out}");
    // A name is looked at even where no file is needed.
    let (code, _, err) = outcome(room.skiff(&["compose", "-p", "../x", "down"]).current_dir(Path::new("/proc")));
    assert_eq!((code, err.lines().next()), (Some(1), Some("error: invalid project name \"../x\"")));
}

#[test]
fn what_a_file_does_not_say_of_a_build_or_a_dependency_the_file_below_says() {
    let base = services("  web:\n    build: ./web\n    depends_on: {db: {condition: service_healthy}}\n  db:\n    build: {dockerfile: Db}\n");
    let over = services("  web:\n    build: {args: [A=1]}\n    depends_on: {db: {restart: true}}\n");
    let room = app(&[("compose.yaml", &base), ("compose.override.yaml", &over)]);
    let expected = "  db:\n    build:\n      context: ROOM/app\n      dockerfile: Db\n    networks:\n      default: null\n  web:\n    build:\n      args:\n        A: \"1\"\n      context: ROOM/app/web\n      dockerfile: Dockerfile\n    depends_on:\n      db:\n        condition: service_healthy\n        required: true\n        restart: true\n";
    let shown = config(&room, &[]);
    assert!(shown.contains(expected), "{shown}");
}
