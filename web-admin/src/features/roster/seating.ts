/**
 * Who sits where, as rules: a seat holds one or two students, a student has one seat at most.
 */
import type { Seat } from '../../api/types';
import { SEAT_HOLDS } from '../../lib/limits';

/** Puts a student on a machine. Whoever was there longest gives way when the seat is full. */
export function seat(seats: readonly Seat[], studentId: string, machineId: string): Seat[] {
  const freed = unseat(seats, studentId);
  const present = freed.find(({ machine_id }) => machine_id === machineId)?.student_ids ?? [];
  const taken = { machine_id: machineId, student_ids: [...present, studentId].slice(-SEAT_HOLDS) };
  return [...freed.filter(({ machine_id }) => machine_id !== machineId), taken];
}

export function unseat(seats: readonly Seat[], studentId: string): Seat[] {
  return seats
    .map((one) => ({ ...one, student_ids: one.student_ids.filter((id) => id !== studentId) }))
    .filter(({ student_ids }) => student_ids.length > 0);
}

/** Fills the free machines in order with the students who have none, one to each. */
export function seatInOrder(
  seats: readonly Seat[],
  studentIds: readonly string[],
  machineIds: readonly string[],
): Seat[] {
  const seated = new Set(seats.flatMap(({ student_ids }) => student_ids));
  const waiting = studentIds.filter((id) => !seated.has(id));
  const taken = new Set(
    seats.filter((one) => one.student_ids.length > 0).map(({ machine_id }) => machine_id),
  );
  const free = machineIds.filter((id) => !taken.has(id));
  const filled = free.flatMap((machineId, index) => {
    const student = waiting[index];
    return student === undefined ? [] : [{ machine_id: machineId, student_ids: [student] }];
  });
  return [...seats, ...filled];
}
