//! `skiff build` from outside: what is said, what is cached and why, what ends up in the image and what
//! must not, and that nothing half-made stays.

#[macro_use]
mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use support::bench::{Bench, ends, reasons};
use support::{outcome, stdout};

#[test]
fn progress_is_in_buildkits_plain_form() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base AS one\nRUN echo hello; printf 'no end'\nFROM scratch\nCOPY --from=one /bin/sh /x\nLABEL a=b\n");
    let lines = bench.build(&[]);
    let shown: Vec<String> = lines.iter().filter(|l| !l.is_empty()).map(|l| generic(l)).collect();
    let expected = [
        "#1 [internal] load metadata for base", "#1 DONE T", "#2 [one 1/2] FROM base@D", "#2 DONE T", "#3 [one 2/2] RUN echo hello; printf 'no end'",
        "#3 T hello", "#3 T no end", "#3 DONE T", "#4 [stage-1 1/1] COPY --from=one /bin/sh /x", "#4 DONE T", "#5 exporting to image",
        "#5 writing image D done", "#5 naming to it:latest done", "#5 DONE T",
    ];
    let shown: Vec<&String> = shown.iter().filter(|l| !l.contains("making the image") && !l.contains(" layer ") && !l.contains("  base: ")).collect();
    assert_eq!(shown, expected, "{lines:#?}");
}

