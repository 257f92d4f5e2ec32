//! How lessons and verdicts look: on a terminal, without colour, and through a pipe.

#[macro_use]
mod support;

use drydock::kernel::pty::{self, Size};
use drydock::kernel::session;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Room, outcome, read_until, stdout};

/// Long enough for the slowest of machines, and never waited for in full by a test that passes.
const SOON: Duration = Duration::from_secs(30);

/// What a command shows on a terminal of this width, without a reader.
fn on_a_terminal(command: &mut Command, columns: u16) -> String {
    command.env("PAGER", "cat");
    let (master, slave) = pty::pair().expect("a pseudo-terminal");
    pty::set_size(&master, Size { rows: 24, columns }).expect("its size can be set");
    let mut child = session::start(command, slave).expect("it starts");
    // The command keeps the terminal it was given, and as long as anybody does there is no end to read.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut master = std::fs::File::from(master);
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    // EIO: the other side has gone.
    while let Ok(n) = master.read(&mut buffer)
        && n > 0
    {
        text.extend_from_slice(&buffer[..n]);
    }
    child.wait().expect("our child");
    String::from_utf8_lossy(&text).replace("\r\n", "\n")
}

/// The paragraph that holds this word.
fn paragraph<'a>(text: &'a str, word: &str) -> &'a str {
    text.split("\n\n").find(|p| p.contains(word)).unwrap_or_else(|| panic!("{word} is not in\n{text}"))
}

#[test]
fn emphasis_is_a_style_on_a_terminal_and_plain_words_elsewhere() {
    let room = Room::new();
    let shown = on_a_terminal(room.drydock(&["start", "namespaces"]).env_remove("NO_COLOR"), 100);
    let styled = "Search the kernel for the thing called \x1b[3mcontainer\x1b[0m and you come back with empty hands.";
    assert!(paragraph(&shown, "Search").starts_with(styled), "{shown:?}");
    let plain = "Search the kernel for the thing called container and you come back with empty\nhands. There is no such object, no system call that makes one, no list of them.";
    assert_eq!(paragraph(&on_a_terminal(&mut room.drydock(&[]), 80), "Search"), plain);
    assert_eq!(paragraph(&stdout(room.drydock(&[]).env_remove("NO_COLOR")), "Search"), plain);
}

#[test]
fn a_page_longer_than_the_terminal_is_read_a_screen_at_a_time_and_a_shorter_one_is_not() {
    require!(Tool("less"));
    let room = Room::new();
    let whole = stdout(&mut room.drydock(&["start", "namespaces"]));
    let open = |rows: u16| {
        let (master, slave) = pty::pair().expect("a pseudo-terminal");
        pty::set_size(&master, Size { rows, columns: 80 }).expect("its size can be set");
        let mut command = room.drydock(&[]);
        let child = session::start(command.env_remove("PAGER").env("TERM", "xterm"), slave).expect("it starts");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        (child, std::fs::File::from(master))
    };
    let (mut child, mut screen) = open(12);
    let first = read_until(&mut screen, "-- more: space; back to the shell: q --", SOON);
    assert!(first.contains("Search the kernel") && !first.contains("drydock shell"), "{first}");
    std::io::Write::write_all(&mut screen, b"      ").expect("typed");
    read_until(&mut screen, "a shell to work in", SOON);
    assert!(child.wait().expect("our child").success());

    let (mut child, mut screen) = open(u16::try_from(whole.lines().count()).expect("a page") + 1);
    let shown = read_until(&mut screen, "a shell to work in", SOON);
    assert!(child.wait().expect("our child").success());
    assert_eq!(shown.replace("\r\n", "\n").trim_end(), whole.trim_end());
}

#[test]
fn no_colour_and_a_pipe_give_no_escape_codes() {
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    for args in [&["check"][..], &["list"], &["hint"], &["solution"], &["back"], &["next"], &["doctor", "--full"], &["chekc"], &["start", "nothing"], &["help"]] {
        let shown = on_a_terminal(&mut room.drydock(args), 80);
        assert!(!shown.is_empty() && !shown.contains('\x1b'), "NO_COLOR, {args:?}: {shown:?}");
        let (_, out, err) = outcome(room.drydock(args).env_remove("NO_COLOR"));
        assert!(!out.contains('\x1b') && !err.contains('\x1b'), "a pipe, {args:?}: {out:?} {err:?}");
    }
    let shown = on_a_terminal(room.drydock(&["check"]).env_remove("NO_COLOR"), 80);
    assert!(shown.starts_with("\x1b[33mnot yet:\x1b[0m "), "{shown:?}");
}

