//! The daemon as a process: what systemd, a terminal and its log see of it.
//!
//! Everything here runs the real program. What would make these fail: a box that is not started
//! again because nobody heard that it died, a setting that silently does nothing, a page that does
//! not say why there is no lesson, a name in a log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod appliance;
#[expect(dead_code, reason = "made for the tests of what is on air")]
mod publisher;
mod small_disk;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::Command,
};

use alfarid_protocol::{control::FromBox, span::MarkKind, token::SiteToken};
use futures_util::StreamExt;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use appliance::{
    Appliance, PATIENCE,
    desk::{Desk, PASSWORD},
    seat::Seat,
};
use publisher::{ALL, Offer, encoder::Spec};

const EMAIL: &str = "zinaida@school.example";
const FULL_NAME: &str = "Зинаида Первоцветова";

#[tokio::test]
async fn systemd_hears_that_the_box_is_ready_lives_and_stops() {
    // A fifth of a second.
    let appliance = Appliance::new().with("WATCHDOG_USEC", "200000");
    let mut running = appliance.start().await;
    for _ in 0..3 {
        running.told("WATCHDOG=1").await;
    }
    running.signal(Signal::SIGTERM);
    running.told("STOPPING=1").await;
    let (status, log) = running.ended().await;
    assert!(status.success(), "{status}: {log}");
}

/// Fails when anything that the API refuses is told by a line of plain text, or by nothing at all.
#[tokio::test]
async fn whatever_a_request_gets_wrong_it_is_told_by_a_problem() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let document = desk.get("/api/openapi.json").await.expect(200);
    let mut told = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let nonsense = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let nonsense = nonsense.collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| format!("{}=x", parameter["name"].as_str().unwrap()));
            let path = format!("{nonsense}?{}", query.collect::<Vec<_>>().join("&"));
            // There is nothing to get wrong, and who has logged out sees nothing more.
            if operation["operationId"] == "delete_session" {
                continue;
            }
            let json = "content-type: application/json\r\n";
            let answer = desk.call(&method.to_uppercase(), &path, json, "{").await;
            if answer.status >= 400 {
                told.insert(answer.refused());
            }
        }
        told.insert(desk.call("PROPFIND", &nonsense, "", "").await.refused());
    }
    let expected = [
        (400, "json_malformed"),
        (400, "query_malformed"),
        (400, "websocket_expected"),
        (404, "not_found"),
        (405, "method_not_allowed"),
    ];
    for (_, code) in &told {
        assert!(document.to_string().contains(&format!("`{code}`")), "{code} is not documented");
    }
    for (status, code) in expected {
        assert!(told.contains(&(status, code.to_owned())), "{code}: {told:?}");
    }
    running.stopped().await;
}

/// Who is connected is told, and what they said last is on disk.
#[tokio::test]
async fn a_box_that_is_told_to_stop_says_goodbye() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let class = desk.post("/api/v1/classes", json!({ "name": "7A" })).await.made();
    let mut page = desk.live().await;
    running.signal(Signal::SIGTERM);
    let goodbye = async {
        loop {
            if let Message::Close(frame) = page.next().await.unwrap().unwrap() {
                return frame.unwrap().code;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, goodbye).await, Ok(CloseCode::Away));
    let (status, log) = running.ended().await;
    assert!(status.success(), "{status}: {log}");

    let running = appliance.start().await;
    desk.get(&format!("/api/v1/classes/{class}")).await.expect(200);
    running.stopped().await;
}

