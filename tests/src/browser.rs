//! A real Chromium on a host's own screen, told what to do by JSON lines to `browser/drive.mjs`
//! (playwright-core under node): one request a line in, one answer a line out.
//!
//! What it shares is what stands on the host's X display, and what it hears is a [`Microphone`]
//! that beeps: no fake device takes their place.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    binaries::browser_file, display::Display, host::Host, process::Process, sound::Microphone,
};

/// How long the driver waits for an element or a page.
const ELEMENT: Duration = Duration::from_secs(15);

/// The driver always answers; this is for a driver that does not.
const ANSWER: Duration = Duration::from_mins(1);

/// How the browser comes to trust the box.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It does not: the teacher clicks through the warning once, by [`Page::click_through`].
    ClickThrough,
    /// The root in this PEM file was installed beforehand.
    Root(PathBuf),
}

/// What a person looks for on a page.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    Css(&'a str),
    /// The field with this label.
    Label(&'a str),
    /// An ARIA role and (a part of) the accessible name.
    Role(&'a str, &'a str),
    /// An element with (a part of) this text.
    Text(&'a str),
}

impl By<'_> {
    fn to_json(self) -> Value {
        match self {
            Self::Css(css) => json!({ "css": css }),
            Self::Label(label) => json!({ "label": label }),
            Self::Role(role, name) => json!({ "role": role, "name": name }),
            Self::Text(text) => json!({ "text": text }),
        }
    }
}

/// How to start one.
#[derive(Clone, Debug)]
pub struct Launch {
    trust: Trust,
    locale: String,
    display: Option<Display>,
    has_microphone: bool,
}

impl Launch {
    /// The language that pages see, `en-US` unless told otherwise. Chromium itself stays English:
    /// the name of the screen that it shares is translated with it.
    #[must_use]
    pub fn locale(mut self, locale: &str) -> Self {
        locale.clone_into(&mut self.locale);
        self
    }

    /// A screen that is there already, in place of one of its own.
    #[must_use]
    pub fn on(mut self, display: &Display) -> Self {
        self.display = Some(display.clone());
        self
    }

    /// A computer without a microphone.
    #[must_use]
    pub fn without_microphone(mut self) -> Self {
        self.has_microphone = false;
        self
    }

    /// Returns when there is an empty page.
    pub async fn start(self, host: &Host) -> Result<Browser> {
        ensure!(
            browser_file("node_modules").is_dir(),
            "tests/browser has no node_modules: run `make setup`"
        );
        if let Trust::Root(root) = &self.trust {
            install_root(host, root).await?;
        }
        let display = match self.display {
            Some(display) => display,
            None => Display::start(host).await?,
        };
        let microphone =
            if self.has_microphone { Some(Microphone::plug_in(host).await?) } else { None };
        let profile = host.dir().join(format!("profile{}", display.name().replace(':', "-")));
        let mut command = Command::new("node");
        command.arg(browser_file("drive.mjs")).env("DISPLAY", display.name());
        let driver = host.spawn("browser", command)?;
        let browser = Browser { driver, display, microphone, requests: AtomicU64::new(0) };
        browser.ask("launch", json!({ "profile": profile, "locale": self.locale })).await?;
        Ok(browser)
    }
}

#[derive(Debug)]
pub struct Browser {
    driver: Process,
    display: Display,
    microphone: Option<Microphone>,
    requests: AtomicU64,
}

impl Browser {
    /// Starts one with a screen of its own.
    pub async fn launch(host: &Host, trust: Trust) -> Result<Self> {
        Self::with(trust).start(host).await
    }

    /// One that differs from the ordinary.
    pub fn with(trust: Trust) -> Launch {
        Launch { trust, locale: "en-US".to_owned(), display: None, has_microphone: true }
    }

    pub fn display(&self) -> &Display {
        &self.display
    }

    /// `None` on a computer without one.
    pub fn microphone(&self) -> Option<&Microphone> {
        self.microphone.as_ref()
    }

    /// Its output has the pages' console, and their errors.
    pub fn process(&self) -> &Process {
        &self.driver
    }

    /// The page that it started with.
    pub fn page(&self) -> Page<'_> {
        Page { browser: self, name: "main".to_owned() }
    }

    /// A further tab, or a window of its own.
    pub async fn open(&self, name: &str, url: &str, is_window: bool) -> Result<Page<'_>> {
        let page = Page { browser: self, name: name.to_owned() };
        page.ask("open", json!({ "url": url, "window": is_window })).await?;
        Ok(page)
    }

    /// Covers the whole screen with moving text and the frame counter ([`crate::marker`]), in a
    /// window in front of the others, as a film or a programme would.
    pub async fn show_moving_picture(&self) -> Result<Page<'_>> {
        let url = format!("file://{}", browser_file("moving.html").display());
        self.show_whole("moving", &url).await
    }

    /// Covers the whole screen with a page of its own.
    pub async fn show_whole(&self, name: &str, url: &str) -> Result<Page<'_>> {
        let page = self.open(name, url, true).await?;
        page.ask("fullscreen", json!({})).await?;
        Ok(page)
    }

    /// Ends it as a person does.
    pub async fn close(self) -> Result<()> {
        self.driver.close_stdin();
        let status = self.driver.wait_for_exit(ANSWER).await?;
        ensure!(status.success(), "the driver ended badly\n{}", self.driver.story());
        Ok(())
    }

    async fn ask(&self, what: &str, mut request: Value) -> Result<Value> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        request["do"] = json!(what);
        request["timeout_ms"] = json!(ELEMENT.as_millis());
        let mut answers = self.driver.new_lines();
        self.driver.say(&request.to_string()).await?;
        let is_answer = |line: &str| parse(line).is_some_and(|answer| answer["id"] == id);
        let line = answers.find(is_answer, ANSWER).await.with_context(|| what.to_owned())?;
        let mut answer = parse(&line).context("it was one a moment ago")?;
        match answer["error"].as_str() {
            Some(error) => bail!("{what}: {error}"),
            None => Ok(answer["ok"].take()),
        }
    }
}

