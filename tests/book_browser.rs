//! The book in a real browser: questions are answered, rightly and wrongly and by keyboard alone, and
//! the answers are still there after a reload; search, themes, the players; an exercise is done in the
//! live page; every page is quiet, asks no other host, is light, and can be read without seeing it.
//!
//! Debian's Chromium without a window. axe-core does the accessibility where DRYDOCK_AXE names its file;
//! a few checks of our own always do.

#[macro_use]
mod support;
#[path = "support/browser.rs"]
mod browser;

use browser::{Browser, CONTROL, ENTER, F6, RELEASE, Running, SHIFT};
use serde_json::Value;
use support::{Room, stdout};

/// Bytes that a page may take before anybody does anything.
const WEIGHT: f64 = 400_000.0;

/// A browser on the served book of a learner.
struct Reader {
    page: Browser,
    address: String,
    room: Room,
    served: Running,
}

impl Reader {
    fn open(room: Room, width: u32, height: u32, options: &[&str]) -> Self {
        let (served, address) = browser::book(room.drydock(&[]).env("SHELL", "/bin/bash").env("HOME", room.path()), options);
        let page = Browser::open(width, height);
        page.go(&address);
        Self { page, address, room, served }
    }

    fn go(&self, name: &str) {
        self.page.go(&browser::page(&self.address, name));
    }

    fn count(&self, css: &str) -> u64 {
        self.page.run(&format!("return document.querySelectorAll('{css}').length")).as_u64().expect("a number")
    }

    fn list(&self, script: &str) -> Vec<String> {
        self.page.run(script).as_array().expect("a list").iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }

    /// Fills a question's form in by keyboard, wrongly or rightly, as its page says what is right.
    fn fill(&self, at: &str, kind: &str, rightly: bool) {
        match kind {
            "one" | "several" => {
                let right = self.list(&format!("return Array.from(document.querySelectorAll('{at} .reasons > li[data-right]'), r => r.dataset.choice)"));
                let all = self.list(&format!("return Array.from(document.querySelectorAll('{at} fieldset input'), i => i.value)"));
                let mut taken: Vec<&String> = all.iter().filter(|c| right.contains(c) == rightly).collect();
                if kind == "one" {
                    taken.truncate(1);
                }
                for choice in taken {
                    self.page.keys(&self.page.find(&format!("{at} input[value=\"{choice}\"]")), " ");
                }
            }
            "number" | "text" => {
                let right = self.page.text(&format!("return JSON.parse(document.querySelector('{at}').dataset.answers)[0]"));
                self.page.keys(&self.page.find(&format!("{at} input")), if rightly { &right } else { "424242424" });
            }
            "order" => {
                let count = self.count(&format!("{at} .ordered > li"));
                // From the back, each to the top: the right order; the other way round, the wrong one.
                for place in 0..count {
                    let item = if rightly { count - 1 - place } else { place };
                    let up = format!("{at} .ordered > li[data-choice=\"{item}\"] .up");
                    while self.page.run(&format!("return !document.querySelector('{up}').disabled")) == Value::Bool(true) {
                        self.page.keys(&self.page.find(&up), ENTER);
                    }
                }
            }
            other => panic!("an unknown kind {other}"),
        }
    }

    fn answer(&self, id: &str, kind: &str, rightly: bool) {
        let at = format!("[data-id=\"{id}\"]");
        self.fill(&at, kind, rightly);
        self.page.keys(&self.page.find(&format!("{at} .check")), ENTER);
        let class = if rightly { "is-right" } else { "is-wrong" };
        self.page.until(&format!("return document.querySelector('{at}').matches('.{class}')"));
        let told = self.page.text(&format!("return document.querySelector('{at} .verdict').innerText"));
        assert!(told.starts_with(if rightly { "✓ Right." } else { "✗ Not right." }) && told.len() > 40, "{id} explains: {told}");
    }
}

#[test]
fn every_kind_of_question_is_answered_by_keyboard_kept_over_a_reload_and_known_in_the_terminal() {
    require!(Root, Tool("chromedriver"), Tool("chromium"));
    let reader = Reader::open(Room::new(), 390, 800, &[]);
    let mut kinds = vec!["one", "several", "number", "order", "text"];
    for page in ["cgroups.html", "namespaces.html"] {
        reader.go(page);
        let mut asked = Vec::new();
        kinds.retain(|kind| {
            let id = reader.page.text(&format!("return document.querySelector('.question[data-kind={kind}]')?.dataset.id ?? ''"));
            if !id.is_empty() {
                asked.push((*kind, id.clone()));
            }
            id.is_empty()
        });
        for (kind, id) in &asked {
            reader.answer(id, kind, false);
            // The focus is on the way to try again.
            reader.page.press(ENTER);
            reader.page.until(&format!("const q = document.querySelector('[data-id=\"{id}\"]'); return q.contains(document.activeElement) && !q.matches('.is-wrong')"));
            reader.answer(id, kind, true);
        }
        let questions = reader.count(".question.asked");
        let expected = format!("{} of {questions} answered, {} right.", asked.len(), asked.len());
        assert_eq!(reader.page.text("return document.querySelector('.result p').innerText"), expected);
        // The learner's record knows of it, and tells every page.
        for (_, id) in &asked {
            reader.page.until(&format!("return document.querySelector('[data-id=\"{id}\"]').previousElementSibling.innerText.includes('✓ answered')"));
        }
        reader.page.reload();
        reader.page.until("return document.querySelector('.result p') !== null");
        assert_eq!(reader.count(".question.is-right"), asked.len() as u64, "kept on {page}");
        assert_eq!(reader.page.text("return document.querySelector('.result p').innerText"), expected);
        assert_eq!(reader.page.run("return document.documentElement.scrollWidth <= innerWidth"), Value::Bool(true), "{page} is as wide as a phone");
        let record: Value = serde_json::from_str(&stdout(&mut reader.room.drydock(&["progress", "--json"]))).expect("it is JSON");
        for (_, id) in &asked {
            assert_eq!((record["answers"][id]["right"].as_bool(), record["answers"][id]["tries"].as_u64()), (Some(true), Some(2)), "{id}");
        }
    }
    assert_eq!(kinds, Vec::<&str>::new(), "every kind was met");
}

