/**
 * Which class and room a teacher most likely means: one click less, every lesson.
 */
import type { Lesson, Room, SchoolClass } from '../../api/types';

export interface Guess {
  classId: string | null;
  roomId: string | null;
}

/** What this teacher held last, as far as it still exists; else the first of each. */
export function guessNext(
  lessons: readonly Lesson[],
  teacherId: string,
  classes: readonly SchoolClass[],
  rooms: readonly Room[],
): Guess {
  const mine = lessons
    .filter((lesson) => lesson.teacher_id === teacherId && lesson.status !== 'cancelled')
    .toSorted((a, b) => b.start_at - a.start_at);
  const lastClass = mine.find((lesson) => classes.some(({ id }) => id === lesson.class_id));
  const lastRoom = mine.find((lesson) => rooms.some(({ id }) => id === lesson.room_id));
  return {
    classId: lastClass?.class_id ?? classes[0]?.id ?? null,
    roomId: lastRoom?.room_id ?? rooms[0]?.id ?? null,
  };
}

/** The lesson that stands in the way in a room: any that is on there, but not one's own. */
export function lessonInTheWay(
  active: readonly Lesson[],
  roomId: string | null,
  teacherId: string,
): Lesson | null {
  return (
    active.find((lesson) => lesson.room_id === roomId && lesson.teacher_id !== teacherId) ?? null
  );
}
