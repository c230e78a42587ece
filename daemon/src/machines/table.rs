//! Who is connected, and the way to each.
//!
//! Two lanes lead to a machine. Control messages are few and small, and losing one would leave the
//! machine in a wrong state: a lane that is full ends the connection. Kept pictures are large and
//! can be done without: what does not fit is dropped.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    net::SocketAddr,
};

use alfarid_protocol::{
    control::FromBox,
    id::{MachineId, RoomId},
};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Link, Machine, Misfit};

/// Control messages that may wait: a lesson's start is three. Full: the connection ends.
const CONTROL_WAITING: usize = 64;

/// Kept messages that may wait: the largest kept GOP twice over. Full: the rest is dropped.
const PICTURES_WAITING: usize = 64;

/// Why the box ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The machine has a newer connection.
    Replaced,
    Revoked,
    /// Its room or its approval changed: it is to come back to what holds now.
    Changed,
    /// It did not read what it was told.
    TooSlow,
}

/// One connection, as the table knows it.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) room: RoomId,
    pub(super) address: SocketAddr,
    pub(super) agent_version: String,
    /// `None`: not approved or not yet known to be, or reached by IPv6, where there is no multicast
    /// for it.
    pub(super) link: Option<Link>,
}

/// The connection's own ends of its lanes.
#[derive(Debug)]
pub(super) struct LaneEnds {
    /// Which connection this is: a later one of the same machine has another number.
    pub(super) number: u64,
    /// It took the place of an older one of the same machine.
    pub(super) has_replaced: bool,
    pub(super) control: mpsc::Receiver<FromBox>,
    pub(super) pictures: mpsc::Receiver<Bytes>,
    pub(super) ending: oneshot::Receiver<Ending>,
}

#[derive(Debug)]
struct Line {
    number: u64,
    connected: Connected,
    session_in_use: bool,
    control: mpsc::Sender<FromBox>,
    pictures: mpsc::Sender<Bytes>,
    ending: Option<oneshot::Sender<Ending>>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    lines: HashMap<MachineId, Line>,
    /// Why a machine could not be served when it dialled in last. Only machines whose key is known
    /// are here, and those that were served since are not.
    refused: HashMap<MachineId, Misfit>,
    last_number: u64,
}

impl Table {
    /// A machine is here. An older connection of it ends.
    pub(super) fn connect(&mut self, machine: MachineId, connected: Connected) -> LaneEnds {
        self.last_number += 1;
        let number = self.last_number;
        let (control, control_end) = mpsc::channel(CONTROL_WAITING);
        let (pictures, pictures_end) = mpsc::channel(PICTURES_WAITING);
        let (ending, ending_end) = oneshot::channel();
        let ending = Some(ending);
        let line = Line { number, connected, session_in_use: false, control, pictures, ending };
        self.refused.remove(&machine);
        let mut older = self.lines.insert(machine, line);
        if let Some(older) = &mut older {
            older.end(Ending::Replaced);
        }
        LaneEnds {
            number,
            has_replaced: older.is_some(),
            control: control_end,
            pictures: pictures_end,
            ending: ending_end,
        }
    }

    /// A machine dialled in and cannot be served. `true`: that is new.
    pub(super) fn refuse(&mut self, machine: MachineId, why: Misfit) -> bool {
        self.refused.insert(machine, why) != Some(why)
    }

    /// What holds for a machine that is here already: it was looked up after it was registered.
    pub(super) fn settle(
        &mut self,
        machine: MachineId,
        number: u64,
        room: RoomId,
        link: Option<Link>,
    ) {
        if let Some(line) = self.lines.get_mut(&machine).filter(|line| line.number == number) {
            line.connected.room = room;
            line.connected.link = link;
        }
    }

    /// A connection is over. `true`: the machine is gone; `false`: it has a newer connection.
    pub(super) fn disconnect(&mut self, machine: MachineId, number: u64) -> bool {
        match self.lines.entry(machine) {
            Entry::Occupied(line) if line.get().number == number => {
                line.remove();
                true
            }
            Entry::Occupied(_) | Entry::Vacant(_) => false,
        }
    }

