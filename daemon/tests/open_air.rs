//! The open mode: who may switch it on, and what goes out in the clear, on the loopback interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

#[expect(dead_code, reason = "shared by several test files")]
mod publisher;
mod stage;

use std::net::{Ipv4Addr, SocketAddrV4};

use alfarid_daemon::db::DbError;
use alfarid_protocol::grant::Picture;
use alfarid_stream::{
    h264::{kind, units},
    rtp::Packet,
};
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, time::timeout};

use publisher::{Publisher, encoder::Spec};
use stage::{Answer, PATIENCE, Stage};

const SAP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_shut_until_an_admin_opens_it() {
    let stage = on_loopback().await;
    let mut sap = Sap::listen(&stage);
    let mut teacher = share(&stage, Spec::H264).await;
    teacher.until("a picture", |seen| seen.packets_sent > 20).await;
    let room = format!("/rooms/{}/open_air", stage.room);
    assert_eq!(stage.get(&room).await, json!({ "is_open": false, "opened_at": null }));
    for (who, status, code) in [
        ("teacher", StatusCode::FORBIDDEN, "admins_only"),
        ("nobody", StatusCode::UNAUTHORIZED, "not_signed_in"),
    ] {
        assert_eq!(set(&stage, who, true).await.problem(status), code);
    }
    let nothing = sdp(&stage).await.problem(StatusCode::NOT_FOUND);
    assert_eq!(nothing, "nothing_in_the_clear");
    assert_eq!(audit(&stage).await, Vec::<String>::new());

    let opened = set(&stage, "admin", true).await.expect(StatusCode::OK);
    assert!(opened["is_open"] == true && opened["opened_at"].is_i64(), "{opened}");
    set(&stage, "admin", true).await.expect(StatusCode::OK);
    assert_eq!(audit(&stage).await, ["room_opened"], "opening it twice is one act");
    assert_eq!(stage.get(&room).await, opened);
    let announced = sap.announced().await;
    let answer = sdp(&stage).await;
    assert_eq!((answer.status, &answer.text()), (StatusCode::OK, &announced));
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/sdp");
    assert!(
        announced.contains("s=Alfarid: Room 12\r\n") && announced.contains("sprop-parameter-sets=")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_room_is_sent_what_is_on_air_until_it_is_shut_and_then_nothing() {
    for (spec, codec) in [(Spec::H264, "H264/90000"), (Spec::VP8, "VP8/90000")] {
        let stage = on_loopback().await;
        let mut sap = Sap::listen(&stage);
        set(&stage, "admin", true).await.expect(StatusCode::OK);
        let mut teacher = share(&stage, spec).await;
        let announced = sap.announced().await;
        assert!(announced.contains(codec), "{announced}");
        let screen = Lane::join(&announced, "video");
        let mut last = screen.next().await.header.sequence;
        for _ in 0..100 {
            let packet = screen.next().await;
            assert_eq!(packet.header.sequence, last.wrapping_add(1), "nothing is missing");
            last = packet.header.sequence;
        }

        let shut = set(&stage, "admin", false).await.expect(StatusCode::OK);
        assert_eq!(shut, json!({ "is_open": false, "opened_at": null }));
        screen.drain();
        let sent = teacher.seen().packets_sent;
        teacher.until("it sends on", |seen| seen.packets_sent > sent + 100).await;
        assert_eq!(screen.drain(), 0, "a shut room's lesson goes on in the clear");
        let deleted = sap.deleted().await;
        assert!(deleted.starts_with("o=") && sap.newest.contains(&deleted), "{deleted}");
        sdp(&stage).await.problem(StatusCode::NOT_FOUND);
        assert_eq!(audit(&stage).await, ["room_opened", "room_shut"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_teacher_hides_is_not_sent_and_what_follows_begins_with_a_keyframe() {
    let stage = on_loopback().await;
    let mut sap = Sap::listen(&stage);
    set(&stage, "admin", true).await.expect(StatusCode::OK);
    let mut teacher = share(&stage, Spec::H264).await;
    let announced = sap.announced().await;
    let (screen, sound) = (Lane::join(&announced, "video"), Lane::join(&announced, "audio"));
    for picture in [Picture::Blank, Picture::Frozen] {
        screen.next().await;
        stage.broadcast.set_picture(stage.lesson, picture).await.unwrap();
        sound.drain();
        // What left before the order did is here when the sound after it is.
        sound.next().await;
        screen.drain();
        let sent = teacher.seen().packets_sent;
        teacher.until("it sends on", |seen| seen.packets_sent > sent + 100).await;
        sound.next().await;
        assert_eq!(screen.drain(), 0, "{picture:?} shows");
        stage.broadcast.set_picture(stage.lesson, Picture::Live).await.unwrap();
        let first = screen.next().await;
        let mut nals = units(&first.payload).unwrap();
        let begins = |kind| matches!(kind, kind::SPS | kind::DELIMITER);
        assert!(nals.next().is_some_and(|nal| begins(nal.kind())), "no keyframe");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_lesson_is_announced() {
    let stage = on_loopback().await;
    let mut sap = Sap::listen(&stage);
    set(&stage, "admin", true).await.expect(StatusCode::OK);
    let _teacher = share(&stage, Spec::VP8).await;
    sap.announced().await;
    stage.broadcast.close(stage.lesson).await.unwrap();
    assert!(sap.deleted().await.starts_with("o=- "));
    sdp(&stage).await.problem(StatusCode::NOT_FOUND);
}

/// A box that may send on the loopback interface alone.
async fn on_loopback() -> Stage {
    Stage::with(|media| media.interfaces = vec!["lo".into()]).await
}

async fn set(stage: &Stage, who: &str, is_open: bool) -> Answer {
    let cookie = format!("__Host-alfarid={who}");
    let headers = [(header::COOKIE, &*cookie), (header::CONTENT_TYPE, "application/json")];
    let path = format!("/rooms/{}/open_air", stage.room);
    stage.call(Method::PUT, &path, &headers, json!({ "is_open": is_open }).to_string()).await
}

/// As a player asks, that nobody knows.
async fn sdp(stage: &Stage) -> Answer {
    let path = format!("/rooms/{}/broadcast.sdp", stage.room);
    stage.call(Method::GET, &path, &[], "").await
}

/// What was done to the room, in order.
async fn audit(stage: &Stage) -> Vec<String> {
    let room = stage.room.to_string();
    let read = stage.floor.db.read(move |c| {
        let mut select =
            c.prepare("SELECT action FROM audit WHERE subject = ?1 ORDER BY id").unwrap();
        let actions = select.query_map([room], |row| row.get(0))?;
        Ok::<Vec<String>, DbError>(actions.collect::<Result<_, _>>()?)
    });
    read.await.unwrap()
}

async fn share(stage: &Stage, show: Spec) -> Publisher {
    let offer = publisher::Offer::new(publisher::ALL, true).await;
    let answer = stage.offer("teacher", "screen", &offer.sdp).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    offer.answered(&answer.text(), Some(show))
}

/// One line of a description, heard.
struct Lane(UdpSocket);

impl Lane {
    fn join(sdp: &str, media: &str) -> Self {
        let after = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        let group = after("c=IN IP4 ").split('/').next().unwrap().parse().unwrap();
        let port = after(&format!("m={media} ")).split(' ').next().unwrap().parse().unwrap();
        Self(join(group, port))
    }

    async fn next(&self) -> Packet {
        Packet::parse(&Bytes::from(receive(&self.0).await)).unwrap()
    }

    /// Throws away what has come, and says how much it was.
    fn drain(&self) -> usize {
        let mut buffer = [0; 2048];
        std::iter::from_fn(|| self.0.try_recv(&mut buffer).ok()).count()
    }
}

/// Announcements of one lesson: other tests announce on the same interface.
struct Sap {
    socket: UdpSocket,
    origin: String,
    /// The announcement heard last.
    newest: String,
}

impl Sap {
    fn listen(stage: &Stage) -> Self {
        let origin = format!("o=- {} ", stage.lesson.0.as_u64_pair().0);
        Self { socket: join(SAP, 9875), origin, newest: String::new() }
    }

    /// The next description with picture and sound: either may be the first on air.
    async fn announced(&mut self) -> String {
        let both = async {
            loop {
                self.newest = self.next(0x20).await;
                if self.newest.contains("m=video") && self.newest.contains("m=audio") {
                    return self.newest.clone();
                }
            }
        };
        timeout(PATIENCE, both).await.expect("picture and sound are described together")
    }

    /// The next origin line that is taken back.
    async fn deleted(&mut self) -> String {
        self.next(0x24).await
    }

    async fn next(&mut self, flags: u8) -> String {
        let hearing = async {
            loop {
                let packet = receive(&self.socket).await;
                let text = packet[8..].strip_prefix(b"application/sdp\0").unwrap();
                let text = String::from_utf8(text.to_vec()).unwrap();
                if packet[0] == flags && text.contains(&self.origin) {
                    return text;
                }
            }
        };
        timeout(PATIENCE, hearing).await.expect("it was never said")
    }
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("nothing comes").unwrap();
    buffer.truncate(length);
    buffer
}

fn join(group: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddrV4::new(group, port).into()).unwrap();
    socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    UdpSocket::from_std(socket.into()).unwrap()
}
