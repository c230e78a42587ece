//! All SQL about attendance: what machines and pages told ([`heard`]), who sits in which lesson
//! ([`meeting`]), what was made of it ([`record`]).

pub(super) mod heard;
pub(super) mod meeting;
pub(super) mod record;
