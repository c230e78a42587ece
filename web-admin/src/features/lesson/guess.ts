/**
 * What a teacher most likely means, and what starting it would meet: one click less, every lesson.
 *
 * What stands in the way is the box's to decide; here its rule is said beforehand, so that the
 * button names what pressing it does.
 */
import type { Lesson, Machine, Room, SchoolClass } from '../../api/types';

/** Whom to teach, where, and at which machines; `null` machines are the whole room. */
export interface Choice {
  classId: string | null;
  roomId: string | null;
  machineIds: string[] | null;
}

/** A planned lesson is begun a little early, or when the last one has run over. */
const EARLY_MS = 30 * 60_000;

interface Known {
  /** Lessons that are on or over; the newest counts. */
  held: readonly Lesson[];
  planned: readonly Lesson[];
  classes: readonly SchoolClass[];
  rooms: readonly Room[];
}

/** What this teacher planned for now; else what they held last, as far as it still exists. */
export function guessNext(known: Known, teacherId: string, now: number): Choice {
  const { held, planned, classes, rooms } = known;
  const due = planned
    .filter((lesson) => lesson.teacher_id === teacherId && isDue(lesson, now))
    .toSorted((a, b) => Math.abs(a.start_at - now) - Math.abs(b.start_at - now))[0];
  if (due !== undefined) {
    return { classId: due.class_id, roomId: due.room_id, machineIds: due.machine_ids };
  }
  const mine = held
    .filter((lesson) => lesson.teacher_id === teacherId)
    .toSorted((a, b) => b.start_at - a.start_at);
  const lastClass = mine.find((lesson) => classes.some(({ id }) => id === lesson.class_id));
  const lastRoom = mine.find((lesson) => rooms.some(({ id }) => id === lesson.room_id));
  return {
    classId: lastClass?.class_id ?? classes[0]?.id ?? null,
    roomId: lastRoom?.room_id ?? rooms[0]?.id ?? null,
    machineIds: null,
  };
}

/** Planned for this moment, give or take. */
export function isDue(lesson: Pick<Lesson, 'start_at' | 'planned_end_at'>, now: number): boolean {
  return lesson.start_at - EARLY_MS <= now && now < lesson.planned_end_at;
}

/** The planned lesson that the choice is: it begins, and is not left behind as planned. */
export function plannedAs(planned: readonly Lesson[], choice: Choice, now: number): Lesson | null {
  const found = planned.find(
    (lesson) =>
      lesson.class_id === choice.classId &&
      lesson.room_id === choice.roomId &&
      isSameSeats(lesson.machine_ids, choice.machineIds) &&
      isDue(lesson, now),
  );
  return found ?? null;
}

/**
 * The lessons that must end before this one can begin: any that is on there and shares a seat.
 * The same lesson once more is a second click; the box answers it with the one that is on.
 */
export function lessonsInTheWay(
  active: readonly Lesson[],
  choice: Choice,
  teacherId: string,
): Lesson[] {
  const here = active.filter((lesson) => lesson.room_id === choice.roomId);
  const isSame = (lesson: Lesson) =>
    lesson.teacher_id === teacherId && lesson.class_id === choice.classId;
  return here.some(isSame)
    ? []
    : here.filter((lesson) => shareSeats(lesson.machine_ids, choice.machineIds));
}

/** Machines at which nobody has a lesson, in the order given. */
export function freeMachines(
  active: readonly Lesson[],
  machines: readonly Machine[],
  roomId: string | null,
): Machine[] {
  const here = active.filter((lesson) => lesson.room_id === roomId);
  return machines.filter(
    ({ id, is_approved: isIn }) =>
      isIn && here.every(({ machine_ids: named }) => named !== null && !named.includes(id)),
  );
}

function shareSeats(a: readonly string[] | null, b: readonly string[] | null): boolean {
  return a === null || b === null || a.some((machine) => b.includes(machine));
}

function isSameSeats(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((machine) => b.includes(machine));
}