#[tokio::test]
async fn settings_are_read_again_when_systemd_asks() {
    let appliance = Appliance::new();
    let mut running = appliance.start().await;
    appliance.set("[log]\nlevel = \"debug\"\n[lesson]\nend_after_minutes = 5\n");
    running.signal(Signal::SIGHUP);
    let reloading = running.told("RELOADING=1").await;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    running.told("READY=1").await;
    running.says("settings read again").await;

    appliance.set("[log]\nlevle = \"debug\"\n");
    running.signal(Signal::SIGHUP);
    running.told("RELOADING=1").await;
    running.told("READY=1").await;
    running.says("all settings stay as they were").await;
    running.says("log.levle").await;
    let state = Desk::at(&appliance).get("/api/v1/state").await;
    assert_eq!(state.expect(200)["claimed"], false);
    running.stopped().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_has_is_named() {
    for (which, section) in [("web", "[http]"), ("agents", "[agents]")] {
        let appliance = Appliance::new();
        let address = if which == "web" { appliance.web() } else { appliance.agents() };
        let _somebody = TcpListener::bind(address).unwrap();
        let (status, log) = appliance.switch_on().ended().await;
        assert_eq!(status.code(), Some(1), "{log}");
        for part in [&*address.to_string(), "another program has the port", section] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}

#[tokio::test]
async fn a_variable_is_a_setting_or_is_refused_by_its_name() {
    let appliance = Appliance::new();
    let elsewhere = format!("{}:9443", appliance.address);
    let appliance = appliance.with("ALFARID_HTTP__LISTEN", &elsewhere);
    let _somebody = TcpListener::bind(&elsewhere).unwrap();
    let (status, log) = appliance.switch_on().ended().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&elsewhere), "the variable did nothing: {log}");

    for (name, said) in [
        ("ALFARID_HTTP__LISEN", "ALFARID_HTTP__LISTEN"),
        ("ALFARID_LISTEN", "ALFARID_HTTP__LISTEN"),
        ("ALFARID_LOG", "ALFARID_LOG__LEVEL"),
    ] {
        let appliance = Appliance::new().with(name, "debug");
        let (status, log) = appliance.switch_on().ended().await;
        assert_eq!(status.code(), Some(1), "{log}");
        for part in [name, said] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}

/// An older program was put back: the page says which one to install.
#[tokio::test]
async fn a_database_of_a_newer_box_is_said_on_the_page_and_left_alone() {
    let appliance = Appliance::new();
    appliance.start().await.stopped().await;
    let database = rusqlite::Connection::open(appliance.database()).unwrap();
    database.pragma_update(None, "user_version", 9_999).unwrap();
    database.close().unwrap();
    let before = fs::read(appliance.database()).unwrap();

    let mut running = appliance.start().await;
    running.says("install the newer version again").await;
    let mut page = Desk::at(&appliance);
    assert!(page.get("/").await.body.contains("<title>"), "the page itself is served");
    let problem = page.get("/api/v1/state").await.expect(503);
    assert_eq!(problem["code"], "database_newer");
    assert!(problem["detail"].as_str().unwrap().contains("schema 9999"), "{problem}");
    running.stopped().await;
    assert_eq!(fs::read(appliance.database()).unwrap(), before);
}

/// A disk that was not there yet: once it is, nobody has to press anything.
#[tokio::test]
async fn a_database_that_cannot_be_opened_is_said_on_the_page_and_tried_again() {
    let appliance = Appliance::new();
    fs::create_dir(appliance.database()).unwrap();
    let running = appliance.start().await;
    let mut page = Desk::at(&appliance);
    let problem = page.get("/api/v1/state").await.expect(503);
    assert_eq!(problem["code"], "database_unreadable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("alfarid.db") && detail.contains("unable to open"), "{detail}");
    assert!(problem["retry_after_seconds"].is_u64(), "{problem}");

    fs::remove_dir(appliance.database()).unwrap();
    // It ends, for systemd to start it whole.
    let (status, log) = running.ended().await;
    assert!(status.success() && log.contains("opens again: starting anew"), "{status}: {log}");
    let running = appliance.start().await;
    assert_eq!(page.get("/api/v1/state").await.expect(200)["claimed"], false);
    running.stopped().await;
}

/// Whatever file a box cannot do without, the page says which.
#[tokio::test]
async fn a_box_that_cannot_begin_says_why_on_its_page_and_tries_again() {
    let appliance = Appliance::new();
    let in_its_way = appliance.database().with_file_name("claim-code.new");
    fs::create_dir(&in_its_way).unwrap();
    let running = appliance.start().await;
    let mut page = Desk::at(&appliance);
    let problem = page.get("/api/v1/state").await.expect(503);
    assert_eq!(problem["code"], "start_failed");
    assert!(problem["detail"].as_str().unwrap().contains("claim code"), "{problem}");

    fs::remove_dir(&in_its_way).unwrap();
    let (status, log) = running.ended().await;
    assert!(status.success() && log.contains("opens again: starting anew"), "{status}: {log}");
    let running = appliance.start().await;
    assert_eq!(page.get("/api/v1/state").await.expect(200)["claimed"], false);
    running.stopped().await;
}

/// A box serves its pages without media, says what is missing, and has it as soon as it can.
#[tokio::test]
async fn a_busy_port_for_publishers_is_said_and_taken_when_it_is_free() {
    let appliance = Appliance::new();
    let somebody = UdpSocket::bind(appliance.whip()).unwrap();
    let mut running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let lesson = start_lesson(&mut desk).await;
    assert_eq!(faults(&mut desk).await, ["whip_port"]);
    let path = format!("/api/v1/lessons/{lesson}/whip/screen");
    let offer = Offer::from(appliance.address, ALL, true).await;
    let sdp = "content-type: application/sdp\r\n";
    let refused = desk.call("POST", &path, sdp, &offer.sdp).await;
    assert_eq!(refused.expect(503)["code"], "whip_unavailable");

    drop(somebody);
    running.says("fault whip_port is over").await;
    let answer = desk.call("POST", &path, sdp, &offer.sdp).await;
    answer.expect(201);
    let mut publisher = offer.answered(&answer.body, Some(Spec::VP8));
    publisher.until("the box", |seen| seen.connected).await;
    assert!(faults(&mut desk).await.is_empty());
    running.stopped().await;
}

/// Who types the bare address comes to the pages, once nobody else has the port for it.
#[tokio::test]
async fn a_bare_address_leads_to_the_pages() {
    let appliance = Appliance::new();
    let somebody = TcpListener::bind(appliance.plain()).unwrap();
    let mut running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    assert_eq!(faults(&mut desk).await, ["redirect_port"]);
    drop(somebody);
    running.says("fault redirect_port is over").await;

    let mut stream = TcpStream::connect(appliance.plain()).unwrap();
    let ask = format!("GET /lessons?all HTTP/1.1\r\nHost: {}\r\n\r\n", appliance.plain());
    stream.write_all(ask.as_bytes()).unwrap();
    let answer = io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
    assert!(answer.contains(&format!("https://{}/lessons?all\r\n", appliance.web())), "{answer}");
    running.stopped().await;
}

/// The database's disk fills up in mid-lesson: what cannot be written down is refused with the
/// reason, the box and the lesson go on, also when the daemon is started again, and so does
/// everything once there is room.
#[tokio::test]
async fn a_lesson_outlives_a_full_disk() {
    const SELF: &str = "a_lesson_outlives_a_full_disk";
    let Some(dir) = small_disk::mounted(SELF, "24m") else { return };
    let state_dir = dir.join(small_disk::RECORDINGS);
    let appliance = Appliance::on_disk(state_dir.clone());
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let lesson = start_lesson(&mut desk).await;
    let path = format!("/api/v1/lessons/{lesson}");
    let filler = state_dir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    let full = std::iter::repeat_with(|| file.write_all(&[1; 4096])).find_map(Result::err);
    assert_eq!(full.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));

    let mut refused = None;
    for number in 0..200 {
        let class = json!({ "name": format!("Class {number}") });
        let answer = desk.post("/api/v1/classes", class).await;
        if answer.status != 201 {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(refused.unwrap().expect(507)["code"], "disk_full");
    let known = faults(&mut desk).await;
    assert!(known.iter().any(|fault| fault == "state_disk_full"), "{known:?}");
    assert_eq!(desk.get(&path).await.expect(200)["status"], "active");

    running.signal(Signal::SIGKILL);
    running.ended().await;
    let mut running = appliance.start().await;
    running.says("fault lessons_not_written").await;
    let faults = faults(&mut desk).await;
    for fault in ["lessons_not_written", "state_disk_full"] {
        assert!(faults.iter().any(|code| code == fault), "{fault} is not said: {faults:?}");
    }
    assert_eq!(desk.get(&path).await.expect(200)["status"], "active");
    let offer = Offer::from(appliance.address, ALL, true).await;
    let sdp = "content-type: application/sdp\r\n";
    desk.call("POST", &format!("{path}/whip/screen"), sdp, &offer.sdp).await.expect(201);

    drop(file);
    fs::remove_file(&filler).unwrap();
    running.says("fault lessons_not_written is over").await;
    desk.post("/api/v1/classes", json!({ "name": "9B" })).await.made();
    let ended = desk.post(&format!("{path}/end"), json!({})).await.expect(200);
    assert_eq!(ended["status"], "completed");
    running.stopped().await;
}

/// Fails where a calendar is asked once more: it may have been set to any year meanwhile, and the
/// lesson would be over.
#[tokio::test]
async fn a_daemon_that_is_killed_in_a_lesson_goes_on_by_the_clock_it_had() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let lesson = start_lesson(&mut desk).await;
    let clock =
        async |desk: &mut Desk| desk.get("/api/v1/health").await.expect(200)["clock"].clone();
    let before = clock(&mut desk).await;
    running.signal(Signal::SIGKILL);
    running.ended().await;

    let running = appliance.start().await;
    let after = clock(&mut desk).await;
    assert_eq!((&before["sure"], &after["sure"]), (&json!(true), &json!(true)));
    let passed = after["now"].as_i64().unwrap() - before["now"].as_i64().unwrap();
    assert!((0..60_000).contains(&passed), "{passed} ms");
    let lesson = desk.get(&format!("/api/v1/lessons/{lesson}")).await.expect(200);
    assert_eq!(lesson["status"], "active");
    running.stopped().await;
}

/// As the kernel makes it when it has found errors on it.
#[tokio::test]
async fn a_lesson_outlives_a_disk_that_has_become_read_only() {
    const SELF: &str = "a_lesson_outlives_a_disk_that_has_become_read_only";
    let Some(dir) = small_disk::mounted(SELF, "24m") else { return };
    let state_dir = dir.join(small_disk::RECORDINGS);
    let appliance = Appliance::on_disk(state_dir.clone());
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let lesson = start_lesson(&mut desk).await;
    running.signal(Signal::SIGKILL);
    running.ended().await;
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro"]).arg(&state_dir);
    assert!(remount.status().unwrap().success());

    let mut running = appliance.start().await;
    running.says("fault lessons_not_written").await;
    let lesson = desk.get(&format!("/api/v1/lessons/{lesson}")).await.expect(200);
    assert_eq!(lesson["status"], "active");
    running.stopped().await;
}

/// Starts a lesson of a new class in the first room.
async fn start_lesson(desk: &mut Desk) -> String {
    let class = desk.post("/api/v1/classes", json!({ "name": "7A" })).await.made();
    let room = desk.get("/api/v1/rooms").await.expect(200)["items"][0]["id"].clone();
    let start = json!({ "class_id": class, "room_id": room, "recording": false });
    desk.post("/api/v1/lessons/start", start).await.made()
}

/// The codes of what is broken.
async fn faults(desk: &mut Desk) -> Vec<String> {
    let health = desk.get("/api/v1/health").await.expect(200);
    let faults = health["faults"].as_array().unwrap().iter();
    faults.map(|fault| fault["code"].as_str().unwrap().to_owned()).collect()
}

/// What a student's session may do; whatever else there is to do is a teacher's.
const FOR_STUDENTS: [&str; 7] = [
    "end_watching",
    "get_recent",
    "get_recent_piece",
    "get_showing",
    "open_live",
    "show_own_lesson",
    "watch_lesson",
];

/// What anybody may do who has come to the page, whoever they are or are not; and what asks for a
/// key of its own in place of a session.
const FOR_ANYBODY: [&str; 10] = [
    "create_claim",
    "create_session",
    "create_student_session",
    "delete_session",
    "join_site",
    "patch_publication",
    "patch_watching",
    "publish_by_key",
    "show_open_session",
    "show_state",
];

/// Fails when any route of the OpenAPI document, now or later, lets a student do what is a
/// teacher's.
#[tokio::test]
async fn a_students_session_opens_nothing_that_is_a_teachers() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let mut desk = Desk::claimed(&appliance, EMAIL, FULL_NAME).await;
    let class = desk.post("/api/v1/classes", json!({ "name": "7A" })).await.made();
    let (student, _) = student_of(&appliance, &mut desk, &class, "Ученик").await;
    let document = desk.get("/api/openapi.json").await.expect(200);
    let mut refused = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            if FOR_STUDENTS.contains(&name) || FOR_ANYBODY.contains(&name) {
                continue;
            }
            let path = path
                .replace("{id}", &class)
                .replace("{publication}", "screen")
                .split('/')
                .map(|part| if part.starts_with('{') { class.as_str() } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let mut browser = student.clone();
            let json = "content-type: application/json\r\n";
            let answer = browser.call(&method.to_uppercase(), &path, json, "{}").await;
            assert_eq!(answer.expect(403)["code"], "not_for_students", "{name}: {path}");
            refused += 1;
        }
    }
    let others = format!("/api/v1/lessons/{class}/showing");
    let answer = student.clone().get(&others).await;
    assert_eq!(answer.expect(403)["code"], "not_your_lesson", "a lesson that is not theirs");
    assert!(refused > 60, "{refused} routes were asked");

    // And what is a student's is no teacher's.
    assert_eq!(desk.get("/api/v1/me/lesson").await.expect(403)["code"], "students_only");
    let own = student.clone().get("/api/v1/me/lesson").await.expect(200);
    assert_eq!(own["full_name"], "Ученик");
    running.stopped().await;
}

