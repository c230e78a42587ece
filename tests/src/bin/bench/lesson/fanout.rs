//! Twenty machines and one: what leaves the box, and what it costs the box.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use classroom::{
    air::OnAir,
    host::Host,
    school::{Options, School},
    traffic::{Direction, Packet, Watch},
};
use nix::time::{ClockId, clock_gettime};

use super::{
    now, school, small_lesson,
    source::{self, Rates},
};
use crate::{
    report::{Report, Worst},
    usage,
};

const MACHINES: u8 = 20;
const SETTLED: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_secs(90);

/// A group that nobody is in, and the port of those who throw away what comes (RFC 863).
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 254)), 9);

/// What went over the box's wire in a window, and what it took to send it.
struct Window {
    wire: Seen,
    length: Duration,
    /// The daemon's processor time.
    cpu: Duration,
    /// That of a bare loop which sends the same multicast.
    bare: Duration,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// IP bytes that left.
    pub(crate) sent: u64,
    /// IP bytes that came from the publisher.
    published: u64,
    /// Of each packet that left for a group, how many bytes UDP carried.
    pub(crate) to_groups: Vec<usize>,
}

pub(super) async fn measure(report: &mut Report, rates: &mut Rates) -> Result<()> {
    let one = lesson_of(1, "720p to 1 machine", rates).await?;
    let twenty = lesson_of(MACHINES, "720p to 20 machines", rates).await?;
    let ratio = twenty.out_over_in() / one.out_over_in();
    let about = "bytes that leave the box with 20 machines over with 1, each over what its \
                 publisher sent: no encoder makes the same bytes twice";
    report.figure("egress_ratio_20", ratio, Worst::AtMost(1.02), about);
    let (with_20, with_1) = (twenty.wire.sent, one.wire.sent);
    let about = format!("the same as counted: {with_20} B over {with_1} B, in {WINDOW:?} each");
    report.figure("egress_raw_ratio_20", as_f64(with_20) / as_f64(with_1), Worst::Print, about);
    let mbps = as_f64(with_20) * 8e-6 / twenty.length.as_secs_f64();
    let about = format!("of a core, {mbps:.1} Mbit/s relayed to 20 machines and recorded");
    report.figure("cpu_core_20", twenty.share_of_core(twenty.cpu), Worst::Print, about);
    let packets = twenty.wire.to_groups.len();
    let about = format!("a bare sendto loop of the same {packets} packets, to nobody");
    report.figure("cpu_core_20_bare", twenty.share_of_core(twenty.bare), Worst::Print, about);
    Ok(())
}

async fn lesson_of(machines: u8, run: &'static str, rates: &mut Rates) -> Result<Window> {
    let options = Options { without_players: true, ..Options::default() };
    let school: School = school(machines, &options).await?;
    let the_box = school.classroom.the_box();
    let lesson = small_lesson(&school).await?;
    let _publisher = source::on_air(&school, &lesson, (1280, 720)).await?;
    OnAir::watch(the_box)?.wait_for(SETTLED, LIMIT).await?;
    let wire = Wire::watch(the_box, school.classroom.teacher()?.address())?;
    let (begun, before) = (now(), usage::cpu(&school.daemon)?);
    let on_air = OnAir::watch(the_box)?;
    on_air.wait_for(WINDOW, LIMIT).await?;
    let seen = wire.so_far();
    let cpu = usage::cpu(&school.daemon)?.saturating_sub(before);
    let length = now().saturating_sub(begun);
    rates.judge(run, &on_air)?;
    school.end_lesson(&lesson).await?;
    // Both watches still look on, for that costs whoever sends.
    let bare = bare_sendto(the_box, seen.to_groups.clone()).await?;
    school.classroom.close()?;
    Ok(Window { wire: seen, length, cpu, bare })
}

impl Window {
    fn out_over_in(&self) -> f64 {
        as_f64(self.wire.sent) / as_f64(self.wire.published)
    }

    fn share_of_core(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() / self.length.as_secs_f64()
    }
}

/// Takes down what goes over the box's wire, until it is dropped.
pub(crate) struct Wire {
    seen: Arc<Mutex<Seen>>,
    watch: Watch,
}

impl Wire {
    pub(crate) fn watch(the_box: &Host, publisher: Ipv4Addr) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let watch = the_box.watch_packets(move |packet| {
            noting.lock().unwrap_or_else(PoisonError::into_inner).note(packet, publisher);
        })?;
        Ok(Self { seen, watch })
    }

    pub(crate) fn so_far(&self) -> Seen {
        self.watch.catch_up();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn note(&mut self, packet: &Packet<'_>, publisher: Ipv4Addr) {
        match packet.direction {
            Direction::Received if packet.source.ip() == IpAddr::V4(publisher) => {
                self.published += packet.ip_bytes;
            }
            Direction::Received => {}
            Direction::Sent => {
                self.sent += packet.ip_bytes;
                // mDNS and IGMP go to other groups, and are no part of the lesson.
                let is_media =
                    matches!(packet.destination.ip(), IpAddr::V4(to) if to.octets()[0] == 239);
                if is_media && packet.destination.port() != 0 {
                    self.to_groups.push(packet.payload.len());
                }
            }
        }
    }
}

/// Processor time of sending packets of these sizes to a group that nobody is in, one after the
/// other, from the box's own interface.
pub(crate) async fn bare_sendto(the_box: &Host, sizes: Vec<usize>) -> Result<Duration> {
    let from = the_box.address();
    let send = async move {
        let socket = UdpSocket::bind((from, 0))?;
        socket.set_multicast_loop_v4(false)?;
        let payload = vec![0; usize::from(u16::MAX)];
        let before = thread_cpu()?;
        for size in sizes {
            socket.send_to(&payload[..size], NOBODY)?;
        }
        Ok(thread_cpu()?.saturating_sub(before))
    };
    the_box.enter(send).await?
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn as_f64(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}
