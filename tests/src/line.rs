//! The control connection of a machine that a test plays itself: grants, keys and kept pictures come
//! by it, reports and wishes go.

use std::{sync::Arc, time::Duration};

use alfarid_agent::{
    AGENT_VERSION,
    channel::{Channel, Received, secure},
    clock::Clock,
    identity::Identity,
};
use alfarid_protocol::{
    control::{FromBox, FromMachine, PING_EVERY_MS, RefusalCode},
    grant::{EpochKey, Grant},
    id::LessonId,
    version,
};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

const PING_EVERY: Duration = Duration::from_millis(PING_EVERY_MS);

/// What a machine is told.
#[derive(Debug)]
pub enum Told {
    Grant(Grant),
    Epoch(LessonId, EpochKey),
    /// A message of kept pictures, as it came.
    Kept(Bytes),
    /// By the box: the machine of this grant alone makes all others pay for what it loses.
    LeaveGroup(u32),
}

/// Holds machine `number`'s connection until nobody has anything to say by it any more.
///
/// # Errors
/// A connection that breaks, a box that refuses, and a crowd that does not hear: `hears` is full.
pub async fn hold(
    number: usize,
    address: String,
    identity: Arc<Identity>,
    hears: mpsc::Sender<(usize, Told)>,
    mut says: mpsc::Receiver<FromMachine>,
) -> Result<()> {
    let mut channel = Channel::open(secure(&address, Arc::clone(&identity.tls)).await?).await?;
    let clock = Clock::of_this_boot()?;
    channel
        .send(&FromMachine::Hello {
            protocol: version::CURRENT,
            agent_version: AGENT_VERSION.to_owned(),
            name: format!("machine-{}", number + 1),
            now: clock.now(),
        })
        .await?;
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            received = channel.receive() => match received? {
                Received::Message(FromBox::Grant(grant)) => Told::Grant(grant),
                Received::Message(FromBox::Epoch { lesson, epoch }) => Told::Epoch(lesson, epoch),
                // Its own end: the others go on.
                Received::Message(FromBox::Refused {
                    code: RefusalCode::MachineRevoked, ..
                }) => return Ok(()),
                Received::Message(FromBox::Refused { code, detail }) => {
                    bail!("the box refuses machine {number} ({code:?}): {detail}");
                }
                Received::Message(FromBox::LeaveGroup { serial }) => Told::LeaveGroup(serial),
                Received::Kept(message) => Told::Kept(message),
                Received::Message(_) | Received::Unknown => continue,
            },
            said = says.recv() => match said {
                Some(said) => {
                    channel.send(&said).await?;
                    continue;
                }
                None => break,
            },
            _ = ping.tick() => {
                channel.send(&FromMachine::Ping { now: clock.now(), sent_ns: None }).await?;
                continue;
            }
        };
        hears.try_send((number, told)).context("the crowd hears what machines are told")?;
    }
    channel.close().await;
    Ok(())
}