/// The browser of a new student of `class`, who has signed in, and the code.
async fn student_of(
    appliance: &Appliance,
    teacher: &mut Desk,
    class: &str,
    full_name: &str,
) -> (Desk, String) {
    let students = format!("/api/v1/classes/{class}/students");
    let form = json!({ "student_id": "1", "full_name": full_name });
    let id = teacher.post(&students, form).await.made();
    let (code, mut desk) = (code_of(teacher, class, &id).await, Desk::at(appliance));
    desk.post("/api/v1/session/student", json!({ "code": code })).await.expect(200);
    (desk, code)
}

/// A new code for a student of `class`.
async fn code_of(teacher: &mut Desk, class: &str, student: &str) -> String {
    let wish = json!({ "student_ids": [student] });
    let made = teacher.post(&format!("/api/v1/classes/{class}/codes"), wish).await.expect(201);
    made["items"][0]["code"].as_str().unwrap().to_owned()
}

/// Everything that people and machines hand to a box in a lesson, at the most talkative level.
#[tokio::test]
async fn no_name_and_no_secret_is_ever_logged() {
    let appliance = Appliance::new();
    appliance.set("[log]\nlevel = \"trace\"\n");
    let running = appliance.start().await;
    let private = hold_a_lesson(&appliance).await;
    let log = running.stopped().await;
    assert!(log.contains(": ended"), "there was no lesson: {log}");
    for (what, text) in private {
        assert!(text.chars().count() >= 5, "{what} may stand anywhere: {text:?}");
        let line = log.lines().find(|line| line.contains(&text));
        assert_eq!(line, None, "{what} is in the log");
    }
}