    pub(super) fn say(&mut self, machine: MachineId, message: FromBox) {
        if let Some(line) = self.lines.get_mut(&machine)
            && let Err(mpsc::error::TrySendError::Full(_)) = line.control.try_send(message)
        {
            line.end(Ending::TooSlow);
        }
    }

    pub(super) fn send(&self, machine: MachineId, message: Bytes) -> bool {
        self.lines.get(&machine).is_some_and(|line| line.pictures.try_send(message).is_ok())
    }

    pub(super) fn end(&mut self, machine: MachineId, why: Ending) {
        if let Some(line) = self.lines.get_mut(&machine) {
            line.end(why);
        }
    }

    pub(super) fn links(&self) -> Vec<Link> {
        self.lines.values().filter_map(|line| line.connected.link.clone()).collect()
    }

    /// How many machines of each room are connected.
    pub(super) fn counts(&self) -> BTreeMap<RoomId, u32> {
        let mut counts = BTreeMap::new();
        for line in self.lines.values() {
            *counts.entry(line.connected.room).or_default() += 1;
        }
        counts
    }

    /// Notes whether somebody works at the machine. `true`: that is new.
    pub(super) fn set_in_use(&mut self, machine: MachineId, number: u64, in_use: bool) -> bool {
        match self.lines.get_mut(&machine) {
            Some(line) if line.number == number => {
                std::mem::replace(&mut line.session_in_use, in_use) != in_use
            }
            _ => false,
        }
    }

    /// Adds what only the table knows.
    pub(super) fn describe(&self, machine: &mut Machine) {
        machine.refused = self.refused.get(&machine.id).copied();
        let Some(line) = self.lines.get(&machine.id) else { return };
        machine.is_connected = true;
        machine.session_in_use = line.session_in_use;
        machine.address = Some(line.connected.address.ip().to_canonical().to_string());
        // Known before it is noted.
        machine.agent_version.clone_from(&line.connected.agent_version);
    }
}

impl Line {
    /// Once; a second reason comes too late to matter.
    fn end(&mut self, why: Ending) {
        if let Some(ending) = self.ending.take() {
            // Nobody hears it: the connection is over already.
            let _ = ending.send(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use alfarid_protocol::id::LessonId;
    use uuid::Uuid;

    use super::*;

    const MACHINE: MachineId = MachineId(Uuid::from_u128(7));

    fn connected() -> Connected {
        let address = "10.0.0.7:40000".parse().unwrap();
        let agent_version = "0.1.0".to_owned();
        Connected { room: RoomId(Uuid::nil()), address, agent_version, link: None }
    }

    #[test]
    fn a_newer_connection_ends_the_older_and_survives_its_end() {
        let mut table = Table::default();
        let mut older = table.connect(MACHINE, connected());
        let newer = table.connect(MACHINE, connected());
        assert!(!older.has_replaced && newer.has_replaced);
        assert_eq!(older.ending.try_recv(), Ok(Ending::Replaced));
        assert!(!table.disconnect(MACHINE, older.number));
        assert!(table.disconnect(MACHINE, newer.number));
    }

    #[test]
    fn a_machine_that_does_not_read_loses_its_connection_and_pictures_never_do_that() {
        let mut table = Table::default();
        let mut ends = table.connect(MACHINE, connected());
        let sent = (0..200).filter(|_| table.send(MACHINE, Bytes::new())).count();
        assert_eq!(sent, PICTURES_WAITING);
        assert!(ends.ending.try_recv().is_err());
        for _ in 0..=CONTROL_WAITING {
            table.say(MACHINE, FromBox::Withdraw { lesson: LessonId(Uuid::nil()) });
        }
        assert_eq!(ends.ending.try_recv(), Ok(Ending::TooSlow));
    }
}
