//! Ids: a `UUIDv7` each, and a type each, so that a room is never passed where a lesson is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// One school's trust: its root, its people, its boxes.
    SiteId,
    /// The appliance.
    BoxId,
    /// A place with machines.
    RoomId,
    /// An enrolled student computer.
    MachineId,
    /// A teacher or an admin.
    TeacherId,
    StudentId,
    ClassId,
    /// One meeting of a class in a room.
    LessonId,
    /// What one person puts on air.
    PublicationId,
    /// One recorded lesson.
    RecordingId,
    /// One stretch of presence.
    SpanId,
    /// One boot of a machine: monotonic clocks of different boots are not comparable.
    BootId,
    /// A one-line site token.
    TokenId,
}
