//! Attendance as a table for people's own programs, in the language of whoever asks.

use alfarid_protocol::time::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::{Record, Sheet, Status, Summary};
use crate::{identity::Language, roster::sheet};

/// Where people live, for times that they read: the offset their browser says, or else the box's
/// own.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    pub(super) fn new(utc_offset_minutes: Option<i32>) -> Self {
        let offset = utc_offset_minutes
            .and_then(|minutes| minutes.checked_mul(60))
            .and_then(|seconds| Offset::from_seconds(seconds).ok());
        Self(offset.map_or_else(TimeZone::system, TimeZone::fixed))
    }

    fn show(&self, at: Option<Timestamp>, format: &str) -> String {
        let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok());
        let shown = at.map(|at| at.to_zoned(self.0.clone()).strftime(format).to_string());
        shown.unwrap_or_default()
    }

    fn moment(&self, at: Option<Timestamp>) -> String {
        self.show(at, "%Y-%m-%d %H:%M")
    }
}

/// What the file of a lesson is called, without its extension.
pub(super) fn lesson_name(sheet: &Sheet, zone: &Zone) -> String {
    let day = zone.show(Some(sheet.lesson.start_at), "%Y-%m-%d %H-%M");
    format!("{} {day}", sheet.lesson.class_name)
}

/// The records of one lesson, a line each. Who held it, for whom, and whether its times can be
/// relied on stand on every line: sheets of several lessons are put under one another.
pub(super) fn lesson(of: &Sheet, language: Language, zone: &Zone) -> sheet::Sheet {
    let columns = match language {
        Language::Ru => [
            "Номер",
            "ФИО",
            "Посещение",
            "Приход",
            "Уход",
            "Минут",
            "Исправлено",
            "Причина",
            "Учитель",
            "Замещает",
            "Часы",
        ],
        Language::En => [
            "Number",
            "Full name",
            "Attendance",
            "Joined",
            "Left",
            "Minutes",
            "Corrected by",
            "Why",
            "Teacher",
            "Substitute for",
            "Clock",
        ],
    };
    let clock = match (language, of.lesson.clock_was_sure) {
        (Language::Ru, true) => "верны",
        (Language::Ru, false) => "не сверены",
        (Language::En, true) => "sure",
        (Language::En, false) => "unsure",
    };
    let row = |record: &Record| {
        let correction = record.correction.as_ref();
        vec![
            record.student_number.clone(),
            record.full_name.clone(),
            word(record.status, language).to_owned(),
            zone.moment(record.joined_at),
            zone.moment(record.left_at),
            (record.duration_seconds / 60).to_string(),
            correction.map(|correction| correction.by_name.clone()).unwrap_or_default(),
            correction.map(|correction| correction.why.clone()).unwrap_or_default(),
            of.lesson.teacher_name.clone(),
            of.lesson.substitute_for_name.clone().unwrap_or_default(),
            clock.to_owned(),
        ]
    };
    sheet::Sheet {
        columns: columns.map(str::to_owned).to_vec(),
        rows: of.records.iter().map(row).collect(),
    }
}

/// The lessons of a class, a student a line.
pub(super) fn class(summaries: &[Summary], language: Language) -> sheet::Sheet {
    let mut columns = match language {
        Language::Ru => vec!["Номер", "ФИО", "Уроков"],
        Language::En => vec!["Number", "Full name", "Lessons"],
    };
    columns.extend(
        [Status::Present, Status::Late, Status::LeftEarly, Status::Absent, Status::Excused]
            .map(|status| word(status, language)),
    );
    columns.push(match language {
        Language::Ru => "Минут",
        Language::En => "Minutes",
    });
    let row = |summary: &Summary| {
        let counts = [
            summary.lessons,
            summary.present,
            summary.late,
            summary.left_early,
            summary.absent,
            summary.excused,
        ];
        let mut row = vec![summary.student_number.clone(), summary.full_name.clone()];
        row.extend(counts.map(|count| count.to_string()));
        row.push((summary.duration_seconds / 60).to_string());
        row
    };
    sheet::Sheet {
        columns: columns.into_iter().map(str::to_owned).collect(),
        rows: summaries.iter().map(row).collect(),
    }
}

fn word(status: Status, language: Language) -> &'static str {
    match (language, status) {
        (Language::Ru, Status::Present) => "присутствие",
        (Language::Ru, Status::Late) => "опоздание",
        (Language::Ru, Status::LeftEarly) => "ранний уход",
        (Language::Ru, Status::Absent) => "отсутствие",
        (Language::Ru, Status::Excused) => "уважительная причина",
        (Language::En, Status::Present) => "present",
        (Language::En, Status::Late) => "late",
        (Language::En, Status::LeftEarly) => "left early",
        (Language::En, Status::Absent) => "absent",
        (Language::En, Status::Excused) => "excused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_readers_own_clock() {
        // 2027-02-01T09:00:00Z
        let nine = Some(Timestamp(1_801_472_400_000));
        assert_eq!(Zone::new(Some(300)).moment(nine), "2027-02-01 14:00");
        assert_eq!(Zone::new(Some(-210)).moment(nine), "2027-02-01 05:30");
        assert_eq!(Zone::new(Some(0)).moment(None), "");
        // No place on earth: the box's own zone, whichever that is.
        assert!(Zone::new(Some(i32::MAX)).moment(nine).starts_with("2027-0"));
    }
}
