//! What changed, told to whoever listens: the only way up from a lower capability to a higher one,
//! and what the live WebSocket passes on to the pages.
//!
//! An event says *that* something changed, by id; the listener asks for the new state. So a lost
//! event never leaves anybody with a wrong picture for longer than the next one, and a listener
//! that falls behind is told to look at everything again ([`Event::Resync`]).

use alfarid_protocol::{
    id::{ClassId, LessonId, MachineId, RecordingId, RoomId},
    time::Timestamp,
};
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

/// Events that a slow listener may lie behind by. Beyond it loses the oldest and gets a
/// [`Event::Resync`] instead: it harms itself alone.
const BACKLOG: usize = 1024;

/// Pushed to pages as JSON, tagged by `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// First on every live connection.
    Hello {
        version: String,
        now: Timestamp,
    },
    LessonChanged {
        lesson_id: LessonId,
    },
    /// Who is here.
    PeopleChanged {
        lesson_id: LessonId,
    },
    AttendanceChanged {
        lesson_id: LessonId,
    },
    /// Publications, or how machines receive them.
    StreamChanged {
        lesson_id: LessonId,
    },
    PreviewChanged {
        lesson_id: LessonId,
    },
    MachineChanged {
        machine_id: MachineId,
        room_id: RoomId,
    },
    /// Whether its lessons go out in the clear.
    RoomChanged {
        room_id: RoomId,
    },
    RosterChanged {
        class_id: ClassId,
    },
    RecordingChanged {
        recording_id: RecordingId,
        lesson_id: LessonId,
    },
    /// A fragment of a running recording is on disk.
    RecordingGrew {
        recording_id: RecordingId,
        lesson_id: LessonId,
        segment_id: String,
        fragment: Fragment,
    },
    FaultChanged,
    /// Look at everything again.
    Resync,
    /// The box is stopping; it will be back.
    Bye,
}

/// Where one fragment lies in its segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fragment {
    /// From the segment's start, in milliseconds.
    pub at_ms: i64,
    /// In bytes from the start of the file.
    pub offset: u64,
    pub length: u64,
    /// Begins with a keyframe, as every fragment of sound does: playing can start here.
    pub keyframe: bool,
}

/// Cheap to clone; every clone is the same bus.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    /// Never blocks. With nobody listening, nothing happens.
    pub fn tell(&self, event: Event) {
        let _ = self.0.send(event);
    }

    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One listener's place in the stream of events, from the moment of [`Events::listen`] on.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Event>);

impl Listener {
    /// The next event; [`Event::Resync`] where some were lost; `None` when the box is gone.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Resync),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_fell_behind_is_told_to_look_again() {
        let events = Events::default();
        let mut slow = events.listen();
        for _ in 0..=BACKLOG {
            events.tell(Event::FaultChanged);
        }
        assert_eq!(slow.next().await, Some(Event::Resync));
        assert_eq!(slow.next().await, Some(Event::FaultChanged));
    }
}
