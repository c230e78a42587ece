//! The one place where a lesson asks the other capabilities to act.
//!
//! What one of them cannot do is reported and the others go on: a lesson without a picture is
//! still a lesson, and so is one that is not recorded. A recording waits for the disk, to begin and
//! to end; a lesson waits for its beginning not at all, and for its end no longer
//! than [`PATIENCE`].

use std::{pin::pin, time::Duration};

use alfarid_protocol::id::LessonId;
use serde_json::json;
use tokio::time::timeout;
use tracing::Instrument;

use super::{
    Lesson,
    command::{Effect, Publication},
    event::Entry,
    quality::Profile,
};
use crate::{
    attendance::{self, Meeting},
    broadcast::{self, Airing, Limits, PublicationState},
    db::column::Word,
    events::{Event, Events},
    logging::{self, chain},
    recording::{self, NewRecording},
};

/// How long a lesson waits for its recording to end. It ends all the same, when the disk answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the screens of a lesson that is over wait for its recording to write its last line:
/// with the broadcast the recording ends too.
const LAST_LINE: Duration = Duration::from_millis(500);

/// Whom a lesson asks.
#[derive(Clone, Debug)]
pub struct Others {
    pub attendance: attendance::Handle,
    pub broadcast: broadcast::Handle,
    pub recording: recording::Handle,
    pub events: Events,
}

impl Others {
    /// Does what a decision, which is on disk, asks for.
    pub(super) async fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            let span = logging::of(effect.lesson());
            self.act(effect).instrument(span).await;
        }
    }

    /// What is on air, or about to be.
    pub(super) async fn publications(&self, lesson: LessonId) -> Vec<Publication> {
        let Ok(stream) = self.broadcast.stream(lesson).await else { return Vec::new() };
        let publication = |of: PublicationState| Publication {
            id: of.id,
            kind: of.kind,
            source: of.source,
            by_stream_key: of.by_stream_key,
            teacher: of.teacher_id,
            has_begun: of.codec_video.is_some() || of.codec_audio.is_some(),
        };
        stream.publications.into_iter().map(publication).collect()
    }

    /// Whether it is being recorded, or will be as soon as the disk answers.
    pub(super) fn is_recorded(&self, lesson: LessonId) -> bool {
        self.recording.running(lesson).is_some()
    }

    /// Why its recording ended by itself, if it did.
    pub(super) fn recording_fault(&self, lesson: LessonId) -> Option<recording::Fault> {
        self.recording.fault(lesson)
    }

    async fn act(&self, effect: Effect) {
        match effect {
            // The actor has committed these.
            Effect::Save(_) | Effect::Shift { .. } => {}
            Effect::Log(entry) => self.note(entry).await,
            Effect::Open(lesson) => self.open(&lesson).await,
            Effect::Close(lesson) => self.close(&lesson).await,
            Effect::HandOver(lesson, teacher) => {
                heard(lesson, "attendance", self.attendance.hand_over(lesson, teacher).await);
                heard(lesson, "broadcast", self.broadcast.hand_over(lesson, teacher).await);
                heard(lesson, "recording", self.recording.hand_over(lesson, teacher).await);
            }
            Effect::Limit(lesson, profile) => {
                heard(
                    lesson,
                    "broadcast",
                    self.broadcast.set_limits(lesson, limits(profile)).await,
                );
            }
            Effect::Plan(lesson, planned_end_at) => {
                heard(lesson, "attendance", self.attendance.plan(lesson, planned_end_at).await);
            }
            Effect::Record(lesson) => self.switch_recording(&lesson).await,
            Effect::Retitle(lesson, title) => {
                heard(lesson, "broadcast", self.broadcast.set_title(lesson, title).await);
            }
            Effect::Show(lesson, picture) => {
                heard(lesson, "broadcast", self.broadcast.set_picture(lesson, picture).await);
            }
            Effect::Announce(lesson, ends_at) => {
                let said = self.broadcast.set_ends_by_itself_at(lesson, ends_at).await;
                heard(lesson, "broadcast", said);
            }
            // Attendance notices a correction by itself at the next word of a machine; this is
            // sooner.
            Effect::FollowClock => {
                if let Err(error) = self.attendance.follow_clock().await {
                    let cause = chain(&error);
                    tracing::error!(error = %cause, "attendance did not look at the clock: {cause}");
                }
            }
            Effect::Tell(lesson_id) => self.events.tell(Event::LessonChanged { lesson_id }),
        }
    }

    async fn open(&self, lesson: &Lesson) {
        heard(lesson.id, "attendance", self.attendance.open(meeting(lesson)).await);
        heard(lesson.id, "broadcast", self.broadcast.open(airing(lesson)).await);
        if lesson.is_recording {
            self.record(lesson).await;
        }
    }

    async fn close(&self, lesson: &Lesson) {
        let mut stop = pin!(self.recording.stop(lesson.id));
        let stopped = timeout(LAST_LINE, &mut stop).await;
        heard(lesson.id, "broadcast", self.broadcast.close(lesson.id).await);
        let ended_at = lesson.end_at.unwrap_or(lesson.planned_end_at);
        heard(lesson.id, "attendance", self.attendance.close(lesson.id, ended_at).await);
        match stopped {
            Ok(done) => heard(lesson.id, "recording", done),
            Err(_) => patiently(lesson.id, stop).await,
        }
    }

    async fn switch_recording(&self, lesson: &Lesson) {
        let is_on = lesson.is_recording;
        heard(lesson.id, "broadcast", self.broadcast.set_recording(lesson.id, is_on).await);
        if is_on {
            self.record(lesson).await;
        } else {
            patiently(lesson.id, self.recording.stop(lesson.id)).await;
        }
    }

    async fn record(&self, lesson: &Lesson) {
        let tap = match self.broadcast.tap(lesson.id).await {
            Ok(tap) => tap,
            Err(error) => return heard(lesson.id, "broadcast", Err::<(), _>(error)),
        };
        let new = NewRecording {
            lesson: lesson.id,
            teacher: lesson.teacher_id,
            title: lesson.title.clone(),
            class_name: lesson.class_name.clone(),
            teacher_name: lesson.teacher_name.clone(),
        };
        heard(lesson.id, "recording", self.recording.start(new, tap).await);
    }

    /// The events of a lesson lie beside its recording too, for whoever has only the folder.
    async fn note(&self, entry: Entry) {
        let kind = entry.kind.word();
        tracing::info!(lesson.id = %entry.lesson, event = kind, "lesson {}: {kind}", entry.lesson);
        if self.recording.running(entry.lesson).is_some() {
            let line = json!({
                "event_type": entry.kind,
                "teacher_id": entry.teacher,
                "data": entry.data,
            });
            let noted = self.recording.append_event(entry.lesson, line).await;
            heard(entry.lesson, "recording", noted);
        }
    }
}

