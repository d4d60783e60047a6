//! A headless Chromium for tests of pages, spoken to in its DevTools protocol over a pipe.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Names that the browser goes by.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The browser reads commands from 3 and writes to 4; a shell puts its own streams there.
const SCRIPT: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1";

/// A page in a browser of its own.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    events: VecDeque<Value>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser, if this machine has one.
    ///
    /// # Panics
    ///
    /// Panics if it is there and does not start.
    pub fn start() -> Option<Self> {
        let program = NAMES.into_iter().find(|name| {
            std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
        })?;
        let profile = tempfile::tempdir().expect("the system's folder for temporary files is writable");
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("every system has a shell");
        let commands = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut browser = Self {
            process,
            commands,
            answers,
            events: VecDeque::new(),
            session: None,
            last: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Log", "Network", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Opens a file in a window of this size, in light or dark colours.
    ///
    /// # Panics
    ///
    /// Panics if the browser fails.
    pub fn open(&mut self, file: &Path, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme);
        // That an earlier page has loaded says nothing of this one.
        self.take_events("Page.loadEventFired");
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.read();
            self.events.push_back(event);
        }
    }

    /// Computes a JavaScript expression in the page.
    ///
    /// # Panics
    ///
    /// Panics if it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer =
            self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].take()
    }

    /// Writes a picture of the whole page as PNG.
    ///
    /// # Panics
    ///
    /// Panics if `file` cannot be written.
    pub fn screenshot(&mut self, file: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let data = answer["data"].as_str().expect("a picture");
        let png = BASE64_STANDARD.decode(data).expect("the browser writes base64");
        std::fs::write(file, png).expect("the folder is writable");
    }

    /// Returns and forgets what the browser told of itself since the last call: parameters of the
    /// events `method`.
    pub fn take_events(&mut self, method: &str) -> Vec<Value> {
        let (taken, kept) = self.events.drain(..).partition(|event: &Value| event["method"] == method);
        self.events = kept;
        let taken: VecDeque<Value> = taken;
        taken.into_iter().map(|mut event| event["params"].take()).collect()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.commands, "{message}\0").expect("the browser lives");
        loop {
            let mut answer = self.read();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push_back(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).expect("the browser lives");
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).expect("the browser writes JSON")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
