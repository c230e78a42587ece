//! What every capability stands on, in one cheap bundle.

use std::{path::PathBuf, sync::Arc, time::Duration};

use alfarid_protocol::id::BoxId;

use crate::{clock::Clock, config::Config, db::Db, events::Events, health::Health};

/// Handed to each capability when it is built.
#[derive(Clone, Debug)]
pub struct Floor {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub db: Db,
    pub events: Events,
    pub health: Health,
    /// Who this box is. Made at its first start, kept in the state directory.
    pub box_id: BoxId,
    /// When the daemon started, by [`Clock::monotonic`].
    pub started: Duration,
}

impl Floor {
    /// Where the box keeps what must survive: database, keys, backups.
    pub fn state_dir(&self) -> &PathBuf {
        &self.config.storage.state_dir
    }
}
