//! The rules, with a clock in hand and no disk.

use alfarid_protocol::{
    grant::Picture,
    id::{ClassId, MachineId, RoomId},
};

use super::*;
use crate::{
    broadcast::{PublicationKind, SourceKind},
    clock::{Authority, Clock},
    field,
    identity::{Language, Role},
    lesson::LessonChange,
    recording::Fault,
};

/// 2027-02-01T09:00:00Z.
const NINE: Timestamp = Timestamp(1_801_472_400_000);
const END_AFTER: Duration = Duration::from_mins(10);

/// A room, a class of twenty, two teachers; time moves when it is told to.
struct School {
    clock: Clock,
    state: State,
    class: ClassId,
    room: RoomId,
    teacher: Person,
    colleague: Person,
}

impl School {
    fn new() -> Self {
        let clock = Clock::manual(NINE);
        Self {
            state: fresh(&clock),
            class: clock.id(),
            room: clock.id(),
            teacher: person(&clock, "Teacher", Role::Teacher),
            colleague: person(&clock, "Colleague", Role::Teacher),
            clock,
        }
    }

    fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_mins(minutes));
    }

    fn seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A screen on air.
    fn screen(&self, source: SourceKind) -> Publication {
        Publication {
            id: self.clock.id(),
            kind: PublicationKind::Screen,
            source,
            by_stream_key: false,
            teacher: self.teacher.id,
            has_begun: true,
        }
    }

    fn lesson(&self, by: &Person) -> Lesson {
        let now = self.clock.now();
        Lesson {
            id: self.clock.id(),
            class_id: self.class,
            class_name: "7 B".into(),
            room_id: self.room,
            room_name: "Room 12".into(),
            teacher_id: by.id,
            teacher_name: by.full_name.clone(),
            substitute_for: None,
            substitute_for_name: None,
            title: "Fractions".into(),
            description: None,
            status: Status::Active,
            start_at: now,
            planned_end_at: now.plus_millis(45 * 60_000),
            end_at: None,
            quality_profile: Profile::Medium,
            quality_pinned: false,
            max_fps: 24,
            student_count: 0,
            duration_seconds: None,
            is_recording: true,
            recording_fault: None,
            picture: Picture::Live,
            ends_by_itself_at: None,
            machine_ids: None,
            clock_was_sure: true,
            seen_at: now,
        }
    }

    fn decide(&mut self, command: Command) -> Result<Decision, Error> {
        let mut next = self.state.clone();
        let decision = next.handle(self.clock.read(), command)?;
        self.state = next;
        Ok(decision)
    }

    /// Effects of what cannot be refused.
    fn effects(&mut self, command: Command) -> Vec<Effect> {
        self.decide(command).unwrap().effects
    }

    fn start(&mut self, lesson: Lesson, by: &Person) -> Result<LessonId, Error> {
        let id = lesson.id;
        let command = Command::Start { lesson: Box::new(lesson), by: by.clone(), replace: None };
        self.decide(command).map(|_| id)
    }

    /// A lesson of the teacher, who has a page open.
    fn started(&mut self) -> LessonId {
        self.effects(Command::Here([self.teacher.id].into()));
        let teacher = self.teacher.clone();
        self.start(self.lesson(&teacher), &teacher).unwrap()
    }

    fn change(&mut self, lesson: LessonId, change: LessonChange) -> Vec<Effect> {
        let by = self.teacher.clone();
        self.effects(Command::Change { lesson, by, change })
    }

    #[track_caller]
    fn now(&self, lesson: LessonId) -> &Lesson {
        self.state.lesson(lesson).unwrap()
    }
}

fn fresh(clock: &Clock) -> State {
    let mut state = State::new(clock.read());
    state.set_end_after(END_AFTER);
    state
}

fn person(clock: &Clock, name: &str, role: Role) -> Person {
    Person {
        id: clock.id(),
        email: format!("{name}@school.example"),
        full_name: name.into(),
        role,
        language: Language::Ru,
    }
}

fn logged(effects: &[Effect]) -> Vec<EventKind> {
    let kind = |effect: &Effect| match effect {
        Effect::Log(entry) => Some(entry.kind),
        _ => None,
    };
    effects.iter().filter_map(kind).collect()
}

/// What the screens are told of the end.
fn announced(effects: &[Effect]) -> Vec<Option<Timestamp>> {
    let announced = |effect: &Effect| match effect {
        Effect::Announce(_, ends_at) => Some(*ends_at),
        _ => None,
    };
    effects.iter().filter_map(announced).collect()
}

