//! The least pace at which a request's body has to come.
//!
//! A body is bounded by its progress and not by its time: a large upload over bad Wi-Fi takes as
//! long as it takes, while one that comes byte by byte, to hold a connection open, is given up.
//! (`tower-http` bounds either the whole time, or the time between two frames, which a byte now
//! and then satisfies for ever.)

use std::{io, pin::Pin, time::Duration};

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::{Sleep, sleep};

/// So many bytes, or the end, within such a time; again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) bytes: usize,
    pub(super) within: Duration,
}

/// `body`, failing as soon as it does not keep the pace.
pub(super) fn paced(body: Body, pace: Pace) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let paced = Paced { chunks: body.into_data_stream(), pace, came: 0, turn: None };
    Body::from_stream(stream::try_unfold(paced, Paced::next))
}

struct Paced {
    chunks: BodyDataStream,
    pace: Pace,
    /// Bytes of this turn.
    came: usize,
    /// Ends this turn. Begins when the body is waited for: what its reader takes its time with
    /// is not its sender's fault.
    turn: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, axum::BoxError> {
        let turn = self.turn.get_or_insert_with(|| Box::pin(sleep(self.pace.within)));
        let chunk = tokio::select! {
            biased;
            chunk = self.chunks.next() => chunk.transpose()?,
            () = turn => {
                let cause = "the body does not come fast enough";
                return Err(io::Error::new(io::ErrorKind::TimedOut, cause).into());
            }
        };
        let Some(chunk) = chunk else { return Ok(None) };
        self.came += chunk.len();
        if self.came >= self.pace.bytes {
            self.came = 0;
            self.turn = None;
        }
        Ok(Some((chunk, self)))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio_stream::wrappers::IntervalStream;

    use super::*;

    /// A body whose chunks come `apart` from each other.
    fn trickling(chunks: usize, bytes: usize, apart: Duration) -> Body {
        let beat = IntervalStream::new(tokio::time::interval(apart)).take(chunks);
        Body::from_stream(beat.map(move |_| Ok::<_, io::Error>(Bytes::from(vec![0; bytes]))))
    }

    #[tokio::test]
    async fn a_slow_upload_takes_as_long_as_it_takes() {
        let pace = Pace { bytes: 100, within: Duration::from_secs(1) };
        let body = trickling(40, 100, Duration::from_millis(50));
        let whole = paced(body, pace).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 4_000);
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_no_progress() {
        let pace = Pace { bytes: 100, within: Duration::from_millis(200) };
        let body = trickling(1_000, 1, Duration::from_millis(20));
        assert!(paced(body, pace).collect().await.is_err());
    }

    #[tokio::test]
    async fn silence_ends_it() {
        let pace = Pace { bytes: 100, within: Duration::from_millis(50) };
        let silence = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        assert!(paced(silence, pace).collect().await.is_err());
    }
}
