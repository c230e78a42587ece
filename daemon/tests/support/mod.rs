//! A whole box in a test: a real database file, real keys, a clock that stands still, and its
//! routes without a socket.

// Each test file uses its own part of this.
#![expect(dead_code, reason = "shared by several test files")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod machine;
pub(crate) mod page;

use std::{io, net::SocketAddr, sync::Arc};

use alfarid_daemon::{
    attendance,
    clock::{Clock, Evidence},
    config::Config,
    db::Db,
    enrolment,
    events::Events,
    floor::Floor,
    health::Health,
    http::Peer,
    identity,
    live::{self, Live},
    roster, settings,
};
use alfarid_protocol::{id::BoxId, time::Timestamp};
use axum::{
    Extension, Router,
    body::Body,
    extract::FromRef,
    http::{Method, Request, StatusCode, header},
};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;

use self::page::Page;

/// 2027-01-15T08:00:00Z.
pub(crate) const MORNING: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) const PASSWORD: &str = "correct horse";

#[derive(Clone, FromRef)]
struct State {
    live: Live,
    identity: identity::Handle,
    enrolment: enrolment::Handle,
    roster: roster::Handle,
    settings: settings::Handle,
}

pub(crate) struct TestBox {
    pub(crate) floor: Floor,
    pub(crate) identity: identity::Handle,
    pub(crate) enrolment: enrolment::Handle,
    pub(crate) roster: roster::Handle,
    pub(crate) settings: settings::Handle,
    pub(crate) live: Live,
    /// Closes its ports.
    pub(crate) closing: CancellationToken,
    router: Router,
    dir: Arc<tempfile::TempDir>,
}