fn meeting(lesson: &Lesson) -> Meeting {
    Meeting {
        lesson: lesson.id,
        class: lesson.class_id,
        room: lesson.room_id,
        teacher: lesson.teacher_id,
        machines: lesson.machine_ids.clone(),
        start_at: lesson.start_at,
        planned_end_at: lesson.planned_end_at,
    }
}

fn airing(lesson: &Lesson) -> Airing {
    Airing {
        lesson: lesson.id,
        title: lesson.title.clone(),
        owner: lesson.teacher_id,
        room: lesson.room_id,
        machines: lesson.machine_ids.clone(),
        limits: limits(lesson.quality_profile),
        picture: lesson.picture,
        recording: lesson.is_recording,
        ends_by_itself_at: lesson.announced_end(),
    }
}

fn limits(profile: Profile) -> Limits {
    let limits = profile.limits();
    Limits {
        max_fps: limits.max_fps,
        max_height: limits.max_height,
        max_bitrate_bps: limits.max_bitrate_bps,
        max_audio_bitrate_bps: limits.max_audio_bitrate_bps,
    }
}

/// It did as asked, or the log says why not.
fn heard<T, E: std::error::Error>(lesson: LessonId, who: &str, done: Result<T, E>) {
    if let Err(error) = done {
        let cause = chain(&error);
        tracing::error!(lesson.id = %lesson, error = %cause, "{who} did not follow: {cause}");
    }
}

async fn patiently(lesson: LessonId, end: impl Future<Output = Result<(), recording::Error>>) {
    if let Ok(done) = timeout(PATIENCE, end).await {
        heard(lesson, "recording", done);
    } else {
        tracing::warn!(lesson.id = %lesson, "a recording takes its time to end");
    }
}