fn closed(effects: &[Effect]) -> Option<&Lesson> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close(lesson) => Some(&**lesson),
        _ => None,
    })
}

#[test]
fn a_second_click_is_not_a_second_lesson() {
    let mut school = School::new();
    let lesson = school.started();
    let teacher = school.teacher.clone();
    let again = school.start(school.lesson(&teacher), &teacher);
    assert!(matches!(again, Err(Error::AlreadyRunning(running)) if running.id == lesson));
}

#[test]
fn two_lessons_share_a_room_only_on_separate_seats() {
    let mut school = School::new();
    let machines: Vec<MachineId> = (0..3).map(|_| school.clock.id()).collect();
    let (teacher, colleague) = (school.teacher.clone(), school.colleague.clone());
    let here = Lesson { machine_ids: Some(machines[..2].into()), ..school.lesson(&teacher) };
    let first = school.start(here, &teacher).unwrap();

    let whole = school.start(school.lesson(&colleague), &colleague);
    assert!(matches!(whole, Err(Error::RoomBusy(other)) if other.id == first));
    let one_shared =
        Lesson { machine_ids: Some(machines[1..].into()), ..school.lesson(&colleague) };
    assert!(matches!(school.start(one_shared, &colleague), Err(Error::RoomBusy(_))));
    let separate = Lesson { machine_ids: Some(machines[2..].into()), ..school.lesson(&colleague) };
    assert!(school.start(separate, &colleague).is_ok());
    let another_room = Lesson { room_id: school.clock.id(), ..school.lesson(&teacher) };
    assert!(school.start(another_room, &teacher).is_ok());
}

#[test]
fn theirs_ends_and_mine_starts_in_one_step() {
    let mut school = School::new();
    let theirs = school.started();
    school.minutes(5);
    let by = school.colleague.clone();
    let mine = school.lesson(&by);
    let start = Command::Start { lesson: Box::new(mine.clone()), by, replace: Some(theirs) };
    let effects = school.effects(start);
    assert_eq!(closed(&effects).map(|lesson| lesson.id), Some(theirs));
    assert_eq!(logged(&effects), [EventKind::Ended, EventKind::Started]);
    assert_eq!(school.state.active().map(|lesson| lesson.id).collect::<Vec<_>>(), [mine.id]);
}

#[test]
fn nobody_ends_a_lesson_by_naming_one_that_is_not_in_the_way() {
    let mut school = School::new();
    let theirs = school.started();
    let by = school.colleague.clone();
    let elsewhere = Lesson { room_id: school.clock.id(), ..school.lesson(&by) };
    let start = Command::Start { lesson: Box::new(elsewhere), by, replace: Some(theirs) };
    assert!(matches!(school.decide(start), Err(Error::NotInTheWay(id)) if id == theirs));
    assert_eq!(school.now(theirs).status, Status::Active);
}

#[test]
fn only_who_holds_it_or_an_admin_changes_a_lesson() {
    let mut school = School::new();
    let lesson = school.started();
    let by = school.colleague.clone();
    let refused = school.decide(Command::End { lesson, by: by.clone() });
    assert!(matches!(refused, Err(Error::NotYours(_))));
    let admin = Person { role: Role::Admin, ..by };
    assert!(school.decide(Command::End { lesson, by: admin }).is_ok());
}

#[test]
fn whoever_holds_a_class_that_is_not_theirs_stands_in_for_its_teacher() {
    let mut school = School::new();
    let lesson = school.started();
    let (teacher, by) = (school.teacher.id, school.colleague.clone());
    let own = Colleague { id: teacher, full_name: "Teacher".into() };
    let own = Some(own);
    let effects = school.effects(Command::TakeOver { lesson, by: by.clone(), own: own.clone() });
    assert!(effects.contains(&Effect::HandOver(lesson, by.id)));
    assert_eq!(school.now(lesson).teacher_id, by.id);
    assert_eq!(school.now(lesson).substitute_for, Some(teacher));
    assert_eq!(school.now(lesson).substitute_for_name.as_deref(), Some("Teacher"));

    let by = school.teacher.clone();
    school.effects(Command::TakeOver { lesson, by, own });
    assert_eq!(school.now(lesson).substitute_for, None);
}

