//! What a lesson came to.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::Lesson;

/// Shares and times of one lesson, of what was sent from `from` to a second before its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Packets times machines.
    pub packets: usize,
    /// Of these, not there within the deadline after they were sent.
    pub late: usize,
    /// Never there.
    pub lost: usize,
    /// Pictures times machines.
    pub pictures: usize,
    /// Of these, with a packet not there in time.
    pub broken: usize,
    /// Bytes on air over those of the same packets as plain RTP, less 1.
    pub overhead: f64,
    /// From sent to there: the median and the 95th and 99.9th percentiles of all packets, and the
    /// 95th of those that were brought back.
    pub delays: [Duration; 4],
    /// Feedback datagrams.
    pub feedback: usize,
}

impl Lesson {
    pub(crate) fn figures(&self, from: Duration, deadline: Duration) -> Figures {
        let until = self.plan.length.saturating_sub(Duration::from_secs(1));
        let counts = |at: Duration| at >= from && at < until;
        let mut figures = Figures { feedback: self.feedback, ..Figures::default() };
        let (mut delays, mut restored) = (Vec::new(), Vec::new());
        for machine in &self.machines {
            let (mut all, mut broken) = (BTreeSet::new(), BTreeSet::new());
            for (number, sent) in self.sent.iter().enumerate() {
                if !counts(sent.at) {
                    continue;
                }
                let left = machine.left.get(number).copied().flatten();
                let delay = left.map(|(at, _)| at.saturating_sub(sent.at));
                figures.packets += 1;
                figures.lost += usize::from(left.is_none());
                all.extend(sent.picture);
                if delay.is_none_or(|delay| delay > deadline) {
                    figures.late += 1;
                    broken.extend(sent.picture);
                }
                delays.extend(delay);
                restored.extend(delay.filter(|_| left.is_some_and(|(_, restored)| restored)));
            }
            figures.pictures += all.len();
            figures.broken += broken.len();
        }
        delays.sort_unstable();
        restored.sort_unstable();
        figures.delays = [
            percentile(&delays, 500),
            percentile(&delays, 950),
            percentile(&delays, 999),
            percentile(&restored, 950),
        ];
        let on_air = self.on_air.iter().filter(|on_air| counts(on_air.at));
        let bytes = on_air.clone().map(|on_air| on_air.bytes).sum::<usize>();
        let plain = on_air.map(|on_air| on_air.plain).sum::<usize>();
        #[expect(clippy::cast_precision_loss, reason = "a ratio to three digits")]
        let ratio = bytes as f64 / plain as f64;
        figures.overhead = ratio - 1.0;
        figures
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, late, lost, pictures, broken, overhead, delays, feedback } = self;
        let [median, p95, p999, restored] = delays.map(|delay| delay.as_millis());
        write!(
            f,
            "late {late} of {packets} packets ({lost} lost), broken {broken} of {pictures} \
             pictures, overhead {overhead:.3}, delay {median}/{p95}/{p999} ms, restored p95 \
             {restored} ms, feedback {feedback}",
        )
    }
}

fn percentile(sorted: &[Duration], thousandths: usize) -> Duration {
    sorted.get(sorted.len() * thousandths / 1_000).copied().unwrap_or_default()
}
