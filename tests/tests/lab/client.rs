//! The client of the box's API, against a small site that stands where the box will.

use bytes::Bytes;
use classroom::{Classroom, Client, client::Trust};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{SOON, site::Site};

/// As the box would: a session, a refusal with a code, and an echo of what was sent.
fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let is_signed_in = header("cookie") == "__Host-session=abc";
    let response = Response::builder();
    match (request.method(), request.uri().path(), is_signed_in) {
        (&Method::POST, "/login", _) => response
            .header("set-cookie", "__Host-session=abc; Secure; HttpOnly; Path=/")
            .body(json!({ "origin": header("origin"), "host": header("host") }).to_string()),
        (&Method::POST, "/logout", _) => response
            .header("set-cookie", "__Host-session=; Max-Age=0; Path=/")
            .body("{}".to_owned()),
        (_, _, true) => response.body(json!({ "ok": true }).to_string()),
        (_, _, false) => response
            .status(StatusCode::UNAUTHORIZED)
            .body(json!({ "code": "not_signed_in", "detail": "sign in" }).to_string()),
    }
    .map(|response| response.map(|body| Full::new(Bytes::from(body))))
    .unwrap()
}

#[tokio::test]
async fn a_client_on_one_host_signs_in_on_another() {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let site = Site::open(classroom.the_box(), "ours").await;
    let (address, root) = (site.address, site.root.clone());
    site.serve(classroom.the_box(), answer);
    let client = Client::new(classroom.teacher().unwrap(), address, &Trust::Root(root)).unwrap();

    let refused = client.get("/classes").await.unwrap();
    assert_eq!(refused.problem_code().unwrap(), "not_signed_in");
    assert!(format!("{:#}", refused.ok().unwrap_err()).contains("GET /classes: 401"));

    let heard: Value = client.post("/login", &json!({})).await.unwrap().json().unwrap();
    assert_eq!(heard["origin"], format!("https://{address}"));
    assert_eq!(heard["host"], address.to_string());
    client.get("/classes").await.unwrap().ok().unwrap();

    client.post("/logout", &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(client.cookie(), None);
    classroom.close().unwrap();
}

#[tokio::test]
async fn a_client_believes_its_root_alone_or_anyone_as_it_was_told() {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let the_box = classroom.the_box();
    let teacher = classroom.teacher().unwrap();
    let foreign = Site::open(the_box, "foreign").await.root;
    let site = Site::open(the_box, "ours").await;
    let address = site.address;
    site.serve(the_box, answer);

    let strict = Client::new(teacher, address, &Trust::Root(foreign)).unwrap();
    let lenient = Client::new(teacher, address, &Trust::Anyone).unwrap();

    assert!(
        format!("{:#}", strict.get("/").await.unwrap_err()).contains("invalid peer certificate")
    );
    assert_eq!(lenient.get("/").await.unwrap().status, StatusCode::UNAUTHORIZED);
    classroom.close().unwrap();
}

#[tokio::test]
async fn live_events_come_as_they_are_said() {
    let classroom = Classroom::new().teacher().open().await.unwrap();
    let site = Site::open(classroom.the_box(), "ours").await;
    let client = Client::new(classroom.teacher().unwrap(), site.address, &Trust::Anyone).unwrap();
    classroom.the_box().runtime().spawn(async move {
        let mut socket = tokio_tungstenite::accept_async(site.accept().await).await.unwrap();
        for number in 0..3 {
            let event = json!({ "type": "counted", "number": number }).to_string();
            socket.send(Message::text(event)).await.unwrap();
        }
        let said = socket.next().await.unwrap().unwrap();
        socket.send(said).await.unwrap();
    });

    let mut live = client.live("/api/v1/live").await.unwrap();
    let event = live.wait_for(|event| event["number"] == 2, SOON).await.unwrap();
    assert_eq!(event["type"], "counted");
    live.say(&json!({ "type": "thanks" })).await.unwrap();
    assert_eq!(live.next().await.unwrap()["type"], "thanks");
    classroom.close().unwrap();
}
