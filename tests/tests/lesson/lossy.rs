//! A lesson over wires that lose one packet in twenty, either way.
//!
//! What the box puts on air is repaired for the machines that lost it; what the teacher's computer
//! sends is sent again when the box asks. A frame that depends on a lost one is lost as well, so a
//! single packet that nobody brings back costs seconds.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alfarid_stream::rtp::Header;
use anyhow::{Context, Result, ensure};
use classroom::{
    Switch,
    air::OnAir,
    browser::Browser,
    host::Host,
    school::School,
    trace::Trace,
    traffic::{Direction, Packet, Watch},
};

use crate::{
    SECONDS,
    judge::{judge_air, judge_attendance, judge_screen},
    steps::{TrustedBy, begin, end, lesson_of, open_browser, share, three_machines},
};

const LOSS_PERCENT: f64 = 5.0;
const LENGTH: Duration = Duration::from_secs(90);
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test]
async fn machines_show_a_lesson_of_which_they_lose_one_packet_in_twenty() -> Result<()> {
    let school = three_machines(Switch::Snooping).await?;
    let (browser, lesson) = on_air(&school).await?;
    for seat in &school.seats {
        seat.host.lose_percent(LOSS_PERCENT)?;
    }
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(LENGTH, LIMIT).await?;
    let sent = judge_air(&on_air)?;
    for seat in &school.seats {
        let shown = Trace::at(seat.trace_path()).read()?;
        judge_screen(seat.host.name(), &shown, &sent, 0.999)?;
        seat.host.restore()?;
    }
    end(&browser.page()).await?;
    judge_attendance(&school, &lesson).await?;
    browser.close().await?;
    school.classroom.close()
}

#[tokio::test]
async fn machines_show_what_a_teacher_sends_who_loses_one_packet_in_twenty() -> Result<()> {
    let school = three_machines(Switch::Snooping).await?;
    let (browser, _) = on_air(&school).await?;
    let desk = school.classroom.teacher()?;
    desk.lose_percent(LOSS_PERCENT)?;
    let published = Published::watch(desk)?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(LENGTH, LIMIT).await?;
    let (relayed, sent) = (on_air.frames().len(), published.pictures());
    let share = ratio(relayed, sent)?;
    println!("{relayed} of {sent} frames that the teacher sent were put on air ({share:.4})");
    let on_air = judge_air(&on_air)?;
    for seat in &school.seats {
        let shown = Trace::at(seat.trace_path()).read()?;
        judge_screen(seat.host.name(), &shown, &on_air, 0.999)?;
    }
    ensure!(share >= 0.99, "{share:.4} of what the teacher sent was put on air");
    desk.restore()?;
    end(&browser.page()).await?;
    browser.close().await?;
    school.classroom.close()
}

async fn on_air(school: &School) -> Result<(Browser, String)> {
    let browser = open_browser(school, TrustedBy::Root).await?;
    let page = browser.page();
    begin(school, &page, "h264", TrustedBy::Root).await?;
    let moving = browser.show_moving_picture().await?;
    share(school, &page).await?;
    moving.raise().await?;
    let lesson = lesson_of(&page).await?;
    let trace = Trace::at(school.seats.first().context("a seat")?.trace_path());
    trace.wait_for_more(30, SECONDS(20)).await?;
    drop(page);
    Ok((browser, lesson))
}

/// What went by of one SSRC.
#[derive(Default)]
struct Stream {
    bytes: u64,
    timestamps: BTreeSet<u32>,
}

/// The pictures that a teacher's browser sends, as its own wire has them: the far end loses some.
struct Published {
    streams: Arc<Mutex<HashMap<u32, Stream>>>,
    watch: Watch,
}

impl Published {
    fn watch(desk: &Host) -> Result<Self> {
        let streams = Arc::<Mutex<HashMap<u32, Stream>>>::default();
        let seen = Arc::clone(&streams);
        let watch = desk.watch_packets(move |packet| {
            if let Some(header) = media(packet) {
                let mut streams = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let stream = streams.entry(header.ssrc).or_default();
                stream.bytes += packet.ip_bytes;
                stream.timestamps.insert(header.timestamp);
            }
        })?;
        Ok(Self { streams, watch })
    }

    /// Sound, and what is sent again, have fewer bytes than the picture itself.
    fn pictures(&self) -> usize {
        self.watch.catch_up();
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let picture = streams.values().max_by_key(|stream| stream.bytes);
        picture.map_or(0, |picture| picture.timestamps.len())
    }
}

/// The header of a media packet, which SRTP leaves readable (RFC 3711 §3.1).
fn media(packet: &Packet<'_>) -> Option<Header> {
    const DYNAMIC: u8 = 96;
    let header = Header::parse(packet.payload).ok()?;
    (packet.direction == Direction::Sent && header.payload_type >= DYNAMIC).then_some(header)
}

fn ratio(part: usize, whole: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(part)?) / f64::from(u32::try_from(whole)?))
}
