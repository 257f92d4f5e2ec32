//! Debian's Chromium without a window, by WebDriver (the W3C's recommendation): no crate is needed for a
//! dozen requests of JSON. Brought in by the few tests that open one (`#[path]`), not by `support`.
#![allow(dead_code)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a page may take for anything, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// Keys without a letter, as WebDriver numbers them.
pub const ENTER: &str = "\u{E007}";
pub const TAB: &str = "\u{E004}";
pub const CONTROL: &str = "\u{E009}";
pub const SHIFT: &str = "\u{E008}";
pub const F6: &str = "\u{E036}";
/// Lets go of every key that is held.
pub const RELEASE: &str = "\u{E000}";

/// A program of ours with its whole family, ended when this is dropped.
pub struct Running(Child, Lines<BufReader<ChildStdout>>);

impl Running {
    /// Starts it, and gives the first line that says what we wait for.
    pub fn start(command: &mut Command, says: &str) -> (Self, String) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let found = lines.by_ref().map_while(Result::ok).find(|l| l.contains(says)).expect("it says where it listens");
        // Its output stays open: it may have more to say, and would end at a closed one.
        (Self(child, lines), found)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        let group = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    }
}

/// A window.
pub struct Browser {
    driver: String,
    session: String,
    agent: ureq::Agent,
    _running: Running,
    // Dropped last: Chromium does not take its own away there.
    _folder: tempfile::TempDir,
}

/// An element of a page, by its number there.
pub struct Element(String);

impl Browser {
    /// Opens a window of this width and height, in CSS pixels.
    pub fn open(width: u32, height: u32) -> Self {
        let mut command = Command::new(crate::support::which("chromedriver").expect("it was required"));
        let folder = tempfile::tempdir().expect("a folder for what it writes");
        let (running, line) = Running::start(command.arg("--port=0").env("TMPDIR", folder.path()), "successfully on port ");
        let port: String = line.rsplit("on port ").next().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        let mut browser = Self { driver: format!("http://127.0.0.1:{port}"), session: String::new(), agent, _running: running, _folder: folder };
        let size = format!("--window-size={width},{height}");
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", size] });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let session = browser.call("", json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/{}", session["sessionId"].as_str().expect("a session"));
        browser.call("/timeouts", json!({ "script": PATIENCE.as_millis(), "pageLoad": PATIENCE.as_millis() }));
        // Exactly this, whatever the smallest window is.
        browser.call("/goog/cdp/execute", json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": { "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 } }));
        browser
    }

    fn call(&self, path: &str, body: Value) -> Value {
        let address = format!("{}/session{}{path}", self.driver, self.session);
        let answer = self.agent.post(&address).header("content-type", "application/json").send(body.to_string());
        let text = answer.and_then(|mut a| a.body_mut().read_to_string()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].take()
    }

    /// Opens a page.
    pub fn go(&self, address: &str) {
        self.call("/url", json!({ "url": address }));
    }

    /// Loads the page again.
    pub fn reload(&self) {
        self.call("/refresh", json!({}));
    }

    /// Runs a script's body in the page; gives what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.call("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// The same for a script that calls its last argument when it is done.
    pub fn run_async(&self, script: &str) -> Value {
        self.call("/execute/async", json!({ "script": script, "args": [] }))
    }

    /// What a script returns, as text.
    pub fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script says true.
    pub fn until(&self, script: &str) {
        let end = Instant::now() + PATIENCE;
        while self.run(script) != Value::Bool(true) {
            assert!(Instant::now() < end, "never: {script}\n{}", self.run("return window.drydockTerminal?.text() ?? document.body.innerText.slice(0, 3000)"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The first element of a selector, once it is there.
    pub fn find(&self, css: &str) -> Element {
        self.until(&format!("return document.querySelector({}) !== null", json!(css)));
        let found = self.call("/element", json!({ "using": "css selector", "value": css }));
        Element(found.as_object().and_then(|o| o.values().next()?.as_str().map(str::to_owned)).expect("an element"))
    }

    /// Presses keys on an element, which takes the focus.
    pub fn keys(&self, element: &Element, keys: &str) {
        self.call(&format!("/element/{}/value", element.0), json!({ "text": keys }));
    }

    /// Presses keys on what has the focus: no mouse.
    pub fn press(&self, keys: &str) {
        let answer = self.agent.get(format!("{}/session{}/element/active", self.driver, self.session)).call();
        let text = answer.and_then(|mut a| a.body_mut().read_to_string()).expect("the driver answers");
        let found: Value = serde_json::from_str(&text).unwrap_or_default();
        let element = found["value"].as_object().and_then(|o| o.values().next()?.as_str().map(str::to_owned));
        self.keys(&Element(element.unwrap_or_else(|| panic!("nothing has the focus: {text}"))), keys);
    }

    /// What the page's console has said since it was asked last.
    pub fn console(&self) -> Vec<String> {
        let log = self.call("/se/log", json!({ "type": "browser" }));
        log.as_array().into_iter().flatten().filter_map(|l| l["message"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its profile's folder goes with the session.
        if !self.session.is_empty() {
            let _ = self.agent.delete(format!("{}/session{}", self.driver, self.session)).call();
        }
    }
}

/// `drydock book serve`, and the address that it prints.
pub fn book(drydock: &mut Command, options: &[&str]) -> (Running, String) {
    let (running, line) = Running::start(drydock.args(["book", "serve", "--addr", "127.0.0.1:0"]).args(options), "the book is at ");
    let address = line.split_whitespace().nth(4).expect("an address").to_owned();
    (running, address)
}

/// The address of a file below: without the token.
pub fn page(address: &str, name: &str) -> String {
    format!("{}{name}", address.split('?').next().unwrap_or_default())
}