#[test]
fn a_verdict_hangs_on_a_terminal_and_is_one_line_each_through_a_pipe() {
    let room = Room::new();
    let start = stdout(&mut room.drydock(&["start", "namespaces/hostname"]));
    let name = start.split('`').nth(1).expect("the goal names the hostname");
    let lines = [
        format!("not yet: no process on this machine sees the hostname {name}: a name counts while a process is there to see it"),
        format!("  expected  a process that sees the hostname {name}"),
        "  found     none, in /proc, processes started since the exercise began".to_owned(),
        "  next      drydock hint\n\nA name of its own: not yet.\n".to_owned(),
    ];
    assert_eq!(outcome(&mut room.drydock(&["check"])).1, lines.join("\n"));
    let shown = on_a_terminal(&mut room.drydock(&["check"]), 50);
    assert!(shown.lines().all(|l| l.chars().count() <= 50), "{shown}");
    let mut lead = "";
    let mut joined: Vec<String> = Vec::new();
    for line in shown.lines() {
        if !lead.is_empty() && line.starts_with(lead) {
            joined.last_mut().expect("a line before").push_str(&format!(" {}", line.trim_start()));
        } else {
            joined.push(line.to_owned());
            lead = if line.starts_with(' ') { "            " } else { "         " };
        }
    }
    assert!(shown.lines().count() > joined.len(), "something was wrapped:\n{shown}");
    assert_eq!(joined.join("\n") + "\n", lines.join("\n"));
}

#[test]
fn a_path_a_name_and_a_short_command_stay_whole_at_any_width() {
    let room = Room::new();
    let start = stdout(&mut room.drydock(&["start", "vm-vs-container/note-under-the-door"]));
    let path = start.split('`').find(|s| s.starts_with("/tmp/")).expect("the goal names a file").to_owned();
    for columns in 40..100 {
        let shown = on_a_terminal(&mut room.drydock(&[]), columns);
        assert!(shown.contains(&format!("`{path}`")), "{columns} columns:\n{shown}");
    }
}

#[test]
fn a_table_too_wide_for_the_terminal_is_read_row_by_row() {
    let room = Room::new();
    stdout(&mut room.drydock(&["start", "cgroups"]));
    let wide = "\n                  version 1                version 2\ntrees             one a controller         one for all\n";
    let page = |columns| {
        let pages = (0..20).map(|_| on_a_terminal(&mut room.drydock(&["next"]), columns));
        pages.into_iter().find(|p| p.contains("one a controller")).expect("the table is in the chapter")
    };
    assert!(page(80).contains(wide));
    let narrow = on_a_terminal(&mut room.drydock(&[]), 44);
    assert!(narrow.contains("\nmemory limit\nversion 1: `memory.limit_in_bytes`\nversion 2: `memory.max`\n\n"), "{narrow}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let room = Room::new();
    let script = "set -o pipefail; drydock list | head -1; echo ${PIPESTATUS[0]}";
    let (code, shown, said) = outcome(room.command("bash").args(["-c", script]));
    // 141 where the pipe broke before all was written, 0 where it all went into it.
    let (first, status) = shown.split_once('\n').expect("two lines");
    assert!(first.starts_with("01  ") && ["141\n", "0\n"].contains(&status), "{shown}");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    // A pipe whose other end is closed before the first byte: SIGPIPE, and not a word.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = room.drydock(&["list"]).stdout(writer).stderr(Stdio::piped()).spawn().expect("drydock runs");
    let output = child.wait_with_output().expect("it ends");
    use std::os::unix::process::ExitStatusExt;
    assert_eq!((output.status.signal(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(13), ""));
}

#[test]
fn the_lines_of_a_here_document_are_shown_as_text_and_not_as_commands() {
    let shown = drydock::learn::render::markdown("```sh\ncat > f <<'END'\nFROM base\nEND\ncat f\n```\n", 80);
    assert_eq!(shown, "  $ cat > f <<'END'\n  > FROM base\n  > END\n  $ cat f\n");
}
