//! The bench `stream`: the protected broadcast.

mod playout;

use anyhow::Result;

use crate::report::Report;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    playout::measure(report).await
}