#[test]
fn search_themes_the_plan_and_a_recorded_terminal_work_by_keyboard() {
    require!(Root, Tool("chromedriver"), Tool("chromium"));
    let reader = Reader::open(Room::new(), 1280, 900, &[]);
    let page = &reader.page;
    page.press("/");
    page.keys(&page.find("#mdbook-searchbar"), "whiteout");
    page.until("return document.querySelectorAll('#mdbook-searchresults li a').length > 0");
    let first = page.text("return document.querySelector('#mdbook-searchresults li a').getAttribute('href')");
    assert!(first.contains(".html") && first.contains("whiteout"), "{first}");

    reader.go("plan.html");
    page.keys(&page.find("#mdbook-theme-toggle"), ENTER);
    page.keys(&page.find("#mdbook-theme-navy"), ENTER);
    page.until("return document.documentElement.classList.contains('navy')");
    page.reload();
    page.until("return document.documentElement.classList.contains('navy')");

    let next = page.find(".plan .player button:nth-of-type(2)");
    let mut steps = 0;
    while page.run("return !document.querySelector('.plan .player button:nth-of-type(2)').disabled") == Value::Bool(true) {
        page.keys(&next, ENTER);
        steps += 1;
    }
    assert_eq!(reader.count(".plan > ol > li"), steps);
    let facts = reader.list("return Array.from(document.querySelectorAll('.so-far td'), d => d.textContent)");
    assert_eq!(facts[1..8], ["its own", "its own", "its own", "its own", "its own", "its own", "1, inside"]);

    reader.go("namespaces.html");
    let whole = page.text("return document.querySelector('figure.terminal').querySelector('pre').innerText");
    page.keys(&page.find("figure.terminal .player button:nth-of-type(2)"), ENTER);
    page.until("return document.querySelectorAll('figure.terminal .line.later').length > 0");
    page.keys(&page.find("figure.terminal .player button:nth-of-type(3)"), ENTER);
    page.until("return document.querySelectorAll('figure.terminal .line.later').length === 0");
    assert_eq!(page.text("return document.querySelector('figure.terminal').querySelector('pre').innerText"), whole);
}

#[test]
fn in_the_live_page_an_exercise_is_done_by_keyboard_and_its_check_turns_green_without_a_reload() {
    require!(Root, Tool("chromedriver"), Tool("chromium"), Tool("less"));
    let reader = Reader::open(Room::new(), 1280, 900, &["--live", "--here"]);
    let page = &reader.page;
    reader.go("namespaces.html");
    page.run("window.marked = 'this very page'");
    // Shown once the server has said how things stand.
    page.until("return document.querySelector('.live .begin')?.offsetParent instanceof Element");
    page.keys(&page.find(".live .begin"), ENTER);
    let shows = |text: &str| page.until(&format!("return window.drydockTerminal?.text().join('\\n').includes({}) === true", Value::from(text)));
    shows("(drydock) ");
    page.until("return document.querySelector('.live.in-hand').dataset.outcome === 'not-yet'");
    // A full-screen program, in the terminal's own size, and back.
    page.press(&format!("for i in $(seq 300); do echo line $i; done | less{ENTER}"));
    shows("line 20");
    page.press("G");
    shows("line 300");
    page.press("q");
    page.press(&format!("stty size; echo 'grün 日本' | tr -d x{ENTER}"));
    shows("\ngrün 日本");
    let size = page.text("return `${drydockTerminal.screen.rows} ${drydockTerminal.screen.cols}`");
    shows(&format!("\n{size}"));
    // In the middle of a flood the keys still arrive.
    page.press(&format!("yes flooded{ENTER}"));
    shows("\nflooded\nflooded");
    page.press(&format!("{CONTROL}c{RELEASE}echo over-and-$((40 + 2)){ENTER}"));
    shows("over-and-42");
    let solution = page.text("return Array.from(document.querySelectorAll('#exercise-hostname ~ details')).find(d => d.querySelector('summary').textContent === 'One way to do it').querySelector('code').textContent");
    // Pasted, as people do; a shell that knows a paste from typing waits for Enter, and the next shell must
    // have its prompt before it is pasted into.
    for (number, line) in solution.trim().lines().enumerate() {
        if number > 0 {
            page.until("return drydockTerminal.text().some(line => line.trim() === '#')");
        }
        page.run(&format!("drydockTerminal.screen.paste({})", Value::from(line)));
        shows(line);
        page.press(ENTER);
    }
    page.until("return document.querySelector('.live.in-hand').dataset.outcome === 'passed'");
    page.until("return document.querySelector('#exercise-hostname').innerText.includes('✓ passed')");
    assert_eq!(page.text("return window.marked"), "this very page", "it was not loaded again");
    page.press(&format!("{SHIFT}{F6}{RELEASE}"));
    page.until("return !document.querySelector('#terminal .place').contains(document.activeElement)");
    // The shell goes along to the next page.
    reader.go("cgroups.html");
    shows("hostname");
    assert_eq!(page.console(), Vec::<String>::new());
    // Marked in the terminal too, and nothing outlives the server.
    assert!(stdout(&mut reader.room.drydock(&["list"])).contains("hostname"));
    let Reader { room, mut served, page, .. } = reader;
    served.end();
    drop(page);
    let marked = format!("DRYDOCK_WORK={}", room.path().display());
    let left: Vec<String> = drydock::kernel::proc::pids().into_iter().filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/environ")).is_ok_and(|e| e.contains(&marked))).map(|pid| pid.to_string()).collect();
    assert_eq!(left, Vec::<String>::new(), "processes of the shell that are left");
}

