//! All SQL about attendance: what machines and pages told ([`heard`]), which lessons there are
//! ([`meeting`]), who sits where in them ([`seat`]), what was made of it ([`record`]),
//! what people changed ([`trail`]).

pub(super) mod heard;
pub(super) mod meeting;
pub(super) mod record;
pub(super) mod seat;
pub(super) mod trail;