/// A line without its times and digests.
fn generic(line: &str) -> String {
    let word = |w: &str| match w {
        w if w.trim_end_matches('s').parse::<f64>().is_ok() && w.contains('.') => "T".to_owned(),
        w => w.split_once("sha256:").map_or(w.to_owned(), |(before, _)| format!("{before}D")),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn explain_says_which_ingredient_changed() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nARG WHO=world\nCOPY app.txt data /app/\nRUN echo hello $WHO > /greeting\nRUN true\n");
    bench.write("app.txt", "one\n");
    bench.write("data/list", "1\n");
    let first = bench.build(&["--explain"]);
    assert_eq!(reasons(&first, "[2/4] COPY"), ["not cached: no build of this step is on record"]);
    let again = bench.build(&["--explain"]);
    assert_eq!(ends(&again, "CACHED"), 3);
    assert!(reasons(&again, "[2/4] COPY")[0].starts_with("cached: its instruction, its 2 source files and what it stands on are those of 20"), "{again:#?}");

    bench.write("app.txt", "two\n");
    bench.write("data/more", "2\n");
    fs::remove_file(bench.context().join("data/list")).expect("it was there");
    let changed = bench.build(&["--explain"]);
    assert_eq!(
        reasons(&changed, "[2/4] COPY"),
        [
            "not cached: its content changed: app.txt sha256 27dd8ed44a83… was 2c8b08da5ce6…",
            "not cached: its content changed: data/more is new",
            "not cached: its content changed: data/list is gone",
        ]
    );
    assert_eq!(reasons(&changed, "[3/4] RUN"), ["not cached: what it stands on changed"]);

    let other = bench.build(&["--explain", "--build-arg", "WHO=all"]);
    assert_eq!(reasons(&other, "[3/4] RUN"), ["not cached: ARG WHO changed: is \"all\", was \"world\""]);
    fs::set_permissions(bench.context().join("app.txt"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mode = bench.build(&["--explain", "--build-arg", "WHO=all"]);
    assert_eq!(reasons(&mode, "[2/4] COPY"), ["not cached: its mode or owner changed: app.txt is file 755 0:0, was file 644 0:0"]);
    assert_eq!(reasons(&bench.build(&["--explain", "--no-cache"]), "[4/4] RUN"), ["not cached: --no-cache was given"]);

    let text = fs::read_to_string(bench.context().join("Dockerfile")).expect("it is there").replace("RUN true", "RUN : true");
    bench.write("Dockerfile", &text);
    let instruction = bench.build(&["--explain"]);
    assert_eq!(reasons(&instruction, "[4/4] RUN")[0], "not cached: its instruction changed: was RUN true");
}

#[test]
fn the_times_of_files_and_what_is_ignored_do_not_count() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nCOPY . /app\n");
    bench.write(".dockerignore", "*.log\n!keep.log\n.dockerignore\nDockerfile\n");
    bench.write("a", "1");
    bench.write("keep.log", "kept");
    bench.build(&[]);
    assert_eq!(bench.run("ls -A /app"), "a\nkeep.log\n");
    bench.write("b.log", "new, and ignored");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    fs::File::options().append(true).open(bench.context().join("a")).and_then(|f| f.set_modified(later)).expect("it is ours");
    assert_eq!(ends(&bench.build(&[]), "CACHED"), 1);
    bench.write("keep.log", "changed");
    assert_eq!(ends(&bench.build(&[]), "CACHED"), 0);
}

#[test]
fn the_same_input_is_the_same_digest_anywhere() {
    require!(UserNamespaces);
    let dockerfile = "FROM base\nRUN mkdir /made && date > /made/when; sleep 0.01; echo x > /made/x\nRUN rm /made/when\nCOPY a /deep/folder/a\nCOPY <<E /doc\ntext\nE\nWORKDIR /made/here\n";
    let build = |bench: &Bench| {
        bench.write("a", "a");
        let mut command = bench.command(&["-q", "--no-cache"]);
        stdout(command.env("SOURCE_DATE_EPOCH", "1700000000"))
    };
    let (one, two) = (Bench::new(dockerfile), Bench::new(dockerfile));
    let id = build(&one);
    // The second RUN sees what the first left, which differs; but it is removed, and no time tells.
    let fixed = dockerfile.replace("date > /made/when", "echo > /made/when");
    one.write("Dockerfile", &fixed);
    two.write("Dockerfile", &fixed);
    let (first, second) = (build(&one), build(&two));
    assert_eq!(first, second, "in another store, at another time");
    assert_ne!(first, id);
    let without = one.id(&[]);
    assert_ne!(without, first, "without the variable the times of the files are those of the build");
    assert_eq!(one.id(&[]), without, "and what is cached keeps its own");
}

#[test]
fn mounts_and_the_engines_files_leave_no_trace_in_the_layer() {
    require!(UserNamespaces);
    let bench = Bench::new(concat!(
        "FROM base\n",
        "RUN --mount=type=cache,target=/deep/cache --mount=type=secret,id=token,target=/keys/token --mount=type=tmpfs,target=/scratch ",
        "--mount=type=bind,source=src,target=/mnt/src,rw \\\n",
        "  cat /keys/token; cat /mnt/src/f; echo changed > /mnt/src/f; echo n >> /deep/cache/n; wc -l < /deep/cache/n; echo 1 > /scratch/s; touch /made; ",
        "echo x >> /etc/hosts\n",
    ));
    bench.write("src/f", "of the context\n");
    let secret = bench.room.path().join("token");
    fs::write(&secret, "a-secret-word\n").expect("the room is ours");
    let option = format!("id=token,src={}", secret.display());
    let lines = bench.build(&["--secret", &option]);
    let said: Vec<&str> = lines.iter().filter(|l| l.starts_with("#3 0.")).filter_map(|l| l.splitn(3, ' ').nth(2)).collect();
    assert_eq!(said, ["a-secret-word", "of the context", "1"]);
    assert_eq!(fs::read_to_string(bench.context().join("src/f")).expect("it is there"), "of the context\n");
    let layer = bench.run("find / -xdev \\( -path /proc -o -path /dev -o -path /sys \\) -prune -o \\( -path '/deep*' -o -path '/keys*' -o -path '/scratch*' -o -path '/mnt/*' -o -path /made \\) -print");
    assert_eq!(layer, "/made\n");
    let found = outcome(bench.room.command("grep").args(["-rl", "a-secret-word"]).arg(bench.room.skiff_root()));
    assert_eq!(found.1, "", "the secret is nowhere in skiff's root");
    let again = bench.build(&["--no-cache", "--secret", &option]);
    assert!(again.iter().any(|l| l.starts_with("#3 0.") && l.ends_with(" 2")), "the cache stays from build to build: {again:#?}");
}

#[test]
fn a_run_that_fails_shows_its_last_lines_and_its_place() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\n# a comment\nRUN echo one; echo two >&2; \\\n    exit 3\n");
    assert_eq!(
        bench.refused(&[]),
        concat!(
            "------\n > [2/2] RUN echo one; echo two >&2;     exit 3:\none\ntwo\n------\n",
            "error: failed to solve: process \"/bin/sh -c echo one; echo two >&2;     exit 3\" did not complete successfully: exit code: 3\n",
            "Dockerfile:3:1\n  3 | RUN echo one; echo two >&2; \\\n    | ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
        )
    );
    assert_eq!(bench.left(), [""; 0]);
    let lines = outcome(&mut bench.command(&["--progress", "plain"])).2;
    assert!(lines.contains("ERROR: process \"/bin/sh -c echo one; echo two >&2;     exit 3\" did not complete successfully: exit code: 3\n"), "{lines}");
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\n");
    bench.write(".dockerignore", "hidden\n");
    bench.write("hidden", "");
    std::os::unix::fs::symlink("/etc/passwd", bench.context().join("out")).expect("the room is ours");
    for (dockerfile, expected) in [
        ("FORM base\n", "error: Dockerfile:1:1: unknown instruction: FORM (did you mean FROM?)\n  1 | FORM base\n    | ^^^^\n"),
        (
            "FROM base\n\tCOPY --form=x a b\n",
            "error: Dockerfile:2:7: unknown flag: --form (did you mean --from?)\n  2 | \tCOPY --form=x a b\n    | \t     ^^^^^^^^\n  try: --from, --chown, --chmod, --exclude, --link, --parents\n",
        ),
        (
            "FROM base\nENV a=1 \\\n  # between\n  b c=2\n",
            "error: Dockerfile:4:3: Syntax error - can't find = in \"b\". Must be of the form: name=value\n  4 |   b c=2\n    |   ^\n  try: a value with spaces in quotes: NAME=\"a value\"\n",
        ),
        (
            "FROM base:$TAG\n",
            "error: Dockerfile:1:6: base name (base:$TAG) should not be blank\n  1 | FROM base:$TAG\n    |      ^^^^^^^^^\n  try: ARG TAG=… before the first FROM, or --build-arg TAG=…; an ARG inside a\n       stage is not seen here\n",
        ),
        (
            "FROM base\nCOPY nothing /x\n",
            "error: Dockerfile:2:6: \"nothing\": not found in the build context\n  2 | COPY nothing /x\n    |      ^^^^^^^\n  try: a path below the build context; skiff build sends nothing else\n",
        ),
        (
            "FROM base\nCOPY hidden /x\n",
            "error: Dockerfile:2:6: \"hidden\": not found in the build context: .dockerignore leaves it out\n  2 | COPY hidden /x\n    |      ^^^^^^\n  try: a line that begins with ! takes it back\n",
        ),
        (
            "FROM base\nCOPY ../room /x\n",
            "error: Dockerfile:2:6: forbidden path outside the build context: ../room\n  2 | COPY ../room /x\n    |      ^^^^^^^\n  try: another context: skiff build -f FILE FOLDER, where FOLDER holds it too\n",
        ),
        (
            "FROM base\nCOPY out /x\n",
            "error: Dockerfile:2:6: forbidden path outside the build context: out is a link to /etc/passwd\n  2 | COPY out /x\n    |      ^^^\n  try: the file itself in the context; a link is followed only within it\n",
        ),
        (
            "FROM base\nCOPY --from=3 a /x\n",
            "error: Dockerfile:2:1: invalid from flag value 3: no earlier stage has this number\n  2 | COPY --from=3 a /x\n    | ^^^^^^^^^^^^^^^^^^\n",
        ),
        (
            "FROM base\nRUN <<EOF\ntrue\n",
            "error: Dockerfile:2:5: unterminated heredoc \"EOF\"\n  2 | RUN <<EOF\n    |     ^^^^^\n  try: a line that is EOF and nothing else\n",
        ),
        (
            "FROM base\nRUN --mount=type=secret,id=t,required true\n",
            "error: Dockerfile:2:1: secret t: not found; --secret id=t,src=FILE gives it\n  2 | RUN --mount=type=secret,id=t,required true\n    | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
        ),
        (
            "FROM base\nRUN --mount=type=ssh true\n",
            "error: Dockerfile:2:5: mounts of the type ssh are not done here: skiff hands no agent to a build; --mount=type=secret takes a key\n  2 | RUN --mount=type=ssh true\n    |     ^^^^^^^^^^^^^^^^\n",
        ),
        (
            "FROM base\nADD https://h/it.git#v1 /it\n",
            "error: Dockerfile:2:5: ADD clones no repository: https://h/it.git#v1\n  2 | ADD https://h/it.git#v1 /it\n    |     ^^^^^^^^^^^^^^^^^^^\n  try: RUN git clone, or clone it beside the Dockerfile and COPY\n",
        ),
    ] {
        bench.write("Dockerfile", dockerfile);
        let said = bench.refused(&[]);
        let said: String = said.lines().filter(|l| !l.starts_with("making the image") && !l.starts_with("  layer ")).map(|l| format!("{l}\n")).collect();
        assert_eq!(said, expected, "{dockerfile}");
        assert_eq!(bench.left(), [""; 0], "{dockerfile}");
    }
    assert_eq!(
        bench.refused(&["-f", "Dockerfiel"]),
        "error: failed to read dockerfile: open Dockerfiel: no such file or directory\n  try: there is Dockerfile: -f Dockerfile\n"
    );
    bench.write("Dockerfile", "FROM base AS first\nFROM first AS second\n");
    assert_eq!(
        bench.refused(&["--target", "third"]),
        "error: failed to solve: target stage \"third\" could not be found\n  try: one of first, second\n"
    );
}

#[test]
fn the_dockerfile_or_the_whole_context_may_come_by_standard_input() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nCOPY a /a\n");
    bench.write("a", "of the context\n");
    let pipe = |script: &str| stdout(bench.room.command("sh").args(["-c", script]).current_dir(bench.context()));
    pipe("tar -c . | gzip | skiff build -q -t it -");
    assert_eq!(bench.run("cat /a"), "of the context\n");
    pipe("printf 'FROM base\\nCOPY a /b\\n' | skiff build -q -t it -f - .");
    assert_eq!(bench.run("cat /b"), "of the context\n");
    pipe("printf 'FROM base\\nRUN echo alone > /c\\n' | skiff build -q -t it -t other:2 --iidfile id -");
    assert_eq!(bench.run("cat /c"), "alone\n");
    let id = fs::read_to_string(bench.context().join("id")).expect("it was written");
    assert_eq!(stdout(&mut bench.room.skiff(&["images", "-q", "--no-trunc", "other:2"])).trim(), id);
    assert_eq!(bench.left(), [""; 0]);
}

