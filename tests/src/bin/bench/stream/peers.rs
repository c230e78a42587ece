//! What others offer against loss: the same pictures, the same networks, the same judge.
//!
//! Debian's GStreamer elements protect and repair the plain RTP of the run's own pictures, packet
//! by packet and faster than time passes: one encoder, and for each machine a decoder of its own
//! behind that machine's network.

mod element;
mod plain;
mod st2022;
mod ulpfec;

use std::{collections::HashMap, time::Duration};

use anyhow::Result;

use self::{
    plain::{Arrival, Stream, arrivals},
    st2022::Matrix,
};
use super::{judge::Shown, run::Run, weather::Climate};
use crate::report::{Report, Worst};

/// So many times fewer are to be broken here.
const FEWER: f64 = 100.0;

/// Judges the peers by what went on air in `run`, with as much parity as it took there.
pub(super) fn measure(report: &mut Report, run: &Run, climate: Climate) -> Result<()> {
    let stream = Stream::of(run)?;
    let machines = run.outcome.machines.len();
    let judge = |receive: &dyn Fn(usize) -> Result<Vec<Arrival>>| {
        let mut shown = Shown::default();
        for number in 0..machines {
            let whole: HashMap<u32, Duration> = stream.whole(receive(number)?);
            shown.add(&stream.pictures, &whole);
        }
        anyhow::Ok(shown)
    };
    let plain = judge(&|number| {
        let sent = stream.packets.iter().map(|plain| plain.at);
        let arrived = arrivals(climate, number, sent).into_iter().zip(0..);
        Ok(arrived.filter_map(|(at, place)| Some((at?, place))).collect())
    })?;
    tell(report, "peer_plain", plain, "plain multicast, no repair");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few dozen percent"
    )]
    let percent = (run.overhead() * 100.0).ceil() as u32;
    let sent = ulpfec::send(&stream, percent)?;
    let ulpfec = judge(&|number| {
        let at = sent.packets.iter().map(|(at, _)| *at);
        ulpfec::receive(&stream, &sent, &arrivals(climate, number, at))
    })?;
    let about = format!("GStreamer's rtpulpfecenc, {percent} %: overhead {:.3}", sent.overhead);
    tell(report, "peer_ulpfec", ulpfec, &about);
    let (st2022, about) = best_matrix(&stream, run, climate, &judge)?;
    tell(report, "peer_st2022", st2022, &about);
    let best = [plain, ulpfec, st2022].map(Shown::undecodable).into_iter().fold(1.0, f64::min);
    let about =
        format!("not shown right here over the best peer's {best:.4}; limit: {FEWER} times fewer");
    let share = run.undecodable() / best.max(f64::MIN_POSITIVE);
    report.figure("over_best_peer", share, Worst::AtMost(1.0 / FEWER), about);
    Ok(())
}

type Judge<'a> = &'a dyn Fn(&dyn Fn(usize) -> Result<Vec<Arrival>>) -> Result<Shown>;

/// Columns alone, or rows too, with at least as much parity as it took here: whichever serves
/// better.
fn best_matrix(
    stream: &Stream,
    run: &Run,
    climate: Climate,
    judge: Judge<'_>,
) -> Result<(Shown, String)> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few packets")]
    let part = |share: f64| ((1.0 / share).floor() as u32).max(2);
    let both = part(run.overhead() / 2.0);
    let matrices = [
        Matrix { columns: 10, rows: part(run.overhead()), has_rows: false },
        Matrix { columns: both, rows: both, has_rows: true },
    ];
    let mut best: Option<(Shown, String)> = None;
    for matrix in matrices {
        let sent = st2022::send(stream, matrix)?;
        let shown = judge(&|number| {
            let at = sent.packets.iter().map(|(at, _, _)| *at);
            st2022::receive(stream, &sent, &arrivals(climate, number, at))
        })?;
        let Matrix { columns, rows, has_rows } = matrix;
        let kind = if has_rows { "rows and columns" } else { "columns alone" };
        let about = format!(
            "GStreamer's rtpst2022-1-fecenc, {columns} x {rows}, {kind}: overhead {:.3}",
            sent.overhead
        );
        if best.as_ref().is_none_or(|(known, _)| shown.broken < known.broken) {
            best = Some((shown, about));
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("no matrix"))
}

fn tell(report: &mut Report, key: &'static str, shown: Shown, about: &str) {
    let Shown { pictures, broken } = shown;
    let about = format!("{about}; {broken} of {pictures} pictures not shown right");
    report.figure(key, shown.undecodable(), Worst::Print, about);
}