#[test]
fn a_scheduled_lesson_keeps_its_length_whenever_and_by_whom_it_is_started() {
    let mut school = School::new();
    let (by, sub) = (school.teacher.clone(), school.colleague.clone());
    let lesson = Lesson { status: Status::Scheduled, ..school.lesson(&by) };
    let id = lesson.id;
    school.effects(Command::Schedule { lesson: Box::new(lesson), by: by.clone() });
    school.minutes(7);
    school.effects(Command::StartScheduled {
        lesson: id,
        by: sub,
        own: None,
        clock_is_sure: true,
        replace: None,
    });
    let now = school.now(id);
    assert_eq!(now.start_at, school.clock.now());
    assert_eq!(now.planned_end_at.millis_since(now.start_at), 45 * 60_000);
    assert_eq!(now.substitute_for, Some(by.id));
    let cancel = school.decide(Command::Cancel { lesson: id, by });
    assert!(matches!(cancel, Err(Error::NotScheduled(_))));
}

#[test]
fn whoever_starts_a_planned_lesson_second_is_told_that_it_runs() {
    let mut school = School::new();
    let by = school.teacher.clone();
    let lesson = Lesson { status: Status::Scheduled, ..school.lesson(&by) };
    let id = lesson.id;
    school.effects(Command::Schedule { lesson: Box::new(lesson), by: by.clone() });
    let start = |by| Command::StartScheduled {
        lesson: id,
        by,
        own: None,
        clock_is_sure: true,
        replace: None,
    };
    school.effects(start(by));
    let again = school.decide(start(school.colleague.clone()));
    assert!(matches!(again, Err(Error::AlreadyRunning(running)) if *running == *school.now(id)));
}

#[test]
fn a_lesson_that_runs_over_is_extended_from_now() {
    let mut school = School::new();
    let lesson = school.started();
    let by = school.teacher.clone();
    school.effects(Command::Extend { lesson, by: by.clone(), minutes: 15 });
    assert_eq!(school.now(lesson).planned_end_at, NINE.plus_millis(60 * 60_000));
    school.minutes(70);
    school.effects(Command::Extend { lesson, by, minutes: 5 });
    assert_eq!(school.now(lesson).planned_end_at, NINE.plus_millis(75 * 60_000));
}

#[test]
fn blanking_twice_is_said_once() {
    let mut school = School::new();
    let lesson = school.started();
    let blank = LessonChange { picture: Some(Picture::Blank), ..LessonChange::default() };
    let effects = school.change(lesson, blank.clone());
    assert!(effects.contains(&Effect::Show(lesson, Picture::Blank)));
    assert_eq!(logged(&effects), [EventKind::PictureBlank]);
    assert_eq!(school.change(lesson, blank), []);
}

#[test]
fn quality_follows_the_students_after_a_minute_in_the_new_band() {
    let mut school = School::new();
    let lesson = school.started();
    school.effects(Command::Present { lesson, students: 9 });
    school.seconds(59);
    assert_eq!(logged(&school.effects(Command::Tick)), []);
    // Somebody comes and the old profile is right again: the minute begins anew.
    school.effects(Command::Present { lesson, students: 11 });
    school.effects(Command::Present { lesson, students: 10 });
    school.seconds(59);
    assert_eq!(school.now(lesson).quality_profile, Profile::Medium);
    school.seconds(1);
    let effects = school.effects(Command::Tick);
    assert_eq!(logged(&effects), [EventKind::QualityChanged]);
    assert!(effects.contains(&Effect::Limit(lesson, Profile::Small)));
    assert_eq!(school.now(lesson).max_fps, 30);
}

#[test]
fn a_pinned_profile_stays_until_it_is_let_go() {
    let mut school = School::new();
    let lesson = school.started();
    let quality = field::Change::To(Profile::Large);
    school.change(lesson, LessonChange { quality, ..LessonChange::default() });
    school.effects(Command::Present { lesson, students: 3 });
    school.minutes(5);
    assert_eq!(school.effects(Command::Tick).len(), 1, "it was only seen running");
    assert_eq!(school.now(lesson).quality_profile, Profile::Large);
    let quality = field::Change::Clear;
    school.change(lesson, LessonChange { quality, ..LessonChange::default() });
    assert_eq!(school.now(lesson).quality_profile, Profile::Small);
}

#[test]
fn a_lesson_with_nobody_there_ends_ten_minutes_after_its_plan_and_says_so_before() {
    let mut school = School::new();
    let lesson = school.started();
    let due = NINE.plus_millis(55 * 60_000);
    school.minutes(20);
    school.effects(Command::Here(BTreeSet::new()));
    assert_eq!(school.now(lesson).ends_by_itself_at, Some(due));
    school.minutes(25);
    let effects = school.effects(Command::Tick);
    assert_eq!(logged(&effects), [EventKind::EndsByItselfAnnounced]);
    assert_eq!(announced(&effects), [Some(due)]);
    school.minutes(10);
    let effects = school.effects(Command::Tick);
    assert_eq!(closed(&effects).and_then(|lesson| lesson.end_at), Some(due));
    assert_eq!(logged(&effects), [EventKind::Ended]);
}

