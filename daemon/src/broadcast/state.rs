//! Who may put what on air. Pure.
//!
//! ```text
//!            announce                took_over
//!   empty ───────────▶ coming ───────────────────▶ on air ◀──┐
//!     ▲                  │ ended          announce │         │ took_over: the old one
//!     │                  ▼                         ▼         │ is to be closed
//!     └───────────── nothing ◀──── ended ──── on air, coming ┘
//! ```
//!
//! A slot has one publication on air and at most one that is to take its place. The lesson's owner
//! always gets in; an admin does while the slot is free or theirs; anybody else does not.

use alfarid_protocol::{
    id::{PublicationId, TeacherId},
    time::Timestamp,
};

use super::SourceKind;

/// Who wants to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Publisher {
    pub(super) teacher: TeacherId,
    pub(super) is_admin: bool,
    /// They came by their stream key and not by their page.
    pub(super) by_stream_key: bool,
}

impl Publisher {
    /// Whether they may see what is on air, and how it is received, while `owner` holds the lesson:
    /// as with its recording.
    pub(super) fn may_look(self, owner: TeacherId) -> bool {
        self.teacher == owner || self.is_admin
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Publication {
    pub(super) id: PublicationId,
    pub(super) teacher: TeacherId,
    pub(super) source: SourceKind,
    pub(super) by_stream_key: bool,
    pub(super) since: Timestamp,
}

/// Why a publication is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The lesson is another person's, and so is what is on air.
    Taken,
    /// The lesson is another person's.
    NotTheirs,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    on_air: Option<Publication>,
    coming: Option<Publication>,
}

impl Slot {
    /// Whether `who` may publish here while `owner` holds the lesson.
    pub(super) fn admit(&self, owner: TeacherId, who: Publisher) -> Result<(), Denied> {
        let others = self.publications().any(|present| present.teacher != who.teacher);
        match (who.teacher == owner, who.is_admin, others) {
            (true, _, _) | (false, true, false) => Ok(()),
            (false, _, true) => Err(Denied::Taken),
            (false, false, false) => Err(Denied::NotTheirs),
        }
    }

    /// A publication that will take over once it has something to show. Returns the one that was
    /// to take over before it and is to be closed.
    pub(super) fn announce(&mut self, publication: Publication) -> Option<PublicationId> {
        self.coming.replace(publication).map(|earlier| earlier.id)
    }

    /// What is on air comes from `id` now. Returns the one whose place it took, to be closed.
    pub(super) fn took_over(&mut self, id: PublicationId) -> Option<PublicationId> {
        let coming = self.coming.take_if(|coming| coming.id == id)?;
        self.on_air.replace(coming).map(|old| old.id)
    }

    /// `false`: no such publication is here.
    pub(super) fn ended(&mut self, id: PublicationId) -> bool {
        let coming = self.coming.take_if(|coming| coming.id == id);
        let on_air = self.on_air.take_if(|on_air| on_air.id == id);
        coming.or(on_air).is_some()
    }

    /// The one on air, then the one that is to take over.
    pub(super) fn publications(&self) -> impl Iterator<Item = Publication> + '_ {
        self.on_air.into_iter().chain(self.coming)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const OWNER: TeacherId = TeacherId(Uuid::from_u128(1));
    const OTHER: TeacherId = TeacherId(Uuid::from_u128(2));

    fn publication(id: u128, teacher: TeacherId) -> Publication {
        let id = PublicationId(Uuid::from_u128(id));
        Publication {
            id,
            teacher,
            source: SourceKind::Whip,
            by_stream_key: false,
            since: Timestamp(0),
        }
    }

    fn who(teacher: TeacherId, is_admin: bool) -> Publisher {
        Publisher { teacher, is_admin, by_stream_key: false }
    }

    #[test]
    fn a_reload_takes_the_place_of_what_is_on_air_only_once_it_shows_something() {
        let mut slot = Slot::default();
        let (first, second) = (publication(1, OWNER), publication(2, OWNER));
        slot.announce(first);
        assert_eq!(slot.took_over(first.id), None);
        assert_eq!(slot.announce(second), None);
        assert_eq!(slot.on_air, Some(first));
        assert_eq!(slot.took_over(second.id), Some(first.id));
        assert!(!slot.ended(first.id));
        assert_eq!(slot.on_air, Some(second));
    }

    #[test]
    fn one_that_never_showed_anything_is_closed_by_the_next() {
        let mut slot = Slot::default();
        slot.announce(publication(1, OWNER));
        assert_eq!(slot.announce(publication(2, OWNER)), Some(publication(1, OWNER).id));
        assert_eq!(slot.took_over(publication(1, OWNER).id), None);
    }

    #[test]
    fn another_person_is_kept_out_until_the_lesson_is_handed_over() {
        let mut slot = Slot::default();
        assert_eq!(slot.admit(OWNER, who(OTHER, false)), Err(Denied::NotTheirs));
        slot.announce(publication(1, OWNER));
        assert_eq!(slot.admit(OWNER, who(OTHER, false)), Err(Denied::Taken));
        assert_eq!(slot.admit(OWNER, who(OTHER, true)), Err(Denied::Taken));
        assert_eq!(slot.admit(OTHER, who(OTHER, false)), Ok(()));
        assert_eq!(slot.admit(OTHER, who(OWNER, false)), Err(Denied::NotTheirs));
    }

    #[test]
    fn who_holds_the_lesson_looks_at_it_and_an_admin_does() {
        assert!(who(OWNER, false).may_look(OWNER));
        assert!(who(OTHER, true).may_look(OWNER));
        assert!(!who(OTHER, false).may_look(OWNER));
    }

    #[test]
    fn an_admin_may_use_a_free_slot() {
        let slot = Slot::default();
        assert_eq!(slot.admit(OWNER, who(OTHER, true)), Ok(()));
    }
}