#[test]
fn a_base_images_triggers_run_where_it_is_built_on() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nONBUILD COPY app /app\nONBUILD RUN cat /app > /seen\n");
    bench.build(&["-t", "parent"]);
    bench.write("app", "of the child\n");
    bench.write("Dockerfile", "FROM parent\nCMD [\"cat\", \"/seen\"]\n");
    let lines = bench.build(&[]);
    assert!(lines.iter().any(|l| l.ends_with("[3/3] RUN cat /app > /seen")), "{lines:#?}");
    assert_eq!(stdout(&mut bench.room.skiff(&["run", "--rm", "it"])), "of the child\n");
}

/// Answers each request with the same file, and counts them.
fn server(body: &'static str) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let _ = connection.read(&mut [0; 4096]);
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLast-Modified: Sat, 01 Jan 2022 00:00:00 GMT\r\nConnection: close\r\n\r\n", body.len());
            let _ = connection.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (format!("http://{address}"), count)
}

#[test]
fn a_url_is_fetched_checked_and_cached() {
    require!(UserNamespaces);
    let (url, requests) = server("of the net\n");
    let sum = "sha256:4b3b6b5ae9c75e85c5a5aa2a1a7a2ec0a90b5d25e4e6e9aa0eb1bdf6c5e5c9c6";
    let asked = || requests.load(std::sync::atomic::Ordering::SeqCst);
    let bench = Bench::new(&format!("FROM base\nADD {url}/deep/file.txt?x=1 /to/\n"));
    bench.build(&[]);
    assert_eq!(bench.run("cat /to/file.txt; stat -c '%a %u %Y' /to/file.txt"), "of the net\n600 0 1640995200\n");
    assert_eq!((ends(&bench.build(&[]), "CACHED"), asked()), (1, 2), "its content is the key, so it is asked for");
    bench.write("Dockerfile", &format!("FROM base\nADD --checksum={sum} {url}/file.txt /\n"));
    let said = bench.refused(&[]);
    let found = said.lines().find_map(|l| l.split_once("digest mismatch ")).and_then(|(_, rest)| rest.split_once(": ")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(found.1, sum);
    bench.write("Dockerfile", &format!("FROM base\nADD --checksum={} {url}/file.txt /\n", found.0));
    bench.build(&[]);
    let before = asked();
    assert_eq!((ends(&bench.build(&[]), "CACHED"), asked()), (1, before), "with a checksum nobody is asked again");
    assert_eq!(bench.left(), [""; 0]);
}

#[test]
fn an_archive_is_added_whatever_it_is_compressed_with_and_copied_as_it_is() {
    require!(UserNamespaces, Tool("xz"), Tool("bzip2"));
    let kinds = [("xz", "-J"), ("bz2", "-j"), ("gz", "-z")];
    let added: String = kinds.iter().map(|(end, _)| format!("ADD a.tar.{end} /{end}/\n")).collect();
    let bench = Bench::new(&format!("FROM base\n{added}ADD plain.xz /plain/\nCOPY a.tar.xz /copied/\n"));
    bench.write("inside/note", "of the archive\n");
    for (end, option) in kinds {
        let mut tar = std::process::Command::new("tar");
        stdout(tar.args(["-c", option, "-f", &format!("a.tar.{end}"), "-C", "inside", "."]).current_dir(bench.context()));
    }
    bench.write("plain", "no archive\n");
    stdout(std::process::Command::new("xz").args(["-k", "plain"]).current_dir(bench.context()));
    bench.build(&[]);
    assert_eq!(bench.run("cat /xz/note /bz2/note /gz/note"), "of the archive\n".repeat(3));
    assert_eq!(bench.run("ls /plain /copied"), "/copied:\na.tar.xz\n\n/plain:\nplain.xz\n");
}

#[test]
fn links_of_an_image_lead_nowhere_else() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base AS evil\nRUN ln -s /etc /up && ln -s ../../../../../etc /climb && mkdir /d && ln -s /d /to && rm -r /var && ln -s / /var\nFROM base\nCOPY --from=evil /up/passwd /one\nCOPY --from=evil /climb/passwd /two\nCOPY --from=evil /var/up/passwd /three\n");
    bench.build(&[]);
    let host = fs::read_to_string("/etc/passwd").expect("it is there");
    let seen = bench.run("cat /one; echo; cmp /one /two && cmp /one /three && cmp /one /etc/passwd && echo same");
    assert!(seen.ends_with("same\n") && !seen.contains(host.lines().last().expect("it has lines")), "{seen}");
    bench.write("Dockerfile", "FROM base\nRUN mkdir /d && ln -s /d /to && ln -s /nowhere /loose\nCOPY f /to/\nCOPY f /loose/f\n");
    bench.write("f", "text");
    bench.build(&[]);
    assert_eq!(bench.run("cat /d/f /nowhere/f; test -L /to && test -L /loose && echo links"), "texttextlinks\n");
}