#[test]
fn a_teacher_who_comes_back_or_is_on_air_keeps_the_lesson() {
    let mut school = School::new();
    let lesson = school.started();
    school.minutes(50);
    school.effects(Command::Here(BTreeSet::new()));
    let effects = school.effects(Command::Here([school.teacher.id].into()));
    assert_eq!(logged(&effects), [EventKind::EndsByItselfCalledOff]);
    assert_eq!(announced(&effects), [None]);
    assert_eq!(school.now(lesson).ends_by_itself_at, None);
    let publications = vec![school.screen(SourceKind::Whip)];
    school.effects(Command::OnAir { lesson, publications });
    school.effects(Command::Here(BTreeSet::new()));
    school.minutes(60);
    school.effects(Command::Tick);
    assert_eq!(school.now(lesson).ends_by_itself_at, None);
}

/// An admin gives it more time from elsewhere: it does not end soon, and no screen says so.
#[test]
fn an_end_that_is_put_off_is_taken_off_the_screens() {
    let mut school = School::new();
    let lesson = school.started();
    school.effects(Command::Here(BTreeSet::new()));
    school.minutes(46);
    assert_eq!(announced(&school.effects(Command::Tick)).len(), 1);
    let by = Person { role: Role::Admin, ..school.colleague.clone() };
    let effects = school.effects(Command::Extend { lesson, by, minutes: 15 });
    assert_eq!(announced(&effects), [None]);
    school.minutes(15);
    let due = school.clock.now().plus_millis(10 * 60_000);
    assert_eq!(announced(&school.effects(Command::Tick)), [Some(due)]);
}

#[test]
fn a_page_that_is_reloaded_in_a_lesson_that_runs_over_ends_nothing() {
    let mut school = School::new();
    let lesson = school.started();
    school.minutes(90);
    school.effects(Command::Here(BTreeSet::new()));
    school.seconds(30);
    school.effects(Command::Tick);
    assert_eq!(school.now(lesson).status, Status::Active);
}

/// The box stops after the announcement, and the teacher's page is the first to come back.
#[test]
fn what_was_announced_before_a_restart_is_called_off_after_it() {
    let mut school = School::new();
    let lesson = school.started();
    school.effects(Command::Here(BTreeSet::new()));
    school.minutes(44);
    school.effects(Command::Tick);
    school.seconds(61);
    assert_eq!(announced(&school.effects(Command::Tick)).len(), 1);

    let left = school.now(lesson).clone();
    school.state = fresh(&school.clock);
    school.state.take_up(school.clock.read(), vec![left]);
    let effects = school.effects(Command::Here([school.teacher.id].into()));
    assert!(logged(&effects).contains(&EventKind::EndsByItselfCalledOff));
    assert_eq!(announced(&effects), [None]);
    assert_eq!(school.now(lesson).ends_by_itself_at, None);
}

#[test]
fn a_lesson_is_taken_up_after_a_restart_or_ended_where_the_box_lost_it() {
    let mut school = School::new();
    let id = school.started();
    school.minutes(20);
    school.effects(Command::Tick);
    let left = school.now(id).clone();

    school.seconds(40);
    school.state = fresh(&school.clock);
    let effects = school.state.take_up(school.clock.read(), vec![left.clone()]);
    assert!(matches!(&effects[..], [Effect::Open(lesson)] if lesson.id == id));
    assert_eq!(logged(&school.effects(Command::Tick)), [EventKind::TakenUp]);
    assert_eq!(school.now(id).seen_at, school.clock.now());

    school.minutes(600);
    school.state = fresh(&school.clock);
    assert_eq!(school.state.take_up(school.clock.read(), vec![left]), []);
    let effects = school.effects(Command::Tick);
    let ended = closed(&effects).unwrap();
    assert_eq!(ended.end_at, Some(ended.planned_end_at));
    assert_eq!(ended.duration_seconds, Some(45 * 60));
}

