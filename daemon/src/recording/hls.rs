//! The same files as HLS (RFC 8216), for players without MSE: H.264 and Opus only.
//!
//! ```text
//!   hls/index.m3u8 ─▶ hls/screen_video.m3u8 ─▶ hls/<segment>/head.mp4, hls/<segment>/0-4.m4s ...
//!                  └▶ hls/person_audio.m3u8 ─▶ ...
//! ```
//!
//! A media segment of HLS is a run of fragments from one keyframe to the next. In the files, each
//! segment's time begins at nothing; HLS wants one time for all tracks, so the time is moved while
//! the bytes pass ([`shift`]). A run is listed when the next one has begun: what is listed never
//! changes.

use std::{fmt::Write, io, ops::RangeInclusive};

use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::{
    Recording, Segment, Status, Track, TrackKind,
    container::{Container, Torn, mp4},
};

/// Fragments that one request may ask for: a keyframe comes every ten seconds at the latest.
const MAX_RUN: usize = 64;

/// A playlist, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Playlist {
    Index,
    Of(TrackKind),
}

/// A piece of media, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Head,
    /// Fragments, by their places in the segment.
    Run(RangeInclusive<usize>),
}

impl Playlist {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".m3u8")?;
        let kinds = [TrackKind::ScreenVideo, TrackKind::ScreenAudio, TrackKind::PersonAudio];
        match name {
            "index" => Some(Self::Index),
            name => kinds.into_iter().find(|kind| word(*kind) == name).map(Self::Of),
        }
    }

    /// `None` where the recording has nothing of the kind that HLS could carry.
    pub(super) fn text(self, recording: &Recording) -> Option<String> {
        let is_over = !matches!(recording.status, Status::Recording | Status::Processing);
        match self {
            Self::Index => index(recording),
            Self::Of(kind) => playable(recording, kind).map(|track| media(track, is_over)),
        }
    }
}

impl Piece {
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == "head.mp4" {
            return Some(Self::Head);
        }
        let (first, last) = name.strip_suffix(".m4s")?.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let fits = first <= last && last - first < MAX_RUN;
        fits.then_some(Self::Run(first..=last))
    }
}

/// Reads a piece of the segment's file. `None` where the segment does not have it.
pub(super) async fn read(
    mut file: File,
    segment: &Segment,
    piece: Piece,
) -> io::Result<Option<Vec<u8>>> {
    let range = match &piece {
        Piece::Head => Some(0..segment.init_bytes),
        Piece::Run(run) => segment.fragments.get(run.clone()).and_then(|run| {
            let (first, last) = (run.first()?, run.last()?);
            Some(first.offset..last.offset + last.length)
        }),
    };
    let Some(range) = range else { return Ok(None) };
    file.seek(io::SeekFrom::Start(range.start)).await?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes).await?;
    if piece != Piece::Head {
        shift(&segment.mime, segment.offset_ms, &mut bytes).map_err(io::Error::other)?;
    }
    Ok(Some(bytes))
}

/// Moves all fragments in `bytes` to where their segment stands in the recording.
fn shift(mime: &str, offset_ms: i64, mut bytes: &mut [u8]) -> Result<(), Torn> {
    let Container::Mp4 { timescale } = Container::of_mime(mime) else {
        return Err(Torn::Unexpected("WebM is not for HLS"));
    };
    let offset = u64::try_from(offset_ms).unwrap_or(0) * u64::from(timescale) / 1_000;
    while !bytes.is_empty() {
        let length = mp4::shift(bytes, offset)?;
        bytes = bytes.split_at_mut_checked(length).ok_or(Torn::End)?.1;
    }
    Ok(())
}

