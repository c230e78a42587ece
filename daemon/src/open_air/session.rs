//! What is on air, as players read it (SDP, RFC 8866) and as it is announced to them (SAP,
//! RFC 2974). Pure.

use std::{
    fmt::{self, Write},
    net::Ipv4Addr,
};

use alfarid_protocol::id::LessonId;
use alfarid_stream::{
    Codec,
    h264::{ParameterSets, kind, units},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::broadcast::{
    multicast::Group,
    payload_type,
    tap::{TappedTrack, TrackId, TrackKind},
};

/// Where announcements for the scope of a site's groups go: its highest address (RFC 2974 §3).
pub(super) const ANNOUNCED_AT: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);
pub(super) const ANNOUNCED_PORT: u16 = 9875;

/// What players list a room under: many rooms are called no more than "12".
const LISTED: &str = "Alfarid";

/// RFC 2974 §6: version 1, IPv4, neither encrypted nor compressed nor signed.
const ANNOUNCEMENT: u8 = 0x20;
const DELETION: u8 = 0x24;

/// One RTP stream.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: TrackId,
    pub(super) kind: TrackKind,
    codec: Codec,
    /// H.264 only.
    sets: ParameterSets,
}

/// A lesson that goes out in the clear.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) lesson: LessonId,
    /// The room's.
    pub(super) name: String,
    pub(super) group: Group,
    /// The box's address on the first of its networks.
    pub(super) origin: Ipv4Addr,
    pub(super) lines: Vec<Line>,
    /// Grows with each change of the lines.
    pub(super) version: u32,
}

impl Session {
    /// A line begins, or is another one, in the place of the one of its kind.
    pub(super) fn begin(&mut self, line: Line) {
        self.lines.retain(|other| other.kind != line.kind);
        self.lines.push(line);
        self.lines.sort_by_key(|line| offset(line.kind));
        self.version += 1;
    }

    /// `false`: it was no line.
    pub(super) fn end(&mut self, id: TrackId) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| line.id != id);
        let was_one = self.lines.len() < before;
        self.version += u32::from(was_one);
        was_one
    }

    /// `None` while nothing is on air: a description without a line is none.
    pub(super) fn describe(&self) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        let Group { address, port, ttl } = self.group;
        let mut text = format!(
            "v=0\r\n{}s={}\r\nc=IN IP4 {address}/{ttl}\r\nt=0 0\r\na=recvonly\r\n",
            self.origin_line(),
            listed(&self.name),
        );
        for line in &self.lines {
            // Writing to a string does not fail.
            let _ = line.describe(port, &mut text);
        }
        Some(text)
    }

    /// The packet that says that what is described as `text` is there.
    pub(super) fn announcement(&self, text: &str) -> Vec<u8> {
        self.packet(ANNOUNCEMENT, text)
    }

    /// The packet that says that it is there no more. RFC 2974 §6: the origin line alone.
    pub(super) fn deletion(&self) -> Vec<u8> {
        self.packet(DELETION, &self.origin_line())
    }

    fn origin_line(&self) -> String {
        let (id, version) = (self.lesson.0.as_u64_pair().0, self.version);
        format!("o=- {id} {version} IN IP4 {}\r\n", self.origin)
    }

    fn packet(&self, flags: u8, text: &str) -> Vec<u8> {
        // With the origin it names this version of this session; 0 would name none.
        let [.., high, low] = self.lesson.0.into_bytes();
        let hash = u16::from_be_bytes([high, low]);
        let [_, _, more, least] = self.version.to_be_bytes();
        let hash = hash.wrapping_add(u16::from_be_bytes([more, least])).max(1);
        let mut packet = vec![flags, 0];
        packet.extend(hash.to_be_bytes());
        packet.extend(self.origin.octets());
        packet.extend(b"application/sdp\0");
        packet.extend(text.as_bytes());
        packet
    }
}

impl Line {
    pub(super) fn of(track: TappedTrack) -> Self {
        let TappedTrack { id, kind, codec, .. } = track;
        Self { id, kind, codec, sets: ParameterSets::default() }
    }

    /// Reads in a payload what players must know beforehand. `true`: it is something new.
    pub(super) fn learn(&mut self, payload: &[u8]) -> bool {
        if self.codec != Codec::H264 {
            return false;
        }
        let mut is_new = false;
        // The relay lets nothing unreadable out.
        for unit in units(payload).into_iter().flatten() {
            if unit.is_whole() && matches!(unit.kind(), kind::SPS | kind::PPS) {
                let nal = [&[unit.header], unit.body].concat();
                let mut known = self.sets.sps().iter().chain(self.sets.pps());
                is_new |= !known.any(|known| *known == nal) && self.sets.insert(&nal).is_ok();
            }
        }
        is_new
    }

    /// Whether it can be described.
    pub(super) fn is_known(&self) -> bool {
        self.codec != Codec::H264 || self.sets.is_complete()
    }

    fn describe(&self, port: u16, text: &mut String) -> fmt::Result {
        let (port, pt) = (port.wrapping_add(offset(self.kind)), payload_type(self.codec));
        let media = if self.codec.is_video() { "video" } else { "audio" };
        write!(text, "m={media} {port} RTP/AVP {pt}\r\na=rtpmap:{pt} ")?;
        match self.codec {
            Codec::Vp8 => write!(text, "VP8/90000\r\n"),
            Codec::Opus => write!(text, "opus/48000/2\r\n"),
            Codec::H264 => {
                write!(text, "H264/90000\r\na=fmtp:{pt} packetization-mode=1")?;
                // RFC 6184 §8.1: profile, constraints and level are the SPS's first three bytes.
                if let Some([_, profile, constraints, level, ..]) =
                    self.sets.sps().first().map(|sps| &sps[..])
                {
                    write!(text, ";profile-level-id={profile:02x}{constraints:02x}{level:02x}")?;
                }
                let sets = self.sets.sps().iter().chain(self.sets.pps());
                let sets: Vec<_> = sets.map(|set| STANDARD.encode(set)).collect();
                write!(text, ";sprop-parameter-sets={}\r\n", sets.join(","))
            }
        }
    }
}