/// A full disk, say: the lesson is on all the same, and what the log says of it is true later.
#[test]
fn that_a_lesson_was_taken_up_is_written_down_whenever_the_disk_takes_it() {
    let mut school = School::new();
    let id = school.started();
    let left = school.now(id).clone();
    school.seconds(40);
    school.state = fresh(&school.clock);
    school.state.take_up(school.clock.read(), vec![left]);
    let taken_up_at = school.clock.now();
    school.minutes(20);
    assert!(school.state.is_due(school.clock.read()));
    let entry = |effect: &Effect| match effect {
        Effect::Log(entry) if entry.kind == EventKind::TakenUp => Some(entry.clone()),
        _ => None,
    };
    let by = school.teacher.clone();
    let effects = school.effects(Command::Extend { lesson: id, by, minutes: 5 });
    assert_eq!(logged(&effects), [EventKind::TakenUp, EventKind::Extended]);
    let entry = effects.iter().find_map(entry).unwrap();
    assert_eq!((entry.at, entry.data), (taken_up_at, Some(json!({ "gap_ms": 40_000 }))));
    assert_eq!(logged(&school.effects(Command::Tick)), []);
}

#[test]
fn a_clock_that_jumps_a_year_either_way_changes_no_duration() {
    let year = 365 * 86_400_000;
    let mut school = School::new();
    let lesson = school.started();
    school.minutes(20);
    // Behind what was saved nobody takes it: time goes on as it was.
    assert_eq!(school.clock.correct(NINE.plus_millis(-year), Authority::Ntp), None);
    assert_eq!(school.now(lesson).start_at, NINE);

    let told = school.clock.now().plus_millis(year);
    assert_eq!(school.clock.correct(told, Authority::Ntp), Some(year));
    assert!(school.state.is_due(school.clock.read()));
    let effects = school.effects(Command::Tick);
    assert!(effects.contains(&Effect::Shift { from: NINE, moved_ms: year }));
    assert_eq!(school.now(lesson).start_at, NINE.plus_millis(year));
    school.minutes(25);
    let by = school.teacher.clone();
    let ended = school.decide(Command::End { lesson, by }).unwrap().lesson.unwrap();
    assert_eq!(ended.duration_seconds, Some(45 * 60));
}

#[test]
fn what_is_scheduled_was_measured_by_no_clock_and_stays() {
    let mut school = School::new();
    let by = school.teacher.clone();
    let lesson = Lesson { status: Status::Scheduled, ..school.lesson(&by) };
    let id = lesson.id;
    school.effects(Command::Schedule { lesson: Box::new(lesson), by });
    school.clock.correct(NINE.plus_millis(3_600_000), Authority::Ntp);
    school.effects(Command::Tick);
    assert_eq!(school.now(id).start_at, NINE);
}

#[test]
fn a_recording_that_gave_up_is_said_and_the_lesson_goes_on() {
    let mut school = School::new();
    let lesson = school.started();
    let stopped = Command::RecordingStopped { lesson, fault: Some(Fault::DiskFull) };
    let effects = school.effects(stopped.clone());
    assert_eq!(logged(&effects), [EventKind::RecordingOff]);
    assert!(!school.now(lesson).is_recording);
    assert_eq!(school.now(lesson).recording_fault, Some(Fault::DiskFull));
    assert_eq!(school.effects(stopped), []);
    school.change(lesson, LessonChange { is_recording: Some(true), ..LessonChange::default() });
    assert_eq!(school.now(lesson).recording_fault, None);
}

#[test]
fn what_the_class_saw_and_from_where_is_in_the_log() {
    let mut school = School::new();
    let lesson = school.started();
    let coming = Publication { has_begun: false, ..school.screen(SourceKind::Whip) };
    let on_air = Publication { has_begun: true, ..coming.clone() };
    let video = school.screen(SourceKind::File);
    let say = |publications: Vec<Publication>| Command::OnAir { lesson, publications };
    assert_eq!(logged(&school.effects(say(vec![coming]))), []);
    let effects = school.effects(say(vec![on_air.clone()]));
    assert_eq!(logged(&effects), [EventKind::PublicationStarted]);
    assert_eq!(logged(&school.effects(say(vec![on_air]))), []);
    let effects = school.effects(say(vec![video]));
    assert_eq!(logged(&effects), [EventKind::PublicationEnded, EventKind::PublicationStarted]);
}

#[test]
fn the_clock_is_looked_at_more_often_while_a_lesson_runs() {
    let mut school = School::new();
    let idle = school.state.idle_for(school.clock.read());
    school.started();
    assert!(school.state.idle_for(school.clock.read()) < idle);
    assert!(!school.state.is_due(school.clock.read()));
}