fn parse(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

/// A tab or window. Every call waits for its element, and fails when it does not come.
#[derive(Debug)]
pub struct Page<'a> {
    browser: &'a Browser,
    name: String,
}

impl Page<'_> {
    /// Fails on a certificate that is not trusted: see [`Self::click_through`].
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.ask("goto", json!({ "url": url })).await.map(drop)
    }

    /// Goes to an address whose certificate Chromium warns of, and clicks through the warning:
    /// "Advanced", then "Proceed".
    pub async fn click_through(&self, url: &str) -> Result<()> {
        self.ask("click_through", json!({ "url": url })).await.map(drop)
    }

    pub async fn reload(&self) -> Result<()> {
        self.ask("reload", json!({})).await.map(drop)
    }

    pub async fn click(&self, by: By<'_>) -> Result<()> {
        self.ask("click", json!({ "by": by.to_json() })).await.map(drop)
    }

    /// Puts the pointer on it.
    pub async fn hover(&self, by: By<'_>) -> Result<()> {
        self.ask("hover", json!({ "by": by.to_json() })).await.map(drop)
    }

    /// Replaces a field's text.
    pub async fn fill(&self, by: By<'_>, text: &str) -> Result<()> {
        self.ask("fill", json!({ "by": by.to_json(), "text": text })).await.map(drop)
    }

    /// A key, or several at once as `Control+B`, to what has the focus.
    pub async fn press(&self, key: &str) -> Result<()> {
        self.ask("press", json!({ "key": key })).await.map(drop)
    }

    /// Clicks on what lets a person choose files, and chooses these.
    pub async fn choose_files(&self, by: By<'_>, files: &[&Path]) -> Result<()> {
        self.ask("choose_files", json!({ "by": by.to_json(), "files": files })).await.map(drop)
    }

    /// Clicks on what starts a download, and keeps what comes as `path`.
    pub async fn download(&self, by: By<'_>, path: &Path) -> Result<()> {
        self.ask("download", json!({ "by": by.to_json(), "path": path })).await.map(drop)
    }

    /// Waits until it is seen.
    pub async fn wait_for(&self, by: By<'_>) -> Result<()> {
        self.ask("wait_for", json!({ "by": by.to_json(), "state": "visible" })).await.map(drop)
    }

    /// Waits until it is not seen any more.
    pub async fn wait_until_gone(&self, by: By<'_>) -> Result<()> {
        self.ask("wait_for", json!({ "by": by.to_json(), "state": "hidden" })).await.map(drop)
    }

    /// The text of an element as a person reads it.
    pub async fn text(&self, by: By<'_>) -> Result<String> {
        let text = self.ask("text", json!({ "by": by.to_json() })).await?;
        Ok(serde_json::from_value(text)?)
    }

    /// How many there are now; waits for none.
    pub async fn count(&self, by: By<'_>) -> Result<usize> {
        Ok(serde_json::from_value(self.ask("count", json!({ "by": by.to_json() })).await?)?)
    }

    pub async fn url(&self) -> Result<String> {
        Ok(serde_json::from_value(self.ask("url", json!({})).await?)?)
    }

    /// Runs an expression or the body of an async function (`return` gives the answer) in the
    /// page, with `arg` by that name.
    pub async fn eval<T: DeserializeOwned>(&self, script: &str, arg: Value) -> Result<T> {
        let value = self.ask("eval", json!({ "script": script, "arg": arg })).await?;
        serde_json::from_value(value.clone()).with_context(|| format!("{script} gave {value}"))
    }

    /// The page alone, as PNG; [`Display::screenshot`] has the whole screen.
    pub async fn screenshot(&self, path: &Path) -> Result<()> {
        self.ask("screenshot", json!({ "path": path })).await.map(drop)
    }

    /// The page as on a screen of that size: a phone's, say. The window stays as it is, for
    /// Chromium makes none that is narrower than 500 pixels.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.ask("resize", json!({ "width": width, "height": height })).await.map(drop)
    }

    /// Brings it in front of the others.
    pub async fn raise(&self) -> Result<()> {
        self.ask("raise", json!({})).await.map(drop)
    }

    pub async fn close(self) -> Result<()> {
        self.ask("close", json!({})).await.map(drop)
    }

    async fn ask(&self, what: &str, mut request: Value) -> Result<Value> {
        request["page"] = json!(self.name);
        let answer = self.browser.ask(what, request).await;
        answer.with_context(|| format!("on page {}", self.name))
    }
}

/// Into the certificates of the host's user, as an administrator would with `certutil`.
async fn install_root(host: &Host, root: &Path) -> Result<()> {
    let store = host.dir().join("home/.pki/nssdb");
    std::fs::create_dir_all(&store)?;
    let store = format!("sql:{}", store.display());
    let certutil = |args: &[&str]| {
        let mut command = Command::new("certutil");
        command.args(["-d", &store]).args(args);
        command
    };
    let new = certutil(&["-N", "--empty-password"]);
    host.run_well(new, "", ELEMENT).await?;
    let mut add = certutil(&["-A", "-n", "site", "-t", "C,,", "-i"]);
    add.arg(root);
    host.run_well(add, "", ELEMENT).await.map(drop)
}