impl TestBox {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start(Arc::new(dir), Clock::manual(MORNING)).await
    }

    pub(crate) async fn at(now: Timestamp) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start(Arc::new(dir), Clock::manual(now)).await
    }

    /// A box whose clock nobody vouches for.
    pub(crate) async fn unsure() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start(Arc::new(dir), unsure_clock()).await
    }

    /// The same box after a restart, at `now`.
    pub(crate) async fn restarted(self, now: Timestamp) -> Self {
        let dir = Arc::clone(&self.dir);
        drop(self);
        Self::start(dir, Clock::manual(now)).await
    }

    /// The same box after its database was lost with all its backups.
    pub(crate) async fn restarted_without_database(self) -> Self {
        let dir = Arc::clone(&self.dir);
        drop(self);
        for file in ["alfarid.db", "alfarid.db-wal", "alfarid.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(file));
        }
        Self::start(dir, Clock::manual(MORNING)).await
    }

    pub(crate) async fn restarted_unsure(self) -> Self {
        let dir = Arc::clone(&self.dir);
        drop(self);
        Self::start(dir, unsure_clock()).await
    }

    async fn start(dir: Arc<tempfile::TempDir>, clock: Clock) -> Self {
        let settings = dir.path().join("alfarid.toml");
        std::fs::write(&settings, format!("[storage]\nstate_dir = \"{}\"\n", dir.path().display()))
            .unwrap();
        let config = Config::load(Some(&settings)).unwrap();
        let opened = Db::open(&dir.path().join("alfarid.db"), &dir.path().join("backups"));
        let events = Events::default();
        let floor = Floor {
            config: Arc::new(config),
            clock: clock.clone(),
            db: opened.unwrap().db,
            health: Health::new(clock.clone(), events.clone()),
            events,
            box_id: clock.id::<BoxId>(),
            started: clock.monotonic(),
        };
        let settings = settings::Handle::open(floor.db.clone(), clock.clone()).await.unwrap();
        let identity = identity::Handle::new(floor.db.clone(), clock);
        let enrolment = enrolment::Handle::open(floor.clone(), identity.clone()).await.unwrap();
        let (_, connected) = roster::Connected::channel();
        let roster = roster::Handle::open(&floor, identity.clone(), connected).await.unwrap();
        let pages = attendance::Pages::new(floor.clock.clone());
        let live = Live::new(floor.events.clone(), floor.clock.clone(), pages);
        let state = State {
            live: live.clone(),
            identity: identity.clone(),
            enrolment: enrolment.clone(),
            roster: roster.clone(),
            settings: settings.clone(),
        };
        let routes = OpenApiRouter::new()
            .merge(identity::routes())
            .merge(enrolment::routes())
            .merge(roster::routes())
            .merge(settings::routes())
            .merge(live::routes())
            .with_state(state);
        Self {
            floor,
            identity,
            enrolment,
            roster,
            settings,
            live,
            closing: CancellationToken::new(),
            router: routes.split_for_parts().0,
            dir,
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A browser that has not been here yet.
    pub(crate) fn browser(&self) -> Browser {
        self.browser_at("10.0.0.7:50000")
    }

    pub(crate) fn browser_at(&self, address: &str) -> Browser {
        Browser { router: self.seen_by(address), cookies: Vec::new() }
    }

    /// A live page of a browser that is logged in.
    pub(crate) async fn page(&self, browser: &Browser) -> Page {
        let session = browser.cookie("__Host-alfarid").unwrap();
        Page::open(self.seen_by("10.0.0.7:50000"), session).await
    }

    fn seen_by(&self, address: &str) -> Router {
        let peer = Peer {
            address: address.parse().unwrap(),
            local: SocketAddr::from(([10, 0, 0, 1], 443)),
            certificate: None,
            closing: self.closing.clone(),
        };
        self.router.clone().layer(Extension(peer))
    }

    /// A browser that was here before the restart, with its cookies.
    pub(crate) fn again(&self, browser: &Browser) -> Browser {
        Browser { cookies: browser.cookies.clone(), ..self.browser() }
    }

    pub(crate) fn claim_code(&self) -> String {
        std::fs::read_to_string(self.path().join("claim-code")).unwrap().trim().to_owned()
    }

    /// Claims the box; the browser returned is the first admin's.
    pub(crate) async fn claimed(&self) -> Browser {
        let mut admin = self.browser();
        let form = claim_form(&self.claim_code());
        admin.post("/api/v1/claim", form).await.expect(StatusCode::CREATED);
        admin
    }

    /// A claimed box's new teacher, logged in.
    pub(crate) async fn teacher(&self, admin: &mut Browser, email: &str) -> Browser {
        let form = json!({ "email": email, "full_name": "A Teacher", "password": PASSWORD });
        admin.post("/api/v1/teachers", form).await.expect(StatusCode::CREATED);
        self.logged_in(email).await
    }

    pub(crate) async fn logged_in(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        let form = json!({ "email": email, "password": PASSWORD, "browser_time": MORNING });
        browser.post("/api/v1/session", form).await.expect(StatusCode::OK);
        browser
    }
}

fn unsure_clock() -> Clock {
    Clock::start(Evidence { system: MORNING, ..Evidence::default() })
}

pub(crate) fn claim_form(code: &str) -> Value {
    json!({
        "code": code,
        "site_name": "School 7",
        "email": "admin@school.example",
        "full_name": "First Admin",
        "password": PASSWORD,
        "language": "ru",
        "browser_time": MORNING,
    })
}

/// Keeps cookies as a browser does.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    cookies: Vec<(String, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Vec::new()).await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, Vec::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    pub(crate) async fn put(&mut self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }

    pub(crate) async fn patch(&mut self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, &body).await
    }

    async fn json(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, Some("application/json"), body.to_string().into_bytes()).await
    }

    pub(crate) async fn upload(&mut self, path: &str, body: &[u8]) -> Answer {
        self.send(Method::POST, path, Some("application/octet-stream"), body.to_vec()).await
    }

    /// The browser goes away in the middle of it.
    pub(crate) async fn torn_upload(&mut self, path: &str) -> Answer {
        let gone = stream::once(async { Err::<Bytes, _>(io::Error::other("gone")) });
        let octets = Some("application/octet-stream");
        self.send(Method::POST, path, octets, Body::from_stream(gone)).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "10.0.0.1");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        for (name, value) in &self.cookies {
            request = request.header(header::COOKIE, format!("{name}={value}"));
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        self.cookies.retain(|(kept, _)| kept != name);
        if !attributes.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(kept, _)| kept == name).map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// The body, if the answer has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Status and problem code, for short assertions.
    pub(crate) fn refused(&self) -> (u16, String) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let kind = self.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap());
        assert_eq!(kind, Some("application/problem+json"), "{body}");
        (self.status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    }
}
