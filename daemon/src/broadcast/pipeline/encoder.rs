//! The best encoder that this box has.

use super::PipelineError;
use crate::broadcast::feed::opus_bps;

/// Keyframes come when they are asked for; should the asking fail, one comes after so many seconds.
const KEYFRAME_SECONDS: u32 = 10;

/// What a source is encoded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broadcast) struct Quality {
    pub(in crate::broadcast) fps: u32,
    /// Lines at most.
    pub(in crate::broadcast) height: u32,
    /// Of the picture.
    pub(in crate::broadcast) bitrate_bps: u32,
    pub(in crate::broadcast) sound_bps: u32,
}

/// Raw video in, H.264 as RTP out: a part of a pipeline. Hardware first, then what costs least.
pub(super) fn video(quality: Quality, payload_type: u8) -> Result<String, PipelineError> {
    let Quality { fps, bitrate_bps, .. } = quality;
    let (kbps, every) = (bitrate_bps / 1000, fps * KEYFRAME_SECONDS);
    let names = &["v4l2h264enc", "vah264enc", "x264enc", "openh264enc"];
    let all = "v4l2h264enc, vah264enc, x264enc, openh264enc";
    let encoder = match super::first_installed(names, all)? {
        // The driver of the Raspberry Pi wants its level said (raspberrypi/linux#3974).
        "v4l2h264enc" => format!(
            "v4l2h264enc extra-controls=\"controls,video_bitrate={bitrate_bps},\
             h264_i_frame_period={every},repeat_sequence_header=1\" \
             ! video/x-h264,profile=constrained-baseline,level=(string)4"
        ),
        "vah264enc" => format!(
            "vah264enc rate-control=cbr bitrate={kbps} key-int-max={every} b-frames=0 \
             target-usage=6"
        ),
        "x264enc" => format!(
            "x264enc tune=zerolatency speed-preset=superfast bitrate={kbps} key-int-max={every} \
             ! video/x-h264,profile=constrained-baseline"
        ),
        _ => format!(
            "openh264enc rate-control=bitrate bitrate={bitrate_bps} gop-size={every} \
             complexity=low"
        ),
    };
    Ok(format!(
        "videoconvert ! {encoder} ! h264parse config-interval=-1 \
         ! rtph264pay aggregate-mode=zero-latency mtu=1200 pt={payload_type}"
    ))
}

/// Raw sound in, Opus as RTP out.
pub(super) fn sound(quality: Quality, payload_type: u8) -> String {
    let bitrate_bps = opus_bps(quality.sound_bps);
    format!(
        "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 \
         ! opusenc bitrate={bitrate_bps} ! rtpopuspay pt={payload_type}"
    )
}
