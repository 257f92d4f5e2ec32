//! A class through the binaries: a hub, learners with homes of their own, and what strangers send.

#[macro_use]
mod support;

use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use support::class::{Board, Hub, SOON};
use support::{Room, outcome, stdout};

fn verdict(seq: u64, stand: &str, reason: &str) -> Value {
    json!({"seq": seq, "at": 0, "kind": "verdict", "exercise": "namespaces/hostname", "stand": stand, "check": "named", "reason": reason})
}

const WHY: &str = "no process on this machine sees the hostname {name}: a name counts while a process is there to see it";

#[test]
fn the_board_shows_who_is_stuck_on_which_reason_and_a_killed_hub_loses_and_doubles_nothing() {
    let mut hub = Hub::new();
    let (ada, bob) = (hub.learner("ada"), hub.learner("bob"));
    for learner in [&ada, &bob] {
        stdout(&mut learner.drydock(&["start", "namespaces/hostname"]));
        assert_eq!(outcome(&mut learner.drydock(&["check"])).0, Some(1));
    }
    let mut board = hub.board();
    // The two have other hostnames drawn, and are stuck on the same.
    board.until("the group of two", |b| b.head["groups"] == json!([{"exercise": 0, "reason": WHY, "count": 2, "who": [0, 1]}]));
    stdout(&mut ada.drydock(&["hand", "which", "shell?"]));
    board.until("the hand", |b| b.row("ada")["hand"]["about"] == "which shell?");

    hub.kill();
    for _ in 0..2 {
        let (code, _, said) = outcome(&mut ada.drydock(&["check"]));
        assert_eq!((code, said.as_str()), (Some(1), ""), "the course is the same without the hub");
    }
    stdout(&mut ada.drydock(&["hint"]));
    let shown = stdout(&mut ada.drydock(&["join", "--show"]));
    assert_eq!(shown.split_once("to be sent").expect("it waits").1.matches("\"kind\":\"verdict\"").count(), 2, "{shown}");
    hub.again();
    let mut board = hub.board();
    let ada_is = |b: &Board| (b.row("ada")["checks"].clone(), b.row("ada")["hints"].clone(), b.row("ada")["hand"]["about"].clone());
    board.until("what was kept", |b| ada_is(b) == (json!(3), json!(1), json!("which shell?")));
    assert_eq!((board.rows.len(), &board.row("bob")["checks"]), (2, &json!(1)), "{:#?}", board.rows);

    let text = stdout(hub.room.drydock(&["workshop", "board", "class"]).current_dir(hub.room.path()));
    let together = format!("not yet, together\n   2  namespaces/hostname: {WHY}\n      ada, bob\n");
    assert!(text.contains(&together) && text.contains("HAND UP: which shell?"), "{text}");
    // Both had no hostname of their own; the one hint and the times are the class's to know.
    let report = |format: &str| stdout(hub.room.drydock(&["workshop", "report", "class", "--format", format]).current_dir(hub.room.path()));
    let csv = report("csv");
    let lines: Vec<Vec<&str>> = csv.split("\r\n").map(|l| l.split(',').collect()).collect();
    let facts = |line: &[&str]| (line[0].to_owned(), line[2].to_owned(), line[6].to_owned(), line[7].to_owned(), line[8].to_owned());
    let of = |who: &str, checks: &str, hints: &str| (who.to_owned(), "not yet".to_owned(), checks.to_owned(), hints.to_owned(), WHY.to_owned());
    assert_eq!((facts(&lines[1]), facts(&lines[2]), lines.len()), (of("ada", "3", "1"), of("bob", "1", "0"), 4), "{csv}");
    let junit = report("xml");
    let case = format!("    <testcase classname=\"namespaces\" name=\"hostname\" time=\"0\"><failure message=\"{WHY}\"/></testcase>\n");
    assert_eq!((junit.matches(&case).count(), junit.matches("<testsuite name=\"ada\"").count()), (2, 1), "{junit}");
    assert_eq!(stdout(&mut ada.drydock(&["leave"])), "You have left the class. Your progress in the course is as it was.\n");
    board.until("ada's leaving", |b| b.row("ada")["left"] == true);
    let (code, _, said) = outcome(&mut ada.drydock(&["hand"]));
    assert_eq!((code, said.lines().next()), (Some(2), Some("error: you are in no class")));
}

