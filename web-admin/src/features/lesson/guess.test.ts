import { describe, expect, it } from 'vitest';

import type { Lesson, Machine } from '../../api/types';
import { lessonWith } from '../../test.lesson';
import { type Choice, freeMachines, guessNext, isDue, lessonsInTheWay, plannedAs } from './guess';

const MINUTE = 60_000;
const NOW = 1_000 * MINUTE;
const classes = ['7b', '9a'].map((id) => ({ id, name: id, student_count: 0, max_students: 50 }));
const rooms = ['r1', 'r2'].map((id) => ({ id, name: id, machine_count: 0, connected_count: 0 }));
const known = (part: { held?: Lesson[]; planned?: Lesson[] }) => ({
  held: [],
  planned: [],
  classes,
  rooms,
  ...part,
});
const choice = (part: Partial<Choice> = {}): Choice => ({
  classId: '9a',
  roomId: 'r1',
  machineIds: null,
  ...part,
});
const planned = (part: Partial<Lesson>) =>
  lessonWith({ status: 'scheduled', start_at: NOW, planned_end_at: NOW + 45 * MINUTE, ...part });

describe('the guess', () => {
  it('is what this teacher held last', () => {
    const held = [
      lessonWith({ start_at: 1, class_id: '7b', room_id: 'r1' }),
      lessonWith({ start_at: 2, class_id: '9a', room_id: 'r2' }),
      lessonWith({ start_at: 3, teacher_id: 'colleague' }),
    ];
    expect(guessNext(known({ held }), 'me', NOW)).toEqual(choice({ roomId: 'r2' }));
  });

  it('skips a class that is gone and falls back to the first', () => {
    const held = [lessonWith({ class_id: 'gone', room_id: 'r2' })];
    expect(guessNext(known({ held }), 'me', NOW)).toEqual(choice({ classId: '7b', roomId: 'r2' }));
    const nothing = { held: [], planned: [], classes: [], rooms: [] };
    expect(guessNext(nothing, 'me', NOW)).toEqual(choice({ classId: null, roomId: null }));
  });

  it('is what this teacher planned for now, before anything held', () => {
    const held = [lessonWith({ class_id: '7b' })];
    const plans = [
      planned({ class_id: '7b', start_at: NOW + 300 * MINUTE, planned_end_at: NOW + 345 * MINUTE }),
      planned({ class_id: '9a', room_id: 'r2', machine_ids: ['m1'] }),
      planned({ class_id: '7b', teacher_id: 'colleague' }),
    ];
    const guess = guessNext(known({ held, planned: plans }), 'me', NOW);
    expect(guess).toEqual(choice({ roomId: 'r2', machineIds: ['m1'] }));
  });
});

describe('a planned lesson', () => {
  it('is due a little early, and until its end', () => {
    const at = (minutes: number) => isDue(planned({}), NOW + minutes * MINUTE);
    expect([-31, -30, 0, 44, 45].map(at)).toEqual([false, true, true, true, false]);
  });

  it('is what the choice begins, if its seats are the same', () => {
    const plan = planned({ class_id: '9a', machine_ids: ['m1', 'm2'] });
    expect(plannedAs([plan], choice({ machineIds: ['m2', 'm1'] }), NOW)).toBe(plan);
    expect(plannedAs([plan], choice(), NOW)).toBeNull();
    expect(plannedAs([plan], choice({ machineIds: ['m1', 'm2'] }), NOW - 60 * MINUTE)).toBeNull();
  });
});

describe('in the way', () => {
  it("is a colleague's lesson in the same room", () => {
    const theirs = lessonWith({ teacher_id: 'colleague' });
    expect(lessonsInTheWay([theirs], choice(), 'me')).toEqual([theirs]);
    expect(lessonsInTheWay([theirs], choice({ roomId: 'r2' }), 'me')).toEqual([]);
  });

  it("is one's own forgotten lesson with another class, and not a second click", () => {
    const mine = lessonWith({ class_id: '7b' });
    expect(lessonsInTheWay([mine], choice({ classId: '9a' }), 'me')).toEqual([mine]);
    expect(lessonsInTheWay([mine], choice({ classId: '7b' }), 'me')).toEqual([]);
  });

  it('is only what shares a seat', () => {
    const half = lessonWith({ teacher_id: 'colleague', machine_ids: ['m1', 'm2'] });
    expect(lessonsInTheWay([half], choice({ machineIds: ['m3'] }), 'me')).toEqual([]);
    expect(lessonsInTheWay([half], choice({ machineIds: ['m2', 'm3'] }), 'me')).toEqual([half]);
    expect(lessonsInTheWay([half], choice(), 'me')).toEqual([half]);
  });
});

it('finds the machines at which nobody has a lesson', () => {
  const machines = ['m1', 'm2', 'm3'].map((id) => machine(id));
  const half = lessonWith({ machine_ids: ['m1'] });
  const ids = (active: Lesson[]) => freeMachines(active, machines, 'r1').map(({ id }) => id);
  expect(ids([half])).toEqual(['m2', 'm3']);
  expect(ids([lessonWith({ room_id: 'r2' })])).toEqual(['m1', 'm2', 'm3']);
  expect(ids([half, lessonWith({})])).toEqual([]);
  const waiting = { ...machine('m4'), is_approved: false };
  expect(freeMachines([], [waiting], 'r1')).toEqual([]);
});

function machine(id: string): Machine {
  return {
    id,
    name: id,
    room_id: 'r1',
    agent_version: '0.1.0',
    enrolled_at: 0,
    last_seen_at: 0,
    is_approved: true,
    is_connected: true,
    session_in_use: false,
    refused: null,
  };
}
