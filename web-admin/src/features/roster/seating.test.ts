import { expect, it } from 'vitest';

import { seat, seatInOrder, unseat } from './seating';

const seats = [{ machine_id: 'pc1', student_ids: ['anna', 'boris'] }];

it('moves a student: one seat at most', () => {
  expect(seat(seats, 'anna', 'pc2')).toEqual([
    { machine_id: 'pc1', student_ids: ['boris'] },
    { machine_id: 'pc2', student_ids: ['anna'] },
  ]);
});

it('seats two at a machine; a third takes the place of the first', () => {
  expect(seat(seats, 'clara', 'pc1')).toEqual([
    { machine_id: 'pc1', student_ids: ['boris', 'clara'] },
  ]);
});

it('leaves no empty seat behind', () => {
  expect(unseat([{ machine_id: 'pc1', student_ids: ['anna'] }], 'anna')).toEqual([]);
});

it('fills free machines in order and moves nobody', () => {
  expect(seatInOrder(seats, ['anna', 'boris', 'clara', 'dmitri'], ['pc1', 'pc2', 'pc3'])).toEqual([
    ...seats,
    { machine_id: 'pc2', student_ids: ['clara'] },
    { machine_id: 'pc3', student_ids: ['dmitri'] },
  ]);
});
