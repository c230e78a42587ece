/**
 * Where a student may sit in this lesson, as the dialog that moves them offers it.
 */
import type { Lesson, Machine, Person } from '../../api/types';
import { SEAT_HOLDS } from '../../lib/limits';
import { shortName } from '../../lib/names';

export interface SeatChoice {
  machineId: string;
  name: string;
  /** Who else sits there, in short. */
  others: string[];
  isOwn: boolean;
  isFull: boolean;
}

type Place = Pick<Machine, 'id' | 'name' | 'is_approved'>;

/** The lesson's machines in the order they stand, each with who sits there. */
export function seatChoices(
  lesson: Pick<Lesson, 'machine_ids'>,
  machines: readonly Place[],
  people: readonly Person[],
  moved: Pick<Person, 'student_id' | 'machine_id'>,
  byName: (a: Place, b: Place) => number,
): SeatChoice[] {
  const { machine_ids: named } = lesson;
  return machines
    .filter(({ id, is_approved: isIn }) => isIn && (named === null || named.includes(id)))
    .toSorted(byName)
    .map(({ id, name }) => {
      const others = people.filter(
        (person) => person.machine_id === id && person.student_id !== moved.student_id,
      );
      return {
        machineId: id,
        name,
        others: others.map((person) => shortName(person.full_name)),
        isOwn: moved.machine_id === id,
        isFull: others.length >= SEAT_HOLDS,
      };
    });
}
