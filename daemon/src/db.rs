//! The box's memory: one `SQLite` file, one writer, a few readers.
//!
//! A thread owns the only connection that writes; whoever wants to write hands it a closure and
//! awaits the answer. So there is never a busy database, writes are in one order, and every write
//! is one transaction that is on disk (`synchronous=FULL`) when its future resolves. Reads run on
//! connections of their own and see the last committed state.
//!
//! Opening goes through [`open`](Db::open): a newer database than this build is refused, an older
//! one is backed up and migrated, a damaged one is set aside (never deleted) and the newest good
//! backup takes its place; without one it is refused, for an empty database is a box that anybody
//! may claim.
//!
//! Dropping a future does not undo its write. A closure that panics loses its own transaction
//! only.

mod backup;
pub mod column;
mod migrate;
mod open;
mod restore;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::Arc,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

pub use self::{
    backup::{CopyError, keep_backups},
    open::{Opened, Story},
};
use crate::logging;

/// Writes that may wait for the writer. A full queue makes the next writer wait: back-pressure,
/// nothing is lost.
const WRITES_WAITING: usize = 256;

/// Reads that run at once; further ones wait.
const READERS: usize = 3;

/// Why the database did not do as asked.
#[derive(Debug, Error)]
pub enum DbError {
    #[error(
        "the database at {path} was written by a newer version (schema {found}, this build knows {known}): install the newer version again"
    )]
    Newer { path: String, found: u32, known: u32 },
    #[error("cannot open the database at {path}")]
    Open {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot back up the database to {path}")]
    Backup {
        path: String,
        #[source]
        source: CopyError,
    },
    #[error("cannot migrate the database: step {step}")]
    Migrate {
        step: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot set aside the damaged database {path}")]
    SetAside {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the database at {path} is damaged or gone and there is no good copy of it: put one in its place, or move it and its backups away to start anew"
    )]
    NoGoodCopy { path: String },
    #[error("database statement failed")]
    Statement(#[from] rusqlite::Error),
    #[error("the database is closed")]
    Closed,
}

type Write = Box<dyn FnOnce(&mut Connection) + Send>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Db {
    // Dropped in this order: whoever closes the file last puts the write-ahead log into it, and
    // readers cannot.
    readers: Arc<Readers>,
    writer: Arc<Writer>,
}

/// The thread that writes, and the way to it. The last handle waits until it has ended: whoever
/// drops the database may touch its file afterwards.
struct Writer {
    /// `None` only while it is being dropped.
    writes: Option<mpsc::Sender<Write>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.writes = None;
        let Some(thread) = self.thread.take() else { return };
        // A write may hold the last handle: the thread does not wait for itself.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

struct Readers {
    idle: std::sync::Mutex<Vec<Connection>>,
    permits: Arc<tokio::sync::Semaphore>,
}

impl Db {
    /// Opens, repairs and migrates `path`, and starts the writer. Blocking: call it at start only.
    /// `backups` is the directory that copies go to.
    pub fn open(path: &Path, backups: &Path) -> Result<Opened, DbError> {
        let (connection, story) = open::open(path, backups)?;
        let readers = (0..READERS).map(|_| open::reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Opened { db: Self::start(connection, readers), story })
    }

    fn start(mut connection: Connection, readers: Vec<Connection>) -> Self {
        let (sender, mut waiting) = mpsc::channel::<Write>(WRITES_WAITING);
        let thread = std::thread::spawn(move || {
            while let Some(write) = waiting.blocking_recv() {
                // Its transaction is rolled back on the way, and whoever waits hears `Closed`.
                let _ = catch_unwind(AssertUnwindSafe(|| write(&mut connection)));
            }
        });
        let writer = Writer { writes: Some(sender), thread: Some(thread) };
        let permits = Arc::new(tokio::sync::Semaphore::new(readers.len()));
        Self {
            writer: Arc::new(writer),
            readers: Arc::new(Readers { idle: readers.into(), permits }),
        }
    }

    /// Runs `work` in one transaction on the writer thread. Committed and on disk when this
    /// resolves with `Ok`; rolled back when `work` fails.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        // What the work logs belongs to whoever asked for it.
        let span = Span::current();
        let write: Write = Box::new(move |connection| {
            // Nobody waits any more: the write still happened.
            let _ = answer.send(span.in_scope(|| transact(connection, work)));
        });
        let writes = self.writer.writes.as_ref().ok_or(DbError::Closed)?;
        writes.send(write).await.map_err(|_| DbError::Closed)?;
        result.await.map_err(|_| DbError::Closed)?
    }

    /// Runs `work` on a connection that cannot write, off the async threads.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let permits = Arc::clone(&self.readers.permits);
        let permit = permits.acquire_owned().await.map_err(|_| DbError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let done = logging::spawn_blocking(move || {
            // Given back with the connection, also when nobody waits for the answer any more.
            let _permit = permit;
            let lock = || readers.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let connection = lock().pop().ok_or(DbError::Closed)?;
            let result = catch_unwind(AssertUnwindSafe(|| work(&connection)));
            lock().push(connection);
            result.unwrap_or_else(|panic| resume_unwind(panic))
        });
        done.await.map_err(|_| DbError::Closed)?
    }
}

fn transact<T, E: From<DbError>>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(DbError::from)?;
    let result = work(&transaction)?;
    transaction.commit().map_err(DbError::from)?;
    Ok(result)
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Opened {
        Db::open(&dir.join("alfarid.db"), &dir.join("backups")).unwrap()
    }

    /// Fails when a page that goes away leaves its place to somebody who then finds no reader.
    #[tokio::test]
    async fn a_read_that_nobody_waits_for_keeps_its_place_until_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).db;
        let gate = Arc::new(std::sync::Barrier::new(READERS + 1));
        let (begun, mut beginning) = mpsc::channel(READERS);
        for _ in 0..READERS {
            let (db, gate, begun) = (db.clone(), Arc::clone(&gate), begun.clone());
            let reading = tokio::spawn(async move {
                db.read(move |_| {
                    begun.blocking_send(()).unwrap();
                    gate.wait();
                    Ok::<_, DbError>(())
                })
                .await
            });
            beginning.recv().await.unwrap();
            reading.abort();
            assert!(reading.await.unwrap_err().is_cancelled());
        }
        let next = db.read(|_| Ok::<_, DbError>(()));
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
        tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
        next.await.unwrap();
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).db;
        let failed: Result<(), DbError> = db
            .write(|tx| {
                tx.execute(
                    "INSERT INTO settings (key, value, updated_at) VALUES ('a', '1', 0)",
                    [],
                )?;
                Err(DbError::Closed)
            })
            .await;
        assert!(failed.is_err());
        let rows: i64 = db
            .read(|c| {
                Ok::<_, DbError>(c.query_row("SELECT count(*) FROM settings", [], |r| r.get(0))?)
            })
            .await
            .unwrap();
        assert_eq!(rows, 0);
    }

    #[tokio::test]
    async fn work_that_panics_costs_nobody_else_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path()).db;
        for _ in 0..=READERS {
            let written: Result<(), DbError> = db.write(|_| panic!("a write")).await;
            assert!(matches!(written, Err(DbError::Closed)));
            let read: Result<(), DbError> = db.read(|_| panic!("a read")).await;
            assert!(matches!(read, Err(DbError::Closed)));
        }
        db.write(|tx| Ok::<_, DbError>(tx.execute("DELETE FROM settings", [])?)).await.unwrap();
        db.read(|c| Ok::<_, DbError>(c.execute_batch("SELECT 1")?)).await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_database_is_set_aside_and_the_last_good_copy_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alfarid.db");
        let opened = open(dir.path());
        opened.db.back_up(dir.path().join("backups")).await.unwrap();
        drop(opened);
        std::fs::write(&path, b"this is no database, it was torn by a power cut").unwrap();
        let opened = open(dir.path());
        assert!(matches!(opened.story, open::Story::Restored { .. }), "{:?}", opened.story);
        let kept = std::fs::read_dir(dir.path()).unwrap().flatten();
        assert!(kept.map(|e| e.file_name()).any(|n| n.to_string_lossy().contains("damaged")));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_build_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let path = dir.path().join("alfarid.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
        let refused = Db::open(&path, &dir.path().join("backups"));
        assert!(matches!(refused, Err(DbError::Newer { found: 9_999, .. })));
    }
}
