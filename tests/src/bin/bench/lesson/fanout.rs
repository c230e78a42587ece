//! Twenty machines and one: what leaves the box, and what it costs the box.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use classroom::{
    air::OnAir,
    host::Host,
    school::{Options, School},
    traffic::{Counts, Direction, Watch},
};
use nix::time::{ClockId, clock_gettime};

use super::{school, small_lesson, source};
use crate::{
    report::{Report, Worst},
    usage,
};

const MACHINES: u8 = 20;
const SETTLED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(90);

/// What went over the box's wire in a window, and what the daemon took for it.
struct Window {
    counts: Counts,
    /// IP bytes that the publisher sent meanwhile.
    published: u64,
    length: Duration,
    cpu: Duration,
}

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let one = lesson_of(1).await?;
    let twenty = lesson_of(MACHINES).await?;
    // The two runs' encoders do not make the same bytes: each is set beside what its publisher sent.
    let ratio = out_over_in(&twenty) / out_over_in(&one);
    let about = format!(
        "{} B with 20 over {} B with 1, each over what the publisher sent",
        twenty.counts.sent.bytes, one.counts.sent.bytes
    );
    report.figure("egress_ratio_20", ratio, Worst::AtMost(1.02), about);
    let share = twenty.cpu.as_secs_f64() / twenty.length.as_secs_f64();
    let bare = bare_sendto(&twenty)?.as_secs_f64() / twenty.length.as_secs_f64();
    let mbps = as_f64(twenty.counts.sent.bytes) * 8e-6 / twenty.length.as_secs_f64();
    let about =
        format!("of a core, {mbps:.1} Mbit/s relayed and recorded; a bare sendto loop: {bare:.4}");
    report.figure("cpu_core_20", share, Worst::Print, about);
    Ok(())
}

async fn lesson_of(machines: u8) -> Result<Window> {
    let options = Options { without_players: true, ..Options::default() };
    let school: School = school(machines, &options).await?;
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, (1280, 720)).await?;
    let settling = OnAir::watch(school.classroom.the_box())?;
    settling.wait_for(SETTLED, LIMIT).await?;
    let traffic = school.classroom.the_box().count_traffic()?;
    let published =
        Published::watch(school.classroom.the_box(), school.classroom.teacher()?.address())?;
    let before = usage::cpu(&school.daemon)?;
    let on_air = OnAir::watch(school.classroom.the_box())?;
    on_air.wait_for(WINDOW, LIMIT).await?;
    let window = Window {
        counts: traffic.so_far(),
        published: published.so_far(),
        length: WINDOW,
        cpu: usage::cpu(&school.daemon)?.saturating_sub(before),
    };
    school.end_lesson(&lesson).await?;
    school.classroom.close()?;
    Ok(window)
}

fn out_over_in(window: &Window) -> f64 {
    as_f64(window.counts.sent.bytes) / as_f64(window.published)
}

/// What a publisher's computer sent to the box, in IP bytes, until this is dropped.
struct Published {
    bytes: Arc<AtomicU64>,
    watch: Watch,
}

impl Published {
    fn watch(the_box: &Host, publisher: Ipv4Addr) -> Result<Self> {
        let bytes = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&bytes);
        let watch = the_box.watch_packets(move |packet| {
            let is_from_there = packet.source.ip() == IpAddr::V4(publisher);
            if packet.direction == Direction::Received && is_from_there {
                counting.fetch_add(packet.ip_bytes, Ordering::Relaxed);
            }
        })?;
        Ok(Self { bytes, watch })
    }

    fn so_far(&self) -> u64 {
        self.watch.catch_up();
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Processor time of sending as many packets of the mean size as left by multicast.
fn bare_sendto(window: &Window) -> Result<Duration> {
    let groups = window.counts.sent_to_groups.values();
    let (packets, bytes) = groups.fold((0, 0), |(p, b), t| (p + t.packets, b + t.bytes));
    let size = usize::try_from(bytes.checked_div(packets).context("packets left")?)?;
    // Loopback takes what nobody listens to: IP and UDP headers are 28 bytes of the mean.
    let payload = vec![0; size.saturating_sub(28)];
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sink = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = sink.local_addr()?;
    let before = thread_cpu()?;
    for _ in 0..packets {
        socket.send_to(&payload, to)?;
    }
    Ok(thread_cpu()?.saturating_sub(before))
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn as_f64(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}
