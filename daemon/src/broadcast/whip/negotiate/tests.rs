//! Offers as programs make them, one of each shape that differs from a browser's, and their
//! answers.

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use str0m::{crypto::from_feature_flags, rtp::Ssrc};
use tokio::sync::Semaphore;

use super::*;

/// Through libdatachannel 0.20: how to connect is said once for all lines, addresses are named.
const OBS: &str = include_str!("offers/obs-30.sdp");
/// Through libdatachannel 0.23, with three layers: no address, all is said of each line.
const OBS_LAYERS: &str = include_str!("offers/obs-32-simulcast.sdp");
/// webrtcbin with bundle-policy=max-bundle: the second line is on port 0 (RFC 9143 §6).
const WHIPSINK: &str = include_str!("offers/gstreamer-whipsink.sdp");
/// webrtcbin as it is by default, with picture alone: no bundle.
const WEBRTCBIN: &str = include_str!("offers/gstreamer-one-line.sdp");

fn sdp(offer: &str) -> String {
    offer.replace('\n', "\r\n")
}

fn answer(offer: &str) -> Result<Agreed, OfferError> {
    answer_with(offer, 64_000)
}

fn answer_with(offer: &str, sound_bps: u32) -> Result<Agreed, OfferError> {
    let offered = Offered::read(offer, Wanted::Screen)?;
    let certificate = &from_feature_flags().dtls_provider.generate_certificate().unwrap();
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let candidates = vec![(Ipv4Addr::new(192, 168, 1, 2), 8189).into()];
    offered.answer(&Terms { candidates, certificate, now: now() }, sound_bps, place)
}

#[expect(clippy::disallowed_methods, reason = "str0m wants one, whichever")]
fn now() -> Instant {
    Instant::now()
}

fn detail(result: Result<Agreed, OfferError>) -> String {
    match result {
        Err(OfferError::Malformed(detail)) => detail,
        Err(other) => panic!("{other}"),
        Ok(agreed) => panic!("answered: {}", agreed.answer),
    }
}

#[test]
fn programs_are_answered_with_picture_and_sound() {
    for (offer, mids, ssrcs) in [
        (OBS, "0 1", [1_904_521_733, 1_904_521_734]),
        (WHIPSINK, "video0 audio1", [3_127_740_915, 885_190_347]),
    ] {
        let mut agreed = answer(&sdp(offer)).unwrap();
        let told = &agreed.answer;
        assert!(agreed.lines.video.is_some() && agreed.lines.audio.is_some(), "{told}");
        assert!(told.contains(&format!("a=group:BUNDLE {mids}\r\n")), "{told}");
        assert_eq!(told.matches("a=recvonly\r\n").count(), 2, "{told}");
        assert_eq!(told.matches("\r\nm=").count(), 2, "{told}");
        assert!(told.contains(" 192.168.1.2 8189 typ host"), "{told}");
        let codecs = ["96 H264/90000", "opus/48000/2"];
        assert!(codecs.iter().all(|codec| told.contains(codec)), "{told}");
        // Neither of them names its lines in the packets: the box knows streams by number.
        for ssrc in ssrcs.map(Ssrc::from) {
            assert!(agreed.rtc.direct_api().stream_rx(&ssrc).is_some(), "{ssrc}: {offer}");
        }
    }
}

#[test]
fn the_answer_says_how_much_sound_is_wanted() {
    for (offer, of) in [(OBS, 111), (OBS_LAYERS, 111), (WHIPSINK, 97)] {
        let told = answer(&sdp(offer)).unwrap().answer;
        let mut sound = told.lines().filter(|line| line.starts_with(&format!("a=fmtp:{of} ")));
        let parameters = sound.next().unwrap();
        assert!(parameters.ends_with("maxaveragebitrate=64000"), "{told}");
        assert_eq!(sound.next(), None, "said once: {told}");
        assert_eq!(told.matches("maxaveragebitrate").count(), 1, "of the sound alone: {told}");
        assert!(told.lines().all(|line| !line.starts_with("b=")), "{told}");
        assert_eq!(told.matches('\n').count(), told.matches("\r\n").count(), "{told}");
    }
    for (wish, told) in [(0, "=6000\r\n"), (u32::MAX, "=510000\r\n")] {
        let answer = answer_with(&sdp(OBS), wish).unwrap().answer;
        assert!(answer.contains(&format!("maxaveragebitrate{told}")), "what Opus knows: {answer}");
    }
    let bare = "a=rtpmap:97 OPUS/48000/2\r\na=rtcp-mux\r\n";
    let told = "a=rtpmap:97 OPUS/48000/2\r\na=fmtp:97 maxaveragebitrate=96000\r\na=rtcp-mux\r\n";
    assert_eq!(with_sound(bare, 96_000), told);
    let mute = answer(&sdp(WEBRTCBIN)).unwrap().answer;
    assert!(!mute.contains("maxaveragebitrate"), "{mute}");
}

#[test]
fn layers_are_answered() {
    let agreed = answer(&sdp(OBS_LAYERS)).unwrap();
    assert!(agreed.lines.video.is_some() && agreed.lines.audio.is_some(), "{}", agreed.answer);
}

#[test]
fn a_line_that_is_alone_need_not_be_named_or_bundled() {
    let whole = sdp(WEBRTCBIN);
    let unnamed = whole.replace("a=mid:video0\r\n", "").replace("a=sendrecv\r\n", "");
    for (offer, is_named) in [(&whole, true), (&unnamed, false), (&WEBRTCBIN.into(), true)] {
        let agreed = answer(offer).unwrap();
        let told = &agreed.answer;
        assert!(agreed.lines.video.is_some(), "{told}");
        assert_eq!(told.contains("a=mid:"), is_named, "{told}");
        assert!(!told.contains("a=group:BUNDLE"), "a group that nobody offered: {told}");
        assert!(told.contains("a=recvonly\r\n"), "{told}");
    }
}

#[test]
fn publishers_send_and_the_box_does_not() {
    let each = sdp(OBS);
    let none = each.replace("a=sendonly\r\n", "");
    let once = none.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    for offer in [&each, &none, &once, &each.replace("sendonly", "sendrecv")] {
        let told = answer(offer).unwrap().answer;
        assert_eq!(told.matches("a=recvonly\r\n").count(), 2, "{told}");
        assert!(!told.contains("a=ssrc:"), "nothing is sent: {told}");
    }
    for idle in ["recvonly", "inactive"] {
        assert_eq!(detail(answer(&each.replace("sendonly", idle))), "a line sends nothing");
        assert_eq!(detail(answer(&once.replace("sendonly", idle))), "a line sends nothing");
    }
}

#[test]
fn several_lines_must_say_how_they_belong_together() {
    let unnamed = sdp(OBS).replace("a=mid:1\r\n", "");
    assert_eq!(detail(answer(&unnamed)), "a line has no mid");
    let apart = sdp(OBS).replace("a=group:BUNDLE 0 1\r\n", "");
    assert_eq!(detail(answer(&apart)), "picture and sound come in one bundle");
}