/// A whole lesson with two students. Returns what must not be in the log, each with what it is.
async fn hold_a_lesson(appliance: &Appliance) -> Vec<(&'static str, String)> {
    let mut private = vec![("a teacher's name", FULL_NAME.to_owned())];
    let mut note = |what, text: &str| private.push((what, text.to_owned()));
    let mut desk = Desk::claimed(appliance, EMAIL, FULL_NAME).await;
    note("an address", EMAIL);
    note("a password", PASSWORD);
    note("a wrong password", "horse battery wrong");
    desk.log_in(EMAIL, "horse battery wrong").await.expect(401);
    // A form that cannot be read: what stood in it is nobody's business all the more.
    let torn = format!("{{\"email\": [\"{EMAIL}\"], \"password\": \"{PASSWORD}\"");
    let json = "content-type: application/json\r\n";
    assert!(desk.call("POST", "/api/v1/session", json, &torn).await.status >= 400);
    let site_passphrase = "twelve letters and more";
    note("a passphrase", site_passphrase);
    let export = json!({ "passphrase": site_passphrase });
    assert_eq!(desk.post("/api/v1/site/export", export).await.status, 200);
    let key = desk.post("/api/v1/me/stream_key", json!({})).await.expect(201);
    let key = key["key"].as_str().unwrap().to_owned();
    note("a stream key", &key);
    for cookie in &desk.cookies {
        note("a cookie", cookie.split_once('=').unwrap().1);
    }

    let class = desk.post("/api/v1/classes", json!({ "name": "7A" })).await.made();
    let students = format!("/api/v1/classes/{class}/students");
    let mut enter = async |number: &str, name: &str| {
        let student =
            json!({ "student_id": number, "full_name": name, "email": "kid@home.example" });
        desk.post(&students, student).await.made()
    };
    let (here, ill) =
        (enter("S-100200", "Ёлкин Ярослав").await, enter("S-100300", "Щукина Эмма").await);
    for name in ["Ёлкин", "Ярослав", "Щукина", "kid@home.example", "S-100200"] {
        note("a student", name);
    }
    let code = code_of(&mut desk, &class, &ill).await;
    let mut own = Desk::at(appliance);
    let wrong = json!({ "code": "WRNG-CDEF" });
    assert_eq!(own.post("/api/v1/session/student", wrong).await.status, 401);
    own.post("/api/v1/session/student", json!({ "code": code })).await.expect(200);
    own.get("/api/v1/me/lesson").await.expect(200);
    note("a student's code", &code);
    note("a student's code as it is kept for a moment", &code.replace('-', ""));
    note("a wrong code", "WRNG-CDEF");
    note("a student's cookie", own.cookies[0].split_once('=').unwrap().1);
    let page = own.live().await;

    // A file that cannot be taken: each bad line is said on the page, and nowhere else.
    let file = "Номер;ФИО\nS-100400;Цаплин Юлий\nS-100400;Цаплин Юлий\n";
    note("an imported student", "Цаплин");
    let import = format!("/api/v1/classes/{class}/import");
    assert_eq!(desk.call("POST", &import, "", file).await.status, 422);

    let room = desk.get("/api/v1/rooms").await.expect(200)["items"][0]["id"].clone();
    let wish = json!({ "room_id": room, "uses": 1, "expires_in_seconds": 3600 });
    let token = desk.post("/api/v1/site_tokens", wish).await.expect(201);
    let token = token["token"].as_str().unwrap().to_owned();
    note("a site token's secret", token.split('.').nth(2).unwrap());
    let token: SiteToken = token.parse().unwrap();
    let mut seat = Seat::enrolled(appliance, &token, "pc-01").await;
    let path = format!("/api/v1/classes/{class}/seating/{}", room.as_str().unwrap());
    let seats = json!([{ "machine_id": seat.machine, "student_ids": [here] }]);
    desk.put(&path, json!({ "seats": seats })).await.expect(200);

    let start = json!({ "class_id": class, "room_id": room, "title": "Дроби", "recording": true });
    let lesson = desk.post("/api/v1/lessons/start", start).await.made();
    seat.hear_until(|message| matches!(message, FromBox::Stage(_))).await;
    seat.mark(MarkKind::Opened).await;
    let offer = Offer::from(appliance.address, ALL, true).await;
    let headers = format!("content-type: application/sdp\r\nauthorization: Bearer {key}\r\n");
    let mut obs = Desk::at(appliance);
    let answer = obs.call("POST", "/api/v1/whip", &headers, &offer.sdp).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    for sdp in [&offer.sdp, &answer.body] {
        note("an ICE password", line_of(sdp, "a=ice-pwd:"));
    }
    let mut publisher = offer.answered(&answer.body, Some(Spec::H264));
    publisher.until("the box", |seen| seen.connected && seen.packets_sent > 30).await;

    let why = "у стоматолога до обеда";
    note("a reason", why);
    let path = format!("/api/v1/lessons/{lesson}/attendance/{ill}");
    let correction = json!({ "status": "excused", "why": why });
    desk.put(&path, correction).await.expect(200);
    let people = desk.get(&format!("/api/v1/lessons/{lesson}/people")).await.expect(200);
    assert_eq!(state_of(&people, &here), "present", "{people}");
    seat.mark(MarkKind::Closed).await;
    drop(page);
    desk.post(&format!("/api/v1/lessons/{lesson}/end"), json!({})).await.expect(200);
    let sheet = desk.get(&format!("/api/v1/lessons/{lesson}/attendance.csv")).await;
    assert!(sheet.body.contains("Ёлкин"), "{}", sheet.body);
    private
}

fn line_of<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap()
}

fn state_of<'a>(people: &'a Value, student: &str) -> &'a str {
    let people = people["items"].as_array().unwrap();
    let person = people.iter().find(|person| person["student_id"] == student);
    person.unwrap()["state"].as_str().unwrap()
}
