//! GStreamer's own player on a machine of the lesson. It has no agent: the bench itself dials in
//! as that machine, and gives the player what the box grants.
//!
//! The player opens what it receives (RFC 7714) and believes it: it reads no manifest, and repairs
//! nothing.

use std::process::Command;

use alfarid_agent::{
    AGENT_VERSION,
    channel::{Channel, Received, secure},
    clock::Clock,
    identity::StateDir,
};
use alfarid_protocol::{
    control::{FromBox, FromMachine},
    grant::{Grant, Track},
    version,
};
use anyhow::{Context, Result, bail};
use classroom::{
    network::INTERFACE,
    school::{School, Seat},
};
use tokio::time::timeout;

use super::seat::LIMIT;

const AGENTS: u16 = 8444;

/// Takes the place of the seat's agent and waits for the lesson's video. What is granted holds for
/// as long as the lesson's key, whether the connection does or not.
pub(super) async fn granted(school: &School, seat: &Seat) -> Result<Grant> {
    seat.agent.terminate().await?;
    let address = format!("{}:{AGENTS}", school.classroom.the_box().address());
    let tls = StateDir::new(seat.agent_state()).load()?.tls;
    let name = seat.host.name().to_owned();
    let granted = seat.host.enter(async move {
        let mut channel = Channel::open(secure(&address, tls).await?).await?;
        let (protocol, agent_version) = (version::CURRENT, AGENT_VERSION.to_owned());
        let now = Clock::of_this_boot()?.now();
        channel.send(&FromMachine::Hello { protocol, agent_version, name, now }).await?;
        loop {
            match channel.receive().await? {
                Received::Message(FromBox::Grant(grant)) if grant.video.is_some() => {
                    return Ok(grant);
                }
                Received::Message(FromBox::Refused { code, detail }) => {
                    bail!("the box refuses the bench's machine ({code:?}): {detail}");
                }
                _ => {}
            }
        }
    });
    timeout(LIMIT, granted).await.context("no video is granted")??
}

/// Plays the video of a grant, and shows it to nobody.
pub(super) fn player(grant: &Grant) -> Result<Command> {
    let video = grant.video.as_ref().context("a video")?;
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "udpsrc"]).arg(format!("address={}", grant.group));
    command.arg(format!("port={}", grant.port)).arg(format!("multicast-iface={INTERFACE}"));
    command.arg(format!("caps={}", caps(grant, video)?));
    command.args(["!", "srtpdec", "!", "rtpjitterbuffer", "!", "rtph264depay", "!", "h264parse"]);
    command.args(["!", "avdec_h264", "!", "fakesink", "sync=false"]);
    Ok(command)
}

/// What is received, and what opens it.
fn caps(grant: &Grant, video: &Track) -> Result<String> {
    let epoch = grant.protection.epochs.first().context("a key")?;
    let key = hex(&[&epoch.key.bytes()[..], epoch.salt.bytes()].concat());
    let mki = hex(&epoch.number.to_be_bytes()[2..]);
    let Track { ssrc, payload_type, clock_rate, next_index, .. } = video;
    let ciphers = "srtp-cipher=aes-128-gcm,srtp-auth=null,srtcp-cipher=aes-128-gcm,srtcp-auth=null";
    Ok(format!(
        "application/x-srtp,media=video,encoding-name=H264,payload={payload_type},\
         clock-rate={clock_rate},ssrc=(uint){ssrc},roc=(uint){},srtp-key=(buffer){key},\
         mki=(buffer){mki},{ciphers}",
        next_index >> 16,
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