/// Names of what a screen reader would stumble over; always, with or without axe-core.
const OWN: &str = "
    const bad = [];
    const name = (e) => (e.getAttribute('aria-label') || e.textContent || e.title || '').trim() || e.labels?.length;
    for (const e of document.querySelectorAll('main a[href], button, input:not(.hidden)')) { if (e.offsetParent && !name(e) && !e.placeholder) { bad.push('no name: ' + e.outerHTML.slice(0, 90)); } }
    let level = 1;
    for (const h of document.querySelectorAll('main h1, main h2, main h3, main h4')) { const l = Number(h.tagName[1]); if (l > level + 1) { bad.push('a level is left out: ' + h.textContent); } level = l; }
    if (!document.documentElement.lang || document.querySelectorAll('main').length !== 1) { bad.push('no language, or not one main'); }
    const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id);
    for (const id of ids.filter((i, at) => ids.indexOf(i) !== at)) { bad.push('twice: ' + id); }
    return bad;";

const AXE: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
        .then((r) => done(r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.html.slice(0, 120)))), (e) => done([String(e)]));";

#[test]
fn every_page_is_quiet_light_asks_no_other_host_and_is_accessible() {
    require!(Root, Tool("chromedriver"), Tool("chromium"));
    let axe = std::env::var("DRYDOCK_AXE").ok().map(|file| std::fs::read_to_string(file).expect("DRYDOCK_AXE names axe-core's file"));
    let reader = Reader::open(Room::new(), 1280, 900, &[]);
    let page = &reader.page;
    let book = browser::page(&reader.address, "");
    page.until("return document.querySelectorAll('#mdbook-sidebar a[href]').length > 15");
    let pages = reader.list("return Array.from(new Set(Array.from(document.querySelectorAll('#mdbook-sidebar a[href]'), a => a.href.split('/').pop().split('#')[0])))");
    let mut wrong: Vec<String> = Vec::new();
    // One page of each kind in the dark as well; with axe-core, all.
    let dark: Vec<String> = pages.iter().filter(|p| axe.is_some() || ["welcome.html", "namespaces.html", "plan.html"].contains(&p.as_str())).cloned().collect();
    page.console();
    for (name, theme) in pages.iter().map(|p| (p, "light")).chain(dark.iter().map(|p| (p, "navy"))) {
        page.run(&format!("localStorage.setItem('mdbook-theme', '{theme}')"));
        reader.go(name);
        let loaded = page.run("return performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).map(e => [e.name, e.encodedBodySize])");
        let loaded = loaded.as_array().expect("a list");
        wrong.extend(loaded.iter().filter_map(|e| e[0].as_str()).filter(|u| !u.starts_with(&book) && !u.starts_with("data:")).map(|u| format!("{name} asks {u}")));
        let weight: f64 = loaded.iter().filter_map(|e| e[1].as_f64()).sum();
        if weight > WEIGHT {
            wrong.push(format!("{name} takes {weight} bytes"));
        }
        wrong.extend(reader.list(OWN).iter().map(|w| format!("{name}, {theme}: {w}")));
        if let Some(axe) = &axe {
            page.run(axe);
            let found = page.run_async(AXE);
            wrong.extend(found.as_array().expect("a list").iter().map(|w| format!("{name}, {theme}: {w}")));
        }
        wrong.extend(page.console().iter().map(|line| format!("{name} says {line}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
}
