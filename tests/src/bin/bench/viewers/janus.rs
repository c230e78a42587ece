//! The peer: Janus as Debian has it, with a mountpoint of its streaming plugin that is fed a lesson's
//! picture and sound as bare RTP.
//!
//! It is spoken to by its JSON over HTTP: one session, in it a handle for each viewer. Janus offers,
//! the viewer answers.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::{host::Host, process::Process};
use http::{Method, Request, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::watcher::{self, Watcher};

/// Where the mountpoint takes its sound and picture.
pub(super) const SOUND: u16 = 5_104;
pub(super) const PICTURE: u16 = 5_106;
pub(super) const SOUND_TYPE: u8 = 111;
pub(super) const PICTURE_TYPE: u8 = 108;

const API: u16 = 8_088;
const READY: Duration = Duration::from_secs(20);
/// Janus answers a poll without news after 30 s.
const ANSWER: Duration = Duration::from_secs(40);
/// Messages that may come before the one that is waited for.
const OTHERS: usize = 400;

#[derive(Debug)]
pub(super) struct Janus {
    pub(super) process: Process,
    address: SocketAddr,
    session: u64,
}

impl Janus {
    /// Starts one on that host. Its viewers' pages ask from `from`.
    pub(super) async fn start(on: &Host, from: &Host) -> Result<Self> {
        let dir = on.dir().join("janus");
        fs::create_dir_all(&dir)?;
        for (name, text) in [
            ("janus.jcfg", general()),
            ("janus.transport.http.jcfg", http()),
            ("janus.plugin.streaming.jcfg", mountpoint()),
        ] {
            fs::write(dir.join(name), text)?;
        }
        let mut command = Command::new("janus");
        command.arg("--configs-folder").arg(&dir).arg("--disable-colors");
        let process = on.spawn("janus", command).context("Janus: run make setup with BENCH")?;
        process.wait_for_line(|line| line.contains("transport plugin initialized"), READY).await?;
        let mut janus = Self { process, address: (on.address(), API).into(), session: 0 };
        let created = janus.post(from, "/janus", json!({ "janus": "create" })).await?;
        janus.session = id(&created)?;
        Ok(janus)
    }

    /// One more viewer, on this host.
    pub(super) async fn watch(&self, host: &Host) -> Result<Watcher> {
        let session = format!("/janus/{}", self.session);
        let attach = json!({ "janus": "attach", "plugin": "janus.plugin.streaming" });
        let handle = id(&self.post(host, &session, attach).await?)?;
        let path = format!("{session}/{handle}");
        let message = |request: &str| json!({ "request": request, "id": 1 });
        let watch = json!({ "janus": "message", "body": message("watch") });
        self.post(host, &path, watch).await?;
        let offer = self.offer(host, &session, handle).await?;
        let address = host.address();
        let (answer, watcher) =
            host.enter(async move { watcher::answer(address, &offer).await }).await??;
        let start = json!({
            "janus": "message",
            "body": message("start"),
            "jsep": { "type": "answer", "sdp": answer },
        });
        self.post(host, &path, start).await?;
        Ok(watcher)
    }

    /// Waits for what Janus offers to this handle.
    async fn offer(&self, host: &Host, session: &str, handle: u64) -> Result<String> {
        let poll = format!("{session}?maxev=1");
        for _ in 0..OTHERS {
            let news = self.call(host, Method::GET, &poll, None).await?;
            let error = &news["plugindata"]["data"]["error"];
            ensure!(error.is_null(), "Janus: {error}");
            if news["sender"] == handle
                && let Some(sdp) = news["jsep"]["sdp"].as_str()
            {
                return Ok(sdp.to_owned());
            }
        }
        anyhow::bail!("Janus offers nothing")
    }

    async fn post(&self, host: &Host, path: &str, mut body: Value) -> Result<Value> {
        body["transaction"] = json!("bench");
        let said = self.call(host, Method::POST, path, Some(body)).await?;
        let is_well = said["janus"] == "success" || said["janus"] == "ack";
        ensure!(is_well, "{path}: {said}");
        Ok(said)
    }

    async fn call(
        &self,
        host: &Host,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path);
        let request =
            request.header(HOST, self.address.to_string()).body(Full::new(Bytes::from(body)))?;
        let address = self.address;
        let answer = host.enter(async move {
            let stream = TcpStream::connect(address).await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let answer = sender.send_request(request).await?;
            anyhow::Ok(answer.into_body().collect().await?.to_bytes())
        });
        let answer = timeout(ANSWER, answer).await.context("Janus does not answer")???;
        serde_json::from_slice(&answer).with_context(|| format!("{path}: {answer:?}"))
    }
}

fn id(said: &Value) -> Result<u64> {
    said["data"]["id"].as_u64().with_context(|| format!("no id in {said}"))
}

/// Of the plugins and transports only what is used.
fn general() -> String {
    let plugins = [
        "audiobridge",
        "duktape",
        "echotest",
        "lua",
        "nosip",
        "recordplay",
        "sip",
        "textroom",
        "videocall",
        "videoroom",
        "voicemail",
    ];
    let transports = ["mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets"];
    let disable = |names: &[&str]| {
        names.iter().map(|name| format!("libjanus_{name}.so")).collect::<Vec<_>>().join(",")
    };
    format!(
        "general: {{ debug_level = 4, session_timeout = 0 }}\n\
         plugins: {{ disable = \"{}\" }}\n\
         transports: {{ disable = \"{}\" }}\n",
        disable(&plugins),
        disable(&transports)
    )
}

fn http() -> String {
    format!(
        "general: {{ json = \"compact\", base_path = \"/janus\", http = true, port = {API}, https = false }}\n\
         admin: {{ admin_http = false }}\n"
    )
}

fn mountpoint() -> String {
    format!(
        "lesson: {{ type = \"rtp\", id = 1,\n\
         audio = true, audioport = {SOUND}, audiopt = {SOUND_TYPE}, audiocodec = \"opus\",\n\
         video = true, videoport = {PICTURE}, videopt = {PICTURE_TYPE}, videocodec = \"h264\",\n\
         videofmtp = \"packetization-mode=1;profile-level-id=42e01f\" }}\n"
    )
}