fn index(recording: &Recording) -> Option<String> {
    let video = playable(recording, TrackKind::ScreenVideo)?;
    let mut text = header();
    let sounds = [TrackKind::PersonAudio, TrackKind::ScreenAudio];
    let sounds = sounds.into_iter().filter(|kind| playable(recording, *kind).is_some());
    let mut group = "";
    for kind in sounds {
        let name = word(kind);
        let is_default = if group.is_empty() { "YES" } else { "NO" };
        group = ",AUDIO=\"sound\"";
        put(
            &mut text,
            &format!(
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",NAME=\"{name}\",DEFAULT={is_default},\
             AUTOSELECT=YES,URI=\"{name}.m3u8\""
            ),
        );
    }
    let first = video.segments.first()?;
    let video_codec = first.mime.split('"').nth(1).unwrap_or_default();
    let codecs =
        if group.is_empty() { video_codec.to_owned() } else { format!("{video_codec},opus") };
    let span_ms = u64::try_from(first.duration_ms).unwrap_or(0).max(1);
    let bandwidth = first.size_bytes * 8_000 / span_ms + 128_000;
    put(&mut text, &format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"{codecs}\"{group}"));
    put(&mut text, "screen_video.m3u8");
    Some(text)
}

fn media(track: &Track, is_over: bool) -> String {
    let runs: Vec<_> = track.segments.iter().map(|segment| runs(segment, is_over)).collect();
    let longest_ms = runs.iter().flatten().map(|(_, span_ms)| *span_ms).max().unwrap_or(1_000);
    let mut text = header();
    put(&mut text, &format!("#EXT-X-TARGETDURATION:{}", (longest_ms + 999) / 1_000));
    put(&mut text, "#EXT-X-MEDIA-SEQUENCE:0");
    put(&mut text, if is_over { "#EXT-X-PLAYLIST-TYPE:VOD" } else { "#EXT-X-PLAYLIST-TYPE:EVENT" });
    for (segment, runs) in track.segments.iter().zip(&runs).filter(|(_, runs)| !runs.is_empty()) {
        let id = segment.id;
        if text.contains("#EXT-X-MAP") {
            put(&mut text, "#EXT-X-DISCONTINUITY");
        }
        put(&mut text, &format!("#EXT-X-MAP:URI=\"{id}/head.mp4\""));
        for (run, span_ms) in runs {
            put(&mut text, &format!("#EXTINF:{}.{:03},", span_ms / 1_000, span_ms % 1_000));
            put(&mut text, &format!("{id}/{}-{}.m4s", run.start(), run.end()));
        }
    }
    if is_over {
        put(&mut text, "#EXT-X-ENDLIST");
    }
    text
}

/// Runs of fragments that begin with a keyframe, with their durations in milliseconds.
fn runs(segment: &Segment, is_over: bool) -> Vec<(RangeInclusive<usize>, i64)> {
    let fragments = &segment.fragments;
    let is_start = |n: usize| n == 0 || fragments[n].keyframe;
    let mut starts: Vec<_> = (0..fragments.len()).filter(|n| is_start(*n)).collect();
    if is_over {
        starts.push(fragments.len());
    }
    let at_ms = |n: usize| fragments.get(n).map_or(segment.duration_ms, |fragment| fragment.at_ms);
    let run = |pair: &[usize]| (pair[0]..=pair[1] - 1, at_ms(pair[1]) - at_ms(pair[0]));
    starts.windows(2).map(run).collect()
}

fn playable(recording: &Recording, kind: TrackKind) -> Option<&Track> {
    let track = recording.tracks.iter().find(|track| track.kind == kind)?;
    let is_mp4 = |segment: &Segment| Container::of_mime(&segment.mime) != Container::WebM;
    Some(track).filter(|track| track.segments.iter().all(is_mp4))
}

fn header() -> String {
    "#EXTM3U\n#EXT-X-VERSION:7\n".to_owned()
}

fn put(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn word(kind: TrackKind) -> &'static str {
    crate::db::column::Word::word(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_nothing_else() {
        assert_eq!(Playlist::parse("index.m3u8"), Some(Playlist::Index));
        let person = Playlist::Of(TrackKind::PersonAudio);
        assert_eq!(Playlist::parse("person_audio.m3u8"), Some(person));
        assert_eq!(Playlist::parse("person_audio"), None);
        assert_eq!(Piece::parse("head.mp4"), Some(Piece::Head));
        assert_eq!(Piece::parse("3-7.m4s"), Some(Piece::Run(3..=7)));
        for nothing in ["7-3.m4s", "0-64.m4s", "a-b.m4s", "3.m4s", "-.m4s"] {
            assert_eq!(Piece::parse(nothing), None, "{nothing}");
        }
    }
}