/// From the group's port: each line has the next two, the second for its RTCP.
pub(super) fn offset(kind: TrackKind) -> u16 {
    match kind {
        TrackKind::ScreenVideo => 0,
        TrackKind::ScreenAudio => 2,
        TrackKind::PersonAudio => 4,
    }
}

/// A room's name as players list it, in one line.
fn listed(name: &str) -> String {
    let line: String = name.chars().filter(|c| !c.is_control()).collect();
    match line.trim() {
        "" => LISTED.to_owned(),
        name => format!("{LISTED}: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::id::PublicationId;
    use uuid::Uuid;

    use super::*;

    /// 1280x720 by x264, in one packet with its PPS (RFC 6184 §5.7.1).
    const STAP_A: &[u8] = &[
        0x78, 0, 27, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02,
        0x02, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x47, 0x8c, 0x19, 0x24, 0, 4,
        0x68, 0xcb, 0x8c, 0xb2,
    ];

    fn session() -> Session {
        Session {
            lesson: LessonId(Uuid::from_u128(7 << 64 | 0xfffe)),
            name: "Room 12\r\nm=audio 1".to_owned(),
            group: Group { address: Ipv4Addr::new(239, 255, 1, 2), port: 5014, ttl: 1 },
            origin: Ipv4Addr::new(10, 0, 0, 1),
            lines: Vec::new(),
            version: 0,
        }
    }

    fn line(id: u32, kind: TrackKind, codec: Codec) -> Line {
        let publication = PublicationId(Uuid::nil());
        Line::of(TappedTrack { id: TrackId(id), kind, codec, publication })
    }

    #[test]
    fn a_session_is_described_as_players_read_it_whatever_its_room_is_called() {
        let mut session = session();
        session.begin(line(1, TrackKind::PersonAudio, Codec::Opus));
        let mut screen = line(2, TrackKind::ScreenVideo, Codec::H264);
        assert!(screen.learn(STAP_A));
        session.begin(screen);
        assert_eq!(
            session.describe().unwrap(),
            "v=0\r\no=- 7 2 IN IP4 10.0.0.1\r\ns=Alfarid: Room 12m=audio 1\r\n\
             c=IN IP4 239.255.1.2/1\r\n\
             t=0 0\r\na=recvonly\r\nm=video 5014 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
             a=fmtp:96 packetization-mode=1;profile-level-id=42c01f;\
             sprop-parameter-sets=Z0LAH9kAUAW7AWoCAgKAAAADAIAAAB5HjBkk,aMuMsg==\r\n\
             m=audio 5018 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\n"
        );
    }

    #[test]
    fn h264_is_described_once_its_parameter_sets_are_known_and_anew_when_they_change() {
        let mut line = line(1, TrackKind::ScreenVideo, Codec::H264);
        assert!(!line.learn(&[0x41, 0x9a, 0x01]), "a slice");
        assert!(!line.is_known());
        assert!(line.learn(STAP_A));
        assert!(line.is_known());
        assert!(!line.learn(STAP_A), "the same again");
        assert!(line.learn(&[0x68, 0xcb, 0x00]), "another PPS in the place of the first");
        assert!(!line.learn(&[0xff, 0xff]), "nonsense");
    }

    #[test]
    fn a_line_takes_the_place_of_the_one_of_its_kind_and_without_any_there_is_no_session() {
        let mut session = session();
        assert_eq!(session.describe(), None);
        session.begin(line(1, TrackKind::ScreenAudio, Codec::Opus));
        session.begin(line(2, TrackKind::ScreenVideo, Codec::H264));
        session.begin(line(3, TrackKind::ScreenVideo, Codec::Vp8));
        let text = session.describe().unwrap();
        assert!(text.contains("m=video 5014 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n"), "{text}");
        assert!(text.contains("m=audio 5016 ") && !text.contains("H264"), "{text}");
        assert!(!session.end(TrackId(2)), "its place was taken");
        assert!(session.end(TrackId(3)) && session.end(TrackId(1)));
        assert_eq!(session.describe(), None);
    }

    #[test]
    fn a_deletion_names_the_announcement_that_it_takes_back() {
        let mut session = session();
        session.begin(line(1, TrackKind::ScreenVideo, Codec::Vp8));
        let text = session.describe().unwrap();
        let (there, over) = (session.announcement(&text), session.deletion());
        assert_eq!(there[..8], [0x20, 0, 0xff, 0xff, 10, 0, 0, 1]);
        assert_eq!(over[..8], [0x24, 0, 0xff, 0xff, 10, 0, 0, 1]);
        assert_eq!(there[8..], [&b"application/sdp\0"[..], text.as_bytes()].concat());
        assert_eq!(over[8..], *b"application/sdp\0o=- 7 1 IN IP4 10.0.0.1\r\n");
        session.begin(line(2, TrackKind::ScreenVideo, Codec::Vp8));
        let next = session.announcement(&text);
        assert_eq!(next[2..4], [0, 1], "another version has another name, and 0 is none");
    }
}
