//! How many frames, lines and bits a lesson may send, by how many students are present.
//!
//! The numbers are a promise to every machine and network of the school, not a measurement of
//! one: a bigger class has weaker machines in it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::column::Word;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Up to 10 students.
    Small,
    /// Up to 25.
    Medium,
    /// Beyond. It holds past 50 too: the stream's cost does not grow with the class.
    Large,
}

/// What a profile allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_fps: u32,
    pub max_height: u32,
    pub max_bitrate_bps: u32,
    pub max_audio_bitrate_bps: u32,
}

/// Lines of a picture, in every profile: a machine's screen seldom has more, and a picture of four
/// times the dots at the same bit rate has text that nobody can read.
const MAX_HEIGHT: u32 = 1080;

impl Profile {
    /// The profile for so many students.
    pub const fn of(students: u32) -> Self {
        match students {
            0..=10 => Self::Small,
            11..=25 => Self::Medium,
            _ => Self::Large,
        }
    }

    pub const fn limits(self) -> Limits {
        let (max_fps, megabits, audio_kilobits) = match self {
            Self::Small => (30, 4, 128),
            Self::Medium => (24, 3, 96),
            Self::Large => (15, 2, 64),
        };
        Limits {
            max_fps,
            max_height: MAX_HEIGHT,
            max_bitrate_bps: megabits * 1_000_000,
            max_audio_bitrate_bps: audio_kilobits * 1_000,
        }
    }
}

impl Word for Profile {
    const WORDS: &'static [(&'static str, Self)] =
        &[("small", Self::Small), ("medium", Self::Medium), ("large", Self::Large)];
}