#[test]
fn a_question_to_all_is_answered_in_a_terminal_and_its_answers_spread_out_and_what_was_right_is_told_when_it_is_closed() {
    let hub = Hub::new();
    let (ada, mut board) = (hub.learner("ada"), hub.board());
    hub.act(&json!({"act": "message", "text": "ten minutes more"}));
    hub.act(&json!({"act": "ask", "question": "ns-what-1"}));
    let answer = |letter: &str| {
        let mut command = ada.drydock(&["join"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("drydock runs");
        child.stdin.take().expect("a pipe").write_all(letter.as_bytes()).expect("it reads");
        let out = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let shown = answer("a\n");
    assert!(shown.contains("  ten minutes more\n") && shown.contains("Two processes show") && shown.ends_with("  sent\n"), "{shown}");
    board.until("the reply", |b| b.head["poll"]["replies"] == 1);
    assert_eq!(board.head["poll"]["spread"][0]["count"], 1);
    hub.act(&json!({"act": "close"}));
    hub.act(&json!({"act": "message", "text": "on with it"}));
    // What is new comes with the answer to whatever is sent, behind the command's back, and is told once.
    stdout(&mut ada.drydock(&["hand"]));
    let end = std::time::Instant::now() + SOON;
    let told = loop {
        let (_, _, said) = outcome(&mut ada.drydock(&["list"]));
        if !said.is_empty() {
            break said;
        }
        assert!(std::time::Instant::now() < end, "no news for a learner");
    };
    assert!(told.starts_with("from your instructor: on with it\nthe answer: You were right. they see the same hostname"), "{told}");
    assert_eq!(outcome(&mut ada.drydock(&["list"])).2, "");
}

#[test]
fn a_wrong_code_another_hub_a_taken_nick_and_guesses_are_refused_or_mended() {
    let hub = Hub::new();
    let room = Room::new();
    let join = |code: &str| outcome(&mut room.drydock(&["join", &format!("{code}@127.0.0.1:{}", hub.port), "--name", "eve"]));
    let wrong = format!("{}{}", if hub.code.starts_with('0') { '1' } else { '0' }, &hub.code[1..]);
    assert_eq!(join(&wrong), (Some(2), String::new(), "error: the hub refuses: the code is wrong: read it again from the instructor's screen\n".into()));
    let last = if hub.code.ends_with('0') { '1' } else { '0' };
    let (code, _, said) = join(&format!("{}{last}", &hub.code[..hub.code.len() - 1]));
    assert_eq!((code, said.lines().next()), (Some(2), Some(format!("error: what answers at 127.0.0.1:{} is not the hub of this code", hub.port).as_str())));
    let first = hub.learner("Ada");
    let second = Room::new();
    let said = stdout(&mut second.drydock(&["join", &hub.address(), "--name", "ada"]));
    assert!(said.contains("There is a ada already, so your name in the class is ada 2.\n"), "{said}");
    drop(first);
    let mut last = 0;
    for _ in 0..30 {
        last = hub.post("/join", "", &json!({"word": "000000", "nick": "eve"})).0;
    }
    assert_eq!(last, 429);
}

#[test]
fn what_strangers_send_is_refused_or_repaired_and_a_learner_does_not_get_to_the_board() {
    let hub = Hub::new();
    let mut board = hub.board();
    let (word, secret) = (&hub.code[..6], "0123456789abcdef0123456789abcdef");
    let nick = "<img src=x onerror=alert(1)>\u{202e}\n";
    let (status, inbox) = hub.post("/join", "", &json!({"word": word, "nick": nick, "secret": secret}));
    assert_eq!((status, &inbox["inbox"]["nick"]), (200, &json!("<img src=x onerror=alert(1)>")));
    // Out of order, twice, with a clock that is years behind, and one number with another content.
    let now = 1_000_000;
    let send = |events: Value| hub.post("/events", secret, &json!({"now": now, "events": events}));
    assert_eq!(send(json!([verdict(3, "not-yet", "third"), verdict(2, "not-yet", "second")])).0, 200);
    assert_eq!(send(json!([verdict(1, "passed", ""), verdict(3, "not-yet", "third"), verdict(2, "passed", "forged")])).1["seqs"], json!([1, 3, 2]));
    board.until("three checks", |b| b.rows.get(&0).is_some_and(|r| r["checks"] == 3));
    let row = &board.rows[&0];
    assert_eq!((row["signs"].as_str().map(|s| &s[..1]), &row["reason"]), (Some("+"), &Value::Null), "what was passed stays passed: {row}");
    assert!(row["since"].as_i64() > Some(1_500_000_000_000), "by the hub's clock: {row}");
    let long = "x".repeat(5000);
    send(json!([{"seq": 4, "at": 0, "kind": "hand", "up": true, "about": long}]));
    board.until("a hand", |b| b.rows[&0]["hand"]["about"].as_str().is_some_and(|a| a.len() == 300));

    let unknown = hub.post("/events", secret, &json!({"now": now, "events": [{"seq": 5, "at": 0, "kind": "of-a-newer-drydock"}]}));
    assert_eq!((unknown.0, &unknown.1["seqs"]), (200, &json!([5])), "answered for, or it would be sent for ever");

    // A database that goes away: nothing is answered for that is not written down, and the instructor sees why.
    let (there, away) = (hub.room.path().join("class/class.db"), hub.room.path().join("away"));
    std::fs::rename(&there, &away).expect("the room is ours");
    let kept = json!([{"seq": 6, "at": 0, "kind": "hand", "up": false}]);
    assert_eq!(send(kept.clone()).0, 503);
    board.until("the trouble", |b| b.head["trouble"].as_str().is_some_and(|t| t.contains("was moved or removed")));
    std::fs::rename(&away, &there).expect("the room is ours");
    assert_eq!(send(kept).0, 200);
    board.until("all well", |b| b.head["trouble"].is_null() && b.rows[&0]["hand"].is_null());

    let bearer = format!("authorization: Bearer {secret}");
    assert_eq!(hub.ask("POST /events", &[&bearer], &vec![b' '; 1 << 20]).0, 413);
    assert_eq!(hub.ask("POST /events", &[&bearer], b"{").0, 400);
    assert_eq!(hub.ask("POST /events", &["authorization: Bearer nobody-nobody-nobody"], b"{}").0, 401);
    assert_eq!(hub.ask("POST /events", &[&format!("cookie: drydock-learner={secret}"), "origin: http://elsewhere.example"], b"{}").0, 403, "another page with the learner's cookie");
    for path in ["/board", "/board/text", "/board/stream", "/board/all"] {
        assert_eq!(hub.ask(&format!("GET {path}"), &[], b"").0, 401, "{path} to anybody");
        assert_eq!(hub.ask(&format!("GET {path}"), &[&bearer], b"").0, 403, "{path} to a learner");
    }
    hub.act(&json!({"act": "remove", "learner": board.rows[&0]["id"]}));
    assert_eq!(hub.ask("POST /events", &[&bearer], b"{}").0, 403, "who was taken out stays out");
}
