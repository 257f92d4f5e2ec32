//! A class in real browsers: the instructor leads it from the board by keyboard, a learner has a browser
//! alone and one a terminal; the hub is killed in the middle.

#[macro_use]
mod support;
#[path = "support/browser.rs"]
mod browser;

use browser::{Browser, ENTER};
use serde_json::json;
use support::class::Hub;
use support::{outcome, stdout};

#[test]
fn a_class_is_led_from_the_board_by_keyboard_and_goes_on_after_its_hub_was_killed() {
    require!(Tool("chromium"), Tool("chromedriver"));
    let mut hub = Hub::new();
    let board = Browser::open(1280, 900);
    board.go(&format!("http://127.0.0.1:{}/board?key={}", hub.port, hub.key));
    board.until("return location.search === '' && document.getElementById('line').textContent === 'live'");

    // A phone, and a name that would be markup.
    let eve = Browser::open(375, 700);
    eve.go(&format!("http://127.0.0.1:{}/#{}", hub.port, hub.code));
    eve.keys(&eve.find("#nick"), &format!("<b>eve</b>{ENTER}"));
    board.until("return document.querySelector('#rows th')?.textContent === '<b>eve</b>' && !document.querySelector('#rows b')");
    let ada = hub.learner("ada");
    stdout(&mut ada.drydock(&["start", "namespaces/hostname"]));
    assert_eq!(outcome(&mut ada.drydock(&["check"])).0, Some(1));
    board.until("return document.getElementById('groups').innerText.startsWith('1 A name of its own: no process')");

    board.press("m");
    board.press(&format!("<i>ten</i> minutes more{ENTER}"));
    eve.until("return document.getElementById('messages').innerText === '<i>ten</i> minutes more'");
    hub.act(&json!({"act": "ask", "question": "ns-what-1"}));
    eve.keys(&eve.find("#choices input[value='0']"), " ");
    eve.keys(&eve.find("#reply button"), ENTER);
    board.until("return document.querySelector('#spread .count')?.textContent === '1'");
    board.run("document.activeElement.blur()");
    board.press("c");
    eve.until("return document.getElementById('answer').textContent.startsWith('You were right.')");

    hub.kill();
    board.until("return document.getElementById('line').textContent.startsWith('the hub does not answer')");
    eve.keys(&eve.find("#hand"), ENTER);
    hub.again();
    board.until("return document.getElementById('line').textContent === 'live' && document.getElementById('hands').innerText.includes('<b>eve</b>')");
    assert_eq!(board.run("return document.querySelectorAll('#rows tr').length"), 2, "nobody lost, nobody doubled");
    assert_eq!(eve.run("return document.documentElement.scrollWidth <= innerWidth"), true, "a phone shows it without scrolling sideways");
}