/// A build whose RUN has begun to wait.
fn waiting(bench: &Bench) -> Child {
    let mut command = bench.command(&["--progress", "plain", "-t", "half"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("skiff starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
    let began = lines.any(|l| l.is_ok_and(|l| l.ends_with(" begun")));
    assert!(began, "the RUN began");
    // Drained from here on, or its last words would end it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

#[test]
fn an_interrupted_build_takes_everything_along_and_a_killed_one_is_cleared_by_the_next() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nCOPY a /a\nRUN echo begun; trap '' INT TERM; sleep 1000\n");
    bench.write("a", "a");
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGKILL] {
        let mut child = waiting(&bench);
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).expect("it is our child");
        let status = child.wait().expect("it is our child");
        if signal == nix::sys::signal::Signal::SIGKILL {
            assert!(!bench.left().is_empty(), "nobody could clear up");
            fs::write(bench.context().join("Short"), "FROM base\nCOPY a /a\nRUN true\n").expect("the room is ours");
            let lines = bench.build(&["-f", "Short"]);
            assert_eq!(ends(&lines, "CACHED"), 1, "what was done before is whole: {lines:#?}");
        } else {
            assert_eq!(status.code(), Some(130), "{signal}");
        }
        assert_eq!(bench.left(), [""; 0], "{signal}");
    }
    assert_eq!(outcome(&mut bench.room.skiff(&["run", "--rm", "half"])).0, Some(125), "no image has the name");
    assert_eq!(bench.run("cat /a"), "a");
}

#[test]
fn whatever_line_it_is_killed_at_the_store_is_whole() {
    require!(UserNamespaces, Tool("sha256sum"));
    let bench = Bench::new("FROM base AS a\nCOPY a /a\nRUN cp /a /b\nFROM base\nCOPY --from=a /b /c\nRUN touch /d\nWORKDIR /e/f\n");
    bench.write("a", &"some text\n".repeat(50_000));
    let length = bench.build(&["--no-cache"]).len();
    for number in 1..length {
        let mut command = bench.command(&["--progress", "plain", "--no-cache", "-t", "half"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("skiff starts");
        let lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        // How many there are depends on how the two stages take turns.
        let _ = lines.take(number).filter(Result::is_ok).count();
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }
    bench.build(&["--no-cache"]);
    assert_eq!(bench.left(), [""; 0]);
    assert_eq!(bench.run("wc -c < /c; ls -d /d /e/f"), "500000\n/d\n/e/f\n");
    let check = "cd images/blobs/sha256 && for f in *; do echo \"$f  $f\"; done | sha256sum --quiet -c";
    assert_eq!(stdout(bench.room.command("sh").args(["-c", check]).current_dir(bench.room.skiff_root())), "");
}

#[test]
fn several_builds_at_once_share_what_they_have() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nCOPY a /a\nRUN echo $RANDOM > /b\n");
    bench.write("a", "a");
    bench.id(&["--target", "0"]);
    let children: Vec<Child> = (0..4)
        .map(|n| bench.command(&["-q", "-t", &format!("n{n}")]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("skiff starts"))
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("it is our child");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(bench.left(), [""; 0]);
    for n in 0..4 {
        assert_eq!(stdout(&mut bench.room.skiff(&["run", "--rm", &format!("n{n}"), "cat", "/a"])), "a");
    }
}

#[test]
fn prune_removes_what_no_image_has() {
    require!(UserNamespaces);
    let bench = Bench::new("FROM base\nRUN echo one > /one\n");
    bench.build(&[]);
    bench.write("Dockerfile", "FROM base\nRUN echo two > /two\n");
    bench.build(&[]);
    let layers = || fs::read_dir(bench.room.skiff_root().join("images/blobs/sha256")).expect("a store").count();
    stdout(&mut bench.room.skiff(&["image", "prune", "-f"]));
    let before = layers();
    let held = stdout(&mut bench.room.skiff(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}"]));
    let said = stdout(&mut bench.room.skiff(&["builder", "prune", "-f"]));
    let total = said.lines().last().and_then(|l| l.strip_prefix("Total:\t")).unwrap_or_else(|| panic!("{said}"));
    // Two steps that were done and nothing else, and as much as there was to be had.
    assert_eq!(held.lines().last(), Some(format!("Build Cache: 2 0 {total} {total}").as_str()));
    assert_eq!(layers(), before - 1, "the layer of the image that is gone");
    assert_eq!(bench.run("cat /two"), "two\n");
    assert_eq!(ends(&bench.build(&["--explain"]), "CACHED"), 0);
}

#[test]
fn a_layer_may_be_in_an_image_twice() {
    require!(UserNamespaces, Tool("busybox"));
    // Three that change nothing are one layer; and what comes again lies over what came between.
    let same = "RUN rm -rf /x && mkdir /x && echo one >/x/f && touch -d @0 /x/f /x /\n";
    let other = "RUN echo two >/x/f && echo more >/x/g\n";
    let bench = Bench::new(&format!("FROM base\nRUN true\nRUN :\nRUN /bin/true\n{same}{other}RUN cat /x/f /x/g >/seen\n"));
    bench.build(&[]);
    assert_eq!(bench.run("cat /seen"), "two\nmore\n");
    let layers = |name: &str| stdout(&mut bench.room.skiff(&["image", "inspect", "-f", "{{join .RootFS.Layers \" \"}}", name]));
    let all = layers("it");
    let all: Vec<&str> = all.split_whitespace().collect();
    assert!(all[3] == all[4] && all[4] == all[5] && all.len() == 9, "{all:?}");

    // COPY makes the same layer of the same files, whatever lies below.
    bench.write("a/f", "one\n");
    bench.write("b/f", "two\n");
    bench.write("Dockerfile", "FROM base\nCOPY a /x/\nCOPY b /x/\nCOPY a /x/\nRUN cat /x/f >/seen\n");
    bench.build(&[]);
    assert_eq!(bench.run("cat /seen /x/f"), "one\none\n");
    let all = layers("it");
    let all: Vec<&str> = all.split_whitespace().collect();
    assert!(all[3] == all[5] && all[3] != all[4], "{all:?}");
    let shown = stdout(&mut bench.room.skiff(&["run", "--name", "again", "it", "sh", "-c", "rm /x/f; ls /x"]));
    assert_eq!(shown, "");
    assert_eq!(stdout(&mut bench.room.skiff(&["diff", "again"])), "C /x\nD /x/f\n");
    stdout(&mut bench.room.skiff(&["commit", "again", "after"]));
    assert_eq!(stdout(&mut bench.room.skiff(&["run", "--rm", "after", "ls", "/x"])), "");
}
