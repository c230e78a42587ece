//! A real browser shares its real screen, and what comes out is measured.

use anyhow::Context;
use bytes::Bytes;
use classroom::{
    Browser, By, Classroom,
    browser::Trust,
    display::{HEIGHT, WIDTH},
    eventually, marker, trace,
};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use crate::{SOON, site::Site};

/// A page that shares the screen with itself over WebRTC and says what came out.
const PAGE: &str = include_str!("share.html");

fn page(_: &Request<Incoming>) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .body(Full::new(Bytes::from_static(PAGE.as_bytes())))
        .unwrap()
}

/// What the page measured of its own stream.
#[derive(Debug, Deserialize)]
struct Shared {
    /// Of the track's settings.
    surface: String,
    width: usize,
    height: usize,
    frames_sent_per_s: f64,
    frames_shown_per_s: f64,
    megabits_per_s: f64,
    /// The loudest that the microphone heard: 1 is full scale, and gain control may pass it.
    loudest: f64,
    /// The last frame that was shown, scaled to a trace's size and in grey.
    last_frame: Vec<u8>,
}

async fn share_screen(codec: &str, trust: impl FnOnce(&Site) -> Trust) -> Shared {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let teacher = classroom.teacher().unwrap();
    let site = Site::open(classroom.the_box(), "ours").await;
    let (url, trust) = (site.url(), trust(&site));
    site.serve(classroom.the_box(), page);

    let browser = Browser::launch(teacher, trust.clone()).await.unwrap();
    match trust {
        Trust::ClickThrough => browser.page().click_through(&url).await.unwrap(),
        Trust::Root(_) => browser.page().goto(&url).await.unwrap(),
    }
    browser.page().click(By::Role("button", "Share the screen")).await.unwrap();
    browser.page().wait_for(By::Role("button", "On air")).await.unwrap();
    browser.show_moving_picture().await.unwrap();
    let shared = browser.page().eval("measure(arg)", json!(codec)).await.unwrap();
    browser.close().await.unwrap();
    classroom.close().unwrap();
    shared
}

fn assert_worth_a_lesson(shared: &Shared) {
    println!(
        "{}x{}, {:.1} fps sent, {:.1} shown, {:.2} Mbit/s, a microphone at {:.2}",
        shared.width,
        shared.height,
        shared.frames_sent_per_s,
        shared.frames_shown_per_s,
        shared.megabits_per_s,
        shared.loudest
    );
    assert_eq!(shared.surface, "monitor");
    assert_eq!((shared.width, shared.height), (WIDTH, HEIGHT));
    assert!(shared.frames_sent_per_s >= 15.0 && shared.frames_shown_per_s >= 15.0);
    assert!(shared.megabits_per_s >= 1.0);
    assert!(shared.loudest > 0.1);
    assert!(marker::read(&shared.last_frame, trace::WIDTH, trace::HEIGHT).is_some());
}

#[tokio::test]
async fn a_browser_that_warned_shares_its_screen_in_h264() {
    assert_worth_a_lesson(&share_screen("H264", |_| Trust::ClickThrough).await);
}

#[tokio::test]
async fn a_browser_that_trusts_the_root_shares_its_screen_in_vp8() {
    assert_worth_a_lesson(&share_screen("VP8", |site| Trust::Root(site.root.clone())).await);
}

#[tokio::test]
async fn the_counter_is_read_from_the_screen_and_goes_on() {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let browser = Browser::launch(classroom.teacher().unwrap(), Trust::ClickThrough).await.unwrap();
    browser.show_moving_picture().await.unwrap();
    let (width, height) = (trace::WIDTH, trace::HEIGHT);
    let counter = async || {
        let grey = browser.display().grey(width, height).await?;
        marker::read(&grey, width, height).context("there is no counter on the screen")
    };

    let first = eventually("a counter", SOON, counter).await.unwrap();
    let second = eventually("a later one", SOON, async || {
        counter().await.ok().filter(|second| *second > first).context("it stands still")
    })
    .await
    .unwrap();

    // Thirty a second, and there was time for two pictures of the screen.
    assert!(second - first < 30 * 20, "{first}, then {second}");
    browser.close().await.unwrap();
    classroom.close().unwrap();
}

#[tokio::test]
async fn a_page_is_used_as_a_person_uses_it() {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let teacher = classroom.teacher().unwrap();
    // As strict as the box's own pages: nothing that evaluates text is let run by the page.
    let form = "data:text/html,<title>A form</title>\
                <meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\">\
                <label>Name <input></label>\
                <button onclick=\"out.textContent = document.querySelector('input').value\">\
                Say</button><p id=out></p><input type=file aria-label=List \
                onchange=\"files[0].text().then(text => out.textContent = text)\">\
                <a download=a.txt href=\"data:,down\">Get</a>";
    let browser = Browser::with(Trust::ClickThrough).locale("ru-RU").start(teacher).await.unwrap();
    let page = browser.page();
    page.goto(form).await.unwrap();

    page.fill(By::Label("Name"), "Мария").await.unwrap();
    page.click(By::Role("button", "Say")).await.unwrap();
    page.wait_for(By::Text("Мария")).await.unwrap();
    assert_eq!(page.text(By::Css("#out")).await.unwrap(), "Мария");
    assert_eq!(page.count(By::Css("input")).await.unwrap(), 2);
    assert_eq!(page.eval::<String>("navigator.language", json!(null)).await.unwrap(), "ru-RU");

    let list = teacher.dir().join("list.csv");
    std::fs::write(&list, "one,two").unwrap();
    page.choose_files(By::Label("List"), &[&list]).await.unwrap();
    page.wait_for(By::Text("one,two")).await.unwrap();

    let got = teacher.dir().join("a.txt");
    page.download(By::Role("link", "Get"), &got).await.unwrap();
    assert_eq!(std::fs::read_to_string(&got).unwrap(), "down");

    page.resize(400, 700).await.unwrap();
    assert_eq!(page.eval::<u32>("innerWidth", json!(null)).await.unwrap(), 400);
    let picture = teacher.dir().join("page.png");
    page.screenshot(&picture).await.unwrap();
    assert!(std::fs::metadata(&picture).unwrap().len() > 1000);

    let error = page.eval::<()>("nothing()", json!(null)).await.unwrap_err();
    assert!(format!("{error:#}").contains("nothing is not defined"), "{error:#}");
    page.eval::<()>("console.log('hello from the page')", json!(null)).await.unwrap();
    let heard = |line: &str| line.ends_with("hello from the page");
    browser.process().wait_for_line(heard, SOON).await.unwrap();
    browser.close().await.unwrap();
    classroom.close().unwrap();
}
